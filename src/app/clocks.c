/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * Packets that both captures have are found by what no box changes: ends, flags, payload.  SYNs, and data, the first of its kind
 * only: a table keeps when the first capture had it.  Whether it went there or back is told by the sign that most of a sender's
 * packets have; where the offset is larger than the delay, both senders have the same sign, and the one with the larger
 * difference is taken to be the one that goes there.
 *
 * That is: for the sender s, d(s) = time in the second - time in the first = offset + delay for one, offset - delay for the other.
 * So the offset is the mean of both, and it needs no guess which is which.  Of each sender the difference with the least delay is
 * wanted, which is not known before the sign: so both its least and its most are kept, and the pair that is nearest to each
 * other is used.  Not the very least and most: of a packet that one capture missed, its retransmission may have been compared
 * with the original.  One in twenty is left out at both ends.
 */
#include "app/clocks.h"

#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>

#include "app/sight.h"
#include "base/hash.h"
#include "port/capture.h"

#define FRAMES 200000u /* of each capture */
#define ROOM 131072u /* a power of two, more than twice what may be kept */
#define KEPT 50000u
#define TOLERANCE 5000 /* nanoseconds: noise */
#define OUTLIERS 20 /* one in so many, at each end */

struct seen {
	uint64_t id; /* 0: empty */
	int64_t at;
	bool used;
};

/* Differences of what one kind of sender sent: those with the lower address or port, and the others. */
struct way {
	size_t n;
	int64_t by[KEPT];
	int64_t least, most; /* but for outliers, once they are sorted */
};

static const struct hash_key table_key = { { 0x9e3779b97f4a7c15, 0xc2b2ae3d27d4eb4f,
					     0x165667b19e3779f9, 0x27d4eb2f165667c5,
					     0x85ebca77c2b2ae63 } };

/* A number for what is the same on both sides of a box; 0: of no use. */
static uint64_t id_of(const struct sight *s, const struct flow_key *key)
{
	bool syn = (s->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
	uint64_t id;

	if (!syn && (s->len < 8 || !(s->marks & SIGHT_HASHED)))
		return 0;
	id = hash40(&table_key, key) ^ (syn ? 1 : s->hash * 0x9e3779b97f4a7c15);
	return id ? id : 1;
}

static struct seen *slot(struct seen *table, uint64_t id)
{
	size_t i = (id ^ id >> 32) & (ROOM - 1);

	while (table[i].id && table[i].id != id)
		i = (i + 1) & (ROOM - 1);
	return &table[i];
}

/* The sender of the lower port is one way, the other one the other. */
static unsigned way_of(const struct flow_key *k)
{
	return be16_get(k->sport) < be16_get(k->dport);
}

static int compare(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void sort(struct way *w)
{
	if (!w->n)
		return;
	qsort(w->by, w->n, sizeof w->by[0], compare);
	w->least = w->by[w->n / OUTLIERS];
	w->most = w->by[w->n - 1 - w->n / OUTLIERS];
}

/* Reads the beginning of a capture; with ways, compares with what is in the table, else fills it. */
static bool read_file(const char *file, struct seen *table, struct way *ways)
{
	struct capture *c;
	struct capture_frame f;
	char why[600];
	unsigned kept = 0;

	if (capture_open(file, &c, why, sizeof why) != 0)
		return false;
	for (unsigned n = 0; n < FRAMES && kept < KEPT && capture_next(c, &f) == 1; n++) {
		struct flow_key key;
		struct sight s;
		struct seen *at;
		uint64_t id;

		if (sight_read(&f, true, &s, &key) != SIGHT_TCP || !(id = id_of(&s, &key)))
			continue;
		at = slot(table, id);
		if (!ways && !at->id) {
			*at = (struct seen){ .id = id, .at = (int64_t)s.at };
			kept++;
		} else if (ways && at->id && !at->used) {
			struct way *w = &ways[way_of(&key)];

			w->by[w->n++] = (int64_t)s.at - at->at;
			at->used = true;
		}
	}
	capture_close(c);
	return true;
}

/* With both ways: the mean of two differences, one of each way, that are nearest to each other. */
static int64_t mean(const struct way *a, const struct way *b)
{
	int64_t up = a->least - b->most, down = b->least - a->most;

	if (up < 0)
		up = -up;
	if (down < 0)
		down = -down;
	return up <= down ? b->most + (a->least - b->most) / 2 : a->most + (b->least - a->most) / 2;
}

static int64_t offset_of(const struct way w[2])
{
	int64_t by;

	if (w[0].n && w[1].n) {
		bool there = w[0].least >= -TOLERANCE && w[1].most <= TOLERANCE;
		bool back = w[1].least >= -TOLERANCE && w[0].most <= TOLERANCE;

		if (there || back)
			return 0;
		by = mean(&w[0], &w[1]);
	} else {
		const struct way *one = w[0].n ? &w[0] : &w[1];

		/* a minute would be a long way: then it is no delay */
		if (one->least > -60000000000 && one->least < 60000000000)
			return 0;
		by = one->least;
	}
	return by > -TOLERANCE && by < TOLERANCE ? 0 : -by;
}

/* Can it be read twice? */
static bool is_regular(const char *file)
{
	struct stat st;

	return stat(file, &st) == 0 && S_ISREG(st.st_mode);
}

bool clocks_compare(const char *first, const char *second, struct clocks *ret_c)
{
	struct seen *table;
	struct way *ways;
	bool ok;

	if (!is_regular(first) || !is_regular(second))
		return false;
	table = calloc(ROOM, sizeof *table);
	ways = calloc(2, sizeof *ways);
	ok = table && ways && read_file(first, table, NULL) && read_file(second, table, ways) &&
	     ways[0].n + ways[1].n;
	if (ok) {
		sort(&ways[0]);
		sort(&ways[1]);
		*ret_c = (struct clocks){ offset_of(ways), ways[0].n, ways[1].n };
	}
	free(table);
	free(ways);
	return ok;
}
