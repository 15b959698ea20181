/* SPDX-License-Identifier: MIT */
#include "app/handoff_back.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <linux/magic.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

#include "app/option_value.h"
#include "proto/ip.h"

#define B(f) OPTION_FIELD(struct handoff_back_flags, f)
#define N(f) OPTION_COUNT(struct handoff_back_flags, f)

/* clang-format off */
const struct option_desc handoff_back_table[] = {
	{ .name = "listen", .kind = OPTION_STRING, B(listen), .arg = "ADDR:PORT",
	  .help = "where front ends reach this agent" },
	{ .name = "front", .kind = OPTION_STRINGS, B(front), N(fronts), .arg = "NAME=ADDR[:PORT]",
	  .help = "a front end, and from where it speaks; may be given often" },
	{ .name = "origin", .kind = OPTION_STRINGS, B(origin), N(origins), .arg = "[PORT=]ADDR:PORT",
	  .help = "an address that clients know, and the port of this host that serves it, if it is not that address itself" },
	{ .name = "origin-base", .kind = OPTION_STRING, B(origin_base), .arg = "PORT=ADDR:PORT/N",
	  .help = "N origins: ADDR is served at PORT, the next address at the next port" },
	{ .name = "host-addr", .kind = OPTION_STRINGS, B(host_addr), N(host_addrs), .arg = "ADDR",
	  .help = "the address that such ports are of; of the device's, without this" },
	{ .name = "plane", .kind = OPTION_ENUM, B(plane), .arg = "PLANE", .def = "bpf", .names = handoff_plane_names,
	  .fixed = 1, .help = "who changes packets: BPF programs in the kernel, or this process, between --if and --host" },
	{ .name = "pins", .kind = OPTION_STRING, B(pins), .arg = "DIR", .def = HANDOFF_PINS_BACK,
	  .help = "where the programs' maps outlive this process; \"\": nowhere" },
	{ .name = "at-end", .kind = OPTION_ENUM, B(at_end), .arg = "WHAT", .def = "keep", .names = handoff_end_names,
	  .fixed = 1, .help = "what becomes of pinned programs and connections at the end" },
	{ .name = "cgroup", .kind = OPTION_STRING, B(cgroup), .arg = "DIR",
	  .help = "the server's control group: only its sockets are watched" },
	{ .name = "no-adopt", .kind = OPTION_FLAG, B(no_adopt), .fixed = 1,
	  .help = "as if this kernel could not adopt connections" },
	{ .name = "guard", .kind = OPTION_FLAG, B(guard),
	  .help = "drop what comes for an origin and that no front end has announced" },
	{ .name = "max-flows", .kind = OPTION_SIZE, B(max_flows), .arg = "N", .def = "65536", .min = 1,
	  .help = "connections kept" },
	{ .name = "idle-time", .kind = OPTION_TIME, B(idle_time), .arg = "TIME", .def = "1h",
	  .help = "a connection without a packet is forgotten after" },
	{ .name = "linger", .kind = OPTION_TIME, B(linger), .arg = "TIME", .def = "60s",
	  .help = "a closed connection is forgotten after" },
	{ .name = NULL },
};
/* clang-format on */

static const char *device_of(const char *spec)
{
	return spec && strncmp(spec, "if:", 3) == 0 ? spec + 3 : NULL;
}

/* The host's own address of this family. */
static int host_address(struct handoff_back *s, const uint8_t like[16], uint8_t ret_ip[16])
{
	const char *device = s->device ? s->device + 3 : "";
	bool four = ip_is_mapped(like);
	uint8_t ip[16];

	for (uint32_t i = 0; i < s->flags.host_addrs; i++) {
		const char *t = s->flags.host_addr[i];

		if (endpoint_read_ip(t, strlen(t), ip) != 0)
			return handoff_wrong(&s->error, "host-addr: '%s' is no address", t);
		if (ip_is_mapped(ip) == four) {
			memcpy(ret_ip, ip, 16);
			return 0;
		}
	}
	if (neighbour_own_address(device, four ? AF_INET : AF_INET6, NULL, 0, ret_ip) == 0)
		return 0;
	return handoff_wrong(&s->error,
			     "host-addr ADDR is missing: %s has no IPv%d address that origins "
			     "could be served at",
			     *device ? device : "the device", four ? 4 : 6);
}

static const char *endpoint_text(const struct endpoint *e, char text[ENDPOINT_TEXT])
{
	endpoint_write(e, text);
	return text;
}

