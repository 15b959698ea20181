/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "role/handoff/front_inside.h"

/*
 * Clients in the stack: their requests are looked at and never read, so all bytes are there for whoever takes the connection; the stack's
 * delayed ACK gives the client no answer before that is decided.  Whoever nobody can take gets an answer of our own; a connection that
 * was out of the stack already is put back for that (nobody else has said anything on it).
 */

#define RETRY SUT_MS(5)
#define ATTACHED_RCVBUF 4096u
#define TLS_HANDSHAKE 0x16
#define EVICT_LOOKS 256u

#define ANSWER(status) "HTTP/1.1 " status "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

static const struct {
	const char *text;
	enum event event;
} answers[] = {
	[REFUSE_400] = { ANSWER("400 Bad Request"), EV_ANSWERED_400 },
	[REFUSE_408] = { ANSWER("408 Request Timeout"), EV_ANSWERED_408 },
	[REFUSE_431] = { ANSWER("431 Request Header Fields Too Large"), EV_ANSWERED_431 },
	[REFUSE_503] = { ANSWER("503 Service Unavailable"), EV_ANSWERED_503 },
	[REFUSE_CLOSE] = { NULL, EV_CLOSED_UNANSWERED },
	[REFUSE_RESET] = { NULL, EV_HAND_LOST },
};

/* --- accepting */

static void learn_lane(struct front *f, struct hand *h)
{
	if (f->cur != NULL && f->cur_view->tcp)
		lane_learn(&h->lane, f->cur, f->cur_view);
}

/*
 * What is over stays for what was lost of its end.  Where there is no room, one goes of which nobody lacks anything.  Not many are looked at, since
 * there may be none.
 */
static void make_room(struct front *f)
{
	for (unsigned i = 0; hand_is_full(f) && i < EVICT_LOOKS; i++) {
		struct hand *h = &f->hand[f->evict_at];

		f->evict_at = (f->evict_at + 1) % f->cfg.max_conns;
		if (h->id == 0 || !over_may_go(f, h))
			continue;
		count_event(&f->env, EV_FLOWS_EVICTED);
		over_end(f, h, "room for another");
	}
}

void read_accept(struct front *f, conn_id listener, unsigned origin)
{
	const struct stack_addr *local = &f->cfg.origin[origin];
	struct stack_addr peer;
	enum side side;

	make_room(f);
	for (;;) {
		struct hand *h = hand_new(f);
		struct way_key k = { 0 };
		conn_id c;

		if (stack_accept(f->stack, listener, h != NULL ? h->id : 0, &c, &peer) < 0) {
			if (h != NULL)
				hand_free(f, h);
			return;
		}
		memcpy(k.src, peer.ip, 16);
		memcpy(k.dst, local->ip, 16);
		k.sport = net16(peer.port);
		k.dport = net16(local->port);
		if (h == NULL || hand_find(f, &k, &side) != NULL) {
			count_drop(&f->env, R_FLOWS_FULL);
			(void)stack_abort(f->stack, c, f->now);
			if (h != NULL)
				hand_free(f, h);
			continue;
		}
		hand_key_add(f, h, CLIENT, &k);
		h->conn = c;
		h->origin = (uint8_t)origin;
		learn_lane(f, h);
		hand_set_state(f, h, FR_READING, "accepted");
		/* its server may be the one that speaks first */
		if (route_asks_nothing(&f->cfg.routes, origin))
			read_choose(f, h);
	}
}

/* --- answers of our own */

static bool back_in_stack(struct front *f, struct hand *h)
{
	return h->conn != 0 ||
	       stack_attach(f->stack, &h->d, ATTACHED_RCVBUF, h->id, f->now, &h->conn) == 0;
}

/* A reset in the origin's name, where there is no room for more. */
static void reset_client(struct front *f, const struct hand *h)
{
	struct make_tcp m = { .seq = h->d.snd_nxt,
			      .ack = h->d.rcv_nxt,
			      .flags = TCP_RST | TCP_ACK };
	struct lane l;

	lane_reverse(&h->lane, &l);
	if (make_tcp(front_box(f), FRONT_CLIENT, &l, &m))
		count_event(&f->env, EV_RST_SENT);
	else
		count_drop(&f->env, R_OUTBOX_FULL);
}

static void drain_input(struct front *f, struct hand *h)
{
	struct conn_info i;

	if (stack_info(f->stack, h->conn, f->now, &i) == 0 && i.unread > 0)
		(void)stack_consume(f->stack, h->conn, i.unread, f->now);
}

