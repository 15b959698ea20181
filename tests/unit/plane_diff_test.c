/* SPDX-License-Identifier: MIT */
#include "app/plane_bpf.h"

/*
 * The BPF programs against plane_run(), on the same random packets and ways: verdict, bytes, reports, ways and counters must be
 * equal after each.  Needs root; 77 (skipped) without.  SEED and RUNS in the environment choose others.
 *
 * What is not compared: last_ns (clocks), and what comes of an adoption: the program that cannot adopt says so where the table in C leaves
 * it to its embedder.  Partial checksums cannot be made here: see plane_bpf_test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <bpf/bpf.h>
#include <cmocka.h>
#include <linux/pkt_cls.h>

#include "bpf_rig.h"
#include "core/plane.h"

#define QUADS 6u
#define MAX_WAYS 10u /* less than there are keys: it gets full */
#define NO_FUNCTION 38u
#define EVENTS 32u

static struct rig rig;
static uint64_t rng;

static uint32_t rnd(uint32_t n)
{
	return frame_random(&rng) % n;
}

static bool one_in(uint32_t n)
{
	return rnd(n) == 0;
}

/* Reports of one packet. */
struct heard {
	struct way_event ev[EVENTS];
	unsigned n;
};

static void hear(void *ctx, const struct way_event *ev)
{
	struct heard *h = ctx;

	assert_true(h->n < EVENTS);
	h->ev[h->n++] = *ev;
}

/* Both data planes, and the quads that packets and ways are about. */
struct pair {
	struct plane *c;
	struct plane_bpf *front, *back;
	struct heard c_heard, bpf_heard;
	struct way_key in[QUADS], out[QUADS]; /* the client's, the host's */
	unsigned kinds; /* of events that both reported, as bits */
	struct plane_config cfg;
};

static void set_ip(uint8_t ret_ip[16], int version, uint8_t net, uint8_t host)
{
	memset(ret_ip, 0, 16);
	if (version == 4) {
		ret_ip[10] = ret_ip[11] = 0xff;
		ret_ip[12] = 198;
		ret_ip[13] = 51;
		ret_ip[14] = net;
	} else {
		ret_ip[0] = 0x20;
		ret_ip[1] = 0x01;
		ret_ip[2] = 0x0d;
		ret_ip[3] = 0xb8;
		ret_ip[5] = net;
	}
	ret_ip[15] = host;
}

static uint16_t port_of(uint16_t p)
{
	return htons(p);
}

/* Four origins: two of each family, one of each family with another address at the host; one guarded. */
static void make_config(struct plane_config *c)
{
	memset(c, 0, sizeof *c);
	c->max_ways = MAX_WAYS;
	c->keys = 2;
	for (unsigned k = 0; k < 2; k++)
		for (unsigned i = 0; i < 16; i++)
			c->key[k][i] = (uint8_t)(17 * k + i);
	for (unsigned i = 0; i < 4; i++) {
		struct way_origin *o = &c->origin[i];
		int version = i & 1 ? 6 : 4;

		set_ip(o->ip, version, 100, (uint8_t)(1 + i));
		o->port = port_of(80);
		if (i >= 2) {
			set_ip(o->host_ip, version, 101, (uint8_t)(1 + i));
			o->host_port = port_of(8080);
		}
		o->flags = i == 0 ? WAY_ORIGIN_GUARD : 0;
	}
}

static void make_quads(struct pair *p)
{
	for (unsigned i = 0; i < QUADS; i++) {
		const struct way_origin *o = &p->cfg.origin[i % 4];
		struct way_key *in = &p->in[i], *out = &p->out[i];

		memset(in, 0, sizeof *in);
		memset(out, 0, sizeof *out);
		set_ip(in->src, i & 1 ? 6 : 4, 1, (uint8_t)(10 + i));
		in->sport = port_of((uint16_t)(40000 + i));
		memcpy(in->dst, o->ip, 16);
		in->dport = o->port;
		memcpy(out->dst, in->src, 16);
		out->dport = in->sport;
		memcpy(out->src, o->host_port ? o->host_ip : o->ip, 16);
		out->sport = o->host_port ? o->host_port : o->port;
	}
}

