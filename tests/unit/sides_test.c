/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "app/sides.h"
#include "base/compiler.h"

#include "frame.h"

enum { FIN = 1, SYN = 2, ACK = 16 };

/* A segment from 10.0.0.a (link address a) to 10.0.0.b. */
static struct packet *segment(struct frame *f, uint8_t a, uint16_t sport, uint8_t b, uint16_t dport,
			      uint8_t flags)
{
	uint8_t *t;

	frame_eth(f, NULL, 0x0800);
	f->buf[5] = b;
	f->buf[11] = a;
	frame_ip4(f, 6, 0);
	store_be32(f->buf + f->ip + 12, 0xc0000200u + a);
	store_be32(f->buf + f->ip + 16, 0xc0000200u + b);
	t = frame_tcp(f, flags, NULL, 0);
	store_be16(t, sport);
	store_be16(t + 2, dport);
	return frame_end(f);
}

static void syn_decides(void **state)
{
	struct sides *s = sides_open(NULL);
	struct frame f;

	(void)state;
	/* a client with the lower port */
	assert_int_equal(sides_of(s, segment(&f, 1, 80, 2, 40000, SYN)), NEAR);
	assert_int_equal(sides_of(s, segment(&f, 2, 40000, 1, 80, SYN | ACK)), FAR);
	assert_int_equal(sides_of(s, segment(&f, 1, 80, 2, 40000, ACK)), NEAR);
	assert_int_equal(sides_of(s, segment(&f, 2, 40000, 1, 80, ACK)), FAR);
	/* the SYN-ACK alone says the same */
	assert_int_equal(sides_of(s, segment(&f, 4, 50000, 3, 81, SYN | ACK)), FAR);
	assert_int_equal(sides_of(s, segment(&f, 3, 81, 4, 50000, ACK)), NEAR);
	sides_close(s);
}

static void port_decides_without_syn(void **state)
{
	struct sides *s = sides_open(NULL);
	struct frame f;

	(void)state;
	assert_int_equal(sides_of(s, segment(&f, 1, 443, 2, 40000, ACK)), FAR);
	assert_int_equal(sides_of(s, segment(&f, 2, 40000, 1, 443, ACK)), NEAR);
	/* the quad used again, the other way round: the SYN overrules */
	assert_int_equal(sides_of(s, segment(&f, 1, 443, 2, 40000, SYN)), NEAR);
	assert_int_equal(sides_of(s, segment(&f, 2, 40000, 1, 443, ACK)), FAR);
	sides_close(s);
}

static void net_overrules(void **state)
{
	struct ip_net net;
	struct sides *s;
	struct frame f;

	(void)state;
	assert_int_equal(ip_net_read("192.0.2.2/32", &net), 0);
	s = sides_open(&net);
	assert_int_equal(sides_of(s, segment(&f, 1, 40000, 2, 80, SYN)), FAR);
	assert_int_equal(sides_of(s, segment(&f, 2, 80, 1, 40000, SYN | ACK)), NEAR);
	assert_int_equal(sides_of(s, segment(&f, 3, 80, 4, 40000, ACK)), FAR);
	sides_close(s);
}

/* ARP has no ports: its sender's link address was met before, or it is near. */
static void addresses_are_learnt(void **state)
{
	struct sides *s = sides_open(NULL);
	struct frame f, arp;

	(void)state;
	frame_eth(&arp, NULL, 0x0806);
	frame_add(&arp, NULL, 28);
	arp.p = (struct packet){ .head = arp.buf, .head_len = arp.len };
	arp.buf[11] = 2;
	assert_int_equal(sides_of(s, &arp.p), NEAR);
	sides_of(s, segment(&f, 1, 40000, 2, 80, SYN));
	assert_int_equal(sides_of(s, &arp.p), FAR);
	arp.buf[11] = 1;
	assert_int_equal(sides_of(s, &arp.p), NEAR);
	/* ICMP by the IP address, whichever way it goes */
	frame_eth(&f, NULL, 0x0800);
	frame_ip4(&f, 1, 0);
	store_be32(f.buf + f.ip + 12, 0xc0000202);
	store_be32(f.buf + f.ip + 16, 0xc0000201);
	frame_add(&f, NULL, 8);
	assert_int_equal(sides_of(s, frame_end(&f)), FAR);
	store_be32(f.buf + f.ip + 12, 0xc0000209);
	assert_int_equal(sides_of(s, frame_end(&f)), FAR);
	sides_close(s);
}

/* The table grows, and forgets nothing. */
static void many_connections(void **state)
{
	struct sides *s = sides_open(NULL);
	struct frame f;

	(void)state;
	for (unsigned port = 1; port <= 20000; port++)
		assert_int_equal(sides_of(s, segment(&f, 1, (uint16_t)port, 2, 50000, SYN)), NEAR);
	for (unsigned port = 1; port <= 20000; port++)
		assert_int_equal(sides_of(s, segment(&f, 2, 50000, 1, (uint16_t)port, ACK)), FAR);
	sides_close(s);
}

/* Any cut of a frame is near or far, and nothing is read beyond it. */
static void short_frames(void **state)
{
	struct sides *s = sides_open(NULL);
	struct frame f;

	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		struct packet *p = frame_segment(&f, version, 20);

		for (uint32_t n = 0; n < p->head_len; n++) {
			struct packet cut = frame_cut(p, n);

			assert_true(sides_of(s, &cut) <= FAR);
			free(cut.head);
		}
	}
	sides_close(s);
}

static void reads_networks(void **state)
{
	static const char *const good[] = { "192.0.2.0/24",  "192.0.2.1",	"0.0.0.0/0",
					    "2001:db8::/32", "2001:db8::1/128", "::/0" };
	static const char *const bad[] = {
		"",    "192.0.2.0/33",	"192.0.2/24",	"192.0.2.0/",
		"x/8", "192.0.2.0/24x", "192.0.2.0/-1", "2001:db8::/129"
	};
	struct ip_net net;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_int_equal(ip_net_read(good[i], &net), 0);
	assert_int_equal(ip_net_read("192.0.2.0/24", &net), 0);
	assert_int_equal(net.bits, 120);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(ip_net_read(bad[i], &net), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(syn_decides),	    cmocka_unit_test(port_decides_without_syn),
		cmocka_unit_test(net_overrules),    cmocka_unit_test(addresses_are_learnt),
		cmocka_unit_test(many_connections), cmocka_unit_test(short_frames),
		cmocka_unit_test(reads_networks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
