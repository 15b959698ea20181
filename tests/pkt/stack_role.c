/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * The stack emits inside of its calls. Each call of the role so begins with an empty arena, into which emit() copies whole
 * frames; the outbox gets pointers to them, valid until the next call, as it wants. A call of the stack that emits more than
 * the outbox holds sees a device that refuses.
 *
 * A packet, or a call of the application, is followed by a flush and by whatever is due at once, so that a burst and the
 * same packets one by one give the same. Batches are wanted for themselves in some scripts: then the flush is put off to the
 * next tick, when every packet of the same time has come in, in whatever bursts.
 */
#include "stack_role.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/be.h"
#include "base/wheel.h"
#include "proto/ip.h"
#include "proto/view.h"

#define ETH_LEN 14u
#define ARENA (8u * 1024 * 1024)

static const struct port_desc ports[] = {
	[STACK_NET] = { "net", PORT_FRAMES, false },
	[STACK_APP] = { "app", PORT_MSGS, false },
	{ NULL, PORT_FRAMES, false },
};

void stack_role_defaults(void *config)
{
	struct stack_role_config *c = config;

	*c = (struct stack_role_config){
		.mtu = 1500,
		.ttl = 64,
		.max_conns = 64,
		.max_half_open = 16,
		.cells = 2048,
		.sndbuf = 262144,
		.rcvbuf = 65535,
		.gso_max = 65160,
		.timestamps = true,
		.sack = true,
		.wscale = true,
		.cc = STACK_NEWRENO,
		.msl = SUT_MS(30000),
		.fin_wait_2 = SUT_MS(60000),
	};
}

void stack_role_flows(void *config, const struct conn *flow, unsigned n)
{
	struct stack_role_config *c = config;

	c->flow = flow;
	c->flows = n;
}

static void stack_config_of(const struct stack_role_config *c, struct stack_config *ret_c)
{
	static const struct stack_net nets[2] = {
		{ { [10] = 0xff, 0xff, 192, 0, 2, 2 }, 120 },
		{ { 0x20, 0x01, 0x0d, 0xb8, [15] = 2 }, 64 },
	};

	stack_config_default(ret_c);
	memcpy(ret_c->net, nets, sizeof nets);
	ret_c->nets = 2;
	ret_c->mtu = c->mtu;
	ret_c->ttl = (uint8_t)c->ttl;
	ret_c->max_conns = c->max_conns;
	ret_c->max_listeners = STACK_ROLE_LISTENERS;
	ret_c->max_half_open = c->max_half_open;
	ret_c->cells = c->cells;
	ret_c->records = c->records;
	ret_c->sndbuf = c->sndbuf;
	ret_c->rcvbuf = c->rcvbuf;
	ret_c->max_ofo = c->max_ofo;
	ret_c->gso_max = c->gso_max;
	ret_c->offload = (uint8_t)((c->csum_offload ? STACK_OFFLOAD_CSUM : 0) |
				   (c->tso ? STACK_OFFLOAD_CSUM | STACK_OFFLOAD_TSO : 0));
	ret_c->no_timestamps = !c->timestamps;
	ret_c->no_sack = !c->sack;
	ret_c->no_wscale = !c->wscale;
	ret_c->ecn = c->ecn;
	ret_c->fastopen = c->fastopen;
	ret_c->cc = c->cc;
	ret_c->msl = c->msl;
	ret_c->linger_fin_wait_2 = c->fin_wait_2;
}

static size_t up64(size_t n)
{
	return (n + 63) & ~(size_t)63;
}

const char *stack_role_error(const void *config)
{
	static char err[96];
	struct stack_config c;

	stack_config_of(config, &c);
	return stack_need(&c, err) ? "nothing" : err;
}

static size_t need(const void *config)
{
	struct stack_config c;
	char err[96];
	size_t n;

	stack_config_of(config, &c);
	n = stack_need(&c, err);
	return n ? up64(sizeof(struct stack_role)) + up64(n) + ARENA : 0;
}

/* --- what goes out */

void stack_role_say(struct stack_role *r, const char *text)
{
	struct packet *p = outbox_make(r->out, STACK_APP, (uint32_t)strlen(text));

	if (p)
		memcpy(p->head, text, strlen(text));
}

