/* SPDX-License-Identifier: MIT */
#ifndef SUT_INTEROP_SUITES_H
#define SUT_INTEROP_SUITES_H
/* suites - the groups of tests that suture-interop has. */
#include "rig.h"

/* The rewriters side by side: scenes that QEMU has right, scenes that it has not, random conversations. */
void suite_rewrite(const struct programs *p);

/* The comparisons side by side. */
void suite_compare(const struct programs *p);

/* The programs joined: each of suture's parts between QEMU's, in both directions, with and without vnet_hdr_support. */
void suite_wiring(const struct programs *p);
/* What nonsense on a stream does. */
void suite_robust(const struct programs *p);

/* Frames behind virtio-net headers. */
void suite_vnet(const struct programs *p);

#endif
