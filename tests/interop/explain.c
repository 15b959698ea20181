/* SPDX-License-Identifier: MIT */
#include "explain.h"

#include "base/be.h"

static const char *const names[ROW_COUNT] = {
	[ROW_SACK] = "SACK, D-SACK",
	[ROW_TIMESTAMPS] = "timestamps",
	[ROW_SYNACK] = "SYN-ACK repeated after establishment",
	[ROW_NO_ACK] = "RST or another segment without ACK from S",
	[ROW_LATE_SYN] = "late duplicate SYN",
	[ROW_FORGED_SYN] = "SYN with another ISN on a live flow",
	[ROW_EARLY_ACK] = "first ACK before S's SYN-ACK",
	[ROW_HALF_OPEN] = "ACK of the half-open secondary",
	[ROW_AHEAD] = "ack of what S has not sent",
	[ROW_IP_OPTIONS] = "IP options",
	[ROW_FRAGMENTS] = "fragments",
	[ROW_VLAN] = "802.1Q, IPv6 with extension headers",
	[ROW_BAD_SUM] = "wrong checksum on input",
	[ROW_ICMP] = "ICMP errors about the connection",
};

/* Fields in which two frames differ. */
enum { F_SEQ = 1, F_ACK = 2, F_SUM = 4, F_TSVAL = 8, F_TSECR = 16, F_SACK = 32, F_OTHER = 64 };

const char *explain_row_name(enum row r)
{
	return names[r];
}

static void taint(struct explain *e, uint16_t flow, enum row r)
{
	if (e->taint[flow] == 0)
		e->taint[flow] = (uint8_t)(r + 1);
}

void explain_see(struct explain *e, const struct step *st, const struct ideal *m)
{
	const struct seg *g = &st->g;

	if (st->kind != STEP_TCP || (g->vlans && g->outer_q) || g->vlans == 1 || g->ip6)
		return;
	if (g->from == CLIENT && (g->flags & SYN) && m->syn && g->frag == NOT_FRAG && m->known)
		taint(e, g->flow, g->seq == m->c ? ROW_LATE_SYN : ROW_FORGED_SYN);
	else if (g->from == CLIENT && (g->flags & ACK) && m->syn && !m->far_known)
		taint(e, g->flow, ROW_EARLY_ACK);
	else if (g->from == CLIENT && (g->flags & SYN) && g->frag == FRAG_LATER)
		taint(e, g->flow, ROW_FRAGMENTS);
}

/* Where the option of this kind is in the TCP header at t; 0: nowhere.  The options of these tests are well-formed. */
static unsigned option(const uint8_t *t, uint8_t kind)
{
	unsigned end = (t[12] >> 4) * 4u, i = 20;

	while (i < end && t[i] != kind)
		i += t[i] <= 1 ? 1 : t[i + 1];
	return i < end ? i : 0;
}

static unsigned field_of(const uint8_t *t, unsigned at)
{
	unsigned ts = option(t, 8), sack = option(t, 5);

	if (at >= 4 && at < 8)
		return F_SEQ;
	if (at >= 8 && at < 12)
		return F_ACK;
	if (at == 16 || at == 17)
		return F_SUM;
	if (ts && at >= ts + 2 && at < ts + 10)
		return at < ts + 6 ? F_TSVAL : F_TSECR;
	if (sack && at >= sack && at < sack + t[sack + 1])
		return F_SACK;
	return F_OTHER;
}

/* The fields in which the answers differ, where each is one frame of the same length; -1: they are more unlike than that. */
static int fields(const struct outs *a, const struct outs *b, unsigned tcp)
{
	unsigned set = 0;

	if (a->n != 1 || b->n != 1 || a->o[0].side != b->o[0].side || a->o[0].len != b->o[0].len)
		return -1;
	for (unsigned i = 0; i < a->o[0].len; i++)
		if (a->o[0].bytes[i] != b->o[0].bytes[i])
			set |= i < tcp ? F_OTHER : field_of(a->o[0].bytes + tcp, i - tcp);
	return (int)set;
}

/* Only these fields, apart from the checksum that follows them. */
static bool only(int got, unsigned allowed)
{
	return got >= 0 && ((unsigned)got & ~(allowed | F_SUM)) == 0;
}

/* By what the frame is. */
static int by_kind(const struct explain *e, const struct step *st)
{
	const struct seg *g = &st->g;

	if (st->kind == STEP_ICMP)
		return ROW_ICMP;
	if (g->vlans == 1 || g->outer_q || g->ip6)
		return ROW_VLAN;
	if (g->frag != NOT_FRAG)
		return ROW_FRAGMENTS;
	if (g->ip_options)
		return ROW_IP_OPTIONS;
	return e->taint[g->flow] ? e->taint[g->flow] - 1 : -1;
}

/* By the fields that differ. */
static int by_fields(const struct step *st, int f)
{
	const struct seg *g = &st->g;
	unsigned stamps = g->ts ? F_TSVAL | F_TSECR : 0;

	if (g->from == SECONDARY && (g->flags & (SYN | ACK)) == (SYN | ACK) &&
	    only(f, F_SEQ | stamps))
		return ROW_SYNACK;
	if (g->from == SECONDARY && !(g->flags & ACK) && only(f, F_SEQ | stamps))
		return ROW_NO_ACK;
	if (g->bad_sum && only(f, stamps))
		return ROW_BAD_SUM;
	if (g->from == CLIENT && ((unsigned)f & F_ACK) && only(f, F_ACK | F_SACK | stamps))
		return ROW_AHEAD;
	if (g->sacks && g->from == CLIENT && only(f, F_SACK | stamps))
		return ROW_SACK;
	if (stamps && only(f, stamps))
		return ROW_TIMESTAMPS;
	return -1;
}

/* By how many frames come out. */
static int by_number(const struct step *st, const struct ideal *m, const struct outs *ours)
{
	if (!m->known)
		return st->g.from == SECONDARY || m->n_held > 0 ? ROW_HALF_OPEN : ROW_EARLY_ACK;
	return st->g.from == SECONDARY && m->owed && ours->n == 2 ? ROW_AHEAD : -1;
}

const char *explain_step(void *ctx, const struct step *st, const struct ideal *m,
			 const struct outs *theirs, const struct outs *ours)
{
	struct explain *e = ctx;
	unsigned l4 = 14 + st->g.vlans * 4u + (st->g.ip6 ? 40 : 20u + st->g.ip_options);
	int f = fields(theirs, ours, l4), row = by_kind(e, st);

	if (row < 0)
		row = f >= 0 ? by_fields(st, f) : by_number(st, m, ours);
	if (row < 0)
		return NULL;
	e->count[row]++;
	return names[row];
}
