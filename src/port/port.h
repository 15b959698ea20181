/* SPDX-License-Identifier: MIT */
#ifndef SUT_PORT_PORT_H
#define SUT_PORT_PORT_H
/*
 * port - packet I/O: one interface for devices, captures and memory, and for wrappers around another port.
 *
 * A port delivers bursts of up to PORT_BURST packets that stay valid until the next recv on it or on a port that shares its arena, and takes
 * packets of any port.  It keeps offload state as it came.  All ports of an engine share one arena (arena.h).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/packet.h"
#include "base/time.h"

#define PORT_BURST 64

struct port;
struct arena;

/* Counters of one port, in packets: name, meaning. */
/* clang-format off */
#define PORT_STATS(X) \
	X(rx,          "packets received") \
	X(tx,          "packets sent") \
	X(rx_bytes,    "bytes received") \
	X(tx_bytes,    "bytes sent") \
	X(rx_dropped,  "dropped by the kernel for want of buffer (PACKET_STATISTICS)") \
	X(rx_errors,   "refused on receive: an offload unknown to the system or impossible, or longer than a packet may be") \
	X(rx_cut,      "captured only in part, or cut by the end of a stream: skipped") \
	X(tx_dropped,  "refused by the device with an error, sent while it was down, lost with a stream's connection, or no IP packet at a tun: port") \
	X(tx_too_long, "longer than the device's MTU and not a super-packet; to a stream: too long, or a super-packet without vnet header") \
	X(rx_malformed, "streams that were no frames any more: the connection was closed") \
	X(reconnects,  "connections of a stream after its first") \
	X(refused,     "second peers of a listening stream, closed at once")
/* clang-format on */

struct port_stats {
#define X(name, text) uint64_t name;
	PORT_STATS(X)
#undef X
};

/* A counter that only some ports have. */
struct port_row {
	const char *name, *text;
	uint64_t value;
};

struct port_ops {
	/*
	 * Takes up to max packets: their number, 0 if none is there now, -errno: -ENODATA at the end of a capture,
	 * -ENETDOWN while the device is down or gone (call again from time to time: it may come back), another if
	 * the port failed (a damaged capture).  ret_pkts[i] belong to the port.
	 * With max 0 it takes nothing, and only goes on with what waits to be sent.
	 */
	int (*recv)(struct port *p, struct packet **ret_pkts, unsigned max);

	/* The time of the first packet of the last recv, where the port has times of its own (captures); else SUT_NEVER. */
	sut_time (*when)(const struct port *p);

	/*
	 * Sends n packets in order: how many were taken (n at most; fewer: the device is full for now), or -errno.
	 * A packet that can never be sent counts as taken (and in tx_dropped or tx_too_long): it blocks none behind it.
	 */
	int (*send)(struct port *p, struct packet *const *pkts, unsigned n);

	/* The descriptor to wait on, or -1: always ready. */
	int (*fd)(const struct port *p);

	void (*stats)(struct port *p, struct port_stats *ret_s);

	/* Counters of its own, valid until the next call: how many.  NULL: it has none. */
	unsigned (*rows)(struct port *p, const struct port_row **ret_rows);

	void (*close)(struct port *p);
};

/* Every port begins with this. */
struct port {
	const struct port_ops *ops;
	char name[320]; /* as given: "if:eth0"; a stream has the longest ones */
	bool down; /* the device is down or gone: recv finds out when it is back */
	bool congested; /* a stream: more waits to be written than is good; the engine reads no other port until this is over */
	bool more; /* recv has packets that wait already: it is to be called again, though the descriptor may not be ready */
	char error[256]; /* why recv or send failed, where there is more to say than -errno */
};

/*
 * Opens "if:NAME" (AF_PACKET), "pcap:FILE" for reading, "tun:NAME[,no-offload]" (tun.h), or a stream (qemu.h): "qemu:[listen:]HOST:PORT" or
 * "qemu:[listen:]unix:PATH", either with ",vnet_hdr_support" behind it.  a is the engine's arena.
 * Returns 0, or -errno with one sentence in ret_err that names the port and says what to do.
 */
int port_open(const char *spec, struct arena *a, struct port **ret_p, char *ret_err,
	      size_t err_size);

/* Is spec well-formed?  Nothing is opened.  0, or -EINVAL with what is expected in ret_err. */
int port_check(const char *spec, char *ret_err, size_t err_size);

/*
 * The same for a port of messages: only streams can carry them.  With vnet_hdr_support messages in carry the field that frames
 * do, messages out do not: so QEMU has it.
 */
int port_open_msgs(const char *spec, struct arena *a, struct port **ret_p, char *ret_err,
		   size_t err_size);
#endif
