/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_MERGE_H
#define SUT_APP_MERGE_H
/* merge - several captures as one stream of frames, by time; frames of the same time in the order of the captures. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "port/capture.h"

#define MERGE_MAX 8

struct merge {
	unsigned n;
	struct {
		struct capture *capture;
		bool waiting; /* frame is the next of this capture */
		int64_t offset; /* nanoseconds, added to its times */
		struct capture_frame frame;
	} source[MERGE_MAX];
	const char *error; /* after -EIO: what was wrong, with the file's name */
};

/* Opens n files: 0, or -errno with a sentence in ret_err; nothing is open then. */
int merge_open(struct merge *m, const char *const *files, unsigned n, char *ret_err,
	       size_t err_size);
void merge_close(struct merge *m);

/* Adds by nanoseconds to all times of capture i (those before 1970 become 1970); before the first frame is read. */
void merge_shift(struct merge *m, unsigned i, int64_t by);

/*
 * The next frame, valid until the next call, and which capture it is of: 1; 0 at the end of all; -EIO if a capture is damaged: all
 * frames before the damage have been delivered.
 */
int merge_next(struct merge *m, struct capture_frame *ret_f, unsigned *ret_source);
#endif
