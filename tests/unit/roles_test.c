/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "cli/roles.h"

static const char *const names[] = { "accel-near", "replica-compare", "replica-mirror",
				     "replica-rewrite" };

/* The defaults that the help text prints are those that the role sets. */
static void defaults_agree(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const struct role_entry *r = role_find(names[i]);
		void *set, *said;

		if (!r)
			continue; /* not built yet */
		set = calloc(1, r->config_size);
		said = calloc(1, r->config_size);
		r->defaults(set);
		memcpy(said, set, r->config_size);
		options_defaults(r->options, said);
		assert_memory_equal(set, said, r->config_size);
		memset(said, 0, r->config_size);
		options_defaults(r->options, said);
		assert_memory_equal(set, said, r->config_size);
		assert_null(r->config_error(set));
		assert_true(r->ops->need(set) > 0);
		free(set);
		free(said);
	}
}

static void finds(void **state)
{
	char list[200];

	(void)state;
	assert_null(role_find("nope"));
	role_names(list, sizeof list);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const struct role_entry *r = role_find(names[i]);

		if (r)
			assert_non_null(strstr(list, names[i]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_agree),
		cmocka_unit_test(finds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
