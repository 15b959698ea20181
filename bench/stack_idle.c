/* SPDX-License-Identifier: MIT */
/*
 * stack_idle - what connections that say nothing cost, in memory and on virtual time: two hosts with our own TCP back to back.
 *
 *	stack_idle [CONNECTIONS]		100000 if not said
 *
 * Opens them, lets each say one byte and hear one, then ten minutes of virtual time pass with keepalive probes every minute; all
 * must live.  Prints the server's block in all and as far as it is in memory, the bytes of it for each connection, and the time
 * that opening took.  Exit codes: 0 all lived and cost less than 1 KB each, 1 not.
 */
#include <err.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "stack/stack.h"

enum { CLIENTS = 4, QUEUE = 1 << 16, ROOM = 2048, PORT = 7 };

struct packet_slot {
	uint32_t len;
	uint8_t bytes[ROOM];
};

/* Packets on their way to one host. */
struct road {
	struct packet_slot *slot;
	uint32_t first, last;
};

struct host {
	struct stack *s;
	size_t size;
	void *block;
	struct road out; /* what it has sent */
	uint64_t dice;
};

static uint64_t dice(void *ctx)
{
	struct host *h = ctx;
	uint64_t z = h->dice += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	return z ^ (z >> 31);
}

static int emit(void *ctx, const struct stack_out *o)
{
	struct host *h = ctx;
	struct packet_slot *p = &h->out.slot[h->out.last % QUEUE];
	uint32_t at = o->head_len;

	if (h->out.last - h->out.first == QUEUE || o->head_len + o->payload_len > ROOM)
		return -ENOBUFS;
	memcpy(p->bytes, o->head, o->head_len);
	for (uint32_t i = 0; i < o->n; i++) {
		memcpy(p->bytes + at, o->slice[i].bytes, o->slice[i].len);
		at += o->slice[i].len;
	}
	p->len = at;
	h->out.last++;
	return 0;
}

static void address(uint8_t ip[16], unsigned last)
{
	static const uint8_t net[16] = { [10] = 0xff, [11] = 0xff, 192, 0, 2, 0 };

	memcpy(ip, net, 16);
	ip[15] = (uint8_t)last;
}

