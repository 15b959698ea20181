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

static void print_message(const struct caught *c, char *s, size_t size)
{
	size_t n = 0;

	n += (size_t)snprintf(s, size, "\"");
	for (size_t i = 0; i < c->n && n + 4 < size; i++)
		n += (size_t)snprintf(s + n, size - n, c->b[i] == '\n' ? "\\n" : "%c", c->b[i]);
	snprintf(s + n, size - n, "\"");
}

static void print_frame(const struct caught *c, char *s, size_t size)
{
	struct packet p = { .head_len = (uint32_t)c->n, .off = c->off };
	uint8_t *copy = must(malloc(c->n + 1));
	struct view v;

	memcpy(copy, c->b, c->n);
	p.head = copy;
	if (view_parse(&p, &v) == R_NONE && v.tcp)
		print_segment(&p, &v, s, size);
	else
		print_packet(&p, s, size);
	free(copy);
}

void trail_print(const struct trail *t, unsigned port, unsigned i, char *ret_s, size_t size)
{
	const struct trail_out *o = &t->out[port][i];
	size_t n = (size_t)snprintf(ret_s, size, "%.3fms %s < ", (double)o->at / 1e6,
				    t->ports[port].name);

	if (n >= size)
		return;
	if (t->ports[port].kind != PORT_FRAMES)
		print_message(&o->c, ret_s + n, size - n);
	else
		print_frame(&o->c, ret_s + n, size - n);
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
	for (unsigned port = 0; s->role->ops->ports[port].name; port++) {
		const char *name = s->role->ops->ports[port].name;
		char one[640], other[640];

		for (unsigned i = 0; i < a->n[port] && i < b->n[port]; i++) {
			if (same(&a->out[port][i], &b->out[port][i]))
				continue;
			trail_print(a, port, i, one, sizeof one);
			trail_print(b, port, i, other, sizeof other);
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