static void open_pair(struct pair *p)
{
	struct plane_bpf_config b = { .no_adopt = true };
	char err[PLANE_BPF_TEXT];

	make_config(&p->cfg);
	make_quads(p);
	b.plane = p->cfg;
	p->c = plane_init(calloc(1, plane_need(&p->cfg)), &p->cfg, hear, &p->c_heard);
	b.side = PLANE_BPF_FRONT;
	assert_int_equal(plane_bpf_open(&b, &p->front, err), 0);
	b.side = PLANE_BPF_BACK;
	assert_int_equal(plane_bpf_open(&b, &p->back, err), 0);
}

static void close_pair(struct pair *p)
{
	free(p->c);
	plane_bpf_close(p->front, PLANE_BPF_REMOVE);
	plane_bpf_close(p->back, PLANE_BPF_REMOVE);
}

/* Takes away all ways of both. */
static void clear_pair(struct pair *p, struct plane_bpf *b)
{
	struct way_key k;
	struct way w;
	uint32_t at = 0;

	while (plane_list(p->c, &at, &k, &w))
		assert_int_equal(plane_del(p->c, &k), 0);
	while (plane_bpf_list(b, NULL, &k, &w))
		assert_int_equal(plane_bpf_del(b, &k), 0);
}

/* Ways */

/* Numbers that packets will have too, now and then. */
static uint32_t number(void)
{
	static const uint32_t near[] = { 0, 1, 1000, 1001, 2000, 2001, 0xffffffff, 0x80000000 };

	return one_in(4) ? frame_random(&rng) : near[rnd(8)];
}

static void random_new_address(uint8_t ip[16], uint16_t *port, int version)
{
	set_ip(ip, one_in(20) ? 10 - version : version, 50, (uint8_t)(1 + rnd(3)));
	*port = port_of((uint16_t)(7000 + rnd(3)));
}

static struct way random_way(unsigned quad, bool out, const struct pair *p)
{
	static const uint32_t usual[] = {
		0,
		WAY_SHIFT,
		WAY_EXPECT,
		WAY_EXPECT | WAY_ADOPT,
		WAY_SHIFT | WAY_CLAMP,
		WAY_UNLEARNT,
		WAY_OPEN | WAY_UNLEARNT,
		WAY_LEARN,
		WAY_LEARN | WAY_WATCH,
		WAY_WATCH,
		WAY_SRC | WAY_DST | WAY_SHIFT | WAY_WINDOW,
		WAY_MUTE,
		WAY_LEARN | WAY_SRC,
		WAY_SHIFT | WAY_JOIN,
	};
	int version = quad & 1 ? 6 : 4;
	struct way w = { .id = 1 + rnd(1000), .ifindex = 1 };

	w.act = one_in(12) ? WAY_DROP : one_in(8) ? WAY_USER : one_in(2) ? WAY_SEND : WAY_HOST;
	w.flags = one_in(3) ? frame_random(&rng) & 0x1fff : usual[rnd(14)];
	if (w.flags & WAY_ADOPT)
		w.act = WAY_HOST;
	memcpy(w.dmac, "\x02\0\0\0\0\x77", 6);
	memcpy(w.smac, "\x02\0\0\0\0\x78", 6);
	random_new_address(w.new_src, &w.new_sport, version);
	random_new_address(w.new_dst, &w.new_dport, version);
	w.seq = number();
	w.ack = number();
	w.tsval = number();
	w.tsecr = number();
	w.from_scale = (uint8_t)rnd(16);
	w.to_scale = (uint8_t)rnd(16);
	w.expect = number();
	w.end = number();
	w.tsecr_lo = number();
	w.tsecr_hi = w.tsecr_lo + rnd(20);
	w.front_seq = number();
	w.front_tsval = number();
	w.front_wscale = (uint8_t)(one_in(5) ? 0xff : rnd(15));
	w.attrs.options = (uint8_t)rnd(8);
	if (one_in(3)) { /* a pair that is about to learn */
		w.flags = out ? WAY_LEARN | WAY_WATCH : WAY_UNLEARNT | WAY_OPEN;
		w.expect = 1000;
		w.attrs.options = 0;
	} else if (one_in(5)) { /* one that a header made, and that has learnt */
		w.act = WAY_HOST;
		w.flags = out ? WAY_SHIFT | WAY_LEARN : WAY_SHIFT | WAY_OPEN;
		w.front_seq = 1000;
	}
	if (!one_in(5))
		w.mate = out ? p->in[quad] : p->out[quad];
	return w;
}

