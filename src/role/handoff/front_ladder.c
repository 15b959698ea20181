/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "core/fields.h"
#include "role/handoff/front_inside.h"

/*
 * Theory of operation
 *
 * A back end has three rungs; each connection takes the best one that is possible for it.  Adopt and shift are each origin's own, since a host may listen
 * to one and not to another; of each back end they are looked at for the origins that routes give it.  They are possible where the back end's
 * agent says that its host can, and a probe has shown it: a hand-off of nothing from an address of our own, which ends with a reset as soon as the
 * agent says that it is there.  Probes are made anew when the agent tells of another boot (its ways are lost), when the back end's health comes back,
 * and, every RETRY, after a rung has failed.  Without an address of our own nothing can be probed: then what is announced by the channel is
 * taken at the agent's word, but no SYN with a header is sent to anybody.
 *
 * What agents tell of their hosts bounds what clients are told: windows never beyond what each back end takes in the beginning, options that each knows.
 */

#define HELLO_FIRST SUT_MS(1000)
#define HELLO_LATER SUT_MS(30000)
#define RETRY SUT_MS(10000)
#define RCVBUF_FIRST 29200u /* what a listener takes in the beginning, at the least of those seen */
#define RCVBUF_LEAST 2048u
#define MTU_TOLD_LEAST 576u /* whoever has less does not serve */
#define WSCALE 7
#define ROUNDING (2u << WSCALE) /* a scaled window's edge may lie so much further */

const char *rung_name(enum front_rung r)
{
	static const char *const names[] = { "adopt", "shift", "splice", "none" };

	return names[r];
}

int backend_named(const struct front *f, const char *name, size_t len)
{
	for (unsigned b = 0; b < f->cfg.backends; b++)
		if (f->backend[b].place == PLACE_USED && strlen(f->cfg.backend[b].name) == len &&
		    memcmp(f->cfg.backend[b].name, name, len) == 0)
			return (int)b;
	return -1;
}

static const uint8_t *own_of(const struct front *f, const uint8_t ip[16])
{
	const uint8_t *own = ip_family(ip) == 0 ? f->cfg.own_ip4 : f->cfg.own_ip6;

	return ip_is_zero(own) ? NULL : own;
}

/* How an origin's connections go to a back end: by which of its addresses. */
struct track {
	unsigned family, origin;
};

/* Do clients of this origin come by this address of b? */
static bool is_used(const struct front *f, uint32_t b, struct track t)
{
	return route_gives(&f->cfg.routes, t.origin, b) &&
	       (ip_family(f->cfg.origin[t.origin].ip) == t.family ||
		!backend_has(f, b, !t.family)); /* all of them, but for splices */
}

/* Can it be probed for this origin, by an address of ours? */
static bool can_probe(const struct front *f, uint32_t b, struct track t)
{
	const uint8_t *ip = f->cfg.origin[t.origin].ip;

	return is_used(f, b, t) && own_of(f, ip) != NULL &&
	       (ip_family(ip) == t.family || !backend_cfg(f, b)->far_host);
}

/*
 * The origin that this one is probed by: the first one of its port, of the family of the address if there is one, so that a host is not asked the same
 * twice (it has them all, or its agent does not serve it); -1: there is none that we can ask for.
 */
static int probe_origin(const struct front *f, uint32_t b, struct track t)
{
	int found = -1;

	for (unsigned i = 0; i < f->cfg.origins; i++) {
		const struct stack_addr *o = &f->cfg.origin[i];

		if (o->port != f->cfg.origin[t.origin].port ||
		    !can_probe(f, b, (struct track){ t.family, i }))
			continue;
		if (ip_family(o->ip) == t.family)
			return (int)i;
		if (found < 0)
			found = (int)i;
	}
	return found;
}

/* --- what is possible */

static uint8_t wanted_options(const struct front *f)
{
	(void)f;
	return WAY_OPT_TS | WAY_OPT_SACK | WAY_OPT_WSCALE;
}

