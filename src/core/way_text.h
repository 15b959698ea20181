/* SPDX-License-Identifier: MIT */
#ifndef SUT_CORE_WAY_TEXT_H
#define SUT_CORE_WAY_TEXT_H
/*
 * way_text - ways and reports as lines of words: the messages between a role of handoff and a data plane.
 *
 * To the data plane:
 *     set SRC > DST act=send flags=shift,window id=N if=3 mac=aa:bb:cc:dd:ee:ff ...  make or replace
 *     del SRC > DST                                                                  take away
 *     amend SRC > DST flags=mute id=N end=N                                          add flags; replace id and end where they are said
 *     look SRC > DST                                                                 answered by seen, or by none
 *     list                                                                           answered by a have for each way, then end
 *     destroy SRC > DST                                                              ends the host's socket of this quad (TIME-WAIT)
 * From it:
 *     seen SRC > DST idle=MS packets=N bytes=N seen=any,fin fin=N
 *     none SRC > DST
 *     have SRC > DST act=.. (as set)
 *     end
 *     event NAME SRC > DST id=N a=N b=N                                              a report (way.h)
 *
 * SRC and DST are ADDRESS:PORT, IPv6 in brackets.  In set and have, words that are not said are 0, and only act is always said (in amend nothing):
 *     act=drop|user|host|send   flags=src,dst,shift,window,clamp,expect,adopt,learn,unlearnt,watch,open,mute,join (in this order)
 *     if=  mac= (dmac)  from= (smac)  src=A:P  dst=A:P (new ones)  seq= ack= tsval= tsecr= (additions, modulo 2^32)  scale=FROM/TO
 *     origin=  expect=  end=  clamp=LO/HI  front=SEQ/TSVAL  fws= (front_wscale)  mate=SRC>DST
 *     attrs: ts=RCV_TSVAL/RCV_TSECR  mss=  ws=SND/RCV  opts=ts,sack,ws,ecn
 * What the data plane itself keeps (seen, fin_end, last_ns, packets, bytes) does not travel in a set.
 * Every line that is written reads back the same; there is one blank between words, numbers are decimal, names are lower case.
 */
#include <stddef.h>

#include "core/way.h"

enum way_line_kind {
	WAY_LINE_SET,
	WAY_LINE_AMEND,
	WAY_LINE_DEL,
	WAY_LINE_LOOK,
	WAY_LINE_LIST,
	WAY_LINE_SEEN,
	WAY_LINE_HAVE,
	WAY_LINE_NONE,
	WAY_LINE_END,
	WAY_LINE_EVENT,
	WAY_LINE_DESTROY
};

#define WAY_LINE_MAX 1024u

struct way_line {
	enum way_line_kind kind;
	struct way_key key;
	struct way way; /* SET, AMEND, HAVE; SEEN: seen, fin_end, packets, bytes */
	struct way_event event; /* EVENT */
	way_u32 idle_ms; /* SEEN */
};

/* Bytes written to ret_text (WAY_LINE_MAX), without a 0 at the end counted. */
size_t way_line_write(const struct way_line *l, char *ret_text);
/* 0; -EINVAL: not such a line (nothing is written).  Whatever the line does not say is 0, padding too. */
int way_line_read(const char *text, size_t len, struct way_line *ret_l);
#endif
