/* SPDX-License-Identifier: MIT */
#ifndef SUT_PORT_OFFLOAD_H
#define SUT_PORT_OFFLOAD_H
/*
 * offload - turns a device's segmentation offloads off, and puts them back as they were.
 *
 * Owns:     what was on before.
 * Does not: reach the other end of a virtual link: super-packets that the peer makes come in all
 *           the same.
 */
#include <stdint.h>

/* A device's settings as they were.  Zeroed: nothing to put back. */
struct offload_saved {
	char dev[16];
	uint8_t on; /* bit per offload that was turned off */
	uint8_t flags_saved; /* LRO was turned off: device flags hold the old value */
	uint32_t flags;
};

/*
 * Turns TSO, GSO, GRO and LRO of device dev off.  Returns 0, or -errno of the first refusal (what
 * could be turned off stays off); what a device does not know is no refusal.  ret_s always says
 * what offload_restore() must put back.
 */
int offload_disable(const char *dev, struct offload_saved *ret_s);

/* Puts back what offload_disable() changed. */
void offload_restore(const struct offload_saved *s);
#endif
