/* SPDX-License-Identifier: MIT */
#include "app/lines.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct slot {
	struct packet pkt;
	uint8_t bytes[PACKET_ROOM + LINE_BYTES];
};

struct lines {
	unsigned in, out; /* run on; the slot is the remainder */
	unsigned lent; /* before out: taken last time, still read */
	struct slot slot[LINES_MAX];
};

struct lines *lines_open(void)
{
	return calloc(1, sizeof(struct lines));
}

void lines_close(struct lines *l)
{
	free(l);
}

unsigned lines_room(const struct lines *l)
{
	return LINES_MAX - (l->in - l->out) - l->lent;
}

bool lines_are_empty(const struct lines *l)
{
	return l->in == l->out;
}

static bool add(struct lines *l, size_t len)
{
	struct slot *s = &l->slot[l->in % LINES_MAX];

	if (len >= LINE_BYTES)
		return false;
	s->pkt = (struct packet){ .head = s->bytes + PACKET_ROOM, .head_len = (uint32_t)len };
	l->in++;
	return true;
}

static char *room_for_one(struct lines *l)
{
	return lines_room(l) == 0 ? NULL : (char *)l->slot[l->in % LINES_MAX].bytes + PACKET_ROOM;
}

bool lines_add(struct lines *l, const char *fmt, ...)
{
	char *at = room_for_one(l);
	va_list ap;
	int n;

	if (!at)
		return false;
	va_start(ap, fmt);
	n = vsnprintf(at, LINE_BYTES, fmt, ap);
	va_end(ap);
	return n >= 0 && add(l, (size_t)n);
}

bool lines_put(struct lines *l, const char *first, const char *text, size_t len)
{
	size_t before = first ? strlen(first) + 1 : 0;
	char *at = room_for_one(l);

	if (!at || before + len >= LINE_BYTES)
		return false;
	if (first) {
		memcpy(at, first, before);
		at[before - 1] = ' ';
	}
	memcpy(at + before, text, len);
	return add(l, before + len);
}

unsigned lines_take(struct lines *l, struct packet **ret_pkts, unsigned max)
{
	unsigned n = 0;

	while (n < max && l->out != l->in)
		ret_pkts[n++] = &l->slot[l->out++ % LINES_MAX].pkt;
	l->lent = n;
	return n;
}