static uint32_t gather(uint8_t *at, const struct stack_out *o)
{
	uint32_t n = o->head_len;

	memcpy(at, o->head, n);
	for (uint32_t i = 0; i < o->n; i++) {
		memcpy(at + n, o->slice[i].bytes, o->slice[i].len);
		n += o->slice[i].len;
	}
	return n;
}

/* Room for a frame of n bytes; NULL: the device refuses it. */
static uint8_t *frame_room(struct stack_role *r, uint32_t n)
{
	uint8_t *b = r->arena + r->used + PACKET_HEADROOM;

	if (r->refuse > 0) {
		r->refuse--;
		return NULL;
	}
	if (r->npkts == OUTBOX_PKTS || outbox_room(r->out) <= 64 ||
	    r->used + PACKET_HEADROOM + n > ARENA)
		return NULL;
	r->used += (uint32_t)up64(PACKET_HEADROOM + n);
	return b;
}

static int emit(void *ctx, const struct stack_out *o)
{
	struct stack_role *r = ctx;
	uint8_t *b = frame_room(r, ETH_LEN + o->head_len + o->payload_len);
	static const uint8_t macs[12] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2 };
	struct packet *p;

	if (!b)
		return -ENOBUFS;
	memcpy(b, macs, sizeof macs);
	store_be16(b + 12, o->head[0] >> 4 == 6 ? ETH_IP6 : ETH_IP4);
	p = &r->pkt[r->npkts++];
	*p = (struct packet){ .head = b, .head_len = ETH_LEN + gather(b + ETH_LEN, o) };
	p->off = o->off;
	if (p->off.csum == CSUM_PARTIAL)
		p->off.csum_start = (uint16_t)(p->off.csum_start + ETH_LEN);
	if (p->off.hdr_len != 0)
		p->off.hdr_len = (uint16_t)(p->off.hdr_len + ETH_LEN);
	outbox_put(r->out, STACK_NET, p);
	return 0;
}

static uint64_t next_random(void *ctx)
{
	struct stack_role *r = ctx;

	if (r->cfg.seed)
		return rng_next(&r->dice);
	return r->env->random(r->env->random_ctx);
}

static void trace(void *ctx, sut_time now, conn_id id, const char *from, const char *to,
		  const char *why)
{
	const struct stack_role *r = ctx;
	struct trace_event ev = { .now = now, .from = from, .to = to, .why = why };

	(void)id;
	if (r->env->trace)
		r->env->trace(r->env->trace_ctx, &ev);
}

static void *init(void *block, const void *config, const struct role_env *env)
{
	struct stack_role *r = block;
	uint8_t *at = (uint8_t *)block + up64(sizeof *r);
	struct stack_config c;
	char err[96];

	memcpy(&r->cfg, config, sizeof r->cfg);
	r->env = env;
	stack_config_of(&r->cfg, &c);
	memcpy(r->senv.secret, env->secret, sizeof r->senv.secret);
	r->dice.s = r->cfg.seed;
	for (unsigned i = 0; r->cfg.seed && i < sizeof r->senv.secret; i++)
		r->senv.secret[i] = (uint8_t)rng_next(&r->dice);
	r->senv.random = next_random;
	r->senv.emit = emit;
	r->senv.trace = trace;
	r->senv.ctx = r;
	r->flush_at = SUT_NEVER;
	r->arena = at + up64(stack_need(&c, err));
	r->s = stack_init(at, &c, &r->senv, r->cfg.start);
	return r;
}

/* --- what comes in */

/* The script's clock begins at 0, the stack's where `set start` says. */
static sut_time stack_now(const struct stack_role *r, sut_time now)
{
	return now + r->cfg.start;
}

static void begin(struct stack_role *r, struct outbox *out)
{
	r->out = out;
	r->npkts = 0;
	r->used = 0;
}

/* What follows each packet and each call. */
static void finish(struct stack_role *r, sut_time now)
{
	const char *broken;
	unsigned rounds = 0;

	if (r->cfg.batch) {
		if (r->flush_at == SUT_NEVER)
			r->flush_at = now + WHEEL_TICK;
	} else if (!r->cfg.flush_calls) {
		stack_flush(r->s, stack_now(r, now));
		while (stack_deadline(r->s) <= stack_now(r, now) && rounds++ < 100)
			stack_expire(r->s, stack_now(r, now));
	}
	stack_app_events(r);
	broken = stack_check(r->s, stack_now(r, now));
	if (broken)
		stack_role_say(r, broken);
}

