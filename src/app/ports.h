/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_PORTS_H
#define SUT_APP_PORTS_H
/*
 * ports - the opened ports of one engine, by index into the role's list: opening, tracing, sending with patience, closing.
 *
 * Owns:     the arena, the traces' writers, and all ports but those that were given opened.
 */
#include <stdbool.h>
#include <stdint.h>

#include "app/log.h"
#include "port/arena.h"
#include "port/port.h"
#include "app/runner.h"
#include "role/role.h"

#define PORTS_MAX ROLE_PORTS_MAX

struct capture_writer;

struct port_slot {
	struct port *port; /* NULL: not joined, or the port of commands */
	const char *name; /* "client" */
	enum port_kind kind;
	struct port *given; /* not ours to close */
	struct capture_writer *writer; /* of its own trace; NULL if shared or none */
	bool was_down; /* said so already */
	bool was_up; /* once, at least */
	bool ended; /* -ENODATA was met */
	unsigned queued;
	struct packet *queue[256]; /* OUTBOX_PKTS: what the outbox has for it, in order */
};

struct ports {
	struct arena arena;
	unsigned n;
	struct port_slot slot[PORTS_MAX];
	struct capture_writer *shared; /* one trace of all ports; NULL: none */
	sut_time wall; /* the time that traces write */
};

/*
 * The ports that a run joins, a bit each: those that are given or named, and those of frames that must be.  The port of commands
 * (runner.h) is not among them: it is the caller's.
 */
uint32_t ports_joined(const struct role_ops *ops, const char *const *spec,
		      struct port *const *given);

/*
 * Opens what spec[i] says for each of those ports, or takes given[i].  trace: NULL, a file, or a directory for frames; one that is
 * a capture being read is refused.
 * 0, or -errno with a sentence in ret_err; nothing is open then.
 */
int ports_open(struct ports *s, const struct role_ops *ops, const char *const *spec,
	       struct port *const *given, const char *trace, char *ret_err, size_t err_size);

/* Writes what traces have gathered to their files: 0, or -errno of the last one that cannot be written. */
int ports_flush_traces(struct ports *s);

/* Closes the ports and ends traces: 0, or -errno if a trace could not be written whole (it is logged). */
int ports_close(struct ports *s, const struct log *log);

/*
 * Sends what slot i has queued, and leaves it there for the caller to look at.  A device that is full is tried again for 10 ms in all; what it
 * refuses then is dropped: its entry becomes NULL.  Returns how many were dropped.
 *
 * A stream is full only when megabytes wait in it: a burst of super-packets can do that before it is seen to be congested.  Trying
 * again helps there too, since each try writes.
 */
unsigned ports_flush(struct ports *s, unsigned i);
#endif
