/* SPDX-License-Identifier: MIT */
#ifndef SUT_CORE_RECORD_FLOW_H
#define SUT_CORE_RECORD_FLOW_H
/*
 * record_flow - the parts of a record that the flows of every role have: key, tracker, lane.
 *
 * Each part is put and taken in one order.  What is taken is not judged, but for the lane: a
 * damaged record has failed the CRC, and what a role makes of strange values is its own affair.
 */
#include "core/make.h"
#include "core/quad.h"
#include "core/record.h"
#include "core/track.h"

void record_put_key(struct record *r, const struct flow_key *k);
void record_take_key(struct record_reader *rd, struct flow_key *ret_k);

void record_put_track(struct record *r, const struct track *t);

/* A state or an opener that does not exist sets rd->failed. */
void record_take_track(struct record_reader *rd, struct track *ret_t);

void record_put_lane(struct record *r, const struct lane *l);

/* Headers that cannot be (length, IP version) set rd->failed. */
void record_take_lane(struct record_reader *rd, struct lane *ret_l);

/* The end of a flow, for journals: a whole record of kind REC_FLOW_END, and its key back (0; -EINVAL, -EPROTO). */
void record_flow_end(struct record *r, const struct flow_key *k);
int record_take_flow_end(struct record_reader *rd, struct flow_key *ret_k);
#endif
