/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_LADDER_SVG_H
#define SUT_APP_LADDER_SVG_H
/* ladder_svg - a ladder as a picture: SVG 1.1 with generic fonts, on a light ground. */
#include <stdio.h>

#include "app/ladder.h"
#include "app/ladder_text.h"

/* Of style, absolute and two count: 0 or -ENOMEM. */
int ladder_svg(const struct ladder *l, const struct ladder_style *style, FILE *f);
#endif