void read_refuse(struct front *f, struct hand *h, enum refusal why)
{
	const char *text = answers[why].text;

	count_event(&f->env, answers[why].event);
	if (!back_in_stack(f, h)) {
		reset_client(f, h);
		over_end(f, h, "no room to answer it");
		return;
	}
	if (why == REFUSE_RESET) {
		(void)stack_abort(f->stack, h->conn, f->now);
		h->conn = 0;
		over_end(f, h, "reset");
		return;
	}
	hand_cells_give(f, h);
	drain_input(f, h);
	if (text != NULL)
		(void)stack_write(f->stack, h->conn, text, strlen(text), f->now);
	(void)stack_shutdown(f->stack, h->conn, f->now);
	hand_set_state(f, h, FR_ANSWERED, text != NULL ? "an answer of our own" : "closed");
}

/* --- out of the stack */

struct keeping {
	struct front *f;
	struct hand *h;
};

/* Bytes are joined to the last cell where they follow it and fit. */
static void keep(void *ctx, uint32_t seq, const uint8_t *bytes, uint32_t len)
{
	struct keeping *k = ctx;
	struct hand *h = k->h;
	struct store *s = k->f->store;
	struct cell *x = h->last != STORE_NONE ? store_cell(s, h->last) : NULL;
	uint32_t i;

	if (x != NULL && x->seq.v + x->len == seq && x->len + len <= STORE_CELL_BYTES) {
		memcpy(x->bytes + x->len, bytes, len);
		x->len = (uint16_t)(x->len + len);
		return;
	}
	i = store_take(s);
	if (i == STORE_NONE) { /* only what lies behind gaps: it comes again */
		count_drop(&k->f->env, R_STORE_FULL);
		return;
	}
	if (x != NULL)
		x->next = i;
	else
		h->first = i;
	h->last = i;
	x = store_cell(s, i);
	x->next = STORE_NONE;
	x->seq.v = seq;
	x->len = (uint16_t)len;
	memcpy(x->bytes, bytes, len);
}

/* Takes h out of the stack; false: not now. */
static bool freeze(struct front *f, struct hand *h)
{
	struct keeping k = { f, h };
	struct conn_info i;

	if (h->conn == 0)
		return true;
	/* In the stack's chain two neighbours hold more than a cell together. */
	if (stack_info(f->stack, h->conn, f->now, &i) < 0 ||
	    store_free_cells(f->store) < i.unread / (STORE_CELL_BYTES / 2) + 4)
		return false;
	if (stack_detach(f->stack, h->conn, keep, &k, f->now, &h->d) < 0)
		return false;
	h->conn = 0;
	h->end = h->d.rcv_nxt;
	h->fin_end[CLIENT] = h->end;
	h->base = h->end - h->d.fin_in - h->d.unread;
	h->acked = h->base;
	return true;
}

/* Is it kept already, or in part? */
static bool overlaps(const struct front *f, const struct hand *h, uint32_t seq, uint32_t end)
{
	for (uint32_t i = h->first; i != STORE_NONE;) {
		const struct cell *x = store_cell_const(f->store, i);

		if (num_before(seq, x->seq.v + x->len) && num_before(x->seq.v, end))
			return true;
		i = x->next;
	}
	return false;
}

bool read_hold(struct front *f, struct hand *h, const struct packet *p, const struct view *v)
{
	struct keeping k = { f, h };
	uint8_t bytes[STORE_CELL_BYTES];
	uint32_t end = v->seq + v->payload_len;

	if (v->payload_len == 0 || (v->flags & (TCP_SYN | TCP_RST)) || h->d.fin_in ||
	    num_before(v->seq, h->d.rcv_nxt) || num_before(h->d.rcv_adv, end) ||
	    store_free_cells(f->store) < f->cells / 4 + v->payload_len / STORE_CELL_BYTES + 1 ||
	    overlaps(f, h, v->seq, end))
		return false;
	for (uint32_t at = 0; at < v->payload_len; at += (uint32_t)sizeof bytes) {
		uint32_t n = v->payload_len - at;

		if (n > sizeof bytes)
			n = sizeof bytes;
		view_payload_copy(p, v, at, n, bytes);
		keep(&k, v->seq + at, bytes, n);
	}
	f->env.counters->event[EV_HELD_BYTES] += v->payload_len;
	return true;
}

/* --- deciding */

/* The bytes in order that were kept, put to f->head: how many. */
static size_t gather(struct front *f, const struct hand *h)
{
	uint32_t seq = h->base;
	size_t n = 0;

	for (uint32_t i = h->first; i != STORE_NONE;) {
		const struct cell *x = store_cell_const(f->store, i);

		if (x->seq.v != seq || n + x->len > f->head_room)
			break;
		memcpy(f->head + n, x->bytes, x->len);
		n += x->len;
		seq += x->len;
		i = x->next;
	}
	return n;
}

