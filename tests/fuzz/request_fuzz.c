/* SPDX-License-Identifier: MIT */
/* Heads of requests as routing reads them: nothing is read beyond their end, and what is whole stays the same when more follows. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "role/handoff/request.h"
#include "role/handoff/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(const struct request *r, struct request_text t)
{
	assert((size_t)t.at + t.len <= r->head_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *bytes = malloc(size ? size : 1), *copy;
	struct request r = { 0 }, again;
	struct request_text v;

	if (!bytes)
		abort();
	memcpy(bytes, data, size);
	if (request_read(bytes, size, 8192, &r) == REQUEST_OK) {
		assert(r.head_len <= size && memcmp(bytes + r.head_len - 4, "\r\n\r\n", 4) == 0);
		inside(&r, r.host);
		inside(&r, r.path);
		if (request_header(&r, "host", &v))
			inside(&r, v);
		copy = malloc(r.head_len);
		if (!copy)
			abort();
		memcpy(copy, bytes, r.head_len);
		assert(request_read(copy, r.head_len, 8192, &again) == REQUEST_OK);
		assert(again.method == r.method && again.head_len == r.head_len &&
		       again.host.at == r.host.at && again.path.len == r.path.len &&
		       again.has_body == r.has_body);
		assert(request_read(copy, r.head_len - 1u, 8192, &again) == REQUEST_MORE);
		free(copy);
	}
	free(bytes);
	return 0;
}