/* One origin: served at host_port of the host, or as itself (0). */
static int add_origin(struct handoff_back *s, const struct endpoint *e, uint16_t host_port)
{
	struct way_origin *o = &s->role.origin[s->role.origins];
	char text[ENDPOINT_TEXT];
	int err = 0;

	if (s->role.origins == WAY_ORIGINS)
		return handoff_wrong(&s->error, "origin: there may be %u of them", WAY_ORIGINS);
	if (!handoff_is_host(e->ip))
		return handoff_wrong(&s->error, "origin: no host can have the address %s",
				     endpoint_text(e, text));
	for (unsigned i = 0; i < s->role.origins; i++)
		if (memcmp(s->role.origin[i].ip, e->ip, 16) == 0 &&
		    s->role.origin[i].port == htons(e->port))
			return handoff_wrong(&s->error, "origin: %s is given twice",
					     endpoint_text(e, text));
	memcpy(o->ip, e->ip, 16);
	o->port = htons(e->port);
	o->flags = s->flags.guard ? WAY_ORIGIN_GUARD : 0;
	if (host_port) {
		err = host_address(s, e->ip, o->host_ip);
		o->host_port = htons(host_port);
	} else {
		memcpy(o->host_ip, e->ip, 16);
		o->host_port = o->port;
	}
	s->role.origins++;
	return err;
}

/* "[PORT=]ADDR:PORT", the first len bytes. */
static int read_origin(const char *t, size_t len, struct endpoint *ret_e, uint16_t *ret_port)
{
	const char *equal = memchr(t, '=', len);
	uint64_t port = 0;

	if (equal &&
	    (value_number(t, (size_t)(equal - t), &port) != 0 || port == 0 || port > 65535))
		return -EINVAL;
	*ret_port = (uint16_t)port;
	return equal ? endpoint_read(equal + 1, len - (size_t)(equal + 1 - t), ret_e)
		     : endpoint_read(t, len, ret_e);
}

static int read_origins(struct handoff_back *s)
{
	for (uint32_t i = 0; i < s->flags.origins; i++) {
		const char *t = s->flags.origin[i];
		struct endpoint e;
		uint16_t port;
		int err;

		if (read_origin(t, strlen(t), &e, &port) != 0)
			return handoff_wrong(
				&s->error,
				"origin: '%s': expected ADDR:PORT or PORT=ADDR:PORT, as "
				"8514=192.0.2.138:80",
				t);
		err = add_origin(s, &e, port);
		if (err)
			return err;
	}
	return 0;
}

static void next_address(uint8_t ip[16])
{
	for (int i = 15; i >= 0 && ++ip[i] == 0; i--)
		;
}

static int read_base(struct handoff_back *s)
{
	const char *t = s->flags.origin_base, *slash = t ? strrchr(t, '/') : NULL;
	struct endpoint e;
	uint16_t port;
	uint64_t n;
	int err = 0;

	if (!t)
		return 0;
	if (!slash || value_number(slash + 1, strlen(slash + 1), &n) != 0 || n == 0 ||
	    n > WAY_ORIGINS || read_origin(t, (size_t)(slash - t), &e, &port) != 0 || port == 0 ||
	    port + n > 65536)
		return handoff_wrong(
			&s->error,
			"origin-base: '%s': expected PORT=ADDR:PORT/N with N up to %u, as "
			"8500=192.0.2.128:80/16",
			t, WAY_ORIGINS);
	for (uint64_t i = 0; i < n && err == 0; i++) {
		err = add_origin(s, &e, (uint16_t)(port + i));
		next_address(e.ip);
	}
	return err;
}

/* Each has a name, and an address that nobody else is known by. */
static int one_front(struct handoff_back *s, uint32_t i)
{
	const struct channel_peer *peer = s->channel.channel.peer, *p = &peer[i];

	for (uint32_t j = 0; j < i; j++) {
		bool same_port = !p->at.port || !peer[j].at.port || p->at.port == peer[j].at.port;

		if (strcmp(peer[j].name, p->name) == 0)
			return handoff_wrong(&s->error, "front: '%s' is given twice", p->name);
		if (same_port && memcmp(peer[j].at.ip, p->at.ip, 16) == 0)
			return handoff_wrong(
				&s->error,
				"front: %s and %s speak from the same address: two on one "
				"host need ports, as fe1=192.0.2.2:4511",
				peer[j].name, p->name);
	}
	if (ip_is_mapped(p->at.ip) != ip_is_mapped(s->channel.local.ip))
		return handoff_wrong(
			&s->error,
			"front: %s cannot reach '%s' (listen): it is of another address "
			"family",
			p->name, s->flags.listen);
	return 0;
}

static int read_fronts(struct handoff_back *s)
{
	struct channel_config *ch = &s->channel.channel;

	for (uint32_t i = 0; i < s->flags.fronts; i++) {
		const char *t = s->flags.front[i];
		struct channel_peer *p = &ch->peer[i];

		if (handoff_take_name(&t, p->name) != 0 ||
		    (endpoint_read(t, strlen(t), &p->at) != 0 &&
		     endpoint_read_ip(t, strlen(t), p->at.ip) != 0))
			return handoff_wrong(&s->error,
					     "front: '%s': expected NAME=ADDR or NAME=ADDR:PORT, "
					     "as fe1=192.0.2.2",
					     s->flags.front[i]);
		if (one_front(s, i) != 0)
			return -EINVAL;
		ch->peers++;
	}
	return ch->peers ? 0 : handoff_wrong(&s->error, "front NAME=ADDR is missing");
}

