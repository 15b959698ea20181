/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_ENGINE_INSIDE_H
#define SUT_APP_ENGINE_INSIDE_H
/* engine_inside - what the files of the engine share; nobody else includes it. */
#include <stdbool.h>
#include <stdint.h>

#include "app/engine.h"
#include "app/log.h"
#include "app/loop.h"
#include "app/ports.h"
#include "app/runner.h"

struct control;
struct control_reply;

struct engine {
	const struct engine_config *cfg;
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

	struct control *control; /* NULL: no socket */
	bool control_more; /* it wants to go on at once */
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

/* Answers commands. */
void engine_serve_control(struct engine *e, uint32_t ready);
#endif
