/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "port/if_frame.h"
#include "proto/checksum.h"
#include "proto/view.h"

#include "frame.h"

/* What comes in goes out again the same: types known and unknown, with and without a checksum to finish. */
static void keeps_offloads(void **state)
{
	static const uint8_t types[] = { 0, 1, 3, 4, 5, 0x81, 0x84, 0x42 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		for (int needs = 0; needs < 2; needs++) {
			struct virtio_net_hdr in = { .gso_type = types[i], .hdr_len = 66 }, out;
			struct packet p = { .head_len = 2000 };

			if (types[i])
				in.gso_size = 1448;
			if (needs) {
				in.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
				in.csum_start = 34;
				in.csum_offset = 16;
			}
			offload_from_vnet(&in, &p.off);
			assert_int_equal(p.off.csum, needs ? CSUM_PARTIAL : CSUM_UNKNOWN);
			vnet_from_packet(&p, &out);
			assert_memory_equal(&in, &out, sizeof in);
		}
	}
}

/* A receiver's verdict is no instruction to a sender. */
static void drops_data_valid(void **state)
{
	struct virtio_net_hdr in = { .flags = VIRTIO_NET_HDR_F_DATA_VALID }, out;
	struct packet p = { .head_len = 100 };

	(void)state;
	offload_from_vnet(&in, &p.off);
	assert_int_equal(p.off.csum, CSUM_COMPLETE);
	vnet_from_packet(&p, &out);
	assert_int_equal(out.flags, 0);
}

/* The kernel refuses a header length short of the checksum field or beyond the frame. */
static void bounds_header_length(void **state)
{
	static const struct {
		uint16_t hdr_len, start;
		uint32_t len;
		uint16_t expected;
	} rows[] = {
		{ 0, 34, 1000, 52 },	   { 66, 34, 1000, 66 }, { 40, 34, 1000, 52 },
		{ 65000, 34, 65066, 256 }, { 66, 34, 60, 60 },	 { 0, 0, 1000, 0 },
		{ 90, 0, 1000, 90 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct packet p = { .head_len = 54, .body_len = rows[i].len - 54 };
		struct virtio_net_hdr h;

		p.off.hdr_len = rows[i].hdr_len;
		p.off.csum = rows[i].start ? CSUM_PARTIAL : CSUM_UNKNOWN;
		p.off.csum_start = rows[i].start;
		p.off.csum_offset = 16;
		vnet_from_packet(&p, &h);
		assert_int_equal(h.hdr_len, rows[i].expected);
	}
}

/* A tag taken out and put back gives the frame as it was sent, one tag or the outer one of two. */
static void puts_tags_back(void **state)
{
	static const uint32_t one[] = { 0x81002007, 0 }, two[] = { 0x88a80123, 0x81000456, 0 };
	const uint32_t *tags[] = { one, two };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(tags); i++) {
		uint8_t room[PACKET_HEADROOM + FRAME_MAX], *frame = room + PACKET_HEADROOM;
		struct packet p = { .head = frame };
		struct frame f;
		struct view v;

		frame_eth(&f, tags[i], 0x0800);
		frame_ip4(&f, 6, 0);
		frame_tcp(&f, 0x18, FRAME_TS, 12);
		frame_payload(&f, 333);
		frame_end(&f);
		/* as the kernel hands it over: without the first tag, checksum unfinished */
		memcpy(frame, f.buf, 12);
		memcpy(frame + 12, f.buf + 16, f.len - 16);
		p.head_len = f.len - 4;
		assert_int_equal(view_parse(&p, &v), R_NONE);
		store_be16(frame + v.l4 + 16, csum_pseudo(&p, &v, v.l4_len));
		p.off = (struct offload){ .csum = CSUM_PARTIAL,
					  .csum_start = v.l4,
					  .csum_offset = 16,
					  .hdr_len = v.payload };
		vlan_insert(&p, (uint16_t)(tags[i][0] >> 16), (uint16_t)tags[i][0]);
		assert_int_equal(p.off.hdr_len, v.payload + 4);
		assert_int_equal(p.head_len, f.len);
		assert_true(csum_finish(&p));
		assert_memory_equal(p.head, f.buf, f.len);
	}
}

static void leaves_runts(void **state)
{
	uint8_t room[PACKET_HEADROOM + 11] = { 0 };
	struct packet p = { .head = room + PACKET_HEADROOM, .head_len = 11 };

	(void)state;
	vlan_insert(&p, 0x8100, 1);
	assert_int_equal(p.head_len, 11);
	assert_ptr_equal(p.head, room + PACKET_HEADROOM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_offloads),	cmocka_unit_test(drops_data_valid),
		cmocka_unit_test(bounds_header_length), cmocka_unit_test(puts_tags_back),
		cmocka_unit_test(leaves_runts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
