/* SPDX-License-Identifier: MIT */
#ifndef SUT_PROTO_PRINT_H
#define SUT_PROTO_PRINT_H
/*
 * print - the one textual form of a packet, in tcpdump's notation; logs, scripts, errors and
 * commands all use it.
 *
 *   192.0.2.10.40000 > 198.51.100.1.80: S 1000:1000(0) win 64240 <mss 1460,sackOK,TS val 10 ecr 0,nop,wscale 7>
 *
 * Flags: S F R P, "." for ACK, U E W (ECE, CWR).  Then first:last(len), "ack N" where ACK is set,
 * "win N", "urg N", options in wire order (mss N, nop, wscale N, sackOK, sack 1 {a:b}, TS val N
 * ecr N, eol, mptcp capable|join|N, md5, ao, tfo cookiereq|HEX, exp-XXXX, unknown-N).  [vlan N],
 * [frag], [bad tcp cksum], [bad ip cksum], [partial], [gso N] as they apply, at the end.  What is
 * no TCP has one line of its protocol and length:
 *
 *   192.0.2.10 > 198.51.100.1: udp, length 20
 *   192.0.2.9 > 198.51.100.1: icmp too-big mtu 1400 of 198.51.100.1.80 > 192.0.2.10.4000 seq 7, length 36
 *   192.0.2.10 > 198.51.100.1: malformed tcp-doff, length 54        (no addresses where there are none)
 *   arp, length 46                ethertype 0x88cc, length 46
 *
 * No flag at all is "none".  [bad opt] stands last among the options where a malformed one ends
 * the walk.  Text that does not fit is cut; what is written always ends with NUL (size 0: nothing
 * is written).
 */
#include <stddef.h>

struct packet;
struct view;

#define PRINT_MAX 512 /* longest line, NUL included */

/*
 * The segment without addresses and without [marks] ("S 1000:1000(0) win ..."), as packet scripts
 * have it.  v->tcp must be true.  Returns the length of what was written.
 */
size_t print_segment(const struct packet *p, const struct view *v, char *ret_s, size_t size);

/* The whole line; parses p itself, and says what is malformed. */
size_t print_packet(const struct packet *p, char *ret_s, size_t size);

/* An address of 16 bytes: dotted if v4-mapped, else RFC 5952.  ret_s has 46 bytes or more. */
size_t print_addr(const unsigned char addr[16], char *ret_s, size_t size);
#endif
