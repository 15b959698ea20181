/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_FLOW_TEXT_H
#define SUT_APP_FLOW_TEXT_H
/* flow_text - a connection (core/flow_row.h) as a line for a terminal, or as a JSON object. */
#include <stddef.h>

#include "core/flow_row.h"

#define FLOW_TEXT_MAX 700u /* bytes of either, with the end */

/* The heading of the lines that flow_text_line() writes. */
extern const char flow_text_heading[];

/* Columns: near end, far end, mode, state, shifts, held bytes, age, bytes that each side has sent. */
void flow_text_line(const struct flow_row *r, char ret_s[FLOW_TEXT_MAX]);

/* {"src":"192.0.2.1","sport":4000,...}: one object on one line; what is not known is left out. */
void flow_text_json(const struct flow_row *r, char ret_s[FLOW_TEXT_MAX]);
#endif
