/* SPDX-License-Identifier: MIT */
#include "roles.h"

#include <string.h>

#include "lex.h"
#include "pass.h"
#ifdef HAVE_ACCEL_NEAR
#include "role/accel/near.h"
#endif
#ifdef HAVE_REPLICA_REWRITE
#include "role/replica/rewrite_role.h"
#endif
#ifdef HAVE_REPLICA_MIRROR
#include "role/replica/mirror_role.h"
#endif
#ifdef HAVE_REPLICA_COMPARE
#include "role/replica/compare_role.h"
#endif
#ifdef HAVE_HANDOFF_FRONT
#include "front_setup.h"
#endif
#ifdef HAVE_HANDOFF_BACK
#include "back_setup.h"
#endif
#ifdef HAVE_STACK
#include "stack_role.h"
#endif

static void pass_defaults(void *c)
{
	*(struct pass_config *)c = (struct pass_config){ 0 };
}

static const struct setting pass_settings[] = {
	{ "delay", SET_TIME, offsetof(struct pass_config, delay), 0, NULL },
	{ "spoil", SET_U32, offsetof(struct pass_config, spoil), 0, NULL },
	{ NULL, SET_U32, 0, 0, NULL },
};

#ifdef HAVE_ACCEL_NEAR
static void accel_defaults(void *c)
{
	accel_near_defaults(c);
}

static const char *accel_error(const void *c)
{
	return accel_near_config_error(c);
}

#define AT(member) offsetof(struct accel_near_config, member)
static const struct setting accel_settings[] = {
	{ "mode", SET_MODE, AT(mode), 0, NULL },
	{ "ports", SET_PORTS, AT(ports), AT(port_count), NULL },
	{ "idempotent", SET_PORTS, AT(idempotent), AT(idempotent_count), NULL },
	{ "first-contact-promise", SET_BOOL, AT(first_contact_promise), 0, NULL },
	{ "isn-near-wrap", SET_BOOL, AT(isn_near_wrap), 0, NULL },
	{ "max-flows", SET_U32, AT(max_flows), 0, NULL },
	{ "max-servers", SET_U32, AT(max_servers), 0, NULL },
	{ "hold-cells", SET_U32, AT(hold_cells), 0, NULL },
	{ "fastopen-cookies", SET_BOOL, AT(fastopen_cookies), 0, NULL },
	{ "max-cookies", SET_U32, AT(max_cookies), 0, NULL },
	{ "max-pending", SET_U32, AT(max_pending), 0, NULL },
	{ "max-pending-source", SET_U32, AT(max_pending_source), 0, NULL },
	{ "early-bytes", SET_U32, AT(early_bytes), 0, NULL },
	{ "merge-hold", SET_TIME, AT(merge_hold), 0, NULL },
	{ "syn-timeout", SET_TIME, AT(syn_timeout), 0, NULL },
	{ "negative-time", SET_TIME, AT(negative_time), 0, NULL },
	{ "learn-time", SET_TIME, AT(learn_time), 0, NULL },
	{ "idle-time", SET_TIME, AT(idle_time), 0, NULL },
	{ NULL, SET_U32, 0, 0, NULL },
};
#undef AT
#endif

#ifdef HAVE_REPLICA_REWRITE
static void replica_defaults(void *c)
{
	replica_rewrite_defaults(c);
}

static const char *replica_error(const void *c)
{
	return replica_rewrite_config_error(c);
}

#define AT(member) offsetof(struct replica_rewrite_config, member)
static const struct setting replica_settings[] = {
	{ "max-flows", SET_U32, AT(max_flows), 0, NULL },
	{ "hold-cells", SET_U32, AT(hold_cells), 0, NULL },
	{ "time-wait", SET_TIME, AT(time_wait), 0, NULL },
	{ "half-open-time", SET_TIME, AT(half_open_time), 0, NULL },
	{ "idle-time", SET_TIME, AT(idle_time), 0, NULL },
	{ NULL, SET_U32, 0, 0, NULL },
};
#undef AT

static const char *const rewrite_ways[] = {
	[REPLICA_PRIMARY] = "sd",     [REPLICA_SECONDARY] = "ds", [REPLICA_SECONDARY_OUT] = "dd",
	[REPLICA_PRIMARY_OUT] = "ds", [REPLICA_COMPARE] = "sd",	  [REPLICA_NETWORK] = "sd",
	[REPLICA_CONTROL] = "sd",
};
#endif

#ifdef HAVE_REPLICA_MIRROR
static void mirror_defaults(void *c)
{
	replica_mirror_defaults(c);
}

static const char *mirror_error(const void *c)
{
	return replica_mirror_config_error(c);
}

