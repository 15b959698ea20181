/* SPDX-License-Identifier: MIT */
#include "front_setup.h"

#include <stdio.h>
#include <string.h>

#include "core/fields.h"

const char *const front_ways[] = { "sd", "ds", "sd", "sd", "sd", "sd" };

#define AT(member) offsetof(struct front_setup, cfg.member)
const struct setting front_settings[] = {
	{ "max-conns", SET_U32, AT(max_conns), 0, NULL },
	{ "head-max", SET_U32, AT(head_max), 0, NULL },
	{ "mtu", SET_U32, AT(mtu), 0, NULL },
	{ "head-timeout", SET_TIME, AT(head_timeout), 0, NULL },
	{ "idle-timeout", SET_TIME, AT(idle_timeout), 0, NULL },
	{ "linger", SET_TIME, AT(linger), 0, NULL },
	{ "confirm-timeout", SET_TIME, AT(confirm_timeout), 0, NULL },
	{ "settle-after", SET_U32, AT(settle_after), 0, NULL },
	{ "bad-close", SET_BOOL, AT(bad_close), 0, NULL },
	{ "header", SET_BOOL, AT(header), 0, NULL },
	{ NULL, SET_U32, 0, 0, NULL },
};
#undef AT

void front_setup_defaults(void *config)
{
	struct front_setup *s = config;

	*s = (struct front_setup){ 0 };
	s->cfg.max_conns = 64;
	s->cfg.head_max = 16384;
	s->cfg.mtu = 1500;
	s->cfg.port_lo = 20000;
	s->cfg.port_hi = 20999;
	s->cfg.head_timeout = SUT_MS(10000);
	s->cfg.idle_timeout = SUT_MS(3600000);
	s->cfg.linger = SUT_MS(60000);
	s->cfg.confirm_timeout = SUT_MS(1000);
	memcpy(s->cfg.key[0], "0123456789abcdef", 16);
}

static bool is_v4(const uint8_t ip[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	return memcmp(ip, mapped, 12) == 0;
}

static bool set_own(struct front_config *c, const struct word *w)
{
	uint8_t ip[16];

	if (!word_ip(w, ip))
		return false;
	memcpy(is_v4(ip) ? c->own_ip4 : c->own_ip6, ip, 16);
	return true;
}

/* ADDR:PORT[,ADDR:PORT] */
static bool set_addresses(struct front_backend *b, struct word w)
{
	while (w.n != 0) {
		const char *comma = memchr(w.s, ',', w.n);
		size_t n = comma != NULL ? (size_t)(comma - w.s) : w.n;
		struct word one = { w.s, n };
		struct stack_addr at;

		if (!word_addr(&one, at.ip, &at.port))
			return false;
		b->at[!is_v4(at.ip)] = at;
		n += comma != NULL;
		w = (struct word){ w.s + n, w.n - n };
	}
	return true;
}

/* "weight=N", "agent=ADDR:PORT" */
static bool set_value(struct front_setup *s, const struct word *w)
{
	struct front_backend *b = &s->cfg.backend[s->cfg.backends];
	struct word value = { w->s + 7, w->n - 7 };
	uint64_t weight;

	if (w->n > 7 && memcmp(w->s, "weight=", 7) == 0 &&
	    word_number(&value, ROUTE_WEIGHT_MAX, &weight)) {
		s->weight[s->cfg.backends] = (uint32_t)weight;
		return true;
	}
	value = (struct word){ w->s + 6, w->n - 6 };
	if (w->n <= 6 || memcmp(w->s, "agent=", 6) != 0 ||
	    !word_addr(&value, b->agent.ip, &b->agent.port))
		return false;
	b->has_agent = true;
	return true;
}

static bool set_backend(struct front_setup *s, struct words *w, const struct word *first)
{
	struct front_config *c = &s->cfg;
	static const char *const words[] = { "adopt", "shift", "splice", "agent", "far" };
	struct front_backend *b = &c->backend[c->backends];
	const char *equal = memchr(first->s, '=', first->n);
	struct word x;

	if (equal == NULL || c->backends == ROUTE_BACKENDS)
		return false;
	*b = (struct front_backend){ 0 };
	memcpy(b->name, first->s, (size_t)(equal - first->s));
	x = (struct word){ equal + 1, first->n - (size_t)(equal + 1 - first->s) };
	if (!set_addresses(b, x))
		return false;
	while (words_next(w, &x)) {
		int i = word_among(&x, words, 5);

		if (i < 0 && !set_value(s, &x))
			return false;
		if (i >= 0 && i < 3)
			b->rungs |= (uint8_t)(1 << i);
		b->has_agent |= i == 3;
		b->far_host |= i == 4;
	}
	if (b->rungs == 0)
		b->rungs = 7;
	c->backends++;
	return !w->bad;
}

bool front_setup_line(void *config, const char *key, const char *text)
{
	struct front_setup *s = config;
	struct words w = words_of(text, strlen(text));
	struct word first = { NULL, 0 };

	if (strcmp(key, "route") == 0 && s->routes < 16) {
		(void)snprintf(s->route[s->routes++], sizeof s->route[0], "%s", text);
		return true;
	}
	if (!words_next(&w, &first))
		return false;
	if (strcmp(key, "own") == 0)
		return set_own(&s->cfg, &first);
	if (strcmp(key, "backend") == 0)
		return set_backend(s, &w, &first);
	if (strcmp(key, "origin") != 0 || s->cfg.origins == FRONT_ORIGINS)
		return false;
	return word_addr(&first, s->cfg.origin[s->cfg.origins].ip,
			 &s->cfg.origin[s->cfg.origins].port) &&
	       ++s->cfg.origins > 0;
}

void front_setup_anew(void *config)
{
	struct front_setup *s = config;

	s->cfg.backends = s->routes = 0;
	memset(&s->cfg.routes, 0, sizeof s->cfg.routes);
	memset(s->weight, 0, sizeof s->weight);
}

/* All is said: the routes follow from the back ends. */
void front_setup_flows(void *config, const struct conn *flow, unsigned n)
{
	struct front_setup *s = config;
	const char *names[ROUTE_BACKENDS];
	char all[ROUTE_BACKENDS * 33 + 16] = "default ", err[128];

	(void)flow;
	(void)n;
	if (s->cfg.origins == 0)
		(void)front_setup_line(s, "origin", "198.51.100.1:80");
	for (unsigned i = 0; i < s->cfg.backends; i++) {
		names[i] = s->cfg.backend[i].name;
		(void)snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i ? "," : "",
			       names[i]);
	}
	route_backends(&s->cfg.routes, names, s->cfg.backends);
	route_origins(&s->cfg.routes, s->cfg.origin, s->cfg.origins);
	for (unsigned i = 0; i < s->cfg.backends; i++)
		s->cfg.routes.weight[i] = s->weight[i] ? s->weight[i] : 1;
	for (unsigned i = 0; i < s->routes; i++)
		if (route_rule_read(&s->cfg.routes, s->route[i], names, s->cfg.backends, err) != 0)
			s->cfg.backends = 0; /* need() says no */
	if (s->routes == 0)
		(void)route_rule_read(&s->cfg.routes, all, names, s->cfg.backends, err);
}

const char *front_setup_error(const void *config)
{
	const struct front_setup *s = config;

	return s->cfg.error != NULL ? s->cfg.error : "?";
}
