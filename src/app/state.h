/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_STATE_H
#define SUT_APP_STATE_H
/*
 * state - a role's records in a file, from the end of one run to the beginning of the next.
 *
 * The file is good for one run: state_taken() renames it to FILE.old as soon as its records are restored.  A run that crashes
 * writes none, so the next one begins empty, and never with connections as they were two runs ago.
 *
 * Its form: four lines, then the records as core/record.h has them, behind each other to the end of the file.
 *
 *     suture-state 1
 *     role replica-rewrite
 *     saved 1763690400                seconds since 1970
 *     records 0000000042
 */
#include <stddef.h>
#include <stdint.h>

#include "base/time.h"
#include "role/role.h"

/* What became of the records of a file. */
struct state_counts {
	uint32_t restored;
	uint32_t no_room; /* -ENOSPC */
	uint32_t version; /* -EPROTO: of another version */
	uint32_t refused; /* for another reason */
	uint64_t saved_at; /* seconds since 1970 */
};

/*
 * Restores what is in the file at path.  All of it is checked first: a damaged file changes nothing.
 * 0; 1 if there is no file; -errno with a sentence in ret_err that says what to do.
 */
int state_load(const char *path, const struct role_ops *ops, void *role, sut_time now,
	       struct state_counts *ret_c, char *ret_err, size_t err_size);

/* The file was restored, and must not be a second time: it becomes FILE.old.  0, or -errno with a sentence. */
int state_taken(const char *path, char *ret_err, size_t err_size);

/*
 * Writes all records to a new file, which takes the place of path once it is whole and on the disk; wall is nanoseconds since 1970.
 * 0, or -errno with a sentence; what was at path is still there then.
 */
int state_store(const char *path, const struct role_ops *ops, const void *role, sut_time now,
		sut_time wall, uint32_t *ret_records, char *ret_err, size_t err_size);
#endif
