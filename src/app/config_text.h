/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_CONFIG_TEXT_H
#define SUT_APP_CONFIG_TEXT_H
/*
 * config_text - finds the sections of a configuration file in its text, and blanks out those of other commands.
 *
 * Does not: judge anything else; what is not well-formed stays for the parser to complain of.
 */
#include <stddef.h>

/*
 * Turns every section of text but the one named own into blanks; newlines stay.  known, ended by NULL, are the names that a section
 * may have; NULL: any.  0; or -EINVAL for one of another name, and for braces or quotes that are not closed, with the line, and a
 * sentence in ret_err; text is changed in part then.
 */
int config_text_keep(char *text, const char *own, const char *const *known, unsigned *ret_line,
		     char *ret_err, size_t err_size);
#endif
