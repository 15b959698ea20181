/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * A port is congested when its peer does not keep up: a stream then keeps what was sent, and asks for no more.  So nothing is read that could
 * go there: of the ports of frames only the congested one itself, since what comes in there goes elsewhere, and since reading it
 * is what lets it write.  Where two are congested, each of them could feed the other: none is read then, and they are only called
 * to write, every PUMP.  Ports of messages are always read.  What waits at a port that the role does not use any more (a dead primary's)
 * holds up nobody.
 *
 * Descriptors that may not be read leave the loop's set as long as that lasts: a ready one would wake us for ever.
 */
#include <errno.h>
#include <string.h>

#include "app/engine_inside.h"

#define DOWN_RETRY SUT_MS(500)
#define DRAIN SUT_MS(1000)
#define PUMP SUT_MS(1)

static bool is_frames(const struct engine *e, unsigned i)
{
	return e->ports.slot[i].kind == PORT_FRAMES;
}

/* A bit for each port of frames that is congested, and still used. */
static uint32_t congested(const struct engine *e)
{
	const struct role_ops *ops = e->cfg->ops;
	uint32_t ports = 0;

	for (unsigned i = 0; i < e->ports.n; i++) {
		const struct port_slot *s = &e->ports.slot[i];

		if (s->port && !s->ended && s->port->congested && is_frames(e, i))
			ports |= (uint32_t)1 << i;
	}
	return ops->unused ? ports & ~ops->unused(e->runner.role) : ports;
}

/* May port i be read while these are congested? */
static bool may_read(const struct engine *e, uint32_t full, unsigned i)
{
	return full == 0 || full == (uint32_t)1 << i || !is_frames(e, i);
}

uint32_t engine_ready_ports(const struct engine *e)
{
	uint32_t full = congested(e), ports = 0;

	for (unsigned i = 0; i < e->ports.n; i++) {
		const struct port_slot *s = &e->ports.slot[i];
		uint32_t bit = (uint32_t)1 << i;

		if (may_read(e, full, i) &&
		    ((e->always_ready & bit) || (s->port && !s->ended && s->port->more)))
			ports |= bit;
	}
	return ports;
}

/* A stream that never had anybody at its other end. */
static bool is_new_stream(const struct port_slot *s)
{
	return !s->was_up && strncmp(s->port->name, "qemu:", 5) == 0;
}

/* A device that goes or comes is worth one line each time. */
static void watch_state(struct engine *e, struct port_slot *s)
{
	const struct port *p = s->port;
	const bool fresh = is_new_stream(s);
	const char *lack = fresh ? "has no peer yet" : "is down or gone";

	s->was_up |= !p->down;
	if (p->down == s->was_down)
		return;
	s->was_down = p->down;
	if (!p->down)
		log_line(&e->log, LOG_NOTICE, "%s: %s", p->name, fresh ? "has a peer" : "is back");
	else if (*p->error)
		log_line(&e->log, LOG_NOTICE, "%s: %s: waiting for it (%s)", p->name, lack,
			 p->error);
	else
		log_line(&e->log, LOG_NOTICE, "%s: %s: waiting for it", p->name, lack);
}

static bool all_ended(const struct engine *e)
{
	for (unsigned i = 0; i < e->ports.n; i++)
		if (e->ports.slot[i].port && !e->ports.slot[i].ended)
			return false;
	return true;
}

/* Puts port i's descriptor in the loop's set, or takes it out: 0 or -errno. */
static int set_watch(struct engine *e, unsigned i, bool on)
{
	struct port *p = e->ports.slot[i].port;
	uint32_t bit = (uint32_t)1 << i;
	int fd = p->ops->fd(p), err = 0;

	if (fd < 0 || on == !!(e->watched & bit))
		return 0;
	if (on)
		err = loop_watch(&e->loop, fd, i);
	else
		loop_unwatch(&e->loop, fd);
	if (err == 0)
		e->watched ^= bit;
	return err;
}

static void port_ended(struct engine *e, unsigned i)
{
	e->ports.slot[i].ended = true;
	e->always_ready &= ~((uint32_t)1 << i);
	(void)set_watch(e, i, false);
	if (all_ended(e))
		e->end = e->now + DRAIN;
}

static void port_failed(struct engine *e, unsigned i, int err)
{
	const struct port *p = e->ports.slot[i].port;

	log_line(&e->log, LOG_ERROR, "%s: %s", p->name, *p->error ? p->error : strerror(-err));
	e->failed = true;
}

/* Up to max packets of port i through the role. */
static void read_port(struct engine *e, unsigned i, unsigned max)
{
	struct port *p = e->ports.slot[i].port;
	struct packet *pkts[PORT_BURST];
	int n;

	if (!p)
		return;
	n = p->ops->recv(p, pkts, max);
	engine_tick(e);
	if (n > 0) {
		runner_input(&e->runner, i, pkts, (unsigned)n, e->now);
		engine_flush(e);
	} else if (n == -ENODATA) {
		port_ended(e, i);
	} else if (n < 0 && n != -ENETDOWN) {
		port_failed(e, i, n);
	}
}

/* Where more than one is congested, they only write. */
static void pump(struct engine *e)
{
	uint32_t full = congested(e);

	if ((full & (full - 1)) == 0) {
		e->next_pump = SUT_NEVER;
		return;
	}
	if (e->now >= e->next_pump || e->next_pump == SUT_NEVER) {
		for (unsigned i = 0; i < e->ports.n; i++)
			if (full >> i & 1)
				read_port(e, i, 0);
		e->next_pump = e->now + PUMP;
	}
}

/* What may be read from now on. */
static void update_watches(struct engine *e)
{
	uint32_t full = congested(e);

	for (unsigned i = 0; i < e->ports.n; i++) {
		const struct port_slot *s = &e->ports.slot[i];
		int err = s->port && !s->ended ? set_watch(e, i, may_read(e, full, i)) : 0;

		if (err)
			port_failed(e, i, err);
	}
}

static void retry_later(struct engine *e, bool retried)
{
	bool any_down = false;

	for (unsigned i = 0; i < e->ports.n; i++) {
		if (!e->ports.slot[i].port)
			continue;
		watch_state(e, &e->ports.slot[i]);
		any_down |= e->ports.slot[i].port->down;
	}
	if (!any_down)
		e->next_retry = SUT_NEVER;
	else if (retried || e->next_retry == SUT_NEVER)
		e->next_retry = e->now + DOWN_RETRY;
}

/* What came by post was written before what is told of this host now: it comes last, as it goes out last. */
static void read_ports(struct engine *e, uint32_t ready, bool retry, bool post)
{
	for (unsigned i = 0; i < e->ports.n; i++) {
		struct port_slot *s = &e->ports.slot[i];

		if ((s->kind == PORT_POST) != post || !s->port || s->ended ||
		    !may_read(e, congested(e), i))
			continue;
		if ((ready >> i & 1) || (retry && s->port->down))
			read_port(e, i, PORT_BURST);
	}
}

void engine_read_ports(struct engine *e, uint32_t ready)
{
	bool retry = e->now >= e->next_retry;

	read_ports(e, ready, retry, false);
	read_ports(e, ready, retry, true);
	pump(e);
	update_watches(e);
	retry_later(e, retry);
}

int engine_watch_ports(struct engine *e)
{
	int err = 0;

	for (unsigned i = 0; i < e->ports.n && err == 0; i++) {
		struct port *p = e->ports.slot[i].port;

		if (p && p->ops->fd(p) < 0)
			e->always_ready |= (uint32_t)1 << i;
		else if (p)
			err = set_watch(e, i, true);
	}
	return err;
}
