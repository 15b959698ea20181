/* SPDX-License-Identifier: MIT */
#include "role/wire/wire.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "core/env.h"
#include "core/gso.h"
#include "core/outbox.h"
#include "role/wire/line.h"

/*
 * Theory of operation
 *
 * A frame is offered to the link of its direction.  What the link lets through leaves at a given
 * time: at once, straight from the port's buffer, if that time has come and nothing waits in front
 * of it; else its bytes are copied to the direction's line.  Frames on a line leave by time, then
 * in order of arrival; deadline() is the next one's time, exactly, because a wheel's tick would be
 * a visible error here.
 *
 * A frame in the outbox must stay valid until the app has flushed it, which it does after every
 * call: so a call begins with giving back the bytes of what the call before sent.  A full outbox
 * leaves the rest on the line, due.
 *
 * A burst's packets all go through this in order, and what is due leaves first, so no split of a
 * burst shows.
 */

struct wire {
	struct wire_config cfg;
	const struct role_env *env;
	struct link link[2];
	size_t line_off[2]; /* from this struct */
	unsigned sent; /* of out[], in this call */
	struct packet out[OUTBOX_PKTS];
};

static size_t round_up(size_t n)
{
	return (n + 63) / 64 * 64;
}

static struct line *line_of(struct wire *w, unsigned dir)
{
	return (struct line *)((uint8_t *)w + w->line_off[dir]);
}

static const struct line *line_const(const struct wire *w, unsigned dir)
{
	return (const struct line *)((const uint8_t *)w + w->line_off[dir]);
}

void wire_defaults(struct wire_config *ret_c)
{
	*ret_c = (struct wire_config){ .ring_bytes = 64u << 20 };
	ret_c->link[WIRE_A].seed = 1;
	ret_c->link[WIRE_B].seed = 2;
}

const char *wire_config_error(const struct wire_config *c)
{
	if (c->ring_bytes < LINE_MIN || c->ring_bytes > LINE_MAX)
		return "memory: must be between 1 MB and 64 GB";
	for (unsigned dir = 0; dir < 2; dir++) {
		const struct link_config *l = &c->link[dir];

		if (l->loss_ppm > 1000000)
			return "loss: must not be more than 100%";
		if (l->dup_ppm > 1000000)
			return "dup: must not be more than 100%";
		if (l->reorder_ppm > 1000000)
			return "reorder: must not be more than 100%";
		if (l->queue_bytes && !l->rate_bps)
			return "queue: needs a rate, for nothing queues without one";
	}
	return NULL;
}

static size_t wire_need(const void *config)
{
	const struct wire_config *c = config;

	if (wire_config_error(c))
		return 0;
	return round_up(sizeof(struct wire)) + 2 * round_up(line_need(c->ring_bytes));
}

static void *wire_init(void *block, const void *config, const struct role_env *env)
{
	struct wire *w = block;

	w->cfg = *(const struct wire_config *)config;
	w->env = env;
	for (unsigned dir = 0; dir < 2; dir++) {
		link_init(&w->link[dir], &w->cfg.link[dir]);
		w->line_off[dir] = round_up(sizeof *w) +
				   dir * round_up(line_need(w->cfg.ring_bytes));
		line_init((uint8_t *)block + w->line_off[dir], w->cfg.ring_bytes);
	}
	return w;
}

/* The outbox was flushed: what the last call sent is gone. */
static void begin(struct wire *w)
{
	w->sent = 0;
	line_reclaim(line_of(w, WIRE_A));
	line_reclaim(line_of(w, WIRE_B));
}

/* The direction whose next frame leaves first. */
static unsigned first_dir(const struct wire *w)
{
	return line_next(line_const(w, WIRE_B)) < line_next(line_const(w, WIRE_A));
}

/* Sends what is due, as far as there is room. */
static void release(struct wire *w, sut_time now, struct outbox *out)
{
	while (outbox_room(out)) {
		unsigned dir = first_dir(w);
		struct line *l = line_of(w, dir);
		struct packet *p = &w->out[w->sent];

		if (line_next(l) == SUT_NEVER || line_next(l) > now)
			return;
		line_take(l, p);
		w->sent++;
		outbox_put(out, !dir, p);
	}
}

static void copy_frame(const struct packet *p, uint8_t *ret_frame)
{
	memcpy(ret_frame, p->head, p->head_len);
	if (p->body_len)
		memcpy(ret_frame + p->head_len, p->body, p->body_len);
}

/* One frame as it came in: its direction, and when. */
struct arrival {
	struct packet *p;
	unsigned dir;
	sut_time now;
};

/* Passes the whole frame on at `at`: false if there is no room for it. */
static bool pass_whole(struct wire *w, const struct arrival *a, sut_time at, struct outbox *out)
{
	struct line *l = line_of(w, a->dir);
	uint8_t *room;

	if (at <= a->now && line_next(l) > a->now && outbox_room(out)) {
		outbox_put(out, !a->dir, a->p);
		return true;
	}
	room = line_hold(l, at, packet_len(a->p), &a->p->off);
	if (room)
		copy_frame(a->p, room);
	return room;
}