/* Why the agent, or the lack of one, makes rung r impossible; NULL: it does not. */
static const char *agent_against(const struct front *f, uint32_t b, enum front_rung r)
{
	const struct backend *x = &f->backend[b];

	if (!backend_cfg(f, b)->has_agent)
		return "it has no agent";
	if (!x->has_host)
		return "its agent has not been heard";
	/* What overtakes its SYN would be reset by the host. */
	if (r == RUNG_SHIFT && f->cfg.header && !x->host.guard)
		return "its agent guards no origins: --header needs its --guard";
	if (r == RUNG_ADOPT ? x->host.adopt : x->host.shift)
		return NULL;
	return x->host.why[0] ? x->host.why : "its agent says that its host cannot";
}

/* All but the probe. */
static const char *against(const struct front *f, uint32_t b, unsigned family, enum front_rung r)
{
	if (!(backend_cfg(f, b)->rungs >> r & 1))
		return "the configuration does not let it";
	if (!f->backend[b].face[family].has_mac)
		return "its link address is not known";
	if (r == RUNG_SPLICE)
		return own_of(f, backend_cfg(f, b)->at[family].ip) != NULL
			       ? NULL
			       : "there is no address of our own to come from";
	return agent_against(f, b, r);
}

/* Why rung r cannot be taken; NULL: it can. */
static const char *why_not(const struct front *f, uint32_t b, struct track t, enum front_rung r)
{
	const uint8_t forced = f->backend[b].forced;
	const char *why = against(f, b, t.family, r);
	bool header = r == RUNG_SHIFT && f->cfg.header;
	const struct rung_state *s;
	int o;

	if (why != NULL)
		return why;
	if (forced != RUNG_NONE)
		return forced == r ? NULL : "another one is forced";
	if (r == RUNG_SPLICE)
		return NULL;
	o = probe_origin(f, b, t);
	if (o < 0)
		return header ? "there is no address of our own to probe it from" : NULL;
	s = &f->backend[b].face[t.family].rung[o][r];
	if (!s->probed)
		return s->why[0] ? s->why : "it is being probed";
	return s->ok ? NULL : s->why;
}

/* same: are its clients of that family? */
static enum front_rung best_rung(const struct front *f, uint32_t b, struct track t, bool same,
				 enum front_rung from)
{
	for (enum front_rung r = from; r < RUNG_NONE; r++) {
		if (!same && (r == RUNG_SPLICE || backend_cfg(f, b)->far_host))
			continue;
		if (why_not(f, b, t, r) == NULL)
			return r;
	}
	return RUNG_NONE;
}

enum front_rung ladder_rung(const struct front *f, uint32_t b, const struct hand *h,
			    enum front_rung from)
{
	const uint8_t *client = h->key[CLIENT].src;
	struct track t = { backend_family(f, b, client), h->origin };

	return best_rung(f, b, t, ip_family(client) == t.family, from);
}

/* Can it take this one? */
static bool takes_new(const struct front *f, uint32_t b, const struct hand *h)
{
	const struct backend *x = &f->backend[b];

	return x->place == PLACE_USED && x->face[backend_family(f, b, h->key[CLIENT].src)].up &&
	       !x->draining && ladder_rung(f, b, h, RUNG_ADOPT) != RUNG_NONE;
}

uint64_t ladder_alive(const struct front *f, const struct hand *h)
{
	uint64_t alive = 0;

	for (uint32_t b = 0; b < f->cfg.backends; b++)
		if (takes_new(f, b, h))
			alive |= UINT64_C(1) << b;
	return alive;
}

static bool is_here(const struct front *f, uint32_t b)
{
	return f->backend[b].place == PLACE_USED;
}

/* The rung that is taken, and why none better. */
static void put_rung(const struct front *f, uint32_t b, struct track t, struct fields_text *out)
{
	enum front_rung best = best_rung(f, b, t, true, RUNG_ADOPT);

	fields_put(out, "rung=%s", rung_name(best));
	for (enum front_rung i = RUNG_ADOPT; i < best; i++)
		fields_put(out, "%s %s: %s", i == RUNG_ADOPT ? "" : ";", rung_name(i),
			   why_not(f, b, t, i));
}

