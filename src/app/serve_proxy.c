/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * Each connection of ours gets one of the kernel's, to the first of HOST's addresses that takes it.  Both directions are pulled: from our
 * receive buffer as much as the kernel's socket takes, straight from the slices; from the kernel's socket by looking (MSG_PEEK) at as much as our
 * send buffer takes, and taking that (MSG_TRUNC): nothing is kept in here.  The kernel's descriptor is waited on edge-triggered, so that both
 * directions are tried at either side's event.  A FIN goes on as a FIN in its direction; when both have, the kernel's socket is closed.
 * An error or a reset of either side resets the other.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <linux/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "app/serve_service.h"

#define TARGETS 8u

struct proxy_target {
	struct sockaddr_storage addr[TARGETS];
	socklen_t len[TARGETS];
	unsigned n;
};

/* Opening a port. */

/* Splits "HOST:PORT" or "[ADDR6]:PORT": 0 or -EINVAL. */
static int split(const char *arg, char ret_host[256], char ret_port[8])
{
	const char *colon = strrchr(arg, ':');
	size_t n = colon ? (size_t)(colon - arg) : 0;

	if (n && arg[0] == '[' && arg[n - 1] == ']')
		arg++, n -= 2;
	if (n == 0 || n >= 256 || strlen(colon + 1) == 0 || strlen(colon + 1) >= 8)
		return -EINVAL;
	/* getaddrinfo() would take the low 16 bits of a larger number */
	if (strspn(colon + 1, "0123456789") == strlen(colon + 1) &&
	    (atoi(colon + 1) < 1 || atoi(colon + 1) > 65535))
		return -EINVAL;
	memcpy(ret_host, arg, n);
	ret_host[n] = 0;
	memcpy(ret_port, colon + 1, strlen(colon + 1) + 1);
	return 0;
}

static int proxy_check(const char *arg, char *ret_err, size_t err_size)
{
	char host[256], port[8];
	int err = split(arg, host, port);

	if (err)
		snprintf(ret_err, err_size, "'%s' is not HOST:PORT", arg);
	return err;
}

/* Looking a name up needs what a running process has given up. */
static int proxy_start(struct serve_port *p, const char *arg, char *ret_err, size_t err_size)
{
	const struct addrinfo hints = { .ai_flags = p->late ? AI_NUMERICHOST | AI_NUMERICSERV : 0,
					.ai_socktype = SOCK_STREAM,
					.ai_protocol = IPPROTO_TCP };
	struct addrinfo *list = NULL;
	char host[256], port[8];
	int err = split(arg, host, port);

	if (err) {
		snprintf(ret_err, err_size, "'%s' is not HOST:PORT", arg);
		return err;
	}
	err = getaddrinfo(host, port, &hints, &list);
	if (err && p->late) {
		snprintf(ret_err, err_size,
			 "%s: names are looked up at the start only: give an address, or restart",
			 arg);
		return -EINVAL;
	}
	if (err) {
		snprintf(ret_err, err_size, "%s: %s", arg, gai_strerror(err));
		return -EINVAL;
	}
	p->target = calloc(1, sizeof *p->target);
	for (const struct addrinfo *a = list; p->target && a && p->target->n < TARGETS;
	     a = a->ai_next) {
		unsigned i = p->target->n++;

		memcpy(&p->target->addr[i], a->ai_addr, a->ai_addrlen);
		p->target->len[i] = a->ai_addrlen;
	}
	freeaddrinfo(list);
	if (!p->target)
		snprintf(ret_err, err_size, "%s: out of memory", arg);
	return p->target ? 0 : -ENOMEM;
}

static void proxy_stop(struct serve_port *p)
{
	free(p->target);
	p->target = NULL;
}

/* Connecting. */

static void close_kernel(struct serve_conn *c)
{
	if (c->proxy.fd >= 0)
		close(c->proxy.fd);
	c->proxy.fd = -1;
}

/* Tries the next address: 0, or -errno if there is none left. */
static int connect_next(struct serve *s, struct serve_conn *c)
{
	const struct proxy_target *t = c->port->target;
	int err = -ECONNREFUSED, one = 1;

	while (c->proxy.next < t->n) {
		unsigned i = c->proxy.next++;
		int fd = socket(t->addr[i].ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
				IPPROTO_TCP);

		if (fd < 0)
			return -errno;
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		err = connect(fd, (const struct sockaddr *)&t->addr[i], t->len[i]) < 0 ? -errno : 0;
		if (err == 0 || err == -EINPROGRESS)
			err = serve_watch(s, c, fd);
		if (err == 0) {
			c->proxy.fd = fd;
			c->proxy.connecting = true;
			return 0;
		}
		close(fd);
	}
	return err;
}

