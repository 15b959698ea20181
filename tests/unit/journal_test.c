/* SPDX-License-Identifier: MIT */
#include "app/journal.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* A role of numbers: a record says that a number is there (REC_ACCEL_SERVER), or is no more (REC_FLOW_END). */
#define NUMBERS 200000u

struct numbers {
	bool there[NUMBERS];
	uint32_t restored;
	sut_time last; /* the time that the last restored record was given */
};

static void number_record(struct record *r, enum record_kind kind, uint32_t n)
{
	uint8_t filling[60] = { 1 };

	record_begin(r, kind, 1);
	record_put32(r, n);
	record_put(r, filling, sizeof filling);
	record_end(r);
}

static size_t save(const void *role, uint32_t *cursor, sut_time now, struct record *ret_r)
{
	const struct numbers *s = role;

	(void)now;
	while (*cursor < NUMBERS && !s->there[*cursor])
		(*cursor)++;
	if (*cursor == NUMBERS)
		return 0;
	number_record(ret_r, REC_ACCEL_SERVER, (*cursor)++);
	return ret_r->len;
}

static int restore(void *role, const struct record *r, sut_time now)
{
	struct numbers *s = role;
	struct record_reader rd;
	uint32_t n;

	if (record_open(r, &rd) != 0)
		return -EINVAL;
	n = record_take32(&rd);
	if (rd.failed || n >= NUMBERS)
		return -EINVAL;
	s->there[n] = rd.kind == REC_ACCEL_SERVER;
	s->restored++;
	s->last = now;
	return 0;
}

static const struct role_ops ops = {
	.name = "numbers", .save = save, .restore = restore, .journals = true
};
static const struct role_ops other_ops = {
	.name = "letters", .save = save, .restore = restore, .journals = true
};

static char path[64];

static int setup(void **state)
{
	*state = calloc(2, sizeof(struct numbers));
	snprintf(path, sizeof path, "/tmp/sut-journal-%d", (int)getpid());
	unlink(path);
	return 0;
}

static int teardown(void **state)
{
	char next[80];

	free(*state);
	unlink(path);
	snprintf(next, sizeof next, "%s.new", path);
	assert_int_not_equal(access(next, F_OK), 0);
	return 0;
}

static struct journal *open_it(uint8_t secret[16])
{
	struct journal *j;
	char why[500];
	int err = journal_open(path, &ops, false, secret, &j, why, sizeof why);

	if (err)
		print_message("%s\n", why);
	assert_int_equal(err, 0);
	return j;
}

/* The number comes, or goes, in the role and in the journal. */
static void tell(struct journal *j, struct numbers *s, uint32_t n, bool there)
{
	struct record r;

	s->there[n] = there;
	number_record(&r, there ? REC_ACCEL_SERVER : REC_FLOW_END, n);
	journal_put(j, &r);
}

/* What a process that begins anew knows: the same as s, and how many records that took. */
static struct journal_counts same_again(struct numbers *s, struct numbers *ret_new)
{
	uint8_t secret[16] = { 0 };
	struct journal_counts c;
	struct journal *j = open_it(secret);

	memset(ret_new, 0, sizeof *ret_new);
	journal_replay(j, ret_new, SUT_MS(1000), SUT_MS(1000000), &c);
	journal_close(j);
	assert_int_equal(c.refused, 0);
	assert_memory_equal(s->there, ret_new->there, sizeof s->there);
	return c;
}

static void what_was_flushed_is_there_after_a_kill(void **state)
{
	struct numbers *s = *state;
	uint8_t secret[16] = { 1, 2, 0xab }, again[16] = { 9 };
	struct journal *j = open_it(secret), *k;
	struct journal_counts c;

	for (uint32_t i = 0; i < 100; i++) {
		tell(j, s, i, true);
		assert_true(journal_flush(j, SUT_MS(1000)));
	}
	tell(j, s, 7, false);
	assert_true(journal_flush(j, SUT_MS(1000)));
	/* Another cannot have it meanwhile. */
	{
		char why[500];

		assert_int_equal(journal_open(path, &ops, false, again, &k, why, sizeof why),
				 -EBUSY);
		assert_non_null(strstr(why, "another suture"));
	}
	journal_close(j); /* nothing is left to be written: as if it had been killed */
	c = same_again(s, s + 1);
	assert_int_equal(c.records, 101);
	k = open_it(again);
	assert_memory_equal(again, secret, sizeof secret);
	journal_close(k);
}

