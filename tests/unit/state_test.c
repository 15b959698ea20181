/* SPDX-License-Identifier: MIT */
/* A role's records in a file: there and back, once, and what becomes of damaged files. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "app/state.h"
#include "core/record.h"

#define FILE_MAX 4096

/* A role whose state is a list of numbers; it has room for so many, and refuses some. */
struct list {
	unsigned n, room;
	uint32_t number[32];
};

#define OLD_VERSION 1000u
#define REFUSED 2000u

static size_t list_save(const void *role, uint32_t *cursor, sut_time now, struct record *ret_record)
{
	const struct list *l = role;

	assert_int_equal(now, 5);
	if (*cursor == l->n)
		return 0;
	record_begin(ret_record, REC_REPLICA_FLOW, 1);
	for (uint32_t i = 0; i <= *cursor; i++)
		record_put32(ret_record, l->number[*cursor]);
	record_end(ret_record);
	(*cursor)++;
	return ret_record->len;
}

static int list_restore(void *role, const struct record *record, sut_time now)
{
	struct list *l = role;
	struct record_reader rd;
	uint32_t n;

	assert_int_equal(now, 7);
	assert_int_equal(record_open(record, &rd), 0);
	n = record_take32(&rd);
	if (n == OLD_VERSION)
		return -EPROTO;
	if (n == REFUSED)
		return -EINVAL;
	if (l->n == l->room)
		return -ENOSPC;
	l->number[l->n++] = n;
	return 0;
}

static const struct role_ops list_ops = {
	.name = "list",
	.save = list_save,
	.restore = list_restore,
};

static char dir[64], path[96], other[112], why[400];

static int set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof dir, "/tmp/state_test.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/state", dir);
	return 0;
}

static int tear_down(void **state)
{
	static const char *const suffix[] = { "", ".old", ".new" };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		snprintf(other, sizeof other, "%s%s", path, suffix[i]);
		remove(other);
	}
	return rmdir(dir);
}

static void store(const struct list *l)
{
	uint32_t n = 99;

	assert_int_equal(
		state_store(path, &list_ops, l, 5, SUT_MS(1000) * 123, &n, why, sizeof why), 0);
	assert_int_equal(n, l->n);
}

static int load(struct list *l, struct state_counts *c)
{
	why[0] = 0;
	return state_load(path, &list_ops, l, 7, c, why, sizeof why);
}

static void goes_there_and_back(void **state)
{
	const struct list from = { .n = 5, .number = { 3, OLD_VERSION, 4, REFUSED, 5 } };
	struct list to = { .room = 2 };
	struct state_counts c;
	struct stat st;

	(void)state;
	assert_int_equal(load(&to, &c), 1);
	store(&from);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(load(&to, &c), 0);
	assert_int_equal(to.n, 2);
	assert_int_equal(to.number[1], 4);
	assert_int_equal(c.restored, 2);
	assert_int_equal(c.no_room, 1);
	assert_int_equal(c.version, 1);
	assert_int_equal(c.refused, 1);
	assert_int_equal(c.saved_at, 123);
	/* only once */
	assert_int_equal(state_taken(path, why, sizeof why), 0);
	assert_int_equal(load(&to, &c), 1);
	snprintf(other, sizeof other, "%s.old", path);
	assert_int_equal(access(other, F_OK), 0);
	assert_int_equal(state_taken(path, why, sizeof why), -ENOENT);
	/* and again, over the older one */
	store(&from);
	assert_int_equal(state_taken(path, why, sizeof why), 0);
	snprintf(other, sizeof other, "%s.new", path);
	assert_int_equal(access(other, F_OK), -1);
}

static void takes_an_empty_one(void **state)
{
	const struct list none = { 0 };
	struct list to = { .room = 2 };
	struct state_counts c;

	(void)state;
	store(&none);
	assert_int_equal(load(&to, &c), 0);
	assert_int_equal(c.restored, 0);
}

static size_t read_file(char *b)
{
	FILE *f = fopen(path, "r");
	size_t n;

	assert_non_null(f);
	n = fread(b, 1, FILE_MAX, f);
	fclose(f);
	return n;
}

static void write_file(const char *b, size_t n)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(b, 1, n, f), n);
	fclose(f);
}

/* Whatever byte is wrong or missing: nothing is restored. */
static void refuses_damaged_files(void **state)
{
	const struct list from = { .n = 5, .number = { 3, 4, 5, 6, 7 } };
	char b[FILE_MAX];
	struct list to = { .room = 30 };
	struct state_counts c;
	size_t n, saved_at;

	(void)state;
	store(&from);
	n = read_file(b);
	saved_at = (size_t)(strstr(b, "saved ") - b);
	for (size_t len = 0; len < n; len++) {
		write_file(b, len);
		assert_int_equal(load(&to, &c), -EBADMSG);
		assert_non_null(strstr(why, path));
		assert_int_equal(to.n, 0);
	}
	for (size_t i = 0; i < n; i++) {
		b[i] ^= 0x10;
		write_file(b, n);
		if (i < saved_at + 6 || i > saved_at + 8) /* the time may be any */
			assert_int_equal(load(&to, &c), -EBADMSG);
		assert_int_equal(to.n, 0);
		b[i] ^= 0x10;
	}
	b[n] = 0;
	write_file(b, n + 1);
	assert_int_equal(load(&to, &c), -EBADMSG);
	write_file(b, n);
	assert_int_equal(load(&to, &c), 0);
	assert_int_equal(to.n, 5);
}

static void refuses_others_files(void **state)
{
	const struct role_ops stranger = { .name = "stranger", .save = list_save };
	const struct list from = { .n = 1, .number = { 3 } };
	struct list to = { .room = 30 };
	struct state_counts c;
	uint32_t n;

	(void)state;
	assert_int_equal(state_store(path, &stranger, &from, 5, 0, &n, why, sizeof why), 0);
	assert_int_equal(load(&to, &c), -EBADMSG);
	assert_non_null(strstr(why, "stranger"));
	assert_int_equal(to.n, 0);
}

/* What cannot be written is known at the beginning; at the end the older file stays. */
static void needs_a_folder(void **state)
{
	const struct list from = { .n = 1, .number = { 3 } }, more = { .n = 2, .number = { 4, 5 } };
	struct list to = { .room = 30 };
	struct state_counts c;
	uint32_t n;

	(void)state;
	assert_int_equal(state_load("/nonexistent/state", &list_ops, &to, 7, &c, why, sizeof why),
			 -ENOENT);
	assert_int_equal(state_load("", &list_ops, &to, 7, &c, why, sizeof why), -EINVAL);
	assert_int_equal(state_load(dir, &list_ops, &to, 7, &c, why, sizeof why), -EBADMSG);
	store(&from);
	snprintf(other, sizeof other, "%s.new", path);
	assert_int_equal(mkdir(other, 0700), 0);
	assert_int_equal(state_store(path, &list_ops, &more, 5, 0, &n, why, sizeof why), -EISDIR);
	assert_int_equal(load(&to, &c), -EISDIR);
	assert_int_equal(rmdir(other), 0);
	assert_int_equal(load(&to, &c), 0);
	assert_int_equal(to.n, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(goes_there_and_back),  TEST(takes_an_empty_one), TEST(refuses_damaged_files),
		TEST(refuses_others_files), TEST(needs_a_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
