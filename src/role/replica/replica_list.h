/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_REPLICA_REPLICA_LIST_H
#define SUT_ROLE_REPLICA_REPLICA_LIST_H
/* replica_list - the rewriter's and the comparison's connections as rows for operators: role_ops.list of both. */
#include <stdbool.h>
#include <stdint.h>

#include "core/flow_row.h"

bool pair_list(const void *role, uint32_t *cursor, sut_time now, struct flow_row *ret_row);
bool compare_list(const void *role, uint32_t *cursor, sut_time now, struct flow_row *ret_row);
#endif