static void times_are_told_over_the_gap(void **state)
{
	struct numbers *s = *state;
	uint8_t secret[16] = { 0 };
	struct journal *j = open_it(secret);
	struct journal_counts c;

	tell(j, s, 1, true);
	assert_true(journal_flush(j, SUT_MS(500000)));
	journal_close(j);
	j = open_it(secret);
	journal_replay(j, s + 1, SUT_MS(700000), SUT_MS(530000), &c);
	assert_int_equal((s + 1)->last, SUT_MS(670000)); /* 30 s ago */
	journal_close(j);
	j = open_it(secret);
	journal_replay(j, s + 1, SUT_MS(1000), SUT_MS(530000), &c);
	assert_int_equal((s + 1)->last, 1); /* this clock began later */
	journal_close(j);
}

static long size_of(const char *name)
{
	struct stat st;

	return stat(name, &st) == 0 ? (long)st.st_size : -1;
}

static void cut_end_is_taken_off(void **state)
{
	struct numbers *s = *state;
	uint8_t secret[16] = { 0 };
	struct journal *j = open_it(secret);
	struct journal_counts c;
	long size;

	for (uint32_t i = 0; i < 10; i++)
		tell(j, s, i, true);
	assert_true(journal_flush(j, SUT_MS(1000)));
	journal_close(j);
	size = size_of(path);
	s->there[9] = false;
	for (long cut = 1; cut < 70; cut += 11) {
		assert_int_equal(truncate(path, size - cut), 0);
		j = open_it(secret);
		memset(s + 1, 0, sizeof *s);
		journal_replay(j, s + 1, SUT_MS(1000), SUT_MS(1000), &c);
		assert_int_equal(c.records, 9);
		assert_int_equal(c.cut > 0 || cut > 1, 1);
		/* It goes on behind the last whole one. */
		tell(j, s + 1, 9, true);
		assert_true(journal_flush(j, SUT_MS(1000)));
		journal_close(j);
		assert_true(size_of(path) >= size);
	}
	s->there[9] = true;
	(void)same_again(s, s + 1);
}

/* Its writer may have died at any byte: what was whole by then is there. */
static void is_good_at_any_length(void **state)
{
	struct numbers *s = *state;
	uint8_t secret[16] = { 0 };
	struct journal *j = open_it(secret);
	struct journal_counts c;
	long head = size_of(path), size;
	uint8_t all[2000];
	uint32_t last = 0;
	FILE *f;

	for (uint32_t i = 0; i < 10; i++)
		tell(j, s, i, true);
	assert_true(journal_flush(j, SUT_MS(1000)));
	journal_close(j);
	size = size_of(path);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fread(all, 1, sizeof all, f), size);
	fclose(f);
	for (long len = head; len < size; len++) {
		f = fopen(path, "w");
		assert_non_null(f);
		fwrite(all, 1, (size_t)len, f);
		fclose(f);
		j = open_it(secret);
		journal_replay(j, s + 1, SUT_MS(1000), SUT_MS(1000), &c);
		journal_close(j);
		assert_int_equal(c.refused, 0);
		assert_true(c.records == last || c.records == last + 1);
		assert_int_equal(size_of(path) + c.cut, len);
		last = c.records;
	}
	assert_int_equal(last, 9);
}

