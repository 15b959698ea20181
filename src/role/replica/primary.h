/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_REPLICA_PRIMARY_H
#define SUT_ROLE_REPLICA_PRIMARY_H
/*
 * primary - what the primary's own output tells: its ISN and clock, what it offers, how far it
 * has come.  Reads the segments of primary-out; nobody sends them on.
 */
#include "base/packet.h"
#include "core/flow.h"
#include "proto/view.h"
#include "role/replica/pair.h"

/* The primary sent v, of flow f. */
void primary_segment(struct turn *t, uint32_t f, const struct packet *p, const struct view *v);

/* The client's SYN has begun flow f: takes what the primary has said to it already, if it came ahead. */
void primary_recall(struct turn *t, uint32_t f);

/* The primary sent v, of no flow; key as of the secondary's packets. */
void primary_stranger(struct turn *t, const struct flow_key *key, const struct packet *p,
		      const struct view *v);
#endif
