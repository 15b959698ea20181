/* SPDX-License-Identifier: MIT */
#include "app/ports.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <sys/stat.h>

#include "app/runner.h"
#include "port/capture.h"
#include "port/trace.h"

#define PATIENCE \
	100u /* how often a full device is tried again: for 10 ms, or longer on a busy machine, which is not the fault of the device */
#define PAUSE_NS 50000 /* between tries */

static bool is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Would writing file destroy what a port reads?  Devices (/dev/null) may be both. */
static bool is_read(const struct ports *s, const char *const *spec, const char *file)
{
	struct stat in, out;

	if (stat(file, &out) != 0 || !S_ISREG(out.st_mode))
		return false;
	for (unsigned i = 0; i < s->n; i++)
		if (spec[i] && strncmp(spec[i], "pcap:", 5) == 0 && stat(spec[i] + 5, &in) == 0 &&
		    in.st_dev == out.st_dev && in.st_ino == out.st_ino)
			return true;
	return false;
}

/* Puts a trace around slot i: into a file of its own if path is a directory, else into the shared one. */
static int add_trace(struct ports *s, unsigned i, const char *const *spec, const char *path,
		     char *ret_err, size_t err_size)
{
	struct port_slot *p = &s->slot[i];
	struct capture_writer **w = is_directory(path) ? &p->writer : &s->shared;
	char file[PATH_MAX];
	struct port *wrapped;
	int err = 0;

	if (w == &p->writer) {
		if (snprintf(file, sizeof file, "%s/%s.pcap", path, p->name) >= (int)sizeof file) {
			snprintf(ret_err, err_size, "trace: %s: the name is too long", path);
			return -ENAMETOOLONG;
		}
		path = file;
	}
	if (!*path) {
		snprintf(ret_err, err_size, "trace: no file or directory is named");
		return -EINVAL;
	}
	if (!*w && is_read(s, spec, path)) {
		snprintf(ret_err, err_size, "trace: %s is being read: write to another file", path);
		return -EINVAL;
	}
	if (!*w)
		err = capture_create(path, w, ret_err, err_size);
	if (err)
		return err;
	wrapped = trace_wrap(p->port, *w, &s->wall);
	if (!wrapped) {
		snprintf(ret_err, err_size, "%s: out of memory", path);
		return -ENOMEM;
	}
	p->port = wrapped;
	return 0;
}

uint32_t ports_joined(const struct role_ops *ops, const char *const *spec,
		      struct port *const *given)
{
	const int control = role_control_port(ops);
	uint32_t joined = 0;

	for (unsigned i = 0; ops->ports[i].name; i++) {
		const struct port_desc *d = &ops->ports[i];
		bool must = d->kind == PORT_FRAMES && !d->optional;

		if ((int)i != control && (must || spec[i] || given[i]))
			joined |= (uint32_t)1 << i;
	}
	return joined;
}

static int open_one(struct ports *s, unsigned i, const char *const *spec, struct port *given,
		    char *ret_err, size_t err_size)
{
	struct port_slot *p = &s->slot[i];

	p->given = given;
	if (given) {
		p->port = given;
		return 0;
	}
	if (!spec[i]) {
		snprintf(ret_err, err_size, "port %s: nothing is given for it", p->name);
		return -EINVAL;
	}
	for (unsigned j = 0; j < i; j++) {
		if (s->slot[j].port && spec[j] && strcmp(spec[j], spec[i]) == 0) {
			snprintf(ret_err, err_size, "%s: cannot be both %s and %s", spec[i],
				 s->slot[j].name, p->name);
			return -EINVAL;
		}
	}
	return (p->kind != PORT_FRAMES ? port_open_msgs : port_open)(spec[i], &s->arena, &p->port,
								     ret_err, err_size);
}

int ports_open(struct ports *s, const struct role_ops *ops, const char *const *spec,
	       struct port *const *given, const char *trace, char *ret_err, size_t err_size)
{
	const uint32_t joined = ports_joined(ops, spec, given);
	static const struct log silent = { .level = LOG_ERROR };
	int err;

	memset(s, 0, sizeof *s);
	s->n = role_port_count(ops);
	err = arena_open(&s->arena);
	if (err) {
		snprintf(ret_err, err_size, "packet buffers: %s", strerror(-err));
		return err;
	}
	for (unsigned i = 0; i < s->n && err == 0; i++) {
		s->slot[i].name = ops->ports[i].name;
		s->slot[i].kind = ops->ports[i].kind;
		if (!(joined >> i & 1))
			continue;
		err = open_one(s, i, spec, given[i], ret_err, err_size);
	}
	/* only now: a run that cannot begin must not cost an older trace */
	for (unsigned i = 0; i < s->n && err == 0 && trace; i++)
		if (s->slot[i].port && s->slot[i].kind == PORT_FRAMES)
			err = add_trace(s, i, spec, trace, ret_err, err_size);
	if (err)
		(void)ports_close(s, &silent);
	return err;
}

int ports_flush_traces(struct ports *s)
{
	int err = s->shared ? capture_flush(s->shared) : 0;

	for (unsigned i = 0; i < s->n; i++) {
		int e = s->slot[i].writer ? capture_flush(s->slot[i].writer) : 0;

		err = e ? e : err;
	}
	return err;
}

static int finish(struct capture_writer *w, const struct log *log)
{
	char why[400];
	int err = w ? capture_finish(w, why, sizeof why) : 0;

	if (err)
		log_line(log, LOG_ERROR, "trace: %s", why);
	return err;
}

int ports_close(struct ports *s, const struct log *log)
{
	int err = 0, e;

	for (unsigned i = 0; i < s->n; i++) {
		struct port_slot *p = &s->slot[i];

		if (p->port && !p->given)
			p->port->ops->close(p->port);
		e = finish(p->writer, log);
		err = err ? err : e;
	}
	e = finish(s->shared, log);
	arena_close(&s->arena);
	return err ? err : e;
}

/* Waits a moment: false once the patience is used up. */
static bool wait_a_moment(unsigned *waited)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };

	if (*waited == PATIENCE)
		return false;
	(*waited)++;
	nanosleep(&pause, NULL);
	return true;
}

unsigned ports_flush(struct ports *s, unsigned i)
{
	struct port_slot *slot = &s->slot[i];
	unsigned done = 0, dropped = 0, waited = 0;

	while (done < slot->queued) {
		int taken = slot->port->ops->send(slot->port, slot->queue + done,
						  slot->queued - done);

		if (taken <= 0 && !wait_a_moment(&waited)) {
			slot->queue[done++] = NULL;
			dropped++;
		} else if (taken > 0) {
			done += (unsigned)taken;
		}
	}
	return dropped;
}
