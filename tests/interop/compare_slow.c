/* SPDX-License-Identifier: MIT */
#include "compare_slow.h"

#include <string.h>
#include <time.h>

#include "base/be.h"
#include "judge.h"
#include "note.h"
#include "proc.h"
#include "tap.h"

/*
 * What a comparison does when time passes, and with queues that are full.
 */

#define QUEUED \
	1000u /* frames of the primary alone: fewer than the 1024 that QEMU holds, more than a socket takes at once */
#define TOO_MANY 1100u
#define THEIR_QUEUE 1025u /* held by QEMU: one more than max_queue_size */
#define PAYLOAD 1400u
#define QUIET_MS 1500 /* nothing for so long: that was all */

static struct seg segment(uint32_t i)
{
	return (struct seg){
		.from = SECONDARY,
		.flow = 1,
		.flags = ACK,
		.seq = 5000001 + i * PAYLOAD,
		.ack = 1001,
		.win = 502,
		.first = i * PAYLOAD,
		.len = PAYLOAD,
	};
}

static bool start(struct judge *j, bool qemu, const struct programs *prog, unsigned timeout_ms,
		  unsigned scan_ms)
{
	struct judge_options t = { timeout_ms, scan_ms, false };
	char why[200];

	return judge_start(j, qemu, prog, &t, why) || tap_fail("%s", why);
}

/* A frame that waits for too long asks for a checkpoint, at each scan, until one comes. */
void compare_timeout(const struct programs *prog)
{
	tap_begin("alike: a frame of one server alone");
	for (unsigned i = 0; i < 2; i++) {
		struct seg g = segment(0);
		struct judged d;
		struct judge j;
		uint8_t f[SEG_FRAME_MAX];
		char text[64] = "";

		if (start(&j, i == 0, prog, 100, 100) &&
		    judge_frame(&j, PRIMARY_IN, f, seg_frame(&g, f), &d)) {
			for (unsigned n = 0; n < 2; n++)
				if (!judge_hears(&j, 20000, text) ||
				    strcmp(text, "DO_CHECKPOINT") != 0)
					(void)tap_fail("%s: message %u: \"%s\"",
						       i ? "suture" : "QEMU", n + 1, text);
			if (!judge_tell(&j, "COLO_CHECKPOINT", &d) || d.out.n != 1)
				(void)tap_fail("%s does not release the frame",
					       i ? "suture" : "QEMU");
		}
		judge_stop(&j);
	}
	(void)tap_end();
}

/* How n frames of the primary's alone come out after a checkpoint, to a reader who was slow. */
struct flushed {
	unsigned n, first_out_of_order, asked; /* asked: for checkpoints, before */
	unsigned long dropped; /* and counted */
	bool unordered; /* some are, from first_out_of_order on */
	bool backwards; /* from there on */
};

static bool flush(struct judge *j, unsigned n, struct flushed *ret_f)
{
	uint32_t want = 0, last = 0;
	uint8_t f[SEG_FRAME_MAX];
	struct message m;

	*ret_f = (struct flushed){ .backwards = true };
	for (uint32_t i = 0; i < n; i++) {
		struct seg g = segment(i);

		if (!stream_send(&j->in[PRIMARY_IN], f, seg_frame(&g, f), 0))
			return tap_fail("it takes no more than %u frames", i);
	}
	/* all of them were read once another flow's frame is through */
	if (!judge_settle(j, &ret_f->asked) || !stream_send(&j->notify, "COLO_CHECKPOINT", 15, 0))
		return tap_fail("it stands still");
	/* a reader who is slow to begin with: the sockets fill up */
	nanosleep(&(struct timespec){ .tv_nsec = 300000000 }, NULL);
	while (ret_f->n < n && stream_recv(&j->out, &m, n == QUEUED ? 20000 : QUIET_MS) == 1) {
		uint32_t at = (load_be32(m.bytes + 38) - 5000001) / PAYLOAD;

		if (at != want && !ret_f->unordered) {
			ret_f->unordered = true;
			ret_f->first_out_of_order = ret_f->n;
		}
		if (ret_f->unordered && ret_f->n > ret_f->first_out_of_order && at + 1 != last)
			ret_f->backwards = false;
		last = at;
		want = at + 1;
		ret_f->n++;
	}
	return true;
}

static void flush_both(const struct programs *prog, unsigned n, struct flushed ret_f[2])
{
	for (unsigned i = 0; i < 2; i++) {
		struct judge j;

		if (start(&j, i == 0, prog, 1000000, 1000000))
			(void)flush(&j, n, &ret_f[i]);
		judge_stop(&j);
		ret_f[i].dropped = proc_counter(JUDGE_LOG, "dropped quota");
	}
}

void compare_flush(const struct programs *prog)
{
	struct flushed f[2] = { 0 };

	tap_begin("row: frames released, out slow");
	(void)note_has_row("1025 frames released, out slow");
	flush_both(prog, QUEUED, f);
	tap_note("QEMU: %u frames, out of order from the %u. on, backwards: %d; suture: %u, %u",
		 f[0].n, f[0].first_out_of_order, f[0].backwards, f[1].n, f[1].first_out_of_order);
	if (f[0].n != QUEUED || !f[0].unordered || !f[0].backwards)
		(void)tap_fail("QEMU releases %u frames, in order", f[0].n);
	if (f[1].n != QUEUED || f[1].unordered)
		(void)tap_fail("suture releases %u frames, out of order from %u", f[1].n,
			       f[1].first_out_of_order);
	(void)tap_end();
}

void compare_full(const struct programs *prog)
{
	struct flushed f[2] = { 0 };

	tap_begin("row: queue full");
	(void)note_has_row("queue full");
	flush_both(prog, TOO_MANY, f);
	tap_note("of %u frames QEMU releases %u; suture %u, and counts %lu; checkpoints asked for: "
		 "%u, %u",
		 TOO_MANY, f[0].n, f[1].n, f[1].dropped, f[0].asked, f[1].asked);
	if (f[0].n != THEIR_QUEUE)
		(void)tap_fail("QEMU releases %u frames instead of %u", f[0].n, THEIR_QUEUE);
	if (f[0].asked != 0)
		(void)tap_fail("QEMU asks for a checkpoint");
	if (f[1].n + f[1].dropped != TOO_MANY || (f[1].dropped > 0 && f[1].asked == 0))
		(void)tap_fail("suture loses frames without a word");
	(void)tap_end();
}
