/* SPDX-License-Identifier: MIT */
/*
 * serve_device - packets between the TUN device and the stack: one read or write each, and no copy on the way.
 *
 * A packet that comes in is given to the stack at once, before the next one is read into the same buffer: so a burst of super-packets
 * stays in the cache.  One that goes out is written from where its headers and its payload lie.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <net/if.h>

#include "app/serve_inside.h"
#include "port/capture.h"
#include "port/tun.h"
#include "proto/print.h"

#define BURST 64u
#define RETRY SUT_MS(500)
#define QUEUE \
	1000u /* packets that wait in the device for us: more than its 500, or windows overrun it */

_Static_assert(STACK_SLICES + 2 <= TUN_PIECES, "a header, headers, and payload");

static int configure(struct serve *s, char *ret_err, size_t err_size)
{
	const struct serve_config *cfg = s->cfg;
	struct link_addr addr[SERVE_ADDRS];
	unsigned n = 0;

	/* one host address may stand for several of ours */
	for (unsigned i = 0; i < cfg->nets; i++) {
		bool known = false;

		for (unsigned j = 0; j < n; j++)
			known |= memcmp(addr[j].ip, cfg->host[i].ip, 16) == 0;
		if (!known)
			addr[n++] = cfg->host[i];
	}
	return link_configure(s->tun.name, cfg->flags.mtu, QUEUE, addr, n, ret_err, err_size);
}

/* None of our addresses may be one of the kernel's own: it would keep what comes for it.  0, or -EADDRINUSE with a sentence in ret_err. */
static int check_addresses(const struct serve_config *cfg, char *ret_err, size_t err_size)
{
	for (unsigned i = 0; i < cfg->nets; i++) {
		unsigned index = 0;
		bool local = false;
		char addr[46];

		if (link_route(cfg->net[i].ip, &index, &local) != 0 || !local)
			continue;
		print_addr(cfg->net[i].ip, addr, sizeof addr);
		snprintf(ret_err, err_size,
			 "addr: %s is an address of this machine's kernel: 'ip addr' says where; "
			 "take "
			 "another one of its network",
			 addr);
		return -EADDRINUSE;
	}
	return 0;
}

/* What the kernel sends elsewhere does not come to us. */
static void warn_of_routes(const struct serve *s)
{
	const unsigned own = if_nametoindex(s->tun.name);

	for (unsigned i = 0; i < s->cfg->nets; i++) {
		char addr[46], dev[IF_NAMESIZE] = "nowhere";
		unsigned index = 0;
		bool local;

		if (link_route(s->cfg->net[i].ip, &index, &local) == 0 && index == own)
			continue;
		(void)if_indextoname(index, dev);
		print_addr(s->cfg->net[i].ip, addr, sizeof addr);
		log_line(&s->log, LOG_NOTICE,
			 "warning: addr: what is meant for %s goes to %s, not to %s: is its "
			 "network there "
			 "too? (ip route get %s)",
			 addr, dev, s->tun.name, addr);
	}
}

int device_open(struct serve *s)
{
	const struct serve_config *cfg = s->cfg;
	char why[300];
	int err = check_addresses(cfg, why, sizeof why);

	if (err == 0)
		err = tun_dev_open(&s->tun, cfg->flags.tun, !cfg->flags.no_offload, why,
				   sizeof why);

	snprintf(s->device, sizeof s->device, "tun:%s", s->tun.name);
	if (err == 0)
		err = configure(s, why, sizeof why);
	if (err == 0 && cfg->opt.trace_pcap)
		err = capture_create(cfg->opt.trace_pcap, &s->trace, why, sizeof why);
	if (err)
		log_line(&s->log, LOG_ERROR, "%s", why);
	else
		warn_of_routes(s);
	s->links = link_watch();
	return err;
}

void device_close(struct serve *s)
{
	char why[400];

	if (s->links >= 0)
		close(s->links);
	s->links = -1;
	if (s->trace && capture_finish(s->trace, why, sizeof why) != 0)
		log_line(&s->log, LOG_ERROR, "trace: %s", why);
	s->trace = NULL;
	tun_dev_close(&s->tun);
}

/* The device is waited on while it is there. */
int device_watch(struct serve *s)
{
	if (s->tun_watched == !s->tun.gone)
		return 0;
	s->tun_watched = !s->tun.gone;
	if (s->tun_watched)
		return loop_watch(&s->loop, s->tun.fd, TAG_TUN);
	loop_unwatch(&s->loop, s->tun.fd);
	return 0;
}

