/* SPDX-License-Identifier: MIT */
/* engine_journal - joins a role's records to the journal. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "app/engine_inside.h"
#include "app/journal.h"

static void keep(void *ctx, const struct record *r)
{
	struct engine *e = ctx;

	journal_put(e->journal, r);
}

int engine_open_journal(struct engine *e, struct role_env *env)
{
	const struct engine_options *o = &e->opt;
	char why[600];
	int err;

	if (!o->journal && o->journal_salvage) {
		log_line(&e->log, LOG_ERROR, "--journal-salvage: there is no --journal");
		return -EINVAL;
	}
	if (!o->journal)
		return 0;
	if (o->state || !e->cfg->ops->journals) {
		log_line(&e->log, LOG_ERROR,
			 o->state ? "--journal and --state do the same: give one of them"
				  : "--journal: %s keeps none; see --state",
			 e->cfg->ops->name);
		return -EINVAL;
	}
	err = journal_open(o->journal, e->cfg->ops, o->journal_salvage, env->secret, &e->journal,
			   why, sizeof why);
	if (err) {
		log_line(&e->log, LOG_ERROR, "%s", why);
		return err;
	}
	env->journal = keep;
	env->journal_ctx = e;
	return 0;
}

int engine_replay_journal(struct engine *e)
{
	struct journal_counts c;
	char why[2 * PATH_MAX];
	int err;

	if (!e->journal)
		return 0;
	err = journal_can_rewrite(e->journal, why, sizeof why);
	if (err) {
		log_line(&e->log, LOG_ERROR, "%s", why);
		return err;
	}
	engine_tick(e);
	journal_replay(e->journal, e->runner.role, e->now, e->ports.wall, &c);
	if (c.records || c.cut || c.salvaged_at)
		log_line(&e->log, c.refused ? LOG_ERROR : LOG_NOTICE,
			 "journal %s: %" PRIu32 " records, %" PRIu32 " of them refused",
			 e->opt.journal, c.records, c.refused);
	if (c.cut)
		log_line(&e->log, LOG_NOTICE,
			 "journal: the end was cut short: %" PRIu32 " bytes taken off", c.cut);
	if (c.salvaged_at)
		log_line(&e->log, LOG_ERROR,
			 "journal: damaged at byte %" PRIu64 ": what lies behind is lost",
			 c.salvaged_at);
	return 0;
}

void engine_flush_journal(struct engine *e)
{
	if (e->journal && !journal_flush(e->journal, e->ports.wall))
		log_line(&e->log, LOG_ERROR, "%s", journal_error(e->journal));
}

void engine_turn_journal(struct engine *e)
{
	const char *news;

	if (!e->journal)
		return;
	e->journal_more = journal_turn(e->journal, e->runner.role, e->now, e->ports.wall);
	news = journal_news(e->journal);
	if (news)
		log_line(&e->log, LOG_ERROR, "%s", news);
}

void engine_close_journal(struct engine *e)
{
	if (!e->journal)
		return;
	engine_flush_journal(e);
	journal_close(e->journal);
	e->journal = NULL;
}
