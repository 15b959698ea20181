/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_REPLAY_H
#define SUT_APP_REPLAY_H
/*
 * replay - runs a role over captures on their own time: no privilege, no clock, the same output each time.
 *
 * The role's time begins at 1 s with the first frame, and never runs backwards.  Timers fire at their own times between the frames, and
 * for a while after the last one.  Its secret and random bits come from the seed.
 *
 * Ports of frames that must be joined are, optional ones if a capture is named for them; ports of messages are not.
 */
#include <stdbool.h>
#include <stdint.h>

#include "app/sides.h"
#include "base/time.h"
#include "role/role.h"

#define REPLAY_FILES_MAX 8
#define REPLAY_ANY (-1)

/* A capture, and the role port (of frames) that its frames are of; REPLAY_ANY: found out frame by frame (in), or all ports (out). */
struct replay_file {
	int port;
	const char *file;
};

struct replay_config {
	const struct role_ops *ops;
	const void *role_config;
	const char *role_error; /* why need() would return 0 */
	struct replay_file in[REPLAY_FILES_MAX], out[REPLAY_FILES_MAX];
	unsigned in_count, out_count;
	const struct ip_net *clients; /* for sides; NULL: none given */
	uint64_t seed;
	sut_time
		drain; /* how long timers run after the last frame; SUT_NEVER: until none is left */
	bool offloaded; /* checksums that hold only the pseudo-header sum are unfinished, not wrong */
	bool verbose; /* each packet in and out on standard output */
	bool summary; /* counters on standard output */
	bool json; /* ... as a JSON object */
	bool progress; /* the number of frames so far, on standard error */
};

/* Returns the exit code: 0, or 1 with a message on standard error. */
int replay_run(const struct replay_config *cfg);
#endif
