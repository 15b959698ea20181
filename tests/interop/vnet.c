/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/be.h"
#include "ideal.h"
#include "note.h"
#include "scene.h"
#include "suites.h"
#include "tap.h"

/*
 * Frames behind virtio-net headers: what a device is to do for them stays as it was.
 */

#define VNET_HDR 12u

enum offload { COMPLETE, PARTIAL, GSO, OFFLOADS };

static void le16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

/* The frame of g behind a header of n bytes; a partial checksum is the pseudo-header's sum. */
static uint32_t vnet_frame(const struct seg *g, enum offload how, uint32_t n, uint8_t *ret_f)
{
	uint8_t *f = ret_f + n;
	uint32_t len = seg_frame(g, f), payload = g->len;

	memset(ret_f, 0, n);
	if (how == COMPLETE)
		return n + len;
	ret_f[0] = 1; /* needs a checksum */
	le16(ret_f + 6, 34);
	le16(ret_f + 8, 16);
	store_be16(f + 50, seg_sum(6 + len - 34, f + 26, 8));
	if (how == GSO) {
		ret_f[1] = 1; /* TCP over IPv4 */
		le16(ret_f + 2, (uint16_t)(len - payload));
		le16(ret_f + 4, 536);
	}
	return n + len;
}

/*
 * QEMU keeps what goes to a card that cannot receive yet, in its rewriter; any TCP segment from the guest makes it come out.
 * This one is of no connection.
 */
static bool pump(struct rig *r, struct outs *ret_o)
{
	struct talk t = { .flow = 99, .c = 1, .p = 1, .s = 1 };
	struct seg g = talk_secondary(&t, ACK, 0);
	uint8_t f[VNET_HDR + SEG_FRAME_MAX];
	uint32_t len = vnet_frame(&g, COMPLETE, r->vnet_len, f);

	if (!rig_step(r, SECONDARY, f, len, ret_o))
		return false;
	for (unsigned i = 0; i < ret_o->n; i++)
		if (ret_o->o[i].side == CLIENT)
			ret_o->o[i] = ret_o->o[--ret_o->n];
	return true;
}

/* Plays one frame; the answer must have all bytes of want, whose checksum field is sum where that is not 0. */
static bool answered(struct rig *r, const struct seg *g, const struct seg *want, enum offload how,
		     bool summed)
{
	static struct outs o;
	uint8_t f[VNET_HDR + SEG_FRAME_MAX];
	uint32_t len = vnet_frame(g, how, r->vnet_len, f);

	if (!rig_step(r, g->from, f, len, &o))
		return tap_fail("it stands still");
	if (r->kind == RIG_QEMU_VNET && g->from == CLIENT && !pump(r, &o))
		return tap_fail("it stands still");
	len = vnet_frame(want, how, r->vnet_len, f);
	if (summed) { /* as if nothing had been left to a device */
		uint8_t whole[SEG_FRAME_MAX];

		(void)seg_frame(want, whole);
		memcpy(f + r->vnet_len + 50, whole + 50, 2);
	}
	if (how == PARTIAL && o.n == 1) /* a hint, which ours fills in */
		memset(o.o[0].bytes + 2, 0, 2);
	if (o.n == 1 && o.o[0].len == len && memcmp(o.o[0].bytes, f, len) == 0)
		return true;
	(void)tap_fail("expected %s (header of %u bytes, offload %u)",
		       seg_print(f + r->vnet_len, len - r->vnet_len), r->vnet_len, how);
	for (unsigned i = 0; i < o.n; i++)
		(void)tap_fail("     got %s",
			       seg_print(o.o[i].bytes + r->vnet_len, o.o[i].len - r->vnet_len));
	return false;
}

static bool passes(struct rig *r, struct seg g, uint32_t seq_add, uint32_t ack_add,
		   enum offload how, bool summed)
{
	struct seg want = g;

	want.seq += seq_add;
	want.ack += ack_add;
	return answered(r, &g, &want, how, summed);
}

/* One connection with data of this kind.  QEMU sums a frame whose checksum is left to a device; ours does not. */
static void connection(struct rig *r, uint16_t flow, enum offload how, bool sums)
{
	struct talk t = { .flow = flow, .c = 1000, .p = 5000000, .s = 9000000 };
	uint32_t d = t.s - t.p;
	bool summed = sums && how != COMPLETE;

	(void)(passes(r, talk_syn(&t), 0, 0, COMPLETE, false) &&
	       passes(r, talk_synack(&t), 0, 0, COMPLETE, false) &&
	       passes(r, talk_client(&t, ACK, 0), 0, d, COMPLETE, false) &&
	       passes(r, talk_client(&t, ACK | PSH, 1400), 0, d, how, summed) &&
	       passes(r, talk_secondary(&t, ACK | PSH, 1400), 0u - d, 0, how, summed) &&
	       passes(r, talk_client(&t, ACK, 0), 0, d, COMPLETE, false));
}

static const char *const offloads[] = { "complete checksums", "partial checksums",
					"super-packets" };

static void ours(const struct programs *prog)
{
	static const uint32_t lengths[] = { 10, 12, 0 };

	for (unsigned i = 0; i < ARRAY_LEN(lengths) * OFFLOADS; i++) {
		uint32_t len = lengths[i / OFFLOADS];
		enum offload how = (enum offload)(i % OFFLOADS);
		struct rig r;
		char why[200];

		if (len == 0 && how != COMPLETE)
			continue;
		tap_begin("suture: virtio-net headers of %u bytes, %s", len, offloads[how]);
		if (!rig_start_vnet(&r, RIG_SUTURE_VNET, prog, len, why))
			(void)tap_fail("%s", why);
		else
			connection(&r, (uint16_t)(1 + i), how, false);
		rig_stop(&r);
		(void)tap_end();
	}
}

static void theirs(const struct programs *prog)
{
	struct rig r;
	char why[200];
	bool there = rig_start_vnet(&r, RIG_QEMU_VNET, prog, 10, why);

	for (unsigned how = 0; how < OFFLOADS; how++) {
		tap_begin("%s, %s",
			  how == COMPLETE ? "QEMU: virtio-net headers of 10 bytes"
					  : "row: checksum left to a device",
			  offloads[how]);
		(void)note_has_row(how == COMPLETE ? NULL : "checksum left to a device");
		if (!there)
			tap_skip("%s", why);
		else
			connection(&r, (uint16_t)(1 + how), (enum offload)how, true);
		(void)tap_end();
	}
	rig_stop(&r);
}

void suite_vnet(const struct programs *prog)
{
	ours(prog);
	theirs(prog);
}
