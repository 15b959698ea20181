/* SPDX-License-Identifier: MIT */
/*
 * pair - two stacks in one process, joined by a link in memory, in virtual time: a client sends a megabyte to an echo server over
 * a link that takes 10 ms and loses every 50th packet, and reads it back.  Prints what happened; nothing in it waits.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <suture/stack.h>

#define DELAY 10000000u /* ns */
#define BYTES (1u << 20)
#define FLIGHT 4096 /* most packets on the way */

struct parcel {
	uint64_t at; /* when it arrives */
	int to;
	uint32_t len;
	unsigned char bytes[1500];
};

static uint64_t now; /* virtual */
static struct sut_stack *stack[2];
static struct parcel way[FLIGHT];
static unsigned first, count, sent, lost;

static uint64_t tell_time(void *ctx)
{
	(void)ctx;
	return now;
}

static uint64_t draw(void *ctx)
{
	static uint64_t n = 42; /* the same run each time; not for real use */

	(void)ctx;
	return n = n * 6364136223846793005u + 1442695040888963407u;
}

/* The packet arrives at the other side a while later, or never. */
static int output(void *ctx, const struct sut_packet *p)
{
	struct parcel *w = &way[(first + count) % FLIGHT];
	unsigned char *at = w->bytes;

	if (++sent % 50 == 0 || count == FLIGHT) {
		lost++;
		return 0;
	}
	w->at = now + DELAY;
	w->to = ctx == &stack[0];
	w->len = p->len;
	for (unsigned i = 0; i < p->iovs; i++) {
		memcpy(at, p->iov[i].iov_base, p->iov[i].iov_len);
		at += p->iov[i].iov_len;
	}
	count++;
	return 0;
}

static struct sut_stack *new_stack(int side, const char *address)
{
	struct sut_stack_config c;
	struct sut_stack *s;
	struct sut_net net;
	char error[SUT_ERROR_TEXT];

	sut_stack_config_init(&c, sizeof c);
	sut_net_read(address, &net);
	c.nets = &net;
	c.net_count = 1;
	c.output = output;
	c.clock = tell_time;
	c.random = draw;
	c.ctx = &stack[side];
	if (sut_stack_new(&c, &s, error) < 0) {
		fprintf(stderr, "pair: %s\n", error);
		exit(1);
	}
	return s;
}

/* Goes on to the next thing that happens: a packet arrives, or a timer fires.  0: nothing will. */
static int step(void)
{
	uint64_t at = count ? way[first].at : UINT64_MAX;

	for (int i = 0; i < 2; i++) {
		sut_stack_run(stack[i]);
		if (sut_stack_deadline(stack[i]) < at)
			at = sut_stack_deadline(stack[i]);
	}
	if (count && way[first].at < at)
		at = way[first].at;
	if (at == UINT64_MAX)
		return 0;
	now = at > now ? at : now;
	while (count && way[first].at <= now) {
		sut_stack_input(stack[way[first].to], way[first].bytes, way[first].len, NULL);
		first = (first + 1) % FLIGHT;
		count--;
	}
	return 1;
}

/* The server sends back what comes, straight out of its receive buffer. */
static void echo(sut_id c)
{
	struct iovec iov;
	int pieces;

	while ((pieces = sut_peek_iov(stack[1], c, &iov, 1)) == 1) {
		ssize_t n = sut_write(stack[1], c, iov.iov_base, iov.iov_len);

		if (n <= 0)
			return; /* SUT_WRITABLE will come */
		sut_consume(stack[1], c, (size_t)n);
	}
	if (pieces != -EAGAIN) /* 0: the client has closed; else the connection is over */
		sut_close(stack[1], c);
}

static void serve(void)
{
	struct sut_event e;
	sut_id c;

	while (sut_next(stack[1], &e)) {
		if (e.events & SUT_ACCEPTABLE) {
			while (sut_accept(stack[1], e.id, 0, &c, NULL) == 0)
				echo(c);
		} else {
			echo(e.id);
		}
	}
}

int main(void)
{
	static unsigned char data[BYTES], back[BYTES];
	struct sut_addr server;
	struct sut_info info;
	struct sut_event e;
	sut_id l, c;
	size_t written = 0, got = 0;
	ssize_t n;

	stack[0] = new_stack(0, "192.0.2.1/24");
	stack[1] = new_stack(1, "192.0.2.2/24");
	sut_addr_read("192.0.2.2", 7, &server);
	if (sut_listen(stack[1], &server, 16, 0, &l) < 0 ||
	    sut_connect(stack[0], NULL, &server, 0, &c) < 0)
		return 1;
	for (size_t i = 0; i < BYTES; i++)
		data[i] = (unsigned char)(i * 7 + i / 251);
	while (got < BYTES) {
		if (!step())
			return 1;
		serve();
		while (sut_next(stack[0], &e))
			;
		while (written < BYTES &&
		       (n = sut_write(stack[0], c, data + written, BYTES - written)) > 0)
			written += (size_t)n;
		while ((n = sut_read(stack[0], c, back + got, BYTES - got)) > 0)
			got += (size_t)n;
	}
	sut_info(stack[0], c, &info, sizeof info);
	printf("%zu bytes went and came back in %.2f s of virtual time\n", got, (double)now / 1e9);
	printf("%u packets, %u of them lost, %u segments sent again\n", sent, lost,
	       info.retrans_segs);
	printf("smoothed RTT %.1f ms, cwnd %u bytes, %s\n", info.srtt_us / 1e3, info.cwnd, info.cc);
	if (memcmp(data, back, BYTES) != 0)
		return 1;
	sut_close(stack[0], c);
	while (sut_info(stack[0], c, &info, sizeof info), step())
		serve();
	printf("closed after %.2f s, TIME-WAIT and all\n", (double)now / 1e9);
	sut_stack_free(stack[0]);
	sut_stack_free(stack[1]);
	return 0;
}
