/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_CONFIG_H
#define SUT_APP_CONFIG_H
/*
 * config - settings from a file: the same names, values and errors as the flags have, out of the same tables.
 *
 *	quiet = yes                       # of whichever command reads the file
 *	accel-near {                      # of "suture accel near"; sections of other commands are passed over
 *		client = "if:eth0"
 *		ports = {80, 443, "8000-8999"}
 *	}
 *
 * Owns:     the texts that settings point to, until config_close().
 * Does not: know any option, or what a command needs: options.h calls it between the defaults and the flags.
 */
#include <stddef.h>

struct option_usage;
struct config_file;

#define CONFIG_FILE_MAX ((size_t)1 << 20) /* bytes of a file */

/*
 * Sets what the file at path says: first what stands outside of any section, then u's own section, each in the tables of u->groups.
 * 0, with the file's texts in *ret_file; -EINVAL, or another -errno, with a sentence in ret_err that names the file and the line;
 * the groups' structs may have changed in part then.
 *
 * Not for two threads at a time: libconfuse's lexer is one for the whole process.
 */
int config_read(const struct option_usage *u, const char *path, struct config_file **ret_file,
		char *ret_err, size_t err_size);

/*
 * Where a text that the settings point to stood: writes "FILE:LINE: " and returns its length; 0: it did not come from this file (NULL: none).
 */
size_t config_where(const struct config_file *f, const char *text, char *ret_s, size_t size);

/* Frees the texts; NULL is well. */
void config_close(struct config_file *f);
#endif
