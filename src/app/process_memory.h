/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_PROCESS_MEMORY_H
#define SUT_APP_PROCESS_MEMORY_H
/* process_memory - how much memory this process has, as the kernel sees it. */
#include <stdint.h>

/* Bytes in memory, and of address space; both untouched where the kernel does not say. */
void process_memory(uint64_t *ret_resident, uint64_t *ret_virtual);
#endif
