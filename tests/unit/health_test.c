/* SPDX-License-Identifier: MIT */
/* Servers of this process on the loopback device; time is the test's own, what is ready the kernel's. */
#include "app/health.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define INTERVAL SUT_MS(2000)
#define TIMEOUT SUT_MS(1000)

static struct health_config cfg;
static struct health *health;
static sut_time now;
static int listener;
static unsigned told;
static bool last_up;
static char last_why[40];

static void hear(void *ctx, unsigned i, bool up, const char *why)
{
	(void)ctx;
	assert_int_equal(i, 0);
	told++;
	last_up = up;
	snprintf(last_why, sizeof last_why, "%s", why ? why : "");
}

static int open_listener(struct endpoint *ret_at)
{
	struct sockaddr_storage a;
	struct endpoint any = { .ip = { [10] = 0xff, 0xff, 127, 0, 0, 1 } };
	socklen_t len = endpoint_to_socket(&any, &a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	assert_int_equal(endpoint_of_socket(&a, ret_at), 0);
	return fd;
}

static int setup(void **state)
{
	(void)state;
	now = SUT_MS(5000);
	told = 0;
	cfg = (struct health_config){
		.interval = INTERVAL,
		.timeout = TIMEOUT,
		.rise = 2,
		.fall = 3,
		.epoll = epoll_create1(EPOLL_CLOEXEC),
		.tell = hear,
	};
	listener = open_listener(&cfg.target[0]);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	health_close(health);
	if (listener >= 0)
		close(listener);
	close(cfg.epoll);
	return 0;
}

/* Serves what gets ready; the longest wait is far beyond what a loopback device takes, and ends at once where all is done. */
static void serve(int wait_ms)
{
	struct epoll_event e;

	while (epoll_wait(cfg.epoll, &e, 1, wait_ms) == 1)
		health_ready(health, e.data.u32, now);
}

/* The next question, up to its answer. */
static void ask(void)
{
	now = health_deadline(health);
	health_expire(health, now);
	serve(50);
}

static void answer(const char *text)
{
	int fd = accept(listener, NULL, NULL);
	char request[1000] = "";

	assert_true(fd >= 0);
	assert_true(recv(fd, request, sizeof request - 1, 0) > 0);
	assert_non_null(strstr(request, "GET /up HTTP/1.1\r\nHost: 127.0.0.1:"));
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	close(fd);
	serve(50);
}

static void connects(void **state)
{
	(void)state;
	health = health_open(&cfg, now);
	assert_int_equal(health_deadline(health), now);
	ask();
	assert_int_equal(told, 1);
	assert_true(last_up);
	assert_int_equal(health_deadline(health), now + INTERVAL);
	for (unsigned i = 0; i < 3; i++)
		ask();
	assert_int_equal(told, 1);
	/* down after the third refusal in a row, and up again after the second connection */
	close(listener);
	listener = -1;
	ask();
	ask();
	assert_int_equal(told, 1);
	ask();
	assert_int_equal(told, 2);
	assert_false(last_up);
	assert_string_equal(last_why, "refused");
}

static void begins_down(void **state)
{
	(void)state;
	close(listener);
	listener = -1;
	health = health_open(&cfg, now);
	ask();
	assert_int_equal(told, 1);
	assert_false(last_up);
	ask();
	assert_int_equal(told, 1);
}

static void asks_by_http(void **state)
{
	static const struct {
		const char *text;
		bool up;
		const char *why;
	} answers[] = {
		{ "HTTP/1.1 200 OK\r\n\r\n", true, "" },
		{ "HTTP/1.1 503 Busy\r\n\r\n", false, "status 503" },
		{ "HTTP/1.0 302 Found\r\n\r\n", true, "" },
		{ "HTTP/1.1 404 Not Found\r\n\r\n", false, "status 404" },
		{ "SSH-2.0-something\r\n", false, "no HTTP" },
		{ "HTTP/1.1", false, "no answer" },
		{ "HTTP/1.1 abc\r\n\r\n", false, "no HTTP" },
	};

	(void)state;
	snprintf(cfg.path, sizeof cfg.path, "%s", "/up");
	cfg.rise = cfg.fall = 1;
	health = health_open(&cfg, now);
	for (unsigned i = 0; i < sizeof answers / sizeof answers[0]; i++) {
		bool was_up = last_up && told;
		unsigned before = told;

		ask();
		answer(answers[i].text);
		assert_int_equal(told - before, i == 0 || was_up != answers[i].up);
		assert_true(last_up == answers[i].up);
		if (told != before)
			assert_string_equal(last_why, answers[i].why);
	}
}

static void gives_up(void **state)
{
	(void)state;
	snprintf(cfg.path, sizeof cfg.path, "%s", "/up");
	cfg.fall = 1;
	health = health_open(&cfg, now);
	ask(); /* connected, but nobody answers */
	assert_int_equal(told, 0);
	assert_int_equal(health_deadline(health), now + TIMEOUT);
	now += TIMEOUT - 1;
	health_expire(health, now);
	assert_int_equal(told, 0);
	now++;
	health_expire(health, now);
	assert_int_equal(told, 1);
	assert_string_equal(last_why, "timeout");
	assert_int_equal(health_deadline(health), SUT_MS(5000) + INTERVAL);
}

/* Questions come from the address that was said; from one that the host does not have they come from another. */
static void asks_from_an_address(void **state)
{
	static const uint8_t from[2][4] = { { 127, 0, 0, 5 }, { 192, 0, 2, 77 } };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct sockaddr_storage a;
		struct endpoint peer;
		socklen_t len = sizeof a;
		int fd;

		memset(cfg.from[0], 0, 10);
		memset(cfg.from[0] + 10, 0xff, 2);
		memcpy(cfg.from[0] + 12, from[i], 4);
		health = health_open(&cfg, now);
		assert_non_null(health);
		ask();
		fd = accept(listener, (struct sockaddr *)&a, &len);
		assert_true(fd >= 0);
		assert_int_equal(endpoint_of_socket(&a, &peer), 0);
		assert_int_equal(memcmp(peer.ip + 12, from[i], 4) == 0, i == 0);
		assert_true(last_up);
		close(fd);
		if (i == 0)
			health_close(health);
	}
}

/* One that is taken out is not asked, and nothing is known of it when it comes back. */
static void takes_others(void **state)
{
	struct endpoint at = cfg.target[0];

	(void)state;
	health = health_open(&cfg, now);
	ask();
	assert_true(told == 1 && last_up);
	health_target(health, 0, NULL, now);
	assert_int_equal(health_deadline(health), SUT_NEVER);
	health_target(health, 0, &at, now);
	assert_int_equal(health_deadline(health), now);
	ask();
	assert_true(told == 2 && last_up);
	cfg.interval = SUT_MS(7000);
	cfg.fall = 1;
	health_tune(health, &cfg);
	close(listener);
	listener = -1;
	ask();
	assert_true(told == 3 && !last_up);
	assert_int_equal(health_deadline(health), now + SUT_MS(7000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(connects, setup, teardown),
		cmocka_unit_test_setup_teardown(begins_down, setup, teardown),
		cmocka_unit_test_setup_teardown(asks_by_http, setup, teardown),
		cmocka_unit_test_setup_teardown(gives_up, setup, teardown),
		cmocka_unit_test_setup_teardown(asks_from_an_address, setup, teardown),
		cmocka_unit_test_setup_teardown(takes_others, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