static const char *const mirror_queues[] = { "tx", "rx", "all", NULL };

static const struct setting mirror_settings[] = {
	{ "queue", SET_NAME, offsetof(struct replica_mirror_config, queue), 0, mirror_queues },
	{ NULL, SET_U32, 0, 0, NULL },
};

static const char *const mirror_ways[] = { "sd", "ds", "ds" };
#endif

#ifdef HAVE_REPLICA_COMPARE
static void compare_defaults(void *c)
{
	replica_compare_defaults(c);
}

static const char *compare_error(const void *c)
{
	return replica_compare_config_error(c);
}

#define AT(member) offsetof(struct replica_compare_config, member)
static const struct setting compare_settings[] = {
	{ "compare-timeout", SET_TIME, AT(compare_timeout), 0, NULL },
	{ "expired-scan-cycle", SET_TIME, AT(expired_scan_cycle), 0, NULL },
	{ "max-queue-size", SET_U32, AT(max_queue_size), 0, NULL },
	{ "max-flows", SET_U32, AT(max_flows), 0, NULL },
	{ "hold-cells", SET_U32, AT(hold_cells), 0, NULL },
	{ "idle-time", SET_TIME, AT(idle_time), 0, NULL },
	{ NULL, SET_U32, 0, 0, NULL },
};
#undef AT

static const char *const compare_ways[] = { "ds", "ds", "sd", "sd", "sd" };
#endif

#ifdef HAVE_STACK
static const char *const stack_ccs[] = { "cubic", "newreno", NULL };
static const char *const stack_event_sets[] = { "ends", "all", "none", NULL };

#define AT(member) offsetof(struct stack_role_config, member)
static const struct setting stack_settings[] = {
	{ "mtu", SET_U32, AT(mtu), 0, NULL },
	{ "ttl", SET_U32, AT(ttl), 0, NULL },
	{ "max-conns", SET_U32, AT(max_conns), 0, NULL },
	{ "max-half-open", SET_U32, AT(max_half_open), 0, NULL },
	{ "cells", SET_U32, AT(cells), 0, NULL },
	{ "records", SET_U32, AT(records), 0, NULL },
	{ "sndbuf", SET_U32, AT(sndbuf), 0, NULL },
	{ "rcvbuf", SET_U32, AT(rcvbuf), 0, NULL },
	{ "max-ofo", SET_U32, AT(max_ofo), 0, NULL },
	{ "gso-max", SET_U32, AT(gso_max), 0, NULL },
	{ "csum-offload", SET_BOOL, AT(csum_offload), 0, NULL },
	{ "tso", SET_BOOL, AT(tso), 0, NULL },
	{ "timestamps", SET_BOOL, AT(timestamps), 0, NULL },
	{ "sack", SET_BOOL, AT(sack), 0, NULL },
	{ "wscale", SET_BOOL, AT(wscale), 0, NULL },
	{ "ecn", SET_BOOL, AT(ecn), 0, NULL },
	{ "fastopen", SET_BOOL, AT(fastopen), 0, NULL },
	{ "batch", SET_BOOL, AT(batch), 0, NULL },
	{ "flush-calls", SET_BOOL, AT(flush_calls), 0, NULL },
	{ "seed", SET_U32, AT(seed), 0, NULL },
	{ "cc", SET_NAME, AT(cc), 0, stack_ccs },
	{ "events", SET_NAME, AT(events), 0, stack_event_sets },
	{ "msl", SET_TIME, AT(msl), 0, NULL },
	{ "fin-wait-2", SET_TIME, AT(fin_wait_2), 0, NULL },
	{ "start", SET_TIME, AT(start), 0, NULL },
	{ NULL, SET_U32, 0, 0, NULL },
};
#undef AT
#endif

