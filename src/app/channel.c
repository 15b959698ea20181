/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 *     front end                                        agent
 *     BEGIN      {A}                    ------->       knows no session yet; keeps nothing
 *                                       <-------       CHALLENGE {A, B},  B = hash(own secret, peer, sessions so far, A)
 *     DATA A,1   {lines}                ------->       computes B again, opens it: the session is there
 *     DATA A,n   {lines}                <------>
 *
 * A is 16 random bytes and names the session; the keys of both directions are hashes of the master key, A and B.  So a datagram
 * of an earlier session opens with no key that is still known, and within a session a window of sequence numbers refuses what came
 * before.  The agent keeps nothing for a BEGIN: B follows from A, its secret of this run, and how many sessions the peer has had.  A
 * recorded BEGIN is answered, but whoever replays it cannot go on, and the session that is there stays as it is.  An agent that was
 * restarted has another secret: it answers DATA that it cannot open with UNKNOWN {A}, and the front end begins anew, if A is its session.
 *
 * BEGIN, CHALLENGE and UNKNOWN are sealed with a key of the master key under random nonces, DATA with the session's under its number.  What
 * is answered is longer than the answer, and answers have a rate for each peer; nobody else is answered at all.
 *
 * Wire: "SH" 1 kind | key id (4) | then
 *     BEGIN, CHALLENGE, UNKNOWN: nonce (24), sealed bytes, tag (16);   DATA: A (16), number (8), sealed lines, tag (16).
 * All in front of the sealed bytes is authenticated too.
 */
#include "app/channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/be.h"

#define ID_LEN 16u
#define HEAD_LEN 8u
#define NONCE_LEN 24u
#define TAG_LEN 16u
#define DATA_HEAD (HEAD_LEN + ID_LEN + 8u)
#define BEGIN_LEN 64u /* sealed: A, zeroes, so that the answer is shorter */
#define CHALLENGE_LEN 32u
#define UNKNOWN_LEN 16u
#define TEXT_MIN 24u /* ... which UNKNOWN has to be too */

#define BEGIN_FIRST SUT_MS(250)
#define BEGIN_LAST SUT_MS(4000)
#define ANSWER_EVERY SUT_MS(20)
#define ANSWER_BURST 20u
#define TELL_EVERY SUT_MS(60000)

_Static_assert(NONCE_LEN == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "nonce");
_Static_assert(TAG_LEN == crypto_aead_xchacha20poly1305_ietf_ABYTES, "tag");
_Static_assert(CHANNEL_KEY_LEN == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "key");
_Static_assert(DATA_HEAD + CHANNEL_TEXT_MAX + TAG_LEN == CHANNEL_MAX, "longest datagram");
_Static_assert(HEAD_LEN + NONCE_LEN + UNKNOWN_LEN + TAG_LEN < DATA_HEAD + TEXT_MIN + TAG_LEN,
	       "UNKNOWN is shorter than any DATA");
_Static_assert(CHALLENGE_LEN < BEGIN_LEN, "CHALLENGE is shorter than BEGIN");

enum kind { BEGIN = 1, CHALLENGE, DATA, UNKNOWN };

struct session {
	bool up;
	uint8_t slot; /* of the key */
	uint8_t id[ID_LEN];
	uint8_t tx[CHANNEL_KEY_LEN], rx[CHANNEL_KEY_LEN];
	uint64_t sent; /* number of the last datagram */
	uint64_t top; /* highest number that came */
	uint64_t seen[CHANNEL_WINDOW / 64]; /* bit n % window: number n came */
};

/* Answers that may be given: a bucket. */
struct allowance {
	sut_time full; /* when it is full again */
};

struct peer {
	struct channel_peer is;
	struct session session;
	uint64_t sessions;
	struct allowance challenges, unknowns;
	/* of whoever begins */
	bool beginning;
	uint8_t begun[ID_LEN];
	uint8_t begun_slot;
	sut_time next, pause;
	/* when it may be told again that its datagrams do not open */
	sut_time tell;
	/* lines that wait */
	size_t len;
	char text[CHANNEL_TEXT_MAX];
};

