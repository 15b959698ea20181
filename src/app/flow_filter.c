/* SPDX-License-Identifier: MIT */
#include "app/flow_filter.h"

#include <errno.h>
#include <string.h>

#include <arpa/inet.h>

#include "app/option_value.h"

static bool read_addr(const char *s, size_t len, uint8_t ret_addr[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, 0xff };
	char text[64];

	if (len == 0 || len >= sizeof text)
		return false;
	memcpy(text, s, len);
	text[len] = 0;
	memcpy(ret_addr, mapped, sizeof mapped);
	return inet_pton(AF_INET, text, ret_addr + 12) == 1 ||
	       inet_pton(AF_INET6, text, ret_addr) == 1;
}

static bool read_port(const char *s, uint16_t *ret_port)
{
	uint64_t v;

	if (value_number(s, strlen(s), &v) != 0 || v == 0 || v > 65535)
		return false;
	*ret_port = (uint16_t)v;
	return true;
}

static bool read_end(const char *text, struct flow_filter_end *e)
{
	const char *colon = strrchr(text, ':'), *close = strchr(text, ']');

	e->has_port = read_port(text, &e->port);
	if (e->has_port)
		return true;
	e->has_addr = true;
	if (text[0] == '[' && close) {
		e->has_port = close[1] == ':';
		return read_addr(text + 1, (size_t)(close - text) - 1, e->addr) &&
		       (e->has_port ? read_port(close + 2, &e->port) : !close[1]);
	}
	if (read_addr(text, strlen(text), e->addr))
		return true;
	e->has_port = true;
	return colon && !memchr(text, ':', (size_t)(colon - text)) &&
	       read_addr(text, (size_t)(colon - text), e->addr) && read_port(colon + 1, &e->port);
}

int flow_filter_add(struct flow_filter *f, const char *text)
{
	struct flow_filter_end e = { 0 };

	if (!read_end(text, &e))
		return -EINVAL;
	if (f->n == FLOW_FILTER_ENDS)
		return -ENOSPC;
	f->end[f->n++] = e;
	return 0;
}

static bool is_end(const struct flow_filter_end *e, const uint8_t addr[16], be16 port)
{
	return (!e->has_addr || memcmp(e->addr, addr, 16) == 0) &&
	       (!e->has_port || e->port == be16_get(port));
}

bool flow_filter_takes(const struct flow_filter *f, const struct flow_key *key)
{
	for (unsigned i = 0; i < f->n; i++)
		if (!is_end(&f->end[i], key->src, key->sport) &&
		    !is_end(&f->end[i], key->dst, key->dport))
			return false;
	return true;
}
