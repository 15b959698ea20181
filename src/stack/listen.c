/* SPDX-License-Identifier: MIT */
#include "stack/parts.h"

/*
 * Theory of operation
 *
 * A SYN for a listener becomes a connection in SYN-RECEIVED; when its handshake is finished it stands in the listener's queue until it
 * is accepted.  Three bounds: half-open connections in all (cfg.max_half_open) and of a listener (its backlog), and the queue
 * (its backlog).  A full queue puts handshakes off: their last ACK is left alone, it comes again.  Where it is the half-open
 * ones that are too many, nothing is remembered of a SYN any more: the SYN-ACK carries what has to be known in its numbers (a cookie),
 * and the ACK brings it back.  So a flood costs no memory, and no connection that is open suffers from it.
 *
 *	ISN         24 bits of SipHash(ends, peer's ISN, minute, MSS index) | (5 bits of the minute, 3 of the MSS index) xor a hash
 *	timestamp   its lowest 6 bits: window scale (15: none), SACK, ECN; without timestamps there are none of these
 *
 * A connection may end while copies of its first segments are still on their way, and each of them brings the cookie back.  So cookies
 * that were taken are remembered as long as they would be good: as many as there is room for, in sets, the oldest of a set forgotten.
 *
 * An ACK is looked at for a cookie only if cookies were sent in the last minutes; so at other times nobody can open a connection by
 * guessing.
 *
 * Fast Open (RFC 7413): a cookie is a hash of both addresses.  A SYN that brings a valid one, and data, is in the queue at once; one that
 * asks for one, or brings another, gets one with the SYN-ACK.
 */

#define COOKIE_LIFE SUT_MS(130000) /* the minute it was made in, and the next */
#define MINUTE SUT_MS(60000)
#define NO_SCALE 15u
#define TFO_COOKIE 8u

/* What a hash is for (isn.c has 1 and 2, table.c 3). */
enum { FOR_COOKIE = 4, FOR_COOKIE_MASK = 5, FOR_FASTOPEN = 6, FOR_SPENT = 7 };

static struct listener *parent_of(const struct stack *s, const struct conn *c)
{
	return c->parent == CONN_NONE ? NULL : listener_at(s, c->parent);
}

/* --- the queue */

static void enqueue(struct stack *s, struct listener *l, struct conn *c)
{
	uint32_t i = conn_index(s, c);

	if (c->state == ST_SYN_RECEIVED)
		l->half_open--; /* it counts as one that waits */
	c->flags |= CF_WAITS;
	c->next_wait = CONN_NONE;
	if (l->last == CONN_NONE)
		l->first = i;
	else
		conn_at(s, l->last)->next_wait = i;
	l->last = i;
	l->waiting++;
	listener_tell(s, l, CONN_ACCEPTABLE);
}

static void dequeue(struct stack *s, struct listener *l, struct conn *c)
{
	uint32_t i = l->first, self = conn_index(s, c), prev = CONN_NONE;

	for (; i != self; i = conn_at(s, i)->next_wait)
		prev = i;
	if (prev == CONN_NONE)
		l->first = c->next_wait;
	else
		conn_at(s, prev)->next_wait = c->next_wait;
	if (l->last == self)
		l->last = prev;
	l->waiting--;
	c->flags &= ~(uint32_t)CF_WAITS;
}

bool listen_established(struct stack *s, struct conn *c)
{
	struct listener *l = parent_of(s, c);

	if (l == NULL || (c->flags & (CF_WAITS | CF_HELD))) /* by Fast Open it is there already */
		return true;
	if (l->waiting >= l->backlog) {
		stack_bump(s, STACK_ACCEPT_FULL);
		return false;
	}
	enqueue(s, l, c);
	return true;
}

void listen_forget(struct stack *s, struct conn *c)
{
	if (c->flags & CF_WAITS)
		dequeue(s, parent_of(s, c), c);
	c->parent = CONN_NONE;
}

/* --- Fast Open, as server (RFC 7413) */

static void fastopen_cookie(const struct stack *s, const struct conn_quad *q,
			    uint8_t ret_cookie[TFO_COOKIE])
{
	struct conn_quad k = { .zero = FOR_FASTOPEN };

	memcpy(k.laddr, q->laddr, 16);
	memcpy(k.raddr, q->raddr, 16);
	mem_store64(ret_cookie, siphash(s->env.secret, &k, sizeof k));
}

