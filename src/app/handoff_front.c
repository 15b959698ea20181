/* SPDX-License-Identifier: MIT */
#include "app/handoff_front.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sys/socket.h>

#include "app/option_value.h"
#include "proto/ip.h"

#define F(f) OPTION_FIELD(struct handoff_front_flags, f)
#define N(f) OPTION_COUNT(struct handoff_front_flags, f)
#define MTU_USUAL 1500u /* of what is no device */
#define MTU_LEAST 1280u /* IPv6 */

const char *const handoff_plane_names[] = { "bpf", "user", NULL };
const char *const handoff_end_names[] = { "keep", "remove", NULL };

/* clang-format off */
const struct option_desc handoff_front_table[] = {
	{ .name = "vip", .kind = OPTION_STRINGS, F(vip), N(vips), .arg = "ADDR:PORT",
	  .help = "an address and port that clients connect to; may be given often" },
	{ .name = "backend", .kind = OPTION_STRINGS, F(backend), N(backends), .arg = "NAME=ADDR:PORT[,..]", .live = 1,
	  .help = "a server; with a second address of the other family, agent=ADDR:PORT, rungs=adopt+shift+splice, weight=N, far; may be given often" },
	{ .name = "route", .kind = OPTION_STRINGS, F(route), N(routes), .arg = "RULE", .live = 1,
	  .help = "[at [ADDR]:PORT,..] [METHOD,..] HOST|/PATH|*|default BACKEND,.. [by source|header NAME|least|turn]; may be given often" },
	{ .name = "own", .kind = OPTION_STRINGS, F(own), N(owns), .arg = "ADDR",
	  .help = "the front end's own address, from which splices and probes come; one a family" },
	{ .name = "own-ports", .kind = OPTION_PORTS, F(own_ports), N(own_ports_count), .arg = "FIRST-LAST",
	  .def = "10000-32767", .help = "ports of its own for splices and probes" },
	{ .name = "rungs", .kind = OPTION_STRING, F(rungs), .arg = "RUNGS", .def = "adopt+shift+splice", .live = 1,
	  .help = "rungs of the ladder that may be taken, of any back end" },
	{ .name = "agents-from", .kind = OPTION_STRING, F(agents_from), .arg = "ADDR[:PORT]",
	  .help = "from where agents are spoken to" },
	{ .name = "plane", .kind = OPTION_ENUM, F(plane), .arg = "PLANE", .def = "bpf", .names = handoff_plane_names,
	  .fixed = 1, .help = "who forwards packets: BPF programs in the kernel, or this process" },
	{ .name = "pins", .kind = OPTION_STRING, F(pins), .arg = "DIR", .def = HANDOFF_PINS_FRONT,
	  .help = "where the programs' maps outlive this process; \"\": nowhere" },
	{ .name = "at-end", .kind = OPTION_ENUM, F(at_end), .arg = "WHAT", .def = "keep", .names = handoff_end_names,
	  .fixed = 1, .help = "what becomes of pinned programs and connections at the end" },
	{ .name = "check-interval", .kind = OPTION_TIME, F(check_interval), .arg = "TIME", .def = "2s",
	  .help = "how often back ends are asked whether they serve; 0 for never" },
	{ .name = "check-timeout", .kind = OPTION_TIME, F(check_timeout), .arg = "TIME", .def = "1s", .min = 1,
	  .help = "an answer must come within" },
	{ .name = "check-rise", .kind = OPTION_SIZE, F(check_rise), .arg = "N", .def = "2", .min = 1,
	  .help = "good answers in a row that a back end which is down needs" },
	{ .name = "check-fall", .kind = OPTION_SIZE, F(check_fall), .arg = "N", .def = "3", .min = 1,
	  .help = "bad answers in a row after which a back end is down" },
	{ .name = "check-path", .kind = OPTION_STRING, F(check_path), .arg = "PATH", .live = 1,
	  .help = "ask by GET PATH, where 2xx and 3xx are good; without it a connection is enough" },
	{ .name = "max-flows", .kind = OPTION_SIZE, F(max_flows), .arg = "N", .def = "65536", .min = 1, .max = 1048575, .fixed = 1,
	  .help = "connections kept" },
	{ .name = "head-max", .kind = OPTION_SIZE, F(head_max), .arg = "BYTES", .def = "16k", .min = 256, .max = 65535, .fixed = 1,
	  .help = "the longest head of a request: beyond it the answer is 431" },
	{ .name = "head-time", .kind = OPTION_TIME, F(head_timeout), .arg = "TIME", .def = "10s", .min = 1,
	  .help = "a head must have come within: later the answer is 408" },
	{ .name = "idle-time", .kind = OPTION_TIME, F(idle_time), .arg = "TIME", .def = "1h", .min = SUT_MS(1000),
	  .help = "a connection without a packet is forgotten after" },
	{ .name = "linger", .kind = OPTION_TIME, F(linger), .arg = "TIME", .def = "60s",
	  .help = "a closed connection is forgotten after" },
	{ .name = "confirm-time", .kind = OPTION_TIME, F(confirm_time), .arg = "TIME", .def = "1s", .min = 1,
	  .help = "a rung that is not confirmed is given up after" },
	{ .name = "mtu", .kind = OPTION_SIZE, F(mtu), .arg = "BYTES", .min = 1280, .max = 65535,
	  .help = "the longest packets of the clients'; as long as the devices carry if not given" },
	{ .name = "bad-close", .kind = OPTION_FLAG, F(bad_close), .help = "close where a request is malformed, instead of answering 400" },
	{ .name = "header", .kind = OPTION_FLAG, F(header), .fixed = 1,
	  .help = "announce shifts in the SYN itself, instead of to the agent beforehand" },
	{ .name = NULL },
};
/* clang-format on */

