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

	/* Is arg well-formed?  0, or -EINVAL with a sentence in ret_err.  NULL: it is not judged so. */
	int (*check)(const char *arg, char *ret_err, size_t err_size);
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
	/* Nothing has moved for the idle time (serve_touch).  NULL: it has that of streams, whose end is a reset. */
	void (*expired)(struct serve *s, struct serve_conn *c);
	/* The kernel's descriptor of the connection is ready: EPOLL* bits.  NULL: it has none. */
	void (*kernel)(struct serve *s, struct serve_conn *c, uint32_t events);
	/* As serve_touch_log() asked. */
	void (*logged)(struct serve *s, struct serve_conn *c);
};

/* A port that is served. */
struct serve_port {
	const struct service *service; /* NULL: a free place */
	uint16_t port;
	char *arg; /* a copy; NULL: none */
	conn_id listener; /* 0: not listening */
	uint32_t conns; /* that came in there */
	bool late; /* started while others run: rights are given up, names cannot be looked up */
	bool retired; /* no longer among the settings: goes with its last connection */
	int dir; /* http: the directory */
	struct proxy_target *target; /* proxy */
};

struct http_said; /* an answer that is not acknowledged yet, for the access log */

struct http_conn {
	struct http_answer *answer; /* NULL: none is being sent */
	struct http_said *said, *said_last;
	uint32_t saids;
};

struct proxy_conn {
	int fd; /* the kernel's socket; -1: closed */
	unsigned next; /* address to try */
	bool connecting;
	bool in_done, out_done; /* FIN went on to the kernel, and to the peer */
};

/* Connections that wait for a time, each list by when that began. */
enum serve_list {
	LIST_IDLE, /* the idle time of HTTP, and of whoever has closed */
	LIST_STREAM, /* that of all others, looked at in quarters */
	LIST_LOG, /* answers may have been acknowledged */
	SERVE_LISTS
};

struct serve_link {
	sut_time since;
	uint32_t older,
		newer; /* when the slot is unused: the first list's newer is the next unused one */
	bool in;
};

struct serve_conn {
	conn_id id; /* 0: unused */
	struct serve_port *port;
	struct stack_addr peer;
	uint64_t put; /* payload bytes given to the stack to be sent */
	uint64_t taken; /* discard: bytes that came */
	const char *cut; /* why it is ended before its time; NULL: it is not */
	bool over; /* both ends have closed; unread data may wait */
	bool finishing; /* FIN was sent or will be: what comes is thrown away */
	uint8_t quiet; /* quarters of the streams' idle time without a byte */
	uint32_t seen_una; /* what had moved when that was looked at */
	uint64_t seen_in;
	struct serve_link at[SERVE_LISTS];
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

/* Calls the service's logged() in a while. */
void serve_touch_log(struct serve *s, struct serve_conn *c);

/* FIN behind what was written; what still comes is thrown away; the connection is given up when nothing moved for the idle time. */
void serve_finish(struct serve *s, struct serve_conn *c);

/* The end: by RST if it is still open, and otherwise as it stands; why is for the access log, one word.  c is void. */
void serve_abort(struct serve *s, struct serve_conn *c, const char *why);

/*
 * The connection is gone, as a call of the stack said with err: c is void.
 */
void serve_gone(struct serve *s, struct serve_conn *c, int err);

/* How much of c->put the peer has acknowledged. */
uint64_t serve_acked(struct serve *s, const struct serve_conn *c);

/* Waits for the kernel's descriptor of c, edge-triggered: 0 or -errno.  Closing it ends that. */
int serve_watch(struct serve *s, struct serve_conn *c, int fd);

/* Is there an access log? */
bool serve_logs(const struct serve *s);

/*
 * A line in the access log: what was asked, how it was answered (0: "-"), and bytes.  cut: in one word why it did not become whole; NULL:
 * it did.
 */
void serve_log_access(struct serve *s, const struct serve_conn *c, const char *what,
		      unsigned status, uint64_t bytes, const char *cut);
#endif