static void random_ways(struct pair *p, struct plane_bpf *b)
{
	clear_pair(p, b);
	for (unsigned i = 0; i < QUADS; i++) {
		for (int out = 0; out < 2; out++) {
			const struct way_key *k = out ? &p->out[i] : &p->in[i];
			struct way w = random_way(i, out, p);

			if (one_in(4))
				continue;
			assert_int_equal(plane_bpf_set(b, k, &w), plane_set(p->c, k, &w, 1));
		}
	}
}

/* Some are said anew. */
static void random_ways_again(struct pair *p, struct plane_bpf *b)
{
	unsigned i = rnd(QUADS);
	bool out = one_in(2);
	const struct way_key *k = out ? &p->out[i] : &p->in[i];
	const struct way *old = plane_get(p->c, k);
	struct way w = random_way(i, out, p);

	if (!old)
		return;
	if (!one_in(3)) {
		w = *old;
		w.expect = number();
		w.id += one_in(3);
		w.flags |= one_in(3) ? WAY_JOIN : 0;
	}
	assert_int_equal(plane_bpf_set(b, k, &w), plane_set(p->c, k, &w, 1));
}

/* Packets */

static uint32_t put_option(uint8_t *o, uint32_t at, const void *bytes, uint32_t n)
{
	if (at + n > 40)
		return at;
	memcpy(o + at, bytes, n);
	return at + n;
}

static uint32_t put_numbers(uint8_t *o, uint32_t at, uint8_t kind, uint32_t count)
{
	uint8_t b[34] = { kind, (uint8_t)(2 + 4 * count) };

	for (uint32_t i = 0; i < count; i++)
		store_be32(b + 2 + 4 * i, number());
	return put_option(o, at, b, 2 + 4 * count);
}

/* Some option at `at`; where it ends. */
static uint32_t some_option(uint8_t *o, uint32_t at)
{
	uint8_t b[20];

	switch (rnd(14)) {
	case 0:
	case 1:
		return put_numbers(o, at, 8, 2);
	case 2:
	case 3:
		return put_numbers(o, at, 5, 2 * (1 + rnd(4)));
	case 4:
		return put_option(o, at, "\x02\x04\x05\xb4", 4);
	case 5:
		b[0] = 3;
		b[1] = 3;
		b[2] = (uint8_t)rnd(20);
		return put_option(o, at, b, 3);
	case 6:
		return put_option(o, at, "\x04\x02", 2);
	case 7:
	case 8:
	case 9:
		return put_option(o, at, "\x01", 1);
	case 10:
		return put_option(o, at, "\x22\x02", 2);
	case 11:
		return put_option(o, at, "\xfd\x04\x12\x34", 4);
	case 12:
		memset(b, 0, sizeof b);
		b[0] = (uint8_t)rnd(256);
		b[1] = (uint8_t)(2 + rnd(12));
		return one_in(4) ? put_option(o, at, b, b[1]) : at;
	default:
		return one_in(4) ? put_option(o, at, one_in(2) ? "\0" : "\x08\x01", 2) : at;
	}
}