/*
 * There was no room for copy i of a frame.  If that was all of it, it took no time of the
 * transmitter either: else a wire whose memory was full for a while would stay silent for as long
 * as all that it dropped would have taken.
 */
static void no_room(struct wire *w, unsigned dir, unsigned i, const struct link_spent *before)
{
	count_drop(w->env, R_WIRE_QUEUE);
	if (i == 0)
		link_take_back(&w->link[dir], before);
}

static void input_whole(struct wire *w, const struct arrival *a, uint32_t wire_len,
			struct outbox *out)
{
	const struct link_spent before = link_spent(&w->link[a->dir]);
	struct link_fate f = link_offer(&w->link[a->dir], wire_len, a->now);

	if (f.reason != R_NONE)
		count_drop(w->env, f.reason);
	for (unsigned i = 0; i < f.copies; i++)
		if (!pass_whole(w, a, f.at[i], out))
			no_room(w, a->dir, i, &before);
}

/* The segments of a super-packet, each with its own fate. */
static void input_cut(struct wire *w, const struct arrival *a, const struct view *v,
		      const struct gso *g)
{
	const struct offload complete = { .csum = CSUM_COMPLETE };
	struct line *l = line_of(w, a->dir);

	for (uint32_t s = 0; s < g->count; s++) {
		const struct link_spent before = link_spent(&w->link[a->dir]);
		uint32_t len = gso_segment_len(g, s);
		struct link_fate f = link_offer(&w->link[a->dir], len, a->now);

		if (f.reason != R_NONE)
			count_drop(w->env, f.reason);
		for (unsigned i = 0; i < f.copies; i++) {
			uint8_t *room = line_hold(l, f.at[i], len, &complete);

			if (room)
				gso_cut(a->p, v, g, s, room);
			else
				no_room(w, a->dir, i, &before);
		}
	}
}

static void input_frame(struct wire *w, const struct arrival *a, struct outbox *out)
{
	struct gso g = { .headers = packet_len(a->p), .count = 1 };
	struct view v;

	if (packet_len(a->p) > PACKET_MAX) {
		count_drop(w->env, R_TOO_LONG);
		return;
	}
	if (a->p->off.gso_type != GSO_NONE && view_parse(a->p, &v) == R_NONE)
		gso_plan(a->p, &v, &g);
	if (g.count > 1 && !w->cfg.keep_gso)
		input_cut(w, a, &v, &g);
	else
		input_whole(w, a, gso_wire_len(&g), out);
}

static void wire_input(void *role, const struct burst *in, struct outbox *out)
{
	struct wire *w = role;
	struct arrival a = { .dir = in->port, .now = in->now };

	begin(w);
	release(w, in->now, out);
	for (unsigned i = 0; i < in->n; i++) {
		a.p = in->pkts[i];
		input_frame(w, &a, out);
	}
	release(w, in->now, out);
}

static void wire_expire(void *role, sut_time now, struct outbox *out)
{
	begin(role);
	release(role, now, out);
}

static sut_time wire_deadline(const void *role)
{
	const struct wire *w = role;

	return line_next(line_const(w, first_dir(w)));
}

/* What is on the way cannot be moved: neither memory nor the form of the frames in it changes. */
static int wire_configure(void *role, const void *config)
{
	const struct wire_config *c = config;
	struct wire *w = role;

	if (c->ring_bytes != w->cfg.ring_bytes || c->keep_gso != w->cfg.keep_gso)
		return -EOPNOTSUPP;
	w->cfg = *c;
	link_change(&w->link[WIRE_A], &c->link[WIRE_A]);
	link_change(&w->link[WIRE_B], &c->link[WIRE_B]);
	return 0;
}

/* A wire has no state that another could take over. */
static size_t wire_save(const void *role, uint32_t *cursor, sut_time now, struct record *ret_record)
{
	(void)role;
	(void)cursor;
	(void)now;
	(void)ret_record;
	return 0;
}

static int wire_restore(void *role, const struct record *record, sut_time now)
{
	(void)role;
	(void)record;
	(void)now;
	return -EPROTO;
}

uint64_t wire_held(const void *role, unsigned port)
{
	return line_frames(line_const(role, port));
}

static const struct port_desc ports[] = {
	{ .name = "a", .kind = PORT_FRAMES },
	{ .name = "b", .kind = PORT_FRAMES },
	{ .name = NULL },
};

const struct role_ops wire_ops = {
	.name = "wire",
	.ports = ports,
	.need = wire_need,
	.init = wire_init,
	.input = wire_input,
	.expire = wire_expire,
	.deadline = wire_deadline,
	.save = wire_save,
	.restore = wire_restore,
	.configure = wire_configure,
};
