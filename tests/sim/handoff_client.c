/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handoff_world.h"

#define PATIENCE SUT_MS(400000) /* without a byte; then it gives up */
#define STALL SUT_MS(10000) /* longest time without a byte where nothing is lost */

const char *hand_fate_name(enum hand_fate f)
{
	static const char *const name[] = { "open",   "done",  "answered by the front end",
					    "closed", "reset", "left",
					    "hung" };

	return name[f];
}

uint8_t hand_answer_byte(unsigned i, uint32_t at)
{
	return (uint8_t)((at * 131 + (at >> 8) * 29 + i * 17) | 0x80);
}

uint32_t hand_owed(const struct hand_conn_plan *c, uint32_t got)
{
	uint32_t end = 0, owed = 0;

	for (unsigned k = 0; k < c->requests; k++) {
		end += c->request[k].head + c->request[k].body;
		if (got < end)
			break;
		owed += c->request[k].answer;
	}
	return owed;
}

/* --- what is asked */

static uint32_t put_head(const struct hand_request *q, unsigned i, bool last, uint8_t *at)
{
	char line[128];
	int n = q->body ? snprintf(line, sizeof line,
				   "PUT /c%02u HTTP/1.1\r\nHost: s\r\nContent-Length: %u\r\nX: ", i,
				   q->body)
			: snprintf(line, sizeof line, "GET /c%02u HTTP/1.1\r\nHost: s\r\nX: ", i);

	memset(at, 'x', q->head);
	memcpy(at, line, (size_t)n);
	if (last)
		memcpy(at + q->head - 4, "\r\n\r\n", 4);
	return q->head;
}

static void write_requests(const struct hand_conn_plan *c, unsigned i, struct hand_client *a)
{
	for (unsigned k = 0; k < c->requests; k++) {
		const struct hand_request *q = &c->request[k];

		a->len += put_head(q, i, true, a->bytes + a->len);
		for (uint32_t n = 0; n < q->body; n++)
			a->bytes[a->len++] = (uint8_t)(n * 7 + (n >> 8) + i);
		a->want += q->answer;
	}
}

static void write_all(const struct hand_plan *p, unsigned i, struct hand_client *a)
{
	const struct hand_conn_plan *c = &p->conn[i];
	struct hand_request q = c->request[0];

	a->bytes = malloc(HAND_REQUESTS * (9000 + 60000) + 20000);
	if (!a->bytes)
		abort();
	switch (c->says) {
	case SAYS_REQUESTS:
		write_requests(c, i, a);
		break;
	case SAYS_GARBAGE:
		a->len = 40;
		memset(a->bytes, 'z', 40);
		memcpy(a->bytes + 20, "\r\n\r\n", 4);
		break;
	case SAYS_HALF:
		a->len = put_head(&q, i, false, a->bytes);
		break;
	case SAYS_TOO_MUCH:
		q.head = 18000;
		q.body = 0;
		a->len = put_head(&q, i, false, a->bytes);
		break;
	case SAYS_NOTHING:
		break;
	}
}

void hand_clients_open(struct hand_world *w)
{
	for (unsigned i = 0; i < w->p->conns; i++) {
		struct hand_client *a = &w->conn[i];

		write_all(w->p, i, a);
		a->responder = -1;
		a->start = w->p->conn[i].reuses < 0 ? w->p->conn[i].start : SUT_NEVER;
		a->next_write = SUT_NEVER;
	}
}

void hand_clients_close(struct hand_world *w)
{
	for (unsigned i = 0; i < w->p->conns; i++)
		free(w->conn[i].bytes);
}

/* --- one connection */

static void over(struct hand_world *w, unsigned i, enum hand_fate fate)
{
	struct hand_client *a = &w->conn[i];

	if (a->over)
		return;
	a->over = true;
	a->fate = fate;
	if (w->run.opt.trace)
		printf("%12.6f client %u: %s, %u of %u written, %u of %u read\n",
		       run_seconds(&w->run), i, hand_fate_name(fate), a->written, a->len, a->got,
		       a->want);
	if (i + 1 < w->p->conns && w->p->conn[i + 1].reuses == (int)i)
		w->conn[i + 1].start = w->run.now + w->p->conn[i + 1].start;
}

static void let_go(struct hand_world *w, unsigned i, enum hand_fate fate)
{
	struct hand_client *a = &w->conn[i];

	over(w, i, fate);
	(void)stack_close(w->client.s, a->id, w->run.now);
	a->id = 0;
}

static void leave(struct hand_world *w, unsigned i, enum hand_fate fate)
{
	struct hand_client *a = &w->conn[i];

	over(w, i, fate);
	(void)stack_abort(w->client.s, a->id, w->run.now);
	a->id = 0;
}

static bool start(struct hand_world *w, unsigned i)
{
	const struct hand_conn_plan *c = &w->p->conn[i];
	struct stack_addr local = { .port = c->port }, remote = { .port = HAND_PORT };
	struct hand_client *a = &w->conn[i];

	hand_ip_client(c->ip, local.ip);
	hand_ip_origin(c->ip, remote.ip);
	a->start = SUT_NEVER;
	if (stack_connect(w->client.s, &local, &remote, i, w->run.now, &a->id) < 0) {
		a->start = w->run.now + SUT_MS(1000); /* still in TIME-WAIT */
		return false;
	}
	(void)stack_set(w->client.s, a->id, CONNOPT_NODELAY, 1, w->run.now);
	a->begun = true;
	a->asked = 1;
	a->next_write = a->moved = w->run.now;
	return true;
}