struct channel {
	struct channel_config cfg;
	uint8_t secret[CHANNEL_KEY_LEN];
	uint64_t count[CHANNEL_COUNTER_COUNT];
	struct peer peer[CHANNEL_PEERS];
};

static void count(struct channel *c, enum channel_counter what)
{
	c->count[what]++;
}

static bool is_used(const struct channel *c, unsigned i)
{
	return c->cfg.peer[i].name[0] != 0;
}

/* Sealing. */

static void put_head(uint8_t *b, enum kind kind, const struct channel_key *k)
{
	b[0] = 'S';
	b[1] = 'H';
	b[2] = 1;
	b[3] = (uint8_t)kind;
	memcpy(b + 4, k->id, sizeof k->id);
}

/* Sends a sealed handshake datagram of n bytes. */
static void send_sealed(struct channel *c, const struct endpoint *to, enum kind kind,
			const struct channel_key *k, const uint8_t *plain, size_t n)
{
	uint8_t b[HEAD_LEN + NONCE_LEN + BEGIN_LEN + TAG_LEN];
	uint8_t *nonce = b + HEAD_LEN, *sealed = nonce + NONCE_LEN;

	put_head(b, kind, k);
	randombytes_buf(nonce, NONCE_LEN);
	crypto_aead_xchacha20poly1305_ietf_encrypt(sealed, NULL, plain, n, b, HEAD_LEN, NULL, nonce,
						   k->hello);
	c->cfg.send(c->cfg.ctx, to, b, HEAD_LEN + NONCE_LEN + n + TAG_LEN);
}

/* Opens one that must hold n bytes. */
static bool open_sealed(const struct channel_key *k, const uint8_t *b, size_t len, size_t n,
			uint8_t *ret_plain)
{
	const uint8_t *nonce = b + HEAD_LEN, *sealed = nonce + NONCE_LEN;

	return len == HEAD_LEN + NONCE_LEN + n + TAG_LEN &&
	       crypto_aead_xchacha20poly1305_ietf_decrypt(ret_plain, NULL, NULL, sealed,
							  n + TAG_LEN, b, HEAD_LEN, nonce,
							  k->hello) == 0;
}

static void data_nonce(uint64_t number, uint8_t ret_nonce[NONCE_LEN])
{
	memset(ret_nonce, 0, NONCE_LEN);
	store_be32(ret_nonce, (uint32_t)(number >> 32));
	store_be32(ret_nonce + 4, (uint32_t)number);
}

static void send_data(struct channel *c, struct peer *p)
{
	struct session *s = &p->session;
	uint8_t b[CHANNEL_MAX], nonce[NONCE_LEN];

	while (p->len < TEXT_MIN)
		p->text[p->len++] = '\n';
	put_head(b, DATA, &c->cfg.keys.slot[s->slot]);
	memcpy(b + HEAD_LEN, s->id, ID_LEN);
	data_nonce(++s->sent, nonce);
	memcpy(b + HEAD_LEN + ID_LEN, nonce, 8);
	crypto_aead_xchacha20poly1305_ietf_encrypt(b + DATA_HEAD, NULL, (const uint8_t *)p->text,
						   p->len, b, DATA_HEAD, NULL, nonce, s->tx);
	c->cfg.send(c->cfg.ctx, &p->is.at, b, DATA_HEAD + p->len + TAG_LEN);
	p->len = 0;
}

/* Sessions. */

/* What the agent answers to A: no state but the number of sessions. */
static void answer_of(const struct channel *c, const struct peer *p, const uint8_t a[ID_LEN],
		      uint8_t ret_b[ID_LEN])
{
	const uint64_t in[2] = { (uint64_t)(p - c->peer), p->sessions };
	crypto_generichash_state h;

	crypto_generichash_init(&h, c->secret, sizeof c->secret, ID_LEN);
	crypto_generichash_update(&h, (const uint8_t *)in, sizeof in);
	crypto_generichash_update(&h, a, ID_LEN);
	crypto_generichash_final(&h, ret_b, ID_LEN);
}

