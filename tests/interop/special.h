/* SPDX-License-Identifier: MIT */
#ifndef SUT_INTEROP_SPECIAL_H
#define SUT_INTEROP_SPECIAL_H
/* special - rows of the rewriter's table that need programs of their own: time passes, or very many flows do. */
#include "rig.h"
#include "scene.h"

/* "closed flows": after TIME-WAIT ours is forgotten, QEMU's is not. */
void special_closed(const struct programs *prog);

/* "table full": a flood of SYNs makes QEMU forget an established flow. */
void special_table_full(const struct programs *prog);
#endif
