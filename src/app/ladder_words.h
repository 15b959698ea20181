/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_LADDER_WORDS_H
#define SUT_APP_LADDER_WORDS_H
/* ladder_words - what a ladder says, as text without any layout: segments, notes, shifts, the summary. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/ladder.h"

/* Text that grows; what does not fit is cut. */
struct words {
	char *s;
	size_t size, len;
};

#define WORDS(buf) ((struct words){ .s = (buf), .size = sizeof(buf) })

void words_add(struct words *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "; " between parts. */
void words_part(struct words *w);

/* "12.345 ms", "1.234 s", "80 us". */
void words_time(struct words *w, sut_time t);
/* "78 B", "1.2 MB". */
void words_bytes(struct words *w, uint64_t n);
/* "192.0.2.1:80", "[2001:db8::1]:80". */
void words_end(struct words *w, const uint8_t addr[16], be16 port);

/* Both ends of the connection, and its VLANs. */
void words_connection(struct words *w, const struct ladder *l);

/* seq of a sender in a half, counted from its first one. */
uint32_t words_relative(const struct ladder *l, enum sut_side half, enum sut_side sender,
			uint32_t seq);

/* "P. 1:79(78) ack 1 win 502", or an ICMP error; then its options, in another text. */
void words_segment(struct words *w, const struct ladder *l, const struct step *t,
		   enum sut_side half, bool absolute);
void words_options(struct words *w, const struct ladder *l, const struct step *t,
		   enum sut_side half, bool absolute);

/* What is wrong with it: "ack is 1 too high (frames 7 and 9)". */
void words_faults(struct words *w, const struct step *t);
/* What became of it at the box. */
void words_fate(struct words *w, const struct ladder *l, const struct step *t);
/* What a half says of it.  Of what was seen on both sides, half FAR adds only what NEAR has not said. */
void words_notes(struct words *w, const struct ladder *l, const struct step *t, enum sut_side half,
		 bool absolute);
/* "1234 packets (1.8 MB) from the server, 610 from the client". */
void words_fold(struct words *w, const struct fold *f);

/* "server's numbers: far = near + 1739875596 (real ISN 7 - promised ISN 5), 12 agree".  False: nothing is known. */
bool words_shift(struct words *w, const struct ladder *l, enum sut_side sender);
bool words_clock(struct words *w, const struct ladder *l, enum sut_side sender);

void words_summary(struct words *w, const struct ladder *l);
const char *words_mode(enum ladder_mode m);
const char *words_fault(enum fault f);
const char *words_reason(enum fate_reason r);
#endif
