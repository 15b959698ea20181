/* SPDX-License-Identifier: MIT */
/*
 * engine_notice - what the log tells though nobody asked, once: a failover; a port for which frames are too long; a trace that cannot be
 * written.
 */
#include <inttypes.h>
#include <string.h>

#include "app/engine_inside.h"
#include "core/flow_row.h"

#define LOOK_EVERY SUT_MS(1000) /* at ports and traces, while there is traffic */
#define ROWS_MAX 65536u /* counting more would keep the clients waiting */

static void tell_failover(struct engine *e)
{
	uint32_t cursor = 0, n = 0;
	struct flow_row row;

	e->failovers = e->runner.counters.event[EV_FAILOVERS];
	while (n < ROWS_MAX && e->cfg->ops->list &&
	       e->cfg->ops->list(e->runner.role, &cursor, e->now, &row))
		n++;
	log_line(&e->log, LOG_NOTICE,
		 "failed over: the primary is dead; %s%" PRIu32 " connections live on",
		 n == ROWS_MAX ? "at least " : "", n);
}

/* What mends it. */
static const char *advice(const char *spec)
{
	return strncmp(spec, "qemu:", 5) == 0 ? "give vnet_hdr_support at both ends, or turn "
						"segmentation offload off where the frames are made"
					      : "turn receive offloads off where the frames come "
						"in, or give this device their MTU";
}

static void look_at_ports(struct engine *e)
{
	for (unsigned i = 0; i < e->ports.n; i++) {
		struct port *p = e->ports.slot[i].port;
		struct port_stats s = { 0 };

		if (!p || (e->told_too_long >> i & 1))
			continue;
		p->ops->stats(p, &s);
		if (!s.tx_too_long)
			continue;
		e->told_too_long |= (uint32_t)1 << i;
		log_line(&e->log, LOG_ERROR,
			 "%s: frames are too long for it, and dropped (tx_too_long): %s", p->name,
			 advice(p->name));
	}
}

static void look_at_traces(struct engine *e)
{
	int err = ports_flush_traces(&e->ports);

	if (!err || e->told_trace)
		return;
	e->told_trace = true;
	log_line(&e->log, LOG_ERROR, "trace: %s: %s: it will not be whole", e->opt.trace_pcap,
		 strerror(-err));
}

void engine_notice_traffic(struct engine *e)
{
	if (e->next_look == SUT_NEVER)
		e->next_look = e->now + LOOK_EVERY;
}

void engine_notice(struct engine *e)
{
	if (e->runner.counters.event[EV_FAILOVERS] != e->failovers)
		tell_failover(e);
	if (e->now >= e->next_look) {
		look_at_ports(e);
		look_at_traces(e);
		e->next_look = SUT_NEVER;
	}
}
