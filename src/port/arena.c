/* SPDX-License-Identifier: MIT */
#include "port/arena.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

#define ARENA_BYTES ((size_t)ARENA_SLOTS * ARENA_STRIDE + PACKET_HEADROOM)

int arena_open(struct arena *a)
{
	void *mem = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (mem == MAP_FAILED)
		return -errno;
	*a = (struct arena){ .mem = mem };
	return 0;
}

void arena_close(struct arena *a)
{
	if (a->mem)
		munmap(a->mem, ARENA_BYTES);
	a->mem = NULL;
}
