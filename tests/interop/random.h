/* SPDX-License-Identifier: MIT */
#ifndef SUT_INTEROP_RANDOM_H
#define SUT_INTEROP_RANDOM_H
/* random - conversations made up from a seed: the same ones on every machine. */
#include "scene.h"

#define RANDOM_TALKS 3u

/* Makes up a scene of up to RANDOM_TALKS connections, of this flow number and the next ones. */
void random_scene(struct scene *ret_sc, uint32_t seed, uint16_t flow);
#endif