/* Options in any order, padded; at ret_header (or 0) is the in-band header, without its MAC. */
static uint32_t some_options(uint8_t *o, bool header, uint32_t *ret_header)
{
	uint32_t at = 0, many = rnd(6), place = header ? rnd(many + 1) : many + 1;

	*ret_header = 0;
	if (one_in(3) && !header) {
		at = put_option(o, at, "\x01\x01", 2);
		at = put_numbers(o, at, 8, 2);
		if (one_in(2)) {
			at = put_option(o, at, "\x01\x01", 2);
			at = put_numbers(o, at, 5, 2 * (1 + rnd(3)));
		}
		return at;
	}
	for (uint32_t i = 0; i <= many; i++) {
		if (i == place) {
			uint8_t h[16] = { WAY_OPT_KIND,
					  WAY_OPT_LEN,
					  WAY_EXID >> 8,
					  WAY_EXID & 0xff,
					  (uint8_t)(one_in(4) ? rnd(4) : 1),
					  (uint8_t)rnd(6),
					  (uint8_t)(one_in(4) ? 0xff : rnd(17)) };

			if (at + 16 <= 40)
				*ret_header = at + 1;
			at = put_option(o, at, h, 16);
		} else {
			at = some_option(o, at);
		}
	}
	while (at & 3)
		o[at++] = one_in(3) ? 0 : 1;
	return at;
}

static uint8_t some_flags(void)
{
	static const uint8_t usual[] = { 0x10, 0x18, 0x10, 0x18, 0x02, 0x12,
					 0x11, 0x04, 0x14, 0x19, 0xc2, 0x52 };

	return one_in(10) ? (uint8_t)rnd(256) : usual[rnd(12)];
}

static void readdress(struct frame *f, const struct way_key *k)
{
	uint8_t *h = f->buf + f->ip, *t = f->buf + f->l4;

	if (f->version == 4) {
		memcpy(h + 12, k->src + 12, 4);
		memcpy(h + 16, k->dst + 12, 4);
	} else {
		memcpy(h + 8, k->src, 16);
		memcpy(h + 24, k->dst, 16);
	}
	memcpy(t, &k->sport, 2);
	memcpy(t + 2, &k->dport, 2);
}

/* The MAC of the header at `at` (from the options' begin), mostly right. */
static void sign(struct frame *f, const struct pair *p, const struct way_key *k, uint32_t at)
{
	uint8_t *t = f->buf + f->l4, *h = t + 20 + at;
	struct packet pk = { .head = f->buf, .head_len = f->len };
	struct way_mac_input in = { .key = *k, .seq = load_be32(t + 4), .ack = load_be32(t + 8) };
	struct tcp_options o;
	struct view v;
	uint64_t mac;

	if (view_parse(&pk, &v) != R_NONE || !v.tcp || view_options(&pk, &v, &o) != R_NONE)
		return;
	in.tsecr = o.present & OPT_TS ? o.tsecr : 0;
	in.key_index = h[4];
	in.origin = h[5];
	in.wscale = h[6];
	mac = way_mac(p->cfg.key[h[4] & 1], &in) + one_in(8);
	memcpy(h + 8, &mac, 8);
}

static void below_tcp(struct frame *f, int version)
{
	static const uint32_t tags[2][3] = { { 0x81000005, 0 }, { 0x88a80007, 0x81000005, 0 } };
	const uint32_t *tag = one_in(8) ? tags[rnd(2)] : NULL;

	frame_eth(f, tag, version == 4 ? 0x0800 : 0x86dd);
	if (version == 4) {
		frame_ip4(f, 6, one_in(6) ? 4 * (1 + rnd(10)) : 0);
	} else if (one_in(12)) { /* a part, perhaps with something between */
		bool more = one_in(2);

		frame_ip6(f, 44, 6);
		frame_ext(f, more ? 60 : 6, 8);
		f->buf[f->len - 5] = one_in(4) ? 8 : 1;
		if (more)
			frame_ext(f, 6, 8);
	} else if (one_in(6)) {
		frame_ip6(f, 60, 6);
		frame_ext(f, 6, 8 * (1 + rnd(3)));
	} else {
		frame_ip6(f, 6, 6);
	}
}

