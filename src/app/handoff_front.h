/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_HANDOFF_FRONT_H
#define SUT_APP_HANDOFF_FRONT_H
/*
 * handoff_front - the settings of a front end: from texts to what the role, the channel and the ports of messages take.
 *
 * Does not: open anything.  Files that texts name are read: the keys.
 */
#include "app/channel_port.h"
#include "app/handoff_words.h"
#include "app/options.h"
#include "app/world_port.h"
#include "role/handoff/front.h"

enum handoff_plane { HANDOFF_PLANE_BPF, HANDOFF_PLANE_USER };

#define HANDOFF_RUNGS 3u

struct handoff_front_flags {
	const char *vip[FRONT_ORIGINS];
	uint32_t vips;
	const char *backend[ROUTE_BACKENDS];
	uint32_t backends;
	const char *route[ROUTE_RULES + 1];
	uint32_t routes;
	const char *own[2];
	uint32_t owns;
	uint16_t own_ports[2];
	uint32_t own_ports_count;
	const char *rungs;
	const char *agents_from;
	uint8_t plane; /* enum handoff_plane */
	const char *pins;
	uint8_t at_end;
	/* health */
	sut_time check_interval, check_timeout;
	uint32_t check_rise, check_fall;
	const char *check_path;
	/* limits */
	uint32_t max_flows, head_max, mtu;
	sut_time head_timeout, idle_time, linger, confirm_time;
	bool bad_close, header;
};

/* All of a front end. */
struct handoff_front {
	/* as typed */
	struct handoff_front_flags flags;
	struct handoff_keys_settings key_flags;
	const char *client, *backend_port; /* "if:eth0" */
	/* what follows */
	struct front_config role;
	struct channel_keys keys;
	struct channel_port_config channel; /* channel.peers 0: no agents, no channel */
	struct world_port_config world;
	struct handoff_error error;
};

extern const struct option_desc handoff_front_table[];
extern const char *const handoff_plane_names[];
extern const char *const handoff_end_names[];

/* What both of its devices carry: bytes of an IP packet, 1280 to 65535; 1500 where neither is a device. */
uint32_t handoff_front_carries(const struct handoff_front *s);

/* Makes what follows of what was typed: NULL, or which setting is impossible ("vip: ..."), in s->error. */
const char *handoff_front_finish(struct handoff_front *s);
#endif
