/* SPDX-License-Identifier: MIT */
#ifndef SUT_CORE_PLANE_H
#define SUT_CORE_PLANE_H
/*
 * plane - the data plane of hand-offs in C: a table of ways, and what they do to packets.
 *
 * Owns:     the ways of one host in one laid-out block.
 * Does not: decide which ways there are (the roles), have a TCP of its own: WAY_ADOPT is the embedder's to carry out.
 *           The BPF programs do the same to the same packets (a differential test holds the two together); this one runs where there
 *           is no BPF: beside a host, in the front end's loop, in simulation.
 *
 * What a packet that a way names goes through, in this order (both data planes; the packet's numbers are as it came unless said
 * otherwise; "pending" is a way of the client's with EXPECT, UNLEARNT or CLAMP):
 *
 *   1. malformed TCP options: dropped, BAD_OPTIONS.  WAY_DROP: dropped, NOT_EXPECTED.
 *   2. FRONT and BACK_IN (a splice's answers too: events name the key of the packet there):
 *      - OPEN, a SYN with a good header, with another seq than its SYN's, and the pair over (MUTE, UNLEARNT, a RST seen, or FINs both ways): a new pair in its place.
 *      - EXPECT: SYN, RST, no ACK, or seq is not `expect`: dropped, NOT_EXPECTED.  With ADOPT the rest is given to the listener, ADOPTED.
 *      - UNLEARNT: all but SYN alone (no ACK, RST, FIN) with seq `expect` is dropped, NOT_EXPECTED, that too where its mate is MUTE; what that SYN offers is noted in attrs.options.
 *      - SYN without ACK: SYN_IN, once, and each time once a FIN or RST was seen.  RST: RST_IN, once, and each time where seq is `expect` (b: 1).
 *        FIN: FIN_IN, once, where it ends no further than WAY_NEAR behind `expect`, and not in front of it, or with JOIN.
 *        WAY_REPEATS such repeats at most.
 *        A SYN where mate saw RST, or both saw a FIN, is dropped then, NOT_EXPECTED: the front end opens the quad anew.
 *      - not pending: `expect` is behind all that came by: a segment that ends up to WAY_NEAR further on moves it there; with JOIN each one does, and
 *        JOIN goes (SYN and RST do neither).
 *   3. BACK_OUT, with the client's way as mate:
 *      - LEARN and SYN and ACK: swallowed.  Learns where mate is UNLEARNT or has CLAMP and ack is behind the SYN: new ISN: all is learnt (LEARNT),
 *        tsecr_lo = tsecr_hi = TSval, mate loses UNLEARNT, has SHIFT and CLAMP; the same ISN: a later TSval raises tsecr_hi.  Lacks an option of
 *        mate's attrs.options: REFUSED (a: EOPNOTSUPP), MUTE.  (mate's `expect`: ISN while UNLEARNT, then ISN + 1.)
 *      - not SYN, ACK, mate UNLEARNT, or EXPECT and ack is not in [`expect`, `expect` + 2^20]: out of an older connection: swallowed, TIME_WAIT (a: its
 *        ack); a RST without a word (where mate is UNLEARNT: unless its ack is behind the SYN).
 *      - RST while mate is pending: swallowed, REFUSED (a: 0), once; while CLAMP also MUTE.
 *      - the first segment without SYN and RST while mate is EXPECT; or is CLAMP, and it has data, a FIN, or an ack that is not mate's `expect`:
 *        mate loses EXPECT, ADOPT, CLAMP: ESTABLISHED.
 *      - FIN: FIN_OUT, once.  RST: RST_OUT, once.
 *      - MUTE: swallowed, once all this and 4 is done.
 *   4. anywhere: the ack after its change moves mate's `expect` on where it is ahead by WAY_NEAR at most and mate is not pending; WATCH: at or past `end`:
 *      ACKED, and the way loses WATCH.
 *   5. the changes: numbers, clamp, window, addresses; TRANSLATED.  What is swallowed or dropped counts as SWALLOWED or by its own name.
 *   6. act; FORWARDED where it is SEND.  What was not dropped in 1 or 2 counts in packets, bytes and last_ns.
 *   7. BACK_IN, an ICMP error that quotes a segment to the client of a way with SHIFT: the quoted seq has the way's ack added, as the host counts; with
 *      DST the error goes to new_dst, and quotes it.  (For this plane the role does it: role/handoff/back_icmp.c.)
 *
 * BACK_OUT events name mate, or the key turned round where there is none.  Their seq and ack are as the receiver reads them (after the changes).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/packet.h"
#include "base/reason.h"
#include "base/time.h"
#include "core/way.h"
#include "proto/view.h"

struct plane;

enum plane_hook { PLANE_FRONT, PLANE_BACK_IN, PLANE_BACK_OUT };

struct plane_config {
	uint32_t max_ways;
	uint8_t secret[16]; /* of the table's hash */
	/* In-band headers (BACK_IN): keys, which of them are valid (bit), or take them unsigned. */
	uint8_t key[2][16];
	uint8_t keys;
	bool unsigned_too;
	struct way_origin origin[WAY_ORIGINS];
};

