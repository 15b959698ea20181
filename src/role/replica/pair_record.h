/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_REPLICA_PAIR_RECORD_H
#define SUT_ROLE_REPLICA_PAIR_RECORD_H
/*
 * pair_record - pairs as records (REC_REPLICA_FLOW) and back, and that the primary is dead
 * (REC_REPLICA_STATE): save and restore of role_ops.
 *
 * Held frames are not in it: their senders have them, or had them acknowledged by the primary
 * alone.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/time.h"
#include "core/record.h"

/* As role_ops.save and role_ops.restore. */
size_t pair_save(const void *role, uint32_t *cursor, sut_time now, struct record *ret_record);
int pair_restore(void *role, const struct record *record, sut_time now);
#endif