unsigned listen_cookie_write(const struct stack *s, const struct conn *c, uint8_t *ret_at,
			     unsigned room)
{
	if (!(c->flags & CF_TFO_COOKIE) || room < 2 + TFO_COOKIE)
		return 0;
	ret_at[0] = TCPOPT_TFO;
	ret_at[1] = 2 + TFO_COOKIE;
	fastopen_cookie(s, &c->quad, ret_at + 2);
	return 2 + TFO_COOKIE;
}

/* Does the SYN bring the cookie that we gave to this address? */
static bool has_cookie(const struct stack *s, const struct conn *c, const struct seg *g)
{
	uint8_t cookie[TFO_COOKIE];

	if (g->opt.tfo_len != TFO_COOKIE)
		return false;
	fastopen_cookie(s, &c->quad, cookie);
	return mem_load64(cookie) == mem_load64(g->p->head + g->v->l4 + g->opt.tfo_off);
}

/* Data of a SYN with a valid cookie; the application may answer before the handshake is over. */
static void fastopen(struct stack *s, struct listener *l, struct conn *c, struct seg *g)
{
	uint32_t room = c->rcv_adv - c->rcv_nxt;

	if (!s->cfg.fastopen || (g->opt.present & (OPT_TFO | OPT_EXP)) != OPT_TFO)
		return;
	if (!has_cookie(s, c, g)) {
		c->flags |= CF_TFO_COOKIE;
		return;
	}
	if (g->data_len == 0 || l->waiting >= l->backlog)
		return;
	stack_bump(s, STACK_TFO_IN);
	c->flags |= CF_TFO;
	if (g->data_len > room)
		g->data_len = room;
	g->flags &= (uint8_t)~TCP_FIN; /* it comes again */
	(void)recvq_insert(s, c, g);
	enqueue(s, l, c);
}

/* --- SYN cookies */

static const uint16_t cookie_mss[8] = { 216, 536, 1220, 1360, 1420, 1440, 1460, 8960 };

static uint32_t mss_index(uint32_t mss)
{
	uint32_t i = 7;

	while (i > 0 && cookie_mss[i] > mss)
		i--;
	return i;
}

struct cookie_text {
	struct conn_quad quad; /* zero: what for */
	uint32_t irs, minute, mss, pad;
};

static uint32_t cookie_hash(const struct stack *s, const struct cookie_text *t, uint32_t purpose)
{
	struct cookie_text k = *t;

	k.quad.zero = purpose;
	return (uint32_t)siphash(s->env.secret, &k, sizeof k);
}

static uint32_t cookie_minute(const struct stack *s)
{
	return (uint32_t)(s->now / MINUTE);
}

static uint32_t cookie_make(const struct stack *s, const struct conn_quad *q, uint32_t irs,
			    uint32_t mss)
{
	struct cookie_text t = { .quad = *q, .irs = irs };
	uint32_t mask = cookie_hash(s, &t, FOR_COOKIE_MASK) & 0xff;

	t.minute = cookie_minute(s);
	t.mss = mss_index(mss);
	return (cookie_hash(s, &t, FOR_COOKIE) & 0xffffff00) |
	       (((t.minute & 31) << 3 | t.mss) ^ mask);
}

/* The MSS in a cookie of this minute or the last one; 0: it is none. */
static uint32_t cookie_read(const struct stack *s, const struct conn_quad *q, uint32_t irs,
			    uint32_t isn)
{
	struct cookie_text t = { .quad = *q, .irs = irs };
	uint32_t low = (isn ^ cookie_hash(s, &t, FOR_COOKIE_MASK)) & 0xff;
	uint32_t age = (cookie_minute(s) - (low >> 3)) & 31;

	t.minute = cookie_minute(s) - age;
	t.mss = low & 7;
	if (age > 1 || ((isn ^ cookie_hash(s, &t, FOR_COOKIE)) & 0xffffff00) != 0)
		return 0;
	return cookie_mss[t.mss];
}

/* The offset with which the timestamp of now ends in what was agreed. It is never ahead of what the connection will say later. */
static uint32_t cookie_ts_off(const struct stack *s, const struct conn *c)
{
	uint32_t off = isn_ts_offset(s, &c->quad), plain = now_ms(s) + off, value;
	uint32_t bits = c->flags & CF_WSCALE ? c->snd_wscale : NO_SCALE;

	bits |= c->flags & CF_SACK ? 16 : 0;
	bits |= c->flags & CF_ECN ? 32 : 0;
	value = (plain & ~63u) | bits;
	if (after(value, plain))
		value -= 64;
	return off + (value - plain);
}

/* What the listener's connections have of it: before their SYN is read. */
static void take_after(const struct listener *l, struct conn *c)
{
	if (l->rcvbuf != 0)
		c->rcvbuf = l->rcvbuf;
	c->rcv_wscale = l->wscale;
}