static void random_packet(struct frame *f, const struct pair *p, bool out)
{
	unsigned quad = rnd(QUADS);
	const struct way_key *k = out ? &p->out[quad] : &p->in[quad];
	bool again = one_in(12); /* what opened a pair */
	uint8_t options[48], *t, flags = again ? 0x02 : out && one_in(4) ? 0x12 : some_flags();
	bool header = (flags & 0x12) == 0x02 ? again || !one_in(3) : one_in(30);
	uint32_t header_at, n = some_options(options, header, &header_at);

	below_tcp(f, quad & 1 ? 6 : 4);
	t = frame_tcp(f, flags, options, n);
	store_be32(t + 4, again ? 1000 : number());
	store_be32(t + 8, number());
	store_be16(t + 14, (uint16_t)(one_in(3) ? rnd(3) : rnd(65536)));
	if (one_in(2))
		frame_payload(f, rnd(200));
	readdress(f, k);
	if (f->version == 4 && one_in(12))
		store_be16(f->buf + f->ip + 6, one_in(4) ? 1 : 0x2000); /* a part */
	frame_end(f);
	if (header_at)
		sign(f, p, k, header_at - 1);
	frame_end(f);
	if (one_in(10))
		frame_add(f, NULL, rnd(30)); /* padding of Ethernet */
	if (one_in(20))
		f->buf[14 + rnd(f->len - 14)] ^= (uint8_t)(1u << rnd(8)); /* damage */
	f->p.head_len = f->len;
}

/* The comparison */

struct outcome {
	bool goes; /* in `bytes` */
	bool sent;
	uint8_t bytes[FRAME_MAX];
	uint32_t len;
};

static const char *hook_name[] = { "front", "back_in", "back_out" };

static void run_bpf(const struct plane_bpf *b, enum plane_hook hook, const struct frame *f,
		    struct outcome *ret_o)
{
	struct bpf_test_run_opts opts = { .sz = sizeof opts,
					  .data_in = f->buf,
					  .data_size_in = f->len,
					  .data_out = ret_o->bytes,
					  .data_size_out = sizeof ret_o->bytes };
	int fd = plane_bpf_program(b, hook_name[hook]);

	assert_true(fd >= 0);
	assert_int_equal(bpf_prog_test_run_opts(fd, &opts), 0);
	ret_o->len = opts.data_size_out;
	ret_o->sent = opts.retval == TC_ACT_REDIRECT;
	ret_o->goes = ret_o->sent || opts.retval == TC_ACT_OK;
}

/* Where a packet is for user space, the kernel keeps it from the host: the tap has it. */
static void run_c(struct pair *p, enum plane_hook hook, const struct frame *f,
		  struct outcome *ret_o, bool *ret_adopt)
{
	struct packet pk = f->p;
	struct plane_verdict d = { .act = WAY_HOST };
	struct view v;

	memcpy(ret_o->bytes, f->buf, f->len);
	ret_o->len = f->len;
	pk.head = ret_o->bytes;
	if (view_parse(&pk, &v) == R_NONE && v.tcp) {
		struct way_key k;

		d = plane_run(p->c, hook, &pk, &v, 1);
		memset(&k, 0, sizeof k);
		if (hook == PLANE_FRONT && !d.found) {
			way_key_of(&pk, &v, &k);
			for (unsigned i = 0; i < 4; i++)
				if (k.dport == p->cfg.origin[i].port &&
				    memcmp(k.dst, p->cfg.origin[i].ip, 16) == 0)
					d.act = WAY_USER;
		}
	}
	if (view_parse(&pk, &v) == R_NONE && v.fragment && plane_fragment(p->c, hook, &pk, &v))
		d.act = WAY_DROP;
	*ret_adopt = d.adopt;
	ret_o->sent = d.act == WAY_SEND;
	ret_o->goes = d.act == WAY_SEND || d.act == WAY_HOST;
}

