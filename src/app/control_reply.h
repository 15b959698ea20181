/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_CONTROL_REPLY_H
#define SUT_APP_CONTROL_REPLY_H
/*
 * control_reply - the answer to one command: data lines ("= TEXT"), then one line "ok", "ok TEXT" or "error TEXT".
 *
 * Owns: the text, in memory that grows to REPLY_MAX.  What is longer becomes "error the reply is too long".
 */
#include <stdbool.h>
#include <stddef.h>

#define REPLY_MAX ((size_t)4 << 20) /* bytes of a reply */

struct control_reply {
	char *text; /* whole lines; NULL: none yet */
	size_t len, room;
	bool ended; /* the last line is there: what follows is ignored */
	bool failed; /* something did not fit */
};

void reply_reset(struct control_reply *r);
void reply_free(struct control_reply *r);

/* One data line; bytes that are no text become '?'. */
void reply_data(struct control_reply *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The same for n bytes of any length without a newline. */
void reply_text(struct control_reply *r, const char *s, size_t n);

/* The last line: "ok TEXT" ("ok" where the text is empty), or "error TEXT". */
void reply_ok(struct control_reply *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void reply_error(struct control_reply *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* What a role answered (role.h): its first line is the last one here, further ones are data. */
void reply_of_role(struct control_reply *r, const char *text, size_t len);
#endif
