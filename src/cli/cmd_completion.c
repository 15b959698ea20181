/* SPDX-License-Identifier: MIT */
/*
 * cmd_completion - prints a shell's completion: the table of commands, each command's own list of options, and the functions that use them.
 *
 * A command lists its options itself (options_run), so that no second list of them is kept anywhere.
 */
#include <stdio.h>
#include <string.h>

#include "app/options.h"
#include "base/compiler.h"
#include "cli/command.h"
#include "cli/roles.h"

static const char *const script[] = {
#include "cli/completion.inc"
};

static void print_commands(void)
{
	puts("_suture_commands() {\n\tcat <<'END'");
	for (const struct command *c = commands; c->words; c++)
		puts(c->words);
	puts("END\n}\n");
}

/* What a command answers when it is asked for its options with those words. */
static void ask(const struct command *c, char *role)
{
	char list[] = "--list-options", flag[] = "--role";

	if (role)
		c->run(3, (char *[]){ flag, role, list, NULL });
	else
		c->run(1, (char *[]){ list, NULL });
}

/* Replaying takes the options of any role. */
static void ask_roles(const struct command *c)
{
	char names[400], *save = NULL;

	role_names(names, sizeof names);
	for (char *s = names; *s; s++)
		if (*s == ',')
			*s = ' ';
	printf("--role %s\n", names);
	for (char *s = strtok_r(names, " ", &save); s; s = strtok_r(NULL, " ", &save))
		ask(c, s);
}

static void print_options(void)
{
	puts("_suture_options() {\n\tcase $1 in");
	for (const struct command *c = commands; c->words; c++) {
		printf("\t'%s') cat <<'END'\n", c->words);
		if (strcmp(c->words, "replay") == 0)
			ask_roles(c);
		else
			ask(c, NULL);
		puts("END\n\t;;");
	}
	puts("\tesac\n}\n");
}

int cmd_completion(int argc, char **argv)
{
	const struct option_usage usage = {
		.command = "completion",
		.synopsis = "bash",
		.about = "Prints a script that completes suture's commands and options in bash: to "
			 "be\n"
			 "sourced, or installed as share/bash-completion/completions/suture.\n",
		.beside = "bash",
		.min_args = 1,
		.max_args = 1,
	};
	struct option_args args;
	int code = options_run(&usage, argc, argv, &args);

	if (code >= 0)
		return code;
	if (strcmp(args.arg[0], "bash") != 0)
		return options_complain(&usage, "'%s' is not a shell that is known: only bash is",
					args.arg[0]);
	print_commands();
	print_options();
	for (size_t i = 0; i < ARRAY_LEN(script); i++)
		puts(script[i]);
	return 0;
}
