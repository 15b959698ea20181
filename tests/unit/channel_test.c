/* SPDX-License-Identifier: MIT */
#include "app/channel.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sys/stat.h>

#include "base/compiler.h"

#define KEY_A "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define KEY_B "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"
#define SENT_MAX 400u

/* One end: its channel, what it sent (each kept for replays), what it was told. */
struct end {
	struct channel *ch;
	struct endpoint at;
	struct end *other;
	unsigned sent, taken;
	size_t len[SENT_MAX];
	uint8_t bytes[SENT_MAX][CHANNEL_MAX];
	struct endpoint to[SENT_MAX];
	unsigned lines, unopened;
	char last[CHANNEL_LINE_MAX + 1];
};

static struct end front, agent;
static sut_time now;

static void keep(void *ctx, const struct endpoint *to, const uint8_t *bytes, size_t len)
{
	struct end *e = ctx;

	assert_true(e->sent < SENT_MAX && len <= CHANNEL_MAX);
	memcpy(e->bytes[e->sent], bytes, len);
	e->len[e->sent] = len;
	e->to[e->sent++] = *to;
}

static void hear(void *ctx, unsigned peer, const char *text, size_t len)
{
	struct end *e = ctx;

	assert_int_equal(peer, 0);
	assert_true(len > 0 && len <= CHANNEL_LINE_MAX);
	memcpy(e->last, text, len);
	e->last[len] = 0;
	e->lines++;
}

static void wonder(void *ctx, unsigned peer)
{
	struct end *e = ctx;

	assert_int_equal(peer, 0);
	e->unopened++;
}

static struct channel_keys keys_of(const char *text)
{
	struct channel_keys k;
	char why[200];

	assert_int_equal(channel_keys_parse(text, strlen(text), &k, why, sizeof why), 0);
	return k;
}

static void open_end(struct end *e, bool begins, const char *keys)
{
	static struct channel_config c;
	struct end *other = begins ? &agent : &front;

	if (e->ch)
		channel_close(e->ch);
	memset(e, 0, sizeof *e);
	e->other = other;
	assert_int_equal(endpoint_read(begins ? "192.0.2.1:4000" : "[2001:db8::2]:4001",
				       begins ? 14 : 18, &e->at),
			 0);
	c = (struct channel_config){
		.begins = begins,
		.keys = keys_of(keys),
		.peers = 1,
		.send = keep,
		.line = hear,
		.unopened = wonder,
		.ctx = e,
	};
	snprintf(c.peer[0].name, sizeof c.peer[0].name, begins ? "web1" : "front");
	assert_int_equal(endpoint_read(begins ? "[2001:db8::2]:4001" : "192.0.2.1:4000",
				       begins ? 18 : 14, &c.peer[0].at),
			 0);
	if (!begins)
		c.peer[0].at.port = 0;
	e->ch = channel_open(&c);
	assert_non_null(e->ch);
}

/* Gives the other end the i-th datagram that this one has sent. */
static void deliver(struct end *e, unsigned i)
{
	channel_receive(e->other->ch, &e->at, e->bytes[i], e->len[i], now);
}

/* Until nothing is under way. */
static void settle(void)
{
	while (front.taken < front.sent || agent.taken < agent.sent) {
		if (front.taken < front.sent)
			deliver(&front, front.taken++);
		else
			deliver(&agent, agent.taken++);
	}
}

static void say(struct end *e, const char *text)
{
	channel_put(e->ch, 0, text, strlen(text), now);
	channel_flush(e->ch, now);
}

static uint64_t counted(const struct end *e, enum channel_counter what)
{
	return channel_count(e->ch, what);
}

static void connect_with(const char *front_keys, const char *agent_keys)
{
	now = SUT_MS(1000000);
	open_end(&front, true, front_keys);
	open_end(&agent, false, agent_keys);
	channel_expire(front.ch, now);
	settle();
}

static int setup(void **state)
{
	(void)state;
	connect_with("0 " KEY_A "\n", "0 " KEY_A "\n");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	channel_close(front.ch);
	channel_close(agent.ch);
	front.ch = agent.ch = NULL;
	return 0;
}

static void carries_lines(void **state)
{
	(void)state;
	assert_true(channel_is_up(front.ch, 0) && channel_is_up(agent.ch, 0));
	assert_int_equal(front.sent, 2);
	assert_int_equal(agent.sent, 1);
	say(&agent, "host kernel=6.18");
	say(&front, "hello");
	settle();
	assert_string_equal(agent.last, "hello");
	assert_string_equal(front.last, "host kernel=6.18");
	assert_int_equal(channel_deadline(front.ch), SUT_NEVER);
	/* what travels cannot be read */
	for (unsigned i = 0; i < front.sent; i++)
		assert_null(memmem(front.bytes[i], front.len[i], "hello", 5));
}