void read_choose(struct front *f, struct hand *h)
{
	const struct route_client client = { h->key[CLIENT].src, h->origin };
	struct request r;
	bool http;
	size_t n;

	if (!freeze(f, h)) {
		hand_arm(f, h, f->now + RETRY);
		return;
	}
	n = gather(f, h);
	http = request_read(f->head, n, f->cfg.head_max, &r) == REQUEST_OK;
	for (;;) {
		int b = route_choose(&f->cfg.routes, http ? &r : NULL, &client, ladder_alive(f, h),
				     h->tried);
		enum front_rung rung;

		if (b < 0)
			break;
		rung = ladder_rung(f, (uint32_t)b, h, RUNG_ADOPT);
		if (rung != RUNG_NONE) {
			over_begin(f, h, (uint32_t)b, rung);
			return;
		}
		h->tried |= UINT64_C(1) << b;
	}
	/* what is no HTTP has no use for an answer of HTTP */
	read_refuse(f, h, http ? REFUSE_503 : REFUSE_CLOSE);
}

static bool has_closed(const struct front *f, const struct hand *h)
{
	struct conn_info i;

	return stack_info(f->stack, h->conn, f->now, &i) == 0 && i.state == ST_CLOSE_WAIT;
}

static void read_head(struct front *f, struct hand *h)
{
	int n = stack_peek(f->stack, h->conn, f->head, f->cfg.head_max + 1);
	enum refusal bad = f->cfg.bad_close ? REFUSE_CLOSE : REFUSE_400;
	enum request_result what;
	struct request r;

	if (n == -EAGAIN)
		return;
	if (n <= 0) { /* closed, or reset, without a word */
		if (n < 0)
			over_forget(f, h);
		else
			read_refuse(f, h, REFUSE_CLOSE);
		return;
	}
	if (f->head[0] == TLS_HANDSHAKE) { /* no key is here: who matches whatever comes has it */
		read_choose(f, h);
		return;
	}
	what = request_read(f->head, (size_t)n, f->cfg.head_max, &r);
	switch (what) {
	case REQUEST_MORE:
		if (has_closed(f, h))
			read_refuse(f, h, bad);
		else if ((uint32_t)n + f->mtu > f->rcvbuf) /* what is missing finds no room */
			read_refuse(f, h, REFUSE_431);
		return;
	case REQUEST_OK:
		read_choose(f, h);
		return;
	case REQUEST_BAD:
	case REQUEST_TOO_LARGE:
		if (route_takes_all(&f->cfg.routes, h->origin)) /* whatever it is */
			read_choose(f, h);
		else
			read_refuse(f, h, what == REQUEST_BAD ? bad : REFUSE_431);
		return;
	}
}

/* --- events */

void read_event(struct front *f, struct hand *h, uint32_t events)
{
	if (h->state == FR_READING) {
		if (events & CONN_ERROR) {
			count_event(&f->env, EV_CLIENT_LEFT);
			over_forget(f, h);
		} else if (events & CONN_READABLE) {
			read_head(f, h);
		}
		return;
	}
	if (h->state != FR_ANSWERED)
		return;
	if (events & (CONN_ERROR | CONN_CLOSED))
		over_forget(f, h);
	else if (events & CONN_READABLE)
		drain_input(
			f, h); /* what still comes is not looked at: a reset would eat the answer */
}

void read_expired(struct front *f, struct hand *h)
{
	if (h->state == FR_ANSWERED) {
		over_forget(f, h);
		return;
	}
	if (f->now - h->born < f->cfg.head_timeout) { /* there was no room to take it out */
		hand_arm(f, h, h->born + f->cfg.head_timeout);
		if (route_asks_nothing(&f->cfg.routes, h->origin))
			read_choose(f, h);
		else
			read_head(f, h);
		return;
	}
	read_refuse(f, h,
		    stack_peek(f->stack, h->conn, f->head, 1) > 0 ? REFUSE_408 : REFUSE_CLOSE);
}

/* What the stack has to tell. */
void read_stack(struct front *f)
{
	struct conn_ready r;

	while (stack_next(f->stack, &r)) {
		struct hand *h;

		if (r.events & CONN_ACCEPTABLE) {
			read_accept(f, r.id, (unsigned)r.user);
			continue;
		}
		h = hand_by_id(f, (uint32_t)r.user);
		if (h != NULL && h->conn == r.id)
			read_event(f, h, r.events);
	}
}
