/* SPDX-License-Identifier: MIT */
/* The heads of HTTP requests, and what stands in them: nothing is read beyond its end, and what is complete stays the same when more follows. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "app/serve_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads the first n bytes out of memory that ends there. */
static size_t read_exactly(const uint8_t *data, size_t n, struct http_head *ret_h,
			   unsigned *ret_status)
{
	char *bytes = malloc(n ? n : 1);
	uint64_t first, last;
	int64_t seconds;
	size_t len;

	if (!bytes)
		abort();
	memcpy(bytes, data, n);
	*ret_status = 999;
	len = http_head_read(bytes, n, ret_h, ret_status);
	assert(len <= n && (len == 0) == (*ret_status == 999));
	if (len && *ret_status == 0) {
		assert(ret_h->path[0] == '/' && strlen(ret_h->path) < HTTP_PATH_MAX);
		if (http_range_read(ret_h->range, 1000, &first, &last) == 1)
			assert(first <= last && last < 1000);
		(void)http_date_read(ret_h->if_modified_since, &seconds);
		(void)http_tag_in(ret_h->if_none_match, "\"a\"");
		(void)http_type_of(ret_h->path);
	} else if (len) {
		assert(!ret_h->keep && *ret_status >= 400 && *ret_status <= 505);
	}
	free(bytes);
	return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_head head, again;
	unsigned status, status_again;
	size_t len, same;

	if (size > HTTP_HEAD_MAX)
		size = HTTP_HEAD_MAX;
	len = read_exactly(data, size, &head, &status);
	if (len == 0 || len == size)
		return 0;
	same = read_exactly(data, len, &again, &status_again);
	assert(same == len && status_again == status);
	if (status == 0)
		assert(strcmp(head.path, again.path) == 0 && head.keep == again.keep);
	return 0;
}
