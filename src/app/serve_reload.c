/* SPDX-License-Identifier: MIT */
/*
 * serve_reload - the settings, read anew while connections go on, and the access log opened anew.
 *
 * All that may be wrong is found before anything is touched: the file is read and compared as a whole, a new log is opened beside the old
 * one, new ports beside the old ones.  Then each takes its place.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/config.h"
#include "app/control_reply.h"
#include "app/option_text.h"
#include "app/serve_inside.h"
#include "app/settings.h"

#define NAMES_MAX 400

struct reload {
	struct serve *s;
	struct control_reply *reply;
	struct serve_config *next; /* NULL: there is no file, and only the log is opened anew */
	unsigned changed;
	char fixed[NAMES_MAX]; /* names of those that cannot change */
};

static bool may_change(const struct option_desc *d)
{
	return setting_may_change(d) || strcmp(d->name, "port") == 0 ||
	       strcmp(d->name, "access-log") == 0;
}

static void judge(void *ctx, const struct option_group *g, const struct option_desc *d,
		  const void *next)
{
	struct reload *r = ctx;
	size_t n = strlen(r->fixed);

	(void)g;
	(void)next;
	r->changed++;
	if (!may_change(d) && n < sizeof r->fixed)
		snprintf(r->fixed + n, sizeof r->fixed - n, "%s%s", n ? ", " : "", d->name);
}

static void tell(void *ctx, const struct option_group *g, const struct option_desc *d,
		 const void *next)
{
	char was[600], is[600];
	struct reload *r = ctx;

	option_text(d, g->config, was, sizeof was);
	option_text(d, next, is, sizeof is);
	reply_data(r->reply, "%s: %s -> %s", d->name, was, is);
	log_line(&r->s->log, LOG_NOTICE, "reload: %s: %s -> %s", d->name, was, is);
}

static const struct serve_flags *flags_of(const struct reload *r)
{
	return r->next ? &r->next->flags : &r->s->cfg->flags;
}

/* With all in its place: what depends on the times and the log's words. */
static void follow(struct serve *s, sut_time was_interval, sut_time was_stream)
{
	const struct engine_options *o = &s->cfg->opt;

	s->log.level = engine_log_level(o);
	s->log.time = o->log_time;
	if (o->stats_interval != was_interval)
		s->next_report = o->stats_interval ? s->now + o->stats_interval : SUT_NEVER;
	if (s->cfg->flags.stream_idle_time != was_stream)
		conns_time_streams(s);
}

static void take_settings(struct reload *r)
{
	struct serve *s = r->s;
	const struct settings *set = s->cfg->settings;
	const sut_time interval = s->cfg->opt.stats_interval,
		       stream = s->cfg->flags.stream_idle_time;

	settings_compare(set, r->next, tell, r);
	memcpy(set->block, r->next, set->size); /* and so *s->cfg */
	follow(s, interval, stream);
}

/* The log and the ports beside the old ones, then all in its place: true, or false with nothing changed, and answered. */
static bool apply(struct reload *r)
{
	const char *path = flags_of(r)->access_log;
	struct serve *s = r->s;
	char why[500];
	int fd = path ? access_file(path) : -1;

	if (path && fd < 0) {
		reply_error(r->reply, "access-log: %s: %s; nothing is changed", path,
			    strerror(-fd));
		return false;
	}
	if (r->next && ports_reload(s, r->next, why, sizeof why) != 0) {
		if (fd >= 0)
			close(fd);
		reply_error(r->reply, "%s; nothing is changed", why);
		return false;
	}
	if (access_take(s, fd) != 0) {
		reply_error(r->reply, "access-log: out of memory");
		return false;
	}
	if (r->next)
		take_settings(r);
	return true;
}

/* Is all of the file well, and may all of it change?  Else it is answered. */
static bool is_well(struct reload *r)
{
	const struct serve_config *now = r->s->cfg;
	char why[500];

	r->next->settings = now->settings;
	r->next->words = now->words;
	if (serve_configure(r->next, why, sizeof why) != 0) {
		reply_error(r->reply, "%s; nothing is changed", why);
		return false;
	}
	settings_compare(now->settings, r->next, judge, r);
	if (*r->fixed)
		reply_error(r->reply, "cannot change while it runs: %s; nothing is changed",
			    r->fixed);
	return !*r->fixed;
}

static void done(const struct reload *r)
{
	const char *log = flags_of(r)->access_log ? "; the access log was opened anew" : "";

	reply_ok(r->reply, "%u setting%s changed%s", r->changed, r->changed == 1 ? "" : "s", log);
	log_line(&r->s->log, LOG_NOTICE, "reload: %u setting%s changed%s", r->changed,
		 r->changed == 1 ? "" : "s", log);
}

static void reload_file(struct reload *r)
{
	struct serve *s = r->s;
	struct config_file *file = NULL;
	char why[2000];

	r->next = calloc(1, sizeof *r->next);
	if (!r->next) {
		reply_error(r->reply, "out of memory");
		return;
	}
	if (settings_read(s->cfg->settings, r->next, &file, why, sizeof why) != 0) {
		reply_error(r->reply, "%s; nothing is changed", why);
	} else {
		r->next->file = file;
		if (is_well(r) && apply(r)) {
			struct config_file *old = s->reread_file;

			s->reread_file = file;
			file = old;
			done(r);
		}
	}
	config_close(file);
	free(r->next);
}

void reload_run(struct serve *s, const char *args, struct control_reply *reply)
{
	struct reload r = { .s = s, .reply = reply };

	serve_tick(s);
	if (*args)
		reply_error(reply, "reload takes no arguments");
	else if (s->cfg->opt.config)
		reload_file(&r);
	else if (!s->cfg->flags.access_log)
		reply_error(reply, "neither --config nor --access-log was given: there is nothing "
				   "to read or open anew");
	else if (apply(&r))
		done(&r);
}

bool reload_by_signal(struct serve *s)
{
	struct control_reply reply = { 0 };
	static const char failed[] = "error ";

	if (!s->cfg->opt.config && !s->cfg->flags.access_log)
		return false;
	reload_run(s, "", &reply);
	if (reply.len > sizeof failed && memcmp(reply.text, failed, sizeof failed - 1) == 0)
		log_line(&s->log, LOG_ERROR, "reload: %.*s", (int)(reply.len - sizeof failed),
			 reply.text + sizeof failed - 1);
	reply_free(&reply);
	return true;
}
