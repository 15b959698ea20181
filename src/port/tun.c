/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * One read or write a packet: there is no recvmmsg for a TUN device.  A burst is up to 64 reads, fewer where packets are long, so that it does not sweep
 * the cache (as in if.c).  A device that was removed would be ready for ever: so the descriptor that is waited on is an epoll
 * set of our own, which the device leaves for that time.
 */
#include "port/tun.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/epoll.h>

#include "base/be.h"
#include "port/arena.h"
#include "port/port.h"
#include "port/tun_dev.h"
#include "port/tun_link.h"

#define BURST_BYTES (512u << 10)
#define BURST_MIN 8u
#define ADDRS_MAX 8u

enum { TYPE_IP4 = 0x0800, TYPE_IP6 = 0x86dd };

/* What a specification says. */
struct tun_spec {
	char name[IFNAMSIZ];
	bool no_offload;
	uint32_t mtu; /* 0: as it is */
	struct link_addr addr[ADDRS_MAX];
	unsigned addrs;
};

struct tun_port {
	struct port port;
	struct tun_dev dev;
	struct tun_spec spec;
	struct arena *arena;
	int epoll; /* holds the device, while there is one */
	bool watched;
	unsigned burst; /* packets to read at once */
};

static struct tun_port *tun_of(struct port *p)
{
	return (struct tun_port *)p;
}

/* Specifications. */

static int bad(char *ret_err, size_t size, const char *spec, const char *why)
{
	snprintf(ret_err, size,
		 "tun:%s: %s; expected tun:NAME[,no-offload][,mtu=N][,addr=ADDR/BITS]...", spec,
		 why);
	return -EINVAL;
}

/* One word behind the name: NULL, or what is wrong with it. */
static const char *read_word(struct tun_spec *s, const char *word)
{
	unsigned long n;
	char *end;

	if (strcmp(word, "no-offload") == 0) {
		s->no_offload = true;
		return NULL;
	}
	if (strncmp(word, "mtu=", 4) == 0) {
		n = strtoul(word + 4, &end, 10);
		s->mtu = (uint32_t)n;
		return *end || n < 68 || n > 65535 ? "the MTU is 68 to 65535" : NULL;
	}
	if (strncmp(word, "addr=", 5) == 0) {
		if (s->addrs == ADDRS_MAX)
			return "too many addresses";
		return link_addr_parse(word + 5, &s->addr[s->addrs++]) == 0 ? NULL
									    : "not an address";
	}
	return "an unknown word";
}

static int read_spec(const char *spec, struct tun_spec *ret_s, char *ret_err, size_t err_size)
{
	size_t len = strcspn(spec, ",");
	struct tun_spec s = { 0 };
	const char *why = NULL;

	if (len == 0 || len >= sizeof s.name)
		return bad(ret_err, err_size, spec, "device names have 1 to 15 characters");
	memcpy(s.name, spec, len);
	for (const char *p = spec + len; *p && !why; p += strcspn(p, ",")) {
		char word[64];
		size_t n = strcspn(++p, ",");

		snprintf(word, sizeof word, "%.*s", n < sizeof word ? (int)n : 0, p);
		why = read_word(&s, word);
	}
	if (why)
		return bad(ret_err, err_size, spec, why);
	*ret_s = s;
	return 0;
}

int tun_check(const char *name, char *ret_err, size_t err_size)
{
	struct tun_spec s;

	return read_spec(name, &s, ret_err, err_size);
}

/* Receiving. */

int tun_eth_header(uint8_t first, uint8_t ret_eth[TUN_ETH])
{
	static const uint8_t addrs[12] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1 };
	const unsigned version = first >> 4;

	if (version != 4 && version != 6)
		return -EPROTONOSUPPORT;
	memcpy(ret_eth, addrs, sizeof addrs);
	store_be16(ret_eth + 12, version == 4 ? TYPE_IP4 : TYPE_IP6);
	return 0;
}

/* The device is waited on while it is there: 0 or -errno. */
static int update_watch(struct tun_port *t)
{
	struct epoll_event ev = { .events = EPOLLIN };

	if (t->watched == !t->dev.gone)
		return 0;
	t->watched = !t->dev.gone;
	return epoll_ctl(t->epoll, t->watched ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, t->dev.fd, &ev) < 0
		       ? -errno
		       : 0;
}

static void mirror_state(struct tun_port *t)
{
	t->port.down = t->dev.down;
	(void)update_watch(t);
}

/* Is the device back?  What it was given is given to it again. */
static int revive(struct tun_port *t)
{
	const struct tun_spec *s = &t->spec;
	bool was_gone = t->dev.gone;
	int err = tun_dev_revive(&t->dev);

	/* one that was made anew has nothing; one that was down has lost its IPv6 addresses */
	if (err == 0 || (was_gone && !t->dev.gone))
		(void)link_configure(s->name, s->mtu, 0, s->addr, s->addrs, t->port.error,
				     sizeof t->port.error);
	mirror_state(t);
	return err;
}

