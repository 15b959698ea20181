/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_LADDER_WORDS_H
#define SUT_APP_LADDER_WORDS_H
/* ladder_words - what a ladder says, as text without any layout: segments, notes, shifts, the summary. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/ladder.h"
#include "app/moves.h"
#include "app/words.h"

/* Both ends of the connection, and its VLANs. */
void words_connection(struct words *w, const struct ladder *l);

/* seq of a sender in a half: as it is, or counted from its first one. */
uint32_t words_number(const struct ladder *l, enum sut_side half, enum sut_side sender,
		      uint32_t seq, bool absolute);

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
/* All that there is to say about a move. */
void words_remark(struct words *w, const struct ladder *l, const struct move *m, bool absolute);
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
