/* SPDX-License-Identifier: MIT */
#ifndef SUT_PORT_TRACE_H
#define SUT_PORT_TRACE_H
/*
 * trace - a wrapper around any port that writes each frame, as it came in and as it went out, to a capture.
 *
 * Owns:     the wrapped port.  The writer and the clock are the caller's: several ports may share them.
 */
#include "base/time.h"

struct capture_writer;
struct port;

/* Wraps inner; *wall is read at each frame: nanoseconds since 1970.  NULL if out of memory: inner is untouched then. */
struct port *trace_wrap(struct port *inner, struct capture_writer *w, const sut_time *wall);
#endif
