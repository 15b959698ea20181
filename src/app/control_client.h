/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_CONTROL_CLIENT_H
#define SUT_APP_CONTROL_CLIENT_H
/*
 * control_client - asks a running suture at its control socket (control.h), one command after another on one connection.
 *
 * Every failure is a sentence in error, which names the socket and says what to do.
 */
#include <stddef.h>

struct control_client {
	int fd; /* -1: not connected */
	const char *path;
	size_t len; /* bytes of buf that came and are not used yet */
	char buf[65536];
	char error[2100]; /* a reply has lines of up to 2048 bytes */
};

/* Is told each data line, without "= " and newline, ended by a zero. */
typedef void control_line_fn(void *ctx, const char *line);

/* Connects: 0 or -1. */
int control_connect(struct control_client *c, const char *path);
void control_disconnect(struct control_client *c);

/*
 * Sends line, and hears the reply out, within 5 s: 0, with what follows "ok" in ret_text (cut to size); 1 if the answer is an
 * error, which is in error; -1 if there is none.
 */
int control_ask(struct control_client *c, const char *line, control_line_fn *fn, void *ctx,
		char *ret_text, size_t size);
#endif
