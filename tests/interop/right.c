/* SPDX-License-Identifier: MIT */
#include "scene.h"

/* What QEMU has right: both must answer alike, byte for byte. */

static void both_ways(struct scene *sc, struct talk *t)
{
	static const uint32_t sizes[] = { 1, 2, 3, 7, 536, 999, 1460 };

	scene_open(sc, t);
	for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		scene_add(sc, talk_client(t, ACK | PSH, sizes[i]));
		scene_add(sc, talk_secondary(t, ACK, 0));
		scene_add(sc, talk_secondary(t, ACK | PSH, sizes[i] ^ 1));
		scene_add(sc, talk_client(t, ACK, 0));
	}
}

static void close_by_client(struct scene *sc, struct talk *t)
{
	scene_add(sc, talk_client(t, ACK | FIN, 0));
	scene_add(sc, talk_secondary(t, ACK, 0));
	scene_add(sc, talk_secondary(t, ACK | FIN, 0));
	scene_add(sc, talk_client(t, ACK, 0));
}

static void whole(struct scene *sc, struct talk *t)
{
	both_ways(sc, t);
	close_by_client(sc, t);
}

/* The primary's stream passes 2^32 in the middle of the data. */
static void primary_wraps(struct scene *sc, struct talk *t)
{
	t->p = 0xfffffe00;
	whole(sc, t);
}

static void secondary_wraps(struct scene *sc, struct talk *t)
{
	t->s = 0xfffffe00;
	whole(sc, t);
}

static void client_wraps(struct scene *sc, struct talk *t)
{
	t->c = 0xfffffd00;
	whole(sc, t);
}

static void isn_0(struct scene *sc, struct talk *t)
{
	t->s = 0;
	whole(sc, t);
}

static void isn_max(struct scene *sc, struct talk *t)
{
	t->p = 0xffffffff;
	whole(sc, t);
}

static void secondary_isn_max(struct scene *sc, struct talk *t)
{
	t->s = 0xffffffff;
	whole(sc, t);
}

static void no_shift(struct scene *sc, struct talk *t)
{
	t->s = t->p;
	t->ts = true;
	whole(sc, t);
}

/* The clocks are equal, so timestamps need nothing. */
static void stamps(struct scene *sc, struct talk *t)
{
	t->ts = t->syn_options = true;
	whole(sc, t);
}

static void flags(struct scene *sc, struct talk *t)
{
	static const uint8_t more[] = { URG, ECE, CWR, ECE | CWR, PSH | URG | ECE | CWR };

	scene_open(sc, t);
	for (unsigned i = 0; i < sizeof more; i++) {
		struct seg g = talk_client(t, ACK | more[i], 33);

		g.urg = more[i] & URG ? 12 : 0;
		scene_add(sc, g);
		g = talk_secondary(t, ACK | more[i], 41);
		g.urg = more[i] & URG ? 40 : 0;
		scene_add(sc, g);
	}
}

/* A byte or none below what was acknowledged, and its answer. */
static void keep_alive(struct scene *sc, struct talk *t)
{
	struct seg g;

	both_ways(sc, t);
	for (uint32_t len = 0; len < 2; len++) {
		g = talk_client(t, ACK, 0);
		g.seq--;
		g.first--;
		g.len = len;
		scene_add(sc, g);
		scene_add(sc, talk_secondary(t, ACK, 0));
		g = talk_secondary(t, ACK, 0);
		g.seq--;
		g.first--;
		g.len = len;
		scene_add(sc, g);
		scene_add(sc, talk_client(t, ACK, 0));
	}
}

static void syn_again(struct scene *sc, struct talk *t)
{
	struct seg syn = talk_syn(t), synack;

	t->syn_options = true;
	scene_add(sc, syn);
	scene_add(sc, syn);
	synack = talk_synack(t);
	scene_add(sc, synack);
	scene_add(sc, syn);
	scene_add(sc, synack);
	scene_add(sc, synack);
	scene_add(sc, talk_client(t, ACK, 0));
	scene_add(sc, talk_client(t, ACK | PSH, 100));
	scene_add(sc, talk_secondary(t, ACK | PSH, 100));
}

