/* SPDX-License-Identifier: MIT */
#ifndef SUT_PORT_PORT_H
#define SUT_PORT_PORT_H
/*
 * port - packet I/O: one interface for devices, captures and memory, and for wrappers around another port.
 *
 * A port delivers bursts of up to PORT_BURST packets that stay valid until the next recv on it or on a port that shares its arena, and takes
 * packets of any port.  It keeps offload state as it came.  All ports of an engine share one arena (arena.h).
 */
#include <stddef.h>
#include <stdint.h>

#include "base/packet.h"
#include "base/time.h"

#define PORT_BURST 64

struct port;
struct arena;

/* Counters of one port, in packets. */
struct port_stats {
	uint64_t rx, tx, rx_bytes, tx_bytes;
	uint64_t rx_dropped;		/* by the kernel for want of buffer (PACKET_STATISTICS) */
	uint64_t rx_errors;		/* system's refusals on receive (EINVAL of an unknown offload) */
	uint64_t tx_dropped;		/* refused by the device for 10 ms */
	uint64_t tx_too_long;		/* longer than the device's MTU and not a super-packet */
};

struct port_ops {
	/*
	 * Takes up to max packets: their number, 0 if none is there now, -errno: -ENODATA at the end of a capture,
	 * -ENETDOWN if the device went away.  ret_pkts[i] belong to the port.
	 */
	int (*recv)(struct port *p, struct packet **ret_pkts, unsigned max);

	/* The time of the first packet of the last recv, where the port has times of its own (captures); else SUT_NEVER. */
	sut_time (*when)(const struct port *p);

	/*
	 * Sends n packets in order: how many were taken (n at most; fewer: the device is full for now), or -errno.
	 */
	int (*send)(struct port *p, struct packet *const *pkts, unsigned n);

	/* The descriptor to wait on, or -1. */
	int (*fd)(const struct port *p);

	void (*stats)(struct port *p, struct port_stats *ret_s);
	void (*close)(struct port *p);
};

/* Every port begins with this. */
struct port {
	const struct port_ops *ops;
	char name[64];			/* as given: "if:eth0" */
};

/*
 * Opens "if:NAME" (AF_PACKET) or "pcap:FILE" for reading.  a is the engine's arena.
 * Returns 0, or -errno with one sentence in ret_err that names the port and says what to do.
 */
int port_open(const char *spec, struct arena *a, struct port **ret_p,
	      char *ret_err, size_t err_size);
#endif
