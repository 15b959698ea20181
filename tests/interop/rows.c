/* SPDX-License-Identifier: MIT */
#include "scene.h"

/*
 * What QEMU has wrong: each row of the table in doc/design/replica.md, by its name.  scene_differs marks the frames that QEMU
 * answers in another way than is right; how it answers is in theirs.c as a whole, and in words beside each scene below.
 */

#define MSS 1460u

static void data_from_secondary(struct scene *sc, struct talk *t, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		scene_add(sc, talk_secondary(t, ACK, MSS));
}

static void block(struct seg *g, const struct talk *t, uint32_t from, uint32_t to)
{
	g->sack[g->sacks][0] = t->p + 1 + from;
	g->sack[g->sacks++][1] = t->p + 1 + to;
}

static void sack(struct scene *sc, struct talk *t)
{
	struct seg g;

	scene_open(sc, t);
	data_from_secondary(sc, t, 4);
	t->s_off = MSS;
	g = talk_client(t, ACK, 0);
	block(&g, t, 2 * MSS, 3 * MSS);
	scene_differs(sc, g);
	block(&g, t, 3 * MSS, 4 * MSS);
	scene_differs(sc, g);
	/* a block below the ack: D-SACK */
	g = talk_client(t, ACK, 0);
	block(&g, t, 0, MSS);
	block(&g, t, 2 * MSS, 3 * MSS);
	scene_differs(sc, g);
	t->s_off = 4 * MSS;
	scene_add(sc, talk_client(t, ACK, 0));
	/* the secondary's own blocks count the client's bytes */
	g = talk_secondary(t, ACK, 0);
	g.sacks = 1;
	g.sack[0][0] = g.ack + 100;
	g.sack[0][1] = g.ack + 200;
	scene_add(sc, g);
	/* beyond what the secondary has sent */
	g = talk_client(t, ACK, 0);
	block(&g, t, 5 * MSS, 6 * MSS);
	scene_differs(sc, g);
}

static void clocks(struct scene *sc, struct talk *t)
{
	t->ts = t->syn_options = true;
	t->e = 400000;
	scene_open(sc, t);
	for (unsigned i = 0; i < 3; i++) {
		scene_differs(sc, talk_client(t, ACK | PSH, 100));
		scene_differs(sc, talk_secondary(t, ACK, 0));
		scene_differs(sc, talk_secondary(t, ACK | PSH, 101));
		scene_differs(sc, talk_client(t, ACK, 0));
	}
	scene_differs(sc, talk_secondary(t, RST | ACK, 0));
}

static void clocks_back(struct scene *sc, struct talk *t)
{
	t->ts = t->syn_options = true;
	t->e = 0u - 4000;
	t->s = t->p;
	scene_open(sc, t);
	scene_differs(sc, talk_secondary(t, ACK | PSH, 99));
	scene_differs(sc, talk_client(t, ACK | PSH, 100));
	scene_differs(sc, talk_secondary(t, ACK | FIN, 0));
	scene_differs(sc, talk_client(t, ACK | FIN, 0));
}

static void late_synack(struct scene *sc, struct talk *t)
{
	struct seg synack;

	scene_add(sc, talk_syn(t));
	synack = talk_synack(t);
	scene_add(sc, synack);
	scene_add(sc, talk_client(t, ACK, 0));
	scene_differs(sc, synack);
	scene_add(sc, talk_client(t, ACK, 0));
	scene_add(sc, talk_client(t, ACK | PSH, 10));
	scene_add(sc, talk_secondary(t, ACK | PSH, 10));
	scene_differs(sc, synack);
}

static void no_ack(struct scene *sc, struct talk *t)
{
	scene_open(sc, t);
	scene_add(sc, talk_secondary(t, ACK | PSH, 100));
	scene_differs(sc, talk_secondary(t, PSH, 10));
	scene_differs(sc, talk_secondary(t, FIN, 0));
	scene_differs(sc, talk_secondary(t, RST, 0));
}