/* Is all of put_rung() the same? */
static bool same_rungs(const struct front *f, uint32_t b, struct track t, struct track u)
{
	enum front_rung best = best_rung(f, b, t, true, RUNG_ADOPT);
	bool same = best == best_rung(f, b, u, true, RUNG_ADOPT);

	for (enum front_rung i = RUNG_ADOPT; same && i < best; i++)
		same = strcmp(why_not(f, b, t, i), why_not(f, b, u, i)) == 0;
	return same;
}

static bool has_origin(const struct front *f, unsigned family)
{
	bool has = false;

	for (unsigned i = 0; i < f->cfg.origins; i++)
		has |= ip_family(f->cfg.origin[i].ip) == family;
	return has;
}

/* Those of the first origin, and of each one for which they are others. */
static void put_rungs(const struct front *f, uint32_t b, unsigned family, struct fields_text *out)
{
	struct track first = { family, FRONT_ORIGINS };

	for (unsigned i = 0; is_here(f, b) && i < f->cfg.origins; i++) {
		struct track t = { family, i };
		const struct stack_addr *at = &f->cfg.origin[i];

		if (!is_used(f, b, t))
			continue;
		if (first.origin == FRONT_ORIGINS) {
			first = t;
			put_rung(f, b, t, out);
		} else if (!same_rungs(f, b, first, t)) {
			fields_put(out, "; at ");
			fields_put_addr(out, at->ip, at->port);
			fields_put(out, " ");
			put_rung(f, b, t, out);
		}
	}
	if (first.origin == FRONT_ORIGINS)
		fields_put(out, "rung=none");
	if (first.origin == FRONT_ORIGINS && is_here(f, b))
		fields_put(out, " no client comes by it: no origin%s is of its family",
			   has_origin(f, family) ? " that the routes give it" : "");
}

size_t ladder_row(const struct front *f, uint32_t b, unsigned family, char *ret_s, size_t size)
{
	const struct front_backend *c = backend_cfg(f, b);
	const struct face *x = &f->backend[b].face[family];
	struct fields_text t = { .s = ret_s, .max = size };

	fields_put(&t, "%s ", c->name);
	fields_put_addr(&t, c->at[family].ip, c->at[family].port);
	fields_put(&t, " %s weight=%u conns=%u ",
		   !is_here(f, b)	    ? "removed"
		   : !x->up		    ? "down"
		   : f->backend[b].draining ? "draining"
					    : "up",
		   f->cfg.routes.weight[b], x->conns);
	put_rungs(f, b, family, &t);
	if (!is_here(f, b))
		return t.n;
	if (!x->up && x->down_why[0])
		fields_put(&t, " (%s)", x->down_why);
	return t.n;
}

/* --- probes */

static void set_why(struct rung_state *s, const char *why)
{
	(void)snprintf(s->why, sizeof s->why, "%s", why);
}

static void look_soon(struct front *f, uint32_t b)
{
	wheel_arm(f->wheel, f->cfg.max_conns + b, f->now);
}

static void probe_anew(struct front *f, uint32_t b, unsigned family)
{
	memset(f->backend[b].face[family].rung, 0, sizeof f->backend[b].face[family].rung);
	look_soon(f, b);
}

static struct rung_state *hand_rung(struct front *f, const struct hand *h)
{
	struct track t = { hand_family(f, h), h->origin };
	int o = probe_origin(f, h->backend, t);

	return &hand_face(f, h)->rung[o < 0 ? t.origin : (unsigned)o][h->rung];
}

static void set_failed(struct front *f, uint32_t b, struct rung_state *s, const char *why)
{
	s->probed = false;
	s->retry = f->now + SUT_MS(1000);
	set_why(s, why);
	wheel_arm(f->wheel, f->cfg.max_conns + b, s->retry);
}

void ladder_failed(struct front *f, const struct hand *h, const char *why)
{
	f->backend[h->backend].failures++;
	set_failed(f, h->backend, hand_rung(f, h), why);
}

void ladder_unanswered(struct front *f, const struct hand *h, const char *why)
{
	struct backend *x = &f->backend[h->backend];

	ladder_failed(f, h, why);
	for (unsigned family = 0; h->rung != RUNG_SPLICE && family < FRONT_FAMILIES; family++)
		for (unsigned i = 0; i < f->cfg.origins; i++)
			set_failed(f, h->backend, &x->face[family].rung[i][h->rung], why);
}

