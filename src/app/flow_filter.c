/* SPDX-License-Identifier: MIT */
#include "app/flow_filter.h"

#include <errno.h>
#include <string.h>

#include "app/endpoint.h"
#include "app/option_value.h"

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
		return endpoint_read_ip(text + 1, (size_t)(close - text) - 1, e->addr) == 0 &&
		       (e->has_port ? read_port(close + 2, &e->port) : !close[1]);
	}
	if (endpoint_read_ip(text, strlen(text), e->addr) == 0)
		return true;
	e->has_port = true;
	return colon && !memchr(text, ':', (size_t)(colon - text)) &&
	       endpoint_read_ip(text, (size_t)(colon - text), e->addr) == 0 &&
	       read_port(colon + 1, &e->port);
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
