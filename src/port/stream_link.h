/* SPDX-License-Identifier: MIT */
#ifndef SUT_PORT_STREAM_LINK_H
#define SUT_PORT_STREAM_LINK_H
/*
 * stream_link - one connection that is made again and again: connecting with growing pauses, or listening for one peer at a time.
 *
 * Owns:     the sockets, and one descriptor (fd) for whoever waits: it is readable when there is something to do.
 * Does not: read or write the connection.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "port/qemu_addr.h"
#include "port/stream_sock.h"

/* Milliseconds. */
struct stream_times {
	/* pause before the connection is tried again: doubled, up to the most */
	unsigned retry_first, retry_most;
	unsigned connect; /* one try takes at most that long */
	unsigned deaf; /* pause in taking peers when there is no descriptor for one */
	unsigned stuck; /* what a peer cannot take that took nothing for so long is dropped */
};

extern const struct stream_times stream_times_default;

enum link_state { LINK_WAIT, LINK_CONNECTING, LINK_UP };

struct stream_link {
	struct qemu_addr addr;
	struct stream_sock sock;
	struct stream_times times;
	enum link_state state;
	int fd; /* an epoll instance with all of the following in it */
	int timer, event, listener, conn;
	unsigned target; /* the address to try next */
	unsigned retry;
	bool ready; /* event is set */
	bool wants_out; /* conn is watched for room */
	bool deaf; /* listener is not watched */
	uint64_t ups; /* connections made */
	uint64_t refused; /* second peers */
	char why[200]; /* the last trouble */
};

/* Binds or begins to connect, to a as parsed.  0, or -errno with a sentence in ret_err. */
int stream_link_open(struct stream_link *l, const struct qemu_addr *a, char *ret_err,
		     size_t err_size);
void stream_link_close(struct stream_link *l);

/* Goes on with what is not LINK_UP, without waiting: is it now? */
bool stream_link_step(struct stream_link *l);

/* Ends the connection, and starts anew.  The sentence goes to why. */
void stream_link_drop(struct stream_link *l, const char *what, const char *more);

/* It was worth connecting: the next pause is a short one. */
static inline void stream_link_proved(struct stream_link *l)
{
	l->retry = l->times.retry_first;
}

/* Closes second peers that wait, and counts them. */
void stream_link_refuse(struct stream_link *l);

/* Makes fd readable, whatever the sockets have; and back. */
void stream_link_set_ready(struct stream_link *l, bool ready);

/* Lets fd be readable when the connection has room. */
void stream_link_want_out(struct stream_link *l, bool want);

/* While LINK_UP the timer is the user's: set it to ms from now; 0: off. */
void stream_link_set_timer(struct stream_link *l, unsigned ms);
/* Has it run out since? */
bool stream_link_fired(struct stream_link *l);
#endif
