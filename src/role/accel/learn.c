/* SPDX-License-Identifier: MIT */
#include "role/accel/learn.h"

#include <errno.h>
#include <string.h>

#include "base/hash.h"

struct learn {
	uint8_t secret[16];
	uint32_t sets; /* a power of two */
	struct server slot[];
};

#define WHERE_VLANS 0xffffffu
#define LEARN_VERSION 2
#define BLACK_FIRST SUT_MS(2000) /* the first pause; four times as long with each miss */
#define BLACK_MISSES_MAX 10

static uint32_t sets_for(uint32_t servers)
{
	uint32_t sets = 1;

	while (sets * LEARN_WAYS < servers)
		sets *= 2;
	return sets;
}

size_t learn_need(uint32_t servers)
{
	return sizeof(struct learn) +
	       (size_t)sets_for(servers) * LEARN_WAYS * sizeof(struct server);
}

struct learn *learn_init(void *block, uint32_t servers, const uint8_t secret[16])
{
	struct learn *l = block;

	memcpy(l->secret, secret, sizeof l->secret);
	l->sets = sets_for(servers);
	return l;
}

struct name {
	uint8_t addr[16];
	uint16_t port;
	uint16_t zero;
	uint32_t vlans;
};

static struct name name_of(const struct flow_key *k)
{
	struct name n = { .port = be16_get(k->dport), .vlans = k->where & WHERE_VLANS };

	memcpy(n.addr, k->dst, sizeof n.addr);
	return n;
}

static struct server *set_of(struct learn *l, const struct name *n)
{
	uint64_t h = siphash(l->secret, n, sizeof *n);

	return &l->slot[(h & (l->sets - 1)) * LEARN_WAYS];
}

static bool is(const struct server *s, const struct name *n)
{
	return s->used && s->port == n->port && s->vlans == n->vlans &&
	       memcmp(s->addr, n->addr, sizeof n->addr) == 0;
}

static struct server *find(struct learn *l, const struct name *n, sut_time now)
{
	struct server *set = set_of(l, n);

	for (unsigned i = 0; i < LEARN_WAYS; i++) {
		if (is(&set[i], n)) {
			set[i].used_at = now;
			return &set[i];
		}
	}
	return NULL;
}

struct server *learn_find(struct learn *l, const struct flow_key *client_key, sut_time now)
{
	struct name n = name_of(client_key);

	return find(l, &n, now);
}

static struct server *enter(struct learn *l, const struct name *n, sut_time now)
{
	struct server *set = set_of(l, n), *oldest = &set[0];

	for (unsigned i = 0; i < LEARN_WAYS; i++) {
		if (!set[i].used) {
			oldest = &set[i];
			break;
		}
		if (set[i].used_at < oldest->used_at)
			oldest = &set[i];
	}
	*oldest = (struct server){
		.port = n->port,
		.used = 1,
		.vlans = n->vlans,
		.used_at = now,
	};
	memcpy(oldest->addr, n->addr, sizeof oldest->addr);
	return oldest;
}

struct server *learn_enter(struct learn *l, const struct flow_key *client_key, sut_time now)
{
	struct name n = name_of(client_key);
	struct server *s = find(l, &n, now);

	return s ? s : enter(l, &n, now);
}

void learn_synack(struct server *s, uint16_t offered, const struct tcp_options *o, uint16_t window,
		  bool anew, sut_time now)
{
	const uint16_t askable = OPT_WSCALE | OPT_SACK_PERMITTED | OPT_TS;
	uint16_t asked = offered & askable;

	if (anew) {
		s->offered = 0;
		s->has &= OPT_MSS;
	}
	s->offered = (uint16_t)(s->offered | asked);
	s->has = (uint16_t)((s->has & ~(asked | OPT_MSS)) | (o->present & (asked | OPT_MSS)));
	if (o->present & OPT_MSS)
		s->mss = o->mss;
	if (asked & o->present & OPT_WSCALE)
		s->wscale = o->wscale;
	s->window = window;
	if (anew || !s->learnt)
		s->learnt_at = now;
	s->learnt = 1;
	s->negative_until = 0;
}

uint32_t learn_slots(const struct learn *l)
{
	return l->sets * LEARN_WAYS;
}

const struct server *learn_at(const struct learn *l, uint32_t slot)
{
	return &l->slot[slot];
}

static uint32_t left_ms(sut_time until, sut_time now)
{
	return until > now ? (uint32_t)((until - now) / SUT_MS(1)) : 0;
}

void learn_save(const struct server *s, sut_time now, struct record *ret_r)
{
	record_begin(ret_r, REC_ACCEL_SERVER, LEARN_VERSION);
	record_put(ret_r, s->addr, sizeof s->addr);
	record_put16(ret_r, s->port);
	record_put32(ret_r, s->vlans);
	record_put16(ret_r, s->offered);
	record_put16(ret_r, s->has);
	record_put16(ret_r, s->mss);
	record_put16(ret_r, s->window);
	record_put8(ret_r, s->wscale);
	record_put8(ret_r, s->takes_data);
	record_put8(ret_r, s->learnt);
	record_put8(ret_r, s->black_misses);
	record_put8(ret_r, s->gives_cookies);
	record_put32(ret_r, left_ms(now, s->learnt_at));
	record_put32(ret_r, left_ms(s->negative_until, now));
	record_put32(ret_r, left_ms(s->black_until, now));
	record_put32(ret_r, left_ms(s->takes_until, now));
	record_put32(ret_r, left_ms(s->speaks_until, now));
	record_put64(ret_r, s->rtt);
	record_end(ret_r);
}

static sut_time ahead(uint32_t ms, sut_time now)
{
	return ms ? now + SUT_MS(ms) : 0;
}

int learn_restore(struct learn *l, struct record_reader *rd, sut_time now)
{
	struct name n = { .zero = 0 };
	struct server in = { .used = 1 }, *s;
	sut_time age;

	if (rd->version != LEARN_VERSION)
		return -EPROTO;
	record_take(rd, n.addr, sizeof n.addr);
	n.port = record_take16(rd);
	n.vlans = record_take32(rd);
	in.offered = record_take16(rd);
	in.has = record_take16(rd);
	in.mss = record_take16(rd);
	in.window = record_take16(rd);
	in.wscale = record_take8(rd);
	in.takes_data = record_take8(rd);
	in.learnt = record_take8(rd);
	in.black_misses = record_take8(rd);
	in.gives_cookies = record_take8(rd);
	age = SUT_MS(record_take32(rd));
	in.negative_until = ahead(record_take32(rd), now);
	in.black_until = ahead(record_take32(rd), now);
	in.takes_until = ahead(record_take32(rd), now);
	in.speaks_until = ahead(record_take32(rd), now);
	in.rtt = record_take64(rd);
	if (rd->failed || rd->left || in.wscale > TCP_WSCALE_MAX || in.takes_data > TAKES_NO ||
	    in.black_misses > BLACK_MISSES_MAX)
		return -EINVAL;
	s = find(l, &n, now);
	if (!s)
		s = enter(l, &n, now);
	memcpy(in.addr, n.addr, sizeof in.addr);
	in.port = n.port;
	in.vlans = n.vlans;
	in.used_at = now;
	in.learnt_at = age < now ? now - age : 0;
	*s = in;
	return 0;
}

void learn_black(struct server *s, sut_time most, sut_time now)
{
	sut_time pause = BLACK_FIRST << (2 * s->black_misses);

	if (s->black_misses < BLACK_MISSES_MAX)
		s->black_misses++;
	s->black_until = now + (pause < most ? pause : most);
}
