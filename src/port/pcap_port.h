/* SPDX-License-Identifier: MIT */
#ifndef SUT_PORT_PCAP_PORT_H
#define SUT_PORT_PCAP_PORT_H
/*
 * pcap_port - a capture file as a port: what is in it comes in, as fast as it is asked for; what is sent to it is counted and gone.
 *
 * Frames that were cut when they were captured are skipped and counted (rx_cut).
 */
#include <stddef.h>

struct arena;
struct port;

/* Opens file, a regular one, for reading; see port_open. */
int pcap_port_open(const char *file, struct arena *a, struct port **ret_p, char *ret_err,
		   size_t err_size);
#endif
