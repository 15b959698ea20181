/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_SETTINGS_H
#define SUT_APP_SETTINGS_H
/*
 * settings - all that a command was told, in one block, so that it can be read a second time and compared.
 *
 * Owns:     nothing: blocks are the caller's.
 * Does not: know what a setting means, or which may change while the command runs, but for texts (of ports, of files), which may only where their
 *           option says so.
 */
#include <stdbool.h>
#include <stddef.h>

#include "app/options.h"

struct settings {
	const struct option_usage *usage; /* each struct that its groups fill lies in block */
	int argc;
	char *const *argv; /* the flags, without the command's words */
	void *block;
	size_t size; /* of block */
	const void *ctx; /* of the two below */
	void (*defaults)(const void *ctx, void *block); /* block is zeroed */
	/* Makes of the settings what follows from them: NULL, or which of them is impossible.  NULL: nothing does. */
	const char *(*finish)(const void *ctx, void *block);
	/* The text in block that finish() has said is wrong, so that its place in the file can be told; NULL: none.  May be NULL. */
	const char *(*blamed)(const void *ctx, const void *block);
};

/* What a command does with its settings. */
struct settings_use {
	/* What else must be true before finish(): -1 to go on, else the exit code, after complaining.  args stay till run() is over. */
	int (*check)(void *ctx, const struct settings *s, const struct option_args *args);
	int (*run)(void *ctx, const struct settings *s); /* the exit code */
	void *ctx; /* of both */
};

/*
 * The frame of a command: defaults, the file and the flags, what must be true of them, the run.  s->block is zeroed.  Returns the exit code;
 * what is wrong is said on stderr.
 */
int settings_run(const struct settings *s, const struct settings_use *use);

/* What lies at p in the block, in another one. */
void *settings_in(const struct settings *s, const void *p, void *block);

/*
 * Reads all settings into ret_block, s->size bytes at the same alignment, as they would be at a start now: defaults, the file, the flags.
 * 0, with the file in *ret_file (config_close() it); -EINVAL with a sentence in ret_err.
 */
int settings_read(const struct settings *s, void *ret_block, struct config_file **ret_file,
		  char *ret_err, size_t err_size);

/* A setting that differs: its option, the struct it is in, and that of the other block. */
typedef void setting_fn(void *ctx, const struct option_group *g, const struct option_desc *d,
			const void *next);

/* Tells of each setting that is another one in the block next. */
void settings_compare(const struct settings *s, void *next, setting_fn *fn, void *ctx);

/* Behind finish(): where what is wrong stood, "FILE:LINE: ", and its length; 0: on the command line, or nobody knows. */
size_t settings_where(const struct settings *s, const void *block, const struct config_file *file,
		      char *ret_s, size_t size);

/* May it change while the command runs? */
bool setting_may_change(const struct option_desc *d);

/*
 * Takes what next has, but for texts that cannot change: they are the same and stay where they are.  Those that can lie where next has them from
 * now on, so the file of next has to stay open for as long as they are in force.
 */
void settings_take(const struct settings *s, void *next);
#endif
