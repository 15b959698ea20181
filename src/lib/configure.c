/* SPDX-License-Identifier: MIT */
#include "lib/inside.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum {
	MEMORY_DEFAULT = 64 << 20,
	FLAGS_DEFAULT = SUT_TIMESTAMPS | SUT_SACK | SUT_WSCALE | SUT_ECN | SUT_FASTOPEN,
	FLAGS_ALL = FLAGS_DEFAULT | SUT_OFFLOAD_CSUM | SUT_OFFLOAD_TSO,
};

void sut_stack_config_init(struct sut_stack_config *c, size_t size)
{
	struct stack_config d;
	struct sut_stack_config full = {
		.size = size,
		.flags = FLAGS_DEFAULT,
		.memory = MEMORY_DEFAULT,
		.max_conns = 4096,
		.max_listeners = 16,
		.max_half_open = 1024,
		.sndbuf = 262144,
		.rcvbuf = 262144,
		.mtu = 1500,
		.gso_max = 65000,
		.ttl = 64,
		.cc = SUT_CUBIC,
	};

	stack_config_default(&d);
	full.msl = d.msl;
	memset(c, 0, size);
	memcpy(c, &full, size < sizeof full ? size : sizeof full);
}

static int fault(char *ret_error, const char *what)
{
	snprintf(ret_error, SUT_ERROR_TEXT, "%s", what);
	return -EINVAL;
}

int lib_read(const struct sut_stack_config *c, struct sut_stack_config *ret_c, char *ret_error)
{
	const char *bytes = (const char *)c;

	/* No version was without an output callback. */
	if (c->size < offsetof(struct sut_stack_config, clock))
		return fault(ret_error, "size is not set: sut_stack_config_init() does it");
	for (size_t i = sizeof *ret_c; i < c->size; i++) {
		if (bytes[i] != 0) {
			(void)fault(ret_error, "the configuration is of a later version");
			return -E2BIG;
		}
	}
	sut_stack_config_init(ret_c, sizeof *ret_c);
	memcpy(ret_c, c, c->size < sizeof *ret_c ? c->size : sizeof *ret_c);
	return 0;
}

/* What the pure stack would not see, or not mind; NULL: nothing. */
static const char *wrong(const struct sut_stack_config *c)
{
	if (c->output == NULL)
		return "no output callback";
	if (c->nets == NULL || c->net_count == 0 || c->net_count > STACK_NETS)
		return "a stack has 1 to 16 addresses";
	for (unsigned i = 1; i < c->net_count; i++) {
		for (unsigned k = 0; k < i; k++) {
			if (memcmp(c->nets[i].ip, c->nets[k].ip, 16) == 0)
				return "an address is there twice";
		}
	}
	if (c->flags & ~(uint32_t)FLAGS_ALL)
		return "flags has bits that mean nothing";
	if (c->cc > SUT_NEWRENO)
		return "there is no such congestion control";
	return NULL;
}

static void copy_nets(const struct sut_stack_config *c, struct stack_config *ret_c)
{
	ret_c->nets = c->net_count;
	for (unsigned i = 0; i < c->net_count; i++) {
		memcpy(ret_c->net[i].ip, c->nets[i].ip, 16);
		ret_c->net[i].prefix = c->nets[i].prefix;
	}
}

static void copy_all(const struct sut_stack_config *c, struct stack_config *ret_c)
{
	stack_config_default(ret_c);
	copy_nets(c, ret_c);
	ret_c->mtu = c->mtu;
	ret_c->max_conns = c->max_conns;
	ret_c->max_listeners = c->max_listeners;
	ret_c->max_half_open = c->max_half_open;
	ret_c->sndbuf = c->sndbuf;
	ret_c->rcvbuf = c->rcvbuf;
	ret_c->gso_max = c->gso_max;
	ret_c->offload = (uint8_t)((c->flags & SUT_OFFLOAD_CSUM ? STACK_OFFLOAD_CSUM : 0) |
				   (c->flags & SUT_OFFLOAD_TSO ? STACK_OFFLOAD_TSO : 0));
	ret_c->ttl = c->ttl;
	ret_c->no_timestamps = !(c->flags & SUT_TIMESTAMPS);
	ret_c->no_sack = !(c->flags & SUT_SACK);
	ret_c->no_wscale = !(c->flags & SUT_WSCALE);
	ret_c->ecn = c->flags & SUT_ECN;
	ret_c->fastopen = c->flags & SUT_FASTOPEN;
	ret_c->cc = c->cc == SUT_NEWRENO ? STACK_NEWRENO : STACK_CUBIC;
	ret_c->msl = c->msl;
	ret_c->records = 0;
	ret_c->max_ofo = 0;
}

/* The most cells with which everything lies within memory: false if not even the fewest do. */
static bool fit(struct stack_config *c, size_t memory)
{
	char why[SUT_ERROR_TEXT];
	uint32_t low = 16, high = (uint32_t)(memory / 2048 < 1u << 30 ? memory / 2048 : 1u << 30);

	c->cells = low;
	if (high < low || stack_need(c, why) > memory)
		return false;
	while (low < high) {
		uint32_t mid = low + (high - low + 1) / 2;

		c->cells = mid;
		if (stack_need(c, why) <= memory)
			low = mid;
		else
			high = mid - 1;
	}
	c->cells = low;
	return true;
}

int lib_configure(const struct sut_stack_config *c, size_t beside, struct stack_config *ret_c,
		  char *ret_error)
{
	const char *w = wrong(c);

	if (w != NULL)
		return fault(ret_error, w);
	copy_all(c, ret_c);
	ret_c->cells = 16;
	if (stack_need(ret_c, ret_error) == 0)
		return -EINVAL;
	if (c->memory <= beside || !fit(ret_c, c->memory - beside))
		return fault(ret_error, "memory is too small for so many connections");
	return 0;
}
