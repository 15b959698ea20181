/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_LADDER_TEXT_H
#define SUT_APP_LADDER_TEXT_H
/* ladder_text - a ladder for a terminal. */
#include <stdbool.h>
#include <stdio.h>

#include "app/ladder.h"

struct ladder_style {
	bool absolute; /* numbers as on the wire */
	bool ascii; /* no box drawing characters */
	bool colour;
	bool brief; /* the summary alone */
	bool two; /* client, box, server; else client and server */
	unsigned width; /* columns of the terminal */
	sut_time begin; /* of the captures: times of connections count from here */
	const char *file[SUT_SIDES]; /* by half: the captures' names */
};

/* The connection with its head, rows and summary: 0 or -ENOMEM. */
int ladder_text(const struct ladder *l, const struct ladder_style *style, FILE *f);
#endif
