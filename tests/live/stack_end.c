/* SPDX-License-Identifier: MIT */
/*
 * stack_end - one end of a test over libsuture's TCP, behind a TUN device; the other end is this kernel's, or one beyond it.
 *
 *	stack_end [WORD ...] DEVICE VERB ...
 *
 *	serve				listens for ever: 9000 answers "BYTES SHA256" behind the end, 9001 gives back what it gets, 9002 says "go", closes
 *					its direction, and reads to the end, 9003 sends 1 MB at once with an end behind it.  Says how each
 *					connection on 9001 ends
 *	push HOST PORT BYTES		with a peer sink: sends made-up bytes, half-closes, compares the answer with its own
 *	both HOST PORT BYTES		with a peer echo: sends and reads at the same time; what comes back must be what was sent
 *	chat HOST PORT COUNT		with a peer echo: COUNT lines there and back, of growing length
 *	upload HOST PORT BYTES		with a peer early: reads its end first, then sends; prints "BYTES SHA256"
 *	pull HOST PORT			reads to the end; prints "BYTES SHA256"
 *	abort HOST PORT BYTES		sends, and ends by a reset
 *	stay HOST PORT			a line there and back, then sends a line a second; prints how it ends
 *	idle HOST PORT			the same, but sends nothing
 *	many HOST PORT COUNT AT-ONCE	COUNT connections with a peer echo, AT-ONCE at a time, each with a line of its own
 *	again HOST PORT COUNT SPORT	COUNT uploads of 1000 bytes one after another from the same port: the peer closes first, and waits in TIME-WAIT
 *
 * Words: --addr=ADDR/BITS (of the stack), --host=ADDR/BITS (the kernel's), --mtu=N, --buffer=N, --msl=MS, --user-timeout=MS,
 * --keepalive=MS, --no-timestamps, --no-sack, --no-wscale, --no-ecn, --no-fastopen, --no-tso, --no-offload, --newreno, --counters.
 *
 * Exit codes: 0 all as it should be, 1 not, 2 bad usage.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sha256.h"
#include "stack_loop.h"

#define CHUNK 16384u
#define LIMIT_MS 120000u
#define POURED (1u << 20)

enum verb { SINK, ECHO, EARLY, POUR, PUSH, BOTH, CHAT, UPLOAD, PULL, ABORT, STAY, IDLE, LINE };

/* A connection, and what it has said. */
struct talk {
	sut_id id; /* 0: free */
	enum verb verb;
	uint64_t to_send, sent, got, seed;
	struct sha256 out, in;
	uint8_t chunk[CHUNK];
	uint32_t chunk_len, chunk_at;
	char line[128]; /* a sink's answer, or what came at first */
	uint32_t line_len, line_at;
	unsigned turn, turns; /* of a chat */
	uint64_t back; /* bytes of this turn that came back */
	bool shut, eof, bad;
};

#define TALKS 4096u

static struct talk *talks[TALKS];
static unsigned live, finished, failed;
static sut_id listeners[4];
static struct {
	enum verb verb;
	struct sut_addr to, from;
	uint64_t number;
	unsigned count, begun, at_once;
	uint64_t next_line; /* ms */
} job;

/* --- what is said */

/* The next bytes, which depend on their place in the stream. */
static void make_up(struct talk *t)
{
	uint64_t left = t->to_send - t->sent;

	for (size_t i = 0; i < CHUNK; i += 8) {
		t->seed ^= t->seed << 13;
		t->seed ^= t->seed >> 7;
		t->seed ^= t->seed << 17;
		memcpy(t->chunk + i, &t->seed, 8);
	}
	t->chunk_at = 0;
	t->chunk_len = left < CHUNK ? (uint32_t)left : CHUNK;
}

