/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * What a hand-off owes is bits of a debt, paid in the order of the bits as the outbox has room; hand-offs in debt stand in a queue.
 * So a full outbox loses nothing, and there is one way in which ways and messages are written.  Before a debt is paid it may
 * have become another one: a state that changed twice is told once, as it is then.
 *
 * A data plane that is joined is told in lines; our own is called.  It cannot end a socket of the host's, so it sends a reset as the
 * client, by the number that the host waits for.
 */
#include <string.h>

#include "role/handoff/back_inside.h"

static void debt_add(struct back *b, struct back_hand *h)
{
	uint32_t i = back_hand_slot(b, h) + 1;

	if (h->in_debt)
		return;
	h->in_debt = true;
	h->next_debt = 0;
	if (b->debt_last)
		back_hand_at(b, b->debt_last - 1)->next_debt = i;
	else
		b->debt_first = i;
	b->debt_last = i;
}

void back_owe(struct back *b, struct back_hand *h, unsigned debts)
{
	if (h->news && (debts & (DEBT_STATE | DEBT_FREE))) {
		h->news = false;
		debts |= DEBT_STATE;
	}
	h->owes = (uint16_t)(h->owes | debts);
	if (debts & DEBT_DEL)
		h->owes = (uint16_t)(h->owes & ~(unsigned)(DEBT_WAYS | DEBT_WATCH | DEBT_LOOK));
	debt_add(b, h);
}

void back_news(struct back_turn *t, struct back_hand *h)
{
	struct back *b = t->b;

	if (b->cfg.tell_after == 0) {
		back_owe(b, h, DEBT_STATE);
		return;
	}
	if (h->news)
		return;
	if (b->n_news == BACK_NEWS_MAX)
		back_news_due(b);
	if (b->n_news == 0)
		b->news_at = t->now + b->cfg.tell_after;
	h->news = true;
	b->news[b->n_news++] = back_hand_slot(b, h);
}

void back_news_due(struct back *b)
{
	uint32_t n = b->n_news;

	b->n_news = 0;
	for (uint32_t i = 0; i < n; i++) {
		struct back_hand *h = back_hand_at(b, b->news[i]);

		if (!h->used || !h->news)
			continue;
		h->news = false;
		back_owe(b, h, DEBT_STATE);
	}
}

/* A line written. */

static bool write_line(struct back_turn *t, const struct way_line *l)
{
	char text[WAY_LINE_MAX];
	size_t n = way_line_write(l, text);
	struct packet *p = outbox_make(t->out, BACK_PLANE, (uint32_t)n);

	if (p)
		memcpy(p->head, text, n);
	return p;
}

/* The number that the host waits for. */
static uint32_t next_seq(struct back_turn *t, struct back_hand *h)
{
	const struct way *w = plane_get(back_plane(t->b), &h->in);

	if (h->rst_told)
		return h->rst_seq;
	if (!w)
		return h->seq + 1;
	return w->expect + (w->flags & WAY_UNLEARNT ? 1 : 0);
}

/* The host's socket ends: a reset as its client. */
static bool reset_host(struct back_turn *t, const struct way_key *in)
{
	struct way_key out;
	struct back_hand *h;
	struct make_tcp m = { .flags = TCP_RST };

	(void)back_quad(t->b, in, &out);
	h = back_hand_by_quad(t->b, &out);
	if (!h || !h->has_lane || !back_joined(t->b, BACK_HOST))
		return true; /* it was never heard of */
	m.seq = next_seq(t, h);
	if (!make_tcp(t->out, BACK_HOST, &h->lane, &m))
		return false;
	h->rst_told = false;
	count_event(t->b->env, EV_RST_SENT);
	return true;
}

