/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_SERVE_INSIDE_H
#define SUT_APP_SERVE_INSIDE_H
/* serve_inside - what the files of serve share; services see serve_service.h alone. */
#include "app/log.h"
#include "app/loop.h"
#include "app/metrics_text.h"
#include "app/report.h"
#include "app/serve.h"
#include "app/serve_service.h"
#include "base/counters.h"
#include "port/tun_dev.h"

#define SERVE_NONE UINT32_MAX
#define SERVE_PLACES \
	(2 * SERVE_PORTS) /* ports of now, and those of earlier settings with connections left */

struct capture_writer;
struct config_file;
struct control;
struct metrics_server;

/* Lines for the access log. */
struct access_log {
	int fd; /* -1: none */
	char *text; /* that wait */
	size_t len;
	bool failed; /* and said */
	uint64_t lost; /* lines that found no room */
};

struct serve {
	const struct serve_config *cfg;
	struct config_file *
		reread_file; /* texts of settings that were read anew; NULL: they are as at the start */
	struct log log;
	struct loop loop;
	struct tun_dev tun;
	char device[32]; /* "tun:sut0" */
	bool tun_watched, was_down;
	int links; /* tells of changes of devices; -1: it does not */
	struct counters counters;
	sut_time now, wall_offset;
	sut_time next_retry; /* of a device that is down; SUT_NEVER: it is not */
	sut_time next_report; /* SUT_NEVER: none */

	struct stack *stack;
	void *block;
	size_t block_bytes;

	struct serve_port port[SERVE_PLACES];

	struct serve_conn *conn; /* max_conns, mapped */
	size_t conn_bytes;
	uint32_t unused, used,
		high; /* list of unused ones; how many are used; those from here on never were */
	struct {
		uint32_t oldest, newest;
	} list[SERVE_LISTS];
	bool more; /* events are left for the next turn */
	int epoll; /* the kernel's descriptors of connections */

	bool draining; /* no new connections */
	bool ending; /* ends when the last one is gone, or at drain_end */
	sut_time drain_end;

	struct access_log access;

	struct control *control; /* NULL: none */
	bool control_more;
	struct metrics_server *metrics; /* NULL: none */
	sut_time next_metrics;
	struct metrics_flows flows;
	sut_time flows_due;
	struct capture_writer *trace; /* NULL: none */

	uint8_t *scratch;
	uint8_t *packet; /* one that comes in, PACKET_HEADROOM bytes in front */
};

/* For those who know roles (listings, metrics, reports): the stack under a role's interface, with struct serve as the role. */
extern const struct role_ops serve_ops;

void serve_tick(struct serve *s);

/* --- serve_conns: connections from the handshake to the end */
int conns_open(struct serve *s); /* 0 or -errno */
void conns_close(struct serve *s);
/* Serves all events of the stack. */
void conns_events(struct serve *s);
/* Serves the kernel's descriptors. */
void conns_kernel(struct serve *s);
/* Ends those whose idle time is over. */
void conns_expire(struct serve *s);
sut_time conns_deadline(const struct serve *s);
/* No new connections; those that wait for work end. */
void conns_drain(struct serve *s);
/* All that is left is reset. */
void conns_abort(struct serve *s);
/* The streams' idle time is another one. */
void conns_time_streams(struct serve *s);

/* --- serve_ports: what is served */

#define LISTENER ((uint64_t)1 << 63) /* in a user: the rest is a port's place */

/* Opens all that the settings name: 0, or -errno with a sentence in ret_err. */
int ports_start(struct serve *s, char *ret_err, size_t err_size);
void ports_stop(struct serve *s);
int ports_listen(struct serve *s, char *ret_err, size_t err_size);
void ports_unlisten(struct serve *s);
/* A connection has ended that came in there. */
void ports_left(struct serve_port *p);
/*
 * Serves what next says instead: ports that are the same stay as they are, those that are gone go with their last connection.
 * 0, or -errno with a sentence in ret_err: nothing is changed.
 */
int ports_reload(struct serve *s, const struct serve_config *next, char *ret_err, size_t err_size);

/* --- serve_log: the access log */

/* Opens a file for it: a descriptor or -errno. */
int access_file(const char *path);
/* The log goes there from now on (-1: nowhere): 0, or -ENOMEM with nothing changed. */
int access_take(struct serve *s, int fd);
void access_flush(struct serve *s);
void access_close(struct serve *s);

/* --- serve_device: packets */
int device_open(struct serve *s); /* 0, or -errno (said already) */
void device_close(struct serve *s);
int device_watch(struct serve *s);
int device_emit(void *ctx, const struct stack_out *p);
/* One burst of packets into the stack. */
void device_read(struct serve *s);
/* Devices have changed: is ours down, or was it? */
void device_changed(struct serve *s);
/* A device that is down: is it back? */
void device_retry(struct serve *s);

/* --- serve_reload: settings anew */
struct control_reply;

/* Reads the settings again, and opens the access log anew. */
void reload_run(struct serve *s, const char *args, struct control_reply *reply);
/* The same for a signal: the answer goes to the log.  False: there is nothing to be done so. */
bool reload_by_signal(struct serve *s);

/* --- serve_operate: commands, metrics, reports */
int operator_open(struct serve *s); /* 0, or -errno (said already) */
void operator_close(struct serve *s);
int operator_watch(struct serve *s);
void operator_serve(struct serve *s, uint32_t ready);
void operator_report(struct serve *s); /* on stderr or stdout, as the options say */

enum { TAG_TUN, TAG_KERNEL, TAG_LINKS, TAG_METRICS = LOOP_TAGS - 2, TAG_CONTROL };
#endif
