/* SPDX-License-Identifier: MIT */
#include "stack_loop.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "port/tun_dev.h"
#include "port/tun_link.h"

#define NETS 4u
#define BURST 64

static struct {
	struct tun_dev dev;
	struct sut_stack *s;
	struct sut_net net[NETS];
	struct link_addr host[NETS];
	unsigned nets, hosts;
	uint32_t off; /* flags of struct sut_stack_config that are taken away */
	bool no_offload, newreno, verbose;
	uint32_t mtu, buffer, msl_ms;
	uint32_t user_timeout, keepalive; /* ms */
} me;

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	(void)sig;
	stopped = 1;
}

static bool flag_word(const char *word)
{
	static const struct {
		const char *word;
		uint32_t flag;
	} flags[] = {
		{ "--no-timestamps", SUT_TIMESTAMPS }, { "--no-sack", SUT_SACK },
		{ "--no-wscale", SUT_WSCALE },	       { "--no-ecn", SUT_ECN },
		{ "--no-fastopen", SUT_FASTOPEN },     { "--no-tso", SUT_OFFLOAD_TSO },
	};

	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
		if (strcmp(word, flags[i].word) == 0) {
			me.off |= flags[i].flag;
			return true;
		}
	}
	if (strcmp(word, "--no-offload") == 0)
		me.no_offload = true;
	else if (strcmp(word, "--newreno") == 0)
		me.newreno = true;
	else if (strcmp(word, "--counters") == 0)
		me.verbose = true;
	else
		return false;
	return true;
}

/* "--name=": what stands behind it, or NULL. */
static const char *value_of(const char *word, const char *name)
{
	size_t n = strlen(name);

	return strncmp(word, name, n) == 0 ? word + n : NULL;
}

static bool number_word(const char *word)
{
	static const struct {
		const char *name;
		uint32_t *to;
	} numbers[] = {
		{ "--mtu=", &me.mtu },
		{ "--buffer=", &me.buffer },
		{ "--msl=", &me.msl_ms },
		{ "--user-timeout=", &me.user_timeout },
		{ "--keepalive=", &me.keepalive },
	};

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		const char *v = value_of(word, numbers[i].name);

		if (v != NULL) {
			*numbers[i].to = (uint32_t)strtoul(v, NULL, 10);
			return true;
		}
	}
	return false;
}

bool loop_word(const char *word)
{
	const char *v;

	if ((v = value_of(word, "--addr=")) && me.nets < NETS)
		return sut_net_read(v, &me.net[me.nets++]) == 0;
	if ((v = value_of(word, "--host=")) && me.hosts < NETS)
		return link_addr_parse(v, &me.host[me.hosts++]) == 0;
	return flag_word(word) || number_word(word);
}

static int output(void *ctx, const struct sut_packet *p)
{
	struct iovec v[SUT_IOVS + 1];
	const struct offload off = {
		.csum = p->off.csum,
		.gso_type = p->off.gso_type,
		.gso_size = p->off.gso_size,
		.hdr_len = p->off.hdr_len,
		.csum_start = p->off.csum_start,
		.csum_offset = p->off.csum_offset,
	};

	(void)ctx;
	memcpy(v + 1, p->iov, p->iovs * sizeof *v);
	return tun_dev_write(&me.dev, v, p->iovs + 1, p->len, &off);
}

static int make_stack(void)
{
	struct sut_stack_config c;
	char why[SUT_ERROR_TEXT];
	int mtu = tun_dev_mtu(&me.dev);

	sut_stack_config_init(&c, sizeof c);
	c.nets = me.net;
	c.net_count = me.nets;
	c.flags = (c.flags | SUT_ECN | SUT_FASTOPEN) & ~me.off;
	if (!me.no_offload)
		c.flags |= (SUT_OFFLOAD_CSUM | SUT_OFFLOAD_TSO) & ~me.off;
	c.cc = me.newreno ? SUT_NEWRENO : SUT_CUBIC;
	c.mtu = mtu > 0 ? (uint32_t)mtu : 1500;
	c.max_conns = 16384;
	c.memory = (size_t)128 << 20;
	if (me.buffer)
		c.sndbuf = c.rcvbuf = me.buffer;
	if (me.msl_ms)
		c.msl = (uint64_t)me.msl_ms * 1000000;
	c.output = output;
	if (sut_stack_new(&c, &me.s, why) == 0)
		return 0;
	fprintf(stderr, "stack_end: %s\n", why);
	return 1;
}