static int read_vips(struct handoff_front *s)
{
	struct front_config *r = &s->role;

	for (uint32_t i = 0; i < s->flags.vips; i++) {
		const char *t = s->flags.vip[i];
		struct endpoint e;

		s->error.blamed = t;
		if (endpoint_read(t, strlen(t), &e) != 0)
			return handoff_wrong(
				&s->error,
				"vip: '%s' is no address with a port, as 192.0.2.10:80 or "
				"[2001:db8::10]:80",
				t);
		memcpy(r->origin[i].ip, e.ip, 16);
		r->origin[i].port = e.port;
		for (uint32_t j = 0; j < i; j++)
			if (memcmp(&r->origin[j], &r->origin[i], sizeof r->origin[i]) == 0)
				return handoff_wrong(&s->error, "vip: '%s' is given twice", t);
		if (!handoff_is_host(e.ip))
			return handoff_wrong(&s->error, "vip: '%s': no host can have this address",
					     t);
		r->origins++;
	}
	return r->origins ? 0 : handoff_wrong(&s->error, "vip ADDR:PORT is missing");
}

/* "adopt+splice": a bit for each. */
static int read_rungs(const char *t, size_t len, uint8_t *ret_rungs)
{
	static const char *const names[HANDOFF_RUNGS] = {
		[RUNG_ADOPT] = "adopt", [RUNG_SHIFT] = "shift", [RUNG_SPLICE] = "splice"
	};
	uint8_t rungs = 0;

	while (len) {
		size_t n = 0;
		unsigned i;

		while (n < len && t[n] != '+')
			n++;
		for (i = 0; i < HANDOFF_RUNGS; i++)
			if (strlen(names[i]) == n && memcmp(names[i], t, n) == 0)
				break;
		if (i == HANDOFF_RUNGS)
			return -EINVAL;
		rungs |= (uint8_t)(1u << i);
		n += n < len;
		t += n;
		len -= n;
	}
	*ret_rungs = rungs;
	return rungs ? 0 : -EINVAL;
}

