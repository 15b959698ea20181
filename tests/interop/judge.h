/* SPDX-License-Identifier: MIT */
#ifndef SUT_INTEROP_JUDGE_H
#define SUT_INTEROP_JUDGE_H
/*
 * judge - a comparison between four streams, QEMU's colo-compare or suture's, and frames sent to it in lockstep.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "rig.h"

struct judge_options {
	unsigned timeout_ms, scan_ms; /* compare_timeout, expired_scan_cycle */
	bool vnet; /* vnet_hdr_support */
};

struct judge {
	bool qemu, vnet;
	pid_t pid;
	struct stream in[2], out, notify; /* in: of the primary, of the secondary */
	uint32_t marks;
};

/* Starts it and joins it; false with the reason in ret_why (200 bytes). */
bool judge_start(struct judge *j, bool qemu, const struct programs *p,
		 const struct judge_options *t, char *ret_why);

/* What a step brought about. */
struct judged {
	struct outs out; /* all at side CLIENT */
	unsigned checkpoints; /* DO_CHECKPOINT */
	char other[64]; /* another message, the last one */
};

enum server { PRIMARY_IN, SECONDARY_IN };

/* Sends a frame of that server and waits until it was dealt with. */
bool judge_frame(struct judge *j, enum server who, const uint8_t *frame, uint32_t len,
		 struct judged *ret_j);

/* Waits until all frames that were sent have been dealt with; what came out is thrown away. */
bool judge_settle(struct judge *j, unsigned *ret_checkpoints);

/* Sends a message to notify, and waits for the answer or the frames that follow from it. */
bool judge_tell(struct judge *j, const char *message, struct judged *ret_j);

/* Waits for one message for at most ms: whether it came.  ret_text has 64 bytes. */
bool judge_hears(struct judge *j, int ms, char *ret_text);

/* Ends it.  What suture counted is then in the log, for proc_counter. */
void judge_stop(struct judge *j);

#define JUDGE_LOG "judge.log"
#endif
