/* SPDX-License-Identifier: MIT */
/* serve_config - what a run of serve is to serve, out of what was typed. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <net/if.h>

#include "app/config.h"
#include "app/option_value.h"
#include "app/serve.h"
#include "app/serve_service.h"
#include "base/compiler.h"
#include "proto/ip.h"

#define IP6_MTU 1280u /* RFC 8200, 5 */

/* Where a complaint goes, and what it is of. */
struct complaint {
	char *s;
	size_t size;
	const struct config_file *file;
};

/* text: the value that is wrong, as it stands in the flags; the file that it came from is named, or else the option. */
static SUT_PRINTF(4, 5) int complain(const struct complaint *to, const char *option,
				     const char *text, const char *fmt, ...)
{
	size_t n = config_where(to->file, text, to->s, to->size);
	va_list ap;

	n += (size_t)snprintf(to->s + n, to->size - n, n ? "%s: " : "--%s: ", option);
	va_start(ap, fmt);
	if (n < to->size)
		vsnprintf(to->s + n, to->size - n, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* Addresses. */

/* Bits of 128 that name the network. */
static unsigned net_bits(const struct link_addr *a)
{
	return ip_is_mapped(a->ip) ? a->prefix + 96u : a->prefix;
}

/* The network's own address, with the bits behind it all zero; or all one. */
static void fill_host_bits(const uint8_t ip[16], unsigned bits, bool ones, uint8_t ret_ip[16])
{
	memcpy(ret_ip, ip, 16);
	for (unsigned i = bits; i < 128; i++) {
		const uint8_t bit = (uint8_t)(0x80u >> i % 8);

		ret_ip[i / 8] = (uint8_t)(ones ? ret_ip[i / 8] | bit : ret_ip[i / 8] & ~bit);
	}
}

/* What an address cannot be for a host: NULL, or the reason.  A network of two addresses has no others (RFC 3021, RFC 6164). */
static const char *no_host(const uint8_t ip[16], unsigned bits)
{
	uint8_t net[16], all[16];

	fill_host_bits(ip, bits, false, net);
	fill_host_bits(ip, bits, true, all);
	if (bits < 127 && memcmp(ip, net, 16) == 0)
		return "this is the address of the network itself";
	if (bits < 127 && ip_is_mapped(ip) && memcmp(ip, all, 16) == 0)
		return "this is the network's broadcast address";
	return NULL;
}

/* Addresses that no device but a loopback has, or that are those of groups. */
static const char *no_address(const uint8_t ip[16])
{
	static const uint8_t loopback[16] = { [15] = 1 };

	if (ip_is_mapped(ip) && ip[12] == 127)
		return "the kernel keeps 127.0.0.0/8 to itself: take another network, as in "
		       "192.0.2.2/24";
	if (memcmp(ip, loopback, 16) == 0)
		return "the kernel keeps ::1 to itself";
	if (ip_is_mapped(ip) && ip[12] == 0)
		return "0.0.0.0/8 are no addresses of hosts";
	if ((ip_is_mapped(ip) && ip[12] >= 224) || ip[0] == 0xff)
		return "this is no address of a single host";
	return NULL;
}

static const char *wrong_addr(const uint8_t ip[16], unsigned bits)
{
	const char *why = no_address(ip);

	return why ? why : no_host(ip, bits);
}

static bool is_ours(const struct serve_config *c, const uint8_t ip[16])
{
	for (unsigned i = 0; i < c->nets; i++)
		if (memcmp(c->net[i].ip, ip, 16) == 0)
			return true;
	return false;
}

static int read_addr(struct serve_config *c, const char *text, const struct complaint *to)
{
	struct stack_net *net = &c->net[c->nets];
	struct link_addr a;
	const char *why;

	if (!strchr(text, '/') || link_addr_parse(text, &a) != 0)
		return complain(to, "addr", text,
				"'%s' is no address with its network, as in 192.0.2.2/24", text);
	if (net_bits(&a) == 128)
		return complain(to, "addr", text,
				"'%s': the network has no room for the host's own address", text);
	why = wrong_addr(a.ip, net_bits(&a));
	if (why)
		return complain(to, "addr", text, "'%s': %s", text, why);
	if (is_ours(c, a.ip))
		return complain(to, "addr", text, "'%s' is given twice", text);
	memcpy(net->ip, a.ip, 16);
	net->prefix = (uint8_t)net_bits(&a);
	c->host[c->nets] = (struct link_addr){ .prefix = a.prefix };
	c->nets++;
	return 0;
}

static int read_host(struct serve_config *c, const char *text, const struct complaint *to)
{
	struct link_addr a;
	bool found = false;

	if (strchr(text, '/') || link_addr_parse(text, &a) != 0)
		return complain(to, "host-addr", text, "'%s' is no address, as in 192.0.2.1", text);
	if (is_ours(c, a.ip))
		return complain(to, "host-addr", text, "'%s' is one of ours (--addr)", text);
	for (unsigned i = 0; i < c->nets; i++) {
		const char *why = no_host(a.ip, c->net[i].prefix);

		if (!ip_same_net(c->net[i].ip, a.ip, c->net[i].prefix))
			continue;
		if (why)
			return complain(to, "host-addr", text, "'%s': %s", text, why);
		memcpy(c->host[i].ip, a.ip, 16);
		found = true;
	}
	return found ? 0 : complain(to, "host-addr", text, "'%s' is in no network of --addr", text);
}

static bool has_host(const struct serve_config *c, unsigned i)
{
	return !ip_is_zero(c->host[i].ip);
}

/* The host's address in network i, where none is given: the first one that can be a host's and is none of ours. */
static int choose_host(struct serve_config *c, unsigned i, const struct complaint *to)
{
	const unsigned bits = c->net[i].prefix;
	uint8_t ip[16];

	fill_host_bits(c->net[i].ip, bits, false, ip);
	for (unsigned n = 0; n <= SERVE_ADDRS + 1 && ip_same_net(c->net[i].ip, ip, bits); n++) {
		if (!no_host(ip, bits) && !is_ours(c, ip)) {
			memcpy(c->host[i].ip, ip, 16);
			return 0;
		}
		ip[15]++;
	}
	return complain(to, "addr", c->flags.addr[i],
			"'%s': the network has no room for the host's own address",
			c->flags.addr[i]);
}

/* Sizes that go with each other. */
static int check_sizes(const struct serve_config *c, const struct complaint *to)
{
	const struct serve_flags *f = &c->flags;

	for (unsigned i = 0; i < c->nets; i++)
		if (f->mtu && f->mtu < IP6_MTU && !ip_is_mapped(c->net[i].ip))
			return complain(to, "mtu", f->addr[i], "IPv6 (%s) needs %u at least",
					f->addr[i], IP6_MTU);
	return 0;
}

static int read_addrs(struct serve_config *c, const struct complaint *to)
{
	int err = 0;

	for (unsigned i = 0; i < c->flags.addrs && err == 0; i++)
		err = read_addr(c, c->flags.addr[i], to);
	for (unsigned i = 0; i < c->flags.host_addrs && err == 0; i++)
		err = read_host(c, c->flags.host_addr[i], to);
	for (unsigned i = 0; i < c->nets && err == 0; i++)
		if (!has_host(c, i))
			err = choose_host(c, i, to);
	if (err == 0 && c->nets == 0)
		err = complain(to, "addr", NULL, "no address is given");
	return err;
}

/* Ports. */

/* Words, of a port's own text and beside the flags. */
struct words {
	const struct serve_words *beside;
	unsigned at;
	const char *text; /* of the port that is read; "" at its end */
	bool own; /* it has a service of its own */
};

/* The next word, which ends at a blank or, where it is the last one of a text, with it; NULL: there is none. */
static const char *next_word(struct words *w, bool rest, size_t *ret_len)
{
	const char *s = w->text;

	if (!w->own) {
		if (w->at == w->beside->n)
			return NULL;
		*ret_len = strlen(w->beside->word[w->at]);
		return w->beside->word[w->at++];
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

/* The service of l, out of text or the next words. */
static int read_service(struct words *w, const char *text, struct serve_listen *l,
			const struct complaint *to)
{
	const struct service *s;
	char known[200], why[400];
	size_t len = 0, n;
	const char *name;

	list_services(known, sizeof known);
	name = next_word(w, false, &len);
	if (!name)
		return complain(to, "port", text, "%u has no service: expected %s", l->port, known);
	s = service_find(name, len);
	if (!s)
		return complain(to, "port", text, "%u: '%.*s' is no service: expected %s", l->port,
				(int)len, name, known);
	l->service = s;
	l->arg = s->arg ? next_word(w, true, &n) : NULL;
	if (s->arg && !l->arg)
		return complain(to, "port", text, "%u: %s needs %s", l->port, s->name, s->arg);
	if (w->own && w->text[strspn(w->text, " ")])
		return complain(to, "port", text, "%u: %s takes nothing behind it: '%s'", l->port,
				s->name, w->text + strspn(w->text, " "));
	if (s->check && s->check(l->arg, why, sizeof why) != 0)
		return complain(to, "port", text, "%u: %s: %s", l->port, s->name, why);
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
		return complain(to, "port", text, "'%s' does not begin with a port, 1 to 65535",
				text);
	l->port = (uint16_t)port;
	for (unsigned i = 0; i < c->listens; i++)
		if (c->listen[i].port == l->port)
			return complain(to, "port", text, "%u is given twice", l->port);
	w->text = text + len;
	w->own = text[len] != 0;
	if (read_service(w, text, l, to) != 0)
		return -EINVAL;
	c->listens++;
	return 0;
}

/* Words that no port has taken: most likely they stand behind the one that takes none. */
static int check_rest(const struct serve_config *c, const struct words *w,
		      const struct complaint *to)
{
	const struct serve_listen *l = c->listens ? &c->listen[c->listens - 1] : NULL;
	const struct service *s = l ? l->service : NULL;

	if (w->at == c->words.n)
		return 0;
	if (!s)
		return complain(to, "port", NULL, "none is given for '%s'", c->words.word[w->at]);
	return complain(
		to, "port", NULL,
		"'%s' belongs to no port: %s takes %s%s; each --port PORT has its own SERVICE",
		c->words.word[w->at], s->name, s->arg ? "nothing but " : "nothing",
		s->arg ? s->arg : "");
}

static int read_ports(struct serve_config *c, const struct complaint *to)
{
	struct words w = { .beside = &c->words };
	int err = 0;

	for (unsigned i = 0; i < c->flags.ports && err == 0; i++)
		err = read_port(c, c->flags.port[i], &w, to);
	if (err == 0)
		err = check_rest(c, &w, to);
	if (err == 0 && c->listens == 0)
		err = complain(to, "port", NULL, "nothing is to be served");
	return err;
}

int serve_configure(struct serve_config *c, char *ret_err, size_t err_size)
{
	const struct complaint to = { ret_err, err_size, c->file };
	const char *tun = c->flags.tun;
	int err;

	c->nets = c->listens = 0;
	if (!tun)
		return complain(&to, "tun", NULL, "no device is named");
	if (!*tun || strlen(tun) >= IFNAMSIZ || strpbrk(tun, "/: \t") || strcmp(tun, ".") == 0 ||
	    strcmp(tun, "..") == 0)
		return complain(&to, "tun", tun,
				"'%s' is no name of a device: 1 to %d characters, no '/', ':' or "
				"blank",
				tun, IFNAMSIZ - 1);
	err = read_addrs(c, &to);
	if (err == 0)
		err = check_sizes(c, &to);
	return err ? err : read_ports(c, &to);
}
