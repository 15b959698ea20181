/* SPDX-License-Identifier: MIT */
#include "port/pcap_port.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>

#include "port/arena.h"
#include "port/capture.h"
#include "port/port.h"

struct pcap_port {
	struct port port;
	struct capture *capture;
	struct arena *arena;
	sut_time when;
	struct port_stats stats;
};

static struct pcap_port *pcap_of(struct port *p)
{
	return (struct pcap_port *)p;
}

/* Copies a frame to slot i: its packet, or NULL (and counted) if it is not whole. */
static struct packet *take(struct pcap_port *c, unsigned i, const struct capture_frame *f)
{
	struct packet *p = &c->arena->pkt[i];

	if (f->len < f->wire_len) {
		c->stats.rx_cut++;
		return NULL;
	}
	if (f->len > PACKET_MAX) {
		c->stats.rx_errors++;
		return NULL;
	}
	*p = (struct packet){ .head = arena_slot(c->arena, i), .head_len = f->len };
	memcpy(p->head, f->bytes, f->len);
	c->stats.rx++;
	c->stats.rx_bytes += f->len;
	return p;
}

static int pcap_recv(struct port *port, struct packet **ret_pkts, unsigned max)
{
	struct pcap_port *c = pcap_of(port);
	unsigned n = 0;

	c->when = SUT_NEVER;
	while (n < max && n < ARENA_SLOTS) {
		struct capture_frame f;
		struct packet *p;
		int got = capture_next(c->capture, &f);

		if (got == 0)
			return n ? (int)n : -ENODATA;
		if (got < 0) {
			snprintf(port->error, sizeof port->error, "%.*s",
				 (int)sizeof port->error - 1, capture_error(c->capture));
			return n ? (int)n : got; /* the next call meets it again */
		}
		p = take(c, n, &f);
		if (!p)
			continue;
		if (n == 0)
			c->when = f.at;
		ret_pkts[n++] = p;
	}
	return (int)n;
}

static sut_time pcap_when(const struct port *p)
{
	return ((const struct pcap_port *)p)->when;
}

static int pcap_send(struct port *p, struct packet *const *pkts, unsigned n)
{
	struct pcap_port *c = pcap_of(p);

	for (unsigned i = 0; i < n; i++)
		c->stats.tx_bytes += packet_len(pkts[i]);
	c->stats.tx += n;
	return (int)n;
}

static int pcap_fd(const struct port *p)
{
	(void)p;
	return -1;
}

static void pcap_stats(struct port *p, struct port_stats *ret_s)
{
	*ret_s = pcap_of(p)->stats;
}

static void pcap_port_close(struct port *p)
{
	capture_close(pcap_of(p)->capture);
	free(p);
}

static const struct port_ops pcap_ops = {
	.recv = pcap_recv,
	.when = pcap_when,
	.send = pcap_send,
	.fd = pcap_fd,
	.stats = pcap_stats,
	.close = pcap_port_close,
};

/*
 * Reading waits where nothing is there yet, and a run that waits in it hears no signal and serves no
 * other port: so what can make it wait is refused.
 */
static int check_file(const char *file, char *ret_err, size_t err_size)
{
	struct stat st;

	if (strcmp(file, "-") == 0 || (stat(file, &st) == 0 && !S_ISREG(st.st_mode))) {
		snprintf(ret_err, err_size,
			 "pcap:%s: not a regular file (only 'suture replay' reads pipes)", file);
		return -EINVAL;
	}
	return 0;
}

int pcap_port_open(const char *file, struct arena *a, struct port **ret_p, char *ret_err,
		   size_t err_size)
{
	struct pcap_port *c = calloc(1, sizeof *c);
	int err;

	if (!c) {
		snprintf(ret_err, err_size, "pcap:%s: out of memory", file);
		return -ENOMEM;
	}
	c->port.ops = &pcap_ops;
	c->arena = a;
	c->when = SUT_NEVER;
	err = check_file(file, ret_err, err_size);
	if (err == 0)
		err = capture_open(file, &c->capture, ret_err, err_size);
	if (err) {
		free(c);
		return err;
	}
	*ret_p = &c->port;
	return 0;
}
