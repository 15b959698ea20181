/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "stack_plan.h"

/* The ways to make a plan simpler, one number each: main.c takes those with which a seed still breaks. */

static bool shrink(uint32_t *n)
{
	if (*n < 2)
		return false;
	*n /= 2;
	return true;
}

static bool clear(void *p, size_t n)
{
	static const uint8_t zero[64];

	if (memcmp(p, zero, n) == 0)
		return false;
	memset(p, 0, n);
	return true;
}

/* The ways to make one link simpler. */
static bool simplify_link(struct link_config *l, unsigned way)
{
	switch (way) {
	case 0:
		return clear(&l->loss_ppm, sizeof(l->loss_ppm));
	case 1:
		return clear(&l->dup_ppm, sizeof(l->dup_ppm));
	case 2:
		return clear(&l->reorder_ppm, sizeof(l->reorder_ppm));
	case 3:
		return clear(&l->jitter, sizeof(l->jitter));
	default:
		return clear(&l->rate_bps, sizeof(l->rate_bps));
	}
}

/* The ways to make one end of one connection simpler. */
static bool simplify_app(struct app_plan *a, unsigned way)
{
	switch (way) {
	case 0:
		return shrink(&a->out_len);
	case 1:
		return clear(&a->write_gap, sizeof(a->write_gap));
	case 2:
		return clear(&a->read_gap, sizeof(a->read_gap));
	case 3:
		return a->write_chunk != 65536 ? (a->write_chunk = 65536) : false;
	case 4:
		return a->read_chunk != 65536 ? (a->read_chunk = 65536) : false;
	case 5:
		return a->abort_after != UINT32_MAX ? (a->abort_after = UINT32_MAX) : false;
	case 6:
		return a->cork ? !(a->cork = false) : false;
	case 8:
		return clear(&a->take, sizeof(a->take));
	case 7:
		return a->keepalive ? !(a->keepalive = false) : false;
	default:
		return a->quickack ? !(a->quickack = false) : false;
	}
}

static void drop_trouble(struct stack_plan *p, unsigned i)
{
	memmove(&p->trouble[i], &p->trouble[i + 1], (p->troubles - i - 1) * sizeof(p->trouble[0]));
	p->troubles--;
}

static void drop_conn(struct stack_plan *p, unsigned i)
{
	for (unsigned k = p->troubles; k-- > 0;) {
		if (p->trouble[k].conn == i)
			drop_trouble(p, k);
		else
			p->trouble[k].conn =
				(uint8_t)(p->trouble[k].conn - (p->trouble[k].conn > i));
	}
	if (p->pair.death.conn > i || p->pair.death.conn == p->conns - 1)
		p->pair.death.conn--;
	memmove(&p->conn[i], &p->conn[i + 1], (p->conns - i - 1) * sizeof(p->conn[0]));
	p->conns--;
}

/* What befalls the network, but for its spells and its usual losses. */
static bool simplify_network(struct stack_plan *p, unsigned way)
{
	if (way < STACK_TROUBLES) {
		if (way >= p->troubles)
			return false;
		drop_trouble(p, way);
		return true;
	}
	way -= STACK_TROUBLES;
	if (way < LINKS)
		return clear(&p->link_mtu[way], sizeof(p->link_mtu[way]));
	if (way == LINKS)
		return clear(&p->squeeze_ppm, sizeof(p->squeeze_ppm));
	return clear(&p->corrupt_ppm, sizeof(p->corrupt_ppm));
}

/* The ways to make the site of a pair simpler; its lanes stand for the links. */
static bool simplify_pair(struct pair_plan *p, unsigned way)
{
	enum { LANE_WAYS = 5 };

	if (way < LANES * LANE_WAYS)
		return simplify_link(&p->lane[way / LANE_WAYS], way % LANE_WAYS);
	way -= LANES * LANE_WAYS;
	if (way < PAIR_CHECKPOINTS_MAX)
		return clear(&p->checkpoint[way], sizeof(p->checkpoint[way]));
	switch (way - PAIR_CHECKPOINTS_MAX) {
	case 0:
		return clear(&p->death, sizeof(p->death));
	case 1:
		return clear(&p->detect, sizeof(p->detect));
	case 2:
		return p->mirrors ? !(p->mirrors = false) : false;
	case 3:
		return p->compare_port ? !(p->compare_port = false) : false;
	case 4:
		return p->network_port ? !(p->network_port = false) : false;
	case 5:
		return p->out_port ? !(p->out_port = p->s_at_out_port = false) : false;
	default:
		return p->loses_in_flight ? !(p->loses_in_flight = false) : false;
	}
}