/* What stands behind a back end's address. */
static int read_word(struct handoff_front *s, uint32_t i, const char *word, size_t len)
{
	struct front_backend *b = &s->role.backend[i];
	struct channel_config *ch = &s->channel.channel;
	uint64_t weight;
	const char *v;
	size_t n;

	if (len == 3 && memcmp(word, "far", 3) == 0) {
		b->far_host = true;
		return 0;
	}
	v = handoff_value(word, len, "agent", &n);
	if (v) {
		struct channel_peer *p = &ch->peer[ch->peers];

		if (b->has_agent)
			return -EINVAL;
		ch->peers++;
		_Static_assert(sizeof p->name == sizeof b->name, "both are names of peers");
		memcpy(p->name, b->name, sizeof p->name);
		b->has_agent = true;
		if (endpoint_read(v, n, &p->at) != 0)
			return -EINVAL;
		memcpy(b->agent.ip, p->at.ip, sizeof b->agent.ip);
		b->agent.port = p->at.port;
		return 0;
	}
	v = handoff_value(word, len, "weight", &n);
	if (v) {
		if (value_number(v, n, &weight) != 0 || weight > 1000)
			return -EINVAL;
		s->role.routes.weight[i] = (uint32_t)weight;
		return 0;
	}
	v = handoff_value(word, len, "rungs", &n);
	if (!v)
		v = handoff_value(word, len, "rung", &n);
	return v ? read_rungs(v, n, &b->rungs) : -EINVAL;
}

static bool is_vip(const struct handoff_front *s, const uint8_t ip[16])
{
	for (unsigned i = 0; i < s->role.origins; i++)
		if (memcmp(s->role.origin[i].ip, ip, 16) == 0)
			return true;
	return false;
}

/* What is wrong with this word of a back end. */
static int wrong_word(struct handoff_front *s, uint32_t i, const char *word, size_t len)
{
	const struct front_backend *b = &s->role.backend[i];
	struct endpoint e;

	if (endpoint_read(word, len, &e) == 0 && !handoff_is_host(e.ip))
		return handoff_wrong(&s->error, "backend %s: '%.*s': no host can have this address",
				     b->name, (int)len, word);
	if (endpoint_read(word, len, &e) == 0 && is_vip(s, e.ip))
		return handoff_wrong(
			&s->error,
			"backend %s: '%.*s': this is an origin's address (vip); expected "
			"the server's own",
			b->name, (int)len, word);
	if (endpoint_read(word, len, &e) == 0)
		return handoff_wrong(&s->error,
				     "backend %s: '%.*s': one address of each family is enough, "
				     "IPv4 and IPv6",
				     b->name, (int)len, word);
	return handoff_wrong(&s->error, "backend %s: '%.*s': expected %s", b->name, (int)len, word,
			     !b->at[0].port && !b->at[1].port
				     ? "an address with a port, as 192.0.2.21:80 or "
				       "[2001:db8::21]:80"
				     : "an address of the other family, agent=ADDR:PORT, "
				       "rungs=adopt+shift+splice, weight=0 to 1000, or far");
}

/* An address, of whichever family is not there yet: 0, or -EINVAL with nothing said. */
static int read_at(struct handoff_front *s, uint32_t i, const char *word, size_t len)
{
	struct world_port_config *w = &s->world;
	struct front_backend *b = &s->role.backend[i];
	struct stack_addr *at;
	struct endpoint e;

	if (endpoint_read(word, len, &e) != 0 || !handoff_is_host(e.ip) || is_vip(s, e.ip))
		return -EINVAL;
	at = &b->at[!ip_is_mapped(e.ip)];
	if (at->port)
		return -EINVAL;
	memcpy(at->ip, e.ip, sizeof at->ip);
	at->port = e.port;
	memcpy(w->target[w->targets].name, b->name, sizeof b->name);
	w->target[w->targets++].at = e;
	return 0;
}

