/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_LISTING_H
#define SUT_APP_LISTING_H
/*
 * listing - the answers at the control socket that are the same for whatever runs: connections, and counters.
 *
 * A listing comes in pages, so that a million connections neither fill the memory nor stop the traffic: the answer to
 * "flows [json] FROM" ends with the number from which to go on, or with "end".
 */
#include <stdbool.h>
#include <stdio.h>

#include "app/control_reply.h"
#include "base/time.h"
#include "role/role.h"

/* A page of the connections that ops lists.  args is what followed "flows". */
void listing_flows(const struct role_ops *ops, const void *role, sut_time now, const char *args,
		   struct control_reply *reply);

/* Writes counters, as text or JSON. */
typedef void listing_fn(void *ctx, bool json, FILE *f);

/* What fn writes.  args is what followed "stats". */
void listing_stats(listing_fn *fn, void *ctx, const char *args, struct control_reply *reply);
#endif