/* Reads into slot i: bytes of the frame, 0: none is there, or -errno.  ret_p is NULL where it was no IP packet. */
static int read_one(struct tun_port *t, unsigned i, struct packet **ret_p)
{
	uint8_t *head = arena_slot(t->arena, i);
	struct packet *p = &t->arena->pkt[i];
	struct offload off;
	int n = tun_dev_read(&t->dev, head + TUN_ETH, PACKET_MAX - TUN_ETH, &off);

	if (n <= 0)
		return n;
	*ret_p = NULL;
	if (tun_eth_header(head[TUN_ETH], head) != 0) {
		t->dev.stats.rx_errors++;
		return n;
	}
	if (off.csum == CSUM_PARTIAL)
		off.csum_start = (uint16_t)(off.csum_start + TUN_ETH);
	if (off.hdr_len)
		off.hdr_len = (uint16_t)(off.hdr_len + TUN_ETH);
	*p = (struct packet){ .head = head, .head_len = (uint32_t)n + TUN_ETH, .off = off };
	*ret_p = p;
	return n;
}

/* Adapts the length of bursts to the length of packets. */
static void tune_burst(struct tun_port *t, unsigned got, uint64_t bytes)
{
	if (bytes > BURST_BYTES && t->burst > BURST_MIN)
		t->burst /= 2;
	else if (bytes < BURST_BYTES / 4 && got == t->burst && t->burst < PORT_BURST)
		t->burst *= 2;
}

static int tun_recv(struct port *port, struct packet **ret_pkts, unsigned max)
{
	struct tun_port *t = tun_of(port);
	unsigned want = max < t->burst ? max : t->burst, n = 0, i;
	uint64_t bytes = 0;
	int got = 0;

	if (port->down && revive(t) != 0)
		return -ENETDOWN;
	for (i = 0; i < want; i++) {
		got = read_one(t, i, &ret_pkts[n]);
		if (got <= 0)
			break;
		bytes += (unsigned)got;
		n += ret_pkts[n] != NULL;
	}
	tune_burst(t, i, bytes);
	mirror_state(t);
	if (got < 0 && got != -ENETDOWN)
		snprintf(port->error, sizeof port->error, "receive: %s", strerror(-got));
	if (got < 0 && n == 0)
		return got;
	return (int)n;
}

static sut_time tun_when(const struct port *p)
{
	(void)p;
	return SUT_NEVER;
}

/* Sending. */

/* Writes p without its Ethernet header: 0, or as tun_dev_write(). */
static int write_one(struct tun_port *t, const struct packet *p)
{
	struct iovec v[3];
	struct offload off = p->off;
	uint16_t type = p->head_len > TUN_ETH ? load_be16(p->head + 12) : 0;

	if (type != TYPE_IP4 && type != TYPE_IP6) {
		t->dev.stats.tx_dropped++;
		return -EPROTONOSUPPORT;
	}
	if (off.csum == CSUM_PARTIAL)
		off.csum_start = (uint16_t)(off.csum_start - TUN_ETH);
	if (off.hdr_len > TUN_ETH)
		off.hdr_len = (uint16_t)(off.hdr_len - TUN_ETH);
	v[1] = (struct iovec){ p->head + TUN_ETH, p->head_len - TUN_ETH };
	v[2] = (struct iovec){ (void *)(uintptr_t)p->body, p->body_len };
	return tun_dev_write(&t->dev, v, p->body_len ? 3 : 2, packet_len(p) - TUN_ETH, &off);
}

static int tun_send(struct port *port, struct packet *const *pkts, unsigned n)
{
	struct tun_port *t = tun_of(port);
	unsigned done = 0;

	while (done < n && write_one(t, pkts[done]) != -EAGAIN)
		done++;
	mirror_state(t);
	return (int)done;
}

static int tun_fd(const struct port *p)
{
	return ((const struct tun_port *)p)->epoll;
}

static void tun_stats(struct port *p, struct port_stats *ret_s)
{
	*ret_s = tun_of(p)->dev.stats;
}

static void tun_close(struct port *p)
{
	struct tun_port *t = tun_of(p);

	if (t->epoll >= 0)
		close(t->epoll);
	tun_dev_close(&t->dev);
	free(t);
}

static const struct port_ops tun_ops = {
	.recv = tun_recv,
	.when = tun_when,
	.send = tun_send,
	.fd = tun_fd,
	.stats = tun_stats,
	.close = tun_close,
};

static int open_all(struct tun_port *t, char *ret_err, size_t err_size)
{
	const struct tun_spec *s = &t->spec;
	int err = tun_dev_open(&t->dev, s->name, !s->no_offload, ret_err, err_size);

	if (err == 0)
		err = link_configure(s->name, s->mtu, 0, s->addr, s->addrs, ret_err, err_size);
	if (err)
		return err;
	t->epoll = epoll_create1(EPOLL_CLOEXEC);
	err = t->epoll < 0 ? -errno : update_watch(t);
	if (err)
		snprintf(ret_err, err_size, "tun:%s: epoll: %s", s->name, strerror(-err));
	return err;
}

int tun_open(const char *name, struct arena *a, struct port **ret_p, char *ret_err, size_t err_size)
{
	struct tun_port *t;
	int err;

	t = calloc(1, sizeof *t);
	if (!t) {
		snprintf(ret_err, err_size, "tun:%s: out of memory", name);
		return -ENOMEM;
	}
	t->port.ops = &tun_ops;
	t->arena = a;
	t->burst = PORT_BURST;
	t->epoll = t->dev.fd = t->dev.control = -1;
	err = read_spec(name, &t->spec, ret_err, err_size);
	if (err == 0)
		err = open_all(t, ret_err, err_size);
	if (err) {
		tun_close(&t->port);
		return err;
	}
	*ret_p = &t->port;
	return 0;
}