static void late_syn(struct scene *sc, struct talk *t)
{
	struct seg syn = talk_syn(t);

	scene_add(sc, syn);
	scene_add(sc, talk_synack(t));
	scene_add(sc, talk_client(t, ACK, 0));
	scene_add(sc, talk_client(t, ACK | PSH, 100));
	scene_add(sc, talk_secondary(t, ACK, 0));
	scene_add(sc, syn);
	scene_add(sc, talk_secondary(t, ACK | PSH, 10)); /* its offset stays until the next ACK */
	scene_differs(sc, talk_client(t, ACK | PSH, 100));
	scene_differs(sc, talk_secondary(t, ACK, 0));
	scene_differs(sc, talk_secondary(t, ACK | PSH, 20));
	scene_differs(sc, talk_client(t, ACK, 0));
}

static void forged_syn(struct scene *sc, struct talk *t)
{
	struct seg g = talk_syn(t);

	scene_open(sc, t);
	g.seq += 70000;
	scene_add(sc, g);
	scene_add(sc, talk_secondary(t, ACK, 0));
	scene_differs(sc, talk_client(t, ACK | PSH, 100));
	scene_differs(sc, talk_secondary(t, ACK | PSH, 20));
	scene_differs(sc, talk_client(t, ACK, 0));
}

static void early_ack(struct scene *sc, struct talk *t)
{
	struct seg syn = talk_syn(t), synack = talk_synack(t);

	scene_add(sc, syn);
	scene_differs(sc, talk_client(t, ACK, 0));
	scene_differs(sc, talk_client(t, ACK | PSH, 50));
	scene_differs(sc, synack);
	scene_differs(sc, talk_secondary(t, ACK | PSH, 20));
	scene_differs(sc, talk_client(t, ACK | PSH, 50));
}

static void half_open_ack(struct scene *sc, struct talk *t)
{
	scene_add(sc, talk_syn(t));
	scene_add(sc, talk_synack(t));
	scene_differs(sc, talk_secondary(t, ACK, 0));
	scene_differs(sc, talk_client(t, ACK, 0)); /* here both come out */
	scene_add(sc, talk_client(t, ACK | PSH, 50));
	scene_add(sc, talk_secondary(t, ACK | PSH, 50));
}

static void overtaken(struct scene *sc, struct talk *t)
{
	struct seg first;

	scene_add(sc, talk_syn(t));
	scene_add(sc, talk_synack(t));
	first = talk_client(t, ACK, 0);
	t->s_off = 40;
	scene_add(sc, talk_client(t, ACK, 0));
	scene_differs(sc, first);
	t->s_off = 0;
	scene_differs(sc, talk_secondary(t, ACK | PSH, 40));
	scene_differs(sc, talk_client(t, ACK | PSH, 10));
	scene_differs(sc, talk_secondary(t, ACK | PSH, 41));
}

static void lost_first(struct scene *sc, struct talk *t)
{
	struct seg g;

	scene_add(sc, talk_syn(t));
	scene_add(sc, talk_synack(t));
	t->s_off = 300;
	t->c_off = 100;
	g = talk_client(t, ACK | PSH, 100);
	scene_differs(sc, g);
	scene_differs(sc, g)->kind = STEP_GIVE_UP;
	scene_differs(sc, talk_secondary(t, ACK | PSH, 100));
	scene_differs(sc, talk_client(t, ACK | PSH, 100));
}

static void sack_first(struct scene *sc, struct talk *t)
{
	struct seg g;

	scene_add(sc, talk_syn(t));
	scene_add(sc, talk_synack(t));
	t->s_off = 300;
	g = talk_client(t, ACK, 0);
	block(&g, t, 1000, 1100);
	scene_differs(sc, g);
	scene_differs(sc, g)->kind = STEP_GIVE_UP;
	scene_differs(sc, talk_secondary(t, ACK | PSH, 100));
}

static void fast_open(struct scene *sc, struct talk *t)
{
	struct seg syn = talk_syn(t), synack;

	syn.len = 100;
	syn.fastopen = 8;
	scene_add(sc, syn);
	t->c_off = 100;
	synack = talk_synack(t);
	synack.ack += 100;
	scene_add(sc, synack);
	t->s_off = 300; /* the answer is acknowledged with the handshake */
	scene_differs(sc, talk_client(t, ACK, 0));
	t->s_off = 0;
	scene_differs(sc, talk_secondary(t, ACK | PSH, 300));
	scene_differs(sc, talk_client(t, ACK | PSH, 10));
}

