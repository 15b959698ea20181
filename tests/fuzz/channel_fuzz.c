/* SPDX-License-Identifier: MIT */
/*
 * A front end and an agent, and a network that the input commands: it delivers, loses, repeats, damages and makes up datagrams, restarts
 * the ends and changes keys.  No line is heard that was not said, none more often than it was said.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "app/channel.h"

#define KEPT 64u
#define LINES 256u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct end {
	struct channel *ch;
	struct endpoint at;
	struct end *other;
	unsigned sent; /* runs on; the slot is the remainder */
	unsigned taken;
	size_t len[KEPT];
	uint8_t bytes[KEPT][CHANNEL_MAX];
	unsigned said[LINES], heard[LINES]; /* of a line "ask id=N": by N */
};

static struct end front, agent;
static const char *const key_files[] = {
	"0 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n",
	"1 ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100\n"
	"0 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n",
};

static void keep(void *ctx, const struct endpoint *to, const uint8_t *bytes, size_t len)
{
	struct end *e = ctx;

	(void)to;
	assert(len <= CHANNEL_MAX);
	memcpy(e->bytes[e->sent % KEPT], bytes, len);
	e->len[e->sent++ % KEPT] = len;
}

static void hear(void *ctx, unsigned peer, const char *text, size_t len)
{
	struct end *e = ctx;
	char line[CHANNEL_LINE_MAX + 1];
	unsigned n;

	assert(peer == 0 && len == 10 && memcmp(text, "ask id=", 7) == 0);
	memcpy(line, text, len);
	line[len] = 0;
	n = (unsigned)atoi(line + 7);
	assert(n < LINES && ++e->heard[n] <= e->other->said[n]);
}

static struct channel_keys keys_of(unsigned i)
{
	struct channel_keys k;
	char why[200];

	if (channel_keys_parse(key_files[i & 1], strlen(key_files[i & 1]), &k, why, sizeof why) !=
	    0)
		abort();
	return k;
}

static void open_end(struct end *e, struct end *other, unsigned keys)
{
	static struct channel_config c;

	if (e->ch)
		channel_close(e->ch);
	e->other = other;
	c = (struct channel_config){
		.begins = e == &front,
		.keys = keys_of(keys),
		.peers = 1,
		.send = keep,
		.line = hear,
		.ctx = e,
	};
	memcpy(c.peer[0].name, "other", 6);
	c.peer[0].at = other->at;
	if (!c.begins)
		c.peer[0].at.port = 0;
	e->ch = channel_open(&c);
	if (!e->ch)
		abort();
}

static void say(struct end *e, unsigned n, sut_time now)
{
	char line[11] = "ask id=000";

	line[7] = (char)('0' + n / 100);
	line[8] = (char)('0' + n / 10 % 10);
	line[9] = (char)('0' + n % 10);
	e->said[n]++;
	channel_put(e->ch, 0, line, 10, now);
	channel_flush(e->ch, now);
}

/* The datagram that e sent `back` before its last one, with a byte changed where change is not 0. */
static void deliver(struct end *e, unsigned back, uint8_t at, uint8_t change, sut_time now)
{
	uint8_t b[CHANNEL_MAX];
	size_t len;

	if (back >= e->sent || back >= KEPT)
		return;
	len = e->len[(e->sent - 1 - back) % KEPT];
	memcpy(b, e->bytes[(e->sent - 1 - back) % KEPT], len);
	b[at % len] ^= change;
	channel_receive(e->other->ch, &e->at, b, change ? len - at % 3 : len, now);
}

static void one(const uint8_t step[4], const uint8_t *rest, size_t len, sut_time now)
{
	struct end *e = step[0] & 1 ? &front : &agent;

	switch (step[0] >> 1 & 7) {
	case 0:
		say(e, step[1], now);
		break;
	case 1:
	case 2:
		if (e->sent - e->taken > KEPT)
			e->taken = e->sent - KEPT;
		if (e->taken < e->sent) {
			deliver(e, e->sent - 1 - e->taken, 0, 0, now);
			e->taken++;
		}
		break;
	case 3:
		deliver(e, step[1], step[2], step[3], now);
		break;
	case 4:
		channel_receive(e->other->ch, &e->at, rest, len < CHANNEL_MAX ? len : CHANNEL_MAX,
				now);
		break;
	case 5:
		open_end(e, e->other, step[1]);
		break;
	case 6: {
		const struct channel_keys k = keys_of(step[1]);

		channel_rekey(e->ch, &k, now);
		break;
	}
	default:
		channel_expire(e->ch, now);
		assert(channel_deadline(e->ch) > now);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	sut_time now = SUT_MS(1000);

	memset(&front, 0, sizeof front);
	memset(&agent, 0, sizeof agent);
	if (endpoint_read("192.0.2.1:4000", 14, &front.at) != 0 ||
	    endpoint_read("[2001:db8::2]:4001", 18, &agent.at) != 0)
		abort();
	open_end(&front, &agent, 0);
	open_end(&agent, &front, 0);
	for (; size >= 4; data += 4, size -= 4) {
		now += SUT_MS(data[3]);
		one(data, data + 4, size - 4, now);
	}
	channel_close(front.ch);
	channel_close(agent.ch);
	front.ch = agent.ch = NULL;
	return 0;
}