/* Its agent is known by where it speaks from: nobody else's may be there. */
static int one_agent(struct handoff_front *s, uint32_t i)
{
	const struct front_backend *b = &s->role.backend[i];

	for (uint32_t j = 0; j < i && b->has_agent; j++) {
		const struct front_backend *x = &s->role.backend[j];

		if (x->has_agent && x->agent.port == b->agent.port &&
		    memcmp(x->agent.ip, b->agent.ip, 16) == 0)
			return handoff_wrong(
				&s->error,
				"backend %s: %s has this agent already: one back end with "
				"rungs=adopt+shift can be served at several origins",
				b->name, x->name);
	}
	return 0;
}

static int read_backend(struct handoff_front *s, uint32_t i)
{
	const char *t = s->flags.backend[i], *word;
	struct front_backend *b = &s->role.backend[i];
	size_t len;

	s->error.blamed = t;
	if (handoff_take_name(&t, b->name) != 0)
		return handoff_wrong(&s->error,
				     "backend: '%s': expected NAME=ADDR:PORT, as "
				     "web1=192.0.2.21:80",
				     s->flags.backend[i]);
	for (uint32_t j = 0; j < i; j++)
		if (strcmp(s->role.backend[j].name, b->name) == 0)
			return handoff_wrong(
				&s->error,
				"backend: '%s' is given twice; its other address goes "
				"behind the first one: %s=192.0.2.21:80,[2001:db8::21]:80",
				b->name, b->name);
	while (handoff_next_word(&t, &word, &len)) {
		bool first = !b->at[0].port && !b->at[1].port;

		if (read_at(s, i, word, len) != 0 && (first || read_word(s, i, word, len) != 0))
			return wrong_word(s, i, word, len);
	}
	if (!b->at[0].port && !b->at[1].port)
		return handoff_wrong(&s->error,
				     "backend %s: the address is missing: expected %s=ADDR:PORT",
				     b->name, b->name);
	if (!b->has_agent && !(b->rungs >> RUNG_SPLICE & 1))
		return handoff_wrong(
			&s->error,
			"backend %s: without agent=ADDR:PORT it can only be spliced, which "
			"rungs= does not let it",
			b->name);
	return one_agent(s, i);
}

static int read_backends(struct handoff_front *s)
{
	const char *names[ROUTE_BACKENDS];
	uint8_t all;
	int err = 0;

	if (!s->flags.backends)
		return handoff_wrong(&s->error, "backend NAME=ADDR:PORT is missing");
	s->error.blamed = s->flags.rungs;
	if (read_rungs(s->flags.rungs, strlen(s->flags.rungs), &all) != 0)
		return handoff_wrong(&s->error,
				     "rungs: '%s': expected adopt, shift and splice joined by +",
				     s->flags.rungs);
	/* names first: routes are told of them, and give all a weight */
	for (uint32_t i = 0; i < s->flags.backends; i++) {
		const char *t = s->flags.backend[i];

		if (handoff_take_name(&t, s->role.backend[i].name) != 0)
			s->role.backend[i].name[0] = 0;
		names[i] = s->role.backend[i].name;
	}
	route_backends(&s->role.routes, names, s->flags.backends);
	for (uint32_t i = 0; i < s->flags.backends && err == 0; i++) {
		s->role.backend[i].rungs = all;
		err = read_backend(s, i);
	}
	s->role.backends = s->flags.backends;
	return err;
}

