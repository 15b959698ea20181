/* SPDX-License-Identifier: MIT */
#ifndef SUT_CLI_COMMAND_H
#define SUT_CLI_COMMAND_H
/*
 * command - the table of subcommands.  A command's run() gets the words after its own, parses them with app/options.h, and
 * returns the exit code: 0 well, 1 failed, 2 bad usage.
 */

struct command {
	const char *words; /* "accel near" */
	int (*run)(int argc, char **argv);
	const char *help; /* one line */
};

/* In the order of the help text; ends with NULL words. */
extern const struct command commands[];

/* Sections that a file of settings may have: the commands that read one, ended by NULL. */
extern const char *const command_sections[];

/* Each is in cmd_<name>.c. */
int cmd_accel_near(int argc, char **argv);
int cmd_replica_compare(int argc, char **argv);
int cmd_replica_checkpoint(int argc, char **argv);
int cmd_replica_failover(int argc, char **argv);
int cmd_replica_mirror(int argc, char **argv);
int cmd_accel_doctor(int argc, char **argv);
int cmd_replica_rewrite(int argc, char **argv);
int cmd_completion(int argc, char **argv);
int cmd_drain(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_flows(int argc, char **argv);
int cmd_reload(int argc, char **argv);
int cmd_handoff_back(int argc, char **argv);
int cmd_handoff_doctor(int argc, char **argv);
int cmd_handoff_drain(int argc, char **argv);
int cmd_handoff_front(int argc, char **argv);
int cmd_handoff_key(int argc, char **argv);
int cmd_handoff_remove(int argc, char **argv);
int cmd_handoff_rung(int argc, char **argv);
int cmd_handoff_status(int argc, char **argv);
int cmd_handoff_undrain(int argc, char **argv);
int cmd_handoff_weight(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_stats(int argc, char **argv);
int cmd_top(int argc, char **argv);
int cmd_version(int argc, char **argv);
int cmd_wire(int argc, char **argv);
#endif