static int read_channel(struct handoff_back *s)
{
	const char *t = s->flags.listen;
	int err;

	if (!t)
		return handoff_wrong(&s->error, "listen ADDR:PORT is missing");
	if (endpoint_read(t, strlen(t), &s->channel.local) != 0)
		return handoff_wrong(
			&s->error, "listen: '%s' is no address with a port, as 192.0.2.21:4510", t);
	err = handoff_keys_load(&s->key_flags, true, &s->keys, &s->error);
	if (err)
		return err;
	s->channel.channel.keys = s->keys;
	for (unsigned i = 0; i < CHANNEL_KEYS; i++)
		memcpy(s->role.key[i], s->keys.slot[i].header, 16);
	s->role.keys = s->keys.valid;
	s->role.unsigned_too = s->keys.insecure;
	return read_fronts(s);
}

/* The kernel. */

/* The i-th number of a file of /proc/sys; otherwise as told. */
static uint64_t setting(const char *name, unsigned i, uint64_t otherwise)
{
	unsigned long long v[3] = { 0 };
	char path[120];
	int n = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/sys/net/%s", name);
	f = fopen(path, "re");
	if (f) {
		n = fscanf(f, "%llu %llu %llu", &v[0], &v[1], &v[2]);
		fclose(f);
	}
	return n > (int)i ? v[i] : otherwise;
}

/* The window scale that a listener tells: as Linux has it, from the largest buffer. */
static uint8_t window_scale(void)
{
	uint64_t space = setting("ipv4/tcp_rmem", 2, 6291456),
		 most = setting("core/rmem_max", 0, 0);
	uint8_t scale = 0;

	if (most > space)
		space = most;
	while (space > 65535 && scale < 14) {
		space >>= 1;
		scale++;
	}
	return scale;
}

void handoff_look_host(struct hand_msg *m)
{
	uint64_t window = setting("ipv4/tcp_rmem", 1, 131072) / 2;
	unsigned major = 0, minor = 0;
	struct utsname u;

	if (uname(&u) == 0 && sscanf(u.release, "%u.%u", &major, &minor) == 2)
		m->kernel = major << 16 | minor;
	/* the first window is at most what fits without a scale, in whole segments */
	window = window > 65535 ? 65535 : window;
	m->rcvwnd = (uint32_t)(window - window % 1460);
	m->options = 0;
	if (setting("ipv4/tcp_timestamps", 0, 1))
		m->options |= WAY_OPT_TS;
	if (setting("ipv4/tcp_sack", 0, 1))
		m->options |= WAY_OPT_SACK;
	if (setting("ipv4/tcp_window_scaling", 0, 1))
		m->options |= WAY_OPT_WSCALE;
	m->wscale = window_scale();
}

static bool is_cgroup(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && (unsigned long)fs.f_type == CGROUP2_SUPER_MAGIC;
}

const char *handoff_back_origins(struct handoff_back *s)
{
	int err;

	memset(&s->role, 0, sizeof s->role);
	err = read_origins(s);
	if (err == 0)
		err = read_base(s);
	return err ? s->error.text : NULL;
}

/* Between --if and --host, where this process forwards. */
static uint32_t carries(const struct handoff_back *s)
{
	uint32_t a = handoff_device_mtu(device_of(s->device));
	uint32_t b = handoff_device_mtu(device_of(s->host));

	return b != 0 && (a == 0 || b < a) ? b : a;
}

const char *handoff_back_finish(struct handoff_back *s)
{
	int err;

	memset(&s->role, 0, sizeof s->role);
	memset(&s->channel, 0, sizeof s->channel);
	s->role.max_flows = s->flags.max_flows;
	s->role.linger = s->flags.linger;
	s->role.idle_timeout = s->flags.idle_time;
	s->role.tell_after = SUT_MS(1);
	s->role.host.kind = HAND_HOST;
	handoff_look_host(&s->role.host);
	s->role.host.mtu = carries(s);
	err = read_channel(s);
	if (err == 0)
		err = read_origins(s);
	if (err == 0)
		err = read_base(s);
	if (err == 0 && s->role.origins == 0)
		err = handoff_wrong(&s->error, "origin ADDR:PORT is missing");
	if (err == 0 && back_config_error(&s->role))
		err = handoff_wrong(&s->error, "%s", back_config_error(&s->role));
	if (err == 0 && s->flags.cgroup && !is_cgroup(s->flags.cgroup))
		err = handoff_wrong(
			&s->error,
			"cgroup: '%s' is no control group (version 2), as /sys/fs/cgroup/web",
			s->flags.cgroup);
	return err ? s->error.text : NULL;
}
