/* SPDX-License-Identifier: MIT */
#ifndef SUT_CLI_ROLES_H
#define SUT_CLI_ROLES_H
/* roles - the roles that commands can run, each with its options. */
#include <stddef.h>

#include "app/options.h"
#include "role/role.h"

struct role_entry {
	const struct role_ops *ops;
	const struct option_desc *options; /* fill a config of config_size bytes */
	size_t config_size;
	void (*defaults)(void *ret_config);
	const char *(*config_error)(const void *config); /* names the setting; NULL: all is well */
};

/* The role of this name ("accel-near"); NULL if there is none. */
const struct role_entry *role_find(const char *name);

/* The names of all roles with a comma and a blank between them. */
void role_names(char *ret_s, size_t size);
#endif
