/* SPDX-License-Identifier: MIT */
#include "port/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/eventfd.h>

#include "port/arena.h"
#include "port/port.h"

/* Frames in order of arrival; counters run on, the slot is the remainder. */
struct ring {
	struct packet frame[MEM_FRAMES];
	uint32_t in, out, room;
};

struct mem_port {
	struct port port;
	struct arena *arena;
	int event;
	bool ended;
	struct port_stats stats;
	struct ring rx, tx;
	uint32_t limit, pace; /* of congestion; 0: none */
	uint32_t waiting; /* frames that the peer has not taken yet */
};

static struct mem_port *mem_of(struct port *p)
{
	return (struct mem_port *)p;
}

static bool ring_put(struct ring *r, const struct packet *p)
{
	struct packet *f = &r->frame[r->in % MEM_FRAMES];
	uint8_t *bytes;

	if (r->in - r->out >= r->room)
		return false;
	bytes = malloc(packet_len(p) + 1u);
	if (!bytes)
		return false;
	memcpy(bytes, p->head, p->head_len);
	if (p->body_len)
		memcpy(bytes + p->head_len, p->body, p->body_len);
	*f = (struct packet){ .head = bytes, .head_len = packet_len(p), .off = p->off };
	r->in++;
	return true;
}

static bool ring_take(struct ring *r, struct packet *ret_p)
{
	if (r->in == r->out)
		return false;
	*ret_p = r->frame[r->out++ % MEM_FRAMES];
	return true;
}

static void signal_ready(struct mem_port *m)
{
	uint64_t one = 1;
	ssize_t n = write(m->event, &one, sizeof one);

	(void)n; /* the counter cannot overflow, and is readable in any case */
}

bool mem_push(struct port *port, const struct packet *p)
{
	struct mem_port *m = mem_of(port);

	if (packet_len(p) > PACKET_MAX || !ring_put(&m->rx, p))
		return false;
	signal_ready(m);
	return true;
}

void mem_end(struct port *port)
{
	mem_of(port)->ended = true;
	signal_ready(mem_of(port));
}

bool mem_pop(struct port *port, struct packet *ret_p)
{
	return ring_take(&mem_of(port)->tx, ret_p);
}

void mem_set_room(struct port *port, uint32_t frames)
{
	mem_of(port)->tx.room = frames < MEM_FRAMES ? frames : MEM_FRAMES;
}

static void set_waiting(struct mem_port *m, uint32_t n)
{
	m->waiting = m->limit ? n : 0;
	m->port.congested = m->waiting > m->limit;
	if (m->waiting && m->pace)
		signal_ready(m);
}

void mem_set_limit(struct port *port, uint32_t limit, uint32_t pace)
{
	struct mem_port *m = mem_of(port);

	m->limit = limit;
	m->pace = pace;
	set_waiting(m, m->waiting);
}

/* The descriptor is readable while frames wait. */
static void settle(struct mem_port *m)
{
	uint64_t count;
	ssize_t n;

	if (m->rx.in != m->rx.out || m->ended || (m->waiting && m->pace))
		return;
	n = read(m->event, &count, sizeof count);
	(void)n; /* nothing there is as good */
}

static int mem_recv(struct port *p, struct packet **ret_pkts, unsigned max)
{
	struct mem_port *m = mem_of(p);
	struct packet frame;
	unsigned n = 0;

	set_waiting(m, m->waiting < m->pace ? 0 : m->waiting - m->pace);
	while (n < max && n < ARENA_SLOTS && ring_take(&m->rx, &frame)) {
		struct packet *slot = &m->arena->pkt[n];

		*slot = frame;
		slot->head = arena_slot(m->arena, n);
		memcpy(slot->head, frame.head, frame.head_len);
		free(frame.head);
		m->stats.rx++;
		m->stats.rx_bytes += slot->head_len;
		ret_pkts[n++] = slot;
	}
	settle(m);
	return n || !m->ended ? (int)n : -ENODATA;
}

static sut_time mem_when(const struct port *p)
{
	(void)p;
	return SUT_NEVER;
}

static int mem_send(struct port *p, struct packet *const *pkts, unsigned n)
{
	struct mem_port *m = mem_of(p);
	unsigned i = 0;

	for (; i < n && ring_put(&m->tx, pkts[i]); i++) {
		m->stats.tx++;
		m->stats.tx_bytes += packet_len(pkts[i]);
	}
	set_waiting(m, m->waiting + i);
	return (int)i;
}

static int mem_fd(const struct port *p)
{
	return ((const struct mem_port *)p)->event;
}

static void mem_stats(struct port *p, struct port_stats *ret_s)
{
	*ret_s = mem_of(p)->stats;
}

static void mem_close(struct port *p)
{
	struct mem_port *m = mem_of(p);
	struct packet frame;

	while (ring_take(&m->rx, &frame) || ring_take(&m->tx, &frame))
		free(frame.head);
	close(m->event);
	free(m);
}

static const struct port_ops mem_ops = {
	.recv = mem_recv,
	.when = mem_when,
	.send = mem_send,
	.fd = mem_fd,
	.stats = mem_stats,
	.close = mem_close,
};

struct port *mem_open(const char *name, struct arena *a)
{
	struct mem_port *m = calloc(1, sizeof *m);

	if (!m)
		return NULL;
	m->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->event < 0) {
		free(m);
		return NULL;
	}
	m->port.ops = &mem_ops;
	snprintf(m->port.name, sizeof m->port.name, "%s", name);
	m->arena = a;
	m->rx.room = m->tx.room = MEM_FRAMES;
	return &m->port;
}