/* A SYN-ACK for a connection that is not remembered. */
static void cookie_send(struct stack *s, const struct listener *l, const struct conn_quad *q,
			const struct seg *g)
{
	struct conn c = { .flags = CF_PASSIVE };
	uint8_t opt[40];
	struct output_seg o = { .flags = TCP_SYN | TCP_ACK, .options = opt };

	conn_setup(s, &c, q);
	take_after(l, &c);
	negotiate_read(s, &c, g, false);
	if (c.flags & CF_TS)
		c.ts_off = cookie_ts_off(s, &c);
	else
		c.flags &= ~(uint32_t)(CF_SACK | CF_WSCALE | CF_ECN);
	if (c.flags & CF_ECN)
		o.flags |= TCP_ECE;
	o.seq = cookie_make(s, q, g->seq, c.peer_mss);
	o.ack = c.rcv_nxt;
	o.window = (uint16_t)(c.rcv_adv - c.rcv_nxt);
	o.options_len = (uint8_t)negotiate_write(s, &c, true, opt);
	s->cookies_until = s->now + COOKIE_LIFE;
	stack_bump(s, STACK_COOKIES_SENT);
	(void)output_emit(s, NULL, q, c.ttl, 0, &o);
}

/* The SYN as the cookie has it: what of it matters. */
static struct seg cookie_syn(const struct seg *g, uint32_t mss)
{
	struct seg syn = { .p = g->p, .v = g->v, .seq = g->seq - 1, .wnd = g->wnd, .len = 1 };

	syn.flags = TCP_SYN;
	syn.opt.present = OPT_MSS;
	syn.opt.mss = (uint16_t)mss;
	if (!(g->opt.present & OPT_TS))
		return syn;
	syn.opt.present |= OPT_TS;
	syn.opt.tsval = g->opt.tsval;
	syn.opt.wscale = g->opt.tsecr & 15;
	if (syn.opt.wscale != NO_SCALE)
		syn.opt.present |= OPT_WSCALE;
	if (g->opt.tsecr & 16)
		syn.opt.present |= OPT_SACK_PERMITTED;
	if (g->opt.tsecr & 32)
		syn.flags |= TCP_ECE | TCP_CWR;
	return syn;
}

/* Is the timestamp that comes back one that a cookie of ours may have had? */
static bool cookie_fresh(const struct stack *s, const struct conn_quad *q, const struct seg *g)
{
	uint32_t age = now_ms(s) + isn_ts_offset(s, q) - g->opt.tsecr;

	return !(g->opt.present & OPT_TS) || age <= (uint32_t)(COOKIE_LIFE / 1000000);
}

/* The numbers of a connection whose SYN-ACK is about to go out, or went out as a cookie. */
static struct conn *half_open(struct stack *s, const struct listener *l, const struct conn_quad *q,
			      uint32_t iss)
{
	struct conn *c = conn_new(s, q);

	if (c == NULL)
		return NULL;
	c->flags |= CF_PASSIVE; /* MUST-11 */
	take_after(l, c);
	c->parent = (uint32_t)(l - listener_at(s, 0));
	c->iss = c->snd_una = c->snd_nxt = c->snd_up = iss;
	c->ts_off = isn_ts_offset(s, q);
	return c;
}

static uint32_t spent_tag(const struct stack *s, const struct conn_quad *q, const struct seg *g)
{
	struct cookie_text t = { .quad = *q, .irs = g->seq, .minute = g->ack };

	return cookie_hash(s, &t, FOR_SPENT);
}

/* The cookie with this tag if it was taken, else the place where that is to be remembered. */
static struct spent *spent_find(struct stack *s, uint32_t tag)
{
	struct spent *set = &s->spent[tag % (STACK_SPENT / STACK_SPENT_WAYS) * STACK_SPENT_WAYS];
	struct spent *oldest = set;

	for (unsigned i = 0; i < STACK_SPENT_WAYS; i++) {
		if (set[i].tag == tag)
			return &set[i];
		if (set[i].until < oldest->until)
			oldest = &set[i];
	}
	return oldest;
}

/* An ACK that belongs to no connection, or does not fit the one that there is: does it bring a cookie back? */
static void cookie_ack(struct stack *s, struct listener *l, const struct conn_quad *q,
		       struct seg *g)
{
	uint32_t mss = cookie_read(s, q, g->seq - 1, g->ack - 1);
	struct spent *spent;
	uint32_t tag;
	struct seg syn;
	struct conn *c;

