/* SPDX-License-Identifier: MIT */
/* The lines of handoff, between its roles and to a data plane: nothing is read beyond their end, and what is read is written and read back the same. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/way_text.h"
#include "role/handoff/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void way_back(const char *text, size_t n)
{
	struct way_line l, again;
	char out[WAY_LINE_MAX];
	size_t len;

	if (way_line_read(text, n, &l))
		return;
	len = way_line_write(&l, out);
	assert(way_line_read(out, len, &again) == 0);
	assert(memcmp(&l, &again, sizeof l) == 0);
}

static void msg_back(const char *text, size_t n)
{
	struct hand_msg m, again;
	char out[HAND_MSG_MAX];
	size_t len;

	if (hand_msg_read(text, n, &m))
		return;
	len = hand_msg_write(&m, out);
	assert(hand_msg_read(out, len, &again) == 0);
	assert(memcmp(&m, &again, sizeof m) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size ? size : 1);

	if (!text)
		abort();
	if (size)
		memcpy(text, data, size);
	way_back(text, size);
	msg_back(text, size);
	free(text);
	return 0;
}
