/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "handoff_world.h"

#define PATIENCE SUT_MS(300000)

/* Which connection it is says the first line: "GET /c07 ...". */
static int conn_of(const struct hand_world *w, const uint8_t first[8])
{
	unsigned i;

	if (memcmp(first + 3, " /c", 3) != 0)
		return -1;
	i = (unsigned)(first[6] - '0') * 10u + (unsigned)(first[7] - '0');
	return i < w->p->conns ? (int)i : -1;
}

static void let_go(struct hand_world *w, struct hand_back *b, struct hand_serve *s, bool abort)
{
	if (abort)
		(void)stack_abort(b->host.s, s->id, w->run.now);
	else
		(void)stack_close(b->host.s, s->id, w->run.now);
	s->id = 0;
}

static void verify(struct hand_world *w, struct hand_serve *s, const uint8_t *bytes, uint32_t n)
{
	const struct hand_client *a;

	for (uint32_t k = 0; k < n && s->got + k < 8; k++)
		s->first[s->got + k] = bytes[k];
	if (s->conn < 0 && s->got + n >= 8) {
		s->conn = conn_of(w, s->first);
		/* Where an agent has forgotten its ways and guards nothing, anything comes to its host. */
		if (s->conn < 0 && !w->hurt) {
			run_broken(&w->run, "a host reads what no client asks for");
			return;
		}
	}
	s->moved = w->run.now;
	if (s->conn < 0) {
		s->got += n;
		return;
	}
	a = &w->conn[s->conn];
	if (s->got + n > a->written)
		run_broken(&w->run, "connection %d: its host has read %u bytes of %u", s->conn,
			   s->got + n, a->written);
	else if (memcmp(a->bytes + s->got, bytes, n) != 0)
		run_broken(&w->run, "connection %d: its host has read other bytes behind %u",
			   s->conn, s->got);
	s->got += n;
}

/* The client has closed. */
static void end_of(struct hand_world *w, struct hand_back *b, struct hand_serve *s)
{
	if (s->conn < 0 || s->sent == hand_owed(&w->p->conn[s->conn], s->got))
		let_go(w, b, s, false);
}

static void read_all(struct hand_world *w, struct hand_back *b, struct hand_serve *s)
{
	static uint8_t bytes[65536];

	while (s->id) {
		int n = stack_read(b->host.s, s->id, bytes, sizeof bytes, w->run.now);

		if (n > 0) {
			verify(w, s, bytes, (uint32_t)n);
			continue;
		}
		if (n == 0)
			end_of(w, b, s);
		else if (n != -EAGAIN)
			let_go(w, b, s, false);
		return;
	}
}

static void write_some(struct hand_world *w, struct hand_back *b, struct hand_serve *s)
{
	uint8_t bytes[4096];
	uint32_t owed;

	if (s->conn < 0)
		return;
	owed = hand_owed(&w->p->conn[s->conn], s->got);
	while (s->sent < owed) {
		uint32_t n = owed - s->sent < sizeof bytes ? owed - s->sent : sizeof bytes;
		int r;

		for (uint32_t k = 0; k < n; k++)
			bytes[k] = hand_answer_byte((unsigned)s->conn, s->sent + k);
		r = stack_write(b->host.s, s->id, bytes, n, w->run.now);
		if (r <= 0)
			return;
		s->sent += (uint32_t)r;
		s->moved = w->run.now;
	}
}

static void close_side(struct hand_world *w, struct hand_back *b, struct hand_serve *s)
{
	const struct hand_conn_plan *c;

	if (s->conn < 0 || s->shut)
		return;
	c = &w->p->conn[s->conn];
	if (!c->server_closes || s->got < w->conn[s->conn].len || s->sent < w->conn[s->conn].want)
		return;
	s->shut = true;
	(void)stack_shutdown(b->host.s, s->id, w->run.now);
}

static void serve(struct hand_world *w, struct hand_back *b, struct hand_serve *s)
{
	write_some(w, b, s); /* room, before the end is read */
	read_all(w, b, s);
	if (s->id)
		write_some(w, b, s);
	if (s->id)
		close_side(w, b, s);
	if (s->id && w->run.now >= s->moved + PATIENCE) {
		let_go(w, b, s, true);
		w->gave_up = true;
	}
}

static struct hand_serve *place(struct hand_back *b)
{
	for (unsigned k = 0; k < SERVES; k++)
		if (!b->serve[k].id)
			return &b->serve[k];
	return NULL;
}

static void accept_all(struct hand_world *w, struct hand_back *b)
{
	struct stack_addr peer;
	conn_id c;

	while (stack_accept(b->host.s, b->host.listener, 0, &c, &peer) == 0) {
		struct hand_serve *s = place(b);

		if (!s) {
			run_broken(&w->run, "a host has more connections than anybody opens");
			return;
		}
		*s = (struct hand_serve){ .id = c, .conn = -1, .moved = w->run.now };
	}
}

void hand_serves_run(struct hand_world *w, unsigned i)
{
	struct hand_back *b = &w->back[i];
	struct conn_ready r;

	if (b->host.dead)
		return;
	while (stack_next(b->host.s, &r))
		;
	accept_all(w, b);
	for (unsigned k = 0; k < SERVES; k++)
		if (b->serve[k].id)
			serve(w, b, &b->serve[k]);
}

sut_time hand_serves_deadline(const struct hand_world *w, unsigned i)
{
	const struct hand_back *b = &w->back[i];
	sut_time at = SUT_NEVER;

	for (unsigned k = 0; k < SERVES && !b->host.dead; k++)
		if (b->serve[k].id)
			at = sooner(at, b->serve[k].moved + PATIENCE);
	return at;
}

bool hand_serves_over(const struct hand_world *w, unsigned i)
{
	const struct hand_back *b = &w->back[i];

	for (unsigned k = 0; k < SERVES && !b->host.dead; k++)
		if (b->serve[k].id)
			return false;
	return true;
}
