/* SPDX-License-Identifier: MIT */
/*
 * bench-journal FILE [FLOWS] - how long the loop stands still for the journal: the longest turn, and the mean, while so many connections
 * are joined as fast as can be, 64 a turn, and end again while as many others come; the file is rewritten several times on the way.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app/journal.h"
#include "core/record_flow.h"

#define TURN 64u

static bool *there;
static uint32_t flows = 100000;

static struct flow_key key_of(uint32_t n)
{
	struct flow_key k = { .sport = be16_of((uint16_t)n),
			      .dport = be16_of(80),
			      .where = n >> 16 };

	return k;
}

/* As long as a joined flow's record. */
static void flow_record(struct record *r, uint32_t n)
{
	static const uint8_t filling[160];
	struct flow_key k = key_of(n);

	record_begin(r, REC_ACCEL_FLOW, 1);
	record_put_key(r, &k);
	record_put(r, filling, sizeof filling);
	record_end(r);
}

static size_t save(const void *role, uint32_t *cursor, sut_time now, struct record *ret_r)
{
	(void)role;
	(void)now;
	while (*cursor < flows && !there[*cursor])
		(*cursor)++;
	if (*cursor == flows)
		return 0;
	flow_record(ret_r, (*cursor)++);
	return ret_r->len;
}

static int restore(void *role, const struct record *r, sut_time now)
{
	(void)role;
	(void)r;
	(void)now;
	return 0;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t most, sum, turns, rewriting;

/* The end of a turn, as the engine has it. */
static void turn(struct journal *j, uint64_t began)
{
	uint64_t took;

	(void)journal_flush(j, began);
	rewriting += journal_turn(j, NULL, began, began);
	took = now_ns() - began;
	sum += took;
	turns++;
	if (took > most)
		most = took;
}

int main(int argc, char **argv)
{
	static const struct role_ops ops = {
		.name = "bench", .save = save, .restore = restore, .journals = true
	};
	uint8_t secret[16] = { 0 };
	struct journal_counts c;
	struct journal *j;
	struct record r;
	uint64_t began;
	char why[500];

	if (argc > 2)
		flows = (uint32_t)strtoul(argv[2], NULL, 10);
	if (argc < 2 || flows == 0) {
		fprintf(stderr, "usage: bench-journal FILE [FLOWS]\n");
		return 2;
	}
	there = calloc(flows, sizeof *there);
	if (!there || journal_open(argv[1], &ops, false, secret, &j, why, sizeof why) != 0) {
		fprintf(stderr, "bench-journal: %s\n", there ? why : "out of memory");
		return 1;
	}
	for (uint32_t i = 0; i < 8 * flows;) {
		began = now_ns();
		for (uint32_t k = 0; k < TURN && i < 8 * flows; k++, i++) {
			uint32_t n = i % flows;
			struct flow_key key = key_of(n);

			if (there[n]) {
				record_flow_end(&r, &key);
				journal_put(j, &r);
			}
			there[n] = true;
			flow_record(&r, n);
			journal_put(j, &r);
		}
		turn(j, began);
	}
	printf("%u flows, %u joined in all: longest turn %.2f ms, mean %.3f ms, %llu turns, %llu "
	       "of them rewriting, file %.1f MB\n",
	       flows, 8 * flows, (double)most / 1e6, (double)sum / (double)turns / 1e6,
	       (unsigned long long)turns, (unsigned long long)rewriting,
	       (double)journal_size(j) / 1e6);
	journal_close(j);
	began = now_ns();
	if (journal_open(argv[1], &ops, false, secret, &j, why, sizeof why) != 0)
		return 1;
	journal_replay(j, NULL, 1, began, &c);
	printf("read again: %u records in %.0f ms\n", c.records, (double)(now_ns() - began) / 1e6);
	journal_close(j);
	free(there);
	return 0;
}
