/* SPDX-License-Identifier: MIT */
#ifndef BENCH_REPLICA_SUBJECT_H
#define BENCH_REPLICA_SUBJECT_H
/*
 * replica_subject - a rewriter as a child process, on unix stream sockets that this process listens on.
 *
 * Owns the sockets, their files in the directory, and the child, which it ends by its process id.  Does not know which program it is.
 */
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

enum { SUBJECT_PRIMARY, SUBJECT_SECONDARY, SUBJECT_COMPARE, SUBJECT_LINKS };

struct subject {
	pid_t pid;
	clockid_t
		clock; /* the child's CPU time, all threads, user and system (clock_getcpuclockid) */
	int fd[SUBJECT_LINKS];
	char path[SUBJECT_LINKS][100];
};

/*
 * Listens on DIR/primary and DIR/secondary (and DIR/compare, if links is 3), starts argv with its output in DIR/log, and waits until it has connected to
 * all of them.  It is to connect: then all of its sockets are there when frames begin.  Ends the program with a message if anything fails.
 */
void subject_start(struct subject *s, const char *dir, unsigned links, char *const argv[]);

/* Waits until the child has no more to do at its start: no CPU time in 100 ms. */
void subject_settle(const struct subject *s);

/* CPU time of the child so far, in ns. */
uint64_t subject_cpu_ns(const struct subject *s);

/* Its resident memory now, in KB. */
uint64_t subject_memory_kb(const struct subject *s);

/* Ends the child and removes the sockets. */
void subject_stop(struct subject *s);
#endif