static bool do_line(struct back_turn *t, const struct way_line *l)
{
	struct plane *pl = back_plane(t->b);

	switch (l->kind) {
	case WAY_LINE_SET:
		(void)plane_set(pl, &l->key, &l->way, t->now);
		break;
	case WAY_LINE_AMEND:
		(void)plane_amend(pl, &l->key, &l->way);
		break;
	case WAY_LINE_DEL:
		(void)plane_del(pl, &l->key);
		break;
	case WAY_LINE_DESTROY:
		return reset_host(t, &l->key);
	case WAY_LINE_LOOK:
	case WAY_LINE_LIST:
	case WAY_LINE_SEEN:
	case WAY_LINE_HAVE:
	case WAY_LINE_NONE:
	case WAY_LINE_END:
	case WAY_LINE_EVENT:
		break;
	}
	return true;
}

bool back_way_line(struct back_turn *t, const struct way_line *l)
{
	return back_inline(t->b) ? do_line(t, l) : write_line(t, l);
}

void back_way_close(struct back_turn *t, const struct back_hand *h)
{
	struct way_line l = { .kind = WAY_LINE_DEL, .key = h->in };

	if (!back_way_line(t, &l))
		count_drop(t->b->env, R_OUTBOX_FULL);
}

/* The ways of a hand-off. */

static bool same_end(const uint8_t a[16], uint16_t ap, const uint8_t b[16], uint16_t bp)
{
	return ap == bp && memcmp(a, b, 16) == 0;
}

static void way_in(const struct back_hand *h, struct way *w)
{
	*w = (struct way){ .act = WAY_HOST,
			   .id = h->way_id,
			   .origin = h->origin,
			   .expect = h->seq,
			   .mate = h->out };
	if (h->kind == BACK_ADOPT) {
		w->flags = WAY_EXPECT | WAY_ADOPT;
		/* A clock that begins behind the front end's would be eaten by PAWS (RFC 7323, 5.3). */
		w->attrs = (struct way_attrs){ .rcv_tsecr = h->options & WAY_OPT_TS
								    ? h->front_tsval + 1
								    : 0,
					       .mss = h->mss,
					       .snd_wscale = h->snd_wscale,
					       .rcv_wscale = h->rcv_wscale,
					       .options = h->options };
	} else {
		w->flags = WAY_UNLEARNT;
	}
	if (!same_end(h->in.dst, h->in.dport, h->out.src, h->out.sport)) {
		w->flags |= WAY_DST;
		memcpy(w->new_dst, h->out.src, 16);
		w->new_dport = h->out.sport;
	}
}

static void way_out(const struct back *b, const struct back_hand *h, struct way *w)
{
	const struct way_origin *o = &b->cfg.origin[h->origin];

	*w = (struct way){ .act = WAY_HOST,
			   .id = h->way_id,
			   .origin = h->origin,
			   .flags = WAY_WATCH | (h->muted ? WAY_MUTE : 0u),
			   .end = h->end,
			   .mate = h->in };
	if (h->kind != BACK_ADOPT) {
		w->flags |= WAY_LEARN;
		w->front_seq = h->front_seq;
		w->front_tsval = h->front_tsval;
		w->front_wscale = h->wscale;
	}
	if (!same_end(o->ip, o->port, h->out.src, h->out.sport)) {
		w->flags |= WAY_SRC;
		memcpy(w->new_src, o->ip, 16);
		w->new_sport = o->port;
	}
}

/* Both lines, or none. */
static bool two_lines(struct back_turn *t, const struct way_line *a, const struct way_line *b)
{
	if (!back_inline(t->b) && outbox_room_made(t->out) < 2)
		return false;
	return back_way_line(t, a) && back_way_line(t, b);
}

static bool pay_ways(struct back_turn *t, struct back_hand *h)
{
	struct way_line in = { .kind = WAY_LINE_SET, .key = h->in },
			out = { .kind = WAY_LINE_SET, .key = h->out };

	way_in(h, &in.way);
	way_out(t->b, h, &out.way);
	/* The host's first: its answer must find it. */
	return two_lines(t, &out, &in);
}

