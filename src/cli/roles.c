/* SPDX-License-Identifier: MIT */
#include "cli/roles.h"

#include <stdio.h>
#include <string.h>

#include "base/compiler.h"

/* clang-format off */
#ifdef HAVE_ACCEL_NEAR
#include "role/accel/near.h"

#define ACCEL(f) OPTION_FIELD(struct accel_near_config, f)
#define ACCEL_COUNT(f) OPTION_COUNT(struct accel_near_config, f)

static const char *const accel_modes[] = {
#define X(id, name, text) name,
	ACCEL_MODES(X)
#undef X
	NULL
};

static const char *const first_contacts[] = { "verify", "promise", NULL };

static const char *const cookie_ways[] = { "none", "ask", NULL };

static const struct option_desc accel_options[] = {
	{ .name = "mode", .kind = OPTION_ENUM, ACCEL(mode), .arg = "MODE", .def = "auto", .names = accel_modes,
	  .help = "what to do with connections to promised ports" },
	{ .name = "ports", .kind = OPTION_PORTS, ACCEL(ports), ACCEL_COUNT(port_count), .arg = "PORTS",
	  .def = "80,443,8080,8443", .help = "promised ports: 80,443,8000-8999, all, none" },
	{ .name = "idempotent", .kind = OPTION_PORTS, ACCEL(idempotent), ACCEL_COUNT(idempotent_count),
	  .arg = "PORTS", .def = "443,8443",
	  .help = "ports where a replayed request does no harm: auto may merge there" },
	{ .name = "first-contact", .kind = OPTION_ENUM, ACCEL(first_contact_promise), .arg = "HOW",
	  .def = "verify", .names = first_contacts,
	  .help = "servers not learnt yet: learn first, or promise conservative options" },
	{ .name = "max-flows", .kind = OPTION_SIZE, ACCEL(max_flows), .arg = "N", .def = "262144", .min = 1,
	  .help = "connections kept" },
	{ .name = "max-servers", .kind = OPTION_SIZE, ACCEL(max_servers), .arg = "N", .def = "16384", .min = 1,
	  .help = "servers whose options are kept" },
	{ .name = "early-bytes", .kind = OPTION_SIZE, ACCEL(early_bytes), .arg = "BYTES", .def = "29200",
	  .min = 1, .max = 65535, .help = "early data of one connection, and the promised window" },
	{ .name = "hold-cells", .kind = OPTION_SIZE, ACCEL(hold_cells), .arg = "N", .def = "16384", .min = 1,
	  .help = "2 KB cells for early data in all" },
	{ .name = "max-cookies", .kind = OPTION_SIZE, ACCEL(max_cookies), .arg = "N", .def = "16384", .min = 1,
	  .help = "TCP Fast Open cookies that are kept" },
	{ .name = "fastopen-cookies", .kind = OPTION_ENUM, ACCEL(fastopen_cookies), .arg = "HOW", .def = "ask",
	  .names = cookie_ways, .help = "ask servers for cookies in the clients' names, where SYNs may carry data" },
	{ .name = "max-pending", .kind = OPTION_SIZE, ACCEL(max_pending), .arg = "N", .def = "65536", .min = 1,
	  .help = "connections kept whose clients have not shown themselves" },
	{ .name = "max-pending-source", .kind = OPTION_SIZE, ACCEL(max_pending_source), .arg = "N", .def = "1024",
	  .min = 1, .help = "... of one source (an IPv4 address, an IPv6 /64)" },
	{ .name = "merge-hold", .kind = OPTION_TIME, ACCEL(merge_hold), .arg = "TIME", .def = "5ms",
	  .help = "longest wait for the client's first data" },
	{ .name = "syn-timeout", .kind = OPTION_TIME, ACCEL(syn_timeout), .arg = "TIME", .def = "60s",
	  .help = "a server that does not answer is given up" },
	{ .name = "negative-time", .kind = OPTION_TIME, ACCEL(negative_time), .arg = "TIME", .def = "60s",
	  .help = "nothing is promised for a server that failed lately" },
	{ .name = "learn-time", .kind = OPTION_TIME, ACCEL(learn_time), .arg = "TIME", .def = "10min",
	  .help = "learnt options are good for" },
	{ .name = "idle-time", .kind = OPTION_TIME, ACCEL(idle_time), .arg = "TIME", .def = "125min",
	  .help = "a connection without a packet is reset after" },
	{ .name = "debug-isn-near-wrap", .kind = OPTION_FLAG, ACCEL(isn_near_wrap), .fixed = 1,
	  .help = "testing aid: promised ISNs lie just before 2^32" },
	{ .name = NULL },
};

static void accel_defaults(void *ret_config)
{
	accel_near_defaults(ret_config);
}

static const char *accel_error(const void *config)
{
	return accel_near_config_error(config);
}
#endif

