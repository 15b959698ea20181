/* SPDX-License-Identifier: MIT */
/* verify - whether a packet went out with the numbers that it came in with, shifted as all others are. */
#include "app/pairing.h"
#include "core/seam.h"

#define AT_ONCE SUT_MS(1) /* one that was kept longer may have left with a newer window */

/* Both sights of a step, and the way between them. */
struct both {
	const struct sight *near, *far, *in, *out;
	enum sut_side sender, peer;
	bool from_near; /* came in at the near half */
};

static void fault(struct pairing *p, struct step *t, enum fault f)
{
	if (step_has(t, f))
		return;
	t->faults |= (uint16_t)(1u << f);
	p->faults[f]++;
}

/* Is far = near + shift?  The first pair says what it is, where that is not known. */
static void check(struct pairing *p, struct step *t, const struct both *b, enum fault f,
		  struct pairing_shift *shift, uint32_t near, uint32_t far)
{
	uint32_t by = far - near;

	if (!shift->known) {
		shift->known = true;
		shift->by = by;
	}
	if (by == shift->by) {
		shift->agreed++;
		return;
	}
	fault(p, t, f);
	t->off[f] = (int32_t)(b->from_near ? by - shift->by : shift->by - by);
}

/*
 * A reset that answers a SYN has no number of its own.  Of a duplicate SYN or of what was picked up while no shift was known,
 * nothing can be said.
 */
static void check_seq(struct pairing *p, struct step *t, const struct both *b)
{
	if (b->in->icmp != ICMP_OTHER) {
		if (p->seq[b->sender].known)
			check(p, t, b, FAULT_QUOTE, &p->seq[b->sender], b->near->seq, b->far->seq);
		return;
	}
	if ((b->in->flags & TCP_RST) && b->near->seq == 0 && b->far->seq == 0)
		return;
	/* a part of a whole begins elsewhere */
	if (p->seq[b->sender].known && b->in->len == b->out->len)
		check(p, t, b, FAULT_SEQ, &p->seq[b->sender], sight_data(b->near),
		      sight_data(b->far));
}

static void check_ack(struct pairing *p, struct step *t, const struct both *b)
{
	if (!(b->near->flags & b->far->flags & TCP_ACK) || !p->seq[b->peer].known)
		return;
	if ((b->in->flags & TCP_RST) && b->near->ack == b->far->ack && b->near->ack == 0)
		return;
	check(p, t, b, FAULT_ACK, &p->seq[b->peer], b->near->ack, b->far->ack);
}

/* While the server is in SYN-RECEIVED, a TSecr may be held to what its SYN-ACKs had. */
static bool is_synack_ts(const struct pairing *p, const struct both *b)
{
	return b->sender == NEAR && (p->synacks >> FAR & 1) &&
	       (b->far->tsecr == p->synack_ts[FAR] || b->far->tsecr == p->synack_last);
}

/* Of what was held and came again the first copy leaves, with its older clock. */
static bool is_first_copy(const struct pairing *p, const struct step *t, const struct both *b)
{
	return p->promised && b->sender == NEAR && notes_have(&t->n[NEAR], NOTE_RETRANSMIT) &&
	       p->ts[NEAR].known && (int32_t)(b->far->tsval - b->near->tsval - p->ts[NEAR].by) < 0;
}

static void check_ts(struct pairing *p, struct step *t, const struct both *b)
{
	if (!(b->near->present & b->far->present & OPT_TS) ||
	    ((b->near->flags ^ b->far->flags) & TCP_SYN)) /* it is not the clock of its data */
		return;
	if (!is_first_copy(p, t, b))
		check(p, t, b, FAULT_TSVAL, &p->ts[b->sender], b->near->tsval, b->far->tsval);
	if ((b->near->flags & b->far->flags & TCP_ACK) && p->ts[b->peer].known &&
	    !is_synack_ts(p, b))
		check(p, t, b, FAULT_TSECR, &p->ts[b->peer], b->near->tsecr, b->far->tsecr);
}

static void check_sack(struct pairing *p, struct step *t, const struct both *b)
{
	if (b->near->sack_count == 0 || b->near->sack_count != b->far->sack_count ||
	    !p->seq[b->peer].known)
		return;
	for (unsigned i = 0; i < b->near->sack_count; i++)
		for (unsigned edge = 0; edge < 2; edge++)
			check(p, t, b, FAULT_SACK, &p->seq[b->peer], b->near->sack[i][edge],
			      b->far->sack[i][edge]);
}

/* The scale of this sender's windows in a half: false where it is not known. */
static bool scale_of(const struct pairing *p, enum sut_side half, enum sut_side sender,
		     uint8_t *ret_scale)
{
	const struct reading_way *w = p->reading[half].way;

	if (!w[NEAR].syn || !w[FAR].syn || w[NEAR].syn_cut || w[FAR].syn_cut)
		return false;
	*ret_scale = w[NEAR].scaled && w[FAR].scaled ? w[sender].scale : 0;
	return true;
}

static void check_window(struct pairing *p, struct step *t, const struct both *b)
{
	enum sut_side in = step_in(t);
	uint8_t from, to;

	if ((b->in->flags & (TCP_SYN | TCP_RST)) || b->out->at > b->in->at + AT_ONCE ||
	    t->fate != FATE_PASSED || !scale_of(p, in, b->sender, &from) ||
	    !scale_of(p, side_other(in), b->sender, &to))
		return;
	if (b->out->window != seam_window(b->in->window, from, to))
		fault(p, t, FAULT_WINDOW);
}

static void check_content(struct pairing *p, struct step *t, const struct both *b)
{
	uint8_t both = b->in->marks & b->out->marks;

	/* what is put together or cut may lose PSH and FIN here, to have them there */
	if (b->in->len == b->out->len &&
	    ((b->in->flags ^ b->out->flags) & (TCP_FIN | TCP_RST | TCP_URG)))
		fault(p, t, FAULT_FLAGS);
	if (b->in->len == b->out->len && (both & SIGHT_HASHED) && b->in->hash != b->out->hash)
		fault(p, t, FAULT_PAYLOAD);
	if ((b->out->marks & SIGHT_BAD_CSUM) && !(b->in->marks & (SIGHT_BAD_CSUM | SIGHT_CUT)))
		fault(p, t, FAULT_CHECKSUM);
}

void pairing_verify(struct pairing *p, struct step *t)
{
	enum sut_side in = step_in(t);
	struct both b = {
		.near = &t->s[NEAR],
		.far = &t->s[FAR],
		.in = &t->s[in],
		.out = &t->s[side_other(in)],
		.sender = (enum sut_side)t->sender,
		.peer = side_other((enum sut_side)t->sender),
		.from_near = in == NEAR,
	};

	p->pairs++;
	check_seq(p, t, &b);
	if (b.in->icmp != ICMP_OTHER)
		return;
	check_ack(p, t, &b);
	check_ts(p, t, &b);
	check_sack(p, t, &b);
	check_window(p, t, &b);
	check_content(p, t, &b);
}
