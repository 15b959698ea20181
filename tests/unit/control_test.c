/* SPDX-License-Identifier: MIT */
/* The control socket with clients of the test's own, good and bad ones, in one thread. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <poll.h>
#include <cmocka.h>

#include "app/control.h"

static char dir[64], path[96];
static unsigned asked; /* commands that reached the handler */
static char last[CONTROL_LINE_MAX]; /* the last of them */
static struct control *control;

/* "say N": N data lines of 100 bytes; "odd": bytes that are no text; "silent": no answer; all else is refused. */
static void handle(void *ctx, const char *line, struct control_reply *r)
{
	char text[101];
	unsigned n;

	assert_ptr_equal(ctx, &asked);
	asked++;
	snprintf(last, sizeof last, "%s", line);
	memset(text, 'x', 100);
	text[100] = 0;
	if (sscanf(line, "say %u", &n) == 1) {
		while (n-- > 0)
			reply_data(r, "%s", text);
		reply_ok(r, "%s", "");
	} else if (strcmp(line, "odd") == 0) {
		reply_data(r, "a\nb\x1b");
		reply_ok(r, "c\nd");
	} else if (strcmp(line, "silent") != 0) {
		reply_error(r, "unknown command '%s'", line);
	}
}

static int set_up(void **state)
{
	char why[400];

	(void)state;
	snprintf(dir, sizeof dir, "/tmp/control_test.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/socket", dir);
	assert_int_equal(control_open(path, &control, why, sizeof why), 0);
	asked = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (control)
		control_close(control);
	control = NULL;
	unlink(path);
	return rmdir(dir);
}

static int join(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	snprintf(addr.sun_path, sizeof addr.sun_path, "%s", path);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Serves until nothing is left to do. */
static void serve(void)
{
	struct pollfd p = { .fd = control_fd(control), .events = POLLIN };
	bool more = false;

	for (unsigned i = 0; i < 100000 && (more || poll(&p, 1, 0) > 0); i++)
		more = control_serve(control, handle, &asked);
}

/* What came by now: its length; -1: the connection has ended. */
static ssize_t hear(int fd, char *ret_text, size_t size)
{
	ssize_t n = recv(fd, ret_text, size - 1, 0);

	if (n < 0 && errno == EAGAIN)
		n = 0;
	else if (n <= 0)
		n = -1;
	ret_text[n > 0 ? n : 0] = 0;
	return n;
}

static void expect(int fd, const char *want)
{
	char text[4096];

	serve();
	hear(fd, text, sizeof text);
	assert_string_equal(text, want);
}

static void expect_end(int fd)
{
	char text[4096];

	serve();
	assert_int_equal(hear(fd, text, sizeof text), -1);
	close(fd);
}

static void answers_in_order(void **state)
{
	int a = join(), b = join();

	(void)state;
	say(a, "say 1\n");
	expect(a, "= "
		  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		  "xxxxxx"
		  "xxxxxxxxxxxxxx\nok\n");
	say(a, "one\ntwo\nth");
	say(b, "  blanks \t and  more \r\n");
	expect(a, "error unknown command 'one'\nerror unknown command 'two'\n");
	expect(b, "error unknown command 'blanks and more'\n");
	say(a, "ree\nodd\nsilent\n");
	expect(a, "error unknown command 'three'\n= a?b?\nok c?d\nerror nobody answered\n");
	close(a);
	close(b);
	serve();
}

static void refuses_what_is_no_line(void **state)
{
	static const char odd[] = "a\0b\n\n \nfine\n";
	char text[200];
	int a = join();

	(void)state;
	assert_int_equal(send(a, odd, sizeof odd - 1, 0), sizeof odd - 1);
	expect(a, "error the command is not a line of text\nerror no command was given\n"
		  "error no command was given\nerror unknown command 'fine'\n");
	assert_int_equal(asked, 1);
	/* as long as a line may be, and one byte more */
	memset(text, 'a', 199);
	text[199] = 0;
	for (unsigned i = 0; i < 5; i++)
		say(a, text);
	text[28] = 0;
	say(a, text);
	say(a, "\n");
	serve();
	assert_int_equal(asked, 2);
	assert_int_equal(strlen(last), CONTROL_LINE_MAX - 1);
	close(a);
	a = join();
	text[28] = 'a';
	for (unsigned i = 0; i < 6; i++)
		say(a, text);
	expect(a, "error the line is longer than 1024 bytes\n");
	expect_end(a);
	assert_int_equal(asked, 2);
}

/* What was sent before the client stopped sending is answered; what has no newline is not done. */
static void answers_before_the_end(void **state)
{
	int a = join();

	(void)state;
	say(a, "one\ntwo\nthr");
	shutdown(a, SHUT_WR);
	expect(a, "error unknown command 'one'\nerror unknown command 'two'\n");
	expect_end(a);
	assert_int_equal(asked, 2);
	a = join();
	say(a, "one\n");
	close(a);
	serve();
	assert_int_equal(asked, 3);
}

/* Who does not read gets one reply and no more; others are served; and all of it once it reads. */
static void keeps_who_does_not_read(void **state)
{
	char text[65536];
	size_t got = 0;
	int a = join(), b = join();
	ssize_t n;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		say(a, "say 30000\n");
	serve();
	assert_int_equal(asked, 1);
	say(b, "one\n");
	expect(b, "error unknown command 'one'\n");
	assert_int_equal(asked, 2);
	do {
		n = hear(a, text, sizeof text);
		assert_true(n >= 0);
		got += (size_t)n;
		serve();
	} while (n > 0);
	assert_int_equal(got, 3 * (30000 * 103 + 3));
	assert_int_equal(asked, 4);
	/* one that goes away in the middle */
	say(a, "say 30000\n");
	serve();
	close(a);
	say(b, "one\n");
	expect(b, "error unknown command 'one'\n");
	close(b);
}

static void bounds_a_reply(void **state)
{
	int a = join();

	(void)state;
	say(a, "say 50000\n");
	expect(a, "error the reply is too long\n");
	close(a);
}

/* One client too many: the one that is silent for longest has to go. */
static void evicts_the_silent(void **state)
{
	int fd[CONTROL_CLIENTS + 1];

	(void)state;
	for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
		fd[i] = join();
		serve();
	}
	say(fd[0], "one\n");
	expect(fd[0], "error unknown command 'one'\n");
	fd[CONTROL_CLIENTS] = join();
	serve();
	for (unsigned i = 0; i <= CONTROL_CLIENTS; i++) {
		if (i == 1) {
			expect_end(fd[i]);
			continue;
		}
		say(fd[i], "two\n");
		expect(fd[i], "error unknown command 'two'\n");
		close(fd[i]);
	}
}

