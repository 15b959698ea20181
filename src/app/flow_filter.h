/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_FLOW_FILTER_H
#define SUT_APP_FLOW_FILTER_H
/* flow_filter - connections by their ends: "192.0.2.1", "80", "192.0.2.1:80", "[2001:db8::1]:80". */
#include <stdbool.h>
#include <stdint.h>

#include "core/quad.h"

#define FLOW_FILTER_ENDS 8

/* Each of them must be an end of the connection. */
struct flow_filter {
	unsigned n;
	struct flow_filter_end {
		bool has_addr, has_port;
		uint8_t addr[16]; /* IPv4 as v4-mapped */
		uint16_t port;
	} end[FLOW_FILTER_ENDS];
};

/* Adds what text names: 0; -EINVAL if it names no end; -ENOSPC. */
int flow_filter_add(struct flow_filter *f, const char *text);

bool flow_filter_takes(const struct flow_filter *f, const struct flow_key *key);
#endif
