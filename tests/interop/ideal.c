/* SPDX-License-Identifier: MIT */
#include "ideal.h"

#include <assert.h>

static bool before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static uint32_t later(uint32_t a, uint32_t b)
{
	return before(a, b) ? b : a;
}

static uint32_t seg_end(const struct seg *g)
{
	return g->seq + g->len + !!(g->flags & FIN) + !!(g->flags & SYN);
}

static void out(struct segs *o, const struct seg *g)
{
	assert(o->n < IDEAL_OUT);
	o->s[o->n++] = *g;
}

static void hold(struct ideal *m, const struct seg *g)
{
	assert(m->n_held < IDEAL_HELD);
	m->held[m->n_held++] = *g;
}

/* The client acknowledges more than the secondary has sent: that is told later. */
static void lower(struct ideal *m, struct seg *g)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < g->sacks; i++) {
		if (before(m->sent, g->sack[i][1]))
			continue;
		g->sack[kept][0] = g->sack[i][0];
		g->sack[kept++][1] = g->sack[i][1];
	}
	if (kept < g->sacks) {
		/* the option's head goes with the last block */
		g->sack_nops = (uint8_t)((g->sacks - kept) * 8 + (kept == 0 ? 2 : 0) +
					 (kept == 0 ? 2 : 0));
		g->sacks = (uint8_t)kept;
	}
	if (!before(m->sent, g->ack))
		return;
	if (!(g->flags & RST) && !(m->owed && before(g->ack, m->owing.ack))) {
		m->owed = true;
		m->owing = *g;
	}
	g->ack = m->sent;
}

/* Until the secondary has left its handshake it takes no echo but of its SYN-ACKs. */
static void echo(const struct ideal *m, struct seg *g)
{
	if (m->talks)
		return;
	if (before(g->tsecr, m->clock_first))
		g->tsecr = m->clock_first;
	else if (before(m->clock_last, g->tsecr))
		g->tsecr = m->clock_last;
}

/* What taught was not the client's first segment: g is, which was overtaken.  What that one acknowledged is owed. */
static void correct(struct ideal *m, const struct seg *g)
{
	uint32_t by = m->p + 1 - g->ack;

	if (g->seq != m->c + 1 || g->len > 0 || g->flags != ACK || g->sacks > 0 || by == 0 ||
	    by > 1u << 24)
		return;
	m->p -= by;
	m->d += by;
	if (!m->owed) {
		m->owed = true;
		m->owing = *g;
		m->owing.ack = m->s + 1 + by;
		m->owing.tsecr += m->e;
	}
}

static void to_secondary(struct ideal *m, struct seg g, struct segs *o)
{
	if ((g.flags & SYN) || !(g.flags & ACK)) {
		if ((g.flags & SYN) && g.seq != m->c) {
			m->pending = true;
			m->pending_isn = g.seq;
		}
		out(o, &g);
		return;
	}
	correct(m, &g);
	g.ack += m->d;
	for (unsigned i = 0; i < g.sacks; i++) {
		g.sack[i][0] += m->d;
		g.sack[i][1] += m->d;
	}
	if (g.ts && m->ts)
		g.tsecr += m->e;
	m->end = later(m->end, seg_end(&g));
	lower(m, &g);
	if (g.ts && m->ts)
		echo(m, &g);
	m->told = later(m->told, g.ack);
	out(o, &g);
}

/* The secondary has sent more: as much as can be of what it is owed. */
static void pay(struct ideal *m, struct segs *o)
{
	struct seg g = m->owing;
	uint32_t to = before(m->sent, g.ack) ? m->sent : g.ack;

	if (!m->owed)
		return;
	if (before(m->told, to)) {
		struct seg ack = {
			.from = CLIENT,
			.flags = ACK,
			.seq = m->end,
			.ack = to,
			.win = g.win,
			.ts = g.ts,
			.tsval = g.tsval,
			.tsecr = g.tsecr,
			.made = true,
			.flow = g.flow,
			.ip6 = g.ip6,
			.vlans = g.vlans,
			.vid = g.vid,
			.outer_q = g.outer_q,
		};

		out(o, &ack);
		m->told = to;
	}
	m->owed = before(m->sent, g.ack);
}

