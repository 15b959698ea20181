/* SPDX-License-Identifier: MIT */
#include "app/runner.h"

#include <errno.h>
#include <string.h>

#include <sys/mman.h>

int runner_lay_out(struct runner *r, const void *config, struct runner_block *ret_b)
{
	size_t need = r->ops->need(config);
	void *block;

	if (need == 0)
		return -EINVAL;
	block = mmap(NULL, need, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (block == MAP_FAILED)
		return -errno;
	/* A random record or bucket then costs one miss, and not one of the page tables as well. */
	(void)madvise(block, need, MADV_HUGEPAGE);
	*ret_b = (struct runner_block){ r->ops->init(block, config, &r->env), block, need };
	return 0;
}

void runner_free(struct runner_block *b)
{
	munmap(b->block, b->bytes);
}

void runner_swap(struct runner *r, struct runner_block *b)
{
	const struct runner_block was = { r->role, r->block, r->block_bytes };

	r->role = b->role;
	r->block = b->block;
	r->block_bytes = b->bytes;
	*b = was;
}

int runner_open(struct runner *r, const struct role_ops *ops, const void *config,
		const struct role_env *env)
{
	struct runner_block b = { 0 };
	int err;

	memset(&r->counters, 0, sizeof r->counters);
	outbox_clear(&r->out);
	r->ops = ops;
	r->env = *env;
	r->env.counters = &r->counters;
	err = runner_lay_out(r, config, &b);
	if (err)
		return err;
	r->role = b.role;
	r->block = b.block;
	r->block_bytes = b.bytes;
	return 0;
}

void runner_close(struct runner *r)
{
	munmap(r->block, r->block_bytes);
}

void runner_input(struct runner *r, unsigned port, struct packet **pkts, unsigned n, sut_time now)
{
	const struct burst in = {
		.pkts = pkts,
		.n = (uint16_t)n,
		.port = (uint16_t)port,
		.now = now,
	};

	for (unsigned i = 0; i < n && r->ops->ports[port].kind == PORT_FRAMES; i++) {
		r->counters.event[EV_PKTS_IN]++;
		r->counters.event[EV_BYTES_IN] += packet_len(pkts[i]);
	}
	r->ops->input(r->role, &in, &r->out);
}

void runner_expire(struct runner *r, sut_time now)
{
	r->ops->expire(r->role, now, &r->out);
}

bool runner_may_send(struct runner *r, unsigned port)
{
	if (port < ROLE_PORTS_MAX && (r->env.ports >> port & 1))
		return true;
	r->counters.dropped[R_NOT_JOINED]++;
	return false;
}

unsigned role_port_count(const struct role_ops *ops)
{
	unsigned n = 0;

	while (ops->ports[n].name)
		n++;
	return n;
}

int role_port_index(const struct role_ops *ops, const char *name, size_t len)
{
	for (int i = 0; ops->ports[i].name; i++)
		if (strlen(ops->ports[i].name) == len && memcmp(ops->ports[i].name, name, len) == 0)
			return i;
	return -1;
}

int role_control_port(const struct role_ops *ops)
{
	int port = role_port_index(ops, "control", strlen("control"));

	return port >= 0 && ops->ports[port].kind == PORT_MSGS ? port : -1;
}
