/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_ENGINE_H
#define SUT_APP_ENGINE_H
/*
 * engine - joins one role to its ports and runs it until it is told to end.
 *
 * Owns:     the ports, the role's memory, the counters, the loop.  Many engines can live in one process.
 * Does not: parse flags or know any role: both come in by the config.
 *
 * A turn of the loop: expire what is due, then the ports by index, one burst each, then commands (control.h).  What a call into the role put in the outbox is
 * sent before the next call.  SIGINT, SIGTERM, and SIGHUP where it is not ignored, end the run cleanly, SIGUSR1 prints the counters.
 */
#include <stdbool.h>
#include <stdint.h>

#include "app/log.h"
#include "app/options.h"
#include "base/time.h"
#include "role/role.h"

struct port;
struct settings;

#define ENGINE_PORTS_MAX 12 /* ROLE_PORTS_MAX */

/* Options that every long-running command has: engine_option_table fills them. */
struct engine_options {
	bool verbose, debug, quiet;
	bool json; /* counters as JSON, one object, on standard output */
	bool stats; /* counters at the end */
	bool log_time;
	sut_time stats_interval; /* counters every so often; 0: never */
	const char *trace_pcap; /* a directory (a file per port), or a file; NULL: no trace */
	const char *control; /* path of the socket for commands; NULL: none */
	const char *metrics; /* where HTTP is answered: "9100", "192.0.2.1:9100"; NULL: nowhere */
	const char *
		state; /* the role's records are restored from there, and saved to it at the end; NULL: not */
	bool no_sandbox; /* for engine_run_process() */
	const char *journal; /* a file that keeps records as they come into being; NULL: none */
	bool journal_salvage; /* use what lies before damage */
	const char *config; /* the file of settings; NULL: none */
};

extern const struct option_desc engine_option_table[];

/* What of the log these options show. */
enum log_level engine_log_level(const struct engine_options *o);
struct log engine_log(const struct engine_options *o);

struct engine_config {
	const struct role_ops *ops;
	const void *role_config; /* as ops->need and ops->init take it */
	const char *role_error; /* why need() would return 0; NULL: asked by the caller already */

	/*
	 * By index into ops->ports: what to open ("if:eth0").  port[i], where not NULL, is used instead, and stays the
	 * caller's (tests).  Each port of frames needs one of the two unless it is optional; one without is not joined.
	 */
	const char *spec[ENGINE_PORTS_MAX];
	struct port *port[ENGINE_PORTS_MAX];

	/* What all of that was read from, to be read anew; role_config lies in its block; NULL: it cannot be. */
	const struct settings *settings;

	/*
	 * Called with the opened ports, by index (NULL: not joined), before opened(): 0, or -errno with a sentence in ret_err.  NULL: nothing
	 * to do.
	 */
	int (*joined)(void *ctx, struct port *const *port, char *ret_err, size_t err_size);

	/*
	 * Called once settings that were read anew are in force, with their block; the role has taken them.  Where it is set the role is always
	 * given its configuration: more than the options may have changed (files that they name).  Returns what to say of those, or NULL.
	 */
	const char *(*renewed)(void *ctx, void *next);
	void *hook_ctx; /* of both */

	void (*opened)(
		void *ctx); /* called once all is open, before readiness; NULL: nothing to do */
	void *opened_ctx;

	bool sandbox; /* give up what is not needed once all is open (app/sandbox.h); for whole processes only */

	struct engine_options opt;
};

/*
 * Opens, announces readiness ("suture: ready: accel-near client=if:a server=if:b" and the service manager's datagram), runs.
 * Returns the exit code: 0 after a signal or when all captures have ended (timers due within a second after that still
 * fire); 1 if something failed (said on stderr).  SIGPIPE is ignored from then on: who reads the log must not end a box.
 */
int engine_run(const struct engine_config *cfg);

/* engine_run() for a command: with its options, and with the sandbox unless they say no. */
int engine_run_process(struct engine_config *cfg, const struct engine_options *opt);
#endif
