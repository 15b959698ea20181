/* SPDX-License-Identifier: MIT */
#include "theirs.h"

#include <string.h>

#include "base/be.h"

#define TABLE_MAX 16384u

/* The flow of this key, entered if there is none; a table that holds too many is emptied before. */
static struct their_flow *find(struct theirs *t, const uint8_t key[12])
{
	for (unsigned i = 0; i < t->n; i++)
		if (memcmp(t->flow[i].key, key, 12) == 0)
			return &t->flow[i];
	if (t->n + t->others > TABLE_MAX)
		t->n = t->others = 0;
	if (t->n == THEIR_FLOWS)
		t->n = 0; /* none of the tests needs as many at once */
	t->flow[t->n] = (struct their_flow){ .state = T_CLOSED };
	memcpy(t->flow[t->n].key, key, 12);
	return &t->flow[t->n++];
}

static void forget(struct theirs *t, struct their_flow *f)
{
	*f = t->flow[--t->n];
}

/* Where the IPv4 header of a frame that QEMU knows is: it reads 802.1ad tags, but not 802.1Q alone; 0: it knows none. */
static uint32_t ip_at(const uint8_t *frame, uint32_t len)
{
	uint32_t at = 14;

	if (load_be16(frame + 12) == 0x88a8)
		at = load_be16(frame + 16) == 0x8100 ? 22 : 18;
	if (len < at + 40 || load_be16(frame + at - 2) != 0x0800 || frame[at + 9] != 6)
		return 0;
	return at;
}

/* The checksum in full, of what would follow a header of 20 bytes, and into its place there; none for fragments. */
static void sum_anew(uint8_t *ip, uint32_t len)
{
	uint32_t n = (uint32_t)load_be16(ip + 2) - (ip[0] & 15u) * 4;
	uint16_t sum;

	if ((load_be16(ip + 6) & 0x3fff) || load_be16(ip + 2) > len)
		return;
	store_be16(ip + 36, 0);
	sum = (uint16_t)~seg_sum(seg_sum(6 + n, ip + 12, 8), ip + 20, n);
	store_be16(ip + 36, sum);
}

static void from_client(struct theirs *t, struct their_flow *f, uint8_t *ip, uint8_t *tcp,
			uint32_t len)
{
	uint8_t flags = tcp[13], how = flags & (SYN | ACK);

	if (how == SYN)
		f->state = T_SYN_RECEIVED;
	if (how == (SYN | ACK) && f->state == T_SYN_SENT)
		f->state = T_ESTABLISHED;
	if (how == ACK) {
		if (f->state == T_SYN_RECEIVED) {
			f->offset -= load_be32(tcp + 8) - 1;
			f->state = T_ESTABLISHED;
		}
		if (f->offset != 0) {
			store_be32(tcp + 8, load_be32(tcp + 8) + f->offset);
			sum_anew(ip, len);
		}
		if (f->state == T_LAST_ACK && load_be32(tcp + 8) == f->fin_seq + 1) {
			forget(t, f);
			return;
		}
	}
	if (!(flags & FIN))
		return;
	if (f->state == T_ESTABLISHED)
		f->state = T_CLOSE_WAIT;
	else if (f->state == T_FIN_WAIT_1)
		forget(t, f);
}

static void from_secondary(struct their_flow *f, uint8_t *ip, uint8_t *tcp, uint32_t len)
{
	uint8_t flags = tcp[13], how = flags & (SYN | ACK);

	if (how == (SYN | ACK) && f->state == T_SYN_RECEIVED)
		f->offset = load_be32(tcp + 4);
	if (how == SYN && f->state == T_CLOSED)
		f->state = T_SYN_SENT;
	if (how == ACK && f->offset != 0) {
		store_be32(tcp + 4, load_be32(tcp + 4) - f->offset);
		sum_anew(ip, len);
	}
	if (f->state == T_CLOSE_WAIT && (flags & (ACK | FIN)) == (ACK | FIN)) {
		f->fin_seq = load_be32(tcp + 4);
		f->state = T_LAST_ACK;
	}
	if (f->state == T_ESTABLISHED && (flags & (ACK | FIN)) == FIN)
		f->state = T_FIN_WAIT_1;
}

void theirs_step(struct theirs *t, enum side from, uint8_t *frame, uint32_t len)
{
	uint32_t at = len < 54 ? 0 : ip_at(frame, len);
	uint8_t *ip = frame + at, *tcp, key[12];
	struct their_flow *f;

	if (at == 0)
		return;
	tcp = ip + (ip[0] & 15u) * 4;
	memcpy(key, ip + (from == CLIENT ? 12 : 16), 4);
	memcpy(key + 4, ip + (from == CLIENT ? 16 : 12), 4);
	memcpy(key + 8, tcp + (from == CLIENT ? 0 : 2), 2);
	memcpy(key + 10, tcp + (from == CLIENT ? 2 : 0), 2);
	f = find(t, key);
	if (from == CLIENT)
		from_client(t, f, ip, tcp, len - at);
	else
		from_secondary(f, ip, tcp, len - at);
}
