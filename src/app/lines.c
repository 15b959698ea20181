/* SPDX-License-Identifier: MIT */
#include "app/lines.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

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

bool lines_add(struct lines *l, const char *fmt, ...)
{
	struct slot *s = &l->slot[l->in % LINES_MAX];
	va_list ap;
	int n;

	if (lines_room(l) == 0)
		return false;
	va_start(ap, fmt);
	n = vsnprintf((char *)s->bytes + PACKET_ROOM, LINE_BYTES, fmt, ap);
	va_end(ap);
	if (n < 0 || n >= (int)LINE_BYTES)
		return false;
	s->pkt = (struct packet){ .head = s->bytes + PACKET_ROOM, .head_len = (uint32_t)n };
	l->in++;
	return true;
}

unsigned lines_take(struct lines *l, struct packet **ret_pkts, unsigned max)
{
	unsigned n = 0;

	while (n < max && l->out != l->in)
		ret_pkts[n++] = &l->slot[l->out++ % LINES_MAX].pkt;
	l->lent = n;
	return n;
}
