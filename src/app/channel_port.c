/* SPDX-License-Identifier: MIT */
#include "app/channel_port.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include "app/clock.h"
#include "app/lines.h"
#include "port/port.h"
#include "proto/ip.h"

#define SOCKETS 2u /* IPv4, IPv6 */
#define BUFFER (1 << 20) /* bytes that a socket may keep */
#define LINES_OF_ONE (CHANNEL_TEXT_MAX / 2)
#define LOST_ASKED 2u /* one that is lost on its way is not the peer's fault */
#define LOST_AFTER SUT_MS(3000)
#define ASKED_AGAIN SUT_MS(500) /* lines of one moment may share a datagram */

/* What a peer owes. */
struct owed {
	uint32_t asked; /* since it was heard */
	sut_time since, last; /* the first of these, the last that counted */
	bool lost; /* and the log has it */
};

struct channel_port {
	struct port port;
	struct channel *channel;
	struct lines *lines;
	int fd[SOCKETS], timer, epoll;
	sut_time armed;
	struct port_stats stats;
	struct port_row rows[CHANNEL_COUNTER_COUNT];
	bool bound; /* to one address, so of its family only */
	uint16_t port_number;
	uint8_t source[SOCKETS][16];
	struct log log;
	struct log_rate said;
	bool asks; /* peers answer whatever we say */
	struct owed owed[CHANNEL_PEERS];
};

static struct channel_port *of(struct port *p)
{
	return (struct channel_port *)p;
}

/* What the channel calls. */

static void send_datagram(void *ctx, const struct endpoint *to, const uint8_t *bytes, size_t len)
{
	struct channel_port *c = ctx;
	int fd = c->fd[ip_is_mapped(to->ip) ? 0 : 1];
	struct sockaddr_storage a;
	socklen_t n = endpoint_to_socket(to, &a);

	if (fd >= 0 && sendto(fd, bytes, len, 0, (const struct sockaddr *)&a, n) >= 0) {
		c->stats.tx++;
		c->stats.tx_bytes += len;
	} else {
		c->stats.tx_dropped++;
	}
}

/* --- who is lost */

static void say_peer(struct channel_port *c, unsigned peer, const char *what, sut_time now)
{
	if (log_shows(&c->log, LOG_NOTICE) && log_may(&c->said, &c->log, now))
		log_line(&c->log, LOG_NOTICE, "agent %s: %s", channel_peer_name(c->channel, peer),
			 what);
}

static void owes(struct channel_port *c, unsigned peer, sut_time now)
{
	struct owed *o = &c->owed[peer];

	if (o->asked == 0)
		o->since = now;
	else if (now - o->last < ASKED_AGAIN)
		return;
	o->last = now;
	o->asked++;
}

static void was_heard(struct channel_port *c, unsigned peer)
{
	bool lost = c->owed[peer].lost;

	c->owed[peer] = (struct owed){ 0 };
	if (lost)
		say_peer(c, peer, "heard again", clock_now());
}

static bool is_late(const struct owed *o)
{
	return o->asked >= LOST_ASKED && !o->lost;
}

static void look_for_lost(struct channel_port *c, sut_time now)
{
	for (unsigned i = 0; i < CHANNEL_PEERS; i++) {
		if (!is_late(&c->owed[i]) || now - c->owed[i].since < LOST_AFTER)
			continue;
		c->owed[i].lost = true;
		say_peer(c, i, "lost: it does not answer", now);
	}
}

static sut_time lost_deadline(const struct channel_port *c)
{
	sut_time at = SUT_NEVER;

	for (unsigned i = 0; i < CHANNEL_PEERS; i++)
		if (is_late(&c->owed[i]) && c->owed[i].since + LOST_AFTER < at)
			at = c->owed[i].since + LOST_AFTER;
	return at;
}

static void take_line(void *ctx, unsigned peer, const char *text, size_t len)
{
	struct channel_port *c = ctx;

	was_heard(c, peer);
	if (!lines_put(c->lines, channel_peer_name(c->channel, peer), text, len))
		c->stats.rx_dropped++;
}

static void tell_unopened(void *ctx, unsigned peer)
{
	const struct channel_port *c = ctx;

	log_line(&c->log, LOG_ERROR, "peer %s: its datagrams do not open: is its key another one?",
		 channel_peer_name(c->channel, peer));
}

/* The timer. */

static sut_time deadline(const struct channel_port *c)
{
	sut_time channel = channel_deadline(c->channel), lost = lost_deadline(c);

	return lost < channel ? lost : channel;
}

