/* SPDX-License-Identifier: MIT */
#ifndef SUT_INTEROP_SITE_H
#define SUT_INTEROP_SITE_H
/*
 * site - a protected server as a whole: who copies, who rewrites, who compares, and between what they are joined.  The test
 * itself is the client and both servers.
 *
 *     client ──► [primary: mirror] ──► primary's server ──► [compare] ──► client
 *                      │ mir                  cmp0 ─────────┘   │ cmp1
 *                      └──► [rewrite] ── red0 ──► [secondary] ── red1 ──► [rewrite]
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "rig.h"
#include "stream.h"

enum by {
	BY_NOBODY,
	BY_QEMU,
	BY_SUTURE,
	BY_BOTH, /* a mirror: QEMU's, and suture's behind it, which only copies */
};

struct plan {
	const char *name;
	enum by mirror, rewrite, compare;
	bool secondary_qemu; /* else the test's own streams; QEMU's rewriter needs it */
};

/* Ways between two of the programs. */
enum link {
	LINK_MIR0,
	LINK_MIR,
	LINK_RED0,
	LINK_RED1,
	LINK_CMP0,
	LINK_CMP1,
	LINK_COUT,
	LINK_COUNT
};

/* The test's own ends. */
enum end { END_CLIENT, END_PRIMARY, END_SECONDARY, END_SINK, END_COUNT };

/* Its sockets, by name. */
enum socket {
	SOCK_C,
	SOCK_P,
	SOCK_S,
	SOCK_X,
	SOCK_CMP0,
	SOCK_CMP1,
	SOCK_COUT,
	SOCK_RED0,
	SOCK_RED1,
	SOCK_COUNT
};

enum program { PROG_MIRROR, PROG_REWRITE, PROG_COMPARE, PROG_SECONDARY, PROG_PRIMARY, PROG_COUNT };

enum site_options {
	SITE_VNET = 1, /* vnet_hdr_support everywhere */
	SITE_QEMU_LISTENS = 2, /* and suture connects; else the other way round */
	SITE_RECONNECT = 4, /* QEMU's chardevs connect again */
};

struct site {
	const struct programs *prog;
	const struct plan *plan;
	bool vnet, qemu_listens, reconnect;
	pid_t pid[PROG_COUNT];
	int listener[SOCK_COUNT];
	struct stream s[SOCK_COUNT];
	struct stream *in[END_COUNT], *out[END_COUNT]; /* what that end sends, and is sent */
	uint32_t marks;
};

/* Starts all programs and joins them.  False with the reason in ret_why (200 bytes): clean up all the same. */
bool site_start(struct site *s, const struct programs *prog, const struct plan *plan,
		enum site_options o, char *ret_why);

/* Starts one program (again), and takes the connections that it makes to the test. */
bool site_run(struct site *s, enum program p);

/* Waits until frames pass from the client to both servers, and where somebody compares from them to the client. */
bool site_wake(struct site *s);

/* Sends a frame as that end. */
bool site_send(struct site *s, enum end e, const uint8_t *frame, uint32_t len);

/* Fails the running test unless exactly this frame is the next that comes to that end. */
bool site_expect(struct site *s, enum end e, const uint8_t *frame, uint32_t len);

/* Does this suture have `replica compare`? */
bool site_has_compare(const struct programs *prog);

/* Ends all programs that are there. */
void site_stop(struct site *s);
#endif
