/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_SERVE_HEAD_H
#define SUT_APP_SERVE_HEAD_H
/*
 * serve_head - reads the head of an HTTP/1.1 request (RFC 9112), and what in it needs reading further: a range, dates, entity tags.
 *
 * Owns:     nothing: texts point into the bytes that were given.
 * Does not: touch files or connections.  Strict where a second reading could differ: one Host, no folded lines, no blank in front of a
 *           colon, one length.  A bare newline ends a line as well (RFC 9112, 2.2).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_HEAD_MAX 8192u /* bytes of a head */
#define HTTP_LINE_MAX 4096u /* of its first line */
#define HTTP_PATH_MAX 2048u /* of a decoded path, with its end */
#define HTTP_DATE_MAX 30u /* "Sun, 06 Nov 1994 08:49:37 GMT", with its end */

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_OTHER };

struct http_text {
	const char *s; /* NULL: not there */
	size_t n;
};

struct http_head {
	enum http_method method;
	bool keep; /* the connection goes on behind the answer */
	struct http_text line; /* the first one, without its end; for logs */
	struct http_text target; /* as it came, without scheme, host and query */
	struct http_text range, if_range, if_modified_since, if_none_match;
	char path[HTTP_PATH_MAX]; /* decoded; begins with '/', holds no zero byte */
};

/*
 * Reads a head from n bytes.  Returns 0 if it is not complete yet.  Else its length, with *ret_status 0, or what it is to be answered
 * with where it cannot be served: 400, 405, 414, 431, 501, 505; such a connection is not kept (ret_h->keep is false), and line is all
 * of ret_h that can be relied on.
 */
size_t http_head_read(const char *bytes, size_t n, struct http_head *ret_h, unsigned *ret_status);

/*
 * A single range of bytes of something that has size bytes (RFC 9110, 14.1.2): 1, with the first and the last one; 0: all of it is to be sent
 * (several ranges, other units, or no well-formed range); -1: it lies outside.
 */
int http_range_read(struct http_text t, uint64_t size, uint64_t *ret_first, uint64_t *ret_last);

/* A date in any of HTTP's three forms (RFC 9110, 5.6.7) as seconds since 1970: 0, or -EINVAL. */
int http_date_read(struct http_text t, int64_t *ret_seconds);
void http_date_write(int64_t seconds, char ret_s[HTTP_DATE_MAX]);

/* Is tag ("\"x\"") in a list as If-None-Match has it, or the list "*"?  Compared weakly (RFC 9110, 8.8.3.2). */
bool http_tag_in(struct http_text list, const char *tag);

/* The media type of a file, by its name. */
const char *http_type_of(const char *path);

/* "Not Found" */
const char *http_status_text(unsigned status);
#endif
