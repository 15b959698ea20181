/* SPDX-License-Identifier: MIT */
#include "port/trace.h"

#include <stdlib.h>
#include <string.h>

#include "port/capture.h"
#include "port/port.h"

struct trace_port {
	struct port port;
	struct port *inner;
	struct capture_writer *writer;
	const sut_time *wall;
};

static struct trace_port *trace_of(struct port *p)
{
	return (struct trace_port *)p;
}

static void mirror_state(struct trace_port *t)
{
	t->port.down = t->inner->down;
	t->port.congested = t->inner->congested;
	t->port.more = t->inner->more;
	memcpy(t->port.error, t->inner->error, sizeof t->port.error);
}

static int trace_recv(struct port *p, struct packet **ret_pkts, unsigned max)
{
	struct trace_port *t = trace_of(p);
	int n = t->inner->ops->recv(t->inner, ret_pkts, max);

	for (int i = 0; i < n; i++)
		capture_write(t->writer, ret_pkts[i], *t->wall);
	mirror_state(t);
	return n;
}

static sut_time trace_when(const struct port *p)
{
	const struct port *inner = ((const struct trace_port *)p)->inner;

	return inner->ops->when(inner);
}

static int trace_send(struct port *p, struct packet *const *pkts, unsigned n)
{
	struct trace_port *t = trace_of(p);
	int taken = t->inner->ops->send(t->inner, pkts, n);

	for (int i = 0; i < taken; i++)
		capture_write(t->writer, pkts[i], *t->wall);
	mirror_state(t);
	return taken;
}

static int trace_fd(const struct port *p)
{
	const struct port *inner = ((const struct trace_port *)p)->inner;

	return inner->ops->fd(inner);
}

static void trace_stats(struct port *p, struct port_stats *ret_s)
{
	struct port *inner = trace_of(p)->inner;

	inner->ops->stats(inner, ret_s);
}

static void trace_close(struct port *p)
{
	struct port *inner = trace_of(p)->inner;

	inner->ops->close(inner);
	free(p);
}

static const struct port_ops trace_ops = {
	.recv = trace_recv,
	.when = trace_when,
	.send = trace_send,
	.fd = trace_fd,
	.stats = trace_stats,
	.close = trace_close,
};

struct port *trace_wrap(struct port *inner, struct capture_writer *w, const sut_time *wall)
{
	struct trace_port *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	t->port = *inner;
	t->port.ops = &trace_ops;
	t->inner = inner;
	t->writer = w;
	t->wall = wall;
	return &t->port;
}
