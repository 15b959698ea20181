/* SPDX-License-Identifier: MIT */
#include "port/fault.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "port/port.h"

struct fault_port {
	struct port port;
	struct port *inner;
	struct fault_plan plan;
	uint32_t rx, tx; /* frames so far */
};

static struct fault_port *fault_of(struct port *p)
{
	return (struct fault_port *)p;
}

static bool listed(const uint32_t *list, uint32_t n)
{
	for (unsigned i = 0; i < FAULT_NTH_MAX && list[i]; i++)
		if (list[i] == n)
			return true;
	return false;
}

static void mirror_state(struct fault_port *f)
{
	f->port.down = f->inner->down;
	f->port.congested = f->inner->congested;
	f->port.more = f->inner->more;
	memcpy(f->port.error, f->inner->error, sizeof f->port.error);
}

static int fault_recv(struct port *p, struct packet **ret_pkts, unsigned max)
{
	struct fault_port *f = fault_of(p);
	int n, kept = 0;

	if (f->plan.burst && f->plan.burst < max)
		max = f->plan.burst;
	n = f->inner->ops->recv(f->inner, ret_pkts, max);
	mirror_state(f);
	if (n < 0)
		return n;
	for (int i = 0; i < n; i++)
		if (!listed(f->plan.drop_rx, ++f->rx))
			ret_pkts[kept++] = ret_pkts[i];
	return kept;
}

static sut_time fault_when(const struct port *p)
{
	const struct port *inner = ((const struct fault_port *)p)->inner;

	return inner->ops->when(inner);
}

static int fault_send(struct port *p, struct packet *const *pkts, unsigned n)
{
	struct fault_port *f = fault_of(p);
	unsigned i = 0;

	if (f->plan.refuse) {
		f->plan.refuse--;
		return 0;
	}
	if (f->plan.take && f->plan.take < n)
		n = f->plan.take;
	for (; i < n; i++) {
		if (!listed(f->plan.drop_tx, f->tx + 1) &&
		    f->inner->ops->send(f->inner, pkts + i, 1) != 1)
			break;
		f->tx++;
	}
	mirror_state(f);
	return (int)i;
}

static int fault_fd(const struct port *p)
{
	const struct port *inner = ((const struct fault_port *)p)->inner;

	return inner->ops->fd(inner);
}

static void fault_stats(struct port *p, struct port_stats *ret_s)
{
	struct port *inner = fault_of(p)->inner;

	inner->ops->stats(inner, ret_s);
}

static void fault_close(struct port *p)
{
	struct port *inner = fault_of(p)->inner;

	inner->ops->close(inner);
	free(p);
}

static const struct port_ops fault_ops = {
	.recv = fault_recv,
	.when = fault_when,
	.send = fault_send,
	.fd = fault_fd,
	.stats = fault_stats,
	.close = fault_close,
};

struct port *fault_wrap(struct port *inner, const struct fault_plan *plan)
{
	struct fault_port *f = calloc(1, sizeof *f);

	if (!f)
		return NULL;
	f->port = *inner;
	f->port.ops = &fault_ops;
	f->inner = inner;
	f->plan = *plan;
	return &f->port;
}
