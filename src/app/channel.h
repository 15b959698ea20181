/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_CHANNEL_H
#define SUT_APP_CHANNEL_H
/*
 * channel - authenticated and encrypted datagrams of lines between front ends and agents, without a socket.
 *
 * Owns:     a session with each peer, and the lines that wait for one or for the end of a turn.
 * Does not: deliver reliably: what is lost is lost, as msg.h expects; open sockets, read clocks (channel_port.h does).
 *
 * A front end begins sessions, an agent answers.  Everybody who has the key is trusted with the role of its address: keys say who
 * belongs to the site, not which of its hosts speaks.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/channel_keys.h"
#include "app/endpoint.h"
#include "base/time.h"

#define CHANNEL_PEERS 64u
#define CHANNEL_NAME 32u /* with its zero */
#define CHANNEL_LINE_MAX 512u /* HAND_MSG_MAX */
#define CHANNEL_TEXT_MAX 1152u /* lines of one datagram with their newlines */
#define CHANNEL_MAX 1200u /* longest datagram: fits an IPv6 packet of 1280 bytes */
#define CHANNEL_WINDOW 256u /* datagrams that may come out of order */

/* What a channel counts: name, meaning. */
/* clang-format off */
#define CHANNEL_COUNTERS(X) \
	X(channel_sessions,   "sessions with a peer that began") \
	X(channel_lines_in,   "lines that came from peers") \
	X(channel_lines_out,  "lines that went to peers") \
	X(channel_stranger,   "datagrams from an address that is no peer's, dropped") \
	X(channel_malformed,  "datagrams of no known form or length, dropped") \
	X(channel_forged,     "datagrams that no valid key opens, dropped") \
	X(channel_replayed,   "datagrams that had come before, or are too old to tell, dropped") \
	X(channel_unsolicited,"answers to nothing that was asked, dropped") \
	X(channel_quiet,      "datagrams that would have been answered, but for the limit of answers") \
	X(channel_unsent,     "lines dropped: there was no session with the peer, or no room to wait for one")
/* clang-format on */

enum channel_counter {
#define X(name, text) CHANNEL_N_##name,
	CHANNEL_COUNTERS(X)
#undef X
		CHANNEL_COUNTER_COUNT
};

struct channel_peer {
	char name[CHANNEL_NAME]; /* "": no peer at this index */
	struct endpoint at; /* port 0 where the peer begins: learnt with each session */
};

struct channel_config {
	bool begins; /* a front end */
	struct channel_keys keys;
	struct channel_peer peer[CHANNEL_PEERS];
	unsigned peers;
	/* A datagram to send; must not call the channel. */
	void (*send)(void *ctx, const struct endpoint *to, const uint8_t *bytes, size_t len);
	/* A line that came; must not call the channel. */
	void (*line)(void *ctx, unsigned peer, const char *text, size_t len);
	/* No valid key opens what this peer sends: told at most once a minute of each.  NULL: to nobody; must not call the channel. */
	void (*unopened)(void *ctx, unsigned peer);
	void *ctx;
};

struct channel;

/* NULL: out of memory.  A front end begins sessions with all its peers at the first channel_expire(). */
struct channel *channel_open(const struct channel_config *c);
void channel_close(struct channel *c);

/* A datagram that came. */
void channel_receive(struct channel *c, const struct endpoint *from, const uint8_t *bytes,
		     size_t len, sut_time now);

/* A line for a peer, without newline: waits for channel_flush(), or goes where a datagram is full. */
void channel_put(struct channel *c, unsigned peer, const char *text, size_t len, sut_time now);
void channel_flush(struct channel *c, sut_time now);

/* Fires what is due: beginnings that were not answered. */
void channel_expire(struct channel *c, sut_time now);
sut_time channel_deadline(const struct channel *c);

/* Other keys, while it runs: sessions under a key that is not valid any more end; a front end begins anew where another key is first. */
void channel_rekey(struct channel *c, const struct channel_keys *k, sut_time now);

/*
 * A peer of this name and address, from now on: as it was if it is there already; 0, or -ENOSPC.  And: no peer of this name any more.
 */
int channel_add(struct channel *c, const struct channel_peer *p);
void channel_drop(struct channel *c, const char *name);

/* The peer of this name; -1. */
int channel_peer_index(const struct channel *c, const char *name, size_t len);
const char *channel_peer_name(const struct channel *c, unsigned peer);

/* Is there a session with it? */
bool channel_is_up(const struct channel *c, unsigned peer);
uint64_t channel_count(const struct channel *c, enum channel_counter what);
#endif