static void damage_is_refused_with_a_way_on(void **state)
{
	struct numbers *s = *state;
	uint8_t secret[16] = { 0 };
	struct journal *j = open_it(secret);
	struct journal_counts c;
	char why[500];
	FILE *f;

	for (uint32_t i = 0; i < 10; i++)
		tell(j, s, i, true);
	assert_true(journal_flush(j, SUT_MS(1000)));
	journal_close(j);
	f = fopen(path, "r+");
	assert_non_null(f);
	fseek(f, size_of(path) - 200, SEEK_SET);
	fputc(0x5a, f);
	fclose(f);
	assert_int_equal(journal_open(path, &ops, false, secret, &j, why, sizeof why), -EBADMSG);
	assert_non_null(strstr(why, "damaged at byte"));
	assert_non_null(strstr(why, "--journal-salvage"));
	assert_int_equal(journal_open(path, &ops, true, secret, &j, why, sizeof why), 0);
	journal_replay(j, s + 1, SUT_MS(1000), SUT_MS(1000), &c);
	assert_int_equal(c.records, 7);
	assert_true(c.salvaged_at > 0);
	journal_close(j);
	j = open_it(secret); /* whole again */
	journal_close(j);
}

static void strangers_are_refused(void **state)
{
	uint8_t secret[16] = { 0 };
	struct journal *j = open_it(secret);
	char why[500];
	FILE *f;

	(void)state;
	journal_close(j);
	assert_int_equal(journal_open(path, &other_ops, true, secret, &j, why, sizeof why),
			 -EBADMSG);
	assert_non_null(strstr(why, "another role"));
	f = fopen(path, "r+");
	assert_int_equal(fseek(f, 20, SEEK_SET), 0);
	fputs("\x91\x03\xfe\x44", f);
	fclose(f);
	assert_int_equal(journal_open(path, &other_ops, true, secret, &j, why, sizeof why),
			 -EBADMSG);
	assert_non_null(strstr(why, "head, which has the secret, is damaged"));
	f = fopen(path, "w");
	fputs("something else\n", f);
	fclose(f);
	assert_int_equal(journal_open(path, &ops, true, secret, &j, why, sizeof why), -EBADMSG);
	assert_int_equal(journal_open("/tmp", &ops, true, secret, &j, why, sizeof why), -EISDIR);
	assert_int_equal(journal_open("/nowhere/at/all", &ops, true, secret, &j, why, sizeof why),
			 -ENOENT);
	assert_int_equal(journal_open("", &ops, true, secret, &j, why, sizeof why), -ENAMETOOLONG);
}

/* A long life of few numbers: the file does not grow without bound, and is right at any moment. */
static void is_rewritten_a_little_a_turn(void **state)
{
	struct numbers *s = *state;
	uint8_t secret[16] = { 0 };
	struct journal *j = open_it(secret);
	uint64_t most = 0, x = 1;
	unsigned turns = 0;

	for (uint32_t i = 0; i < 300000; i++) {
		uint32_t n;

		x = x * 6364136223846793005u + 1442695040888963407u;
		n = (uint32_t)(x >> 40) % 5000;
		tell(j, s, n, !s->there[n]);
		if (i % 16 == 0) {
			assert_true(journal_flush(j, SUT_MS(i)));
			turns += journal_turn(j, s, SUT_MS(i), SUT_MS(i));
		}
		if (journal_size(j) > most)
			most = journal_size(j);
		if (i % 60000 == 59999) {
			assert_true(journal_flush(j, SUT_MS(i)));
			journal_close(j);
			(void)same_again(s, s + 1);
			j = open_it(secret);
		}
	}
	assert_true(turns > 10);
	assert_true(most < 8 * JOURNAL_SMALL);
	assert_true(journal_flush(j, SUT_MS(1)));
	journal_close(j);
	(void)same_again(s, s + 1);
}

