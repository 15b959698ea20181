/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_HANDOFF_REQUEST_H
#define SUT_ROLE_HANDOFF_REQUEST_H
/*
 * request - what the head of an HTTP/1.x request says, as far as routing needs it.
 *
 * Owns:     nothing: it looks at bytes that are all there or not yet.
 * Does not: forgive.  What parsers may read in two ways (bare CR or LF, Content-Length beside Transfer-Encoding, two
 *           Hosts, blanks before a colon, obsolete folding, a version other than 1.0 and 1.1) is REQUEST_BAD: routing
 *           by one reading and answering by another is how requests are smuggled.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum request_method {
	REQ_GET,
	REQ_HEAD,
	REQ_POST,
	REQ_PUT,
	REQ_DELETE,
	REQ_OPTIONS,
	REQ_PATCH,
	REQ_CONNECT,
	REQ_TRACE,
	REQ_OTHER,
	REQ_METHODS
};
enum request_result { REQUEST_MORE, REQUEST_OK, REQUEST_BAD, REQUEST_TOO_LARGE };

struct request_text {
	uint16_t at, len; /* in the head's bytes */
};

struct request {
	enum request_method method;
	uint8_t minor; /* HTTP/1.minor */
	uint16_t head_len; /* with the empty line */
	struct request_text host,
		path; /* host without port, as written (compare without case); path without query; absolute-form is taken apart */
	bool has_body, upgrade;
	const char *bytes; /* what at counts from */
};

/*
 * Reads n bytes (the first of the connection).
 * REQUEST_MORE while the head is not whole and n <= max; REQUEST_TOO_LARGE beyond; a first line that is wrong is REQUEST_BAD at once.  ret_r is
 * written with REQUEST_OK only.
 */
enum request_result request_read(const char *bytes, size_t n, size_t max, struct request *ret_r);

/* The value of the first header with this name (lower case) in a head that was read; false: it has none. */
bool request_header(const struct request *r, const char *name, struct request_text *ret_value);
#endif
