/* SPDX-License-Identifier: MIT */
/*
 * tun_lwip - a small server on lwIP over a TUN device: what our own stack is compared with.
 *
 *	tun_lwip DEVICE ADDRESS NETMASK GATEWAY
 *
 * Ports: 7 echo, 9 discard, 19 chargen, 80 answers whatever is asked with 200 bytes and closes.  IPv4, as the callback interface
 * of the library has it, in one thread but for the library's timers: the fastest that Debian's build of it can be driven without
 * being built anew.  Its windows are what that build says (128 KB).
 */
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lwip/init.h>
#include <lwip/ip4.h>
#include <lwip/netif.h>
#include <lwip/tcp.h>
#include <lwip/tcpip.h>

#include "tun_dev.h"

enum { PACKET = 1600, READS = 64, CHUNK = 32768 };

static int device; /* lwIP's netif has a state pointer of its own; one device is all there is */
static unsigned char fill[CHUNK];

static const char answer[] = "HTTP/1.0 200 OK\r\nContent-Length: 136\r\nConnection: close\r\n\r\n"
			     "0123456789012345678901234567890123456789012345678901234567890123"
			     "0123456789012345678901234567890123456789012345678901234567890123"
			     "\r\n\r\n\r\n\r\n";

static err_t send_packet(struct netif *n, struct pbuf *p, const ip4_addr_t *to)
{
	unsigned char flat[PACKET];
	const void *bytes = p->payload;

	(void)n;
	(void)to;
	if (p->next) {
		if (p->tot_len > sizeof(flat))
			return ERR_BUF;
		pbuf_copy_partial(p, flat, p->tot_len, 0);
		bytes = flat;
	}
	/* A device that is full loses the packet, as a link does. */
	return write(device, bytes, p->tot_len) < 0 && errno != EAGAIN ? ERR_IF : ERR_OK;
}

static err_t netif_up(struct netif *n)
{
	n->name[0] = 't';
	n->name[1] = 'n';
	n->output = send_packet;
	n->mtu = 1500;
	n->flags = NETIF_FLAG_UP | NETIF_FLAG_LINK_UP;
	return ERR_OK;
}

static err_t discard(void *arg, struct tcp_pcb *c, struct pbuf *p, err_t e)
{
	(void)arg;
	(void)e;
	if (!p) {
		tcp_close(c);
		return ERR_OK;
	}
	tcp_recved(c, p->tot_len);
	pbuf_free(p);
	return ERR_OK;
}

static err_t echo(void *arg, struct tcp_pcb *c, struct pbuf *p, err_t e)
{
	if (!p)
		return discard(arg, c, p, e);
	for (struct pbuf *q = p; q; q = q->next)
		if (tcp_write(c, q->payload, q->len, TCP_WRITE_FLAG_COPY) != ERR_OK)
			return ERR_MEM; /* comes again */
	return discard(arg, c, p, e);
}

static void pour(struct tcp_pcb *c)
{
	for (;;) {
		unsigned room = tcp_sndbuf(c);

		if (room == 0 ||
		    tcp_write(c, fill, (u16_t)(room < CHUNK ? room : CHUNK), 0) != ERR_OK)
			break;
	}
	tcp_output(c);
}

static err_t poured(void *arg, struct tcp_pcb *c, u16_t n)
{
	(void)arg;
	(void)n;
	pour(c);
	return ERR_OK;
}

static err_t one_answer(void *arg, struct tcp_pcb *c, struct pbuf *p, err_t e)
{
	if (!p)
		return discard(arg, c, p, e);
	discard(arg, c, p, e);
	tcp_write(c, answer, sizeof(answer) - 1, 0);
	tcp_close(c);
	return ERR_OK;
}

static err_t taken(void *arg, struct tcp_pcb *c, err_t e)
{
	tcp_recv_fn on_data = (tcp_recv_fn)0;

	(void)e;
	switch (*(const u16_t *)arg) {
	case 7:
		on_data = echo;
		break;
	case 80:
		on_data = one_answer;
		break;
	default:
		on_data = discard;
		break;
	}
	tcp_recv(c, on_data);
	if (*(const u16_t *)arg == 19) {
		tcp_sent(c, poured);
		pour(c);
	}
	return ERR_OK;
}

static void listen_on(const u16_t *port)
{
	struct tcp_pcb *l = tcp_new();

	if (!l || tcp_bind(l, IP_ADDR_ANY, *port) != ERR_OK)
		errx(1, "port %u", *port);
	l = tcp_listen_with_backlog(l, 255);
	tcp_arg(l, (void *)(uintptr_t)port);
	tcp_accept(l, taken);
}

static void take_packets(struct netif *n)
{
	for (int i = 0; i < READS; i++) {
		unsigned char bytes[PACKET];
		ssize_t len = read(device, bytes, sizeof(bytes));
		struct pbuf *p;

		if (len <= 0)
			return;
		p = pbuf_alloc(PBUF_RAW, (u16_t)len, PBUF_RAM);
		if (!p)
			continue;
		pbuf_take(p, bytes, (u16_t)len);
		if (n->input(p, n) != ERR_OK)
			pbuf_free(p);
	}
}

int main(int argc, char **argv)
{
	static const u16_t ports[] = { 7, 9, 19, 80 };
	static struct netif n;
	ip4_addr_t ip, mask, gateway;

	if (argc != 5 || !ip4addr_aton(argv[2], &ip) || !ip4addr_aton(argv[3], &mask) ||
	    !ip4addr_aton(argv[4], &gateway)) {
		fprintf(stderr, "usage: tun_lwip DEVICE ADDRESS NETMASK GATEWAY\n");
		return 2;
	}
	device = tun_dev_open(argv[1], false);
	tcpip_init(NULL, NULL);
	LOCK_TCPIP_CORE();
	if (!netif_add(&n, &ip, &mask, &gateway, NULL, netif_up, ip4_input))
		errx(1, "lwIP takes no device");
	netif_set_default(&n);
	netif_set_up(&n);
	for (unsigned i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
		listen_on(&ports[i]);
	UNLOCK_TCPIP_CORE();
	puts("ready");
	fflush(stdout);
	for (;;) {
		struct pollfd p = { .fd = device, .events = POLLIN };

		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			err(1, "poll");
		LOCK_TCPIP_CORE();
		take_packets(&n);
		UNLOCK_TCPIP_CORE();
	}
}
