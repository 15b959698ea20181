/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "role/handoff/request.h"

#define GET "GET / HTTP/1.1\r\n"
#define HOST "Host: a\r\n"

static enum request_result reads(const char *s, struct request *ret_r)
{
	return request_read(s, strlen(s), 16384, ret_r);
}

static int is(const struct request *r, struct request_text t, const char *s)
{
	return t.len == strlen(s) && memcmp(r->bytes + t.at, s, t.len) == 0;
}

static void taken(void **state)
{
	static const struct {
		const char *head, *host, *path;
		enum request_method method;
	} row[] = {
		{ GET HOST "\r\n", "a", "/", REQ_GET },
		{ "HEAD /a/b?c=/d HTTP/1.1\r\nhost:\twww.Example.org:8080 \r\n\r\n",
		  "www.Example.org", "/a/b", REQ_HEAD },
		{ "POST http://www.example.org/x HTTP/1.1\r\nHost: www.Example.org\r\n\r\n",
		  "www.Example.org", "/x", REQ_POST },
		{ "GET http://example.org?q HTTP/1.0\r\n\r\n", "example.org", "", REQ_GET },
		{ "GET / HTTP/1.0\r\n\r\n", "", "/", REQ_GET },
		{ "GET / HTTP/1.1\r\nHost:\r\n\r\n", "", "/", REQ_GET },
		{ "GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n", "[2001:db8::1]", "/",
		  REQ_GET },
		{ "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "a", "*", REQ_OPTIONS },
		{ "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "a", "", REQ_CONNECT },
		{ "BREW /pot HTTP/1.1\r\nHost: a\r\nX: \xe4\t\r\n\r\nbody", "a", "/pot",
		  REQ_OTHER },
	};
	struct request r;
	size_t i, n;

	(void)state;
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		assert_int_equal(reads(row[i].head, &r), REQUEST_OK);
		assert_true(is(&r, r.host, row[i].host));
		assert_true(is(&r, r.path, row[i].path));
		assert_int_equal(r.method, row[i].method);
		assert_int_equal(r.head_len, strstr(row[i].head, "\r\n\r\n") + 4 - row[i].head);
		/* Whatever is not there yet is waited for. */
		for (n = 0; n < r.head_len; n++)
			assert_int_equal(request_read(row[i].head, n, 16384, &r), REQUEST_MORE);
	}
}

/* What two parsers could read in two ways, or is no HTTP. */
static void refused(void **state)
{
	static const char *const row[] = {
		"\x16\x03\x01\x02\x00\x01",
		"*1\r\n$4\r\nPING\r\n",
		" GET / HTTP/1.1\r\n\r\n",
		"\r\n" GET HOST "\r\n",
		"GET  / HTTP/1.1\r\n" HOST "\r\n",
		"GET /  HTTP/1.1\r\n" HOST "\r\n",
		"GET / HTTP/1.1 \r\n" HOST "\r\n",
		"GET /\tx HTTP/1.1\r\n" HOST "\r\n",
		"GET / HTTP/1.2\r\n" HOST "\r\n",
		"GET / HTTP/2.0\r\n" HOST "\r\n",
		"GET / http/1.1\r\n" HOST "\r\n",
		"GET /\r\n\r\n",
		"GET a HTTP/1.1\r\n" HOST "\r\n",
		"GET * HTTP/1.1\r\n" HOST "\r\n",
		"GET /\x80 HTTP/1.1\r\n" HOST "\r\n",
		"GET /#f HTTP/1.1\r\n" HOST "\r\n",
		"GET http:"
		"///x HTTP/1.1\r\nHost:\r\n\r\n",
		"GET http://example.org/ HTTP/1.1\r\nHost: b\r\n\r\n",
		"GET HTTP:"
		"//u@a/ HTTP/1.1\r\nHost: u@a\r\n\r\n",
		GET "\r\n",
		GET HOST HOST "\r\n",
		GET "Host: a b\r\n\r\n",
		GET "Host: a, b/\r\n\r\n",
		GET "Host: a:b\r\n\r\n",
		GET "Host: [2001:db8::1\r\n\r\n",
		GET "Host: [::1]x\r\n\r\n",
		GET "Host : a\r\n\r\n",
		GET HOST " folded\r\n\r\n",
		GET HOST "X: a\r\n\tfolded\r\n\r\n",
		GET HOST "X\r\n\r\n",
		GET HOST ": x\r\n\r\n",
		GET HOST "X: a\nY: b\r\n\r\n",
		GET HOST "X: a\rY: b\r\n\r\n",
		"GET / HTTP/1.1\nHost: a\n\n",
		GET HOST "X: \x01\r\n\r\n",
		GET HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
		GET HOST "Content-Length: +1\r\n\r\n",
		GET HOST "Content-Length: 1, 1\r\n\r\n",
		GET HOST "Content-Length:\r\n\r\n",
		GET HOST "Content-Length: 1234567890123456789\r\n\r\n",
		GET HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		GET HOST "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
		GET HOST "Transfer-Encoding: chunked, gzip\r\n\r\n",
		GET HOST "Transfer-Encoding: xchunked\r\n\r\n",
		GET HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
		"GET / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n",
	};
	struct request r;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		if (reads(row[i], &r) != REQUEST_BAD)
			fail_msg("row %zu is taken", i);
	assert_int_equal(request_read(GET "X: \0\r\nHost: a\r\n\r\n",
				      sizeof(GET "X: \0\r\nHost: a\r\n\r\n") - 1, 16384, &r),
			 REQUEST_BAD);
}

static void bodies(void **state)
{
	struct request r;

	(void)state;
	assert_int_equal(reads(GET HOST "Content-Length: 000\r\n\r\n", &r), REQUEST_OK);
	assert_false(r.has_body);
	assert_int_equal(reads(GET HOST "CONTENT-length: 10\r\n\r\n", &r), REQUEST_OK);
	assert_true(r.has_body && !r.upgrade);
	assert_int_equal(reads(GET HOST
			       "Transfer-Encoding: gzip, Chunked \r\nUpgrade: websocket\r\n\r\n",
			       &r),
			 REQUEST_OK);
	assert_true(r.has_body && r.upgrade);
}

static void sizes(void **state)
{
	char big[300];
	struct request r;

	(void)state;
	memset(big, 'a', sizeof(big));
	memcpy(big, GET "X: ", 19);
	assert_int_equal(request_read(big, 256, 256, &r), REQUEST_MORE);
	/* A first line that is wrong is not waited behind. */
	assert_int_equal(request_read("SET key one\r\n", 13, 256, &r), REQUEST_BAD);
	assert_int_equal(request_read("SET key one", 11, 256, &r), REQUEST_MORE);
	assert_int_equal(request_read(big, 257, 256, &r), REQUEST_TOO_LARGE);
	memcpy(big + 256 - 13, "\r\nHost: a\r\n\r\n", 13);
	assert_int_equal(request_read(big, 300, 256, &r), REQUEST_OK);
	assert_int_equal(request_read(big, 300, 255, &r), REQUEST_TOO_LARGE);
}

static void headers(void **state)
{
	struct request_text v;
	struct request r;

	(void)state;
	assert_int_equal(reads(GET "X-User:  one two \r\n" HOST
				   "x-user: three\r\nEmpty:\r\n\r\nX-Late: 1\r\n\r\n",
			       &r),
			 REQUEST_OK);
	assert_true(request_header(&r, "x-user", &v) && is(&r, v, "one two"));
	assert_true(request_header(&r, "empty", &v) && is(&r, v, ""));
	assert_false(request_header(&r, "x-late", &v));
	assert_false(request_header(&r, "x", &v));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(taken), cmocka_unit_test(refused), cmocka_unit_test(bodies),
		cmocka_unit_test(sizes), cmocka_unit_test(headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