/* Sends until all is sent, or no more goes: true: all is. */
static bool pour(struct talk *t)
{
	while (t->sent < t->to_send) {
		ssize_t n;

		if (t->chunk_at == t->chunk_len)
			make_up(t);
		n = sut_write(loop_stack(), t->id, t->chunk + t->chunk_at,
			      t->chunk_len - t->chunk_at);
		if (n <= 0)
			return false;
		sha256_add(&t->out, t->chunk + t->chunk_at, (size_t)n);
		t->chunk_at += (uint32_t)n;
		t->sent += (uint64_t)n;
	}
	return true;
}

static bool say_line(struct talk *t)
{
	while (t->line_at < t->line_len) {
		ssize_t n = sut_write(loop_stack(), t->id, t->line + t->line_at,
				      t->line_len - t->line_at);

		if (n <= 0)
			return false;
		t->line_at += (uint32_t)n;
	}
	return true;
}

static void shut(struct talk *t)
{
	if (!t->shut)
		sut_shutdown(loop_stack(), t->id);
	t->shut = true;
}

/* The line of what a digest has seen. */
static void tell(uint64_t bytes, const struct sha256 *s, char *ret_line, size_t room)
{
	struct sha256 end = *s;
	char hex[SHA256_HEX];

	sha256_end(&end, hex);
	snprintf(ret_line, room, "%llu %s\n", (unsigned long long)bytes, hex);
}

/* --- life */

static struct talk *talk_begin(sut_id id, enum verb verb, uint64_t number)
{
	struct talk *t = NULL;

	for (unsigned i = 0; i < TALKS && t == NULL; i++) {
		if (talks[i] == NULL)
			t = talks[i] = calloc(1, sizeof *t);
	}
	if (t == NULL) {
		sut_abort(loop_stack(), id);
		failed++;
		return NULL;
	}
	t->id = id;
	t->verb = verb;
	t->to_send = number;
	t->seed = 0x9e3779b97f4a7c15u ^ number;
	sha256_init(&t->out);
	sha256_init(&t->in);
	live++;
	loop_prepare(id);
	return t;
}

static struct talk *talk_of(sut_id id)
{
	for (unsigned i = 0; i < TALKS; i++) {
		if (talks[i] && talks[i]->id == id)
			return talks[i];
	}
	return NULL;
}

/* What was agreed on, for tests that switch options off. */
static void say_agreed(const struct talk *t)
{
	static const char *const word[] = { "timestamps", "sack", "wscale", "ecn", "fastopen" };
	struct sut_info i;

	if (job.count != 1 || sut_info(loop_stack(), t->id, &i, sizeof i) < 0)
		return;
	fputs("agreed:", stdout);
	for (unsigned k = 0; k < 5; k++)
		if (i.flags & 1u << k)
			printf(" %s", word[k]);
	printf(" %s; again %u of %u\n", i.cc, i.retrans_segs, i.segs_out);
	fflush(stdout);
}

static void talk_end(struct talk *t, bool well)
{
	say_agreed(t);
	sut_close(loop_stack(), t->id);
	finished += well;
	failed += !well;
	live--;
	for (unsigned i = 0; i < TALKS; i++) {
		if (talks[i] == t)
			talks[i] = NULL;
	}
	free(t);
}

/* How it ended, for tests that end it on purpose. */
static const char *how(ssize_t n)
{
	return n == 0		    ? "eof"
	       : n == -ECONNRESET   ? "reset"
	       : n == -ECONNREFUSED ? "refused"
	       : n == -ETIMEDOUT    ? "timed out"
				    : strerror((int)-n);
}

static void said_end(struct talk *t, ssize_t n)
{
	printf("ends: %s\n", how(n));
	fflush(stdout);
	talk_end(t, true);
}

static void say_failed(struct talk *t, ssize_t n)
{
	fprintf(stderr, "stack_end: after %llu bytes sent and %llu read: %s\n",
		(unsigned long long)t->sent, (unsigned long long)t->got, how(n));
	talk_end(t, false);
}

/* --- what comes: each returns false if t is gone */

