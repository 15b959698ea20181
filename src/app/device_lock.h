/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_DEVICE_LOCK_H
#define SUT_APP_DEVICE_LOCK_H
/*
 * device_lock - a device of this network namespace that one process has for its programs.
 *
 * Owns:     two names of unix sockets, which the kernel keeps for each network namespace, and takes back with the process however it ends.
 * Does not: keep anybody from the device who does not ask.  Names are no files: any user of the namespace could take one.
 */
#include <stddef.h>

struct device_lock;

#define DEVICE_LOCK_WHO 64u /* bytes of "suture handoff front (process 4711)" */

/*
 * 0; -EBUSY: another one has it, and ret_who (DEVICE_LOCK_WHO) says which; or another -errno.  command: of one word, as "front", told to who is
 * refused.
 */
int device_lock_open(unsigned ifindex, const char *command, struct device_lock **ret_l,
		     char *ret_who);
/* NULL does nothing. */
void device_lock_close(struct device_lock *l);
#endif
