/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/outbox.h"

static struct outbox box;
static struct packet passing[OUTBOX_PKTS];

static void keeps_order_and_ports(void **state)
{
	struct packet *made;

	(void)state;
	outbox_clear(&box);
	outbox_put(&box, 1, &passing[0]);
	made = outbox_make(&box, 0, 60);
	outbox_put(&box, 2, &passing[1]);
	assert_int_equal(box.n, 3);
	assert_ptr_equal(box.pkt[0], &passing[0]);
	assert_ptr_equal(box.pkt[1], made);
	assert_ptr_equal(box.pkt[2], &passing[1]);
	assert_int_equal(box.port[0], 1);
	assert_int_equal(box.port[1], 0);
	assert_int_equal(box.port[2], 2);
}

static void made_packets_have_headroom_and_no_offload(void **state)
{
	struct packet *p, *q;

	(void)state;
	outbox_clear(&box);
	p = outbox_make(&box, 0, OUTBOX_SLOT - PACKET_HEADROOM);
	q = outbox_make(&box, 0, 10);
	assert_non_null(p);
	assert_int_equal(p->head_len, OUTBOX_SLOT - PACKET_HEADROOM);
	assert_int_equal(p->body_len, 0);
	assert_int_equal(p->off.csum, CSUM_COMPLETE);
	assert_int_equal(p->off.gso_type, GSO_NONE);
	memset(p->head, 1, p->head_len);
	memset(q->head - PACKET_HEADROOM, 2, PACKET_HEADROOM);
	assert_int_equal(p->head[p->head_len - 1], 1);
	assert_null(outbox_make(&box, 0, OUTBOX_SLOT - PACKET_HEADROOM + 1));
	assert_int_equal(box.n, 2);
}

static void a_burst_fits_beside_what_is_made(void **state)
{
	unsigned made = 0;

	(void)state;
	outbox_clear(&box);
	while (outbox_make(&box, 0, 60))
		made++;
	assert_int_equal(made, OUTBOX_MADE);
	assert_true(outbox_room(&box) >= 64);

	/* With many passing, fewer may be made: 64 places are always left. */
	outbox_clear(&box);
	for (unsigned i = 0; i < OUTBOX_PKTS - 70; i++)
		outbox_put(&box, 0, &passing[i]);
	for (made = 0; outbox_make(&box, 0, 60) != NULL; made++)
		;
	assert_int_equal(made, 6);
	assert_int_equal(outbox_room(&box), 64);
	for (unsigned i = 0; i < 64; i++)
		outbox_put(&box, 0, &passing[i]);
	assert_int_equal(outbox_room(&box), 0);
	assert_int_equal(outbox_room_made(&box), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_order_and_ports),
		cmocka_unit_test(made_packets_have_headroom_and_no_offload),
		cmocka_unit_test(a_burst_fits_beside_what_is_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