	if (mss == 0 || !cookie_fresh(s, q, g)) {
		stack_bump(s, STACK_COOKIES_BAD);
		/*
		 * No reset: what follows the ACK that has the cookie may have overtaken it, or it is lost, and the sender of a good
		 * connection repeats what is not acknowledged, with the cookie. One of none is reset once no cookies are about.
		 */
		return;
	}
	if (l->waiting >= l->backlog) {
		stack_bump(s, STACK_ACCEPT_FULL);
		return;
	}
	tag = spent_tag(s, q, g);
	spent = spent_find(s, tag);
	if (spent->tag == tag && spent->until > s->now / 1000000000) {
		reply_rst(s, q, g);
		return;
	}
	c = table_find(s, q);
	if (c != NULL)
		conn_end(s, c, 0, "the cookie before it was answered");
	c = half_open(s, l, q, g->ack - 1);
	if (c == NULL)
		return;
	*spent = (struct spent){ tag, (uint32_t)((s->now + COOKIE_LIFE) / 1000000000) + 1 };
	syn = cookie_syn(g, mss);
	negotiate_read(s, c, &syn, false);
	c->flags |= CF_COOKIE;
	c->snd_nxt = c->iss + 1;
	c->last_ack_sent = c->rcv_nxt;
	recovery_begin(c);
	conn_set_state(s, c, ST_SYN_RECEIVED, "SYN cookie");
	stack_bump(s, STACK_COOKIES_TAKEN);
	input_segment(s, c, g);
}

/*
 * A SYN that was answered by a cookie came again and found room: two numbers of ours are out, and the peer may have taken the first.
 * Then its half-open connection, of which nobody else knows, makes way for the one out of the cookie.
 */
bool listen_other_isn(struct stack *s, const struct conn *c, struct seg *g)
{
	struct listener *l = parent_of(s, c);
	struct conn_quad q;

	if (l == NULL || c->state != ST_SYN_RECEIVED || (c->flags & (CF_WAITS | CF_HELD)) ||
	    s->now >= s->cookies_until || g->ack == c->iss + 1 ||
	    (g->flags & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_ACK ||
	    cookie_read(s, &c->quad, c->irs, g->ack - 1) == 0)
		return false;
	q = c->quad; /* c may go */
	cookie_ack(s, l, &q, g);
	return true;
}

/* --- LISTEN */

/* MAY-2: where the quad was used a moment ago, its numbers go on above those that it used. */
static uint32_t isn_for(const struct stack *s, const struct conn_quad *q, const struct seg *g)
{
	uint32_t isn = isn_make(s, q);

	return g->reopens && !after(isn, g->isn_floor) ? g->isn_floor + 64000 : isn;
}

static bool too_many(const struct stack *s, const struct listener *l)
{
	return s->half_open >= s->cfg.max_half_open || l->half_open >= l->backlog;
}

static void listen_syn(struct stack *s, struct listener *l, const struct conn_quad *q,
		       struct seg *g)
{
	struct conn *c;

	/*
	 * One for a connection in TIME-WAIT is no stranger: it takes the place that this leaves, and a cookie's number would not lie
	 * above those of the old connection.
	 */
	if (too_many(s, l) && !g->reopens) {
		if (l->waiting < l->backlog)
			cookie_send(s, l, q, g);
		else
			stack_bump(s, STACK_ACCEPT_FULL);
		return;
	}
	c = half_open(s, l, q, isn_for(s, q, g));
	if (c == NULL)
		return;
	negotiate_read(s, c, g, false);
	conn_set_state(s, c, ST_SYN_RECEIVED, "SYN");
	fastopen(s, l, c, g); /* other data in a SYN is not acknowledged, and comes again */
	conn_dirty(s, c);
}

/* RFC 9293, 3.10.7.2.  A new connection never touches those that are there (MUST-41). */
void listen_input(struct stack *s, struct listener *l, const struct conn_quad *q, struct seg *g)
{
	if (g->flags & TCP_RST) { /* first: a RST is ignored */
		stack_bump(s, STACK_LEFT_ALONE);
		return;
	}
	if (g->flags &
	    TCP_ACK) { /* second: any acknowledgement is bad in LISTEN, unless it is a cookie's */
		if (!(g->flags & TCP_SYN) && s->now < s->cookies_until)
			cookie_ack(s, l, q, g);
		else
			reply_rst(s, q, g);
		return;
	}
	if (g->flags & TCP_SYN) /* third */
		listen_syn(s, l, q, g);
	else /* fourth: anything else is dropped */
		stack_bump(s, STACK_LEFT_ALONE);
}
