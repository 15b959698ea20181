/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_JOURNAL_H
#define SUT_APP_JOURNAL_H
/*
 * journal - a role's records in a file as they come into being, so that a process that was killed loses nothing that it had learnt.
 *
 * The role tells of a record (role_env.journal) before anything that depends on it goes out; the file has it before that too, as far as
 * the kernel: what a killed process has written is there, what a machine without power has, perhaps not.  Once the file holds
 * four times what it needs to, a new one is written beside it, some records a turn, and takes its place.
 *
 * Its form: four lines, then records as core/record.h has them, to the end.  The secret makes promised numbers the same again.
 *
 *     suture-journal 1
 *     role accel-near
 *     secret 00112233445566778899aabbccddeeff
 *     <empty line>
 *
 * Owns:     the file, locked: two processes cannot use one.  A last record that was cut short by the death of its writer is taken off.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/time.h"
#include "core/record.h"
#include "role/role.h"

struct journal;

struct journal_counts {
	uint32_t records; /* that were read */
	uint32_t
		refused; /* that the role did not take: no room, another version, an unknown kind */
	uint32_t cut; /* bytes at the end that are no whole record, or were never written */
	uint64_t salvaged_at; /* the byte behind which nothing was read; 0: all was */
};

/*
 * Opens the file at path for role ops, or makes it.  ret_secret: the one in the file; of a new one secret, which is written to it.
 * salvage: what lies behind damage is given up, else a damaged file is refused.
 * 0, or -errno with a sentence that says what to do in ret_err: -EBUSY if another process has it, -EBADMSG if it is damaged.
 */
int journal_open(const char *path, const struct role_ops *ops, bool salvage, uint8_t secret[16],
		 struct journal **ret_j, char *ret_err, size_t err_size);

/* Closes the file, with what was put in it. */
void journal_close(struct journal *j);

/* Gives all records to the role, in order, with times as if they were restored when they were written; then forgets the bytes read. */
void journal_replay(struct journal *j, void *role, sut_time now, sut_time wall,
		    struct journal_counts *ret_c);

/* Takes a record; it is in the file after journal_flush(). */
void journal_put(struct journal *j, const struct record *r);

/*
 * Writes what was put.  wall is nanoseconds since 1970.  False, once, when the file cannot be written: the reason is in
 * journal_error(); it is tried again with the next records.
 */
bool journal_flush(struct journal *j, sut_time wall);
const char *journal_error(const struct journal *j);

/*
 * Can the second file be made, with the privileges that are left?  0, or -errno with a sentence in ret_err.  To be asked once those that are
 * not needed were given up.
 */
int journal_can_rewrite(const struct journal *j, char *ret_err, size_t err_size);

/* The role was laid out anew: a rewriting that walks the old one begins again. */
void journal_walk_anew(struct journal *j);

/* Goes on with the rewriting, some records; true: call again soon. */
bool journal_turn(struct journal *j, const void *role, sut_time now, sut_time wall);

/* What there is to be said since it was last asked, in a sentence; NULL: nothing.  The text is good until the next call. */
const char *journal_news(struct journal *j);

/* Bytes in the file. */
uint64_t journal_size(const struct journal *j);

/* Files smaller than this are not rewritten. */
#define JOURNAL_SMALL ((uint64_t)1 << 20)
#endif
