/* SPDX-License-Identifier: MIT */
#ifndef SUT_PORT_TUN_H
#define SUT_PORT_TUN_H
/*
 * tun - a TUN device as a port: what this machine's kernel sends out of the device comes in, what is sent arrives at the kernel.
 *
 * A TUN device carries IP packets without a link header.  A port carries Ethernet frames.  So each packet that comes in gets a made-up Ethernet
 * header (from 02:00:00:00:00:01 to 02:00:00:00:00:02), and what is sent loses its own; a frame that is not plain IPv4 or IPv6 (ARP,
 * a VLAN tag) cannot go there, and is counted in tx_dropped.
 * Keeps offloads, unless told not to: see tun_dev.h.  Needs CAP_NET_ADMIN.
 */
#include <stddef.h>
#include <stdint.h>

struct arena;
struct port;

#define TUN_ETH 14u /* bytes of the header that is put in front */

/* Writes the made-up header for an IP packet that begins with byte first: 0, or -EPROTONOSUPPORT (neither IPv4 nor IPv6). */
int tun_eth_header(uint8_t first, uint8_t ret_eth[TUN_ETH]);

/*
 * Opens "NAME[,no-offload][,mtu=N][,addr=ADDR/BITS]..."; see port_open.  A device that is not there is made, and goes with the port; it is
 * brought up, and gets the addresses.
 */
int tun_open(const char *name, struct arena *a, struct port **ret_p, char *ret_err,
	     size_t err_size);

/* Is that well-formed?  0, or -EINVAL with a sentence in ret_err. */
int tun_check(const char *name, char *ret_err, size_t err_size);
#endif