/* Called for each report, in order; must not call the plane. */
typedef void (*plane_report)(void *ctx, const struct way_event *ev);

size_t plane_need(const struct plane_config *c);
struct plane *plane_init(void *block, const struct plane_config *c, plane_report report, void *ctx);

/*
 * 0; -ENOSPC.  A way that is there is replaced; its seen, fin_end, counts and last_ns stay, unless w has a flag of WAY_BEGINS; a new
 * one has been met now.  With the same id, and neither of them pending, `expect` stays too (and w's JOIN is not needed).
 */
int plane_set(struct plane *pl, const struct way_key *key, const struct way *w, sut_time now);
/* Adds w->flags to the way's; id and end replace its own where they are not 0.  What it has learnt stays.  0; -ENOENT. */
int plane_amend(struct plane *pl, const struct way_key *key, const struct way *w);
/* 0; -ENOENT. */
int plane_del(struct plane *pl, const struct way_key *key);
/* The way, to be read; NULL.  Valid until the next call. */
const struct way *plane_get(const struct plane *pl, const struct way_key *key);
/* Walks all ways: *cursor starts at 0; false at the end. */
bool plane_list(const struct plane *pl, uint32_t *cursor, struct way_key *ret_key,
		struct way *ret_w);
uint32_t plane_count(const struct plane *pl);
uint64_t plane_counter(const struct plane *pl, enum way_counter c);
/* Other keys and origins, while it runs. */
void plane_configure(struct plane *pl, const struct plane_config *c);

/* What became of a packet. */
struct plane_verdict {
	enum way_act act;
	bool found; /* a way named it, or a header made one */
	bool adopt; /* BACK_IN: give it to the listener of this quad as a finished handshake, with w->attrs */
	enum way_counter why; /* where act is WAY_DROP */
	uint32_t ifindex; /* WAY_SEND */
	const struct way *w; /* NULL where found is false; valid until the next call */
};

/*
 * Runs a TCP packet past a hook; it is changed in place (v is kept true to it).  Not found: WAY_HOST, unless an origin is guarded
 * (BACK_IN: WAY_DROP).  What is malformed and known is dropped and counted.
 */
struct plane_verdict plane_run(struct plane *pl, enum plane_hook hook, struct packet *p,
			       struct view *v, sut_time now);

/*
 * The first fragment of a segment (v: parsed, no TCP): true where it must not go on, counted.  Nobody can change or forward a part, and a host must
 * not be given in parts what its ways keep from it.
 */
bool plane_fragment(struct plane *pl, enum plane_hook hook, const struct packet *p,
		    const struct view *v);

/* What w keeps of old, in whose place it comes (plane_set). */
void way_keep(struct way *w, const struct way *old);
/* Does a segment that ends here go on from what came by of w's direction, or a little further on? */
static inline bool way_is_near(const struct way *w, uint32_t end)
{
	return (w->flags & WAY_JOIN) || end - w->expect <= WAY_NEAR;
}
/* The key of v's packet as a way has it. */
void way_key_of(const struct packet *p, const struct view *v, struct way_key *ret_key);
/* The MAC of a header (way.h). */
uint64_t way_mac(const uint8_t key[16], const struct way_mac_input *in);
#endif