void ladder_probed(struct front *f, struct hand *h, bool ok, const char *why)
{
	struct rung_state *s = hand_rung(f, h);

	count_event(&f->env, ok ? EV_PROBES_WELL : EV_PROBES_FAILED);
	s->probed = true;
	s->ok = ok;
	s->retry = f->now + RETRY;
	set_why(s, why);
	hand_face(f, h)->probe = NONE;
	look_soon(f, h->backend);
}

/* The numbers of a connection that nobody has made. */
static void probe_numbers(struct front *f, struct hand *h, uint8_t options)
{
	uint64_t r = f->env.random(f->env.random_ctx), x = f->env.random(f->env.random_ctx);

	h->d = (struct stack_detached){
		.iss = (uint32_t)r,
		.snd_nxt = (uint32_t)r + 1,
		.irs = (uint32_t)(r >> 32),
		.rcv_nxt = (uint32_t)(r >> 32) + 1,
		.snd_wnd = 65535,
		.peer_mss = (uint16_t)(f->mtu - (h->lane.ip == 4 ? 40 : 60)),
		.snd_wscale = options & WAY_OPT_WSCALE ? WSCALE : 0,
		.rcv_wscale = options & WAY_OPT_WSCALE ? WSCALE : 0,
		.timestamps = options & WAY_OPT_TS,
		.sack = options & WAY_OPT_SACK,
		.wscale = options & WAY_OPT_WSCALE,
		.tsval = (uint32_t)x,
		.ts_recent = (uint32_t)(x >> 32),
	};
	memcpy(h->d.local.ip, h->key[CLIENT].dst, 16);
	memcpy(h->d.remote.ip, h->key[CLIENT].src, 16);
	h->d.local.port = net16(h->key[CLIENT].dport);
	h->d.remote.port = net16(h->key[CLIENT].sport);
	h->base = h->end = h->acked = h->d.rcv_nxt;
}

static void probe_lane(const struct face *x, struct hand *h)
{
	const struct way_key *k = &h->key[CLIENT];
	struct lane *l = &h->lane;

	*l = (struct lane){ .eth_len = 14, .ip = ip_family(k->src) == 0 ? 4 : 6, .ttl = 64 };
	memcpy(l->eth, x->mac, 6);
	memcpy(l->eth + 6, x->via, 6);
	store_be16(l->eth + 12, l->ip == 4 ? ETH_IP4 : ETH_IP6);
	memcpy(l->src, k->src, 16);
	memcpy(l->dst, k->dst, 16);
	l->sport = net16(k->sport);
	l->dport = net16(k->dport);
}

static void probe_begin(struct front *f, uint32_t b, struct track t, enum front_rung r)
{
	const struct stack_addr *at = &f->cfg.origin[t.origin];
	struct hand *h = hand_new(f);
	struct way_key k = { .dport = net16(at->port) }, back;
	enum side side;

	if (h == NULL)
		return;
	memcpy(k.src, own_of(f, at->ip), 16);
	memcpy(k.dst, at->ip, 16);
	k.sport =
		net16((uint16_t)(f->cfg.port_lo +
				 f->next_port++ % (uint32_t)(f->cfg.port_hi - f->cfg.port_lo + 1)));
	if (hand_find(f, &k, &side) != NULL) { /* next time with another port */
		hand_free(f, h);
		return;
	}
	hand_key_add(f, h, CLIENT, &k);
	key_reverse(&k, &back);
	hand_key_add(f, h, BACK, &back);
	way_claim(f, h);
	h->flags |= HF_PROBE;
	h->origin = (uint8_t)t.origin;
	probe_lane(&f->backend[b].face[t.family], h);
	probe_numbers(f, h, f->backend[b].host.options);
	f->backend[b].face[t.family].probe = hand_index(f, h);
	over_begin(f, h, b, r);
}