static void open_host(struct host *h, unsigned first, unsigned nets, uint32_t conns)
{
	struct stack_config c;
	struct stack_env env = { .random = dice, .emit = emit, .ctx = h, .secret = { 1, 2, 3 } };
	char why[96];

	stack_config_default(&c);
	for (unsigned i = 0; i < nets; i++) {
		address(c.net[i].ip, first + i);
		c.net[i].prefix = 120;
	}
	c.nets = nets;
	c.max_conns = conns;
	c.max_half_open = conns;
	c.max_listeners = 1;
	c.cells = 4096;
	h->size = stack_need(&c, why);
	if (!h->size)
		errx(1, "%s", why);
	h->block = mmap(NULL, h->size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	h->out.slot = mmap(NULL, sizeof(*h->out.slot) * QUEUE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (h->block == MAP_FAILED || h->out.slot == MAP_FAILED)
		err(1, "mmap");
	h->dice = first;
	h->s = stack_init(h->block, &c, &env, 1);
}

/* Gives b all that a has sent. */
static void carry(struct host *a, struct host *b, sut_time now)
{
	for (; a->out.first != a->out.last; a->out.first++) {
		struct packet_slot *slot = &a->out.slot[a->out.first % QUEUE];
		struct packet p = { .head = slot->bytes, .head_len = slot->len };
		struct view v;

		if (view_parse_ip(&p, &v) == R_NONE)
			stack_input(b->s, &p, &v, now);
	}
	stack_flush(b->s, now);
}

static void settle(struct host *a, struct host *b, sut_time now)
{
	stack_flush(a->s, now);
	stack_flush(b->s, now);
	while (a->out.first != a->out.last || b->out.first != b->out.last) {
		carry(a, b, now);
		carry(b, a, now);
	}
}

static void pass_time(struct host *a, struct host *b, sut_time *now, sut_time until)
{
	for (;;) {
		sut_time x = stack_deadline(a->s), y = stack_deadline(b->s);
		sut_time at = x < y ? x : y;

		if (at > until)
			break;
		*now = at > *now ? at : *now;
		stack_expire(a->s, *now);
		stack_expire(b->s, *now);
		settle(a, b, *now);
	}
	*now = until;
}

/* The server's part of one round: accepts, and answers each byte. */
static void serve(struct host *h, conn_id l, sut_time now)
{
	struct conn_ready r;
	struct stack_addr peer;
	conn_id c;

	while (stack_next(h->s, &r)) {
		uint8_t byte;

		if (r.id != l) {
			if (stack_read(h->s, r.id, &byte, 1, now) == 1)
				stack_write(h->s, r.id, &byte, 1, now);
			continue;
		}
		while (stack_accept(h->s, l, 0, &c, &peer) == 0) {
			stack_set(h->s, c, CONNOPT_KEEP_IDLE_MS, 60000, now);
			stack_set(h->s, c, CONNOPT_KEEPALIVE, 1, now);
			if (stack_read(h->s, c, &byte, 1, now) == 1)
				stack_write(h->s, c, &byte, 1, now);
		}
	}
}

/* The client's part: reads the answers.  A byte that waits to be read keeps a whole cell. */
static uint32_t hear(struct host *h, sut_time now)
{
	struct conn_ready r;
	uint32_t n = 0;
	uint8_t byte;

	while (stack_next(h->s, &r))
		n += stack_read(h->s, r.id, &byte, 1, now) == 1;
	return n;
}

static size_t resident(const struct host *h)
{
	size_t pages = (h->size + 4095) / 4096, n = 0;
	unsigned char *in = malloc(pages);

	if (!in || mincore(h->block, h->size, in) < 0)
		err(1, "mincore");
	for (size_t i = 0; i < pages; i++)
		n += in[i] & 1;
	free(in);
	return n * 4096;
}

int main(int argc, char **argv)
{
	uint32_t n = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 100000, heard = 0;
	struct host client = { 0 }, server = { 0 };
	struct stack_addr to = { .port = PORT }, from = { 0 };
	struct stack_usage used;
	struct timespec t0, t1;
	sut_time now = 1;
	conn_id l, c;

	if (n < 1 || n > CLIENTS * 60000)
		errx(2, "1 to %d connections", CLIENTS * 60000);
	open_host(&client, 1, CLIENTS, n + 1);
	open_host(&server, 100, 1, n + 1);
	address(to.ip, 100);
	if (stack_listen(server.s, &to, 4096, 0, &l) < 0)
		errx(1, "listen");
	clock_gettime(CLOCK_MONOTONIC, &t0);
	for (uint32_t i = 0; i < n; i++) {
		int e;

		address(from.ip, 1 + i % CLIENTS);
		from.port = (uint16_t)(2000 + i / CLIENTS);
		e = stack_connect(client.s, &from, &to, i, now, &c);
		if (e < 0)
			errx(1, "connection %u: %s", i, strerror(-e));
		stack_write(client.s, c, "x", 1, now);
		if (i % 1000 == 999 || i == n - 1) {
			settle(&client, &server, now);
			serve(&server, l, now);
			settle(&client, &server, now);
			serve(&server, l, now);
			settle(&client, &server, now);
			heard += hear(&client, now);
			pass_time(&client, &server, &now, now + SUT_MS(100)); /* delayed ACKs */
		}
	}
	clock_gettime(CLOCK_MONOTONIC, &t1);
	pass_time(&client, &server, &now, now + SUT_MS(1000));
	heard += hear(&client, now);
	settle(&client, &server, now);
	pass_time(&client, &server, &now, now + 600 * SUT_MS(1000));
	stack_usage(server.s, &used);
	printf("connections %u answered %u alive %u probes %llu block_mb %.1f resident_mb %.1f "
	       "bytes_each %.0f open_us %.2f\n",
	       n, heard, used.conns, (unsigned long long)stack_count(server.s, STACK_KEEPALIVES),
	       (double)server.size / 1e6, (double)resident(&server) / 1e6,
	       (double)resident(&server) / n,
	       ((double)(t1.tv_sec - t0.tv_sec) * 1e6 + (double)(t1.tv_nsec - t0.tv_nsec) / 1e3) /
		       n);
	return heard == n && used.conns == n && resident(&server) / n < 1100 ? 0 : 1;
}
