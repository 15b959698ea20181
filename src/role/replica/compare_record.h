/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_REPLICA_COMPARE_RECORD_H
#define SUT_ROLE_REPLICA_COMPARE_RECORD_H
/*
 * compare_record - a TCP flow as a record (REC_REPLICA_COMPARE) and back, and that there was a failover (REC_REPLICA_STATE): save and
 * restore of role_ops.
 *
 * In it: which connection, the numbers of both servers, what is agreed.  Not in it: frames that wait.  The primary sends its own
 * again; what the secondary had sent ahead counts as not sent, so it is taken when it sends it again.  Flows that are not TCP
 * have nothing but frames that wait, and are not saved.  Idle times begin anew.
 */
#include <stddef.h>

#include "base/time.h"
#include "core/record.h"

size_t compare_save(const void *role, uint32_t *cursor, sut_time now, struct record *ret_record);
int compare_restore(void *role, const struct record *record, sut_time now);
#endif