static void make_session(const struct channel *c, unsigned slot, const uint8_t a[ID_LEN],
			 const uint8_t b[ID_LEN], struct session *ret_s)
{
	const struct channel_key *k = &c->cfg.keys.slot[slot];
	uint8_t out[2 * CHANNEL_KEY_LEN];
	uint8_t *mine = c->cfg.begins ? out : out + CHANNEL_KEY_LEN;
	uint8_t *theirs = c->cfg.begins ? out + CHANNEL_KEY_LEN : out;
	crypto_generichash_state h;

	crypto_generichash_init(&h, k->session, sizeof k->session, sizeof out);
	crypto_generichash_update(&h, a, ID_LEN);
	crypto_generichash_update(&h, b, ID_LEN);
	crypto_generichash_final(&h, out, sizeof out);
	*ret_s = (struct session){ .up = true, .slot = (uint8_t)slot };
	memcpy(ret_s->id, a, ID_LEN);
	memcpy(ret_s->tx, mine, CHANNEL_KEY_LEN);
	memcpy(ret_s->rx, theirs, CHANNEL_KEY_LEN);
	sodium_memzero(out, sizeof out);
}

static void send_begin(struct channel *c, struct peer *p, sut_time now)
{
	uint8_t plain[BEGIN_LEN] = { 0 };

	memcpy(plain, p->begun, ID_LEN);
	send_sealed(c, &p->is.at, BEGIN, &c->cfg.keys.slot[p->begun_slot], plain, sizeof plain);
	p->next = now + p->pause;
	p->pause = p->pause * 2 < BEGIN_LAST ? p->pause * 2 : BEGIN_LAST;
}

static void begin(struct channel *c, struct peer *p, sut_time now)
{
	if (p->beginning && p->begun_slot == c->cfg.keys.first)
		return;
	p->beginning = true;
	p->begun_slot = c->cfg.keys.first;
	p->pause = BEGIN_FIRST;
	randombytes_buf(p->begun, sizeof p->begun);
	send_begin(c, p, now);
}

/* Has number not come yet, and is it new enough to tell? */
static bool is_new(const struct session *s, uint64_t number)
{
	if (number == 0 || number + CHANNEL_WINDOW <= s->top)
		return false;
	return number > s->top ||
	       !(s->seen[number / 64 % (CHANNEL_WINDOW / 64)] >> number % 64 & 1);
}

/* Notes an authenticated number. */
static void note(struct session *s, uint64_t number)
{
	if (number > s->top) {
		uint64_t from = number - s->top >= CHANNEL_WINDOW ? number - CHANNEL_WINDOW + 1
								  : s->top + 1;

		for (uint64_t n = from; n <= number; n++)
			s->seen[n / 64 % (CHANNEL_WINDOW / 64)] &= ~((uint64_t)1 << n % 64);
		s->top = number;
	}
	s->seen[number / 64 % (CHANNEL_WINDOW / 64)] |= (uint64_t)1 << number % 64;
}

/* Receiving. */

static uint64_t number_of(const uint8_t *b)
{
	const uint8_t *at = b + HEAD_LEN + ID_LEN;

	return (uint64_t)load_be32(at) << 32 | load_be32(at + 4);
}

static bool may_answer(struct allowance *a, sut_time now)
{
	sut_time full = a->full > now ? a->full : now;

	if (full + ANSWER_EVERY > now + ANSWER_BURST * ANSWER_EVERY)
		return false;
	a->full = full + ANSWER_EVERY;
	return true;
}

static void take_begin(struct channel *c, struct peer *p, unsigned slot,
		       const struct endpoint *from, const uint8_t *a, sut_time now)
{
	uint8_t plain[CHALLENGE_LEN];

	if (!may_answer(&p->challenges, now)) {
		count(c, CHANNEL_N_channel_quiet);
		return;
	}
	memcpy(plain, a, ID_LEN);
	answer_of(c, p, a, plain + ID_LEN);
	send_sealed(c, from, CHALLENGE, &c->cfg.keys.slot[slot], plain, sizeof plain);
}