static void batches_lines(void **state)
{
	char line[100];

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		snprintf(line, sizeof line, "ask id=%080u", i);
		channel_put(front.ch, 0, line, strlen(line), now);
	}
	channel_flush(front.ch, now);
	settle();
	assert_int_equal(agent.lines, 50);
	assert_string_equal(agent.last, line);
	assert_int_equal(front.sent, 2 + 4); /* 13 of 88 bytes fit in one */
}

static void refuses_impossible_lines(void **state)
{
	char line[CHANNEL_LINE_MAX + 1];

	(void)state;
	memset(line, 'a', sizeof line);
	channel_put(front.ch, 0, line, sizeof line, now);
	channel_put(front.ch, 0, "", 0, now);
	channel_put(front.ch, 0, "a\nb", 3, now);
	assert_int_equal(counted(&front, CHANNEL_N_channel_unsent), 3);
	channel_put(front.ch, 0, line, CHANNEL_LINE_MAX, now);
	channel_flush(front.ch, now);
	settle();
	assert_int_equal(agent.lines, 1);
}

/* Every byte matters: in the head, in the number, in the text, in the tag. */
static void refuses_forged(void **state)
{
	unsigned i;

	(void)state;
	say(&front, "adopt id=1");
	i = front.sent - 1;
	for (size_t at = 0; at < front.len[i]; at++) {
		front.bytes[i][at] ^= 0x40;
		deliver(&front, i);
		front.bytes[i][at] ^= 0x40;
		assert_int_equal(agent.lines, 0);
		now += SUT_MS(100);
	}
	settle();
	assert_int_equal(agent.lines, 1);
	assert_true(channel_is_up(front.ch, 0));
}

static void refuses_truncated(void **state)
{
	unsigned i;

	(void)state;
	say(&front, "adopt id=1");
	i = front.sent - 1;
	for (size_t len = 0; len < front.len[i]; len++)
		channel_receive(agent.ch, &front.at, front.bytes[i], len, now);
	assert_int_equal(agent.lines, 0);
	assert_true(counted(&agent, CHANNEL_N_channel_malformed) > 60);
	settle();
	assert_int_equal(agent.lines, 1);
}

static void refuses_replays(void **state)
{
	unsigned first = front.sent;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		say(&front, "ask id=1");
	settle();
	for (unsigned i = first; i < front.sent; i++)
		deliver(&front, i);
	assert_int_equal(agent.lines, 3);
	assert_int_equal(counted(&agent, CHANNEL_N_channel_replayed), 3);
}

static void takes_reordered(void **state)
{
	unsigned first = front.sent;

	(void)state;
	for (unsigned i = 0; i < CHANNEL_WINDOW + 10; i++)
		say(&front, "ask id=1");
	/* the newest first: as many as the window has are taken, each once; older ones cannot be told */
	for (unsigned i = front.sent; i-- > first;)
		deliver(&front, i);
	for (unsigned i = front.sent; i-- > first;)
		deliver(&front, i);
	assert_int_equal(agent.lines, CHANNEL_WINDOW);
	assert_int_equal(counted(&agent, CHANNEL_N_channel_replayed), CHANNEL_WINDOW + 20);
}

/* Nothing of an earlier session opens, whoever was restarted since. */
static void refuses_earlier_sessions(void **state)
{
	struct end old;

	(void)state;
	say(&front, "adopt id=1");
	settle();
	old = front;
	old.ch = NULL;
	open_end(&front, true, "0 " KEY_A "\n");
	channel_expire(front.ch, now);
	settle();
	assert_true(channel_is_up(front.ch, 0));
	say(&front, "hello");
	settle();
	assert_int_equal(agent.lines, 2);
	for (unsigned i = 0; i < old.sent; i++) {
		deliver(&old, i);
		now += SUT_MS(100);
	}
	assert_int_equal(agent.lines, 2);
	/* what the agent answered to them disturbs nobody */
	settle();
	say(&front, "hello");
	settle();
	assert_int_equal(agent.lines, 3);
	/* ... nor do they serve an agent that was restarted */
	open_end(&agent, false, "0 " KEY_A "\n");
	for (unsigned i = 0; i < old.sent; i++)
		deliver(&old, i);
	assert_int_equal(agent.lines, 0);
	assert_false(channel_is_up(agent.ch, 0));
}

