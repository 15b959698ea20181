/* SPDX-License-Identifier: MIT */
#include "pass.h"

#include <stdio.h>
#include <string.h>

#include "base/packet.h"
#include "core/env.h"
#include "core/outbox.h"
#include "core/record.h"

#define KEEP_MAX 32
#define KEEP_BYTES 1600

struct kept {
	sut_time at;
	uint16_t port, len;
	struct offload off;
	uint8_t b[KEEP_BYTES];
};

struct pass {
	struct pass_config cfg;
	const struct role_env *env;
	uint32_t count;
	unsigned first, n; /* ring of kept packets; times never decrease */
	struct kept kept[KEEP_MAX];
};

enum { PORT_A, PORT_B, PORT_C, PORT_NOTIFY, PORT_CONTROL };

static const struct port_desc ports[] = {
	[PORT_A] = { "a", PORT_FRAMES, false },
	[PORT_B] = { "b", PORT_FRAMES, false },
	[PORT_C] = { "c", PORT_FRAMES, true },
	[PORT_NOTIFY] = { "notify", PORT_MSGS, true },
	[PORT_CONTROL] = { "control", PORT_MSGS, true },
	{ NULL, PORT_FRAMES, false },
};

static size_t need(const void *config)
{
	(void)config;
	return sizeof(struct pass);
}

static void *init(void *block, const void *config, const struct role_env *env)
{
	struct pass *r = block;

	memcpy(&r->cfg, config, sizeof r->cfg);
	r->env = env;
	return r;
}

static void spoil(const struct pass *r, struct packet *p)
{
	if (r->cfg.spoil == SPOIL_SEQ && p->head_len > 41)
		p->head[41]++;
	if (r->cfg.spoil == SPOIL_PAYLOAD && p->head_len > 60) {
		p->head[p->head_len - 1]++;
		p->head[p->head_len - 3]--;
	}
}

static void keep(struct pass *r, const struct packet *p, unsigned port, sut_time now)
{
	struct kept *k = &r->kept[(r->first + r->n) % KEEP_MAX];

	if (r->n == KEEP_MAX || p->head_len > KEEP_BYTES) {
		count_drop(r->env, R_STORE_FULL);
		return;
	}
	r->n++;
	k->at = now + r->cfg.delay + (r->cfg.spoil == SPOIL_LATE ? SUT_MS(1) : 0);
	k->port = (uint16_t)port;
	k->len = (uint16_t)p->head_len;
	k->off = p->off;
	memcpy(k->b, p->head, p->head_len);
}

static bool is_joined(const struct pass *r, unsigned port)
{
	return r->env->ports >> port & 1;
}

static void say(struct outbox *out, unsigned port, const char *text)
{
	struct packet *p = outbox_make(out, port, (uint32_t)strlen(text));

	memcpy(p->head, text, strlen(text));
}

/* "count", "notify TEXT", or an error. */
static void command(struct pass *r, const struct packet *p, struct outbox *out)
{
	char text[128], answer[160];

	snprintf(text, sizeof text, "%.*s", (int)p->head_len, (const char *)p->head);
	snprintf(answer, sizeof answer, "error unknown command '%s'", text);
	if (strcmp(text, "count") == 0)
		snprintf(answer, sizeof answer, "ok\npackets %u", r->count);
	if (strncmp(text, "notify ", 7) == 0) {
		say(out, PORT_NOTIFY, text + 7);
		snprintf(answer, sizeof answer, "ok");
	}
	say(out, PORT_CONTROL, answer);
}

static void message(struct pass *r, const struct burst *in, struct outbox *out)
{
	for (unsigned i = 0; i < in->n; i++)
		if (in->port == PORT_CONTROL)
			command(r, in->pkts[i], out);
		else
			outbox_put(out, PORT_NOTIFY, in->pkts[i]);
}

static void input(void *role, const struct burst *in, struct outbox *out)
{
	struct pass *r = role;

	if (ports[in->port].kind == PORT_MSGS) {
		message(r, in, out);
		return;
	}

	for (unsigned i = 0; i < in->n; i++) {
		r->count++;
		if (r->cfg.spoil == SPOIL_DROP || (r->cfg.spoil == SPOIL_BURST && i > 0)) {
			count_drop(r->env, R_WIRE_LOSS);
			continue;
		}
		spoil(r, in->pkts[i]);
		if (r->cfg.delay != 0) {
			keep(r, in->pkts[i], !in->port, in->now);
			continue;
		}
		outbox_put(out, !in->port, in->pkts[i]);
		if ((in->port == PORT_A && is_joined(r, PORT_C)) || r->cfg.spoil == SPOIL_UNJOINED)
			outbox_put(out, PORT_C, in->pkts[i]);
		if (r->cfg.spoil == SPOIL_TWICE)
			outbox_put(out, !in->port, in->pkts[i]);
	}
}

static void expire(void *role, sut_time now, struct outbox *out)
{
	struct pass *r = role;

	while (r->n > 0 && r->kept[r->first].at <= now) {
		const struct kept *k = &r->kept[r->first];
		struct packet *p = outbox_make(out, k->port, k->len);

		if (!p)
			return;
		memcpy(p->head, k->b, k->len);
		p->off = k->off;
		r->first = (r->first + 1) % KEEP_MAX;
		r->n--;
	}
}

static sut_time deadline(const void *role)
{
	const struct pass *r = role;

	if (r->cfg.spoil == SPOIL_SPIN)
		return 0;
	return r->n > 0 ? r->kept[r->first].at : SUT_NEVER;
}

static size_t save(const void *role, uint32_t *cursor, sut_time now, struct record *ret_record)
{
	const struct pass *r = role;

	(void)now;
	if ((*cursor)++ > 0)
		return 0;
	memcpy(ret_record->bytes, &r->count, sizeof r->count);
	return ret_record->len = sizeof r->count;
}

static int restore(void *role, const struct record *record, sut_time now)
{
	struct pass *r = role;

	(void)now;
	memcpy(&r->count, record->bytes, sizeof r->count);
	return 0;
}

const struct role_ops pass_ops = {
	.name = "pass",
	.ports = ports,
	.need = need,
	.init = init,
	.input = input,
	.expire = expire,
	.deadline = deadline,
	.save = save,
	.restore = restore,
};

bool pass_describe(const void *role, const struct flow_key *near_key, char *ret_s, size_t size)
{
	const struct pass *r = role;

	(void)near_key;
	snprintf(ret_s, size, "PASS count %u", r->count);
	return r->count > 0;
}
