/* SPDX-License-Identifier: MIT */
#ifndef SUT_PORT_QEMU_ADDR_H
#define SUT_PORT_QEMU_ADDR_H
/*
 * qemu_addr - where a stream goes, as it is written on the command line.
 *
 *     HOST:PORT  [V6]:PORT  unix:PATH  listen:HOST:PORT  listen:unix:PATH     each with ,vnet_hdr_support[=on|=off] behind it
 *
 * Does not: resolve names, or touch any socket.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QEMU_HOST_MAX 254 /* the longest name of the DNS, and its end */
#define QEMU_PATH_MAX 108 /* sun_path, and its end */

struct qemu_addr {
	bool listen;
	bool vnet; /* a vnet header length stands behind each frame's length */
	bool local; /* path says where; else host and port */
	char host[QEMU_HOST_MAX]; /* without brackets; empty (only with listen): any address */
	char port[6]; /* 1 to 65535 */
	char path[QEMU_PATH_MAX];
};

/* Reads spec, what stands behind "qemu:".  0, or -EINVAL with a sentence in ret_err that says what is expected. */
int qemu_addr_parse(const char *spec, struct qemu_addr *ret_a, char *ret_err, size_t err_size);
#endif
