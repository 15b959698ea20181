/* SPDX-License-Identifier: MIT */
#include "trail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/print.h"
#include "proto/view.h"

static void *must(void *p)
{
	if (!p)
		abort();
	return p;
}

void trail_add(struct trail *t, unsigned port, const struct packet *p, sut_time now)
{
	struct trail_out *o = t->out[port];
	uint8_t *b;

	if (t->n[port] % 64 == 0)
		o = must(realloc(o, (t->n[port] + 64) * sizeof *o));
	b = must(malloc(packet_len(p) + 1));
	memcpy(b, p->head, p->head_len);
	if (p->body_len > 0)
		memcpy(b + p->head_len, p->body, p->body_len);
	t->out[port] = o;
	o[t->n[port]++] = (struct trail_out){ now, { b, packet_len(p), p->off } };
}

void trail_print(const struct trail_out *o, const char *port, char *ret_s, size_t size)
{
	struct packet p = { .head_len = (uint32_t)o->c.n, .off = o->c.off };
	uint8_t *copy = malloc(o->c.n + 1);
	struct view v;
	int n;

	if (!copy)
		abort();
	memcpy(copy, o->c.b, o->c.n);
	p.head = copy;
	n = snprintf(ret_s, size, "%.3fms %s < ", (double)o->at / 1e6, port);
	if (n > 0 && (size_t)n < size) {
		if (view_parse(&p, &v) == R_NONE && v.tcp)
			print_segment(&p, &v, ret_s + n, size - (size_t)n);
		else
			print_packet(&p, ret_s + n, size - (size_t)n);
	}
	free(copy);
}

static bool same(const struct trail_out *a, const struct trail_out *b)
{
	const struct offload *x = &a->c.off, *y = &b->c.off;

	return a->at == b->at && a->c.n == b->c.n && x->csum == y->csum &&
	       x->gso_type == y->gso_type && x->gso_size == y->gso_size &&
	       memcmp(a->c.b, b->c.b, a->c.n) == 0;
}

bool trail_equal(const struct trail *a, const struct trail *b, const struct script *s,
		 struct fault *f)
{
	for (unsigned port = 0; port < SCRIPT_PORTS; port++) {
		const char *name = s->role->ops->ports[port].name;
		char one[640], other[640];

		for (unsigned i = 0; i < a->n[port] && i < b->n[port]; i++) {
			if (same(&a->out[port][i], &b->out[port][i]))
				continue;
			trail_print(&a->out[port][i], name, one, sizeof one);
			trail_print(&b->out[port][i], name, other, sizeof other);
			return fault_say(
				f,
				"%s: packet %u at %s differs\n  one by one  %s\n  in bursts   %s",
				s->path, i + 1, name, one, other);
		}
		if (a->n[port] != b->n[port])
			return fault_say(f,
					 "%s: one by one %u packets came out at %s, in bursts %u",
					 s->path, a->n[port], name, b->n[port]);
	}
	return true;
}

void trail_free(struct trail *t)
{
	for (unsigned port = 0; port < SCRIPT_PORTS; port++) {
		for (unsigned i = 0; i < t->n[port]; i++)
			free((void *)(uintptr_t)t->out[port][i].c.b);
		free(t->out[port]);
	}
}
