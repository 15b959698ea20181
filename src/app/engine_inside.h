/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_ENGINE_INSIDE_H
#define SUT_APP_ENGINE_INSIDE_H
/* engine_inside - what the files of the engine share; nobody else includes it. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "app/engine.h"
#include "app/log.h"
#include "app/loop.h"
#include "app/metrics_text.h"
#include "app/ports.h"
#include "app/runner.h"

struct config_file;
struct control;
struct metrics_server;
struct report;
struct report_port;
struct control_reply;
struct journal;

struct engine {
	const struct engine_config *cfg;
	struct engine_options opt; /* as they are now: reload changes some */
	struct log log;
	struct loop loop;
	struct ports ports;
	struct runner runner;
	sut_time now;
	sut_time wall_offset;
	sut_time next_report; /* SUT_NEVER: none */
	sut_time next_retry; /* of ports that are down; SUT_NEVER: none is */
	sut_time next_pump; /* of ports that are congested together; SUT_NEVER: not so */
	sut_time end; /* when to stop after the last capture; SUT_NEVER: not yet */
	uint32_t always_ready; /* ports without a descriptor */
	uint32_t watched; /* ports whose descriptor is in the loop */
	bool failed;

	uint64_t failovers; /* of the role, that were told of */
	uint32_t told_too_long; /* ports of which it was said that they drop frames as too long */
	bool told_trace; /* that a trace cannot be written */
	sut_time
		next_look; /* at ports and traces; SUT_NEVER: there was no traffic since the last time */

	struct config_file *
		reloaded; /* holds texts of the settings as they are; NULL: they were not reloaded */
	struct journal *journal; /* NULL: none */
	bool journal_more; /* it wants to go on soon */
	struct metrics_server *metrics; /* NULL: none */
	sut_time next_metrics; /* when it wants to go on; SUT_NEVER: when something is ready */
	struct metrics_flows flows; /* as last counted */
	sut_time flows_due; /* not to be counted before */
	struct control *control; /* NULL: no socket */
	bool control_more; /* it wants to go on at once */
	sut_time
		next_drain; /* when to look whether the role is empty, and so at its end; SUT_NEVER: it is not to end then */
	bool draining; /* the role was told to take no new connections */
	int control_port; /* of the role; -1: none, or no socket */
	struct control_reply
		*answer; /* where the role's answer goes; NULL: no command is being served */
};

/* Looks at the clock. */
void engine_tick(struct engine *e);

/* Sends all that is in the outbox, each port's packets together and in order. */
void engine_flush(struct engine *e);

/* engine_ports: reading, and waiting for what is to be read. */

/* Puts the ports' descriptors in the loop: 0 or -errno. */
int engine_watch_ports(struct engine *e);

/* One burst of each port that is ready and may be read. */
void engine_read_ports(struct engine *e, uint32_t ready);

/* Ports that need no waiting. */
uint32_t engine_ready_ports(const struct engine *e);

/* engine_control: commands. */

/* Opens the socket, if there is to be one: 0, or -errno (said already). */
int engine_open_control(struct engine *e);

/* Puts it in the loop: 0 or -errno. */
int engine_watch_control(struct engine *e);

/* A line to the role, its answer into reply, which it ends. */
void engine_ask_role(struct engine *e, const char *line, struct control_reply *reply);

/* The counters as they are now. */
void engine_report(struct engine *e, bool json, FILE *f);

/* The same for other forms; ret_r points into ports. */
void engine_gather(const struct engine *e, struct report_port ports[PORTS_MAX],
		   struct report *ret_r);

/* engine_metrics: the same over HTTP. */
int engine_open_metrics(struct engine *e); /* 0, or -errno (said already) */
int engine_watch_metrics(struct engine *e);
void engine_serve_metrics(struct engine *e, uint32_t ready);
void engine_close_metrics(struct engine *e);

/* engine_journal: records that outlive the process. */

/* Opens the journal, if there is to be one, and sets env up for it (its secret too): 0, or -errno (said already). */
int engine_open_journal(struct engine *e, struct role_env *env);

/* Gives the role what the journal has, once it is sure that it can be rewritten: 0, or -errno (said already). */
int engine_replay_journal(struct engine *e);

/* Writes what was kept in this turn: before any packet of it leaves. */
void engine_flush_journal(struct engine *e);

/* Some more of what it has to do in the background. */
void engine_turn_journal(struct engine *e);
void engine_close_journal(struct engine *e);

/* engine_notice: what is told unasked. */
void engine_notice_traffic(struct engine *e); /* the role was at work */
void engine_notice(struct engine *e); /* at the end of a turn */

/* engine_operate: commands that every role has.  args is what follows the word. */
void operate_flows(struct engine *e, const char *args, struct control_reply *reply);
void operate_stats(struct engine *e, const char *args, struct control_reply *reply);
void operate_drain(struct engine *e, const char *args, struct control_reply *reply);

/* Asks the role something that it answers by a number; -1 if it does not. */
long engine_ask_number(struct engine *e, const char *line);

/* engine_reload: the settings, read anew. */
void operate_reload(struct engine *e, const char *args, struct control_reply *reply);

/* The log as the options have it. */
void engine_set_log(struct engine *e);

/* Was it told to end once it is empty, and is it? */
bool operate_drained(struct engine *e);

/* Answers commands. */
void engine_serve_control(struct engine *e, uint32_t ready);
#endif