static int read_routes(struct handoff_front *s)
{
	const char *names[ROUTE_BACKENDS];
	char why[128], everyone[ROUTE_BACKENDS * 33 + 16] = "default ";
	size_t n = strlen(everyone);

	for (uint32_t i = 0; i < s->role.backends; i++) {
		names[i] = s->role.backend[i].name;
		n += (size_t)snprintf(everyone + n, sizeof everyone - n, "%s%s", i ? "," : "",
				      names[i]);
	}
	route_origins(&s->role.routes, s->role.origin, s->role.origins);
	for (uint32_t i = 0; i < s->flags.routes; i++) {
		s->error.blamed = s->flags.route[i];
		if (route_rule_read(&s->role.routes, s->flags.route[i], names, s->role.backends,
				    why) != 0)
			return handoff_wrong(&s->error, "route '%s': %s", s->flags.route[i], why);
	}
	s->error.blamed = NULL;
	/* whoever says nothing of routes wants all requests answered by all */
	if (s->flags.routes == 0 &&
	    route_rule_read(&s->role.routes, everyone, names, s->role.backends, why) != 0)
		return handoff_wrong(&s->error, "route '%s': %s", everyone, why);
	return 0;
}

/* The device of "if:NAME"; NULL: it is something else. */
static const char *device_of(const char *spec)
{
	return spec && strncmp(spec, "if:", 3) == 0 ? spec + 3 : NULL;
}

uint32_t handoff_front_carries(const struct handoff_front *s)
{
	uint32_t mtu = handoff_device_mtu(device_of(s->client));
	uint32_t other = s->backend_port ? handoff_device_mtu(device_of(s->backend_port)) : mtu;

	if (mtu == 0 || (other != 0 && other < mtu))
		mtu = other;
	if (mtu == 0)
		return MTU_USUAL;
	return mtu < MTU_LEAST ? MTU_LEAST : mtu;
}

/* Whose address is it that probes and splices come from?  Where BPF keeps packets from the host it may be the host's own. */
static int read_own(struct handoff_front *s)
{
	const char *device = s->world.device;
	uint8_t ip[16];

	for (uint32_t i = 0; i < s->flags.owns; i++) {
		const char *t = s->flags.own[i];

		s->error.blamed = t;
		if (endpoint_read_ip(t, strlen(t), ip) != 0)
			return handoff_wrong(&s->error,
					     "own: '%s' is no address, as 192.0.2.2 or 2001:db8::2",
					     t);
		if (!ip_is_zero(ip_is_mapped(ip) ? s->role.own_ip4 : s->role.own_ip6))
			return handoff_wrong(&s->error, "own: '%s': one of each family is enough",
					     t);
		memcpy(ip_is_mapped(ip) ? s->role.own_ip4 : s->role.own_ip6, ip, 16);
	}
	if (s->flags.plane == HANDOFF_PLANE_BPF && device) {
		uint8_t vip[FRONT_ORIGINS][16];

		for (unsigned i = 0; i < s->role.origins; i++)
			memcpy(vip[i], s->role.origin[i].ip, 16);
		if (ip_is_zero(s->role.own_ip4))
			(void)neighbour_own_address(device, AF_INET, (const uint8_t(*)[16])vip,
						    s->role.origins, s->role.own_ip4);
		if (ip_is_zero(s->role.own_ip6))
			(void)neighbour_own_address(device, AF_INET6, (const uint8_t(*)[16])vip,
						    s->role.origins, s->role.own_ip6);
		memcpy(s->world.source[0], s->role.own_ip4, 16);
		memcpy(s->world.source[1], s->role.own_ip6, 16);
		memcpy(s->channel.source, s->world.source, sizeof s->channel.source);
	}
	memcpy(s->world.own[0], s->role.own_ip4, sizeof s->world.own[0]);
	memcpy(s->world.own[1], s->role.own_ip6, sizeof s->world.own[1]);
	if (s->flags.own_ports_count != 1)
		return handoff_wrong(&s->error, "own-ports: expected one range, as 10000-32767");
	s->role.port_lo = s->flags.own_ports[0];
	s->role.port_hi = s->flags.own_ports[1];
	return 0;
}