static void goes_on_after_a_restart_of_the_agent(void **state)
{
	(void)state;
	open_end(&agent, false, "0 " KEY_A "\n");
	say(&agent, "state id=1");
	assert_int_equal(counted(&agent, CHANNEL_N_channel_unsent), 1);
	say(&front, "hello");
	settle();
	assert_true(channel_is_up(front.ch, 0) && channel_is_up(agent.ch, 0));
	say(&front, "hello");
	settle();
	assert_int_equal(agent.lines, 1); /* the first one was the price */
}

/* Peers come and go; one that stays keeps its session, one that has moved begins anew. */
static void takes_other_peers(void **state)
{
	struct channel_peer p = { .name = "web1" };

	(void)state;
	assert_true(channel_is_up(front.ch, 0));
	assert_int_equal(endpoint_read("[2001:db8::2]:4001", 18, &p.at), 0);
	assert_int_equal(channel_add(front.ch, &p), 0);
	assert_true(channel_is_up(front.ch, 0));
	/* another one takes a place of its own, which is free again when it goes */
	memcpy(p.name, "web2", 5);
	p.at.port = 4002;
	assert_int_equal(channel_add(front.ch, &p), 0);
	assert_int_equal(channel_peer_index(front.ch, "web2", 4), 1);
	channel_drop(front.ch, "web2");
	channel_drop(front.ch, "web2");
	assert_int_equal(channel_peer_index(front.ch, "web2", 4), -1);
	assert_int_equal(channel_peer_index(front.ch, "", 0), -1);
	assert_int_equal(channel_deadline(front.ch), SUT_NEVER);
	memcpy(p.name, "web3", 5);
	assert_int_equal(channel_add(front.ch, &p), 0);
	assert_int_equal(channel_peer_index(front.ch, "web3", 4), 1);
	assert_int_equal(channel_deadline(front.ch), 0);
	channel_drop(front.ch, "web3");
	/* it has moved, and back again */
	memcpy(p.name, "web1", 5);
	assert_int_equal(channel_add(front.ch, &p), 0);
	assert_false(channel_is_up(front.ch, 0));
	p.at.port = 4001;
	assert_int_equal(channel_add(front.ch, &p), 0);
	channel_expire(front.ch, now);
	settle();
	assert_true(channel_is_up(front.ch, 0));
	say(&front, "hello");
	settle();
	/* and 64 are the most */
	for (unsigned i = 1; i < CHANNEL_PEERS; i++) {
		snprintf(p.name, sizeof p.name, "n%u", i);
		assert_int_equal(channel_add(front.ch, &p), 0);
	}
	memcpy(p.name, "more", 5);
	assert_int_equal(channel_add(front.ch, &p), -ENOSPC);
}

static void begins_again_until_answered(void **state)
{
	unsigned first;

	(void)state;
	open_end(&front, true, "0 " KEY_A "\n");
	say(&front, "hello");
	first = front.sent;
	assert_int_equal(first, 1);
	for (unsigned i = 0; i < 100; i++) {
		assert_true(channel_deadline(front.ch) > now);
		now = channel_deadline(front.ch);
		channel_expire(front.ch, now);
	}
	assert_int_equal(front.sent, 101);
	front.taken = front.sent - 1; /* all but the last are lost */
	agent.lines = 0;
	settle();
	assert_string_equal(agent.last, "hello");
	assert_int_equal(agent.lines, 1);
}

/* A wrong key is told of, but not with each datagram; a peer that was only restarted is none. */
static void tells_of_a_wrong_key(void **state)
{
	(void)state;
	assert_int_equal(agent.unopened + front.unopened, 0);
	open_end(&agent, false, "0 " KEY_A "\n");
	say(&front, "hello");
	settle();
	assert_int_equal(agent.unopened + front.unopened, 0);
	connect_with("0 " KEY_A "\n", "0 " KEY_B "\n");
	assert_int_equal(agent.unopened, 1);
	deliver(&front, 0);
	assert_int_equal(counted(&agent, CHANNEL_N_channel_forged), 2);
	assert_int_equal(agent.unopened, 1);
	now += SUT_MS(60000);
	deliver(&front, 0);
	assert_int_equal(agent.unopened, 2);
}

