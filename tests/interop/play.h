/* SPDX-License-Identifier: MIT */
#ifndef SUT_INTEROP_PLAY_H
#define SUT_INTEROP_PLAY_H
/*
 * play - plays a scene through QEMU's rewriter, in both wirings, and through suture's, and holds each frame that comes out
 * against what is expected of it.
 */
#include <stdbool.h>

#include "ideal.h"
#include "rig.h"
#include "scene.h"
#include "theirs.h"

#define PLAY_FLOWS 65536u

struct play {
	struct rig hub, colo, ours;
	struct theirs theirs;
	struct ideal *ideal; /* PLAY_FLOWS of them, by flow */
	unsigned steps, different; /* of the scene */
};

/* Starts all three; false with the reason in ret_why (200 bytes). */
bool play_start(struct play *p, const struct programs *prog, char *ret_why);
void play_stop(struct play *p);

/*
 * Why may QEMU's answer to st (theirs) be another than ours?  The name of a row, or NULL: it may not.  m is the flow's ideal
 * before the step.
 */
typedef const char *play_explain(void *ctx, const struct step *st, const struct ideal *m,
				 const struct outs *theirs, const struct outs *ours);

/*
 * Plays sc.  Fails the test that is running where an answer is not what was expected, and where the answers are alike or
 * different and the step says otherwise;
 * with explain that is asked instead.
 */
void play_scene(struct play *p, const struct scene *sc, play_explain *explain, void *ctx);
#endif