/* The listener began anew in mid-handshake: its second SYN-ACK has another ISN. */
static void listener_restarted(struct scene *sc, struct talk *t)
{
	scene_add(sc, talk_syn(t));
	scene_add(sc, talk_synack(t));
	scene_add(sc, talk_syn(t));
	t->s += 1234567;
	scene_add(sc, talk_synack(t));
	scene_add(sc, talk_client(t, ACK, 0));
	scene_add(sc, talk_client(t, ACK | PSH, 100));
	scene_add(sc, talk_secondary(t, ACK | PSH, 100));
}

static void again(struct talk *t, uint32_t by)
{
	t->c += by;
	t->p += by / 2;
	t->s += by / 3;
	t->c_off = t->s_off = 0;
}

static void reuse(struct scene *sc, struct talk *t)
{
	whole(sc, t);
	again(t, 900000);
	whole(sc, t);
	again(t, 2000000);
	t->s = t->p;
	whole(sc, t);
}

static void reuse_alive(struct scene *sc, struct talk *t)
{
	both_ways(sc, t);
	again(t, 3000000);
	both_ways(sc, t);
}

static void half_close(struct scene *sc, struct talk *t)
{
	scene_open(sc, t);
	scene_add(sc, talk_client(t, ACK | PSH, 200));
	scene_add(sc, talk_client(t, ACK | FIN, 0));
	scene_add(sc, talk_secondary(t, ACK, 0));
	for (unsigned i = 0; i < 4; i++) {
		scene_add(sc, talk_secondary(t, ACK | PSH, 1000));
		scene_add(sc, talk_client(t, ACK, 0));
	}
	scene_add(sc, talk_secondary(t, ACK | FIN, 0));
	scene_add(sc, talk_client(t, ACK, 0));
}

static void server_closes(struct scene *sc, struct talk *t)
{
	both_ways(sc, t);
	scene_add(sc, talk_secondary(t, ACK | FIN | PSH, 77));
	scene_add(sc, talk_client(t, ACK, 0));
	scene_add(sc, talk_client(t, ACK | FIN | PSH, 78));
	scene_add(sc, talk_secondary(t, ACK, 0));
}

static void simultaneous_close(struct scene *sc, struct talk *t)
{
	struct seg c, s;

	both_ways(sc, t);
	s = talk_secondary(t, ACK | FIN, 0);
	t->s_off--;
	c = talk_client(t, ACK | FIN, 0);
	t->s_off++;
	scene_add(sc, s);
	scene_add(sc, c);
	scene_add(sc, talk_secondary(t, ACK, 0));
	scene_add(sc, talk_client(t, ACK, 0));
}

static void client_resets(struct scene *sc, struct talk *t)
{
	both_ways(sc, t);
	scene_add(sc, talk_client(t, RST | ACK, 0));
}

static void secondary_resets(struct scene *sc, struct talk *t)
{
	both_ways(sc, t);
	scene_add(sc, talk_secondary(t, RST | ACK, 0));
}

/* RST|ACK with seq 0 answers the SYN. */
static void refused(struct scene *sc, struct talk *t)
{
	struct seg g;

	scene_add(sc, talk_syn(t));
	g = talk_secondary(t, RST | ACK, 0);
	g.seq = 0;
	g.win = 0;
	scene_add(sc, g);
	again(t, 100000);
	both_ways(sc, t);
}

static void qinq(struct scene *sc, struct talk *t)
{
	t->base.vlans = 2;
	both_ways(sc, t);
}

static void padding(struct scene *sc, struct talk *t)
{
	t->base.pad = true;
	both_ways(sc, t);
}

