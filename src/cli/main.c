/* SPDX-License-Identifier: MIT */
/*
 * main - finds the subcommand whose words open the command line and runs it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"

/* How many words of argv a command's own words take: 0 if they do not match. */
static int match(const char *words, int argc, char **argv)
{
	int n = 0;

	while (*words) {
		size_t len = strcspn(words, " ");

		if (n >= argc || strlen(argv[n]) != len || memcmp(argv[n], words, len) != 0)
			return 0;
		n++;
		words += len;
		words += strspn(words, " ");
	}
	return n;
}

static const struct command *find(int argc, char **argv, int *ret_words)
{
	for (const struct command *c = commands; c->words; c++) {
		int n = match(c->words, argc, argv);

		if (n) {
			*ret_words = n;
			return c;
		}
	}
	return NULL;
}

static void print_list(FILE *f, const char *first_word)
{
	size_t len = first_word ? strlen(first_word) : 0;

	for (const struct command *c = commands; c->words; c++) {
		if (first_word && (strncmp(c->words, first_word, len) != 0 || c->words[len] != ' '))
			continue;
		fprintf(f, "  %-20s %s\n", c->words, c->help);
	}
}

static int usage(FILE *f)
{
	fputs("usage: suture COMMAND [OPTION]...\n"
	      "\n"
	      "suture stands between two halves of a TCP connection that disagree about numbers, "
	      "and\n"
	      "makes each half believe that it has been talking to the other all along.\n"
	      "\n"
	      "Commands:\n",
	      f);
	print_list(f, NULL);
	fputs("\n"
	      "'suture COMMAND --help' and 'suture help COMMAND' describe a command.\n"
	      "Exit codes: 0 well, 1 failed, 2 bad usage.\n",
	      f);
	return f == stdout ? 0 : 2;
}

/* Is word the first of the words of a command that has more? */
static bool is_family(const char *word)
{
	size_t len = strlen(word);

	for (const struct command *c = commands; c->words; c++)
		if (strncmp(c->words, word, len) == 0 && c->words[len] == ' ')
			return true;
	return false;
}

static int list_family(FILE *f, const char *word)
{
	fprintf(f, "usage: suture %s COMMAND [OPTION]...\n\nCommands:\n", word);
	print_list(f, word);
	return f == stdout ? 0 : 2;
}

static bool asks_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int unknown(int argc, char **argv)
{
	if (argc > 1 && is_family(argv[0]) && asks_help(argv[1]))
		return list_family(stdout, argv[0]);
	if (argc == 1 && is_family(argv[0])) {
		fprintf(stderr, "suture %s: which of its commands?\n", argv[0]);
		return list_family(stderr, argv[0]);
	}
	if (is_family(argv[0])) {
		fprintf(stderr, "suture %s: unknown command '%s'\n", argv[0], argv[1]);
		return list_family(stderr, argv[0]);
	}
	fprintf(stderr, "suture: unknown %s '%s'\nTry 'suture --help'.\n",
		argv[0][0] == '-' ? "option" : "command", argv[0]);
	return 2;
}

static int help(int argc, char **argv)
{
	char flag[] = "--help";
	const struct command *c;
	int words = 0;

	if (argc == 0)
		return usage(stdout);
	c = find(argc, argv, &words);
	if (c)
		return c->run(1, (char *[]){ flag, NULL });
	if (argc == 1 && is_family(argv[0]))
		return list_family(stdout, argv[0]);
	return unknown(argc, argv);
}

static int run(int argc, char **argv)
{
	const struct command *c;
	int words = 0;

	if (argc == 0)
		return usage(stderr);
	if (asks_help(argv[0]))
		return usage(stdout);
	if (strcmp(argv[0], "--version") == 0)
		return cmd_version(argc - 1, argv + 1);
	if (strcmp(argv[0], "help") == 0)
		return help(argc - 1, argv + 1);
	c = find(argc, argv, &words);
	return c ? c->run(argc - words, argv + words) : unknown(argc, argv);
}

/*
 * Without this, what is opened first would be standard output or error where those are closed, and
 * texts would go into a capture or onto a network.  A descriptor that cannot be written fails as a
 * closed one does.
 */
static void occupy_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && fd <= 2);
	if (fd > 2)
		close(fd);
}

/* Output that could not be written (a full disk, a closed pipe) is a failure too. */
static int check_output(void)
{
	const char *why = "not all could be written";

	if (fflush(stdout) != 0)
		why = strerror(errno);
	else if (!ferror(stdout))
		return 0;
	fprintf(stderr, "suture: standard output: %s\n", why);
	return 1;
}

int main(int argc, char **argv)
{
	int code, output;

	occupy_standard_descriptors();
	code = run(argc - 1, argv + 1);
	output = check_output();
	return code ? code : output;
}