/* Is this rung to be probed, sooner or later? */
static bool is_probed(const struct front *f, uint32_t b, struct track t, enum front_rung r)
{
	const struct face *x = &f->backend[b].face[t.family];
	const struct rung_state *s = &x->rung[t.origin][r];

	return is_here(f, b) && backend_has(f, b, t.family) && x->up &&
	       against(f, b, t.family, r) == NULL && probe_origin(f, b, t) == (int)t.origin &&
	       !(s->probed && s->ok);
}

/* When one of its addresses has a probe that is due. */
static sut_time next_probe(const struct front *f, uint32_t b, unsigned family)
{
	sut_time at = SUT_NEVER;

	for (unsigned i = 0; i < f->cfg.origins * RUNG_SPLICE; i++) {
		struct track t = { family, i / RUNG_SPLICE };
		enum front_rung r = (enum front_rung)(i % RUNG_SPLICE);
		sut_time retry = f->backend[b].face[family].rung[t.origin][r].retry;

		if (is_probed(f, b, t, r) && retry < at)
			at = retry;
	}
	return at;
}

/* When b is to be looked at again. */
static sut_time next_look(const struct front *f, uint32_t b)
{
	const struct backend *x = &f->backend[b];
	sut_time at = backend_cfg(f, b)->has_agent
			      ? x->hello + (x->has_host ? HELLO_LATER : HELLO_FIRST)
			      : SUT_NEVER;

	for (unsigned family = 0; family < FRONT_FAMILIES; family++) {
		sut_time probe = next_probe(f, b, family);

		if (probe < at)
			at = probe;
	}
	return at;
}

/* One of its addresses, the next origin and rung that is due: one probe at a time. */
static void probe_next(struct front *f, uint32_t b, unsigned family)
{
	const struct face *x = &f->backend[b].face[family];

	for (unsigned i = 0; i < f->cfg.origins * RUNG_SPLICE && x->probe == NONE; i++) {
		struct track t = { family, i / RUNG_SPLICE };
		enum front_rung r = (enum front_rung)(i % RUNG_SPLICE);

		if (is_probed(f, b, t, r) && f->now >= x->rung[t.origin][r].retry)
			probe_begin(f, b, t, r);
	}
}

static bool is_probing(const struct backend *x)
{
	return x->face[0].probe != NONE || x->face[1].probe != NONE;
}

void ladder_expired(struct front *f, uint32_t b)
{
	struct backend *x = &f->backend[b];
	struct hand_msg hello = { .kind = HAND_HELLO };
	sut_time at;

	if (x->place == PLACE_FREE)
		return;
	if (x->place == PLACE_LEAVING) {
		renew_look(f, b);
		return;
	}
	if (backend_cfg(f, b)->has_agent &&
	    (!x->greeted || f->now - x->hello >= (x->has_host ? HELLO_LATER : HELLO_FIRST))) {
		x->hello = f->now;
		x->greeted = true;
		front_tell_agent(f, b, &hello);
	}
	for (unsigned family = 0; family < FRONT_FAMILIES; family++)
		probe_next(f, b, family);
	at = next_look(f, b);
	if (at <=
	    f->now) /* a probe is on its way, or there was no room for it: its end looks again */
		at = is_probing(x) ? SUT_NEVER : f->now + HELLO_FIRST;
	wheel_arm(f->wheel, f->cfg.max_conns + b, at);
}

/* --- what is told of them */

/* The lesser, of which told is 0 where nothing is told. */
static uint32_t narrower(uint32_t mtu, uint32_t told)
{
	if (told != 0 && told < MTU_TOLD_LEAST)
		told = MTU_TOLD_LEAST;
	return told != 0 && told < mtu ? told : mtu;
}

/* What the devices of all carry. */
static uint32_t narrowest(const struct front *f)
{
	uint32_t mtu = f->cfg.mtu < MTU_MADE ? f->cfg.mtu : MTU_MADE;

	for (uint32_t b = 0; b < f->cfg.backends; b++) {
		const struct backend *x = &f->backend[b];

		if (x->place != PLACE_USED)
			continue;
		if (x->has_host)
			mtu = narrower(mtu, x->host.mtu);
		for (unsigned family = 0; family < FRONT_FAMILIES; family++)
			mtu = narrower(mtu, x->face[family].mtu);
	}
	return mtu;
}