static bool compare(struct talk *t, const char *want, const char *got)
{
	if (strcmp(want, got) == 0)
		return true;
	fprintf(stderr, "stack_end: sent %sstack_end: they got %s\n", want, *got ? got : "nothing");
	(void)t;
	return false;
}

/* The peer's end has come. */
static void at_eof(struct talk *t)
{
	char want[128];

	t->eof = true;
	switch (t->verb) {
	case SINK:
		tell(t->got, &t->in, t->line, sizeof t->line);
		t->line_len = (uint32_t)strlen(t->line);
		return;
	case PUSH:
		tell(t->sent, &t->out, want, sizeof want);
		talk_end(t, t->shut && compare(t, want, t->line));
		return;
	case BOTH: {
		char got[128];

		tell(t->sent, &t->out, want, sizeof want);
		tell(t->got, &t->in, got, sizeof got);
		talk_end(t, t->shut && compare(t, want, got));
		return;
	}
	case EARLY:
	case PULL:
		tell(t->got, &t->in, want, sizeof want);
		fputs(want, stdout);
		fflush(stdout);
		if (t->verb == PULL)
			talk_end(t, true);
		return;
	case CHAT:
	case LINE:
		talk_end(t, !t->bad && (t->verb == LINE ? t->got == t->sent : t->turn == t->turns));
		return;
	case STAY:
	case IDLE:
		said_end(t, 0);
		return;
	case ECHO:
	case POUR:
	case UPLOAD:
	case ABORT:
		return;
	}
}

/* Gives back what came: false: there is no room. */
static bool echo(struct talk *t)
{
	struct iovec v;
	int n;

	while ((n = sut_peek_iov(loop_stack(), t->id, &v, 1)) == 1) {
		ssize_t w = sut_write(loop_stack(), t->id, v.iov_base, v.iov_len);

		if (w <= 0)
			return true;
		sut_consume(loop_stack(), t->id, (size_t)w);
	}
	if (n == -EAGAIN)
		return true;
	said_end(t, n);
	return false;
}

static void keep(struct talk *t, const uint8_t *b, size_t n)
{
	size_t room = sizeof t->line - 1 - t->line_len;

	if (t->verb == SINK)
		return;
	n = n < room ? n : room;
	memcpy(t->line + t->line_len, b, n);
	t->line_len += (uint32_t)n;
}

/* Reads all there is. */
static bool hear(struct talk *t)
{
	static uint8_t b[65536];
	ssize_t n;

	if (t->eof)
		return true;
	while ((n = sut_read(loop_stack(), t->id, b, sizeof b)) > 0) {
		sha256_add(&t->in, b, (size_t)n);
		t->got += (uint64_t)n;
		t->back += (uint64_t)n;
		keep(t, b, (size_t)n);
	}
	if (n == -EAGAIN)
		return true;
	if (n == 0) {
		enum verb v = t->verb;

		at_eof(t);
		return v == SINK || v == EARLY || v == UPLOAD;
	}
	if (t->verb == STAY || t->verb == IDLE || t->verb == ECHO)
		said_end(t, n);
	else
		say_failed(t, n);
	return false;
}

/* --- what each does when something may have changed */

/* A line of this turn's length; when it is back, the next. */
static void chat(struct talk *t)
{
	while (t->turn < t->turns) {
		uint64_t n = (uint64_t)(t->turn + 1) * 37 % 4000 + 1;

		if (t->to_send == t->sent && t->back < n && t->sent != 0)
			return;
		if (t->sent != 0 && t->back >= n) {
			t->bad |= t->back > n;
			t->turn++;
			t->back = 0;
			if (t->turn == t->turns)
				break;
			n = (uint64_t)(t->turn + 1) * 37 % 4000 + 1;
		}
		if (t->to_send == t->sent)
			t->to_send += n;
		if (!pour(t))
			return;
	}
	{
		char want[128], got[128];

		tell(t->sent, &t->out, want, sizeof want);
		tell(t->got, &t->in, got, sizeof got);
		t->bad |= strcmp(want, got) != 0;
	}
	shut(t);
}