static void arm(struct channel_port *c)
{
	sut_time at = deadline(c);
	struct itimerspec t = { 0 };

	if (at == c->armed)
		return;
	c->armed = at;
	if (at != SUT_NEVER) {
		t.it_value.tv_sec = (time_t)(at / 1000000000u);
		t.it_value.tv_nsec = (long)(at % 1000000000u);
		if (at == 0)
			t.it_value.tv_nsec = 1;
	}
	timerfd_settime(c->timer, TFD_TIMER_ABSTIME, &t, NULL);
}

static void expire(struct channel_port *c, sut_time now)
{
	uint64_t ticks;

	if (deadline(c) > now)
		return;
	if (read(c->timer, &ticks, sizeof ticks) < 0)
		ticks = 0; /* nothing there is as good */
	look_for_lost(c, now);
	channel_expire(c->channel, now);
}

/* The port. */

static void read_socket(struct channel_port *c, int fd, sut_time now)
{
	uint8_t bytes[CHANNEL_MAX + 1];
	struct sockaddr_storage a;
	struct endpoint from;

	for (unsigned i = 0; i < PORT_BURST && lines_room(c->lines) >= LINES_OF_ONE; i++) {
		socklen_t len = sizeof a;
		ssize_t n = recvfrom(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&a, &len);

		if (n < 0)
			return;
		c->stats.rx++;
		c->stats.rx_bytes += (uint64_t)n;
		if (endpoint_of_socket(&a, &from) == 0)
			channel_receive(c->channel, &from, bytes, (size_t)n, now);
	}
}

static int channel_recv(struct port *p, struct packet **ret_pkts, unsigned max)
{
	struct channel_port *c = of(p);
	sut_time now = clock_now();
	unsigned n;

	if (max == 0)
		return 0;
	expire(c, now);
	for (unsigned i = 0; i < SOCKETS; i++)
		if (c->fd[i] >= 0)
			read_socket(c, c->fd[i], now);
	arm(c);
	n = lines_take(c->lines, ret_pkts, max);
	p->more = !lines_are_empty(c->lines);
	return (int)n;
}

static void send_line(struct channel_port *c, const char *line, size_t len, sut_time now)
{
	const char *blank = memchr(line, ' ', len);
	size_t name = blank ? (size_t)(blank - line) : 0;
	int peer = blank ? channel_peer_index(c->channel, line, name) : -1;

	if (peer < 0) {
		c->stats.tx_dropped++;
		return;
	}
	if (c->asks) /* each line of who begins is answered */
		owes(c, (unsigned)peer, now);
	channel_put(c->channel, (unsigned)peer, blank + 1, len - name - 1, now);
}

static int channel_send(struct port *p, struct packet *const *pkts, unsigned n)
{
	struct channel_port *c = of(p);
	sut_time now = clock_now();

	for (unsigned i = 0; i < n; i++)
		send_line(c, (const char *)pkts[i]->head, pkts[i]->head_len, now);
	channel_flush(c->channel, now);
	arm(c);
	return (int)n;
}

static sut_time channel_when(const struct port *p)
{
	(void)p;
	return SUT_NEVER;
}

static int channel_fd(const struct port *p)
{
	return ((const struct channel_port *)p)->epoll;
}

static void channel_stats(struct port *p, struct port_stats *ret_s)
{
	*ret_s = of(p)->stats;
}

static unsigned channel_rows(struct port *p, const struct port_row **ret_rows)
{
	static const struct {
		const char *name, *text;
	} rows[] = {
#define X(name, text) { #name, text },
		CHANNEL_COUNTERS(X)
#undef X
	};
	struct channel_port *c = of(p);

	for (unsigned i = 0; i < CHANNEL_COUNTER_COUNT; i++)
		c->rows[i] =
			(struct port_row){ rows[i].name, rows[i].text,
					   channel_count(c->channel, (enum channel_counter)i) };
	*ret_rows = c->rows;
	return CHANNEL_COUNTER_COUNT;
}

