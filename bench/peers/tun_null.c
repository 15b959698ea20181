/* SPDX-License-Identifier: MIT */
/*
 * tun_null - an endpoint over a TUN device that does TCP's form and nothing else: the limit of what any stack can reach there.
 *
 *	tun_null DEVICE plain|vnet
 *
 * IPv4; ports: 9 takes bytes and looks at none, 19 sends the same bytes for ever.  No buffers, no reassembly, no copies, no congestion
 * control, one table of a few connections.  What is lost is asked for or sent again from the first missing byte on.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <linux/virtio_net.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>

#include "tun_dev.h"

enum { CONNS = 64, READS = 64, ROOM = 70000, MSS = 1460, SUPER = 44 * MSS };
#define WINDOW_PLAIN (256u << 10)
#define WINDOW_VNET (4u << 20)
#define SCALE 7

struct end {
	bool used, source, dirty;
	struct in_addr us, them;
	uint16_t our_port, their_port;
	uint32_t nxt, una, rcv; /* host order */
	uint32_t window; /* theirs */
	unsigned scale, dups;
	uint64_t moved; /* ms: when una moved last */
};

struct peer {
	int fd;
	bool vnet;
	struct end end[CONNS];
};

struct head {
	struct virtio_net_hdr vnet;
	struct iphdr ip;
	struct tcphdr tcp;
	uint8_t options[8];
} __attribute__((packed));

static uint8_t fill[SUPER];

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

static uint32_t sum(const void *p, size_t n, uint32_t s)
{
	const uint8_t *b = p;

	for (; n > 1; n -= 2, b += 2)
		s += (uint32_t)b[0] << 8 | b[1];
	return n ? s + ((uint32_t)b[0] << 8) : s;
}

static uint16_t fold(uint32_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)s;
}

/* The payload of source is all zero: it adds nothing to a checksum. */
static void emit(struct peer *p, struct end *e, uint32_t seq, uint32_t len, uint8_t flags)
{
	unsigned opt = flags & TH_SYN ? 8 : 0, l4 = 20 + opt + len;
	struct head h = { .ip = { .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_TCP } };
	struct iovec v[2];
	size_t skip = p->vnet ? 0 : sizeof(h.vnet);
	uint32_t pseudo;
	uint16_t s;

	h.ip.tot_len = htons((uint16_t)(20 + l4));
	h.ip.saddr = e->us.s_addr;
	h.ip.daddr = e->them.s_addr;
	h.ip.check = htons((uint16_t)~fold(sum(&h.ip, 20, 0)));
	h.tcp.source = htons(e->our_port);
	h.tcp.dest = htons(e->their_port);
	h.tcp.seq = htonl(seq);
	h.tcp.ack_seq = htonl(e->rcv);
	h.tcp.doff = (5 + opt / 4) & 15;
	((uint8_t *)&h.tcp)[13] = flags;
	h.tcp.window = htons(flags & TH_SYN
				     ? 65535
				     : (uint16_t)((p->vnet ? WINDOW_VNET : WINDOW_PLAIN) >> SCALE));
	memcpy(h.options, (uint8_t[]){ 2, 4, MSS >> 8, MSS & 255, 1, 3, 3, SCALE }, 8);
	pseudo = sum(&h.ip.saddr, 8, IPPROTO_TCP + l4);
	if (p->vnet) {
		s = fold(pseudo);
		h.vnet = (struct virtio_net_hdr){
			.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			.hdr_len = 40,
			.csum_start = 20,
			.csum_offset = 16,
			.gso_type = len > MSS ? VIRTIO_NET_HDR_GSO_TCPV4 : 0,
			.gso_size = len > MSS ? MSS : 0,
		};
	} else {
		s = (uint16_t)~fold(sum(&h.tcp, 20 + opt, pseudo));
	}
	h.tcp.check = htons(s);
	v[0] = (struct iovec){ (uint8_t *)&h + skip, sizeof(h.vnet) + 40 + opt - skip };
	v[1] = (struct iovec){ fill, len };
	if (writev(p->fd, v, len ? 2 : 1) < 0 && errno != EAGAIN && errno != ENOBUFS)
		err(1, "write");
}

static struct end *find(struct peer *p, const struct iphdr *ip, const struct tcphdr *t)
{
	struct end *free_one = NULL;