/* Without descriptors nobody new is served, and nobody waits for ever. */
static void survives_without_descriptors(void **state)
{
	struct rlimit old, none;
	int a = join(), b, next;

	(void)state;
	serve();
	b = join();
	next = dup(b); /* all lower ones are in use */
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = (rlim_t)next;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	serve();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	expect_end(b);
	say(a, "one\n");
	expect(a, "error unknown command 'one'\n");
	close(a);
}

static void keeps_its_file(void **state)
{
	char why[400];
	struct control *other;
	struct stat st;
	FILE *f;

	(void)state;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	/* somebody listens */
	assert_int_equal(control_open(path, &other, why, sizeof why), -EADDRINUSE);
	assert_non_null(strstr(why, path));
	assert_int_equal(stat(path, &st), 0);
	/* what another one put in its place is not removed */
	assert_int_equal(unlink(path), 0);
	f = fopen(path, "w");
	assert_non_null(f);
	fclose(f);
	control_close(control);
	control = NULL;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(control_open(path, &other, why, sizeof why), -EEXIST);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(control_open("", &other, why, sizeof why), -EINVAL);
	assert_int_equal(control_open("/nonexistent/socket", &other, why, sizeof why), -ENOENT);
	memset(why, 'a', sizeof why);
	why[200] = 0;
	assert_int_equal(control_open(why, &other, why + 201, sizeof why - 201), -ENAMETOOLONG);
	/* removed at the end */
	assert_int_equal(control_open(path, &other, why, sizeof why), 0);
	assert_int_equal(stat(path, &st), 0);
	control_close(other);
	assert_int_equal(stat(path, &st), -1);
}

/* A file that a process left behind is no obstacle. */
static void replaces_a_stale_file(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char why[400];
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	control_close(control);
	snprintf(addr.sun_path, sizeof addr.sun_path, "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
	assert_int_equal(listen(fd, 1), 0);
	close(fd);
	assert_int_equal(control_open(path, &control, why, sizeof why), 0);
	answers_before_the_end(state);
}

static void reads_roles_answers(void **state)
{
	static const struct {
		const char *role, *want;
	} rows[] = {
		{ "ok", "ok\n" },
		{ "ok 3 flows", "ok 3 flows\n" },
		{ "ok\none\n\ntwo", "= one\n= \n= two\nok\n" },
		{ "ok done\none\n", "= one\nok done\n" },
		{ "error no such flow", "error no such flow\n" },
		{ "error", "error\n" },
		{ "okay", "error the role's answer is neither ok nor error\n" },
		{ "", "error the role's answer is neither ok nor error\n" },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct control_reply r = { 0 };

		reply_of_role(&r, rows[i].role, strlen(rows[i].role));
		assert_true(r.ended);
		assert_int_equal(r.len, strlen(rows[i].want));
		assert_memory_equal(r.text, rows[i].want, r.len);
		reply_error(&r, "behind the end");
		reply_data(&r, "behind the end");
		assert_int_equal(r.len, strlen(rows[i].want));
		reply_free(&r);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(answers_in_order),
		TEST(refuses_what_is_no_line),
		TEST(answers_before_the_end),
		TEST(keeps_who_does_not_read),
		TEST(bounds_a_reply),
		TEST(evicts_the_silent),
		TEST(survives_without_descriptors),
		TEST(keeps_its_file),
		TEST(replaces_a_stale_file),
		TEST(reads_roles_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