/* The file may not grow: it is said once, records are kept, and are there when there is room again. */
static void full_disk_is_said_once(void **state)
{
	struct numbers *s = *state;
	uint8_t secret[16] = { 0 };
	struct journal *j = open_it(secret);
	struct rlimit was, little = { .rlim_cur = 8000, .rlim_max = RLIM_INFINITY };
	unsigned said = 0;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	little.rlim_max = was.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
	for (uint32_t i = 0; i < 500; i++) {
		tell(j, s, i, true);
		said += !journal_flush(j, SUT_MS(1000));
	}
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	assert_int_equal(said, 1);
	assert_non_null(strstr(journal_error(j), "would not survive"));
	assert_true(journal_flush(j, SUT_MS(1000)));
	journal_close(j);
	(void)same_again(s, s + 1);
}

/* A file that was made, and whose maker died or found the disk full before it wrote the head. */
static void empty_file_is_a_new_one(void **state)
{
	struct numbers *s = *state;
	uint8_t secret[16] = { 3 };
	struct journal *j;
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fclose(f);
	journal_close(open_it(secret));
	/* Or the machine lost its power before the blocks were written. */
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(truncate(path, 3000), 0);
	j = open_it(secret);
	tell(j, s, 1, true);
	assert_true(journal_flush(j, SUT_MS(1000)));
	journal_close(j);
	(void)same_again(s, s + 1);
}

/* No file may become longer than that. */
static void limit_files(rlim_t bytes)
{
	struct rlimit r;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &r), 0);
	r.rlim_cur = bytes == RLIM_INFINITY ? r.rlim_max : bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

static void no_room_for_the_head(void **state)
{
	uint8_t secret[16] = { 0 };
	struct journal *j;
	char why[500];
	int err;

	(void)state;
	limit_files(20);
	err = journal_open(path, &ops, false, secret, &j, why, sizeof why);
	limit_files(RLIM_INFINITY);
	assert_int_equal(err, -EFBIG);
	journal_close(open_it(secret));
}

/* Power went: the file has its length, and zeroes where the last blocks should be. */
static void zeroes_at_the_end_are_taken_off(void **state)
{
	struct numbers *s = *state;
	uint8_t secret[16] = { 0 };
	struct journal *j = open_it(secret);
	struct journal_counts c;
	long size;

	for (uint32_t i = 0; i < 10; i++)
		tell(j, s, i, true);
	assert_true(journal_flush(j, SUT_MS(1000)));
	journal_close(j);
	size = size_of(path);
	assert_int_equal(truncate(path, size + 5000), 0);
	j = open_it(secret);
	journal_replay(j, s + 1, SUT_MS(1000), SUT_MS(1000), &c);
	journal_close(j);
	assert_int_equal(c.records, 10);
	assert_int_equal(c.cut, 5000);
	assert_int_equal(size_of(path), size);
}

/* What waited while the disk was full is as old as it is, not as old as the first that waited. */
static void what_waits_keeps_its_time(void **state)
{
	struct numbers *s = *state;
	uint8_t secret[16] = { 0 };
	struct journal *j = open_it(secret);
	struct journal_counts c;

	limit_files(80);
	tell(j, s, 1, true);
	assert_false(journal_flush(j, SUT_MS(500000)));
	tell(j, s, 2, true);
	assert_true(journal_flush(j, SUT_MS(600000))); /* said already */
	limit_files(RLIM_INFINITY);
	assert_true(journal_flush(j, SUT_MS(600500)));
	journal_close(j);
	j = open_it(secret);
	journal_replay(j, s + 1, SUT_MS(900000), SUT_MS(700000), &c);
	journal_close(j);
	assert_int_equal(c.records, 2);
	assert_int_equal((s + 1)->last, SUT_MS(800000)); /* 100 s ago */
}