static void take_challenge(struct channel *c, struct peer *p, unsigned slot, const uint8_t *plain)
{
	if (!p->beginning || slot != p->begun_slot || memcmp(plain, p->begun, ID_LEN) != 0) {
		count(c, CHANNEL_N_channel_unsolicited);
		return;
	}
	make_session(c, slot, plain, plain + ID_LEN, &p->session);
	p->beginning = false;
	p->sessions++;
	count(c, CHANNEL_N_channel_sessions);
	send_data(c, p); /* even if it is empty: the agent knows of the session by it */
}

static void take_unknown(struct channel *c, struct peer *p, const uint8_t *id, sut_time now)
{
	if (!p->session.up || memcmp(id, p->session.id, ID_LEN) != 0) {
		count(c, CHANNEL_N_channel_unsolicited);
		return;
	}
	p->session.up = false;
	begin(c, p, now);
}

static void take_lines(struct channel *c, unsigned peer, const char *text, size_t len)
{
	while (len) {
		const char *end = memchr(text, '\n', len);
		size_t n = end ? (size_t)(end - text) : len;

		if (n > CHANNEL_LINE_MAX) {
			count(c, CHANNEL_N_channel_malformed);
		} else if (n) {
			count(c, CHANNEL_N_channel_lines_in);
			c->cfg.line(c->cfg.ctx, peer, text, n);
		}
		n += end != NULL;
		text += n;
		len -= n;
	}
}

/* A datagram of data under this session: its lines' length, or -1. */
static int open_data(const struct session *s, const uint8_t *b, size_t len,
		     uint8_t ret_text[CHANNEL_TEXT_MAX])
{
	uint8_t nonce[NONCE_LEN] = { 0 };
	size_t n = len - DATA_HEAD - TAG_LEN;

	memcpy(nonce, b + HEAD_LEN + ID_LEN, 8);
	return crypto_aead_xchacha20poly1305_ietf_decrypt(ret_text, NULL, NULL, b + DATA_HEAD,
							  n + TAG_LEN, b, DATA_HEAD, nonce,
							  s->rx) == 0
		       ? (int)n
		       : -1;
}

/* Data of a session that is not there: it may be the first of one that was begun. */
static void take_first(struct channel *c, struct peer *p, unsigned slot,
		       const struct endpoint *from, const uint8_t *b, size_t len, sut_time now)
{
	const uint8_t *id = b + HEAD_LEN;
	uint8_t answer[ID_LEN], text[CHANNEL_TEXT_MAX];
	struct session s;
	int n;

	answer_of(c, p, id, answer);
	make_session(c, slot, id, answer, &s);
	n = open_data(&s, b, len, text);
	if (n >= 0) {
		note(&s, number_of(b));
		p->session = s;
		p->sessions++;
		p->is.at = *from;
		count(c, CHANNEL_N_channel_sessions);
		take_lines(c, (unsigned)(p - c->peer), (const char *)text, (size_t)n);
		return;
	}
	count(c, CHANNEL_N_channel_forged);
	if (may_answer(&p->unknowns, now))
		send_sealed(c, from, UNKNOWN, &c->cfg.keys.slot[slot], id, UNKNOWN_LEN);
	else
		count(c, CHANNEL_N_channel_quiet);
}

static void take_data(struct channel *c, struct peer *p, unsigned slot, const struct endpoint *from,
		      const uint8_t *b, size_t len, sut_time now)
{
	const uint64_t number = number_of(b);
	struct session *s = &p->session;
	uint8_t text[CHANNEL_TEXT_MAX];
	int n;

	if (!s->up || memcmp(b + HEAD_LEN, s->id, ID_LEN) != 0) {
		if (c->cfg.begins)
			count(c, CHANNEL_N_channel_unsolicited);
		else
			take_first(c, p, slot, from, b, len, now);
		return;
	}
	if (!is_new(s, number)) {
		count(c, CHANNEL_N_channel_replayed);
		return;
	}
	/* under another key it is not this session's: who answered that it is unknown would end it */
	n = slot == s->slot ? open_data(s, b, len, text) : -1;
	if (n < 0) {
		count(c, CHANNEL_N_channel_forged);
		return;
	}
	if (!c->cfg.begins && number > s->top)
		p->is.at = *from;
	note(s, number);
	take_lines(c, (unsigned)(p - c->peer), (const char *)text, (size_t)n);
}

