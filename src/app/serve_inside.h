/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_SERVE_INSIDE_H
#define SUT_APP_SERVE_INSIDE_H
/* serve_inside - what the files of serve share; services see serve_service.h alone. */
#include <stdio.h>

#include "app/log.h"
#include "app/loop.h"
#include "app/metrics_text.h"
#include "app/report.h"
#include "app/serve.h"
#include "app/serve_service.h"
#include "base/counters.h"
#include "port/tun_dev.h"

#define SERVE_NONE UINT32_MAX

struct capture_writer;
struct control;
struct metrics_server;

struct serve {
	const struct serve_config *cfg;
	struct log log;
	struct loop loop;
	struct tun_dev tun;
	char device[32]; /* "tun:sut0" */
	bool tun_watched, was_down;
	struct counters counters;
	sut_time now, wall_offset;
	sut_time next_retry; /* of a device that is down; SUT_NEVER: it is not */
	sut_time next_report; /* SUT_NEVER: none */

	struct stack *stack;
	void *block;
	size_t block_bytes;

	struct serve_port port[SERVE_PORTS];
	unsigned ports;

	struct serve_conn *conn; /* max_conns, mapped */
	size_t conn_bytes;
	uint32_t unused, used,
		high; /* list of unused ones; how many are used; those from here on never were */
	uint32_t oldest, newest; /* those with an idle time, by since */
	int epoll; /* the kernel's descriptors of connections */

	bool draining; /* no new connections */
	bool ending; /* ends when the last one is gone, or at drain_end */
	sut_time drain_end;

	FILE *access;
	bool access_dirty, access_failed;

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
int conns_listen(struct serve *s, char *ret_err, size_t err_size);
void conns_unlisten(struct serve *s);
/* Serves all events of the stack. */
void conns_events(struct serve *s);
/* Serves the kernel's descriptors. */
void conns_kernel(struct serve *s);
/* Ends those whose idle time is over. */
void conns_expire(struct serve *s);
sut_time conns_deadline(const struct serve *s);
/* No new connections; those that wait for work end. */
void conns_drain(struct serve *s);
void conns_abort(struct serve *s);

/* --- serve_device: packets */
int device_open(struct serve *s); /* 0, or -errno (said already) */
void device_close(struct serve *s);
int device_watch(struct serve *s);
int device_emit(void *ctx, const struct stack_out *p);
/* One burst of packets into the stack. */
void device_read(struct serve *s);
/* A device that is down: is it back? */
void device_retry(struct serve *s);

/* --- serve_operate: commands, metrics, reports */
int operator_open(struct serve *s); /* 0, or -errno (said already) */
void operator_close(struct serve *s);
int operator_watch(struct serve *s);
void operator_serve(struct serve *s, uint32_t ready);
void operator_report(struct serve *s); /* on stderr or stdout, as the options say */

enum { TAG_TUN, TAG_KERNEL, TAG_METRICS = LOOP_TAGS - 2, TAG_CONTROL };
#endif
