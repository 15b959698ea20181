/* SPDX-License-Identifier: MIT */
#ifndef SUT_CORE_WAY_TEXT_H
#define SUT_CORE_WAY_TEXT_H
/*
 * way_text - ways and reports as lines of words: the messages between a role of handoff and a data plane.
 *
 *     set SRC > DST act=send if=3 mac=aa:bb:cc:dd:ee:ff from=.. seq=+N ... id=N     make or replace
 *     del SRC > DST                                                                  take away
 *     look SRC > DST                                                                 answered by:
 *     seen SRC > DST idle=MS packets=N bytes=N seen=fin,rst,...  | none SRC > DST
 *     event NAME SRC > DST id=N a=N b=N                                              a report
 *     destroy SRC > DST                                                              ends the host's socket of this quad (TIME-WAIT)
 *
 * SRC and DST are ADDRESS:PORT, IPv6 in brackets.  Words that are not said are 0.  Every line that is written reads back the same.
 */
#include <stddef.h>

#include "core/way.h"

enum way_line_kind {
	WAY_LINE_SET,
	WAY_LINE_DEL,
	WAY_LINE_LOOK,
	WAY_LINE_SEEN,
	WAY_LINE_NONE,
	WAY_LINE_EVENT,
	WAY_LINE_DESTROY
};

#define WAY_LINE_MAX 640u

struct way_line {
	enum way_line_kind kind;
	struct way_key key;
	struct way way; /* SET; SEEN: seen, packets, bytes */
	struct way_event event; /* EVENT */
	way_u32 idle_ms; /* SEEN */
};

/* Bytes written to ret_text (WAY_LINE_MAX), without a 0 at the end counted. */
size_t way_line_write(const struct way_line *l, char *ret_text);
/* 0; -EINVAL: not such a line (nothing is written). */
int way_line_read(const char *text, size_t len, struct way_line *ret_l);
#endif
