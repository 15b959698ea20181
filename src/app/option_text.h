/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_OPTION_TEXT_H
#define SUT_APP_OPTION_TEXT_H
/* option_text - the value of an option as one would type it: option_set() of the text gives the value again. */
#include <stddef.h>
#include <stdint.h>

#include "app/options.h"

/* Writes a number of that kind; of another kind than those between OPTION_NUMBER and OPTION_RATE as it is. */
void option_number_text(enum option_kind kind, uint64_t v, char *ret_s, size_t size);

/* Writes the value of d in config; "" where it is not set.  What is longer than size is cut. */
void option_text(const struct option_desc *d, const void *config, char *ret_s, size_t size);
#endif
