/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_CLOCKS_H
#define SUT_APP_CLOCKS_H
/*
 * clocks - by how much the clocks of two captures of the same connections differ, from packets that both have.
 *
 * What goes from the first to the second takes its delay plus the offset, what comes back its delay minus it: with the least of
 * both, half of the difference is the offset, if both ways are equally long.  As long as nothing arrives before it was sent the
 * clocks are taken for one.
 */
#include <stdbool.h>
#include <stdint.h>

struct clocks {
	int64_t offset; /* nanoseconds, to be added to the times of the second capture; 0: the clocks agree */
	uint64_t there, back; /* packets that this is from, in each direction */
};

/*
 * Reads the beginnings of both files: true, or false if nothing in common was found, or one is not regular (what is read of a
 * pipe is gone; nothing is), or cannot be read: whoever reads it next will complain.
 */
bool clocks_compare(const char *first, const char *second, struct clocks *ret_c);
#endif
