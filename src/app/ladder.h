/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_LADDER_H
#define SUT_APP_LADDER_H
/*
 * ladder - one connection as rows of a sequence diagram, a run of plain data folded in one row.
 *
 * Owns:     what both captures showed of the connection: their readings, the pairing, the rows.
 * Does not: print: ladder_text.h, ladder_svg.h and ladder_json.h do.
 *
 * Memory: what is undecided (pairing.h), and the rows; those are limited unless all are asked for.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/pairing.h"
#include "core/quad.h"

struct ladder_limits {
	enum pairing_captures captures;
	bool all; /* nothing is folded or left out */
	bool strict; /* behind `rows` only faults are shown; else whatever is no plain data or ACK, too */
	size_t rows; /* at most so many of a connection */
};

/* A number of packets in one row. */
struct fold {
	sut_time from, to;
	uint64_t order; /* sight.order of the first */
	uint64_t packets[SUT_SIDES], bytes[SUT_SIDES]; /* by sender */
	uint64_t again; /* retransmissions among them */
	uint64_t dup_acks;
	bool rest; /* left out because there are too many; else a run of plain data */
};

struct row {
	bool is_fold;
	union {
		struct step step;
		struct fold fold;
	};
};

/* Steps of a run that may be folded: the last one is shown behind the fold. */
struct ladder_run {
	size_t shown; /* in front of the fold */
	size_t folded, at; /* packets in it; its row, once it is one */
	struct fold fold;
	struct step last;
	bool has_last;
};

struct ladder {
	const struct ladder_limits *limits;
	struct flow_key key; /* client to server */
	bool guessed; /* who the client is: no SYN was seen */
	struct reading reading[SUT_SIDES]; /* by half */
	struct pairing pairing;
	struct row *row;
	size_t rows, room;
	struct ladder_run run;
	struct fold rest;
	/* what the summary says */
	sut_time began, ended;
	uint64_t packets[SUT_SIDES], bytes[SUT_SIDES]; /* by sender, where they come in */
	uint64_t again, made, swallowed, held, resets;
	sut_time syn_at[SUT_SIDES], synack_at[SUT_SIDES]; /* by half; 0: not seen */
	sut_time answer_at; /* the server's first byte, at the client */
	sut_time held_most;
	uint64_t order; /* the caller's */
};

/* s opens the connection, or is the first that is seen of it; key is in the client's direction. */
struct ladder *ladder_open(const struct ladder_limits *limits, const struct flow_key *key,
			   bool guessed);
void ladder_close(struct ladder *l);

/* Takes a sight in: 0 or -ENOMEM. */
int ladder_add(struct ladder *l, enum sut_side half, enum sut_side sender, const struct sight *s);

/* No more comes: decides the rest.  0 or -ENOMEM. */
int ladder_finish(struct ladder *l);

/* Bytes of memory that l takes. */
size_t ladder_bytes(const struct ladder *l);

/* Both halves have ended the connection. */
bool ladder_is_over(const struct ladder *l);

/* How long the box kept it beyond the least it takes; 0 if it passed at once. */
sut_time ladder_held(const struct ladder *l, const struct step *t);

/* How the box treated it. */
enum ladder_mode {
	LADDER_ONE_SIDE, /* one capture: nobody knows */
	LADDER_BYPASS, /* the server's own answer came through, unshifted */
	LADDER_SHIFTED, /* ... with other numbers */
	LADDER_HOLD, /* promised; no data in the SYN */
	LADDER_MERGE, /* promised; data in the SYN */
	LADDER_UNKNOWN, /* the beginning was not seen */
};
enum ladder_mode ladder_mode(const struct ladder *l);

/* Faults of all kinds. */
uint64_t ladder_faults(const struct ladder *l);
#endif
