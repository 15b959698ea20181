/* SPDX-License-Identifier: MIT */
#include "app/plane_bpf_inside.h"

/* Keys and origins in the maps of the kernel.  See plane_bpf.h. */
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <sys/socket.h>

#include "bpf/plane_cfg.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

/* Whose sockets are told about. */
static uint64_t netns_cookie(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t cookie = 0;
	socklen_t len = sizeof cookie;

	if (fd < 0)
		return 0;
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) < 0)
		cookie = 0;
	close(fd);
	return cookie;
}

static void config_fill(const struct plane_config *c, struct plane_cfg *ret_cfg)
{
	*ret_cfg = (struct plane_cfg){ .keys = c->keys,
				       .unsigned_too = c->unsigned_too,
				       .netns = netns_cookie() };
	memcpy(ret_cfg->key, c->key, sizeof ret_cfg->key);
}

static void origin_key(const struct way_origin *o, struct plane_addr *ret_a)
{
	*ret_a = (struct plane_addr){ .port = o->port };
	memcpy(ret_a->ip, o->ip, sizeof ret_a->ip);
}

static bool origin_wanted(const struct plane_config *c, const struct plane_addr *a)
{
	for (unsigned i = 0; i < WAY_ORIGINS; i++) {
		struct plane_addr b;

		origin_key(&c->origin[i], &b);
		if (c->origin[i].port != 0 && memcmp(a, &b, sizeof b) == 0)
			return true;
	}
	return false;
}

/* Takes away what is no origin any more; the next key is asked for before one goes. */
static void origins_prune(struct plane_bpf *pl, const struct plane_config *c)
{
	struct plane_addr at, next;
	bool more = bpf_map_get_next_key(pl->origin_of, NULL, &next) == 0;

	while (more) {
		at = next;
		more = bpf_map_get_next_key(pl->origin_of, &at, &next) == 0;
		if (!origin_wanted(c, &at))
			bpf_map_delete_elem(pl->origin_of, &at);
	}
}

static int origin_put(struct plane_bpf *pl, uint32_t index, const struct way_origin *o)
{
	const struct plane_origin_of of = { index, o->flags };
	struct plane_addr a;
	int r = bpf_map_update_elem(pl->origins, &index, o, BPF_ANY);

	origin_key(o, &a);
	return r < 0 || o->port == 0 ? r : bpf_map_update_elem(pl->origin_of, &a, &of, BPF_ANY);
}

int plane_bpf_configure(struct plane_bpf *pl, const struct plane_config *c)
{
	struct plane_cfg cfg;
	uint32_t zero = 0;
	int r = 0;

	config_fill(c, &cfg);
	origins_prune(pl, c);
	for (uint32_t i = 0; i < WAY_ORIGINS && r == 0; i++)
		r = origin_put(pl, i, &c->origin[i]);
	return r < 0 ? r : bpf_map_update_elem(pl->config, &zero, &cfg, BPF_ANY);
}
