/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_PLANE_PORT_H
#define SUT_APP_PLANE_PORT_H
/*
 * plane_port - the data plane inside the kernel (plane_bpf.h) as a port of messages: ways and reports are lines (core/way_text.h).
 *
 * Owns:     the lines that wait to be read.
 * Does not: own the plane, which the caller opens before and closes after.
 */
#include <stddef.h>

struct plane_bpf;
struct port;

/* 0, or -errno with a sentence in ret_err. */
int plane_port_open(struct plane_bpf *pl, struct port **ret_p, char *ret_err, size_t err_size);
#endif