static void ended(struct hand_world *w, unsigned i)
{
	struct hand_client *a = &w->conn[i];
	bool all = w->p->conn[i].says == SAYS_REQUESTS && a->got == a->want && a->written == a->len;

	if (a->answer[0])
		let_go(w, i, FATE_ANSWERED);
	else if (all)
		let_go(w, i, FATE_DONE);
	else
		let_go(w, i, FATE_CLOSED);
	if (a->fate == FATE_CLOSED && a->got)
		run_broken(&w->run, "connection %u: closed behind %u of %u bytes", i, a->got,
			   a->want);
}

static void verify(struct hand_world *w, unsigned i, const uint8_t *bytes, uint32_t n)
{
	struct hand_client *a = &w->conn[i];

	if (hand_plan_is_calm(w->p) && w->p->conn[i].says == SAYS_REQUESTS &&
	    w->run.now - a->moved > STALL)
		run_broken(&w->run, "connection %u: nothing came for %.1f s", i,
			   (double)(w->run.now - a->moved) / 1e9);
	a->moved = w->run.now;
	if ((a->got == 0 && bytes[0] == 'H') || a->answer[0]) {
		size_t at = strlen(a->answer);

		if (at + n < sizeof a->answer)
			memcpy(a->answer + at, bytes, n);
		return;
	}
	if (a->got + n > hand_owed(&w->p->conn[i], a->written)) {
		run_broken(&w->run, "connection %u: %u bytes where %u were asked for", i,
			   a->got + n, hand_owed(&w->p->conn[i], a->written));
		return;
	}
	for (uint32_t k = 0; k < n; k++)
		if (bytes[k] != hand_answer_byte(i, a->got + k)) {
			run_broken(&w->run, "connection %u: byte %u of its answer is another one",
				   i, a->got + k);
			return;
		}
	a->got += n;
}

static void read_all(struct hand_world *w, unsigned i)
{
	static uint8_t bytes[65536];
	struct hand_client *a = &w->conn[i];

	while (a->id) {
		int n = stack_read(w->client.s, a->id, bytes, sizeof bytes, w->run.now);

		if (n == -EAGAIN)
			return;
		if (n > 0)
			verify(w, i, bytes, (uint32_t)n);
		else if (n == 0)
			ended(w, i);
		else
			let_go(w, i, a->answer[0] ? FATE_ANSWERED : FATE_RESET);
	}
}

/* Bytes that may be written by now: up to the end of the request that is asked for. */
static uint32_t may_write(const struct hand_conn_plan *c, struct hand_client *a)
{
	uint32_t end = 0, owed = 0;

	if (c->says != SAYS_REQUESTS)
		return a->len;
	for (unsigned k = 0; k < c->requests; k++) {
		end += c->request[k].head + c->request[k].body;
		owed += c->request[k].answer;
		if (a->got < owed || a->written < end)
			break;
	}
	return end;
}

static void write_some(struct hand_world *w, unsigned i)
{
	const struct hand_conn_plan *c = &w->p->conn[i];
	struct hand_client *a = &w->conn[i];
	uint32_t end = may_write(c, a);

	while (a->id && a->written < end && a->next_write <= w->run.now) {
		uint32_t n = end - a->written < c->piece ? end - a->written : c->piece;
		int r;

		if (c->leaves && a->written < c->leaves_out && a->written + n > c->leaves_out)
			n = c->leaves_out - a->written;
		r = stack_write(w->client.s, a->id, a->bytes + a->written, n, w->run.now);
		if (r <= 0)
			return;
		a->written += (uint32_t)r;
		if (c->piece != UINT32_MAX)
			a->next_write = w->run.now + c->gap;
		a->moved = w->run.now;
	}
}

static bool has_all(const struct hand_conn_plan *c, const struct hand_client *a)
{
	return c->says == SAYS_REQUESTS && a->written == a->len && a->got == a->want;
}

static void close_side(struct hand_world *w, unsigned i)
{
	const struct hand_conn_plan *c = &w->p->conn[i];
	struct hand_client *a = &w->conn[i];
	bool half = c->half_closes && c->says == SAYS_REQUESTS && a->written == a->len;

	if (a->shut || (!half && (!has_all(c, a) || c->server_closes)))
		return;
	a->shut = true;
	(void)stack_shutdown(w->client.s, a->id, w->run.now);
}

static bool leaves_now(const struct hand_conn_plan *c, const struct hand_client *a)
{
	return c->leaves && a->written >= c->leaves_out && a->got >= c->leaves_in;
}

static void run_one(struct hand_world *w, unsigned i)
{
	const struct hand_conn_plan *c = &w->p->conn[i];
	struct hand_client *a = &w->conn[i];

	if (a->start <= w->run.now && !start(w, i))
		return;
	if (!a->id)
		return;
	read_all(w, i);
	if (a->id)
		write_some(w, i);
	if (a->id)
		close_side(w, i);
	if (!a->id)
		return;
	if (leaves_now(c, a)) {
		a->silent = c->leaves == LEAVES_SILENT;
		leave(w, i, FATE_LEFT);
	} else if (w->run.now >= a->moved + PATIENCE) {
		leave(w, i, FATE_HUNG);
	}
}

void hand_clients_run(struct hand_world *w)
{
	struct conn_ready r;

	while (stack_next(w->client.s, &r))
		;
	for (unsigned i = 0; i < w->p->conns; i++)
		run_one(w, i);
}

sut_time hand_clients_deadline(const struct hand_world *w)
{
	sut_time at = SUT_NEVER;

	for (unsigned i = 0; i < w->p->conns; i++) {
		const struct hand_client *a = &w->conn[i];

		at = sooner(at, a->start);
		if (!a->id)
			continue;
		at = sooner(at, a->moved + PATIENCE);
		if (a->next_write > w->run.now)
			at = sooner(at, a->next_write);
	}
	return at;
}
