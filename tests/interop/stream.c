/* SPDX-License-Identifier: MIT */
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/be.h"

#define ROOM (2u * (STREAM_MAX + 8u))

int64_t stream_now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct sockaddr_un address(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	(void)snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	return a;
}

int stream_listen(const char *path)
{
	struct sockaddr_un a = address(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)unlink(path);
	if (fd >= 0 && (bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 8))) {
		(void)close(fd);
		fd = -1;
	}
	return fd;
}

static bool begin(struct stream *s, int fd, bool vnet)
{
	*s = (struct stream){ .fd = fd, .vnet = vnet, .in = malloc(ROOM) };
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	if (s->in)
		return true;
	stream_close(s);
	return false;
}

static bool ready(int fd, short events, int64_t until)
{
	struct pollfd p = { .fd = fd, .events = events };
	int64_t left = until - stream_now();

	return poll(&p, 1, left > 0 ? (int)left : 0) > 0;
}

bool stream_accept(struct stream *s, int listener, bool vnet, int ms)
{
	int fd;

	s->fd = -1;
	if (!ready(listener, POLLIN, stream_now() + ms))
		return false;
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	return fd >= 0 && begin(s, fd, vnet);
}

bool stream_connect(struct stream *s, const char *path, bool vnet, int ms)
{
	struct sockaddr_un a = address(path);
	int64_t until = stream_now() + ms;

	do {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
			return begin(s, fd, vnet);
		if (fd >= 0)
			(void)close(fd);
		(void)usleep(5000);
	} while (stream_now() < until);
	s->fd = -1;
	return false;
}

bool stream_send_raw(struct stream *s, const void *bytes, size_t len)
{
	const uint8_t *b = bytes;
	int64_t until = stream_now() + 5000;

	while (len > 0) {
		ssize_t n = send(s->fd, b, len, MSG_NOSIGNAL);

		if (n > 0) {
			b += n;
			len -= (size_t)n;
		} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
			return false;
		} else if (!ready(s->fd, POLLOUT, until)) {
			return false;
		}
	}
	return true;
}

bool stream_send(struct stream *s, const void *bytes, uint32_t len, uint32_t vnet_len)
{
	uint8_t head[8], all[8 + 2048];
	size_t n = s->vnet ? 8 : 4;

	store_be32(head, len);
	store_be32(head + 4, vnet_len);
	if (len > sizeof all - 8)
		return stream_send_raw(s, head, n) && stream_send_raw(s, bytes, len);
	memcpy(all, head, n);
	memcpy(all + n, bytes, len);
	return stream_send_raw(s, all, n + len);
}

/* Gives out the first message of s->in, which the last call has not: its length with its prefix; 0: not whole yet. */
static size_t first(const struct stream *s, struct message *ret_m)
{
	size_t head = s->vnet ? 8 : 4;
	uint32_t len;

	if (s->have < head)
		return 0;
	len = load_be32(s->in);
	if (len > STREAM_MAX || s->have < head + len)
		return 0;
	*ret_m = (struct message){
		.len = len,
		.vnet_len = s->vnet ? load_be32(s->in + 4) : 0,
		.bytes = s->in + head,
	};
	return head + len;
}

int stream_recv(struct stream *s, struct message *ret_m, int ms)
{
	static uint8_t given[STREAM_MAX + 8];
	int64_t until = stream_now() + ms;

	for (;;) {
		size_t n = first(s, ret_m);
		ssize_t got;

		if (n > 0) {
			memcpy(given, ret_m->bytes, ret_m->len);
			ret_m->bytes = given;
			memmove(s->in, s->in + n, s->have - n);
			s->have -= n;
			return 1;
		}
		if (s->fd < 0)
			return -1;
		got = recv(s->fd, s->in + s->have, ROOM - s->have, 0);
		if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
			return -1;
		if (got > 0)
			s->have += (size_t)got;
		else if (!ready(s->fd, POLLIN, until))
			return 0;
	}
}

void stream_close(struct stream *s)
{
	if (s->fd >= 0)
		(void)close(s->fd);
	free(s->in);
	*s = (struct stream){ .fd = -1 };
}