int loop_open(const char *device)
{
	struct sigaction act = { .sa_handler = on_signal };
	char why[300];

	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGINT, &act, NULL);
	if (tun_dev_open(&me.dev, device, !me.no_offload, why, sizeof why) != 0 ||
	    link_configure(device, me.mtu, 1000, me.host, me.hosts, why, sizeof why) != 0) {
		fprintf(stderr, "stack_end: %s\n", why);
		return 1;
	}
	return make_stack();
}

void loop_close(void)
{
	if (me.verbose)
		loop_counters();
	sut_stack_free(me.s);
	tun_dev_close(&me.dev);
}

void loop_prepare(sut_id c)
{
	if (me.user_timeout)
		sut_set(me.s, c, SUT_OPT_USER_TIMEOUT_MS, me.user_timeout);
	if (me.keepalive) {
		sut_set(me.s, c, SUT_OPT_KEEPALIVE, 1);
		sut_set(me.s, c, SUT_OPT_KEEP_IDLE_MS, me.keepalive);
		sut_set(me.s, c, SUT_OPT_KEEP_INTERVAL_MS, me.keepalive);
		sut_set(me.s, c, SUT_OPT_KEEP_COUNT, 3);
	}
}

/* What the device has, up to a burst. */
static void take(void)
{
	static uint8_t room[PACKET_HEADROOM + PACKET_MAX];
	struct offload o;
	int n;

	for (int i = 0; i < BURST; i++) {
		struct sut_offload off;

		n = tun_dev_read(&me.dev, room + PACKET_HEADROOM, PACKET_MAX, &o);
		if (n <= 0)
			return;
		off = (struct sut_offload){ .csum = o.csum,
					    .gso_type = o.gso_type,
					    .gso_size = o.gso_size,
					    .hdr_len = o.hdr_len,
					    .csum_start = o.csum_start,
					    .csum_offset = o.csum_offset };
		(void)sut_stack_input(me.s, room + PACKET_HEADROOM, (size_t)n, &off);
	}
}

static int wait_ms(uint64_t end)
{
	int ms = sut_stack_timeout(me.s);
	uint64_t now = loop_ms();

	if (end && (ms < 0 || now + (uint64_t)ms > end))
		ms = end > now ? (int)(end - now) : 0;
	return ms;
}

int loop_run(uint64_t ms, void (*told)(const struct sut_event *e), bool (*done)(void))
{
	struct pollfd f = { .fd = me.dev.fd, .events = POLLIN };
	uint64_t end = ms ? loop_ms() + ms : 0;
	struct sut_event e;
	const char *why;

	sut_stack_run(me.s);
	while (!done()) {
		if (stopped || (end && loop_ms() >= end))
			return -1;
		if (poll(&f, 1, wait_ms(end)) < 0 && errno != EINTR)
			return -1;
		take();
		while (sut_next(me.s, &e))
			told(&e);
		sut_stack_run(me.s);
	}
	why = sut_stack_check(me.s);
	if (why != NULL)
		fprintf(stderr, "stack_end: the stack is not sound: %s\n", why);
	return why == NULL ? 0 : -1;
}

struct sut_stack *loop_stack(void)
{
	return me.s;
}

uint64_t loop_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void loop_counters(void)
{
	const char *name;
	uint64_t v;

	for (unsigned i = 0; sut_stack_counter(me.s, i, &name, NULL, &v) == 0; i++) {
		if (v)
			printf("%s %" PRIu64 "\n", name, v);
	}
	fflush(stdout);
}
