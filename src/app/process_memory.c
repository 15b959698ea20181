/* SPDX-License-Identifier: MIT */
#include "app/process_memory.h"

#include <stdio.h>
#include <unistd.h>

void process_memory(uint64_t *ret_resident, uint64_t *ret_virtual)
{
	FILE *f = fopen("/proc/self/statm", "re");
	unsigned long long all = 0, resident = 0;
	long page = sysconf(_SC_PAGESIZE);

	if (!f)
		return;
	if (fscanf(f, "%llu %llu", &all, &resident) == 2) {
		*ret_virtual = all * (unsigned long long)page;
		*ret_resident = resident * (unsigned long long)page;
	}
	fclose(f);
}