static void frame(struct stack_role *r, const struct packet *p, sut_time now)
{
	struct packet from_wire = *p;
	struct view v;
	enum reason why = view_parse(&from_wire, &v);

	if (from_wire.off.csum == CSUM_COMPLETE) /* nobody vouches for it */
		from_wire.off.csum = CSUM_UNKNOWN;
	if (why == R_NONE)
		why = stack_input(r->s, &from_wire, &v, stack_now(r, now));
	if (why != R_NONE)
		count_drop(r->env, why);
}

static void input(void *role, const struct burst *in, struct outbox *out)
{
	struct stack_role *r = role;

	begin(r, out);
	for (unsigned i = 0; i < in->n; i++) {
		char text[1024];

		r->owed = r->cfg.flush_calls;
		if (in->port == STACK_NET) {
			frame(r, in->pkts[i], in->now);
		} else {
			snprintf(text, sizeof text, "%.*s", (int)in->pkts[i]->head_len,
				 (const char *)in->pkts[i]->head);
			stack_app_call(r, text, stack_now(r, in->now));
		}
		finish(r, in->now);
	}
}

static void expire(void *role, sut_time now, struct outbox *out)
{
	struct stack_role *r = role;
	const char *broken;

	begin(r, out);
	if (r->flush_at <= now) {
		r->flush_at = SUT_NEVER;
		stack_flush(r->s, stack_now(r, now));
	}
	stack_expire(r->s, stack_now(r, now));
	stack_app_events(r);
	broken = stack_check(r->s, stack_now(r, now));
	if (broken)
		stack_role_say(r, broken);
}

static sut_time deadline(const void *role)
{
	const struct stack_role *r = role;
	sut_time at = stack_deadline(r->s);

	if (r->owed) /* timers are looked at between two flushes, never before one */
		return SUT_NEVER;
	if (r->flush_at != SUT_NEVER)
		return r->flush_at;
	if (at != SUT_NEVER)
		at = at > r->cfg.start ? at - r->cfg.start : 0;
	return at;
}

/* A stack is not saved: its connections end with the process. */
static size_t save(const void *role, uint32_t *cursor, sut_time now, struct record *ret_record)
{
	(void)role, (void)cursor, (void)now, (void)ret_record;
	return 0;
}

static int restore(void *role, const struct record *record, sut_time now)
{
	(void)role, (void)record, (void)now;
	return -EINVAL;
}

const struct role_ops stack_role_ops = {
	.name = "stack",
	.ports = ports,
	.need = need,
	.init = init,
	.input = input,
	.expire = expire,
	.deadline = deadline,
	.save = save,
	.restore = restore,
};

static void describe(const struct conn_info *i, char *s, size_t size)
{
	snprintf(s, size,
		 "%s una %u nxt %u rcv %u cwnd %u ssthresh %u snd_wnd %u rcv_wnd %u mss %u "
		 "recovery %s flight %u unsent %u unread %u ofo %u srtt %u rttvar %u rto %u "
		 "ts %d sack %d wscale %u %u ecn %d tfo %d",
		 conn_state_name(i->state), i->snd_una - i->iss, i->snd_nxt - i->iss,
		 i->rcv_nxt - i->irs, i->cwnd, i->ssthresh, i->snd_wnd, i->rcv_wnd, i->mss,
		 i->recovery, i->in_flight, i->unsent, i->unread, i->ofo, i->srtt_us, i->rttvar_us,
		 i->rto_us, i->timestamps, i->sack, i->snd_wscale, i->rcv_wscale, i->ecn,
		 i->fastopen);
}

bool stack_role_describe(const void *role, const struct flow_key *near_key, char *ret_s,
			 size_t size)
{
	const struct stack_role *r = role;
	struct conn_info i;
	uint32_t cursor = 0;
	bool closed = false;

	while (stack_list(r->s, &cursor, 0, &i))
		if (i.state != ST_LISTEN && memcmp(i.remote.ip, near_key->src, 16) == 0 &&
		    memcmp(i.local.ip, near_key->dst, 16) == 0 &&
		    i.remote.port == be16_get(near_key->sport) &&
		    i.local.port == be16_get(near_key->dport)) {
			if (i.state != ST_CLOSED || !closed)
				describe(&i, ret_s, size);
			if (i.state != ST_CLOSED)
				return true;
			closed = true; /* its ends may have met again since */
		}
	return closed;
}
