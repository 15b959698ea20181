/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_HANDOFF_BACK_H
#define SUT_APP_HANDOFF_BACK_H
/*
 * handoff_back - the settings of an agent: from texts to what the role, the channel and the data plane take.
 *
 * Does not: open anything, but for the files that it reads: the keys, and what the kernel tells of itself.
 */
#include "app/channel_port.h"
#include "app/handoff_front.h"
#include "app/handoff_words.h"
#include "app/options.h"
#include "role/handoff/back.h"

struct handoff_back_flags {
	const char *listen;
	const char *front[CHANNEL_PEERS];
	uint32_t fronts;
	const char *origin[WAY_ORIGINS];
	uint32_t origins;
	const char *origin_base;
	const char *host_addr[2];
	uint32_t host_addrs;
	uint8_t plane; /* enum handoff_plane */
	const char *pins, *cgroup;
	uint8_t at_end;
	bool no_adopt, guard;
	uint32_t max_flows;
	sut_time idle_time, linger;
};

/* All of an agent. */
struct handoff_back {
	/* as typed */
	struct handoff_back_flags flags;
	struct handoff_keys_settings key_flags;
	const char *device,
		*host; /* "if:eth0"; host: the server's side, where this process forwards */
	/* what follows */
	struct back_config role;
	struct channel_keys keys;
	struct channel_port_config channel;
	struct handoff_error error;
};

extern const struct option_desc handoff_back_table[];

/* Makes what follows of what was typed: NULL, or which setting is impossible ("origin: ..."), in s->error. */
const char *handoff_back_finish(struct handoff_back *s);

/* Reads only origins (into s->role): as above. */
const char *handoff_back_origins(struct handoff_back *s);

/* What the kernel says of its TCP: fills kernel, rcvwnd, wscale and options of *ret_m. */
void handoff_look_host(struct hand_msg *ret_m);
#endif
