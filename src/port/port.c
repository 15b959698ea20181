/* SPDX-License-Identifier: MIT */
#include "port/port.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "port/if.h"
#include "port/pcap_port.h"
#include "port/qemu.h"
#include "port/tun.h"

typedef int open_fn(const char *name, struct arena *a, struct port **ret_p, char *ret_err,
		    size_t err_size);

struct port_kind_ops {
	const char *prefix;
	open_fn *open;
	open_fn *open_msgs; /* NULL: it cannot carry messages */
	int (*check)(const char *name, char *ret_err, size_t err_size); /* NULL: any name will do */
};

static const struct port_kind_ops kinds[] = {
	{ "if:", if_open, NULL, NULL },
	{ "pcap:", pcap_port_open, NULL, NULL },
	{ "qemu:", qemu_open, qemu_open_msgs, qemu_check },
	{ "tun:", tun_open, NULL, tun_check },
};

/* The kind of spec, and what stands behind its prefix; NULL: it is none. */
static const struct port_kind_ops *kind_of(const char *spec, const char **ret_name)
{
	for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
		size_t len = strlen(kinds[i].prefix);

		if (strncmp(spec, kinds[i].prefix, len) == 0 && spec[len]) {
			*ret_name = spec + len;
			return &kinds[i];
		}
	}
	return NULL;
}

int port_check(const char *spec, char *ret_err, size_t err_size)
{
	const char *name;
	const struct port_kind_ops *k = kind_of(spec, &name);

	if (k)
		return k->check ? k->check(name, ret_err, err_size) : 0;
	if (*spec && !strchr(spec, ':')) {
		snprintf(ret_err, err_size, "'%s' is not a port: a network interface is if:%s",
			 spec, spec);
		return -EINVAL;
	}
	snprintf(ret_err, err_size,
		 "'%s' is not a port: expected if:NAME (a network interface), pcap:FILE, "
		 "qemu:HOST:PORT (a stream) or tun:NAME (a TUN device)",
		 spec);
	return -EINVAL;
}

/* Gives what was opened its name. */
static int name_it(int err, const char *spec, struct port *p, struct port **ret_p)
{
	if (err)
		return err;
	snprintf(p->name, sizeof p->name, "%s", spec);
	*ret_p = p;
	return 0;
}

int port_open(const char *spec, struct arena *a, struct port **ret_p, char *ret_err,
	      size_t err_size)
{
	struct port *p = NULL;
	const char *name;
	int err = port_check(spec, ret_err, err_size);

	if (err)
		return err;
	err = kind_of(spec, &name)->open(name, a, &p, ret_err, err_size);
	return name_it(err, spec, p, ret_p);
}

int port_open_msgs(const char *spec, struct arena *a, struct port **ret_p, char *ret_err,
		   size_t err_size)
{
	const struct port_kind_ops *k;
	struct port *p = NULL;
	const char *name;
	int err = port_check(spec, ret_err, err_size);

	if (err)
		return err;
	k = kind_of(spec, &name);
	if (!k->open_msgs) {
		snprintf(ret_err, err_size,
			 "%s: messages need a stream: qemu:HOST:PORT or qemu:unix:PATH", spec);
		return -EINVAL;
	}
	err = k->open_msgs(name, a, &p, ret_err, err_size);
	return name_it(err, spec, p, ret_p);
}
