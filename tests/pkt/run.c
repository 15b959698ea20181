/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * Lines are taken in order. A packet that comes in moves time to its own, firing every timer
 * on the way at the timer's time; then it is given to the role, and after that whatever is due
 * at once is fired. What goes out is caught with its time in a queue per port. A line that
 * expects a packet waits in another queue per port; the heads of both are compared as soon as
 * both are there. If nothing came out yet when such a line is met, timers are fired up to its
 * time and a tick more, but never beyond the time of the next packet that comes in: so a line
 * may also stay waiting while others follow, until its time is over.
 *
 * A packet that nobody expects shows itself in one of three ways: by being compared with a
 * later line, by being there still when time moves on, or at the end.
 *
 * In bursts, packets that come in at the same time and port are given together, over lines in
 * between that expect something, unless one needs a number that such a line binds.
 */
#include "run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/wheel.h"
#include "core/env.h"
#include "core/record.h"
#include "proto/tcp.h"

#define SPIN_MAX 10000
#define SLOT_STRIDE (PACKET_MAX + PACKET_HEADROOM)

struct run {
	const struct script *s;
	const struct run_options *o;
	struct fault *f;
	struct fault why; /* of a comparison */
	void *config; /* owned: as it is now */
	struct vars vars;
	struct ctx x;
	struct counters counters;
	struct role_env env;
	uint64_t random;
	void *block, *role;
	size_t need; /* of block */
	sut_time now;
	struct outbox *out;
	struct trail *trail;
	unsigned next_out[SCRIPT_PORTS];
	unsigned *want[SCRIPT_PORTS]; /* lines that expect a packet */
	unsigned nwant[SCRIPT_PORTS], next_want[SCRIPT_PORTS];
	uint32_t base[SCRIPT_CONNS_MAX][SCRIPT_PORTS][2];
	bool *done; /* by line */
	unsigned nports; /* of the role */
	uint8_t *slots;
	struct packet pkt[64];
};

static const struct role_ops *ops(const struct run *r)
{
	return r->s->role->ops;
}