static void interleaved(struct scene *sc, struct talk *t)
{
	struct talk u = *t, v = *t;

	u.flow = (uint16_t)(t->flow + 1);
	v.flow = (uint16_t)(t->flow + 2);
	u.s += 77777;
	v.p += 55555;
	scene_open(sc, t);
	scene_add(sc, talk_syn(&u));
	scene_add(sc, talk_client(t, ACK | PSH, 10));
	scene_add(sc, talk_synack(&u));
	scene_add(sc, talk_syn(&v));
	scene_add(sc, talk_secondary(t, ACK | PSH, 12));
	scene_add(sc, talk_client(&u, ACK, 0));
	scene_add(sc, talk_synack(&v));
	scene_add(sc, talk_secondary(&u, ACK | PSH, 900));
	scene_add(sc, talk_client(&v, ACK | PSH, 10));
	scene_add(sc, talk_client(&u, ACK | PSH, 11));
	scene_add(sc, talk_client(t, ACK | PSH, 13));
	scene_add(sc, talk_secondary(&v, ACK | PSH, 14));
	close_by_client(sc, &u);
	close_by_client(sc, t);
	close_by_client(sc, &v);
}

/* Whoever was there before the filter passes untouched, to its end. */
static void older(struct scene *sc, struct talk *t)
{
	t->c_off = 5000;
	t->s_off = 7000;
	scene_add(sc, talk_client(t, ACK | PSH, 100));
	scene_add(sc, talk_secondary(t, ACK, 0));
	scene_add(sc, talk_secondary(t, ACK | PSH, 1460));
	scene_add(sc, talk_client(t, ACK, 0));
	close_by_client(sc, t);
}

static void retransmissions(struct scene *sc, struct talk *t)
{
	struct seg c, s;

	scene_open(sc, t);
	c = talk_client(t, ACK | PSH, 500);
	scene_add(sc, c);
	scene_add(sc, c);
	s = talk_secondary(t, ACK | PSH, 600);
	scene_add(sc, s);
	scene_add(sc, s);
	scene_add(sc, talk_client(t, ACK, 0));
	scene_add(sc, s);
	scene_add(sc, c);
	scene_add(sc, talk_client(t, ACK, 0));
}

const struct named_scene right_scenes[] = {
	{ "data both ways", 0, 0, both_ways },
	{ "wraparound of the primary's stream", 0, 0, primary_wraps },
	{ "wraparound of the secondary's stream", 0, 0, secondary_wraps },
	{ "wraparound of the client's stream", 0, 0, client_wraps },
	{ "secondary's ISN 0", 0, 0, isn_0 },
	{ "primary's ISN 2^32-1", 0, 0, isn_max },
	{ "secondary's ISN 2^32-1", 0, 0, secondary_isn_max },
	{ "equal ISNs", 0, 0, no_shift },
	{ "timestamps of equal clocks", 0, 0, stamps },
	{ "URG, ECE, CWR", 0, 0, flags },
	{ "keep-alives", 0, 0, keep_alive },
	{ "SYN and SYN-ACK again", 0, 0, syn_again },
	{ "listener restarted", 0, 0, listener_restarted },
	{ "ports used again", 0, 0, reuse },
	{ "ports used again without a close", 0, 0, reuse_alive },
	{ "half-close", 0, 0, half_close },
	{ "server closes", 0, 0, server_closes },
	{ "simultaneous close", 0, 0, simultaneous_close },
	{ "client resets", 0, 0, client_resets },
	{ "secondary resets", 0, 0, secondary_resets },
	{ "refused", 0, 0, refused },
	{ "802.1ad before 802.1Q", 0, 0, qinq },
	{ "padding", 0, 0, padding },
	{ "interleaved flows", 0, 0, interleaved },
	{ "older flow", 0, 0, older },
	{ "retransmissions", 0, 0, retransmissions },
	{ 0 },
};