/* No client is told of more than every back end has. */
static void limits(struct front *f)
{
	uint8_t options = wanted_options(f);
	uint32_t rcvwnd = RCVBUF_FIRST;
	bool first = true;

	for (uint32_t b = 0; b < f->cfg.backends; b++) {
		const struct backend *x = &f->backend[b];

		if (x->place != PLACE_USED || !x->has_host)
			continue;
		options &= x->host.options;
		if (x->host.rcvwnd < rcvwnd || first)
			rcvwnd = x->host.rcvwnd < 65535 ? x->host.rcvwnd : 65535;
		first = false;
	}
	f->mtu = narrowest(f);
	f->rcvbuf = rcvwnd > RCVBUF_LEAST + ROUNDING ? rcvwnd - ROUNDING : RCVBUF_LEAST;
	for (unsigned i = 0; i < f->cfg.origins; i++)
		(void)stack_listen_limits(f->stack, f->listener[i], f->rcvbuf, WSCALE);
	stack_offer(f->stack, options & WAY_OPT_TS, options & WAY_OPT_SACK,
		    options & WAY_OPT_WSCALE);
	(void)stack_offer_mtu(f->stack, f->mtu);
}

void ladder_limits(struct front *f)
{
	limits(f);
}

void ladder_host(struct front *f, uint32_t b, const struct hand_msg *m)
{
	struct backend *x = &f->backend[b];
	bool anew = !x->has_host || x->host.boot != m->boot || x->host.adopt != m->adopt ||
		    x->host.shift != m->shift;

	x->host = *m;
	x->has_host = true;
	limits(f);
	for (unsigned family = 0; anew && family < FRONT_FAMILIES; family++)
		probe_anew(f, b, family);
}

void ladder_new(struct front *f, uint32_t b)
{
	f->backend[b] = (struct backend){ .place = PLACE_USED, .forced = RUNG_NONE };
	for (unsigned i = 0; i < FRONT_FAMILIES; i++)
		f->backend[b].face[i] = (struct face){ .up = true, .probe = NONE };
}

void ladder_init(struct front *f)
{
	for (uint32_t b = 0; b < f->cfg.backends; b++) {
		ladder_new(f, b);
		wheel_arm(f->wheel, f->cfg.max_conns + b, 0);
	}
	limits(f);
}

/* --- the world */

struct told_mac {
	uint8_t mac[6], via[6];
	uint32_t ifindex;
};

static const struct field mac_fields[] = {
	{ "mac", FIELD_MAC, offsetof(struct told_mac, mac), 0, NULL, 0, 0 },
	{ "via", FIELD_MAC, offsetof(struct told_mac, via), 0, NULL, 0, 0 },
	{ "if", FIELD_U32, offsetof(struct told_mac, ifindex), 0, NULL, 0, 0 },
};

/* What a line of the world is about: a back end, and which of its addresses. */
struct meant {
	uint32_t backend;
	unsigned family;
};

static void set_health(struct front *f, struct meant at, bool up, const char *why, size_t len)
{
	struct face *x = &f->backend[at.backend].face[at.family];

	if (len >= sizeof x->down_why)
		len = sizeof x->down_why - 1;
	memcpy(x->down_why, why, len);
	x->down_why[len] = 0;
	if (up && !x->up) {
		x->up = true;
		probe_anew(f, at.backend, at.family);
	}
	x->up = up;
}

/* "MAC via MAC [if N]" as "mac=MAC via=MAC [if=N]": the words behind "mac". */
static bool read_mac(struct words *w, struct told_mac *ret_t)
{
	char text[96];
	size_t n = 0;
	struct word x;
	struct words again;
	uint64_t which = 7;
	bool value = true;

	n = (size_t)snprintf(text, sizeof text, "mac=");
	while (words_next(w, &x)) {
		if (n + x.n + 2 > sizeof text)
			return false;
		memcpy(text + n, x.s, x.n);
		n += x.n;
		text[n++] = value ? ' ' : '=';
		value = !value;
	}
	if (w->bad || value)
		return false;
	again = words_of(text, n - 1);
	return fields_read(&again, mac_fields, 3, ret_t, &which) && (which & 3) == 3;
}

