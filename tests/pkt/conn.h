/* SPDX-License-Identifier: MIT */
#ifndef SUT_PKT_CONN_H
#define SUT_PKT_CONN_H
/*
 * conn - a connection of a script ("flow A:port > B:port"): its two ends, and the bytes that
 * each end sends.
 */
#include <stdbool.h>
#include <stdint.h>

#define CONN_NAME_MAX 24

enum conn_dir { FROM_SOURCE, FROM_DESTINATION };

struct conn {
	char name[CONN_NAME_MAX]; /* "" for the one without a name */
	bool ip6;
	uint8_t addr[2][16]; /* source, destination; IPv4 as v4-mapped */
	uint16_t port[2]; /* likewise; host order */
	uint8_t vlans;
	uint16_t vlan[2];
};

/*
 * Byte number off (the first byte behind the SYN is 1) of the stream with this number (2 *
 * connection + direction). A byte that is out of place, or of another stream, differs nearly
 * always.
 */
static inline uint8_t stream_byte(unsigned stream, uint32_t off)
{
	return (uint8_t)((off * 2654435761u + stream * 0x51ed2701u) >> 23);
}
#endif