/* What one address speaks to must be of its family. */
static int same_family(struct handoff_front *s)
{
	const struct channel_config *ch = &s->channel.channel;

	for (unsigned i = 0; i < ch->peers; i++)
		if (ip_is_mapped(ch->peer[i].at.ip) != ip_is_mapped(s->channel.local.ip))
			return handoff_wrong(
				&s->error,
				"agents-from: '%s' cannot reach the agent of %s: it is of "
				"another address family",
				s->flags.agents_from, ch->peer[i].name);
	return 0;
}

static int read_channel(struct handoff_front *s)
{
	const char *t = s->flags.agents_from;
	int err;

	s->error.blamed = s->key_flags.key_file;
	err = handoff_keys_load(&s->key_flags, s->channel.channel.peers > 0, &s->keys, &s->error);
	if (err)
		return err;
	s->error.blamed = t;
	if (t && endpoint_read(t, strlen(t), &s->channel.local) != 0 &&
	    endpoint_read_ip(t, strlen(t), s->channel.local.ip) != 0)
		return handoff_wrong(
			&s->error,
			"agents-from: '%s' is no address, as 192.0.2.2 or 192.0.2.2:4511", t);
	if (t && (err = same_family(s)) != 0)
		return err;
	s->channel.channel.begins = true;
	s->channel.channel.keys = s->keys;
	for (unsigned i = 0; i < CHANNEL_KEYS; i++)
		memcpy(s->role.key[i], s->keys.slot[i].header, 16);
	s->role.key_index = s->keys.first;
	return 0;
}

/* A short connection has sent its last packet by then. */
#define SETTLE_AFTER 4

static int read_rest(struct handoff_front *s)
{
	const struct handoff_front_flags *f = &s->flags;
	struct front_config *r = &s->role;

	s->error.blamed = f->check_path;
	if (f->check_path && (f->check_path[0] != '/' || strlen(f->check_path) > 500 ||
			      strpbrk(f->check_path, " \r\n")))
		return handoff_wrong(&s->error, "check-path: '%s' is no path, as /health",
				     f->check_path);
	s->error.blamed = NULL;
	if (f->check_path)
		memcpy(s->world.path, f->check_path, strlen(f->check_path));
	s->world.interval = f->check_interval;
	s->world.timeout = f->check_timeout;
	s->world.rise = f->check_rise;
	s->world.fall = f->check_fall;
	s->world.ifindex = f->plane == HANDOFF_PLANE_BPF;
	s->world.device = device_of(s->backend_port ? s->backend_port : s->client);
	s->world.client = s->world.ifindex && s->backend_port ? device_of(s->client) : NULL;
	r->max_conns = f->max_flows;
	r->head_max = f->head_max;
	r->mtu = f->mtu ? f->mtu : handoff_front_carries(s);
	r->head_timeout = f->head_timeout;
	r->idle_timeout = f->idle_time;
	r->linger = f->linger;
	r->confirm_timeout = f->confirm_time;
	r->settle_after = SETTLE_AFTER;
	r->bad_close = f->bad_close;
	r->header = f->header;
	return 0;
}

const char *handoff_front_finish(struct handoff_front *s)
{
	int err;

	memset(&s->role, 0, sizeof s->role);
	memset(&s->channel, 0, sizeof s->channel);
	memset(&s->world, 0, sizeof s->world);
	s->error.blamed = NULL;
	err = read_rest(s);
	if (err == 0)
		err = read_vips(s);
	if (err == 0)
		err = read_backends(s);
	if (err == 0)
		err = read_routes(s);
	if (err == 0)
		err = read_own(s);
	if (err == 0)
		err = read_channel(s);
	if (err == 0 && front_role.need(&s->role) == 0) {
		const char *why = s->role.error ? s->role.error : "impossible settings";

		s->error.blamed = NULL;
		err = handoff_wrong(&s->error, "%s%s", strstr(why, "origin") ? "vip: " : "", why);
	}
	return err ? s->error.text : NULL;
}
