/* SPDX-License-Identifier: MIT */
#ifndef SUT_PORT_IF_H
#define SUT_PORT_IF_H
/*
 * if - a network interface by AF_PACKET: all frames that arrive at it, promiscuously, and none that it sends.
 *
 * Keeps offloads: super-packets and partial checksums pass as they are (PACKET_VNET_HDR); VLAN tags are in the bytes.
 * Needs CAP_NET_RAW, and CAP_NET_ADMIN for large buffers.
 */
#include <stddef.h>

struct arena;
struct port;

/* Opens interface name; see port_open. */
int if_open(const char *name, struct arena *a, struct port **ret_p, char *ret_err, size_t err_size);
#endif
