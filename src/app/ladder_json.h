/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_LADDER_JSON_H
#define SUT_APP_LADDER_JSON_H
/* ladder_json - a ladder as JSON: an object a line. */
#include <stdio.h>

#include "app/ladder.h"

/* The connection; in front of it, if all rows were kept, an object for each packet. */
void ladder_json(const struct ladder *l, uint64_t id, FILE *f);
#endif
