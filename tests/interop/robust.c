/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/be.h"
#include "proc.h"
#include "suites.h"
#include "tap.h"

/*
 * What a peer that sends nonsense can do: QEMU 7.2 aborts on a frame of length zero; none of suture's parts does, on none of
 * its streams.
 */

#define WAIT_MS 20000
#define PORTS_MAX 4u

static const struct part {
	const char *name;
	const char *port[PORTS_MAX];
} parts[] = {
	{ "mirror", { "client", "primary", "mirror" } },
	{ "rewrite", { "primary", "secondary", "primary-out", "compare" } },
	{ "compare", { "primary-in", "secondary-in", "out", "notify" } },
};

/* Lengths that no frame has. */
static const uint32_t lengths[] = { 0, 69633, 0xffffffff };

static void their_abort(const struct programs *prog, enum rig_kind kind, const char *where)
{
	struct rig r;
	char why[200];
	int status = 0;

	tap_begin("QEMU aborts on a frame of length 0 on a %s", where);
	if (!rig_start(&r, kind, prog, "", why)) {
		(void)tap_fail("%s", why);
	} else {
		(void)stream_send_raw(r.in[CLIENT], "\0\0\0\0\0\0\0", 8);
		if (!proc_ended(r.pid, WAIT_MS, &status))
			(void)tap_fail("it goes on");
		else if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
			(void)tap_fail("it ends by itself, with status %#x", (unsigned)status);
		if (status)
			r.pid = -1;
	}
	rig_stop(&r);
	(void)tap_end();
}

/* A part of suture, with the test at all of its streams. */
struct victim {
	pid_t pid;
	int listener[PORTS_MAX];
	struct stream s[PORTS_MAX];
	unsigned n;
};

static bool victim_start(struct victim *v, const struct programs *prog, const struct part *p)
{
	char line[1000];
	int n = snprintf(line, sizeof line, "%s replica %s --stats", prog->suture, p->name);

	*v = (struct victim){ .pid = -1 };
	(void)unlink(proc_path("victim.log"));
	for (; v->n < PORTS_MAX && p->port[v->n]; v->n++) {
		char sock[32];

		(void)snprintf(sock, sizeof sock, "v%u.s", v->n);
		v->s[v->n].fd = -1;
		v->listener[v->n] = stream_listen(proc_path(sock));
		n += snprintf(line + n, sizeof line - (size_t)n, " --%s qemu:unix:%s",
			      p->port[v->n], proc_path(sock));
	}
	v->pid = proc_start("victim.log", "%s", line);
	for (unsigned i = 0; i < v->n; i++)
		if (!stream_accept(&v->s[i], v->listener[i], false, WAIT_MS))
			return tap_fail("it does not connect to --%s: %s", p->port[i],
					proc_said("victim.log"));
	return true;
}

static void victim_stop(struct victim *v)
{
	int status = proc_stop(v->pid);

	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		(void)tap_fail("it ended with status %#x: %s", (unsigned)status,
			       proc_said("victim.log"));
	for (unsigned i = 0; i < v->n; i++) {
		stream_close(&v->s[i]);
		(void)close(v->listener[i]);
	}
}

/* It closes the streams, each after this length, and connects again. */
static bool survives(struct victim *v, const struct part *p, uint32_t length)
{
	struct message m;
	uint8_t head[4];

	store_be32(head, length);
	for (unsigned i = 0; i < v->n; i++) {
		if (!stream_send_raw(&v->s[i], head, 4) || stream_recv(&v->s[i], &m, WAIT_MS) != -1)
			return tap_fail("--%s: length %u does not end the stream", p->port[i],
					length);
		stream_close(&v->s[i]);
	}
	for (unsigned i = 0; i < v->n; i++)
		if (!stream_accept(&v->s[i], v->listener[i], false, WAIT_MS))
			return tap_fail("--%s: no connection after length %u", p->port[i], length);
	return true;
}

static void ours(const struct programs *prog, const struct part *p)
{
	struct victim v;

	tap_begin("replica %s goes on after lengths that no frame has", p->name);
	if (victim_start(&v, prog, p))
		for (unsigned i = 0; i < ARRAY_LEN(lengths) && !tap_failed(); i++)
			(void)survives(&v, p, lengths[i]);
	victim_stop(&v);
	for (unsigned i = 0; i < v.n; i++)
		if (proc_port_counter("victim.log", p->port[i], "rx_malformed") !=
		    ARRAY_LEN(lengths))
			(void)tap_fail("at --%s %lu errors are counted", p->port[i],
				       proc_port_counter("victim.log", p->port[i], "rx_malformed"));
	(void)tap_end();
}

/* A stream that ends in the middle of a frame. */
static void cut_off(const struct programs *prog, const struct part *p)
{
	struct victim v;

	tap_begin("replica %s goes on after a frame that was cut off", p->name);
	if (victim_start(&v, prog, p))
		for (unsigned i = 0; i < v.n; i++) {
			(void)stream_send_raw(&v.s[i], "\0\0\0\144hello", 9);
			stream_close(&v.s[i]);
		}
	for (unsigned i = 0; i < v.n && !tap_failed(); i++)
		if (!stream_accept(&v.s[i], v.listener[i], false, WAIT_MS))
			(void)tap_fail("it does not connect again to --%s", p->port[i]);
	victim_stop(&v);
	for (unsigned i = 0; i < v.n; i++)
		if (proc_port_counter("victim.log", p->port[i], "rx_cut") != 1)
			(void)tap_fail("at --%s nothing is counted", p->port[i]);
	(void)tap_end();
}

void suite_robust(const struct programs *prog)
{
	char why[200];

	if (rig_qemu_works(prog, why)) {
		their_abort(prog, RIG_QEMU_HUB, "socket netdev");
		their_abort(prog, RIG_QEMU_COLO, "redirector");
	} else {
		tap_begin("QEMU aborts on a frame of length 0");
		tap_skip("%s", why);
	}
	for (unsigned i = 0; i < ARRAY_LEN(parts); i++) {
		ours(prog, &parts[i]);
		cut_off(prog, &parts[i]);
	}
}
