/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_SIDES_H
#define SUT_APP_SIDES_H
/*
 * sides - tells by which side of a connection a frame was sent, in a capture that has both.
 *
 * Rules, first that applies:
 *   1. a network of the clients, if one is given: an address in it is near, its correspondent far;
 *   2. TCP: who sent the SYN is near; of a connection whose SYN was not seen, the end with the higher port;
 *   3. anything else: the side on which its source IP address was met before, else its Ethernet address, else near.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/packet.h"
#include "base/seq.h"

struct sides;

/* An IP network; IPv4 as v4-mapped, bits counts from the 128. */
struct ip_net {
	uint8_t addr[16];
	unsigned bits;
};

/* Reads "192.0.2.0/24" or "2001:db8::/32" or a single address: 0 or -EINVAL. */
int ip_net_read(const char *text, struct ip_net *ret_net);

/* NULL if out of memory.  clients may be NULL. */
struct sides *sides_open(const struct ip_net *clients);
void sides_close(struct sides *s);

/* Who sent p?  Learns from it. */
enum sut_side sides_of(struct sides *s, const struct packet *p);
#endif
