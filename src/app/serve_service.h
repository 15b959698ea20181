/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_SERVE_SERVICE_H
#define SUT_APP_SERVE_SERVICE_H
/*
 * serve_service - what a service is, and what it may do with its connections.
 *
 * A service pulls: it is told that something can be read or written, takes what it can use, and stops when the connection's send buffer is
 * full; what it does not take stays in the receive buffer, and the peer sees a smaller window.  So nothing piles up in here.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/serve_head.h"
#include "base/time.h"
#include "stack/stack.h"

#define SERVE_SCRATCH 65536u /* bytes of serve_scratch() */

struct serve;
struct serve_conn;
struct serve_port;

struct service {
	const char *name;
	const char *arg; /* what it takes ("DIR"); NULL: nothing */
	const char *help;

	/* Opens what it needs for a port, before the process gives up its rights: 0, or -errno with a sentence in ret_err.  NULL: nothing. */
	int (*start)(struct serve_port *p, const char *arg, char *ret_err, size_t err_size);
	void (*stop)(struct serve_port *p);

	void (*open)(struct serve *s, struct serve_conn *c);
	/* Something can be read or written, or the peer has closed: goes on as far as it can. */
	void (*ready)(struct serve *s, struct serve_conn *c);
	/* The connection is over, or given up: gives back what it holds.  NULL: nothing. */
	void (*closed)(struct serve *s, struct serve_conn *c);
	/* No new work is to begin.  NULL: the connection goes on until its ends close it. */
	void (*drain)(struct serve *s, struct serve_conn *c);
	/* Nothing has moved for the idle time (serve_touch).  NULL: it has none. */
	void (*expired)(struct serve *s, struct serve_conn *c);
	/* The kernel's descriptor of the connection is ready: EPOLL* bits.  NULL: it has none. */
	void (*kernel)(struct serve *s, struct serve_conn *c, uint32_t events);
};

/* A port that is served. */
struct serve_port {
	const struct service *service;
	uint16_t port;
	conn_id listener; /* 0: not listening */
	int dir; /* http: the directory */
	struct proxy_target *target; /* proxy */
	uint8_t *pattern; /* chargen */
};

struct http_conn {
	struct http_answer *answer; /* NULL: none is being sent */
};

struct proxy_conn {
	int fd; /* the kernel's socket; -1: closed */
	unsigned next; /* address to try */
	bool connecting;
	bool in_done, out_done; /* FIN went on to the kernel, and to the peer */
};

struct serve_conn {
	conn_id id; /* 0: unused */
	struct serve_port *port;
	struct stack_addr peer;
	uint64_t bytes; /* payload that the service has sent (discard: has taken) */
	bool over; /* both ends have closed; unread data may wait */
	bool finishing; /* FIN was sent or will be: what comes is thrown away */
	bool timed; /* in the list of those that have an idle time */
	uint32_t older, newer; /* in that list; when unused: newer is the next unused one */
	sut_time since; /* nothing has moved since then */
	union {
		struct http_conn http;
		struct proxy_conn proxy;
		uint32_t chargen; /* place in the pattern */
	};
};

extern const struct service service_http, service_echo, service_discard, service_chargen,
	service_proxy;

/* The service of that name, or NULL; the i-th one, or NULL. */
const struct service *service_find(const char *name, size_t len);
const struct service *service_at(unsigned i);

/* --- what services call */

struct stack *serve_stack(struct serve *s);
sut_time serve_now(const struct serve *s);
int64_t serve_wall(const struct serve *s); /* seconds since 1970 */
bool serve_draining(const struct serve *s);

/* SERVE_SCRATCH bytes that are anybody's until it returns. */
uint8_t *serve_scratch(struct serve *s);

/* The idle time begins anew: the service is told by expired() when it is over. */
void serve_touch(struct serve *s, struct serve_conn *c);

/* FIN behind what was written; what still comes is thrown away; the connection is given up after the idle time. */
void serve_finish(struct serve *s, struct serve_conn *c);

/* The end: by RST if it is still open, and otherwise as it stands.  c is void. */
void serve_abort(struct serve *s, struct serve_conn *c);

/*
 * The connection is gone, as a call of the stack said with err: c is void.
 */
void serve_gone(struct serve *s, struct serve_conn *c, int err);

/* Waits for the kernel's descriptor of c, edge-triggered: 0 or -errno.  Closing it ends that. */
int serve_watch(struct serve *s, struct serve_conn *c, int fd);

/* A line in the access log: what was asked, how it was answered (0: "-"), and bytes. */
void serve_log_access(struct serve *s, const struct serve_conn *c, const char *what,
		      unsigned status, uint64_t bytes);
#endif