static void to_client(struct ideal *m, struct seg g, struct segs *o)
{
	m->sent = later(m->sent, seg_end(&g));
	if (!(g.flags & SYN) && (g.len > 0 || (g.flags & FIN) || before(m->c + 1, g.ack)))
		m->talks = true;
	if ((g.flags & SYN) && g.ts)
		m->clock_last = g.tsval;
	if (!(g.seq == 0 && (g.flags & (RST | ACK)) == (RST | ACK)))
		g.seq -= m->d;
	if (g.ts && m->ts)
		g.tsval -= m->e;
	out(o, &g);
	pay(m, o);
}

static bool teaches(const struct ideal *m, const struct seg *g)
{
	return g->from == CLIENT && (g->flags & ACK) && g->seq == m->c + 1 && g->sacks == 0;
}

static void learn(struct ideal *m, const struct seg *teacher)
{
	m->known = true;
	m->p = teacher->ack - 1;
	m->d = m->s - m->p;
	m->ts = m->ts && teacher->ts;
	m->e = m->ts ? m->clock_first - teacher->tsecr : 0;
	m->sent = m->told = m->s + 1;
	m->end = m->c + 1;
}

static void release(struct ideal *m, struct segs *o)
{
	for (unsigned i = 0; i < m->n_held; i++) {
		if (m->held[i].from == CLIENT)
			to_secondary(m, m->held[i], o);
		else
			to_client(m, m->held[i], o);
	}
	m->n_held = 0;
}

static void half_client(struct ideal *m, const struct seg *g, struct segs *o)
{
	if (!(g->flags & ACK)) {
		if ((g->flags & SYN) && g->seq != m->c) {
			m->pending = true;
			m->pending_isn = g->seq;
		}
		out(o, g);
	} else if (m->early > 0 && g->seq == m->c + 1 + m->early) {
		m->forgotten = true; /* its ack may cover what the primary answered */
		out(o, g);
	} else if (m->far_known && teaches(m, g)) {
		learn(m, g);
		to_secondary(m, *g, o);
		release(m, o);
	} else {
		hold(m, g);
	}
}

static void half_secondary(struct ideal *m, const struct seg *g, struct segs *o)
{
	if (!(g->flags & SYN)) {
		if (!m->far_known && m->n_held == 0) {
			m->forgotten = true; /* it lives in an older connection */
			out(o, g);
			return;
		}
		if (g->seq == 0 && (g->flags & RST)) {
			m->forgotten = true;
			out(o, g);
		} else {
			hold(m, g);
		}
		return;
	}
	if (!m->far_known || m->s != g->seq) {
		m->clock_first = g->tsval;
		m->ts = g->ts;
	}
	m->clock_last = g->tsval;
	m->far_known = true;
	m->s = g->seq;
	for (unsigned i = 0; i < m->n_held; i++) {
		if (!teaches(m, &m->held[i]))
			continue;
		learn(m, &m->held[i]);
		to_client(m, *g, o);
		release(m, o);
		return;
	}
	out(o, g);
}

/* A SYN of the client that begins the connection, or another one when the first is over. */
static bool begins(const struct ideal *m, const struct seg *g)
{
	return g->from == CLIENT && (g->flags & (SYN | ACK)) == SYN && (!m->syn || m->forgotten);
}

void ideal_step(struct ideal *m, const struct seg *g, struct segs *ret_s)
{
	ret_s->n = 0;
	if (begins(m, g)) {
		*m = (struct ideal){ .syn = true, .c = g->seq, .early = g->len };
		out(ret_s, g);
	} else if (m->pending && (g->flags & (SYN | ACK)) == (SYN | ACK) &&
		   g->ack == m->pending_isn + 1) {
		*m = (struct ideal){ .syn = true, .c = m->pending_isn };
		half_secondary(m, g, ret_s);
	} else if (!m->syn || m->forgotten || g->frag != NOT_FRAG) {
		out(ret_s, g);
	} else if (m->known) {
		if (g->from == CLIENT)
			to_secondary(m, *g, ret_s);
		else
			to_client(m, *g, ret_s);
	} else if (g->from == CLIENT) {
		half_client(m, g, ret_s);
	} else {
		half_secondary(m, g, ret_s);
	}
}

void ideal_give_up(struct ideal *m, struct segs *ret_s)
{
	ret_s->n = 0;
	for (unsigned i = 0; i < m->n_held; i++)
		out(ret_s, &m->held[i]);
	m->n_held = 0;
	m->forgotten = true;
}
