/* SPDX-License-Identifier: MIT */
#include "handoff_world.h"

void hand_troubles_run(struct hand_world *w)
{
	(void)w;
}

sut_time hand_troubles_deadline(const struct hand_world *w)
{
	(void)w;
	return SUT_NEVER;
}
