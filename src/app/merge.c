/* SPDX-License-Identifier: MIT */
#include "app/merge.h"

#include <assert.h>
#include <errno.h>

int merge_open(struct merge *m, const char *const *files, unsigned n, char *ret_err,
	       size_t err_size)
{
	assert(n <= MERGE_MAX);
	*m = (struct merge){ 0 };
	for (; m->n < n; m->n++) {
		int err = capture_open(files[m->n], &m->source[m->n].capture, ret_err, err_size);

		if (err) {
			merge_close(m);
			return err;
		}
	}
	return 0;
}

void merge_close(struct merge *m)
{
	for (unsigned i = 0; i < m->n; i++)
		if (m->source[i].capture)
			capture_close(m->source[i].capture);
	m->n = 0;
}

void merge_shift(struct merge *m, unsigned i, int64_t by)
{
	assert(i < m->n);
	m->source[i].offset = by;
}

/* at, moved. */
static sut_time moved(sut_time at, int64_t by)
{
	if (by < 0)
		return at > (sut_time)-by ? at - (sut_time)-by : 0;
	return at + (sut_time)by;
}

/* Fetches the next frame of capture i, if it is not there yet. */
static int refill(struct merge *m, unsigned i)
{
	int got;

	if (m->source[i].waiting || !m->source[i].capture)
		return 0;
	got = capture_next(m->source[i].capture, &m->source[i].frame);
	if (got < 0) {
		m->error = capture_error(m->source[i].capture);
		return got;
	}
	m->source[i].waiting = got == 1;
	if (got == 1)
		m->source[i].frame.at = moved(m->source[i].frame.at, m->source[i].offset);
	if (got == 0) {
		capture_close(m->source[i].capture);
		m->source[i].capture = NULL;
	}
	return 0;
}

int merge_next(struct merge *m, struct capture_frame *ret_f, unsigned *ret_source)
{
	int first = -1;

	for (unsigned i = 0; i < m->n; i++) {
		int err = refill(m, i);

		if (err)
			return err;
		if (m->source[i].waiting &&
		    (first < 0 || m->source[i].frame.at < m->source[first].frame.at))
			first = (int)i;
	}
	if (first < 0)
		return 0;
	m->source[first].waiting = false;
	*ret_f = m->source[first].frame;
	*ret_source = (unsigned)first;
	return 1;
}