static void primary_ahead(struct scene *sc, struct talk *t)
{
	scene_open(sc, t);
	scene_add(sc, talk_client(t, ACK | PSH, 100));
	t->s_off = 2000;
	scene_differs(sc, talk_client(t, ACK | PSH, 100)); /* the ack is lowered */
	t->s_off = 0;
	scene_differs(sc, talk_secondary(t, ACK, MSS)); /* made: it is told of what it has sent */
	scene_differs(sc, talk_secondary(t, ACK, MSS)); /* and of the rest */
	scene_add(sc, talk_client(t, ACK, 0));
	scene_add(sc, talk_secondary(t, ACK | PSH, 100));
}

static void primary_finished(struct scene *sc, struct talk *t)
{
	scene_open(sc, t);
	scene_add(sc, talk_client(t, ACK | PSH, 100));
	t->s_off = 501; /* data and FIN */
	scene_differs(sc, talk_client(t, ACK | FIN, 0));
	t->s_off = 0;
	scene_differs(sc, talk_secondary(t, ACK | PSH, 500));
	scene_differs(sc, talk_secondary(t, ACK | FIN, 0));
	scene_add(sc, talk_client(t, ACK, 0));
}

static void ip_options(struct scene *sc, struct talk *t)
{
	scene_open(sc, t);
	t->base.ip_options = 4;
	scene_differs(sc, talk_client(t, ACK | PSH, 100));
	scene_differs(sc, talk_secondary(t, ACK | PSH, 100));
	t->base.ip_options = 40;
	scene_differs(sc, talk_client(t, ACK | PSH, 101));
	scene_differs(sc, talk_secondary(t, ACK | PSH, 101));
	t->base.ip_options = 0;
	scene_add(sc, talk_client(t, ACK | PSH, 102));
	scene_add(sc, talk_secondary(t, ACK | PSH, 102));
}

static void fragments(struct scene *sc, struct talk *t)
{
	struct seg g;

	scene_open(sc, t);
	t->base.frag = FRAG_FIRST;
	scene_differs(sc, talk_client(t, ACK | PSH, 100));
	scene_differs(sc, talk_secondary(t, ACK | PSH, 100));
	t->base.frag = FRAG_LATER;
	scene_differs(sc, talk_client(t, ACK | PSH, 100));
	scene_differs(sc, talk_secondary(t, ACK | PSH, 100));
	g = talk_client(t, SYN, 0);
	scene_add(sc, g); /* a payload that looks like this flow's SYN: its state is gone */
	t->base.frag = NOT_FRAG;
	scene_differs(sc, talk_client(t, ACK | PSH, 100));
	scene_differs(sc, talk_secondary(t, ACK | PSH, 100));
}

static void untranslated(struct scene *sc, struct talk *t)
{
	scene_add(sc, talk_syn(t));
	scene_add(sc, talk_synack(t));
	scene_differs(sc, talk_client(t, ACK, 0));
	scene_differs(sc, talk_client(t, ACK | PSH, 100));
	scene_differs(sc, talk_secondary(t, ACK | PSH, 100));
	scene_differs(sc, talk_client(t, ACK | FIN, 0));
	scene_differs(sc, talk_secondary(t, ACK | FIN, 0));
}

static void vlan(struct scene *sc, struct talk *t)
{
	t->base.vlans = 1;
	untranslated(sc, t);
}

static void qinq(struct scene *sc, struct talk *t)
{
	t->base.vlans = 2;
	t->base.outer_q = true;
	untranslated(sc, t);
}

/* The same addresses and ports in another customer's network are another connection: QEMU takes it for the same. */
static void two_networks(struct scene *sc, struct talk *t)
{
	struct talk u = *t;

	t->base.vlans = u.base.vlans = 2;
	u.base.vid = 20;
	u.flow = (uint16_t)(t->flow + 1);
	u.base.port_of = 1;
	u.s += 1000;
	scene_open(sc, t);
	scene_open(sc, &u);
	scene_add(sc, talk_client(&u, ACK | PSH, 100));
	scene_differs(sc, talk_client(t, ACK | PSH, 100));
	scene_differs(sc, talk_secondary(t, ACK | PSH, 100));
}

static void ip6(struct scene *sc, struct talk *t)
{
	t->base.ip6 = true;
	untranslated(sc, t);
}