static void show(const char *who, const struct heard *h)
{
	for (unsigned i = 0; i < h->n; i++)
		print_message("  %s: event %u id %u a %u b %u\n", who, h->ev[i].kind, h->ev[i].id,
			      h->ev[i].a, h->ev[i].b);
}

static bool same_events(const struct heard *a, const struct heard *b)
{
	return a->n == b->n && memcmp(a->ev, b->ev, a->n * sizeof a->ev[0]) == 0;
}

static bool same_ways(const struct pair *p, const struct plane_bpf *b)
{
	struct way_key k, prev;
	struct way w, u;
	uint32_t at = 0, n = 0;
	bool more = plane_bpf_list(b, NULL, &k, &w);

	for (; more; n++) {
		prev = k;
		more = plane_bpf_list(b, &prev, &k, &w);
	}
	if (n != plane_count(p->c)) {
		print_message("  %u ways in C, %u in BPF\n", plane_count(p->c), n);
		return false;
	}
	while (plane_list(p->c, &at, &k, &w)) {
		if (plane_bpf_get(b, &k, &u) < 0)
			return false;
		w.last_ns = u.last_ns = 0;
		for (unsigned i = 0; i < sizeof w; i++) {
			if (((uint8_t *)&w)[i] == ((uint8_t *)&u)[i])
				continue;
			print_message("  byte %u of a way: %02x in C, %02x in BPF\n", i,
				      ((uint8_t *)&w)[i], ((uint8_t *)&u)[i]);
			return false;
		}
	}
	return true;
}

static bool same_counters(const struct pair *p, const struct plane_bpf *b)
{
	for (unsigned i = 0; i < WAY_N_COUNT; i++) {
		uint64_t c = plane_counter(p->c, (enum way_counter)i);
		uint64_t k = plane_bpf_counter(b, (enum way_counter)i);

		if (c == k || i == WAY_N_ADOPTED)
			continue;
		print_message("  counter %u: %llu in C, %llu in BPF\n", i, (unsigned long long)c,
			      (unsigned long long)k);
		return false;
	}
	return true;
}

/* What the program that cannot adopt says instead. */
static void expect_refusal(struct pair *p, const struct outcome *o)
{
	struct heard *h = &p->bpf_heard;

	assert_true(h->n > 0);
	assert_int_equal(h->ev[h->n - 1].kind, WAY_EV_REFUSED);
	assert_int_equal(h->ev[h->n - 1].a, NO_FUNCTION);
	h->n--;
	assert_false(o->goes);
}

static void dump(const struct frame *f)
{
	for (uint32_t i = 0; i < f->len; i++)
		print_message("%02x%s", f->buf[i], i % 16 == 15 ? "\n" : " ");
	print_message("\n");
}

/* What goes on: whether, and how. */
static bool same_outcome(const struct outcome *c, const struct outcome *k)
{
	if (c->goes != k->goes || c->sent != k->sent) {
		print_message("  verdict: %d/%d in C, %d/%d in BPF\n", c->goes, c->sent, k->goes,
			      k->sent);
		return false;
	}
	if (!c->goes || (c->len == k->len && memcmp(c->bytes, k->bytes, c->len) == 0))
		return true;
	for (uint32_t i = 0; i < c->len; i++)
		if (c->bytes[i] != k->bytes[i])
			print_message("  byte %u: %02x in C, %02x in BPF\n", i, c->bytes[i],
				      k->bytes[i]);
	return false;
}

/* One packet past both: false, with what differs said. */
static bool same(struct pair *p, struct plane_bpf *b, enum plane_hook hook, const struct frame *f)
{
	static struct outcome c, k;
	bool adopt;

	p->c_heard.n = p->bpf_heard.n = 0;
	run_c(p, hook, f, &c, &adopt);
	run_bpf(b, hook, f, &k);
	assert_true(plane_bpf_events(b, hear, &p->bpf_heard, UINT32_MAX) >= 0);
	if (adopt)
		expect_refusal(p, &k);
	else if (!same_outcome(&c, &k))
		return false;
	if (!same_events(&p->c_heard, &p->bpf_heard)) {
		show("C", &p->c_heard);
		show("BPF", &p->bpf_heard);
		return false;
	}
	for (unsigned i = 0; i < p->c_heard.n; i++)
		p->kinds |= 1u << p->c_heard.ev[i].kind;
	return same_ways(p, b);
}

