/* SPDX-License-Identifier: MIT */
/*
 * serve_ports - the ports that are served: opened, listening or not, and others in their place while connections go on.
 *
 * A port stays where it is in its array as long as it has connections, which point to it.  One that is no longer among the settings is
 * retired: it listens no more, and goes with the last of them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/serve_inside.h"

#define BACKLOG 1024u

static bool is_live(const struct serve_port *p)
{
	return p->service && !p->retired;
}

static bool is_same(const struct serve_port *p, const struct serve_listen *l)
{
	return is_live(p) && p->port == l->port && p->service == l->service && !p->arg == !l->arg &&
	       (!l->arg || strcmp(p->arg, l->arg) == 0);
}

static void stop(struct serve_port *p)
{
	if (p->service && p->service->stop)
		p->service->stop(p);
	free(p->arg);
	*p = (struct serve_port){ .dir = -1 };
}

static struct serve_port *free_place(struct serve *s)
{
	for (unsigned i = 0; i < SERVE_PLACES; i++)
		if (!s->port[i].service)
			return &s->port[i];
	return NULL;
}

/* Opens what l needs in a free place: 0, or -errno with a sentence in ret_err. */
static int start(struct serve *s, const struct serve_listen *l, bool late, char *ret_err,
		 size_t err_size)
{
	struct serve_port *p = free_place(s);
	char why[400] = "out of memory";
	int err = 0;

	if (!p) {
		snprintf(ret_err, err_size,
			 "port: %u: too many services of earlier settings have connections left",
			 l->port);
		return -ENOSPC;
	}
	*p = (struct serve_port){ .service = l->service, .port = l->port, .late = late, .dir = -1 };
	p->arg = l->arg ? strdup(l->arg) : NULL;
	if (l->arg && !p->arg)
		err = -ENOMEM;
	if (err == 0 && l->service->start)
		err = l->service->start(p, p->arg, why, sizeof why);
	if (err == 0)
		return 0;
	snprintf(ret_err, err_size, "port: %u: %s: %s", l->port, l->service->name, why);
	p->service = NULL;
	stop(p);
	return err;
}

int ports_start(struct serve *s, char *ret_err, size_t err_size)
{
	int err = 0;

	for (unsigned i = 0; i < s->cfg->listens && err == 0; i++)
		err = start(s, &s->cfg->listen[i], false, ret_err, err_size);
	return err;
}

void ports_stop(struct serve *s)
{
	for (unsigned i = 0; i < SERVE_PLACES; i++)
		stop(&s->port[i]);
}

void ports_left(struct serve_port *p)
{
	if (--p->conns == 0 && p->retired)
		stop(p);
}

/* Listening. */

int ports_listen(struct serve *s, char *ret_err, size_t err_size)
{
	for (unsigned i = 0; i < SERVE_PLACES; i++) {
		struct serve_port *p = &s->port[i];
		const struct stack_addr any = { .port = p->port };
		int err;

		if (!is_live(p) || p->listener)
			continue;
		err = stack_listen(s->stack, &any, BACKLOG, LISTENER | i, &p->listener);
		if (err) {
			snprintf(ret_err, err_size, "port: %u: %s", p->port, strerror(-err));
			return err;
		}
	}
	return 0;
}

static void unlisten(struct serve *s, struct serve_port *p)
{
	if (p->listener)
		(void)stack_close(s->stack, p->listener, s->now);
	p->listener = 0;
}

void ports_unlisten(struct serve *s)
{
	for (unsigned i = 0; i < SERVE_PLACES; i++)
		unlisten(s, &s->port[i]);
}

/* Others. */

static bool is_wanted(const struct serve_port *p, const struct serve_config *next)
{
	for (unsigned i = 0; i < next->listens; i++)
		if (is_same(p, &next->listen[i]))
			return true;
	return false;
}

static bool is_there(const struct serve *s, const struct serve_listen *l, uint64_t before)
{
	for (unsigned i = 0; i < SERVE_PLACES; i++)
		if ((before >> i & 1) && is_same(&s->port[i], l))
			return true;
	return false;
}

_Static_assert(SERVE_PLACES <= 64, "a bit for each");

/* A bit for each place with a port that is served. */
static uint64_t live_places(const struct serve *s)
{
	uint64_t bits = 0;

	for (unsigned i = 0; i < SERVE_PLACES; i++)
		bits |= (uint64_t)is_live(&s->port[i]) << i;
	return bits;
}

static void retire(struct serve *s, struct serve_port *p)
{
	unlisten(s, p);
	p->retired = true;
	if (p->conns == 0)
		stop(p);
}

int ports_reload(struct serve *s, const struct serve_config *next, char *ret_err, size_t err_size)
{
	const uint64_t before = live_places(s);
	int err = 0;

	for (unsigned i = 0; i < next->listens && err == 0; i++)
		if (!is_there(s, &next->listen[i], before))
			err = start(s, &next->listen[i], true, ret_err, err_size);
	for (unsigned i = 0; i < SERVE_PLACES; i++) {
		struct serve_port *p = &s->port[i];

		if (err && is_live(p) && !(before >> i & 1))
			stop(p);
		else if (!err && (before >> i & 1) && !is_wanted(p, next))
			retire(s, p);
	}
	if (err == 0 && !s->draining)
		err = ports_listen(s, ret_err, err_size);
	return err;
}
