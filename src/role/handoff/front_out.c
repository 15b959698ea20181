/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "role/handoff/front_inside.h"

/*
 * What the role makes itself: the stack's packets, segments as the client, messages.  An outbox holds OUTBOX_MADE of them; what is more goes to
 * a second one (`over`), which is emptied first of all in the next call, and deadline() is due at once while something is in it.  Passing packets never
 * wait: so a segment of the client may overtake what is sent in its name, never the reverse.
 *
 * The stack knows no link addresses.  Its packets go back to where the packet in hand came from, else as the hand-off's client came in, else as
 * the last packet of that address came in.
 */

#define LINE_MAX 1400u

unsigned back_port(const struct front *f)
{
	return front_joined(f, FRONT_BACKEND) ? FRONT_BACKEND : FRONT_CLIENT;
}

struct outbox *front_box(struct front *f)
{
	bool waits = f->over_at < f->over->n;

	return waits || outbox_room_made(f->out) == 0 ? f->over : f->out;
}

bool front_room(struct front *f, unsigned packets)
{
	bool room = f->over_at == f->over->n && outbox_room_made(f->out) >= packets;

	f->held_up |= !room;
	return room;
}

void front_drain(struct front *f)
{
	struct outbox *o = f->over;

	while (f->over_at < o->n) {
		const struct packet *from = o->pkt[f->over_at];
		struct packet *p = outbox_make(f->out, o->port[f->over_at], from->head_len);

		if (p == NULL)
			return;
		memcpy(p->head, from->head, from->head_len);
		p->off = from->off;
		f->over_at++;
	}
	outbox_clear(o);
	f->over_at = 0;
}

/* --- messages */

void front_say(struct front *f, unsigned port, const char *text, size_t len)
{
	struct packet *p;

	if (!front_joined(f, port))
		return;
	p = outbox_make(front_box(f), port, (uint32_t)len);
	if (p != NULL)
		memcpy(p->head, text, len);
	else
		count_drop(&f->env, R_OUTBOX_FULL); /* whoever needs an answer asks again */
}

void front_sayf(struct front *f, unsigned port, const char *fmt, ...)
{
	char text[LINE_MAX];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	front_say(f, port, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

void front_tell_agent(struct front *f, uint32_t b, const struct hand_msg *m)
{
	const char *name = backend_cfg(f, b)->name;
	char text[LINE_MAX];
	size_t n = 0;

	if (f->backend[b].deaf)
		return;
	while (name[n] != 0) {
		text[n] = name[n];
		n++;
	}
	text[n++] = ' ';
	n += hand_msg_write(m, text + n);
	front_say(f, FRONT_AGENTS, text, n);
}

/* --- how addresses are reached */

static struct reach *reach_slot(const struct front *f, const uint8_t ip[16])
{
	uint64_t x = hash_fold(mem_load64(ip) ^ f->table_key.k[0],
			       mem_load64(ip + 8) ^ f->table_key.k[1]);

	return &f->reach[x % REACHES];
}

void reach_note(struct front *f, const struct packet *p, const struct view *v)
{
	uint8_t src[16], dst[16];
	struct reach *r;

	view_addrs(p, v, src, dst);
	r = reach_slot(f, src);
	if (v->l3 > sizeof r->eth)
		return;
	memcpy(r->ip, src, 16);
	memcpy(r->eth, p->head, v->l3);
	r->eth_len = (uint8_t)v->l3;
}

/* An IP packet's ends as its receiver's packets have them, where it is TCP. */
static bool answer_key(const struct stack_out *o, struct way_key *ret_k)
{
	const uint8_t *h = o->head;
	bool v4 = h[0] >> 4 == 4;
	struct way_key k = { 0 };

	if (v4) {
		ip4_map(h + 12, k.dst);
		ip4_map(h + 16, k.src);
	} else {
		memcpy(k.dst, h + 8, 16);
		memcpy(k.src, h + 24, 16);
	}
	if (h[v4 ? 9 : 6] == IP_TCP) {
		memcpy(&k.dport, h + (v4 ? 20 : 40), 2);
		memcpy(&k.sport, h + (v4 ? 22 : 42), 2);
	}
	*ret_k = k;
	return h[v4 ? 9 : 6] == IP_TCP;
}

/* The link header with which k's sender sends; NULL: not known. */
static const uint8_t *eth_of(struct front *f, const struct way_key *k, bool tcp, uint8_t *ret_len)
{
	uint8_t src[16], dst[16];
	const struct reach *r;
	const struct hand *h;
	enum side side;

	if (f->cur != NULL) {
		view_addrs(f->cur, f->cur_view, src, dst);
		if (memcmp(src, k->src, 16) == 0) {
			*ret_len = (uint8_t)f->cur_view->l3;
			return f->cur->head;
		}
	}
	h = tcp ? hand_find(f, k, &side) : NULL;
	if (h != NULL && h->lane.eth_len != 0) {
		*ret_len = h->lane.eth_len;
		return h->lane.eth;
	}
	r = reach_slot(f, k->src);
	*ret_len = r->eth_len;
	return r->eth_len != 0 && memcmp(r->ip, k->src, 16) == 0 ? r->eth : NULL;
}

int front_emit(void *ctx, const struct stack_out *o)
{
	struct front *f = ctx;
	const uint8_t *eth;
	struct way_key k;
	struct packet *p;
	uint8_t len = 0, *at;
	bool tcp = answer_key(o, &k);

	eth = eth_of(f, &k, tcp, &len);
	if (eth == NULL) {
		count_drop(&f->env, R_NOT_REACHED);
		return -EHOSTUNREACH;
	}
	p = outbox_make(front_box(f), FRONT_CLIENT, len + o->head_len + o->payload_len);
	if (p == NULL) { /* TCP sends it again */
		count_drop(&f->env, R_OUTBOX_FULL);
		return -ENOBUFS;
	}
	memcpy(p->head, eth + 6, 6);
	memcpy(p->head + 6, eth, 6);
	memcpy(p->head + 12, eth + 12, len - 12u);
	at = p->head + len;
	memcpy(at, o->head, o->head_len);
	at += o->head_len;
	for (uint32_t i = 0; i < o->n; i++) {
		memcpy(at, o->slice[i].bytes, o->slice[i].len);
		at += o->slice[i].len;
	}
	return 0;
}