/* Whose datagram is it?  Ports count where they are told. */
static struct peer *peer_at(struct channel *c, const struct endpoint *from)
{
	for (unsigned i = 0; i < c->cfg.peers; i++) {
		const struct endpoint *e = &c->cfg.peer[i].at;

		if (is_used(c, i) && memcmp(e->ip, from->ip, 16) == 0 &&
		    (e->port == 0 || e->port == from->port))
			return &c->peer[i];
	}
	return NULL;
}

/* The slot of a valid key with this id; -1. */
static int slot_of(const struct channel_keys *k, const uint8_t id[4])
{
	for (unsigned i = 0; i < CHANNEL_KEYS; i++)
		if ((k->valid >> i & 1) && memcmp(k->slot[i].id, id, 4) == 0)
			return (int)i;
	return -1;
}

static bool is_known_form(const uint8_t *b, size_t len)
{
	if (len < HEAD_LEN || len > CHANNEL_MAX || b[0] != 'S' || b[1] != 'H' || b[2] != 1)
		return false;
	if (b[3] == DATA)
		return len >= DATA_HEAD + TEXT_MIN + TAG_LEN;
	return b[3] == BEGIN || b[3] == CHALLENGE || b[3] == UNKNOWN;
}

/* Its key is another one, or somebody speaks from its address. */
static void forged(struct channel *c, struct peer *p, sut_time now)
{
	count(c, CHANNEL_N_channel_forged);
	if (!c->cfg.unopened || now < p->tell)
		return;
	p->tell = now + TELL_EVERY;
	c->cfg.unopened(c->cfg.ctx, (unsigned)(p - c->peer));
}

void channel_receive(struct channel *c, const struct endpoint *from, const uint8_t *b, size_t len,
		     sut_time now)
{
	struct peer *p = peer_at(c, from);
	uint8_t plain[BEGIN_LEN];
	int slot;

	if (!p) {
		count(c, CHANNEL_N_channel_stranger);
		return;
	}
	if (!is_known_form(b, len)) {
		count(c, CHANNEL_N_channel_malformed);
		return;
	}
	slot = slot_of(&c->cfg.keys, b + 4);
	if (slot < 0)
		forged(c, p, now);
	else if (b[3] == DATA)
		take_data(c, p, (unsigned)slot, from, b, len, now);
	else if (c->cfg.begins == (b[3] == BEGIN))
		count(c, CHANNEL_N_channel_unsolicited);
	else if (!open_sealed(&c->cfg.keys.slot[slot], b, len,
			      b[3] == BEGIN	? BEGIN_LEN
			      : b[3] == UNKNOWN ? UNKNOWN_LEN
						: CHALLENGE_LEN,
			      plain))
		forged(c, p, now);
	else if (b[3] == BEGIN)
		take_begin(c, p, (unsigned)slot, from, plain, now);
	else if (b[3] == CHALLENGE)
		take_challenge(c, p, (unsigned)slot, plain);
	else
		take_unknown(c, p, plain, now);
}

/* Sending. */

/* Where there is a session, what waits goes. */
static void flush_peer(struct channel *c, struct peer *p)
{
	if (p->len && p->session.up)
		send_data(c, p);
}

void channel_put(struct channel *c, unsigned peer, const char *text, size_t len, sut_time now)
{
	struct peer *p = &c->peer[peer];

	if (len == 0 || len > CHANNEL_LINE_MAX || memchr(text, '\n', len)) {
		count(c, CHANNEL_N_channel_unsent);
		return;
	}
	if (p->len + len + 1 > sizeof p->text)
		flush_peer(c, p);
	if (p->len + len + 1 > sizeof p->text || (!p->session.up && !c->cfg.begins)) {
		count(c, CHANNEL_N_channel_unsent);
		return;
	}
	memcpy(p->text + p->len, text, len);
	p->text[p->len + len] = '\n';
	p->len += len + 1;
	count(c, CHANNEL_N_channel_lines_out);
	if (!p->session.up)
		begin(c, p, now);
}

