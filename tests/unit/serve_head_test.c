/* SPDX-License-Identifier: MIT */
#include "app/serve_head.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"

static struct http_head head;

/* Reads a whole head: its status. */
static unsigned read_all(const char *text)
{
	unsigned status = 999;

	assert_int_equal(http_head_read(text, strlen(text), &head, &status), strlen(text));
	if (status)
		assert_false(head.keep);
	return status;
}

static bool is(struct http_text t, const char *s)
{
	return t.s && t.n == strlen(s) && memcmp(t.s, s, t.n) == 0;
}

static void reads_requests(void **state)
{
	(void)state;
	assert_int_equal(read_all("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
	assert_int_equal(head.method, HTTP_GET);
	assert_string_equal(head.path, "/");
	assert_true(head.keep);
	assert_true(is(head.line, "GET / HTTP/1.1"));
	assert_int_equal(read_all("HEAD /a%20b/%e4?x=/../y HTTP/1.1\r\nhOST:\t a \r\nConnection: "
				  "x, close\r\n\r\n"),
			 0);
	assert_int_equal(head.method, HTTP_HEAD);
	assert_string_equal(head.path, "/a b/\xe4");
	assert_true(is(head.target, "/a%20b/%e4"));
	assert_false(head.keep);
	assert_int_equal(read_all("GET http://example.org:80/x?y HTTP/1.1\r\nHost: b\r\n\r\n"), 0);
	assert_string_equal(head.path, "/x");
	assert_int_equal(read_all("GET http://example.org HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
	assert_string_equal(head.path, "/");
	assert_int_equal(read_all("\r\n\nGET /x HTTP/1.0\n\n"), 0);
	assert_false(head.keep);
	assert_int_equal(read_all("GET /x HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), 0);
	assert_true(head.keep);
	assert_int_equal(read_all("GET / HTTP/1.1\r\nHost:\r\nContent-Length: 0\r\n\r\n"), 0);
	assert_true(head.keep);
	/* a body is not read: what follows it cannot be found */
	assert_int_equal(read_all("GET / HTTP/1.1\r\nHost:\r\nContent-Length: 10\r\n\r\n"), 0);
	assert_false(head.keep);
	assert_int_equal(read_all("GET / HTTP/1.1\r\nHost:\r\nTransfer-Encoding: Chunked\r\n\r\n"),
			 0);
	assert_false(head.keep);
}

static void reads_fields(void **state)
{
	(void)state;
	assert_int_equal(
		read_all("GET / HTTP/1.1\r\nHost: a\r\nRANGE: bytes=1-2 \r\nIf-Range: \"t\"\r\n"
			 "If-Modified-Since: x\r\nIf-None-Match:*\r\nX-Y: \xff z\r\n\r\n"),
		0);
	assert_true(is(head.range, "bytes=1-2"));
	assert_true(is(head.if_range, "\"t\""));
	assert_true(is(head.if_modified_since, "x"));
	assert_true(is(head.if_none_match, "*"));
	/* twice: not to be relied on */
	assert_int_equal(read_all("GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=1-2\r\nRange: "
				  "bytes=3-4\r\n\r\n"),
			 0);
	assert_true(is(head.range, ""));
}

static void refuses(void **state)
{
	static const struct {
		unsigned status;
		const char *text;
	} rows[] = {
		{ 400, "GET\r\n\r\n" },
		{ 400, "GET /\r\n\r\n" }, /* HTTP/0.9 */
		{ 400, " GET / HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET /  HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET / a HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET a HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET * HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET /?a#b HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET /?a b HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET /?a\tb HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET /?a\x7f HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET http://192.0.2.1\x01/ HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n" },
		{ 400, "GET /\xe4 HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET /% HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET /%1 HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET /%1g HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET /a%00.html HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET / http/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET / HTTP/1.1x\r\nHost: a\r\n\r\n" },
		{ 400, "GET / HTTP/11\r\nHost: a\r\n\r\n" },
		{ 505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n" },
		{ 505, "GET / HTTP/0.9\r\n\r\n" },
		{ 405, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n" },
		{ 405, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 501, "BREW / HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 501, "get / HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "G(T / HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: a\r\n: y\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: a\r\nX: a\x01\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n" },
		{ 400,
		  "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: "
		       "chunked\r\n\r\n" },
		{ 400, "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" },
		{ 501, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		unsigned status = read_all(rows[i].text);

		if (status != rows[i].status)
			fail_msg("%u instead of %u: %s", status, rows[i].status, rows[i].text);
	}
}

/* Each beginning of a head is incomplete, and what follows it is not read. */
static void waits_for_the_end(void **state)
{
	static const char text[] = "GET /x HTTP/1.1\r\nHost: a\r\n\r\nGET /y HTTP/1.1\r\n";
	const size_t len = strlen("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
	unsigned status = 999;

	(void)state;
	for (size_t n = 0; n < len; n++)
		assert_int_equal(http_head_read(text, n, &head, &status), 0);
	assert_int_equal(status, 999);
	for (size_t n = len; n <= strlen(text); n++)
		assert_int_equal(http_head_read(text, n, &head, &status), len);
	assert_int_equal(status, 0);
}

/* What is longer than it may be is known at once, and never read to its end. */
static void bounds(void **state)
{
	static char text[HTTP_HEAD_MAX + 100];
	unsigned status = 0;

	(void)state;
	memset(text, 'a', sizeof text);
	memcpy(text, "GET /", 5);
	assert_int_equal(http_head_read(text, HTTP_HEAD_MAX - 1, &head, &status), 0);
	assert_int_equal(http_head_read(text, HTTP_HEAD_MAX, &head, &status), HTTP_HEAD_MAX);
	assert_int_equal(status, 414);
	memcpy(text, "GET / HTTP/1.1\r\nHost: a\r\nX: ", 28);
	assert_int_equal(http_head_read(text, HTTP_HEAD_MAX - 1, &head, &status), 0);
	assert_int_equal(http_head_read(text, HTTP_HEAD_MAX, &head, &status), HTTP_HEAD_MAX);
	assert_int_equal(status, 431);
	assert_true(is(head.line, "GET / HTTP/1.1"));
	assert_false(head.keep);
	/* the line, whole */
	memset(text, 'a', sizeof text);
	memcpy(text, "GET /", 5);
	memcpy(text + HTTP_LINE_MAX, " HTTP/1.1\r\nHost: a\r\n\r\n", 22);
	assert_int_not_equal(http_head_read(text, HTTP_LINE_MAX + 22, &head, &status), 0);
	assert_int_equal(status, 414);
	/* and a path that is longer than any file's name */
	memcpy(text + HTTP_PATH_MAX + 10, " HTTP/1.1\r\nHost: a\r\n\r\n", 22);
	assert_int_not_equal(http_head_read(text, HTTP_PATH_MAX + 32, &head, &status), 0);
	assert_int_equal(status, 414);
}

static int range(const char *s, uint64_t size, uint64_t *first, uint64_t *last)
{
	return http_range_read((struct http_text){ s, strlen(s) }, size, first, last);
}

static void reads_ranges(void **state)
{
	static const struct {
		const char *s;
		uint64_t size;
		int ret;
		uint64_t first, last;
	} rows[] = {
		{ "bytes=0-0", 10, 1, 0, 0 },
		{ "bytes=2-5", 10, 1, 2, 5 },
		{ "BYTES= 2-5", 10, 1, 2, 5 },
		{ "bytes=2-", 10, 1, 2, 9 },
		{ "bytes=2-99", 10, 1, 2, 9 },
		{ "bytes=-3", 10, 1, 7, 9 },
		{ "bytes=-30", 10, 1, 0, 9 },
		{ "bytes=9-9", 10, 1, 9, 9 },
		{ "bytes=10-", 10, -1, 0, 0 },
		{ "bytes=10-20", 10, -1, 0, 0 },
		{ "bytes=-0", 10, -1, 0, 0 },
		{ "bytes=0-", 0, -1, 0, 0 },
		{ "bytes=-1", 0, -1, 0, 0 },
		{ "bytes=99999999999999999999999-", 10, -1, 0, 0 },
		{ "bytes=0-99999999999999999999999", 10, 1, 0, 9 },
		{ "bytes=5-2", 10, 0, 0, 0 },
		{ "bytes=-", 10, 0, 0, 0 },
		{ "bytes=", 10, 0, 0, 0 },
		{ "bytes=1-2,4-5", 10, 0, 0, 0 },
		{ "bytes=1", 10, 0, 0, 0 },
		{ "bytes=a-b", 10, 0, 0, 0 },
		{ "lines=1-2", 10, 0, 0, 0 },
		{ "", 10, 0, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t first = 77, last = 78;

		assert_int_equal(range(rows[i].s, rows[i].size, &first, &last), rows[i].ret);
		if (rows[i].ret != 1)
			continue;
		assert_int_equal(first, rows[i].first);
		assert_int_equal(last, rows[i].last);
	}
}

static int date(const char *s, int64_t *t)
{
	return http_date_read((struct http_text){ s, strlen(s) }, t);
}

static void reads_dates(void **state)
{
	static const char *const same[] = {
		"Sun, 06 Nov 1994 08:49:37 GMT",
		"Sunday, 06-Nov-94 08:49:37 GMT",
		"Sun Nov  6 08:49:37 1994",
	};
	static const char *const wrong[] = {
		"",
		"Sun, 06 Nov 1994 08:49:37",
		"Sun, 06 Nov 1994 08:49:37 CET",
		"Sun, 06 Xov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 24:49:37 GMT",
		"Sun, 36 Nov 1994 08:49:37 GMT",
		"Sunday, 06-Nov-94 08:49:37 GMT and more",
		",,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,",
		"Sun, 06 Nov 1994 08:49:37 GMT Sun, 06 Nov 1994 08:49:37 GMT",
	};
	char s[HTTP_DATE_MAX];
	int64_t t = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		t = 0;
		assert_int_equal(date(same[i], &t), 0);
		assert_int_equal(t, 784111777);
	}
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_int_equal(date(wrong[i], &t), -EINVAL);
	for (int64_t i = 0; i < 4000000000; i += 86399 * 37) {
		http_date_write(i, s);
		assert_int_equal(date(s, &t), 0);
		assert_int_equal(t, i);
	}
}

static bool tag_in(const char *list, const char *tag)
{
	return http_tag_in((struct http_text){ list, strlen(list) }, tag);
}

static void finds_tags(void **state)
{
	(void)state;
	assert_true(tag_in("*", "\"a\""));
	assert_true(tag_in("\"a\"", "\"a\""));
	assert_true(tag_in("\"b\", W/\"a\"", "\"a\""));
	assert_false(tag_in("\"b\",\"aa\"", "\"a\""));
	assert_false(tag_in("", "\"a\""));
	assert_false(http_tag_in((struct http_text){ 0 }, "\"a\""));
}

static void knows_types(void **state)
{
	(void)state;
	assert_string_equal(http_type_of("/a/b.HTML"), "text/html; charset=utf-8");
	assert_string_equal(http_type_of("/a.html/b"), "application/octet-stream");
	assert_string_equal(http_type_of("/b."), "application/octet-stream");
	assert_string_equal(http_type_of("/a.tar.gz"), "application/gzip");
	assert_string_equal(http_status_text(404), "Not Found");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_requests), cmocka_unit_test(reads_fields),
		cmocka_unit_test(refuses),	  cmocka_unit_test(waits_for_the_end),
		cmocka_unit_test(bounds),	  cmocka_unit_test(reads_ranges),
		cmocka_unit_test(reads_dates),	  cmocka_unit_test(finds_tags),
		cmocka_unit_test(knows_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
