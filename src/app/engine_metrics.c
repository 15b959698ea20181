/* SPDX-License-Identifier: MIT */
/* engine_metrics - what the engine counts, over HTTP. */
#include "app/clock.h"
#include "app/engine_inside.h"
#include "app/metrics.h"
#include "app/metrics_text.h"
#include "app/process_memory.h"

#define TAG_METRICS (LOOP_TAGS - 2) /* in front of the control socket's */
#define FLOWS_AGE SUT_MS(1000) /* connections are counted no more often, whoever asks */

_Static_assert(TAG_METRICS >= PORTS_MAX, "tags of ports come first");

static void write_metrics(void *ctx, FILE *f)
{
	struct engine *e = ctx;
	struct report_port ports[PORTS_MAX];
	struct metrics m = {
		.flows = &e->flows,
		.role_bytes = e->runner.block_bytes,
		.cpu_seconds = (double)clock_cpu() / 1e9,
	};

	engine_tick(e);
	if (e->now >= e->flows_due) {
		metrics_count_flows(e->cfg->ops, e->runner.role, e->now, &e->flows);
		e->flows_due = e->now + FLOWS_AGE;
	}
	engine_gather(e, ports, &m.report);
	process_memory(&m.resident_bytes, &m.virtual_bytes);
	metrics_text(&m, f);
}

int engine_open_metrics(struct engine *e)
{
	char why[300];
	int err;

	e->next_metrics = SUT_NEVER;
	if (!e->opt.metrics)
		return 0;
	err = metrics_open(e->opt.metrics, write_metrics, e, &e->metrics, why, sizeof why);
	if (err)
		log_line(&e->log, LOG_ERROR, "%s", why);
	return err;
}

int engine_watch_metrics(struct engine *e)
{
	return e->metrics ? loop_watch(&e->loop, metrics_fd(e->metrics), TAG_METRICS) : 0;
}

void engine_serve_metrics(struct engine *e, uint32_t ready)
{
	sut_time wait;

	if (!e->metrics || (!(ready >> TAG_METRICS & 1) && e->now < e->next_metrics))
		return;
	metrics_serve(e->metrics);
	wait = metrics_timeout(e->metrics);
	e->next_metrics = wait == SUT_NEVER ? SUT_NEVER : e->now + wait;
}

void engine_close_metrics(struct engine *e)
{
	if (e->metrics)
		metrics_close(e->metrics);
	e->metrics = NULL;
}
