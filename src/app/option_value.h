/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_OPTION_VALUE_H
#define SUT_APP_OPTION_VALUE_H
/*
 * option_value - texts of option values to numbers, exactly: no floating point, no trailing junk, no silent overflow.
 */
#include <stddef.h>
#include <stdint.h>

/* One unit that may follow a number. */
struct unit {
	const char *name; /* "ms"; the array ends with NULL */
	uint64_t factor;
};

/*
 * Reads digits[.digits][unit] from the first len bytes of s.  A number without a unit is taken times bare (0: only the number 0 may be bare).
 * Returns 0; -EINVAL not a number, or an unknown unit; -ENOENT unit missing; -EDOM finer than the base unit; -ERANGE too large.
 */
int value_with_unit(const char *s, size_t len, const struct unit *units, uint64_t bare,
		    uint64_t *ret_v);

/* Reads decimal digits, or 0x and hexadecimal ones: 0; -EINVAL; -ERANGE. */
int value_number(const char *s, size_t len, uint64_t *ret_v);
#endif
