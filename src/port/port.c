/* SPDX-License-Identifier: MIT */
#include "port/port.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "port/if.h"
#include "port/pcap_port.h"

typedef int open_fn(const char *name, struct arena *a, struct port **ret_p, char *ret_err,
		    size_t err_size);

static const struct {
	const char *prefix;
	open_fn *open;
} kinds[] = {
	{ "if:", if_open },
	{ "pcap:", pcap_port_open },
};

static int kind_of(const char *spec)
{
	for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
		size_t len = strlen(kinds[i].prefix);

		if (strncmp(spec, kinds[i].prefix, len) == 0 && spec[len])
			return (int)i;
	}
	return -1;
}

int port_check(const char *spec, char *ret_err, size_t err_size)
{
	if (kind_of(spec) >= 0)
		return 0;
	snprintf(ret_err, err_size,
		 "'%s' is not a port: expected if:NAME (a network interface) or pcap:FILE", spec);
	return -EINVAL;
}

int port_open(const char *spec, struct arena *a, struct port **ret_p, char *ret_err,
	      size_t err_size)
{
	struct port *p;
	int kind, err;

	err = port_check(spec, ret_err, err_size);
	if (err)
		return err;
	kind = kind_of(spec);
	err = kinds[kind].open(spec + strlen(kinds[kind].prefix), a, &p, ret_err, err_size);
	if (err)
		return err;
	snprintf(p->name, sizeof p->name, "%s", spec);
	*ret_p = p;
	return 0;
}