static bool simplify(struct stack_plan *p, unsigned step, bool *ret_changed)
{
	enum {
		LINK_WAYS = 5,
		APP_WAYS = 10,
		HOST_WAYS = 6,
		NETWORK_WAYS = STACK_TROUBLES + LINKS + 2,
		PAIR_WAYS = LANES * 5 + PAIR_CHECKPOINTS_MAX + 7
	};

	*ret_changed = false;
	if (step < STACK_CONNS) {
		if (step < p->conns && p->conns > 1) {
			drop_conn(p, step);
			*ret_changed = true;
		}
		return true;
	}
	step -= STACK_CONNS;
	if (step < STACK_SPELLS) {
		if (step < p->spells) {
			p->spell[step] = p->spell[--p->spells];
			*ret_changed = true;
		}
		return true;
	}
	step -= STACK_SPELLS;
	if (step < NETWORK_WAYS) {
		*ret_changed = simplify_network(p, step);
		return true;
	}
	step -= NETWORK_WAYS;
	if (step < LINKS * LINK_WAYS) {
		*ret_changed = simplify_link(&p->link[step / LINK_WAYS], step % LINK_WAYS);
		return true;
	}
	step -= LINKS * LINK_WAYS;
	if (step < STACK_CONNS * 2 * APP_WAYS) {
		unsigned i = step / (2 * APP_WAYS);

		if (i < p->conns)
			*ret_changed = simplify_app(&p->conn[i].app[step / APP_WAYS % 2],
						    step % APP_WAYS);
		return true;
	}
	step -= STACK_CONNS * 2 * APP_WAYS;
	if (step < 2 * HOST_WAYS) {
		struct stack_config *c = &p->host[step / HOST_WAYS];

		switch (step % HOST_WAYS) {
		case 0:
			*ret_changed = clear(&c->offload, sizeof(c->offload));
			break;
		case 1:
			*ret_changed = clear(&c->fastopen, sizeof(c->fastopen));
			break;
		case 2:
			*ret_changed = clear(&c->ecn, sizeof(c->ecn));
			break;
		case 3:
			*ret_changed = !c->no_sack && (c->no_sack = true);
			break;
		case 4:
			*ret_changed = !c->no_timestamps && (c->no_timestamps = true);
			break;
		default:
			*ret_changed = clear(&c->records, sizeof(c->records));
			break;
		}
		return true;
	}
	step -= 2 * HOST_WAYS;
	if (step < PAIR_WAYS) {
		*ret_changed = p->role->pair && simplify_pair(&p->pair, step);
		return true;
	}
	return false;
}

/* An end that waits for more than the other has to say would wait for ever. */
static void keep_possible(struct stack_plan *p)
{
	for (unsigned i = 0; i < p->conns; i++) {
		struct stack_conn_plan *c = &p->conn[i];

		if (c->reuses && (i == 0 || c[-1].both || c[-1].ip != c->ip)) {
			c->reuses = false;
			c->start = i ? c[-1].start : RUN_FIRST;
		}
	}
	for (unsigned i = 0; i < p->conns; i++)
		for (unsigned j = 0; j < 2; j++) {
			struct app_plan *a = &p->conn[i].app[j];

			if (a->wait_for)
				a->wait_for = p->conn[i].app[!j].out_len;
		}
}

bool stack_plan_simplify(struct stack_plan *p, unsigned step, bool *ret_changed)
{
	bool more = simplify(p, step, ret_changed);

	keep_possible(p);
	return more;
}