static void ip6_ext(struct scene *sc, struct talk *t)
{
	t->base.ip6 = t->base.ip6_ext = true;
	untranslated(sc, t);
}

static void bad_sum(struct scene *sc, struct talk *t)
{
	struct seg g;

	scene_open(sc, t);
	g = talk_client(t, ACK | PSH, 100);
	g.bad_sum = true;
	scene_differs(sc, g);
	g = talk_secondary(t, ACK | PSH, 100);
	g.bad_sum = true;
	scene_differs(sc, g);
	scene_add(sc, talk_client(t, ACK | PSH, 100));
}

static void icmp(struct scene *sc, struct talk *t)
{
	struct seg g;

	scene_open(sc, t);
	g = talk_secondary(t, ACK, MSS);
	scene_add(sc, g);
	g.seq += t->p - t->s; /* the router has seen the primary's */
	scene_differs(sc, g)->kind = STEP_ICMP;
}

static void older(struct scene *sc, struct talk *t)
{
	struct seg syn = talk_syn(t);

	t->c_off = 5000;
	t->s_off = 7000;
	scene_add(sc, talk_client(t, ACK | PSH, 100));
	scene_add(sc, syn);
	scene_add(sc, talk_secondary(t, ACK, 0));
	scene_differs(sc, talk_client(t, ACK | PSH, 100));
	scene_differs(sc, talk_secondary(t, ACK | PSH, 100));
}

const struct named_scene row_scenes[] = {
	{ "SACK, D-SACK", "SACK, D-SACK", "the edges untouched", sack },
	{ "timestamps", "timestamps", "TSval and TSecr untouched", clocks },
	{ "timestamps, a clock that is behind", "timestamps", "untouched", clocks_back },
	{ "SYN-ACK again", "SYN-ACK repeated after establishment", "untouched: the secondary's ISN",
	  late_synack },
	{ "no ACK flag", "RST or another segment without ACK from S", "seq untouched", no_ack },
	{ "late duplicate SYN", "late duplicate SYN", "ack and seq off by the next ack - 1",
	  late_syn },
	{ "forged SYN", "SYN with another ISN on a live flow",
	  "ack and seq off by the next ack - 1", forged_syn },
	{ "early ACK", "first ACK before S's SYN-ACK", "offset -P: at once, and wrong for ever",
	  early_ack },
	{ "half-open secondary", "ACK of the half-open secondary", "at once, with seq - S",
	  half_open_ack },
	{ "overtaken ACK", "first ACK overtaken, server speaks first",
	  "short by the greeting for ever", overtaken },
	{ "lost first segment", "first segment lost, SACK in the first, Fast Open",
	  "offset short by what was acknowledged", lost_first },
	{ "SACK in the first segment", "first segment lost, SACK in the first, Fast Open",
	  "offset short by what was acknowledged, edges untouched", sack_first },
	{ "Fast Open", "first segment lost, SACK in the first, Fast Open",
	  "offset short by the answer", fast_open },
	{ "primary ahead", "ack of what S has not sent", "the ack beyond what the secondary knows",
	  primary_ahead },
	{ "primary closed first", "ack of what S has not sent",
	  "the ack beyond what the secondary knows", primary_finished },
	{ "IP options", "IP options", "the checksum 20 bytes behind the IP header's start",
	  ip_options },
	{ "fragments", "fragments", "the first with a stale checksum, later ones altered",
	  fragments },
	{ "VLAN", "802.1Q, IPv6 with extension headers", "untouched", vlan },
	{ "QinQ", "802.1Q, IPv6 with extension headers", "untouched", qinq },
	{ "the same ports in two networks", "the same quad in two VLANs (802.1ad)", "one flow",
	  two_networks },
	{ "IPv6", "802.1Q, IPv6 with extension headers", "untouched", ip6 },
	{ "IPv6 with an extension header", "802.1Q, IPv6 with extension headers", "untouched",
	  ip6_ext },
	{ "wrong checksum", "wrong checksum on input", "a right one", bad_sum },
	{ "ICMP", "ICMP errors about the connection", "the quoted seq untouched", icmp },
	{ "older flow's SYN", "flows older than the rewriter",
	  "ack and seq off by the next ack - 1", older },
	{ 0 },
};
