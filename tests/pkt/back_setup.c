/* SPDX-License-Identifier: MIT */
#include "back_setup.h"

#include <stdio.h>
#include <string.h>

#include "core/flow_row.h"
#include "proto/ip.h"

static void origin(struct way_origin *o, const uint8_t ip[16], uint16_t port)
{
	memcpy(o->ip, ip, 16);
	memcpy(o->host_ip, ip, 16);
	store_be16((uint8_t *)&o->port, port);
	o->host_port = o->port;
}

void back_setup_defaults(void *config)
{
	static const uint8_t own6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 };
	struct back_config *c = config;
	uint8_t ip[16];

	back_defaults(c);
	c->tell_after = 0;
	ip4_map((const uint8_t *)"\xc6\x33\x64\x01", ip);
	origin(&c->origin[0], ip, 80);
	origin(&c->origin[1], own6, 80);
	ip4_map((const uint8_t *)"\xc6\x33\x64\x02", ip);
	origin(&c->origin[2], ip, 80);
	ip4_map((const uint8_t *)"\xcb\x00\x71\x05", c->origin[2].host_ip);
	store_be16((uint8_t *)&c->origin[2].host_port, 8080);
	c->origins = 3;
	c->host = (struct hand_msg){ .kind = HAND_HOST,
				     .kernel = 6 << 16 | 18,
				     .boot = 1,
				     .rcvwnd = 64240,
				     .wscale = 7,
				     .options = WAY_OPT_TS | WAY_OPT_SACK | WAY_OPT_WSCALE,
				     .adopt = 1,
				     .shift = 1 };
	memcpy(c->key[0], "0123456789abcdef", 16);
	c->keys = 1;
}

const char *back_setup_error(const void *config)
{
	return back_config_error(config);
}

#define AT(member) offsetof(struct back_config, member)
const struct setting back_settings[] = {
	{ "max-flows", SET_U32, AT(max_flows), 0, NULL },
	{ "linger", SET_TIME, AT(linger), 0, NULL },
	{ "idle-time", SET_TIME, AT(idle_timeout), 0, NULL },
	{ "tell-after", SET_TIME, AT(tell_after), 0, NULL },
	{ "adopt", SET_BOOL, AT(host.adopt), 0, NULL },
	{ "shift", SET_BOOL, AT(host.shift), 0, NULL },
	{ "boot", SET_U32, AT(host.boot), 0, NULL },
	{ "guard", SET_U32, AT(origin[0].flags), 0, NULL },
	{ "mtu", SET_U32, AT(host.mtu), 0, NULL },
	{ "unsigned", SET_BOOL, AT(unsigned_too), 0, NULL },
	{ NULL, SET_U32, 0, 0, NULL },
};
#undef AT

const char *const back_ways[] = {
	[BACK_FRONT] = "sd",  [BACK_HOST] = "ds",  [BACK_CONTROL] = "sd",
	[BACK_FRONTS] = "sd", [BACK_PLANE] = "sd",
};

bool back_setup_describe(const void *role, const struct flow_key *near_key, char *ret_s,
			 size_t size)
{
	struct flow_row row;
	uint32_t cursor = 0;

	while (back_role.list(role, &cursor, 0, &row)) {
		if (memcmp(&row.key, near_key, offsetof(struct flow_key, where)) != 0)
			continue;
		snprintf(ret_s, size, "%s %s", row.mode, row.state);
		return true;
	}
	return false;
}
