/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_CONTROL_H
#define SUT_APP_CONTROL_H
/*
 * control - the socket at which a running suture takes commands: a unix stream socket that only its owner can reach.
 *
 * The protocol: a client sends a line of words with blanks between them, at most CONTROL_LINE_MAX bytes with its newline, and gets
 * zero or more lines that begin with "= " (data), then one line: "ok", "ok TEXT", or "error TEXT".  Then it may send the next one.
 *
 *     failover                     flows
 *     ok 3 flows                   = 192.0.2.1.4000 > 198.51.100.1.80 ESTABLISHED
 *                                  ok
 *
 * Owns:     the socket, its file, and up to CONTROL_CLIENTS connections, each with one line in and one reply out.  A reply that
 *           is not read keeps its client's next command waiting, and nobody else.  One client more, and the one that was silent for
 *           longest is closed.
 * Does not: know any command: its caller answers them.
 */
#include <stdbool.h>
#include <stddef.h>

#include "app/control_reply.h"

#define CONTROL_CLIENTS 16u
#define CONTROL_LINE_MAX 1024u

struct control;

/* Answers a command: line has at least one word, one blank between two, none around them.  It must end the reply. */
typedef void control_fn(void *ctx, const char *line, struct control_reply *reply);

/* Can it be the path of a socket?  0, or -EINVAL with a sentence in ret_err. */
int control_check(const char *path, char *ret_err, size_t err_size);

/*
 * Makes the socket's file at path.  One where nobody listens any more is replaced.
 * 0, or -errno with a sentence in ret_err: -EADDRINUSE if somebody listens there, -EEXIST if it is something else than a socket.
 */
int control_open(const char *path, struct control **ret_c, char *ret_err, size_t err_size);

/* Closes all, and removes the file if it is still the one that was made. */
void control_close(struct control *c);

/* The descriptor to wait on: readable when control_serve has something to do. */
int control_fd(const struct control *c);

/* Does what can be done now, at most one command of each client.  True: call again soon, without waiting. */
bool control_serve(struct control *c, control_fn *fn, void *ctx);
#endif
