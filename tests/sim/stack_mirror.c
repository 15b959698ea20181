/* SPDX-License-Identifier: MIT */
#include "stack_mirror.h"

#include "base/hash.h"

static uint64_t hash_of(const struct packet *p)
{
	uint64_t h = p->head_len;

	for (uint32_t i = 0; i < p->head_len; i++)
		h = hash_fold(h ^ p->head[i], 0x9e3779b97f4a7c15u);
	return h;
}

void stack_mirror_begin(struct stack_mirror *m, unsigned port, struct packet **pkts, unsigned n)
{
	*m = (struct stack_mirror){ .port = port, .n = n };
	for (unsigned i = 0; i < n; i++)
		m->in[i] = hash_of(pkts[i]);
}

void stack_mirror_sent(struct stack_mirror *m, unsigned port, const struct packet *p, struct run *r)
{
	unsigned *seen = port == MIRROR_MIRROR ? &m->copied : &m->passed;

	if (port == m->port)
		run_broken(r, "the mirror sends a frame back");
	else if (*seen == m->n)
		run_broken(r, "the mirror sends a frame that did not come in");
	else if (m->in[(*seen)++] != hash_of(p))
		run_broken(r, "the mirror changes a frame, or the order");
}

void stack_mirror_end(struct stack_mirror *m, const struct replica_mirror_config *c, struct run *r)
{
	bool is_copied = c->queue == MIRROR_ALL ||
			 c->queue == (m->port == MIRROR_CLIENT ? MIRROR_TX : MIRROR_RX);

	if (m->passed != m->n || m->copied != (is_copied ? m->n : 0))
		run_broken(r, "of %u frames the mirror passed %u and copied %u", m->n, m->passed,
			   m->copied);
}