void channel_flush(struct channel *c, sut_time now)
{
	(void)now;
	for (unsigned i = 0; i < c->cfg.peers; i++)
		flush_peer(c, &c->peer[i]);
}

void channel_expire(struct channel *c, sut_time now)
{
	for (unsigned i = 0; i < c->cfg.peers && c->cfg.begins; i++) {
		struct peer *p = &c->peer[i];

		if (!is_used(c, i))
			continue;
		if (!p->beginning && !p->session.up)
			begin(c, p, now);
		else if (p->beginning && p->next <= now)
			send_begin(c, p, now);
	}
}

sut_time channel_deadline(const struct channel *c)
{
	sut_time t = SUT_NEVER;

	for (unsigned i = 0; i < c->cfg.peers && c->cfg.begins; i++) {
		const struct peer *p = &c->peer[i];

		if (!is_used(c, i))
			continue;
		if (!p->beginning && !p->session.up)
			return 0;
		if (p->beginning && p->next < t)
			t = p->next;
	}
	return t;
}

/* Life. */

struct channel *channel_open(const struct channel_config *cfg)
{
	struct channel *c = calloc(1, sizeof *c);

	if (!c || sodium_init() < 0) {
		free(c);
		return NULL;
	}
	c->cfg = *cfg;
	randombytes_buf(c->secret, sizeof c->secret);
	for (unsigned i = 0; i < cfg->peers; i++)
		c->peer[i].is = cfg->peer[i];
	return c;
}

void channel_close(struct channel *c)
{
	sodium_memzero(c, sizeof *c);
	free(c);
}

void channel_rekey(struct channel *c, const struct channel_keys *k, sut_time now)
{
	const struct channel_keys was = c->cfg.keys;

	c->cfg.keys = *k;
	for (unsigned i = 0; i < c->cfg.peers; i++) {
		struct peer *p = &c->peer[i];
		int slot = slot_of(k, was.slot[p->session.slot].id);

		if (p->session.up && slot < 0)
			p->session.up = false;
		else if (p->session.up)
			p->session.slot = (uint8_t)slot;
		p->beginning = false;
		if (is_used(c, i) && c->cfg.begins &&
		    (!p->session.up || p->session.slot != k->first))
			begin(c, p, now);
	}
}

static void set_peer(struct channel *c, unsigned i, const struct channel_peer *p)
{
	uint64_t sessions = c->peer[i].sessions +
			    1; /* challenges of the last peer are not this one's */

	sodium_memzero(&c->peer[i], sizeof c->peer[i]);
	c->peer[i].sessions = sessions;
	c->peer[i].is = *p;
	c->cfg.peer[i] = *p;
}

int channel_add(struct channel *c, const struct channel_peer *p)
{
	int at = channel_peer_index(c, p->name, strlen(p->name));
	unsigned i = 0;

	if (at >= 0) {
		const struct endpoint *is = &c->cfg.peer[at].at;

		if (memcmp(is->ip, p->at.ip, 16) != 0 || is->port != p->at.port)
			set_peer(c, (unsigned)at, p);
		return 0;
	}
	while (i < c->cfg.peers && is_used(c, i))
		i++;
	if (i == CHANNEL_PEERS)
		return -ENOSPC;
	if (i == c->cfg.peers)
		c->cfg.peers++;
	set_peer(c, i, p);
	return 0;
}

void channel_drop(struct channel *c, const char *name)
{
	static const struct channel_peer none;
	int i = channel_peer_index(c, name, strlen(name));

	if (i >= 0)
		set_peer(c, (unsigned)i, &none);
}

int channel_peer_index(const struct channel *c, const char *name, size_t len)
{
	for (unsigned i = 0; i < c->cfg.peers; i++)
		if (len && strlen(c->cfg.peer[i].name) == len &&
		    memcmp(c->cfg.peer[i].name, name, len) == 0)
			return (int)i;
	return -1;
}

const char *channel_peer_name(const struct channel *c, unsigned peer)
{
	return c->cfg.peer[peer].name;
}

bool channel_is_up(const struct channel *c, unsigned peer)
{
	return c->peer[peer].session.up;
}

uint64_t channel_count(const struct channel *c, enum channel_counter what)
{
	return c->count[what];
}