/* It is reached in another way: so is what it has. */
static void lay_anew(struct front *f, struct meant at)
{
	for (uint32_t i = 0; i < f->fresh; i++) {
		struct hand *h = &f->hand[i];

		if (h->id != 0 && h->backend == at.backend && (h->flags & HF_LAID) &&
		    hand_family(f, h) == at.family)
			way_moved(f, h);
	}
}

static void set_mac(struct front *f, struct meant at, const struct told_mac *t)
{
	struct face *x = &f->backend[at.backend].face[at.family];
	bool first = !x->has_mac;
	bool moved = memcmp(x->mac, t->mac, 6) != 0 || memcmp(x->via, t->via, 6) != 0 ||
		     x->ifindex != t->ifindex;

	memcpy(x->mac, t->mac, 6);
	memcpy(x->via, t->via, 6);
	x->ifindex = t->ifindex;
	x->has_mac = true;
	memcpy(f->own_mac, t->via, 6);
	f->has_own_mac = true;
	if (first)
		probe_anew(f, at.backend, at.family);
	else if (moved)
		lay_anew(f, at);
}

/* "up", "down WHY", "mac MAC via MAC [if N]" behind the name and the address: of one address. */
static bool take_news(struct front *f, struct meant at, const struct words *rest)
{
	struct words w = *rest;
	struct told_mac t = { .ifindex = 0 };
	struct word x = { NULL, 0 };

	if (!words_next(&w, &x))
		return false;
	if (word_is(&x, "up") || word_is(&x, "down")) {
		const char *why = x.s + x.n;

		while (why < w.end && *why == ' ')
			why++;
		set_health(f, at, x.n == 2, why, (size_t)(w.end - why));
		return true;
	}
	if (!word_is(&x, "mac") || !read_mac(&w, &t))
		return false;
	set_mac(f, at, &t);
	return true;
}

/* Does news of this name, and of this address if one is named, mean that address of b? */
static bool is_meant(const struct front *f, uint32_t b, unsigned family, const struct word *name,
		     const struct stack_addr *at)
{
	const struct front_backend *c = backend_cfg(f, b);
	const struct stack_addr *is = &c->at[family];

	if (f->backend[b].place == PLACE_FREE || is->port == 0 || !word_is(name, c->name))
		return false;
	if (at == NULL)
		return f->backend[b].place == PLACE_USED;
	return is->port == at->port && memcmp(is->ip, at->ip, 16) == 0;
}

/* "NAME [ADDR:PORT] ..."; what is leaving is looked after too. */
static bool backend_news(struct front *f, struct words *w)
{
	struct word name = { NULL, 0 }, x = { NULL, 0 };
	struct stack_addr at;
	struct words rest;
	bool named, taken = false;

	if (!words_next(w, &name))
		return false;
	rest = *w;
	if (!words_next(w, &x))
		return false;
	named = word_addr(&x, at.ip, &at.port);
	if (named)
		rest = *w;
	for (uint32_t b = 0; b < f->cfg.backends; b++)
		for (unsigned i = 0; i < FRONT_FAMILIES; i++)
			if (is_meant(f, b, i, &name, named ? &at : NULL))
				taken |= take_news(f, (struct meant){ b, i }, &rest);
	return taken;
}

/* "backend NAME ...", "client if N" */
static bool world_line(struct front *f, const char *text, size_t len)
{
	struct words w = words_of(text, len);
	struct word x = { NULL, 0 };
	uint64_t n;

	if (!words_next(&w, &x))
		return false;
	if (word_is(&x, "backend"))
		return backend_news(f, &w);
	if (!word_is(&x, "client") || !words_next(&w, &x) || !word_is(&x, "if") ||
	    !words_next(&w, &x) || !word_number(&x, UINT32_MAX, &n))
		return false;
	f->client_ifindex = (uint32_t)n;
	return true;
}

void ladder_world(struct front *f, const struct packet *p)
{
	if (!world_line(f, (const char *)p->head, p->head_len))
		count_drop(&f->env, R_MSG_UNKNOWN);
}
