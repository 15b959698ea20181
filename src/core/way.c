/* SPDX-License-Identifier: MIT */
#include "core/plane.h"

#include <assert.h>
#include <string.h>

#include "base/hash.h"

_Static_assert(sizeof(struct way_key) == 40, "hashed as five words");
_Static_assert(sizeof(struct way_mac_input) == 56, "no padding: it is hashed as it lies");
_Static_assert(sizeof(struct way_header) == WAY_OPT_LEN, "the option as on the wire");

void way_key_of(const struct packet *p, const struct view *v, struct way_key *ret_key)
{
	assert(v->tcp);
	view_addrs(p, v, ret_key->src, ret_key->dst);
	memcpy(&ret_key->sport, p->head + v->l4, 2);
	memcpy(&ret_key->dport, p->head + v->l4 + 2, 2);
	ret_key->zero = 0;
}

uint64_t way_mac(const uint8_t key[16], const struct way_mac_input *in)
{
	return siphash(key, in, sizeof *in);
}