#ifdef HAVE_REPLICA_REWRITE
#include "role/replica/compare_role.h"
#include "role/replica/mirror_role.h"
#include "role/replica/rewrite_role.h"

#define REPLICA(f) OPTION_FIELD(struct replica_rewrite_config, f)

static const struct option_desc replica_options[] = {
	{ .name = "max-flows", .kind = OPTION_SIZE, REPLICA(max_flows), .arg = "N", .def = "65536", .min = 1,
	  .help = "connections kept" },
	{ .name = "hold-cells", .kind = OPTION_SIZE, REPLICA(hold_cells), .arg = "N", .def = "4096", .min = 1,
	  .help = "2 KB cells for segments held until a shift is known" },
	{ .name = "time-wait", .kind = OPTION_TIME, REPLICA(time_wait), .arg = "TIME", .def = "60s",
	  .help = "a closed connection is forgotten after" },
	{ .name = "half-open-time", .kind = OPTION_TIME, REPLICA(half_open_time), .arg = "TIME", .def = "60s",
	  .help = "one without a finished handshake is forgotten after" },
	{ .name = "idle-time", .kind = OPTION_TIME, REPLICA(idle_time), .arg = "TIME", .def = "2h",
	  .help = "a connection without a packet is forgotten after" },
	{ .name = NULL },
};

static void replica_defaults(void *ret_config)
{
	replica_rewrite_defaults(ret_config);
}

static const char *replica_error(const void *config)
{
	return replica_rewrite_config_error(config);
}

#define COMPARE(f) OPTION_FIELD(struct replica_compare_config, f)

static const struct option_desc compare_options[] = {
	{ .name = "compare-timeout", .kind = OPTION_MS, COMPARE(compare_timeout), .arg = "MS", .def = "3000",
	  .help = "a frame that waits for longer asks for a checkpoint" },
	{ .name = "expired-scan-cycle", .kind = OPTION_MS, COMPARE(expired_scan_cycle), .arg = "MS", .def = "1000",
	  .help = "how often such frames are looked for" },
	{ .name = "max-queue-size", .kind = OPTION_SIZE, COMPARE(max_queue_size), .arg = "N", .def = "1024", .min = 1,
	  .help = "frames of one flow and side that wait" },
	{ .name = "max-flows", .kind = OPTION_SIZE, COMPARE(max_flows), .arg = "N", .def = "16384", .min = 1,
	  .help = "flows kept" },
	{ .name = "hold-cells", .kind = OPTION_SIZE, COMPARE(hold_cells), .arg = "N", .def = "65536", .min = 1,
	  .help = "2 KB cells for waiting frames of all flows" },
	{ .name = "idle-time", .kind = OPTION_TIME, COMPARE(idle_time), .arg = "TIME", .def = "2h",
	  .help = "a flow without a packet and with nothing waiting is forgotten after" },
	{ .name = NULL },
};

static void compare_defaults(void *ret_config)
{
	replica_compare_defaults(ret_config);
}

static const char *compare_error(const void *config)
{
	return replica_compare_config_error(config);
}

#define MIRROR(f) OPTION_FIELD(struct replica_mirror_config, f)

static const char *const mirror_queues[] = { "tx", "rx", "all", NULL };

static const struct option_desc mirror_options[] = {
	{ .name = "queue", .kind = OPTION_ENUM, MIRROR(queue), .arg = "WAY", .def = "tx", .names = mirror_queues,
	  .help = "what is copied: towards the primary, from it, or both" },
	{ .name = NULL },
};

static void mirror_defaults(void *ret_config)
{
	replica_mirror_defaults(ret_config);
}

static const char *mirror_error(const void *config)
{
	return replica_mirror_config_error(config);
}
#endif

static const struct role_entry roles[] = {
#ifdef HAVE_ACCEL_NEAR
	{ &accel_near_ops, accel_options, sizeof(struct accel_near_config), accel_defaults, accel_error },
#endif
#ifdef HAVE_REPLICA_REWRITE
	{ &replica_compare_ops, compare_options, sizeof(struct replica_compare_config), compare_defaults,
	  compare_error },
	{ &replica_mirror_ops, mirror_options, sizeof(struct replica_mirror_config), mirror_defaults,
	  mirror_error },
	{ &replica_rewrite_ops, replica_options, sizeof(struct replica_rewrite_config), replica_defaults,
	  replica_error },
#endif
	{ NULL, NULL, 0, NULL, NULL },
};
/* clang-format on */

const struct role_entry *role_find(const char *name)
{
	for (const struct role_entry *r = roles; r->ops; r++)
		if (strcmp(r->ops->name, name) == 0)
			return r;
	return NULL;
}

void role_names(char *ret_s, size_t size)
{
	size_t n = 0;

	*ret_s = 0;
	for (const struct role_entry *r = roles; r->ops && n < size; r++)
		n += (size_t)snprintf(ret_s + n, size - n, "%s%s", n ? ", " : "", r->ops->name);
}