static void advance(struct talk *t)
{
	switch (t->verb) {
	case ECHO:
		(void)echo(t);
		return;
	case POUR:
		if (pour(t))
			talk_end(t, true);
		return;
	case EARLY:
		if (!t->shut) {
			sut_write(loop_stack(), t->id, "go\n", 3);
			shut(t);
		}
		if (hear(t) && t->eof)
			talk_end(t, true);
		return;
	case SINK:
		if (hear(t) && t->eof && say_line(t))
			talk_end(t, true);
		return;
	case CHAT:
		if (hear(t))
			chat(t);
		return;
	case UPLOAD:
		if (hear(t) && t->eof && pour(t)) {
			char line[128];

			tell(t->sent, &t->out, line, sizeof line);
			fputs(line, stdout);
			talk_end(t, true);
		}
		return;
	case ABORT:
		if (pour(t)) {
			sut_abort(loop_stack(), t->id);
			talk_end(t, true);
		}
		return;
	case STAY:
	case IDLE:
	case LINE:
		(void)(pour(t) && hear(t));
		return;
	case PUSH:
	case BOTH:
	case PULL:
		if (pour(t))
			shut(t);
		(void)hear(t);
		return;
	}
}

/* Opens the next connection: false: its port is still in use. */
static bool begin(void)
{
	struct sut_addr from = job.from;
	struct talk *t;
	sut_id id;
	int err;

	if (job.from.port != 0)
		usleep(2000); /* the peer's TIME-WAIT ends for a timestamp that is newer (RFC 6191) */
	err = sut_connect(loop_stack(), &from, &job.to, 0, &id);
	if (err == -EADDRINUSE &&
	    job.from.port != 0) /* the last one waits for the ACK of its FIN */
		return false;
	job.begun++;
	if (err < 0) {
		fprintf(stderr, "stack_end: connect: %s\n", strerror(-err));
		failed++;
		return true;
	}
	t = talk_begin(id, job.verb, job.number);
	if (t == NULL)
		return true;
	if (job.verb == CHAT) {
		t->turns = (unsigned)job.number;
		t->to_send = 0;
		sut_set(loop_stack(), id, SUT_OPT_NODELAY, 1);
	}
	if (job.verb == LINE)
		t->to_send = 1 + job.begun % 100;
	if (job.verb == STAY || job.verb == IDLE)
		t->to_send = 6;
	(void)pour(t); /* before the SYN goes: Fast Open may take it along */
	return true;
}

/* --- the two jobs: as server, and as client */

static void told_server(const struct sut_event *e)
{
	static const enum verb verb[4] = { SINK, ECHO, EARLY, POUR };
	struct talk *t = talk_of(e->id);
	sut_id id;

	for (unsigned i = 0; i < 4; i++) {
		while (e->id == listeners[i] &&
		       sut_accept(loop_stack(), e->id, 0, &id, NULL) == 0) {
			struct talk *n = talk_begin(id, verb[i], verb[i] == POUR ? POURED : 0);

			if (n != NULL)
				advance(n);
		}
	}
	if (t != NULL)
		advance(t);
}

static bool never(void)
{
	return false;
}

static int serve(void)
{
	for (unsigned i = 0; i < 4; i++) {
		struct sut_addr any = { .port = (uint16_t)(9000 + i) };

		if (sut_listen(loop_stack(), &any, 512, 0, &listeners[i]) < 0)
			return 1;
	}
	puts("ready");
	fflush(stdout);
	(void)loop_run(0, told_server, never);
	return sut_stack_check(loop_stack()) != NULL;
}

static void told_client(const struct sut_event *e)
{
	struct talk *t = talk_of(e->id);
	ssize_t n;

	if (t == NULL)
		return;
	if (e->events & SUT_ERROR) {
		uint8_t b;

		n = sut_read(loop_stack(), t->id, &b, 1);
		if (t->verb == STAY || t->verb == IDLE)
			said_end(t, n);
		else
			say_failed(t, n);
		return;
	}
	advance(t);
	if (job.verb == LINE && (t = talk_of(e->id)) != NULL && t->sent && t->got == t->sent)
		shut(t);
}

