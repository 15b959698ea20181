/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * The library's own epoll descriptor is in the engine's loop.  While all connections are taken it does not listen, and it begins
 * again only when it is called: so it is called once more behind each turn in which one has ended (metrics_timeout), although nothing
 * is ready.  When the last one is taken the oldest is shut down, so that none who sends a byte now and then keeps others out.
 */
#include "app/metrics.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "app/option_value.h"

#define SILENT_SECONDS 5u
#define CONNECTION_BYTES ((size_t)16384) /* for a request and the head of its answer */

struct client {
	int fd; /* the library's; -1: unused */
	uint64_t number; /* the lower, the older */
};

struct metrics_server {
	struct MHD_Daemon *daemon;
	metrics_fn *fn;
	void *ctx;
	struct client client[METRICS_CLIENTS];
	unsigned clients;
	uint64_t number; /* of the last client */
	bool again; /* to be called although nothing is ready */
};

static int complain(char *ret_err, size_t size, const char *where, const char *what)
{
	snprintf(ret_err, size, "metrics at %s: %s", where, what);
	return -EINVAL;
}

/* Addresses. */

static bool read_port(const char *text, in_port_t *ret_port)
{
	uint64_t port;

	if (value_number(text, strlen(text), &port) != 0 || port == 0 || port > 65535)
		return false;
	*ret_port = htons((uint16_t)port);
	return true;
}

static bool read_address(const char *where, struct sockaddr_storage *ret_a)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret_a;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret_a;
	const char *colon = strrchr(where, ':');
	size_t len = colon ? (size_t)(colon - where) : 0;
	char addr[INET6_ADDRSTRLEN + 2];

	memset(ret_a, 0, sizeof *ret_a);
	if (!colon || len == 0 || len >= sizeof addr) {
		v4->sin_family = AF_INET;
		v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return !len && read_port(colon ? colon + 1 : where, &v4->sin_port);
	}
	memcpy(addr, where, len);
	addr[len] = 0;
	if (addr[0] == '[' && addr[len - 1] == ']') {
		addr[len - 1] = 0;
		v6->sin6_family = AF_INET6;
		return inet_pton(AF_INET6, addr + 1, &v6->sin6_addr) == 1 &&
		       read_port(colon + 1, &v6->sin6_port);
	}
	v4->sin_family = AF_INET;
	return inet_pton(AF_INET, addr, &v4->sin_addr) == 1 && read_port(colon + 1, &v4->sin_port);
}

int metrics_check(const char *where, char *ret_err, size_t err_size)
{
	struct sockaddr_storage a;

	if (read_address(where, &a))
		return 0;
	snprintf(ret_err, err_size,
		 "'%s' is not PORT, ADDR:PORT or [ADDR]:PORT in numbers, as in 9100 or "
		 "192.0.2.1:9100",
		 where);
	return -EINVAL;
}

static int open_listener(const struct sockaddr_storage *a)
{
	int fd = socket(a->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
	socklen_t len = a->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
						 : sizeof(struct sockaddr_in);
	int err;

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, (const struct sockaddr *)a, len) == 0 && listen(fd, METRICS_CLIENTS) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* Answers. */

static enum MHD_Result send_text(struct MHD_Connection *c, unsigned status, const char *type,
				 char *text, size_t len, enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(len, text, mode);
	enum MHD_Result done;

	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	done = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return done;
}

static enum MHD_Result send_line(struct MHD_Connection *c, unsigned status, char *line)
{
	return send_text(c, status, "text/plain; charset=utf-8", line, strlen(line),
			 MHD_RESPMEM_MUST_COPY);
}

static enum MHD_Result send_metrics(struct metrics_server *s, struct MHD_Connection *c)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (f) {
		s->fn(s->ctx, f);
		fclose(f);
	}
	if (!f || !text)
		return MHD_NO;
	return send_text(c, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", text, len,
			 MHD_RESPMEM_MUST_FREE);
}

