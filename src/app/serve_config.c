/* SPDX-License-Identifier: MIT */
/* serve_config - what a run of serve is to serve, out of what was typed. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/option_value.h"
#include "app/serve.h"
#include "app/serve_service.h"
#include "base/compiler.h"

#define IP6_MTU 1280u /* RFC 8200, 5 */
#define BUFFER_MIN (2 * HTTP_HEAD_MAX)

struct complaint {
	char *s;
	size_t size;
};

static SUT_PRINTF(2, 3) int complain(const struct complaint *to, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(to->s, to->size, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* Addresses. */

static bool is_ip4(const uint8_t ip[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	return memcmp(ip, mapped, sizeof mapped) == 0;
}

/* Bits of 128 that name the network. */
static unsigned net_bits(const struct link_addr *a)
{
	return is_ip4(a->ip) ? a->prefix + 96u : a->prefix;
}

static bool in_net(const uint8_t a[16], const uint8_t b[16], unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	return memcmp(a, b, whole) == 0 &&
	       (rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0);
}

/* The first host of a's network: not the network's own address where there is room (RFC 3021). */
static void first_host(const struct link_addr *a, uint8_t ret_ip[16])
{
	unsigned bits = net_bits(a), first = bits < 127 ? 1 : 0;

	memcpy(ret_ip, a->ip, 16);
	for (unsigned i = bits; i < 128; i++)
		ret_ip[i / 8] &= (uint8_t) ~(0x80u >> i % 8);
	ret_ip[15] |= (uint8_t)first;
}

static int read_addr(struct serve_config *c, const char *text, const struct complaint *to)
{
	struct link_addr a, *host = &c->host[c->nets];
	struct stack_net *net = &c->net[c->nets];

	if (!strchr(text, '/') || link_addr_parse(text, &a) != 0)
		return complain(to, "addr: '%s' is no address with its network, as in 192.0.2.2/24",
				text);
	if (net_bits(&a) == 128)
		return complain(
			to, "addr: '%s': the network has no room for the host's own address", text);
	for (unsigned i = 0; i < c->nets; i++)
		if (memcmp(c->net[i].ip, a.ip, 16) == 0)
			return complain(to, "addr: '%s' is given twice", text);
	memcpy(net->ip, a.ip, 16);
	net->prefix = (uint8_t)net_bits(&a);
	first_host(&a, host->ip);
	host->prefix = a.prefix;
	c->nets++;
	return 0;
}

static int read_host(struct serve_config *c, const char *text, const struct complaint *to)
{
	struct link_addr a;
	bool found = false;

	if (strchr(text, '/') || link_addr_parse(text, &a) != 0)
		return complain(to, "host-addr: '%s' is no address, as in 192.0.2.1", text);
	for (unsigned i = 0; i < c->nets; i++) {
		if (memcmp(c->net[i].ip, a.ip, 16) == 0)
			return complain(to, "host-addr: '%s' is one of ours (--addr)", text);
		if (!in_net(c->net[i].ip, a.ip, c->net[i].prefix))
			continue;
		memcpy(c->host[i].ip, a.ip, 16);
		found = true;
	}
	return found ? 0 : complain(to, "host-addr: '%s' is in no network of --addr", text);
}

/* The host's address must be none of ours. */
static void share_hosts(struct serve_config *c)
{
	for (unsigned i = 0; i < c->nets; i++)
		for (unsigned j = 0; j < c->nets; j++)
			if (memcmp(c->host[i].ip, c->net[j].ip, 16) == 0) {
				c->host[i].ip[15]++;
				j = UINT32_MAX; /* from the first one on */
			}
}

/* Sizes that go with each other. */
static int check_sizes(const struct serve_config *c, const struct complaint *to)
{
	const struct serve_flags *f = &c->flags;

	for (unsigned i = 0; i < c->nets; i++)
		if (f->mtu && f->mtu < IP6_MTU && !is_ip4(c->net[i].ip))
			return complain(to, "mtu: IPv6 needs %u at least", IP6_MTU);
	if (f->buffer && f->buffer < BUFFER_MIN)
		return complain(to, "buffer: at least %u, or 0", BUFFER_MIN);
	return 0;
}

static int read_addrs(struct serve_config *c, const struct complaint *to)
{
	int err = 0;

	for (unsigned i = 0; i < c->flags.addrs && err == 0; i++)
		err = read_addr(c, c->flags.addr[i], to);
	if (err == 0)
		share_hosts(c);
	for (unsigned i = 0; i < c->flags.host_addrs && err == 0; i++)
		err = read_host(c, c->flags.host_addr[i], to);
	if (err == 0 && c->nets == 0)
		err = complain(to, "addr: no address is given");
	return err;
}

/* Ports. */

/* Words, of a port's own text and beside the flags. */
struct words {
	const char *const *word;
	unsigned n, at;
	const char *text; /* of the port that is read; "" at its end */
	bool own; /* it has a service of its own */
};

/* The next word, which ends at a blank or, where it is the last one of a text, with it; NULL: there is none. */
static const char *next_word(struct words *w, bool rest, size_t *ret_len)
{
	const char *s = w->text;

	if (!w->own) {
		if (w->at == w->n)
			return NULL;
		*ret_len = strlen(w->word[w->at]);
		return w->word[w->at++];
	}
	while (*s == ' ')
		s++;
	*ret_len = rest ? strlen(s) : strcspn(s, " ");
	w->text = s + *ret_len;
	return *ret_len ? s : NULL;
}

static void list_services(char *ret_s, size_t size)
{
	size_t n = 0;
	const struct service *s;

	for (unsigned i = 0; (s = service_at(i)) && n < size; i++)
		n += (size_t)snprintf(ret_s + n, size - n, "%s%s%s%s", i ? ", " : "", s->name,
				      s->arg ? " " : "", s->arg ? s->arg : "");
}

static int read_service(struct words *w, struct serve_listen *l, const struct complaint *to)
{
	const struct service *s;
	const char *name, *arg;
	char known[200];
	size_t len = 0, n;

	list_services(known, sizeof known);
	name = next_word(w, false, &len);
	if (!name)
		return complain(to, "port: %u has no service: expected %s", l->port, known);
	s = service_find(name, len);
	if (!s)
		return complain(to, "port: %u: '%.*s' is no service: expected %s", l->port,
				(int)len, name, known);
	l->service = s;
	if (s->arg) {
		arg = next_word(w, true, &n);
		if (!arg)
			return complain(to, "port: %u: %s needs %s", l->port, s->name, s->arg);
		l->arg = arg;
	}
	if (w->own && w->text[strspn(w->text, " ")])
		return complain(to, "port: %u: '%s' is too much", l->port, w->text);
	return 0;
}

static int read_port(struct serve_config *c, const char *text, struct words *w,
		     const struct complaint *to)
{
	struct serve_listen *l = &c->listen[c->listens];
	size_t len = strcspn(text, " ");
	uint64_t port;

	*l = (struct serve_listen){ 0 };
	if (value_number(text, len, &port) != 0 || port == 0 || port > 65535)
		return complain(to, "port: '%s' does not begin with a port, 1 to 65535", text);
	l->port = (uint16_t)port;
	for (unsigned i = 0; i < c->listens; i++)
		if (c->listen[i].port == l->port)
			return complain(to, "port: %u is given twice", l->port);
	w->text = text + len;
	w->own = text[len] != 0;
	if (read_service(w, l, to) != 0)
		return -EINVAL;
	c->listens++;
	return 0;
}

int serve_configure(struct serve_config *c, const char *const *word, unsigned words, char *ret_err,
		    size_t err_size)
{
	const struct complaint to = { ret_err, err_size };
	struct words w = { .word = word, .n = words };
	int err = 0;

	c->nets = c->listens = 0;
	if (!c->flags.tun)
		return complain(&to, "tun: no device is named");
	err = read_addrs(c, &to);
	if (err == 0)
		err = check_sizes(c, &to);
	for (unsigned i = 0; i < c->flags.ports && err == 0; i++)
		err = read_port(c, c->flags.port[i], &w, &to);
	if (err == 0 && w.at < w.n)
		err = complain(&to, "'%s' belongs to no --port", w.word[w.at]);
	if (err == 0 && c->listens == 0)
		err = complain(&to, "port: nothing is to be served");
	return err;
}
