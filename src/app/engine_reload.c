/* SPDX-License-Identifier: MIT */
/*
 * engine_reload - the settings, read anew while the role runs.
 *
 * Theory of operation
 *
 * All is read into a second block of settings first, as a start would read it, and compared; whatever is wrong with it, and whatever
 * cannot change, is answered before anything is touched.  Then the role is given its new configuration.  Where a limit changed, the size of
 * its memory is another one: a role is laid out anew, takes over the records of the old one, and takes its place between two turns of
 * the loop, so that no packet sees half of it.  Where it would have no room for one of the flows, the old one stays.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "app/config.h"
#include "app/control_reply.h"
#include "app/engine_inside.h"
#include "app/journal.h"
#include "app/option_text.h"
#include "app/settings.h"
#include "core/flow_row.h"
#include "core/record.h"

#define TEXT_MAX 400

struct reload {
	struct engine *e;
	struct control_reply *reply;
	void *next; /* the second block */
	struct config_file *file; /* that next was read from; NULL: none */
	bool taken; /* next is in force */
	unsigned changed;
	bool role_changed; /* more than the engine's own options */
	char fixed[TEXT_MAX]; /* names of those that cannot change */
	char text[TEXT_MAX]; /* what the last line says beside the number */
};

static const struct settings *settings_of(const struct reload *r)
{
	return r->e->cfg->settings;
}

/* What has changed, and may it? */
static void judge(void *ctx, const struct option_group *g, const struct option_desc *d,
		  const void *next)
{
	struct reload *r = ctx;
	size_t n = strlen(r->fixed);

	(void)next;
	r->changed++;
	r->role_changed |= g->table != engine_option_table;
	if (!setting_may_change(d))
		snprintf(r->fixed + n, sizeof r->fixed - n, "%s%s", n ? ", " : "", d->name);
}

static void tell(void *ctx, const struct option_group *g, const struct option_desc *d,
		 const void *next)
{
	char was[200], is[200];
	struct reload *r = ctx;

	option_text(d, g->config, was, sizeof was);
	option_text(d, next, is, sizeof is);
	reply_data(r->reply, "%s: %s -> %s", d->name, was, is);
	log_line(&r->e->log, LOG_NOTICE, "reload: %s: %s -> %s", d->name, was, is);
}

/* Moving. */

struct moved {
	uint32_t flows, no_room, left; /* came over; found none; could not be saved as they were */
};

static bool is_flow(const struct record *rec)
{
	struct record_reader rd;

	return record_open(rec, &rd) == 0 && rd.kind != REC_ACCEL_SERVER &&
	       rd.kind != REC_ACCEL_COOKIE && rd.kind != REC_REPLICA_STATE &&
	       rd.kind != REC_HANDOFF_BACKEND;
}

static uint32_t count_flows(const struct engine *e)
{
	uint32_t cursor = 0, n = 0;
	struct flow_row row;

	while (e->cfg->ops->list && e->cfg->ops->list(e->runner.role, &cursor, e->now, &row))
		n++;
	return n;
}

/* All records of the running role into another one. */
static void move(const struct engine *e, void *role, struct moved *ret_m)
{
	const struct role_ops *ops = e->cfg->ops;
	uint32_t cursor = 0, all = count_flows(e);
	struct moved m = { 0 };
	struct record rec;

	while (ops->save(e->runner.role, &cursor, e->now, &rec) > 0) {
		int err = ops->restore(role, &rec, e->now);

		if (is_flow(&rec) && err == 0)
			m.flows++;
		else if (is_flow(&rec))
			m.no_room++;
	}
	m.left = all > m.flows + m.no_room ? all - m.flows - m.no_room : 0;
	*ret_m = m;
}

/* Lays the role out anew, and moves into it: 0, or -errno with nothing changed, and answered. */
static int rebuild(struct reload *r, const void *config)
{
	struct engine *e = r->e;
	const struct counters counted = e->runner.counters;
	struct runner_block block;
	struct moved m;
	int err = runner_lay_out(&e->runner, config, &block);

	if (err) {
		reply_error(r->reply, "%s: %s", e->cfg->ops->name, strerror(-err));
		return err;
	}
	move(e, block.role, &m);
	e->runner.counters = counted; /* moving is no event */
	if (m.no_room) {
		runner_free(&block);
		reply_error(r->reply,
			    "%" PRIu32 " of %" PRIu32
			    " connections would find no room: nothing is changed",
			    m.no_room, m.flows + m.no_room);
		return -ENOSPC;
	}
	runner_swap(&e->runner, &block);
	runner_free(&block);
	if (e->journal)
		journal_walk_anew(e->journal);
	if (e->draining)
		(void)engine_ask_number(e, "drain");
	snprintf(r->text, sizeof r->text,
		 "; memory was laid out anew: %" PRIu32 " connection%s came over, %" PRIu32
		 " not joined yet did not",
		 m.flows, m.flows == 1 ? "" : "s", m.left);
	return 0;
}