static bool pay_watch(struct back_turn *t, struct back_hand *h)
{
	uint32_t id = h->way_id;
	struct way_line in = { .kind = WAY_LINE_AMEND, .key = h->in, .way = { .id = id } },
			out = { .kind = WAY_LINE_AMEND,
				.key = h->out,
				.way = { .id = id, .flags = WAY_WATCH, .end = h->end } };

	return two_lines(t, &in, &out);
}

static bool pay_both(struct back_turn *t, struct back_hand *h, enum way_line_kind kind)
{
	struct way_line in = { .kind = kind, .key = h->in }, out = { .kind = kind, .key = h->out };

	return two_lines(t, &in, &out);
}

static bool pay_hush(struct back_turn *t, struct back_hand *h)
{
	struct way_line l = { .kind = WAY_LINE_AMEND, .key = h->out, .way = { .flags = WAY_MUTE } };

	return back_way_line(t, &l);
}

static bool pay_destroy(struct back_turn *t, struct back_hand *h)
{
	struct way_line l = { .kind = WAY_LINE_DESTROY, .key = h->in };

	/* as the host's TCP names its end */
	memcpy(l.key.dst, h->out.src, 16);
	l.key.dport = h->out.sport;
	return back_way_line(t, &l);
}

static bool pay_close(struct back_turn *t, struct back_hand *h)
{
	struct way_line l = { .kind = WAY_LINE_DEL, .key = h->in };

	return back_way_line(t, &l);
}

static bool pay_one(struct back_turn *t, struct back_hand *h, enum back_debt debt)
{
	switch (debt) {
	case DEBT_HUSH:
		return pay_hush(t, h);
	case DEBT_DESTROY:
		return pay_destroy(t, h);
	case DEBT_CLOSE:
		return pay_close(t, h);
	case DEBT_WAYS:
		return pay_ways(t, h);
	case DEBT_WATCH:
		return pay_watch(t, h);
	case DEBT_LOOK:
		return pay_both(t, h, WAY_LINE_LOOK);
	case DEBT_DEL:
		return pay_both(t, h, WAY_LINE_DEL);
	case DEBT_READY:
	case DEBT_REFUSED:
	case DEBT_STATE:
		return back_tell_hand(t, h, debt);
	case DEBT_FREE:
		return true;
	}
	return true;
}

/* False: there is no room for the rest. */
static bool pay_hand(struct back_turn *t, struct back_hand *h)
{
	while (h->owes) {
		unsigned debt = h->owes & (0u - h->owes);

		if (!pay_one(t, h, (enum back_debt)debt))
			return false;
		h->owes = (uint16_t)(h->owes & ~debt);
		if (debt == DEBT_FREE)
			break;
	}
	return true;
}

static bool pay_hands(struct back_turn *t)
{
	struct back *b = t->b;

	while (b->debt_first) {
		struct back_hand *h = back_hand_at(b, b->debt_first - 1);
		bool over = h->owes & DEBT_FREE;

		if (!pay_hand(t, h))
			return false;
		b->debt_first = h->next_debt;
		if (!b->debt_first)
			b->debt_last = 0;
		h->in_debt = false;
		if (over)
			back_hand_free(b, h);
	}
	return true;
}

bool back_owes(const struct back *b)
{
	if (b->debt_first || (!b->asked_list && !back_inline(b)))
		return true;
	for (uint32_t i = 0; i < b->fronts; i++)
		if (b->front[i].owes_host)
			return true;
	return false;
}

void back_pay(struct back_turn *t)
{
	struct way_line list = { .kind = WAY_LINE_LIST };
	struct back *b = t->b;
	struct hand_msg m;

	if (!b->asked_list && !back_inline(b)) {
		if (!back_way_line(t, &list))
			return;
		b->asked_list = b->listing = true;
	}
	if (!pay_hands(t))
		return;
	for (uint32_t i = 0; i < b->fronts; i++) {
		if (!b->front[i].owes_host)
			continue;
		back_host(b, &m);
		if (!back_tell(t, i + 1, &m))
			return;
		b->front[i].owes_host = false;
	}
}