static uint64_t next_random(void *ctx)
{
	uint64_t *state = ctx, z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static void show_state(void *ctx, const struct trace_event *ev)
{
	const struct run *r = ctx;

	if (r->o->verbose)
		printf("# %10.3fms %s -> %s: %s\n", (double)ev->now / 1e6, ev->from, ev->to,
		       ev->why);
}

static bool fail_at(struct run *r, const struct line *l, const char *what)
{
	return fault_say(r->f, "%s:%u: %s\n  line      %s", l->path, l->no, what, l->text);
}

static bool fail_out(struct run *r, const struct line *l, unsigned port, const char *what)
{
	char got[640];

	trail_print(r->trail, port, r->next_out[port], got, sizeof got);
	return fault_say(r->f, "%s:%u: %s\n  expected  %s\n  actual    %s%s%s", l->path, l->no,
			 what, l->text, got, r->why.set ? "\n  differs   " : "", r->why.text);
}

/* Role. */

/* Mapped, not allocated: most of a role's memory is never touched. */
static bool lay_out(struct run *r)
{
	r->need = ops(r)->need(r->config);
	r->block = mmap(NULL, r->need, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (r->block == MAP_FAILED)
		return fault_say(r->f, "%s: no memory for the role", r->s->path);
	r->role = ops(r)->init(r->block, r->config, &r->env);
	return true;
}

/* Takes what the role put out. */
static void flush(struct run *r)
{
	for (unsigned i = 0; i < r->out->n; i++) {
		unsigned port = r->out->port[i];
		char s[640];

		if (port >= SCRIPT_PORTS || !(r->s->joined >> port & 1)) {
			fault_say(r->f, "%s: something came out at port %s, which is not joined",
				  r->s->path, port < r->nports ? ops(r)->ports[port].name : "?");
			continue;
		}
		trail_add(r->trail, port, r->out->pkt[i], r->now);
		if (!r->o->verbose)
			continue;
		trail_print(r->trail, port, r->trail->n[port] - 1, s, sizeof s);
		printf("# %s\n", s);
	}
	outbox_clear(r->out);
}

/* Fires one round of timers, the clock moved to where they are due. */
static void fire(struct run *r, sut_time due)
{
	if (due > r->now)
		r->now = due;
	ops(r)->expire(r->role, r->now, r->out);
	flush(r);
}

/*
 * Fires timers up to limit. With a port (else SCRIPT_PORTS), stops as soon as something waits
 * to be compared there; the clock stays where it is then.
 */
static bool advance(struct run *r, sut_time limit, unsigned port)
{
	unsigned rounds = 0;
	sut_time due;

	while ((due = ops(r)->deadline(r->role)) <= limit) {
		if (port < SCRIPT_PORTS && r->next_out[port] < r->trail->n[port])
			return true;
		if (++rounds > SPIN_MAX)
			return fault_say(r->f,
					 "%s: deadline() stays at %.3fms, expire() does nothing",
					 r->s->path, (double)due / 1e6);
		fire(r, due);
	}
	if (port == SCRIPT_PORTS && limit > r->now && limit != SUT_NEVER)
		r->now = limit;
	return !r->f->set;
}

/* Comparing. */

static struct lane_of lane_of_line(const struct run *r, const struct line *l)
{
	return (struct lane_of){
		.c = &r->s->conn[l->conn],
		.dir = l->dir,
		.stream = 2 * l->conn + l->dir,
		.base = r->base[l->conn][l->port][l->dir],
	};
}

static bool match_message(const struct line *l, const struct caught *c, const struct ctx *x)
{
	if (c->n < l->message_len || memcmp(c->b, l->message, l->message_len) != 0)
		return fault_say(x->f, "the text");
	return l->message_open || c->n == l->message_len ||
	       fault_say(x->f, "%zu more bytes came", c->n - l->message_len);
}

static bool compare(struct run *r, const struct line *l, unsigned port)
{
	const struct trail_out *o = &r->trail->out[port][r->next_out[port]];
	struct lane_of lane = lane_of_line(r, l);

	r->why = (struct fault){ 0 };
	if (!(l->message ? match_message(l, &o->c, &r->x) : match(l->seg, &lane, &r->x, &o->c)))
		return fail_out(r, l, port, "another packet came out");
	if (o->at < l->at || o->at > l->at + WHEEL_TICK)
		return fail_out(r, l, port, "it came out at another time");
	r->base[l->conn][l->port][l->dir] = lane.base;
	return true;
}

/* Compares what can be compared at a port. */
static bool settle_port(struct run *r, unsigned port)
{
	while (r->next_want[port] < r->nwant[port] && r->next_out[port] < r->trail->n[port]) {
		const struct line *l = &r->s->line[r->want[port][r->next_want[port]]];

		if (!compare(r, l, port))
			return false;
		r->next_want[port]++;
		r->next_out[port]++;
	}
	return true;
}

static bool settle(struct run *r)
{
	for (unsigned port = 0; port < SCRIPT_PORTS; port++)
		if (!settle_port(r, port))
			return false;
	return true;
}

/* Before time moves to that of l: did something come out, or fail to, before? */
static bool check_stale(struct run *r, const struct line *l, sut_time at)
{
	r->why = (struct fault){ 0 };
	for (unsigned port = 0; port < SCRIPT_PORTS; port++) {
		const struct line *w;

		if (r->next_out[port] < r->trail->n[port] &&
		    r->trail->out[port][r->next_out[port]].at < at) {
			struct line none = *l;

			none.text = (char *)(uintptr_t) "nothing more before this line";
			return fail_out(r, &none, port, "a packet came out that is not expected");
		}
		if (r->next_want[port] == r->nwant[port])
			continue;
		w = &r->s->line[r->want[port][r->next_want[port]]];
		if (at > w->at + WHEEL_TICK)
			return fail_at(r, w, "nothing came out");
	}
	return true;
}

/* When the next packet comes in, behind line i. */
static sut_time next_in(const struct run *r, unsigned i)
{
	for (; i < r->s->nlines; i++) {
		enum line_kind k = r->s->line[i].kind;

		if ((k == LINE_IN && !r->done[i]) || k == LINE_RESTART || k == LINE_WAIT)
			return r->s->line[i].at;
	}
	return SUT_NEVER;
}

static sut_time earlier(sut_time a, sut_time b)
{
	return a < b ? a : b;
}

static bool expect(struct run *r, unsigned i)
{
	const struct line *l = &r->s->line[i];
	sut_time bound = next_in(r, i + 1);

	r->want[l->port][r->nwant[l->port]++] = i;
	return settle(r) && advance(r, earlier(l->at, bound), l->port) && settle(r) &&
	       advance(r, earlier(l->at + WHEEL_TICK, bound), l->port) && settle(r);
}

/* Packets that come in. */

static bool build(struct run *r, const struct line *l, unsigned slot)
{
	struct lane_of lane = lane_of_line(r, l);
	uint8_t *b = r->slots + (size_t)slot * SLOT_STRIDE + PACKET_HEADROOM;
	const struct seg *g = l->seg;
	uint32_t seq;

	if (l->message) {
		memcpy(b, l->message, l->message_len);
		r->pkt[slot] = (struct packet){ .head = b, .head_len = (uint32_t)l->message_len };
		return true;
	}
	r->why = (struct fault){ 0 };
	if (g->kind == SEG_TCP && (g->flags & TCP_SYN) && !g->m.stray &&
	    value_get(&g->seq, &r->x, &seq))
		lane.base = seq;
	if (!frame_build(g, &lane, &r->x, b, &r->pkt[slot]))
		return fail_at(r, l, r->why.text);
	r->base[l->conn][l->port][l->dir] = lane.base;
	return true;
}

/* Line i and what may go in one burst with it: messages go alone. */
static bool gather(struct run *r, unsigned i, unsigned *ret_n)
{
	const struct line *first = &r->s->line[i];
	unsigned n = 0;

	for (; i < r->s->nlines && n < r->o->burst; i++) {
		const struct line *l = &r->s->line[i];

		if (l->kind == LINE_OUT)
			continue;
		if (l->kind != LINE_IN || l->at != first->at || l->port != first->port ||
		    (n > 0 && (l->message || !seg_known(l->seg, &r->vars))))
			break;
		if (!build(r, l, n++))
			return false;
		r->done[i] = true;
		if (r->o->verbose)
			printf("# %s\n", l->text);
	}
	*ret_n = n;
	return true;
}

static bool feed(struct run *r, unsigned i)
{
	const struct line *l = &r->s->line[i];
	struct packet *pkts[64];
	uint32_t len[64];
	unsigned n;

	if (!advance(r, l->at, SCRIPT_PORTS) || !settle(r) || !check_stale(r, l, l->at) ||
	    !gather(r, i, &n))
		return false;
	for (unsigned k = 0; k < n; k++) {
		pkts[k] = &r->pkt[k];
		len[k] = r->pkt[k].head_len;
	}
	ops(r)->input(r->role, &(struct burst){ pkts, (uint16_t)n, (uint16_t)l->port, r->now },
		      r->out);
	flush(r);
	for (unsigned k = 0; k < n; k++) /* who kept a pointer reads rubbish from here on */
		memset(r->slots + (size_t)k * SLOT_STRIDE, 0xdd, PACKET_HEADROOM + len[k]);
	return advance(r, r->now, SCRIPT_PORTS) && settle(r);
}

/* Other lines. */

static void near_key(const struct conn *c, struct flow_key *ret_k)
{
	uint32_t outer = c->vlans > 0 ? c->vlan[0] : 0xfff;
	uint32_t inner = c->vlans > 1 ? c->vlan[1] : 0xfff;

	memset(ret_k, 0, sizeof *ret_k);
	memcpy(ret_k->src, c->addr[0], 16);
	memcpy(ret_k->dst, c->addr[1], 16);
	ret_k->sport = be16_of(c->port[0]);
	ret_k->dport = be16_of(c->port[1]);
	ret_k->where = outer << 12 | inner;
}

/* "...": any words. */
static bool is_gap(const struct word *w)
{
	return !w->is_value && strcmp(w->text, "...") == 0;
}

/* Moves to the next place where this word comes; false: there is none. */
static bool skip_to(struct lex *lex, const char *word)
{
	char text[64];

	while (!lex_word(lex, word))
		if (!lex_token(lex, text, sizeof text))
			return false;
	lex->p -= strlen(word);
	return true;
}

/* Do the first words of got fit those of l? */
static bool words_fit(struct run *r, const struct line *l, const char *got)
{
	struct lex lex = { got };

	for (unsigned i = 0; i < l->nwords; i++) {
		const struct word *w = &l->word[i];
		char text[64];
		struct lex num = { text };
		uint64_t n = 0;

		if (is_gap(w)) {
			if (i + 1 < l->nwords && !skip_to(&lex, l->word[i + 1].text))
				return false;
			continue;
		}
		if (!lex_token(&lex, text, sizeof text))
			return false;
		if (!w->is_value && strcmp(w->text, text) != 0)
			return false;
		if (w->is_value && !w->v.any && !lex_num(&num, &n))
			return false;
		if (w->is_value && !value_fits(&w->v, &r->vars, (uint32_t)n))
			return false;
	}
	return true;
}

static bool check_flow(struct run *r, const struct line *l)
{
	const struct role_kind *k = r->s->role;
	char got[512] = "", what[640];
	struct flow_key key;
	bool there;

	if (!k->describe)
		return fail_at(r, l, "this role does not describe flows");
	near_key(&r->s->conn[l->conn], &key);
	there = k->describe(r->role, &key, got, sizeof got);
	if (l->none ? !there : there && words_fit(r, l, got))
		return true;
	snprintf(what, sizeof what, "the flow is %s%s", there ? "" : "not there", there ? got : "");
	return fail_at(r, l, what);
}

static bool check_count(struct run *r, const struct line *l)
{
	const struct counters *c = &r->counters;
	uint64_t got = l->index < 0		? counters_dropped(c)
		       : l->count == COUNT_DROP ? c->dropped[l->index]
		       : l->count == COUNT_PASS ? c->passed[l->index]
						: c->event[l->index];
	char what[64];

	if (got == l->n)
		return true;
	snprintf(what, sizeof what, "the count is %llu", (unsigned long long)got);
	return fail_at(r, l, what);
}

static bool set_isn(struct run *r, const struct line *l)
{
	uint32_t n;

	r->why = (struct fault){ 0 };
	if (!value_get(&l->isn, &r->x, &n))
		return fail_at(r, l, r->why.text);
	r->base[l->conn][l->port][l->dir] = n;
	return true;
}

/* The role's records, taken over by a new one, or by nobody. */
static bool restart(struct run *r, const struct line *l)
{
	void *old_block = r->block, *old = r->role;
	uint32_t cursor = 0;
	struct record rec;
	char what[64];
	int err = 0;

	if (!lay_out(r))
		return false;
	while (!l->empty && err == 0 && ops(r)->save(old, &cursor, r->now, &rec) > 0)
		err = ops(r)->restore(r->role, &rec, r->now);
	munmap(old_block, r->need);
	if (err == 0)
		return true;
	snprintf(what, sizeof what, "restore() failed: %d", err);
	return fail_at(r, l, what);
}

/* Each line of text is a setting, KEY VALUE. */
static bool set_all(const struct role_kind *k, void *config, const char *text, struct fault *f)
{
	char line[SCRIPT_MESSAGE_MAX];

	while (*text) {
		size_t n = strcspn(text, "\n"), key = strcspn(text, " ");

		if (n >= sizeof line || key >= n)
			return fault_say(f, "KEY VALUE, please");
		memcpy(line, text, n);
		line[key] = line[n] = 0;
		if (!role_set(k, config, line, line + key + 1, f))
			return false;
		text += n + (text[n] == '\n');
	}
	return true;
}

/* Another configuration while it runs: lists are given anew. */
static bool reload(struct run *r, const struct line *l)
{
	const struct role_kind *k = r->s->role;
	void *next = malloc(k->config_size);
	struct fault why = { 0 };
	int err = -EINVAL;
	char what[96];

	if (!next)
		abort();
	memcpy(next, r->config, k->config_size);
	if (k->anew)
		k->anew(next);
	if (!set_all(k, next, l->message, &why)) {
		free(next);
		return fail_at(r, l, why.text);
	}
	if (k->flows)
		k->flows(next, r->s->conn, r->s->nconns);
	if (k->ops->need(next) && k->ops->configure)
		err = k->ops->configure(r->role, next);
	free(err ? next : r->config);
	if (!err)
		r->config = next;
	if (!err == !l->refused)
		return true;
	snprintf(what, sizeof what, "configure() returned %d", err);
	return fail_at(r, l, what);
}

static bool play(struct run *r, unsigned i)
{
	const struct line *l = &r->s->line[i];

	switch (l->kind) {
	case LINE_IN:
		return r->done[i] || feed(r, i);
	case LINE_OUT:
		return expect(r, i);
	case LINE_FLOW:
		return settle(r) && check_flow(r, l);
	case LINE_COUNT:
		return settle(r) && check_count(r, l);
	case LINE_ISN:
		return settle(r) && set_isn(r, l);
	case LINE_RELOAD:
	case LINE_RESTART:
	case LINE_WAIT:
		return advance(r, l->at, SCRIPT_PORTS) && settle(r) && check_stale(r, l, l->at) &&
		       (l->kind == LINE_WAIT ||
			(l->kind == LINE_RELOAD ? reload(r, l) : restart(r, l)));
	}
	return false;
}

/* Nothing may be left. */
static bool finish(struct run *r)
{
	struct line last = { .text = (char *)(uintptr_t) "the end of the script" };

	last.path = r->s->path;
	if (r->s->nlines > 0)
		last.no = r->s->line[r->s->nlines - 1].no;
	return settle(r) && check_stale(r, &last, SUT_NEVER);
}

static bool set_up(struct run *r)
{
	static const uint8_t secret[16] = "packet scripts!";

	r->x = (struct ctx){ &r->s->names, &r->vars, &r->why };
	r->random = 1;
	memcpy(r->env.secret, secret, sizeof secret);
	r->env.random = next_random;
	r->env.random_ctx = &r->random;
	r->env.counters = &r->counters;
	r->env.ports = r->s->joined;
	r->trail->ports = ops(r)->ports;
	while (ops(r)->ports[r->nports].name)
		r->nports++;
	r->env.trace = show_state;
	r->env.trace_ctx = r;
	r->out = calloc(1, sizeof *r->out);
	r->slots = malloc(64 * (size_t)SLOT_STRIDE);
	r->done = calloc(r->s->nlines + 1, sizeof *r->done);
	for (unsigned port = 0; port < SCRIPT_PORTS; port++)
		r->want[port] = calloc(r->s->nlines + 1, sizeof *r->want[port]);
	return lay_out(r);
}

bool run_script(const struct script *s, const struct run_options *o, struct trail *ret_t,
		struct fault *f)
{
	struct run *r = calloc(1, sizeof *r);
	bool ok;

	if (!r)
		abort();
	*ret_t = (struct trail){ 0 };
	r->s = s;
	r->config = malloc(s->role->config_size);
	if (!r->config)
		abort();
	memcpy(r->config, s->config, s->role->config_size);
	r->o = o;
	r->f = f;
	r->trail = ret_t;
	ok = set_up(r);
	for (unsigned i = 0; ok && i < s->nlines; i++)
		ok = play(r, i) && !f->set;
	ok = ok && finish(r) && !f->set;
	for (unsigned port = 0; port < SCRIPT_PORTS; port++)
		free(r->want[port]);
	free(r->config);
	free(r->done);
	free(r->slots);
	free(r->out);
	if (r->block && r->block != MAP_FAILED)
		munmap(r->block, r->need);
	free(r);
	return ok;
}
