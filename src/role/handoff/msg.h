/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_HANDOFF_MSG_H
#define SUT_ROLE_HANDOFF_MSG_H
/*
 * msg - what a front end and the agent of a back end tell each other, as lines of words.
 *
 * Owns:     the form of the lines.  They travel over an authenticated channel (the app's) that may lose, repeat and
 *           reorder them; every one is idempotent, and whoever needs an answer asks again.
 * Does not: travel: at the roles' message ports each line has the peer's name in front: "web1 adopt id=..." .
 *
 * Front end to agent:
 *     hello                                      asks for `host`
 *     adopt id=N client=A:P origin=A:P seq=N ack=N end=N mss=N ws=S/R opts=ts,sack,ws ts=TSVAL/TSECR
 *                                                a connection will come: its first segment has seq; answered by ready or refused
 *     shift id=N client=A:P origin=A:P seq=N ack=N end=N wscale=N ts=N
 *                                                a SYN without header will come (seq: its own); answered by ready or refused
 *     watch id=N client=A:P origin=A:P end=N     the pair was made in-band: reports of it carry this id from now on; answered by state
 *     mute id=N / forget id=N                    the host's answers are swallowed; all about it goes.  Answered by state
 *     ask id=N                                   answered by state
 * Agent to front end:
 *     host opts=ts,sack,ws kernel=6.18 boot=N adopt=yes|no shift=yes|no why='TEXT' rcvwnd=N wscale=N origins=N,N...
 *     ready id=N
 *     refused id=N why=WORD                      no-room, no-origin, options, ...: take another rung
 *     state id=N ack=N is=pending|there|closing|gone|unknown acked=0|1 fin=none|in|out|both rst=0|1
 *                                                at each change, and when asked
 *                                                (rst: a reset has ended it, or ends what was there when it was to be forgotten; or its host
 *                                                had it, and whether it has answered is not known: nobody else may)
 *
 * Each line has all of its words, and no other; they may stand in any order.  opts and origins are "none" where there is none; why is in single
 * quotes where it is empty or has blanks.  In adopt, ws is the client's/the front end's, ts the client's last TSval/the front end's at the
 * freeze; in shift, ts is the latter.  adopt and shift may say far=yes.  These and watch say begun=N, when the front end began with this id, in
 * microseconds of its clock: of two of one quad the later one is meant, whichever comes last; without it, whichever comes last is.
 * host says guard=yes where what nobody announced is dropped in front of all its origins: without it no SYN with a header is sent there.
 * host says mtu=N, bytes of an IP packet that the device of its host carries: clients are told of an MSS that fits.  Without it, or by 0, nothing is known.
 *
 * id is the front end's; with the channel's peer it names a hand-off.  After a restart of the agent its ids are gone but its ways are
 * not: it learns them from the data plane, and answers `unknown` to what it does not know.  boot changes when the host's ways are lost.
 */
#include <stddef.h>
#include <stdint.h>

#include "core/way.h"

enum hand_msg_kind {
	HAND_HELLO,
	HAND_ADOPT,
	HAND_SHIFT,
	HAND_WATCH,
	HAND_MUTE,
	HAND_FORGET,
	HAND_ASK,
	HAND_HOST,
	HAND_READY,
	HAND_REFUSED,
	HAND_STATE,
};

enum hand_state { HAND_UNKNOWN, HAND_PENDING, HAND_THERE, HAND_CLOSING, HAND_GONE };

#define HAND_WHY_MAX 96u
#define HAND_MSG_MAX 512u

struct hand_msg {
	enum hand_msg_kind kind;
	uint32_t id;
	uint8_t client[16], origin[16];
	uint16_t client_port, origin_port; /* host order */
	uint8_t far_host; /* adopt, shift: packets come to the host's own address and port (behind a router), not to the origin's */
	uint32_t seq, ack, end;
	uint32_t
		begun; /* adopt, shift, watch: microseconds of the front end's clock; 0: not said */
	uint16_t mss;
	uint8_t snd_wscale, rcv_wscale; /* the client's; the front end's */
	uint8_t options; /* WAY_OPT_* */
	uint32_t tsval, tsecr; /* the client's last TSval; the front end's TSval at the freeze */
	/* state */
	uint8_t state; /* enum hand_state */
	uint8_t acked, fin_in, fin_out, rst;
	/* host */
	uint32_t kernel; /* major << 16 | minor */
	uint32_t boot, rcvwnd;
	uint8_t adopt, shift,
		wscale; /* wscale: of the host; in shift: what the front end told the client */
	uint8_t guard; /* nothing that was not announced reaches its origins */
	uint32_t mtu; /* of its device, at most 65535; 0: not told */
	uint64_t origins; /* bit per entry of its list; for convention see back.h */
	char why[HAND_WHY_MAX]; /* words, without newlines and quotes; may be empty */
};

/* Bytes written to ret_text (HAND_MSG_MAX). */
size_t hand_msg_write(const struct hand_msg *m, char *ret_text);
/* 0; -EINVAL: not such a line. */
int hand_msg_read(const char *text, size_t len, struct hand_msg *ret_m);
#endif
