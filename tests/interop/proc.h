/* SPDX-License-Identifier: MIT */
#ifndef SUT_INTEROP_PROC_H
#define SUT_INTEROP_PROC_H
/*
 * proc - the programs that a test starts, and the directory that its sockets lie in.
 *
 * Owns: both; at exit, however that comes, the programs are ended by their ids and the directory is removed.
 */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/compiler.h"

/* Makes the directory.  Call once, first; false with a line on stderr. */
bool proc_setup(void);

/* The path of a file of this name in the directory: one of several buffers, used again after 16 calls. */
const char *proc_path(const char *name);

/*
 * Starts the program of this line, split at blanks; its output goes to proc_path(log).  It dies with this program.
 * Returns its id, or -1.
 */
pid_t proc_start(const char *log, const char *fmt, ...) SUT_PRINTF(2, 3);

/* Ends it: SIGTERM, after 2 s SIGKILL.  Returns its wait status, -1 if there is none. */
int proc_stop(pid_t pid);

/* Kills it at once, as a crash would. */
void proc_kill(pid_t pid);

/* Waits for at most ms for it to end by itself: true with its wait status. */
bool proc_ended(pid_t pid, int ms, int *ret_status);

/* The first line of proc_path(log) that is not empty, for messages; a static buffer. */
const char *proc_said(const char *log);

/* The value of this counter ("dropped quota") in proc_path(log), where suture printed its counters there; else 0. */
unsigned long proc_counter(const char *log, const char *name);

/* The same of a counter of one port ("rx_malformed"). */
unsigned long proc_port_counter(const char *log, const char *port, const char *name);
#endif