static void channel_close_port(struct port *p)
{
	struct channel_port *c = of(p);
	const int fds[] = { c->fd[0], c->fd[1], c->timer, c->epoll };

	for (unsigned i = 0; i < ARRAY_LEN(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (c->channel)
		channel_close(c->channel);
	if (c->lines)
		lines_close(c->lines);
	free(c);
}

static const struct port_ops ops = {
	.recv = channel_recv,
	.when = channel_when,
	.send = channel_send,
	.fd = channel_fd,
	.stats = channel_stats,
	.rows = channel_rows,
	.close = channel_close_port,
};

/* Opening. */

static int watch(struct channel_port *c, int fd)
{
	struct epoll_event e = { .events = EPOLLIN };

	return epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &e) != 0 ? -errno : 0;
}

/* A socket of the family of local, bound there: 0 or -errno. */
static int open_socket(struct channel_port *c, const struct endpoint *local)
{
	bool four = ip_is_mapped(local->ip);
	int fd = socket(four ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const int on = 1, buffer = BUFFER;
	struct sockaddr_storage a;
	socklen_t len = endpoint_to_socket(local, &a);

	if (fd < 0)
		return -errno;
	c->fd[four ? 0 : 1] = fd;
	if (!four && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
	if (bind(fd, (const struct sockaddr *)&a, len) != 0)
		return -errno;
	return watch(c, fd);
}

/* Any address of one family, at this port. */
static struct endpoint any(bool four, uint16_t port)
{
	struct endpoint e = { .port = port };

	if (four)
		ip4_map((const uint8_t[4]){ 0 }, e.ip);
	return e;
}

/* The socket of one family, at any address or the one that is told for it. */
static int open_family(struct channel_port *c, unsigned i)
{
	struct endpoint e = any(i == 0, c->port_number);

	if (c->fd[i] >= 0)
		return 0;
	if (!ip_is_zero(c->source[i]))
		memcpy(e.ip, c->source[i], 16);
	return open_socket(c, &e);
}

static int open_for(struct channel_port *c, const struct channel_peer *peer, unsigned n)
{
	int err = 0;

	for (unsigned i = 0; i < n && err == 0 && !c->bound; i++)
		err = open_family(c, ip_is_mapped(peer[i].at.ip) ? 0 : 1);
	return err;
}

/* The sockets: where a local address is told only its family. */
static int open_sockets(struct channel_port *c, const struct channel_port_config *cfg)
{
	c->bound = !ip_is_zero(cfg->local.ip);
	c->port_number = cfg->local.port;
	memcpy(c->source, cfg->source, sizeof c->source);
	return c->bound ? open_socket(c, &cfg->local)
			: open_for(c, cfg->channel.peer, cfg->channel.peers);
}

static int open_all(struct channel_port *c, const struct channel_port_config *cfg)
{
	struct channel_config ch = cfg->channel;

	ch.send = send_datagram;
	ch.line = take_line;
	ch.unopened = tell_unopened;
	ch.ctx = c;
	c->lines = lines_open();
	c->channel = channel_open(&ch);
	if (!c->lines || !c->channel)
		return -ENOMEM;
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	c->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (c->epoll < 0 || c->timer < 0 || watch(c, c->timer) != 0)
		return -errno;
	return open_sockets(c, cfg);
}

int channel_port_open(const struct channel_port_config *cfg, struct port **ret_p, char *ret_err,
		      size_t err_size)
{
	struct channel_port *c = calloc(1, sizeof *c);
	char at[ENDPOINT_TEXT] = "";
	int err;

	if (!c)
		return -ENOMEM;
	c->port.ops = &ops;
	c->fd[0] = c->fd[1] = c->timer = c->epoll = -1;
	c->armed = SUT_NEVER;
	c->log = cfg->log;
	c->asks = cfg->channel.begins;
	if (!ip_is_zero(cfg->local.ip))
		endpoint_write(&cfg->local, at);
	snprintf(c->port.name, sizeof c->port.name, "channel%s%s", *at ? ":" : "", at);
	err = open_all(c, cfg);
	if (err) {
		snprintf(ret_err, err_size, "%s: %s", c->port.name,
			 err == -EADDRNOTAVAIL ? "no address of this host" : strerror(-err));
		channel_close_port(&c->port);
		return err;
	}
	arm(c);
	*ret_p = &c->port;
	return 0;
}

void channel_port_rekey(struct port *p, const struct channel_keys *k)
{
	channel_rekey(of(p)->channel, k, clock_now());
	arm(of(p));
}

int channel_port_add(struct port *p, const struct channel_peer *peer, unsigned n, char *ret_err,
		     size_t err_size)
{
	struct channel_port *c = of(p);
	int err = open_for(c, peer, n);

	for (unsigned i = 0; i < n && err == 0; i++)
		err = channel_add(c->channel, &peer[i]);
	if (err)
		snprintf(ret_err, err_size, "%s: %s", c->port.name, strerror(-err));
	arm(c);
	return err;
}

void channel_port_drop(struct port *p, const char *name)
{
	int i = channel_peer_index(of(p)->channel, name, strlen(name));

	if (i >= 0)
		of(p)->owed[i] = (struct owed){ 0 };
	channel_drop(of(p)->channel, name);
	arm(of(p));
}

void channel_port_log(struct port *p, const struct log *l)
{
	of(p)->log = *l;
}