static const struct role_kind kinds[] = {
	{ "pass", &pass_ops, sizeof(struct pass_config), pass_settings, pass_defaults, NULL,
	  pass_describe, NULL, NULL, NULL, NULL },
#ifdef HAVE_ACCEL_NEAR
	{ "accel-near", &accel_near_ops, sizeof(struct accel_near_config), accel_settings,
	  accel_defaults, accel_error, accel_near_describe, NULL, NULL, NULL, NULL },
#endif
#ifdef HAVE_REPLICA_REWRITE
	{ "replica-rewrite", &replica_rewrite_ops, sizeof(struct replica_rewrite_config),
	  replica_settings, replica_defaults, replica_error, replica_rewrite_describe, rewrite_ways,
	  NULL, NULL, NULL },
#endif
#ifdef HAVE_REPLICA_MIRROR
	{ "replica-mirror", &replica_mirror_ops, sizeof(struct replica_mirror_config),
	  mirror_settings, mirror_defaults, mirror_error, NULL, mirror_ways, NULL, NULL, NULL },
#endif
#ifdef HAVE_REPLICA_COMPARE
	{ "replica-compare", &replica_compare_ops, sizeof(struct replica_compare_config),
	  compare_settings, compare_defaults, compare_error, replica_compare_describe, compare_ways,
	  NULL, NULL, NULL },
#endif
#ifdef HAVE_HANDOFF_BACK
	{ "handoff-back", &back_role, sizeof(struct back_config), back_settings,
	  back_setup_defaults, back_setup_error, back_setup_describe, back_ways, NULL, NULL, NULL },
#endif
#ifdef HAVE_HANDOFF_FRONT
	{ "handoff-front", &front_role, sizeof(struct front_setup), front_settings,
	  front_setup_defaults, front_setup_error, front_describe, front_ways, front_setup_flows,
	  front_setup_line, front_setup_anew },
#endif
#ifdef HAVE_STACK
	{ "stack", &stack_role_ops, sizeof(struct stack_role_config), stack_settings,
	  stack_role_defaults, stack_role_error, stack_role_describe, NULL, stack_role_flows, NULL,
	  NULL },
#endif
};

const struct role_kind *role_find(const char *name)
{
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	return NULL;
}

static bool set_bool(struct lex *l, bool *ret_b)
{
	bool yes = lex_word(l, "yes");

	*ret_b = yes;
	return yes || lex_word(l, "no");
}

#ifdef HAVE_ACCEL_NEAR
static bool set_mode(struct lex *l, void *ret_mode)
{
	static const char *const names[] = {
#define X(id, name, text) name,
		ACCEL_MODES(X)
#undef X
	};

	for (unsigned i = 0; i < ACCEL_MODE_COUNT; i++)
		if (lex_word(l, names[i])) {
			*(enum accel_mode *)ret_mode = (enum accel_mode)i;
			return true;
		}
	return false;
}

/* "80,443,8000-8080" or "none" */
static bool set_ports(struct lex *l, struct port_range *ret_r, uint32_t *ret_n)
{
	uint64_t a, b;
	uint32_t n = 0;

	*ret_n = 0;
	if (lex_word(l, "none"))
		return true;
	do {
		if (n == ACCEL_PORTS_MAX || !lex_num_max(l, 65535, &a))
			return false;
		b = a;
		if (lex_sym(l, "-") && (!lex_num_max(l, 65535, &b) || b < a))
			return false;
		ret_r[n++] = (struct port_range){ (uint16_t)a, (uint16_t)b };
	} while (lex_sym(l, ","));
	*ret_n = n;
	return true;
}
#else
static bool set_mode(struct lex *l, void *ret_mode)
{
	(void)l, (void)ret_mode;
	return false;
}

static bool set_ports(struct lex *l, void *ret_r, uint32_t *ret_n)
{
	(void)l, (void)ret_r, (void)ret_n;
	return false;
}
#endif

/* One of a list of words: its index. */
static bool set_name(struct lex *l, const char *const *names, uint8_t *ret_i)
{
	for (uint8_t i = 0; names[i]; i++)
		if (lex_word(l, names[i])) {
			*ret_i = i;
			return true;
		}
	return false;
}

static bool set_one(const struct setting *s, char *config, struct lex *l)
{
	uint64_t n;
	bool ok = false;

	switch (s->kind) {
	case SET_U32:
		ok = lex_num_max(l, UINT32_MAX, &n);
		if (ok)
			*(uint32_t *)(void *)(config + s->off) = (uint32_t)n;
		break;
	case SET_TIME:
		ok = lex_time(l, (sut_time *)(void *)(config + s->off));
		break;
	case SET_BOOL:
		ok = set_bool(l, (bool *)(config + s->off));
		break;
	case SET_PORTS:
		ok = set_ports(l, (void *)(config + s->off),
			       (uint32_t *)(void *)(config + s->count_off));
		break;
	case SET_MODE:
		ok = set_mode(l, config + s->off);
		break;
	case SET_NAME:
		ok = set_name(l, s->names, (uint8_t *)config + s->off);
		break;
	}
	return ok && lex_end(l);
}

bool role_set(const struct role_kind *r, void *config, const char *key, const char *text,
	      struct fault *f)
{
	struct lex l = { text };
	const struct setting *s = r->settings;

	while (s->key && strcmp(s->key, key) != 0)
		s++;
	if (!s->key && r->line && r->line(config, key, text))
		return true;
	if (!s->key)
		return fault_say(f, "role %s has no setting \"%s\"", r->name, key);
	return set_one(s, config, &l) || fault_say(f, "bad value \"%s\" for %s", text, key);
}
