/* SPDX-License-Identifier: MIT */
#ifndef SUT_INTEROP_SCENE_H
#define SUT_INTEROP_SCENE_H
/*
 * scene - frames in order, each with the side at which it comes in, and the conversations that yield them.
 */
#include <stdbool.h>
#include <stdint.h>

#include "seg.h"

#define SCENE_STEPS 400u

enum step_kind {
	STEP_TCP,
	STEP_ICMP, /* an error about g, which the server sent */
	STEP_TCP_ALONE, /* passes: of no connection, whatever its ports look like */
	STEP_GIVE_UP, /* nothing comes in; what waits of g's flow goes out as it came, after a second */
};

struct step {
	enum step_kind kind;
	struct seg g;
	bool differs; /* QEMU's answer is another one than ours */
	const char *row; /* ... for this reason, where the scene has more than one */
};

struct scene {
	unsigned n;
	struct step step[SCENE_STEPS];
};

/* One connection: ISNs of the client, the primary and the secondary; where both streams are. */
struct talk {
	uint16_t flow;
	uint32_t c, p, s;
	uint32_t c_off, s_off; /* bytes sent, behind the SYN; FIN counts */
	uint32_t ahead; /* of the server's stream the client has had so much, of the primary */
	bool ts, syn_options;
	uint32_t tick,
		e; /* the clocks go on by one per segment; the secondary's lead over the primary's */
	uint32_t heard
		[SIDES]; /* TSval last heard of that side, the server's by the primary's clock */
	struct seg base; /* what all of its segments have below TCP */
};

/* The connection's next segments; data moves its sender's stream on. */
struct seg talk_syn(struct talk *t);
struct seg talk_synack(struct talk *t);
struct seg talk_client(struct talk *t, uint8_t flags, uint32_t len);
struct seg talk_secondary(struct talk *t, uint8_t flags, uint32_t len);

/* Adds a step; it returns what was added. */
struct step *scene_add(struct scene *sc, struct seg g);
/* ... one that QEMU answers in another way. */
struct step *scene_differs(struct scene *sc, struct seg g);

/* SYN, SYN-ACK and ACK, all of which QEMU has right where there are no timestamps or e is 0. */
void scene_open(struct scene *sc, struct talk *t);

/* A named scene; row is NULL where QEMU is right in all of it. */
struct named_scene {
	const char *name, *row, *answer; /* answer: how QEMU's looks */
	void (*make)(struct scene *sc, struct talk *t);
};
extern const struct named_scene right_scenes[], row_scenes[];
#endif