/* What must have come up, or the comparison says little. */
static void must_have_seen(const struct pair *p, enum plane_hook hook)
{
	static const unsigned counters[3] = {
		1u << WAY_N_FORWARDED | 1u << WAY_N_TRANSLATED | 1u << WAY_N_NOT_EXPECTED |
			1u << WAY_N_BAD_OPTIONS | 1u << WAY_N_FRAGMENT,
		1u << WAY_N_FORWARDED | 1u << WAY_N_TRANSLATED | 1u << WAY_N_NOT_EXPECTED |
			1u << WAY_N_BAD_OPTIONS | 1u << WAY_N_NOT_ANNOUNCED | 1u << WAY_N_BAD_MAC |
			1u << WAY_N_NO_ROOM | 1u << WAY_N_FRAGMENT,
		1u << WAY_N_FORWARDED | 1u << WAY_N_TRANSLATED | 1u << WAY_N_SWALLOWED |
			1u << WAY_N_BAD_OPTIONS | 1u << WAY_N_FRAGMENT,
	};
	static const unsigned events[3] = {
		1u << WAY_EV_SYN_IN | 1u << WAY_EV_FIN_IN | 1u << WAY_EV_RST_IN |
			1u << WAY_EV_ACKED,
		1u << WAY_EV_SYN_IN | 1u << WAY_EV_FIN_IN | 1u << WAY_EV_RST_IN |
			1u << WAY_EV_ACKED | 1u << WAY_EV_OPENED,
		1u << WAY_EV_LEARNT | 1u << WAY_EV_ESTABLISHED | 1u << WAY_EV_FIN_OUT |
			1u << WAY_EV_RST_OUT | 1u << WAY_EV_ACKED | 1u << WAY_EV_TIME_WAIT |
			1u << WAY_EV_REFUSED,
	};
	unsigned got = 0;

	for (unsigned i = 0; i < WAY_N_COUNT; i++)
		got |= (plane_counter(p->c, (enum way_counter)i) ? 1u : 0u) << i;
	assert_int_equal(counters[hook] & ~got, 0);
	assert_int_equal(events[hook] & ~p->kinds, 0);
}

static void many(enum plane_hook hook)
{
	const char *runs = getenv("RUNS"), *seed = getenv("SEED");
	uint32_t n = runs ? (uint32_t)strtoul(runs, NULL, 0) : 10000;
	struct pair p = { 0 };
	struct plane_bpf *b;
	struct frame f;

	open_pair(&p);
	b = hook == PLANE_FRONT ? p.front : p.back;
	rng = (seed ? strtoul(seed, NULL, 0) : 1) * 3 + (uint64_t)hook;
	for (uint32_t i = 0; i < n; i++) {
		if (i % 40 == 0)
			random_ways(&p, b);
		else if (i % 7 == 0)
			random_ways_again(&p, b);
		random_packet(&f, &p, hook == PLANE_BACK_OUT ? !one_in(10) : one_in(10));
		if (!same(&p, b, hook, &f)) {
			dump(&f);
			fail_msg("%s: packet %u differs", hook_name[hook], i);
		}
	}
	assert_true(same_counters(&p, b));
	must_have_seen(&p, hook);
	close_pair(&p);
}

static void test_front(void **state)
{
	(void)state;
	many(PLANE_FRONT);
}

static void test_back_in(void **state)
{
	(void)state;
	many(PLANE_BACK_IN);
}

static void test_back_out(void **state)
{
	(void)state;
	many(PLANE_BACK_OUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_front),
		cmocka_unit_test(test_back_in),
		cmocka_unit_test(test_back_out),
	};

	if (rig_open(&rig)) {
		fprintf(stderr, "plane_diff: needs root and namespaces: skipped\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