static void knows_its_keys(void **state)
{
	(void)state;
	connect_with("0 " KEY_A "\n", "0 " KEY_B "\n");
	assert_false(channel_is_up(front.ch, 0));
	assert_int_equal(agent.sent, 0);
	assert_true(counted(&agent, CHANNEL_N_channel_forged) > 0);
	/* both keys, in another order and other slots */
	connect_with("0 " KEY_A "\n1 " KEY_B "\n", "0 " KEY_B "\n1 " KEY_A "\n");
	assert_true(channel_is_up(agent.ch, 0));
	connect_with("1 " KEY_B "\n", "0 " KEY_A "\n1 " KEY_B "\n");
	assert_true(channel_is_up(agent.ch, 0));
}

static void changes_its_keys(void **state)
{
	const struct channel_keys both = keys_of("0 " KEY_A "\n1 " KEY_B "\n"),
				  other_first = keys_of("1 " KEY_B "\n0 " KEY_A "\n"),
				  other = keys_of("1 " KEY_B "\n"),
				  first = keys_of("0 " KEY_A "\n");

	(void)state;
	channel_rekey(agent.ch, &both, now);
	say(&front, "hello");
	settle();
	assert_int_equal(agent.lines, 1);
	channel_rekey(front.ch, &other_first, now);
	say(&front, "hello"); /* still in the old session */
	settle();
	say(&front, "hello");
	settle();
	assert_int_equal(agent.lines, 3);
	channel_rekey(agent.ch, &other, now);
	channel_rekey(front.ch, &other, now);
	assert_true(channel_is_up(agent.ch, 0) && channel_is_up(front.ch, 0));
	say(&front, "hello");
	settle();
	assert_int_equal(agent.lines, 4);
	/* a key that is taken away takes its sessions with it */
	channel_rekey(agent.ch, &first, now);
	assert_false(channel_is_up(agent.ch, 0));
	say(&front, "hello");
	settle();
	assert_int_equal(agent.lines, 4);
}

/* The name of another valid key on a datagram of this session ends nothing. */
static void keeps_a_session_to_its_key(void **state)
{
	const struct channel_keys both = keys_of("0 " KEY_A "\n1 " KEY_B "\n");
	unsigned sent, i;

	(void)state;
	channel_rekey(agent.ch, &both, now);
	channel_rekey(front.ch, &both, now);
	sent = agent.sent;
	say(&front, "hello");
	i = front.sent - 1;
	memcpy(front.bytes[i] + 4, both.slot[1].id, 4);
	deliver(&front, i);
	assert_int_equal(agent.sent, sent);
	assert_int_equal(agent.lines, 0);
	assert_int_equal(counted(&agent, CHANNEL_N_channel_forged), 1);
	memcpy(front.bytes[i] + 4, both.slot[0].id, 4);
	settle();
	assert_int_equal(agent.lines, 1);
}

static void answers_nobody_else(void **state)
{
	struct endpoint elsewhere;
	uint8_t noise[CHANNEL_MAX];
	unsigned sent = agent.sent;

	(void)state;
	endpoint_read("192.0.2.99:4000", 15, &elsewhere);
	channel_receive(agent.ch, &elsewhere, front.bytes[0], front.len[0], now);
	assert_int_equal(counted(&agent, CHANNEL_N_channel_stranger), 1);
	for (unsigned i = 0; i < 10000; i++) {
		for (size_t j = 0; j < sizeof noise; j++)
			noise[j] = (uint8_t)rand();
		if (i & 1)
			memcpy(noise, front.bytes[i & 2 ? 0 : 1], 8);
		channel_receive(agent.ch, &front.at, noise, (size_t)rand() % sizeof noise, now);
	}
	/* what looks like data gets a short answer, at a bounded rate */
	assert_true(agent.sent - sent <= 20);
	for (unsigned i = sent; i < agent.sent; i++)
		assert_true(agent.len[i] < 72);
	assert_int_equal(agent.lines, 0);
	settle();
	assert_true(channel_is_up(front.ch, 0));
}

static void bounds_its_answers(void **state)
{
	unsigned sent = agent.sent;

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		deliver(&front, 0); /* a recorded beginning */
	assert_true(agent.sent - sent <= 20);
	assert_true(agent.len[agent.sent - 1] < front.len[0]);
	assert_true(counted(&agent, CHANNEL_N_channel_quiet) >= 980);
	/* the session stays */
	say(&front, "hello");
	settle();
	assert_int_equal(agent.lines, 1);
}

