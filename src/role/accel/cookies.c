/* SPDX-License-Identifier: MIT */
#include "role/accel/cookies.h"

#include <errno.h>
#include <string.h>

#include "base/hash.h"
#include "core/record_flow.h"

#define WAYS 4u
#define WHERE_VLANS 0xffffffu
#define VERSION 1

struct cookies {
	uint8_t secret[16];
	uint32_t sets; /* a power of two */
	struct cookie slot[];
};

static uint32_t sets_for(uint32_t n)
{
	uint32_t sets = 1;

	while (sets * WAYS < n)
		sets *= 2;
	return sets;
}

size_t cookies_need(uint32_t n)
{
	return sizeof(struct cookies) + (size_t)sets_for(n) * WAYS * sizeof(struct cookie);
}

struct cookies *cookies_init(void *block, uint32_t n, const uint8_t secret[16])
{
	struct cookies *c = block;

	memcpy(c->secret, secret, sizeof c->secret);
	c->sets = sets_for(n);
	return c;
}

/* All connections of a client to a server's port have one cookie. */
static struct flow_key who_of(const struct flow_key *k)
{
	struct flow_key who = *k;

	who.sport = be16_of(0);
	who.where &= WHERE_VLANS;
	return who;
}

static struct cookie *set_of(struct cookies *c, const struct flow_key *who)
{
	return &c->slot[(siphash(c->secret, who, sizeof *who) & (c->sets - 1)) * WAYS];
}

/* The cookie of who, or NULL. */
static struct cookie *find(struct cookies *c, const struct flow_key *who)
{
	struct cookie *set = set_of(c, who);

	for (unsigned i = 0; i < WAYS; i++)
		if (set[i].len && flow_key_equal(&set[i].who, who))
			return &set[i];
	return NULL;
}

const struct cookie *cookies_find(struct cookies *c, const struct flow_key *client_key,
				  sut_time now)
{
	struct flow_key who = who_of(client_key);
	struct cookie *k = find(c, &who);

	if (k)
		k->used_at = now;
	return k;
}

/* Where a cookie of who goes: its own place, a free one, or that of the one not used for longest. */
static struct cookie *place(struct cookies *c, const struct flow_key *who)
{
	struct cookie *set = set_of(c, who), *best = find(c, who);

	for (unsigned i = 0; i < WAYS && !best; i++)
		if (!set[i].len)
			best = &set[i];
	if (best)
		return best;
	best = &set[0];
	for (unsigned i = 1; i < WAYS; i++)
		if (set[i].used_at < best->used_at)
			best = &set[i];
	return best;
}

static bool put(struct cookies *c, const struct flow_key *who, const uint8_t *bytes, size_t len,
		sut_time now)
{
	struct cookie *k;

	if (len < COOKIE_MIN || len > COOKIE_MAX || len % 2)
		return false;
	k = place(c, who);
	*k = (struct cookie){ .who = *who, .len = (uint8_t)len, .used_at = now };
	memcpy(k->bytes, bytes, len);
	return true;
}

bool cookies_put(struct cookies *c, const struct flow_key *client_key, const uint8_t *bytes,
		 size_t len, sut_time now)
{
	struct flow_key who = who_of(client_key);

	return put(c, &who, bytes, len, now);
}

void cookies_forget(struct cookies *c, const struct flow_key *client_key)
{
	struct flow_key who = who_of(client_key);
	struct cookie *k = find(c, &who);

	if (k)
		k->len = 0;
}

uint32_t cookies_slots(const struct cookies *c)
{
	return c->sets * WAYS;
}

const struct cookie *cookies_at(const struct cookies *c, uint32_t slot)
{
	return &c->slot[slot];
}

void cookie_save(const struct cookie *k, struct record *ret_r)
{
	record_begin(ret_r, REC_ACCEL_COOKIE, VERSION);
	record_put_key(ret_r, &k->who);
	record_put8(ret_r, k->len);
	record_put(ret_r, k->bytes, sizeof k->bytes);
	record_end(ret_r);
}

int cookies_restore(struct cookies *c, struct record_reader *rd, sut_time now)
{
	uint8_t bytes[COOKIE_MAX], len;
	struct flow_key who;

	if (rd->version != VERSION)
		return -EPROTO;
	record_take_key(rd, &who);
	len = record_take8(rd);
	record_take(rd, bytes, sizeof bytes);
	if (rd->failed || rd->left || be16_get(who.sport) != 0 || who.where & ~WHERE_VLANS)
		return -EINVAL;
	return put(c, &who, bytes, len, now) ? 0 : -EINVAL;
}
