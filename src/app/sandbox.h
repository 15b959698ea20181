/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_SANDBOX_H
#define SUT_APP_SANDBOX_H
/*
 * sandbox - takes from the process what it does not need once everything is open: capabilities, and system calls.
 *
 * A box reads whatever the network sends it, as root at first.  If a bug should ever let a packet run code, that code finds no
 * exec, no fork, no ptrace, no kill, no mount, and no capability but those over the network's devices.
 *
 * Owns:     the list of calls that the program makes while it runs, each with the reason.
 * Does not: hide files: a journal is written, a control socket removed, where the user may.
 */
#include <stdbool.h>
#include <stddef.h>

struct log;

/*
 * Keeps CAP_NET_RAW and CAP_NET_ADMIN (devices that come back are opened anew) as far as they are there, forbids new privileges, and
 * installs a seccomp filter that kills the process at any call not in the list.  For good, for all threads to come.
 * 0; -ENOSYS where the kernel has no seccomp (capabilities are dropped all the same), or another -errno; with a sentence in ret_err.
 */
int sandbox_enter(char *ret_err, size_t err_size);

/* The same, with what there is to say in the log: 0, also where the kernel has no seccomp, or -errno. */
int sandbox_begin(const struct log *l);

/* Is the filter part of this build?  Sanitizers make calls of their own, so it is not in builds with them. */
bool sandbox_is_built(void);

/* The i-th system call that is allowed, and why; NULL behind the last.  For the manual and tests. */
const char *sandbox_call(unsigned i, const char **ret_why);
#endif