/* An agent's datagrams are not a front end's, nor the other way round. */
static void takes_nothing_of_its_own(void **state)
{
	(void)state;
	say(&front, "hello");
	say(&agent, "host");
	for (unsigned i = 0; i < agent.sent; i++)
		channel_receive(agent.ch, &front.at, agent.bytes[i], agent.len[i], now);
	for (unsigned i = 0; i < front.sent; i++)
		channel_receive(front.ch, &agent.at, front.bytes[i], front.len[i], now);
	assert_int_equal(agent.lines + front.lines, 0);
	settle();
	assert_int_equal(agent.lines, 1);
	assert_int_equal(front.lines, 1);
}

static void refuses_bad_keys(void **state)
{
	static const char *const bad[] = {
		"",
		"# nothing\n",
		"0\n",
		"2 " KEY_A "\n",
		KEY_A "\n",
		"0 " KEY_A "0\n",
		"0 0" KEY_A "\n",
		"0 0011\n",
		"0 zz112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n",
		"0 " KEY_A "\n0 " KEY_B "\n",
		"0 0000000000000000000000000000000000000000000000000000000000000000\n",
	};
	struct channel_keys k;
	char why[300];

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(channel_keys_parse(bad[i], strlen(bad[i]), &k, why, sizeof why),
				 -EINVAL);
		assert_null(strstr(why, "0011"));
	}
	k = keys_of("# a comment\n\n1 " KEY_A "  \r\n0 " KEY_B);
	assert_int_equal(k.first, 1);
	assert_int_equal(k.valid, 3);
	assert_memory_not_equal(k.slot[0].header, k.slot[1].header, 16);
	assert_memory_not_equal(k.slot[0].hello, k.slot[0].session, 32);
}

static void checks_the_mode_of_its_file(void **state)
{
	char path[] = "/tmp/channel_test.XXXXXX", line[80], why[300];
	int fd = mkstemp(path);
	struct channel_keys k;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(channel_keys_make(1, line), 0);
	assert_int_equal(write(fd, line, strlen(line)), strlen(line));
	assert_int_equal(channel_keys_read(path, &k, why, sizeof why), 0);
	assert_int_equal(k.valid, 2);
	for (mode_t m = 1; m < 0100; m <<= 1) {
		assert_int_equal(fchmod(fd, 0600 | m), 0);
		assert_int_equal(channel_keys_read(path, &k, why, sizeof why), -EPERM);
		assert_non_null(strstr(why, "chmod 600"));
	}
	close(fd);
	unlink(path);
	assert_int_equal(channel_keys_read(path, &k, why, sizeof why), -ENOENT);
	assert_int_equal(channel_keys_read("/tmp", &k, why, sizeof why), -EINVAL);
}

static void reads_endpoints(void **state)
{
	static const char *const good[] = { "192.0.2.1:80", "[2001:db8::1]:65535" },
				 *const bad[] = { "",
						  "192.0.2.1",
						  "192.0.2.1:0",
						  "192.0.2.1:65536",
						  "2001:db8::1:80",
						  "[192.0.2.1]:80",
						  "[2001:db8::1]",
						  ":80",
						  "192.0.2.1:",
						  "192.0.2.1:8x",
						  "name:80",
						  "192.0.2.256:80" };
	struct endpoint e;
	char text[ENDPOINT_TEXT];

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(good); i++) {
		struct sockaddr_storage a;
		struct endpoint again;

		assert_int_equal(endpoint_read(good[i], strlen(good[i]), &e), 0);
		endpoint_write(&e, text);
		assert_string_equal(text, good[i]);
		assert_true(endpoint_to_socket(&e, &a) > 0);
		assert_int_equal(endpoint_of_socket(&a, &again), 0);
		assert_memory_equal(&e, &again, sizeof e);
	}
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(endpoint_read(bad[i], strlen(bad[i]), &e), -EINVAL);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(carries_lines),
		CASE(batches_lines),
		CASE(refuses_impossible_lines),
		CASE(refuses_forged),
		CASE(refuses_truncated),
		CASE(refuses_replays),
		CASE(takes_reordered),
		CASE(refuses_earlier_sessions),
		CASE(goes_on_after_a_restart_of_the_agent),
		CASE(takes_other_peers),
		CASE(begins_again_until_answered),
		CASE(tells_of_a_wrong_key),
		CASE(knows_its_keys),
		CASE(changes_its_keys),
		CASE(keeps_a_session_to_its_key),
		CASE(answers_nobody_else),
		CASE(bounds_its_answers),
		CASE(takes_nothing_of_its_own),
		cmocka_unit_test(refuses_bad_keys),
		cmocka_unit_test(checks_the_mode_of_its_file),
		cmocka_unit_test(reads_endpoints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
