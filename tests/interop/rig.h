/* SPDX-License-Identifier: MIT */
#ifndef SUT_INTEROP_RIG_H
#define SUT_INTEROP_RIG_H
/*
 * rig - a rewriter between two streams, QEMU's or suture's, and frames sent through it in lockstep.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "seg.h"
#include "stream.h"

/* Where the programs are. */
struct programs {
	const char *qemu, *suture;
};

/* How QEMU's rewriter is wired, or that it is suture's. */
enum rig_kind {
	RIG_QEMU_HUB, /* between two socket netdevs that a hub joins */
	RIG_QEMU_COLO, /* as on a secondary: redirectors with chardevs on the client's side */
	RIG_SUTURE,
	RIG_QEMU_VNET, /* its netdev is a tap in a network namespace, with virtio-net headers; needs the right to make one */
	RIG_SUTURE_VNET, /* streams with vnet_hdr_support */
};

struct rig {
	enum rig_kind kind;
	pid_t pid;
	struct stream s[4];
	struct stream *in[SIDES], *out[SIDES];
	uint32_t marks; /* markers sent so far */
	uint32_t vnet_len; /* frames begin with a header of so many bytes: 0, 10 or 12 */
};

#define OUTS_MAX 24u

/* What came out: frames, each with the side at which. */
struct outs {
	unsigned n;
	struct {
		enum side side;
		uint32_t len;
		uint8_t bytes[SEG_FRAME_MAX];
	} o[OUTS_MAX];
};

/* Starts the rewriter, with more options, and joins it; false with the reason in ret_why (200 bytes). */
bool rig_start(struct rig *r, enum rig_kind kind, const struct programs *p, const char *more,
	       char *ret_why);

/*
 * Sends the frame in at that side, and waits until all that follows from it at once has come out.
 * False if the rewriter died or stands still.
 */
bool rig_step(struct rig *r, enum side side, const uint8_t *frame, uint32_t len,
	      struct outs *ret_o);

/* Waits for n frames more that come by themselves, for at most ms; they are added to ret_o. */
bool rig_wait(struct rig *r, enum side side, unsigned n, int ms, struct outs *ret_o);

/* The same of the two kinds whose frames begin with virtio-net headers of that length. */
bool rig_start_vnet(struct rig *r, enum rig_kind kind, const struct programs *p, uint32_t vnet_len,
		    char *ret_why);

/* Can QEMU be used at all?  False with the reason in ret_why (200 bytes). */
bool rig_qemu_works(const struct programs *p, char *ret_why);

void rig_stop(struct rig *r);

/* Adds a frame to o. */
void outs_add(struct outs *o, enum side side, const uint8_t *frame, uint32_t len);
#endif
