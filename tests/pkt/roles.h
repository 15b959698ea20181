/* SPDX-License-Identifier: MIT */
#ifndef SUT_PKT_ROLES_H
#define SUT_PKT_ROLES_H
/* roles - the roles that scripts can name, and how their settings are spelled. */
#include <stdbool.h>
#include <stddef.h>

#include "conn.h"
#include "core/quad.h"
#include "fault.h"
#include "role/role.h"

enum setting_kind { SET_U32, SET_TIME, SET_BOOL, SET_PORTS, SET_MODE, SET_NAME };

/* One `set KEY VALUE`: where it goes in the config. */
struct setting {
	const char *key; /* as the flag without "--"; NULL ends a table */
	enum setting_kind kind;
	size_t off;
	size_t count_off; /* SET_PORTS: of the uint32_t number */
	const char *const *names; /* SET_NAME: what a uint8_t's values are called; ended by NULL */
};

struct role_kind {
	const char *name;
	const struct role_ops *ops;
	size_t config_size;
	const struct setting *settings;
	void (*defaults)(void *config);
	const char *(*error)(const void *config);
	bool (*describe)(const void *role, const struct flow_key *near_key, char *ret_s,
			 size_t size); /* may be NULL */
	/* By port, who sends what comes in and what goes out: a connection's source or destination; NULL: "sd", then "ds". */
	const char *const *ways;
	void (*flows)(void *config, const struct conn *flow,
		      unsigned n); /* told of all flows; may be NULL */
	/* Takes `set KEY TEXT` where the settings have no such key: false, it is not one; may be NULL. */
	bool (*line)(void *config, const char *key, const char *text);
	/* Lists that `reload` gives anew are empty; may be NULL. */
	void (*anew)(void *config);
};

/* The role of this name, or NULL if this build has none. */
const struct role_kind *role_find(const char *name);

/* Sets key to the text in the config; false with a fault. */
bool role_set(const struct role_kind *r, void *config, const char *key, const char *text,
	      struct fault *f);
#endif