static enum MHD_Result answer(void *ctx, struct MHD_Connection *c, const char *url,
			      const char *method, const char *version, const char *upload,
			      size_t *upload_size, void **seen)
{
	static char ok[] = "ok\n", no_page[] = "there is /metrics and /healthz\n",
		    no_method[] = "only GET is known here\n";
	struct metrics_server *s = ctx;

	(void)version;
	(void)upload;
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return send_line(c, MHD_HTTP_METHOD_NOT_ALLOWED, no_method);
	if (!*seen) {
		*seen = s; /* the head; a body, which nobody wants, may follow */
		return MHD_YES;
	}
	if (*upload_size) {
		*upload_size = 0;
		return MHD_YES;
	}
	if (strcmp(url, "/metrics") == 0)
		return send_metrics(s, c);
	if (strcmp(url, "/healthz") == 0)
		return send_line(c, MHD_HTTP_OK, ok);
	return send_line(c, MHD_HTTP_NOT_FOUND, no_page);
}

/* Connections. */

static void end_oldest(struct metrics_server *s)
{
	struct client *oldest = &s->client[0];

	for (unsigned i = 1; i < METRICS_CLIENTS; i++)
		if (s->client[i].number < oldest->number)
			oldest = &s->client[i];
	(void)shutdown(oldest->fd, SHUT_RDWR);
	s->again = true;
}

static void came(struct metrics_server *s, int fd, void **ret_client)
{
	for (unsigned i = 0; i < METRICS_CLIENTS; i++) {
		if (s->client[i].fd >= 0)
			continue;
		s->client[i] = (struct client){ fd, ++s->number };
		*ret_client = &s->client[i];
		if (++s->clients == METRICS_CLIENTS)
			end_oldest(s);
		return;
	}
}

static void connection_changed(void *ctx, struct MHD_Connection *c, void **client,
			       enum MHD_ConnectionNotificationCode what)
{
	struct metrics_server *s = ctx;
	struct client *k = *client;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		came(s, MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd,
		     client);
	} else if (k) {
		k->fd = -1;
		*client = NULL;
		s->clients--;
		s->again = true;
	}
}

int metrics_open(const char *where, metrics_fn *fn, void *ctx, struct metrics_server **ret_s,
		 char *ret_err, size_t err_size)
{
	struct metrics_server *s;
	struct sockaddr_storage a;
	int fd;

	if (!read_address(where, &a))
		return complain(ret_err, err_size, where,
				"expected PORT, ADDR:PORT or [ADDR]:PORT in numbers, as in 9100");
	fd = open_listener(&a);
	if (fd < 0) {
		complain(ret_err, err_size, where,
			 fd == -EADDRNOTAVAIL
				 ? "no device that is up has this address (is lo up? ip "
				   "link set lo up)"
				 : strerror(-fd));
		return fd;
	}
	s = calloc(1, sizeof *s);
	for (unsigned i = 0; s && i < METRICS_CLIENTS; i++)
		s->client[i].fd = -1;
	if (s)
		s->daemon = MHD_start_daemon(
			MHD_USE_EPOLL, 0, NULL, NULL, answer, s, MHD_OPTION_LISTEN_SOCKET, fd,
			MHD_OPTION_CONNECTION_LIMIT, METRICS_CLIENTS, MHD_OPTION_CONNECTION_TIMEOUT,
			SILENT_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES,
			MHD_OPTION_NOTIFY_CONNECTION, connection_changed, s, MHD_OPTION_END);
	if (!s || !s->daemon) {
		complain(ret_err, err_size, where, "the server cannot be started");
		close(fd);
		free(s);
		return -ENOMEM;
	}
	s->fn = fn;
	s->ctx = ctx;
	*ret_s = s;
	return 0;
}

void metrics_close(struct metrics_server *s)
{
	MHD_stop_daemon(s->daemon); /* and the listening socket */
	free(s);
}

int metrics_fd(const struct metrics_server *s)
{
	return MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

void metrics_serve(struct metrics_server *s)
{
	s->again = false;
	(void)MHD_run(s->daemon);
}

sut_time metrics_timeout(const struct metrics_server *s)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (s->again)
		return 0;
	return MHD_get_timeout(s->daemon, &ms) == MHD_YES ? SUT_MS(ms) : SUT_NEVER;
}