/* Gives the role its new configuration: 0, or -errno with nothing changed, and answered. */
static int configure(struct reload *r)
{
	struct engine *e = r->e;
	const struct role_ops *ops = e->cfg->ops;
	const void *config = settings_in(settings_of(r), e->cfg->role_config, r->next);
	int err;

	if (!r->role_changed)
		return 0;
	err = ops->configure ? ops->configure(e->runner.role, config) : -EOPNOTSUPP;
	if (err == -EBUSY)
		return rebuild(r, config);
	if (err == -ENOSPC)
		reply_error(r->reply, "%s has no room for all of this now; nothing is changed",
			    ops->name);
	else if (err == -EADDRINUSE)
		reply_error(r->reply,
			    "%s: an address of this is still in use under another name: take that "
			    "out, and put this in when it is over; nothing is changed",
			    ops->name);
	else if (err)
		reply_error(r->reply,
			    ops->configure ? "%s cannot change this while it runs: restart it"
					   : "%s takes no new settings while it runs: restart it",
			    ops->name);
	return err;
}

/* The engine's own options. */
static void take_options(struct engine *e, const struct engine_options *o)
{
	e->opt.verbose = o->verbose;
	e->opt.quiet = o->quiet;
	e->opt.log_time = o->log_time;
	e->opt.json = o->json;
	e->opt.stats = o->stats;
	if (e->opt.stats_interval != o->stats_interval)
		e->next_report = o->stats_interval ? e->now + o->stats_interval : SUT_NEVER;
	e->opt.stats_interval = o->stats_interval;
	engine_set_log(e);
}

/* The engine's options in the new block. */
static const struct engine_options *options_in(const struct reload *r)
{
	for (const struct option_group *g = settings_of(r)->usage->groups; g->table; g++)
		if (g->table == engine_option_table)
			return settings_in(settings_of(r), g->config, r->next);
	return &r->e->opt;
}

/* Whoever made this process has it too, and may know of more that has changed than settings. */
static void renew(struct reload *r)
{
	const struct engine_config *c = r->e->cfg;
	const char *more = c->renewed ? c->renewed(c->hook_ctx, r->next) : NULL;
	size_t n = strlen(r->text);

	if (!more)
		return;
	snprintf(r->text + n, sizeof r->text - n, "; %s", more);
	log_line(&r->e->log, LOG_NOTICE, "reload: %s", more);
}

/* With the new settings read. */
static void apply(struct reload *r)
{
	const struct settings *s = settings_of(r);
	const char *wrong = s->finish(s->ctx, r->next);
	char where[PATH_MAX + 32];

	if (wrong) {
		settings_where(s, r->next, r->file, where, sizeof where);
		reply_error(r->reply, "%s%s; nothing is changed", where, wrong);
		return;
	}
	settings_compare(s, r->next, judge, r);
	if (*r->fixed) {
		reply_error(
			r->reply,
			"cannot change while it runs: %s; nothing is changed (a restart takes it)",
			r->fixed);
		return;
	}
	r->role_changed |= r->e->cfg->renewed && r->e->cfg->ops->configure;
	if (configure(r) != 0)
		return;
	renew(r);
	settings_compare(s, r->next, tell, r);
	take_options(r->e, options_in(r));
	settings_take(s, r->next);
	r->taken = true;
	reply_ok(r->reply, "%u setting%s changed%s", r->changed, r->changed == 1 ? "" : "s",
		 r->text);
}

void operate_reload(struct engine *e, const char *args, struct control_reply *reply)
{
	const struct settings *s = e->cfg->settings;
	struct reload r = { .e = e, .reply = reply };
	char why[2000];

	(void)args;
	if (!s || (!e->opt.config && !e->cfg->renewed)) {
		reply_error(reply, "no --config was given: there is nothing to read anew");
		return;
	}
	engine_tick(e);
	r.next = calloc(1, s->size);
	if (!r.next) {
		reply_error(reply, "out of memory");
		return;
	}
	if (settings_read(s, r.next, &r.file, why, sizeof why) != 0)
		reply_error(reply, "%s; nothing is changed", why);
	else
		apply(&r);
	if (r.taken) { /* texts of the last time lie in the last file */
		config_close(e->reloaded);
		e->reloaded = r.file;
	} else {
		config_close(r.file);
	}
	free(r.next);
}
