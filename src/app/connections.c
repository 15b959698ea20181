/* SPDX-License-Identifier: MIT */
#include "app/connections.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

#define ROOM_FIRST 1024u

/* Fixed: what comes out must not depend on chance.  Long chains cost who made them time. */
static const struct hash_key table_key = { { 0x9e3779b97f4a7c15, 0xc2b2ae3d27d4eb4f,
					     0x165667b19e3779f9, 0x27d4eb2f165667c5,
					     0x85ebca77c2b2ae63 } };

int connections_open(struct connections *c, const struct ladder_limits *limits)
{
	*c = (struct connections){ .limits = limits, .room = ROOM_FIRST };
	c->bucket = calloc(c->room, sizeof(struct connection *));
	return c->bucket ? 0 : -ENOMEM;
}

void connections_close(struct connections *c)
{
	for (struct connection *x = c->first, *after; x; x = after) {
		after = x->after;
		ladder_close(x->ladder);
		free(x);
	}
	free(c->bucket);
	c->bucket = NULL;
}

static struct connection **bucket_of(struct connections *c, const struct flow_key *key)
{
	return &c->bucket[hash40(&table_key, key) & (c->room - 1)];
}

static bool is_client_first(const struct flow_key *k)
{
	int order = memcmp(k->src, k->dst, 16);

	return order < 0 || (order == 0 && be16_get(k->sport) <= be16_get(k->dport));
}

static struct flow_key canonical(const struct flow_key *k)
{
	struct flow_key c = *k;

	if (!is_client_first(k))
		flow_key_reverse(k, 0, &c);
	return c;
}

static void grow(struct connections *c)
{
	size_t room = c->room * 2;
	struct connection **old = c->bucket, **bucket = calloc(room, sizeof(struct connection *));
	size_t old_room = c->room;

	if (!bucket)
		return; /* chains become longer */
	c->bucket = bucket;
	c->room = room;
	for (size_t i = 0; i < old_room; i++) {
		while (old[i]) {
			struct connection *x = old[i], **to = bucket_of(c, &x->key);

			old[i] = x->in_bucket;
			x->in_bucket = *to;
			*to = x;
		}
	}
	free(old);
}

static struct connection *find(struct connections *c, const struct flow_key *key)
{
	struct connection *x = *bucket_of(c, key);

	while (x && !flow_key_equal(&x->key, key))
		x = x->in_bucket;
	return x;
}

/* Takes x out of its bucket; by is put in its place, if there is one. */
static void replace(struct connections *c, struct connection *x, struct connection *by)
{
	struct connection **at = bucket_of(c, &x->key);

	while (*at != x)
		at = &(*at)->in_bucket;
	if (by)
		by->in_bucket = x->in_bucket;
	*at = by ? by : x->in_bucket;
	x->in_bucket = NULL;
}

void connections_remove(struct connections *c, struct connection *x)
{
	if (x->newer) {
		x->newer->older = NULL;
	} else if (!x->loose) {
		replace(c, x, x->older);
		if (x->older)
			x->older->newer = NULL;
	}
	if (x->before)
		x->before->after = x->after;
	else
		c->first = x->after;
	if (x->after)
		x->after->before = x->before;
	else
		c->last = x->before;
	c->bytes -= ladder_bytes(x->ladder) + sizeof *x;
	c->n--;
	ladder_close(x->ladder);
	free(x);
}

int connections_finish(struct connections *c, struct connection *x)
{
	size_t bytes = ladder_bytes(x->ladder);
	int err = ladder_finish(x->ladder);

	c->bytes += ladder_bytes(x->ladder) - bytes;
	return err;
}

static enum sut_side half_of(const struct connection *x, unsigned file)
{
	return file == x->near ? NEAR : FAR;
}

static enum sut_side sender_of(const struct connection *x, const struct flow_key *key)
{
	const struct flow_key *client = &x->ladder->key;

	return memcmp(key->src, client->src, 16) == 0 &&
			       be16_get(key->sport) == be16_get(client->sport)
		       ? NEAR
		       : FAR;
}

/* Is the sender of the first segment that is seen the client?  Without a SYN, the end with the higher port. */
static bool by_client(const struct flow_key *key, const struct sight *s)
{
	if (s->flags & TCP_SYN)
		return !(s->flags & TCP_ACK);
	return be16_get(key->sport) >= be16_get(key->dport);
}

static void link_new(struct connections *c, struct connection *x, struct connection *older)
{
	if (older) {
		/* the bucket has the newest; what is older still cannot be told apart any more */
		if (older->older) {
			older->older->newer = NULL;
			older->older->loose = true;
			older->older = NULL;
		}
		replace(c, older, x);
		x->older = older;
		older->newer = x;
	} else {
		struct connection **to = bucket_of(c, &x->key);

		x->in_bucket = *to;
		*to = x;
	}
	x->before = c->last;
	if (c->last)
		c->last->after = x;
	else
		c->first = x;
	c->last = x;
	c->n++;
	c->bytes += ladder_bytes(x->ladder) + sizeof *x;
}

static struct connection *open_new(struct connections *c, unsigned file, const struct flow_key *key,
				   const struct flow_key *id, const struct sight *s,
				   struct connection *older)
{
	struct connection *x = calloc(1, sizeof *x);
	struct flow_key client = *key;
	bool syn = s->flags & TCP_SYN;

	if (!x)
		return NULL;
	if (!by_client(key, s))
		flow_key_reverse(key, 0, &client);
	x->ladder = ladder_open(c->limits, &client, !syn);
	if (!x->ladder) {
		free(x);
		return NULL;
	}
	x->key = *id;
	/* whose SYN is seen first is on the client's side */
	x->near = syn && !(s->flags & TCP_ACK) ? file : 0;
	x->number = ++c->opened;
	if (c->n >= c->room)
		grow(c);
	link_new(c, x, older);
	return x;
}

/* Which of the connections with these ends does s belong to?  NULL: one that begins with it. */
static struct connection *choose(struct connection *x, unsigned file, const struct flow_key *key,
				 const struct sight *s)
{
	enum sut_side half = half_of(x, file);
	bool syn = s->icmp == ICMP_OTHER && (s->flags & TCP_SYN);

	if (!(x->ladder->pairing.halves >> half & 1))
		return x->older && !syn ? x->older : x;
	if (syn && reading_reopens(&x->ladder->reading[half], s, sender_of(x, key)))
		return NULL;
	return x;
}

int connections_add(struct connections *c, unsigned file, const struct flow_key *key,
		    const struct sight *s)
{
	struct flow_key id = canonical(key);
	struct connection *newest = find(c, &id), *x = NULL;
	size_t bytes;
	int err;

	if (newest)
		x = choose(newest, file, key, s);
	if (!x && s->icmp != ICMP_OTHER)
		return 0;
	if (!x)
		x = open_new(c, file, key, &id, s, newest);
	if (!x)
		return -ENOMEM;
	bytes = ladder_bytes(x->ladder);
	err = ladder_add(x->ladder, half_of(x, file), sender_of(x, key), s);
	c->bytes += ladder_bytes(x->ladder) - bytes;
	return err ? err : 1;
}
