/* SPDX-License-Identifier: MIT */
#ifndef SUT_PORT_TUN_LINK_H
#define SUT_PORT_TUN_LINK_H
/*
 * tun_link - the kernel's side of a device: its addresses, its MTU, up, and what is routed there; by rtnetlink.
 *
 * Owns:     nothing that lasts: what is set stays at the device.
 * Does not: take anything away.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct link_addr {
	uint8_t ip[16]; /* IPv4 as v4-mapped */
	uint8_t prefix; /* bits of the address' own family: 24 for a /24 */
};

/* Reads "192.0.2.1/24" or "2001:db8::1/64"; without "/..." all bits are taken.  0, or -EINVAL. */
int link_addr_parse(const char *text, struct link_addr *ret_a);

/*
 * Sets the device's MTU (0: as it is) and queue length in packets (0: as it is), gives it n addresses, and brings it up; what is so already is
 * well.  0, or -errno with a sentence in ret_err that says what was refused.
 */
int link_configure(const char *dev, uint32_t mtu, uint32_t queue, const struct link_addr *addr,
		   unsigned n, char *ret_err, size_t err_size);
/*
 * Where the kernel sends what is meant for ip: 0 with the device's index in ret_index and whether ip is an address of the kernel's own in
 * ret_local; -ENETUNREACH: nowhere; or another -errno.
 */
int link_route(const uint8_t ip[16], unsigned *ret_index, bool *ret_local);
/* A descriptor that can be read when some device has changed, or -errno. */
int link_watch(void);

/* Reads all that is told there: has the device been down, or may it have been?  It may be up again. */
bool link_was_down(int watch, const char *dev);
#endif