/* A device that goes or comes is worth a line. */
static void watch_state(struct serve *s)
{
	if (s->tun.down == s->was_down)
		return;
	s->was_down = s->tun.down;
	s->next_retry = s->tun.down ? s->now + RETRY : SUT_NEVER;
	log_line(&s->log, LOG_NOTICE,
		 s->tun.down ? "tun:%s: is down or gone: waiting for it" : "tun:%s: is back",
		 s->tun.name);
}

void device_changed(struct serve *s)
{
	if (!link_was_down(s->links, s->tun.name) || s->tun.down)
		return;
	s->tun.down = true;
	watch_state(s);
	s->next_retry = s->now; /* it may be up again */
}

void device_retry(struct serve *s)
{
	char why[300];
	bool was_gone, is_up;
	int mtu;

	if (s->now < s->next_retry)
		return;
	s->next_retry = s->now + RETRY;
	was_gone = s->tun.gone;
	is_up = tun_dev_revive(&s->tun) == 0;
	/* one that was made anew has nothing; one that was down has lost its IPv6 addresses */
	if (is_up || (was_gone && !s->tun.gone)) {
		if (configure(s, why, sizeof why) != 0)
			log_line(&s->log, LOG_ERROR, "%s", why);
		(void)tun_dev_revive(&s->tun);
	}
	mtu = tun_dev_mtu(&s->tun);
	if (!s->tun.down && mtu > 0)
		(void)stack_set_mtu(s->stack, (uint32_t)mtu);
	watch_state(s);
	(void)device_watch(s);
}

/* Traces hold frames: head gets a made-up Ethernet header in its headroom. */
static void trace(struct serve *s, uint8_t *head, uint32_t head_len, const uint8_t *body,
		  uint32_t body_len, const struct offload *off)
{
	struct packet p = { .head = head - TUN_ETH,
			    .head_len = head_len + TUN_ETH,
			    .body = body,
			    .body_len = body_len,
			    .off = *off };

	if (tun_eth_header(*head, p.head) != 0)
		return;
	if (p.off.csum == CSUM_PARTIAL)
		p.off.csum_start = (uint16_t)(p.off.csum_start + TUN_ETH);
	if (p.off.hdr_len)
		p.off.hdr_len = (uint16_t)(p.off.hdr_len + TUN_ETH);
	capture_write(s->trace, &p, s->now + s->wall_offset);
}

/* The payload in one piece: serve's scratch is free while the stack sends. */
static void trace_out(struct serve *s, const struct stack_out *p)
{
	static _Thread_local uint8_t body[PACKET_MAX];
	uint32_t n = 0;

	for (uint32_t i = 0; i < p->n && p->slice[i].len <= sizeof body - n; i++) {
		memcpy(body + n, p->slice[i].bytes, p->slice[i].len);
		n += p->slice[i].len;
	}
	trace(s, p->head, p->head_len, body, n, &p->off);
}

int device_emit(void *ctx, const struct stack_out *p)
{
	struct serve *s = ctx;
	struct iovec v[STACK_SLICES + 2];
	const uint32_t len = p->head_len + p->payload_len;
	unsigned n = 2;
	int err;

	v[1] = (struct iovec){ p->head, p->head_len };
	for (uint32_t i = 0; i < p->n; i++)
		v[n++] = (struct iovec){ (void *)(uintptr_t)p->slice[i].bytes, p->slice[i].len };
	err = tun_dev_write(&s->tun, v, n, len, &p->off);
	if (err)
		return err;
	s->counters.event[EV_PKTS_OUT]++;
	s->counters.event[EV_BYTES_OUT] += len;
	if (s->trace)
		trace_out(s, p);
	return 0;
}

/* One packet into the stack. */
static void take(struct serve *s, uint8_t *bytes, uint32_t len, const struct offload *off)
{
	struct packet p = { .head = bytes, .head_len = len, .off = *off };
	struct view v;
	enum reason why;

	s->counters.event[EV_PKTS_IN]++;
	s->counters.event[EV_BYTES_IN] += len;
	if (s->trace)
		trace(s, bytes, len, NULL, 0, off);
	why = view_parse_ip(&p, &v);
	if (why == R_NONE)
		why = stack_input(s->stack, &p, &v, s->now);
	if (why != R_NONE)
		s->counters.dropped[why]++;
}

void device_read(struct serve *s)
{
	for (unsigned i = 0; i < BURST; i++) {
		struct offload off;
		int n = tun_dev_read(&s->tun, s->packet, PACKET_MAX, &off);

		if (n <= 0)
			break;
		take(s, s->packet, (uint32_t)n, &off);
	}
	watch_state(s);
	(void)device_watch(s);
}