/* More than is kept came while the disk was full: the file is written anew from the role when there is room. */
static void what_was_lost_is_made_up_for(void **state)
{
	struct numbers *s = *state;
	uint8_t secret[16] = { 0 };
	struct journal *j = open_it(secret);
	sut_time t = SUT_MS(1000);

	limit_files(1000);
	for (uint32_t i = 0; i < NUMBERS; i++) {
		tell(j, s, i, true);
		if (i % 1000 == 0) {
			(void)journal_flush(j, t);
			assert_false(journal_turn(j, s, t, t));
		}
	}
	limit_files(RLIM_INFINITY);
	tell(j, s, 0, true);
	assert_true(journal_flush(j, t));
	t += SUT_MS(10000);
	while (journal_turn(j, s, t, t))
		;
	assert_non_null(journal_news(j)); /* it is whole again */
	journal_close(j);
	(void)same_again(s, s + 1);
}

/* The file lies elsewhere, and a link leads to it: it stays there, and so does the link. */
static void link_stays_a_link(void **state)
{
	struct numbers *s = *state;
	uint8_t secret[16] = { 0 };
	char elsewhere[80];
	struct journal *j;
	struct stat st;
	sut_time t = SUT_MS(1000);
	bool rewritten = false;

	snprintf(elsewhere, sizeof elsewhere, "%s-elsewhere", path);
	assert_int_equal(symlink(elsewhere, path), 0);
	j = open_it(secret);
	for (uint32_t i = 0; i < 100000 && !rewritten; i++) {
		tell(j, s, i % 10, !s->there[i % 10]);
		assert_true(journal_flush(j, t));
		while (journal_turn(j, s, t, t))
			rewritten = true;
	}
	assert_true(rewritten);
	journal_close(j);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	(void)same_again(s, s + 1);
	unlink(elsewhere);
}

/* FILE.new is another's journal: the file is not rewritten, which is said once; the other's stays as it is. */
static void rewriting_destroys_nothing(void **state)
{
	struct numbers *s = *state;
	uint8_t secret[16] = { 0 }, theirs[16] = { 7 };
	struct journal *j = open_it(secret), *other;
	char next[80], why[500];
	sut_time t = SUT_MS(1000);
	unsigned said = 0;
	long size;

	snprintf(next, sizeof next, "%s.new", path);
	assert_int_equal(journal_open(next, &ops, false, theirs, &other, why, sizeof why), 0);
	tell(other, s + 1, 7, true);
	assert_true(journal_flush(other, t));
	size = size_of(next);
	for (uint32_t i = 0; i < 100000; i++, t += SUT_MS(1)) {
		tell(j, s, i % 10, !s->there[i % 10]);
		if (i % 100 == 0) {
			assert_true(journal_flush(j, t));
			(void)journal_turn(j, s, t, t);
			if (journal_news(j))
				said++;
		}
	}
	assert_int_equal(said, 1);
	assert_int_equal(size_of(next), size);
	journal_close(j);
	assert_int_equal(size_of(next), size);
	journal_close(other);
	unlink(next);
	(void)same_again(s, s + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_flushed_is_there_after_a_kill, setup,
						teardown),
		cmocka_unit_test_setup_teardown(times_are_told_over_the_gap, setup, teardown),
		cmocka_unit_test_setup_teardown(cut_end_is_taken_off, setup, teardown),
		cmocka_unit_test_setup_teardown(is_good_at_any_length, setup, teardown),
		cmocka_unit_test_setup_teardown(damage_is_refused_with_a_way_on, setup, teardown),
		cmocka_unit_test_setup_teardown(strangers_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(is_rewritten_a_little_a_turn, setup, teardown),
		cmocka_unit_test_setup_teardown(full_disk_is_said_once, setup, teardown),
		cmocka_unit_test_setup_teardown(empty_file_is_a_new_one, setup, teardown),
		cmocka_unit_test_setup_teardown(no_room_for_the_head, setup, teardown),
		cmocka_unit_test_setup_teardown(zeroes_at_the_end_are_taken_off, setup, teardown),
		cmocka_unit_test_setup_teardown(what_waits_keeps_its_time, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_lost_is_made_up_for, setup, teardown),
		cmocka_unit_test_setup_teardown(rewriting_destroys_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(link_stays_a_link, setup, teardown),
	};

	signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
