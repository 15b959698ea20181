/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_READING_H
#define SUT_APP_READING_H
/*
 * reading - what each segment of a connection means to one who sees one capture of it: retransmission, duplicate ACK, a hole filled.
 *
 * Owns:     one connection as one capture shows it: the edges of both directions, their missing ranges, the tracker's state.
 * Does not: print, or know of the other capture.
 *
 * Bounded: a few missing ranges a direction are remembered; when there are more, the oldest are forgotten.
 */
#include <stdbool.h>
#include <stdint.h>

#include "app/sight.h"
#include "base/seq.h"
#include "core/track.h"

/* clang-format off */
/* What there is to say about a segment; the texts are in notes_text.c.  Ranges are notes.from to notes.to, as on the wire. */
enum note {
	NOTE_SYN_AGAIN,		/* after notes.after */
	NOTE_SYNACK_AGAIN,	/* after notes.after */
	NOTE_SYN_OTHER,		/* a SYN that does not belong to what goes on */
	NOTE_SYN_DATA,		/* data in a SYN */
	NOTE_RETRANSMIT,	/* of the range */
	NOTE_NEEDLESS,		/* ... which was acknowledged already */
	NOTE_PARTLY_NEW,	/* ... and more behind it */
	NOTE_FILLS,		/* a hole, the range */
	NOTE_LATE,		/* ... no later than packets overtake each other */
	NOTE_HOLE,		/* the range is missing before it */
	NOTE_DUP_ACK,		/* notes.count-th */
	NOTE_KEEPALIVE,
	NOTE_KEEPALIVE_ACK,
	NOTE_WINDOW_UPDATE,
	NOTE_ZERO_WINDOW,
	NOTE_WINDOW_OPENS,
	NOTE_WINDOW_PROBE,
	NOTE_ACK_UNSEEN,	/* acknowledges the range, which was not seen */
	NOTE_DSACK,		/* reports the range as received twice */
	NOTE_STRAY,		/* the tracker takes it for no part of the connection */
	NOTE_RST_WRONG,		/* a reset that does not fit: ignored by a careful end */
	NOTE_FIN_AGAIN,
	NOTE_STATE,		/* the connection's state changed: notes.state */
	NOTE_PICKED_UP,		/* the first seen of a connection that is older than the capture */
	NOTE_COUNT
};
/* clang-format on */

struct notes {
	uint32_t set; /* bit per enum note */
	uint32_t from, to;
	uint32_t count;
	uint8_t state; /* enum track_state after it */
	sut_time after;
};

static inline bool notes_have(const struct notes *n, enum note what)
{
	return n->set >> what & 1;
}

struct reading_range {
	uint32_t from, to;
	sut_time since;
};

#define READING_HOLES 16

/* One direction. */
struct reading_way {
	bool seen; /* base and end are valid */
	bool syn; /* its SYN was seen: base is the ISN */
	bool acks; /* acked, window are valid */
	bool has_ts; /* ts_base is valid */
	bool scaled; /* its SYN had a window scale */
	bool syn_cut; /* its SYN's options were captured only in part */
	bool probed; /* its last segment was a keep-alive */
	uint8_t scale;
	uint8_t holes;
	uint16_t window; /* the last */
	uint32_t base; /* relative numbers count from here */
	uint32_t end; /* behind the highest byte */
	uint32_t acked; /* the highest that it acknowledged */
	uint32_t dup_acks;
	uint32_t ts_base;
	sut_time syn_at; /* its last SYN */
	struct reading_range hole[READING_HOLES];
};

struct reading {
	struct reading_way way[SUT_SIDES]; /* by sender */
	struct track track;
	sut_seq end[SUT_SIDES], acked[SUT_SIDES]; /* of track */
	bool begun;
	sut_time last; /* the last segment */
};

/* Does s, a SYN, begin another connection than the one that was read so far? */
bool reading_reopens(const struct reading *r, const struct sight *s, enum sut_side sender);

/* Takes the next segment in (no ICMP), and says what it is. */
void reading_add(struct reading *r, const struct sight *s, enum sut_side sender,
		 struct notes *ret_n);
#endif