static bool client_done(void)
{
	while (live < job.at_once && job.begun < job.count && begin())
		;
	sut_stack_flush(loop_stack());
	return live == 0 && job.begun >= job.count;
}

/* One line a second, until the connection ends. */
static bool stay_done(void)
{
	struct talk *t = NULL;

	for (unsigned i = 0; i < TALKS && t == NULL; i++)
		t = talks[i];
	if (t != NULL && t->verb == STAY && t->got && loop_ms() >= job.next_line) {
		if (job.next_line == 0) {
			puts("stays");
			fflush(stdout);
		}
		job.next_line = loop_ms() + 300;
		t->to_send += 6;
		(void)pour(t);
	}
	if (t != NULL && t->verb == IDLE && t->got && job.next_line == 0) {
		job.next_line = 1;
		puts("stays");
		fflush(stdout);
	}
	return client_done();
}

static int client(void)
{
	uint64_t end = loop_ms() + LIMIT_MS;
	bool staying = job.verb == STAY || job.verb == IDLE;

	while (loop_ms() < end) {
		if (loop_run(staying ? 100 : LIMIT_MS, told_client,
			     staying ? stay_done : client_done) == 0)
			break;
		if (!staying)
			break;
	}
	if (live)
		fprintf(stderr, "stack_end: %u connections are not finished\n", live);
	printf("%u well, %u failed\n", finished, failed + live);
	return failed || live || finished != job.count;
}

/* What is on its way when the work is done (a FIN, the last ACK) still goes. */
static void settle(void)
{
	(void)loop_run(50, told_client, never);
}

static bool read_job(int argc, char **argv)
{
	static const struct {
		const char *word;
		enum verb verb;
		int args;
	} verbs[] = {
		{ "push", PUSH, 4 },	 { "both", BOTH, 4 }, { "chat", CHAT, 4 },
		{ "upload", UPLOAD, 4 }, { "pull", PULL, 3 }, { "abort", ABORT, 4 },
		{ "stay", STAY, 3 },	 { "idle", IDLE, 3 }, { "many", LINE, 5 },
		{ "again", UPLOAD, 5 },
	};

	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
		if (strcmp(argv[0], verbs[i].word) != 0 || argc != verbs[i].args)
			continue;
		job.verb = verbs[i].verb;
		job.count = job.at_once = 1;
		if (argc == 5)
			job.count = (unsigned)atoi(argv[3]);
		else if (argc == 4)
			job.number = strtoull(argv[3], NULL, 10);
		if (strcmp(argv[0], "many") == 0)
			job.at_once = (unsigned)atoi(argv[4]);
		if (strcmp(argv[0], "again") == 0) {
			job.from.port = (uint16_t)atoi(argv[4]);
			job.number = 1000;
		}
		return sut_addr_read(argv[1], (uint16_t)atoi(argv[2]), &job.to) == 0;
	}
	return false;
}

int main(int argc, char **argv)
{
	int status;
	bool serves;

	for (argv++, argc--; argc > 0 && strncmp(*argv, "--", 2) == 0; argv++, argc--) {
		if (!loop_word(*argv))
			break;
	}
	serves = argc == 2 && strcmp(argv[1], "serve") == 0;
	if (argc < 2 || (!serves && !read_job(argc - 1, argv + 1))) {
		fputs("usage: stack_end [WORD ...] DEVICE serve | push|both|chat|upload|abort HOST "
		      "PORT NUMBER | pull|stay|idle HOST PORT |\n"
		      "       many HOST PORT COUNT AT-ONCE | again HOST PORT COUNT SPORT\n",
		      stderr);
		return 2;
	}
	if (loop_open(argv[0]) != 0)
		return 1;
	status = serves ? serve() : client();
	if (!serves)
		settle();
	loop_close();
	return status;
}
