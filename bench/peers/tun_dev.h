/* SPDX-License-Identifier: MIT */
#ifndef SUT_BENCH_TUN_DEV_H
#define SUT_BENCH_TUN_DEV_H
/*
 * tun_dev - a TUN device that was made by somebody else (ip tuntap add), opened for one of the benchmark's peers.
 *
 * Does not: addresses, routes: the script gives them to the host's end.
 */
#include <stdbool.h>

/* Packets have a virtio-net header of TUN_VNET bytes in front, and may be super-packets, if vnet.  Exits with a sentence if it cannot. */
#define TUN_VNET 10
int tun_dev_open(const char *name, bool vnet);
#endif