static void proxy_open(struct serve *s, struct serve_conn *c)
{
	c->proxy = (struct proxy_conn){ .fd = -1 };
	if (connect_next(s, c) != 0)
		serve_abort(s, c, "refused");
}

/* Did it connect?  1: yes; 0: not yet; -errno: to none of the addresses. */
static int connected(struct serve *s, struct serve_conn *c, uint32_t events)
{
	int err = 0;
	socklen_t len = sizeof err;

	if (!(events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
		return 0;
	if (getsockopt(c->proxy.fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		err = errno;
	if (err == 0) {
		c->proxy.connecting = false;
		return 1;
	}
	close_kernel(c);
	return connect_next(s, c);
}

/* Moving bytes.  Each returns 0 when it can do no more for now, or -errno: c is to end. */

static int to_kernel(struct serve *s, struct serve_conn *c)
{
	struct stack *t = serve_stack(s);

	while (!c->proxy.in_done) {
		struct stack_slice slice[STACK_SLICES];
		struct iovec v[STACK_SLICES];
		struct msghdr m = { .msg_iov = v };
		int n = stack_peek_slices(t, c->id, slice, STACK_SLICES);
		ssize_t done;

		if (n == -EAGAIN)
			return 0;
		if (n < 0)
			return n;
		if (n == 0) {
			c->proxy.in_done = true;
			(void)shutdown(c->proxy.fd, SHUT_WR);
			return 0;
		}
		for (int i = 0; i < n; i++)
			v[i] = (struct iovec){ (void *)(uintptr_t)slice[i].bytes, slice[i].len };
		m.msg_iovlen = (size_t)n;
		done = sendmsg(c->proxy.fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (done < 0)
			return errno == EAGAIN ? 0 : -errno;
		(void)stack_consume(t, c->id, (size_t)done, serve_now(s));
	}
	return 0;
}

static int from_kernel(struct serve *s, struct serve_conn *c)
{
	struct stack *t = serve_stack(s);
	uint8_t *bytes = serve_scratch(s);

	while (!c->proxy.out_done) {
		ssize_t n = recv(c->proxy.fd, bytes, SERVE_SCRATCH, MSG_PEEK | MSG_DONTWAIT);
		int done;

		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (n == 0) {
			c->proxy.out_done = true;
			return stack_shutdown(t, c->id, serve_now(s));
		}
		done = stack_write(t, c->id, bytes, (size_t)n, serve_now(s));
		if (done < 0)
			return done == -EAGAIN ? 0 : done;
		c->put += (unsigned)done;
		/* taken without being copied again */
		if (recv(c->proxy.fd, NULL, (size_t)done, MSG_TRUNC | MSG_DONTWAIT) != done)
			return -EIO;
	}
	return 0;
}

static void proxy_ready(struct serve *s, struct serve_conn *c)
{
	int err;

	if (c->proxy.fd < 0 || c->proxy.connecting)
		return;
	err = to_kernel(s, c);
	if (err == 0)
		err = from_kernel(s, c);
	if (err)
		serve_abort(s, c, "reset");
	else if (c->proxy.in_done && c->proxy.out_done)
		close_kernel(c); /* the stack tells when both FINs are acknowledged */
}

static void proxy_kernel(struct serve *s, struct serve_conn *c, uint32_t events)
{
	if (c->proxy.fd < 0)
		return;
	if (c->proxy.connecting) {
		int n = connected(s, c, events);

		if (n < 0)
			serve_abort(s, c, "refused");
		if (n <= 0)
			return;
	}
	proxy_ready(s, c);
}

static void proxy_closed(struct serve *s, struct serve_conn *c)
{
	const struct linger reset = { .l_onoff = 1 };

	(void)s;
	/* cut off: the kernel's end is to hear of it as its peer would have */
	if (c->proxy.fd >= 0 && !(c->proxy.in_done && c->proxy.out_done))
		(void)setsockopt(c->proxy.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	close_kernel(c);
}

const struct service service_proxy = {
	.name = "proxy",
	.arg = "HOST:PORT",
	.help = "pass the connection on to HOST:PORT, by the kernel's TCP",
	.check = proxy_check,
	.start = proxy_start,
	.stop = proxy_stop,
	.open = proxy_open,
	.ready = proxy_ready,
	.closed = proxy_closed,
	.kernel = proxy_kernel,
};