	for (struct end *e = p->end; e < p->end + CONNS; e++) {
		if (!e->used && !free_one)
			free_one = e;
		if (e->used && e->them.s_addr == ip->saddr && e->their_port == ntohs(t->source) &&
		    e->our_port == ntohs(t->dest))
			return e;
	}
	if (t->syn && free_one)
		*free_one = (struct end){ .us.s_addr = ip->daddr,
					  .them.s_addr = ip->saddr,
					  .our_port = ntohs(t->dest),
					  .their_port = ntohs(t->source) };
	return t->syn ? free_one : NULL;
}

static unsigned scale_of(const struct tcphdr *t)
{
	const uint8_t *o = (const uint8_t *)(t + 1), *end = (const uint8_t *)t + t->doff * 4;

	while (o < end && *o != 0) {
		if (*o == 3)
			return o[2];
		o += *o == 1 ? 1 : o[1] ? o[1] : 40;
	}
	return 0;
}

static void pour(struct peer *p, struct end *e)
{
	uint32_t most = p->vnet ? SUPER : MSS;

	for (;;) {
		uint32_t left = e->una + e->window - e->nxt;

		if ((int32_t)left < MSS)
			return;
		left = left < most ? left - left % MSS : most;
		emit(p, e, e->nxt, left, TH_ACK | TH_PUSH);
		e->nxt += left;
	}
}

static void take_ack(struct end *e, const struct tcphdr *t)
{
	uint32_t ack = ntohl(t->ack_seq);

	e->window = (uint32_t)ntohs(t->window) << e->scale;
	if ((int32_t)(ack - e->una) > 0) {
		e->una = ack;
		e->dups = 0;
		e->moved = now_ms();
	} else if (++e->dups == 3) {
		e->nxt = e->una;
	}
}

static void take(struct peer *p, const uint8_t *b, size_t n)
{
	const struct iphdr *ip = (const void *)b;
	const struct tcphdr *t = (const void *)(b + 20);
	struct end *e;
	uint32_t len;

	if (n < 40 || ip->version != 4 || ip->ihl != 5 || ip->protocol != IPPROTO_TCP)
		return;
	e = find(p, ip, t);
	if (!e)
		return;
	if (t->rst) {
		e->used = false;
		return;
	}
	if (t->syn) {
		e->used = true;
		e->source = e->our_port == 19;
		e->rcv = ntohl(t->seq) + 1;
		e->scale = scale_of(t);
		e->una = e->nxt = 1001;
		emit(p, e, 1000, 0, TH_SYN | TH_ACK);
		return;
	}
	len = (uint32_t)n - 20 - t->doff * 4u;
	if (ntohl(t->seq) == e->rcv)
		e->rcv += len;
	take_ack(e, t);
	if (t->fin && ntohl(t->seq) + len == e->rcv) {
		e->rcv++;
		emit(p, e, e->nxt, 0, TH_ACK | TH_FIN);
		e->used = false;
		return;
	}
	e->dirty = true;
}

static void after_batch(struct peer *p)
{
	for (struct end *e = p->end; e < p->end + CONNS; e++) {
		if (!e->used)
			continue;
		if (e->source) {
			if (e->nxt != e->una && now_ms() - e->moved > 200) {
				e->nxt = e->una;
				e->moved = now_ms();
			}
			pour(p, e);
		} else if (e->dirty) {
			emit(p, e, e->nxt, 0, TH_ACK);
		}
		e->dirty = false;
	}
}

int main(int argc, char **argv)
{
	static uint8_t room[ROOM];
	static struct peer p;
	size_t skip;

	if (argc != 3 || (strcmp(argv[2], "plain") != 0 && strcmp(argv[2], "vnet") != 0)) {
		fprintf(stderr, "usage: tun_null DEVICE plain|vnet\n");
		return 2;
	}
	p.vnet = strcmp(argv[2], "vnet") == 0;
	p.fd = tun_dev_open(argv[1], p.vnet);
	skip = p.vnet ? TUN_VNET : 0;
	puts("ready");
	fflush(stdout);
	for (;;) {
		struct pollfd f = { .fd = p.fd, .events = POLLIN };

		if (poll(&f, 1, 100) < 0 && errno != EINTR)
			err(1, "poll");
		for (int i = 0; i < READS; i++) {
			ssize_t n = read(p.fd, room, sizeof(room));

			if (n <= (ssize_t)skip)
				break;
			take(&p, room + skip, (size_t)n - skip);
		}
		after_batch(&p);
	}
}
