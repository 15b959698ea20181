/* SPDX-License-Identifier: MIT */
#include "port/stream_out.h"

#include <errno.h>
#include <string.h>

#include <sys/mman.h>

#include "base/be.h"
#include "port/stream_in.h"

int stream_out_open(struct stream_out *o, bool vnet)
{
	void *mem = mmap(NULL, STREAM_RING, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (mem == MAP_FAILED)
		return -errno;
	*o = (struct stream_out){ .mem = mem, .vnet = vnet };
	return 0;
}

void stream_out_close(struct stream_out *o)
{
	if (o->mem)
		munmap(o->mem, STREAM_RING);
	o->mem = NULL;
}

void iov_skip(struct iov_cursor *c, uint64_t n)
{
	while (n > 0 && n >= c->iov->iov_len - c->off) {
		n -= c->iov->iov_len - c->off;
		c->iov++;
		c->off = 0;
	}
	c->off += n;
}

/* Copies n bytes to the end, which may lie across the ring's. */
static void append(struct stream_out *o, const void *p, size_t n)
{
	size_t at = o->in % STREAM_RING, first = STREAM_RING - at;

	if (first > n)
		first = n;
	memcpy(o->mem + at, p, first);
	memcpy(o->mem, (const uint8_t *)p + first, n - first);
	o->in += n;
}

bool stream_out_put(struct stream_out *o, struct iov_cursor *c, uint32_t size, uint32_t len)
{
	if (size > STREAM_RING - stream_out_waiting(o))
		return false;
	if (o->in == o->out) {
		/* the same pages again and again, as long as little waits */
		o->in = o->out = 0;
		o->next = size;
		o->next_len = len;
	}
	while (size > 0) {
		size_t n = c->iov->iov_len - c->off;

		if (n > size)
			n = size;
		append(o, (const uint8_t *)c->iov->iov_base + c->off, n);
		iov_skip(c, n);
		size -= (uint32_t)n;
	}
	return true;
}

unsigned stream_out_iov(const struct stream_out *o, struct iovec ret_iov[2])
{
	size_t at = o->out % STREAM_RING, n = stream_out_waiting(o), first = STREAM_RING - at;

	if (n == 0)
		return 0;
	if (first > n)
		first = n;
	ret_iov[0] = (struct iovec){ o->mem + at, first };
	ret_iov[1] = (struct iovec){ o->mem, n - first };
	return n > first ? 2 : 1;
}

static uint32_t field_at(const struct stream_out *o, uint64_t at)
{
	uint8_t f[STREAM_FIELD];

	for (unsigned i = 0; i < STREAM_FIELD; i++)
		f[i] = o->mem[(at + i) % STREAM_RING];
	return load_be32(f);
}

/* The frame at next becomes the one that is waited for: false if it is the end. */
static bool step(struct stream_out *o)
{
	uint64_t at = o->next;
	uint32_t len;

	if (at == o->in)
		return false;
	len = field_at(o, at);
	o->next = at + STREAM_FIELD + len;
	o->next_len = len;
	if (o->vnet) {
		o->next += STREAM_FIELD;
		o->next_len -= field_at(o, at + STREAM_FIELD);
	}
	return true;
}

struct stream_done stream_out_took(struct stream_out *o, uint64_t n)
{
	struct stream_done d = { 0 };

	o->out += n;
	/* what was taken is still there: nothing was put since */
	while (n > 0 && o->next <= o->out) {
		d.frames++;
		d.bytes += o->next_len;
		if (!step(o))
			break;
	}
	return d;
}

uint64_t stream_out_discard(struct stream_out *o)
{
	uint64_t frames = 0;

	if (o->in != o->out) {
		do
			frames++;
		while (step(o));
	}
	o->out = o->in;
	return frames;
}
