/* SPDX-License-Identifier: MIT */
#include "lib/inside.h"

#include <errno.h>
#include <string.h>

_Static_assert((int)SUT_STATE_CLOSED == ST_CLOSED && (int)SUT_STATE_LISTEN == ST_LISTEN &&
		       (int)SUT_STATE_SYN_SENT == ST_SYN_SENT &&
		       (int)SUT_STATE_SYN_RECEIVED == ST_SYN_RECEIVED &&
		       (int)SUT_STATE_ESTABLISHED == ST_ESTABLISHED &&
		       (int)SUT_STATE_FIN_WAIT_1 == ST_FIN_WAIT_1 &&
		       (int)SUT_STATE_FIN_WAIT_2 == ST_FIN_WAIT_2 &&
		       (int)SUT_STATE_CLOSE_WAIT == ST_CLOSE_WAIT &&
		       (int)SUT_STATE_CLOSING == ST_CLOSING &&
		       (int)SUT_STATE_LAST_ACK == ST_LAST_ACK &&
		       (int)SUT_STATE_TIME_WAIT == ST_TIME_WAIT,
	       "the same numbers");

const char *sut_state_name(enum sut_state state)
{
	return (unsigned)state <= ST_TIME_WAIT ? conn_state_name((enum conn_state)state) : "?";
}

static uint32_t flags_of(const struct conn_info *i)
{
	return (i->timestamps ? SUT_INFO_TIMESTAMPS : 0u) | (i->sack ? SUT_INFO_SACK : 0u) |
	       (i->wscale ? SUT_INFO_WSCALE : 0u) | (i->ecn ? SUT_INFO_ECN : 0u) |
	       (i->fastopen ? SUT_INFO_FASTOPEN : 0u);
}

static void copy_addrs(const struct conn_info *i, struct sut_info *ret_i)
{
	memcpy(ret_i->local.ip, i->local.ip, 16);
	ret_i->local.port = i->local.port;
	memcpy(ret_i->remote.ip, i->remote.ip, 16);
	ret_i->remote.port = i->remote.port;
}

static void fill(const struct conn_info *i, struct sut_info *ret_i, size_t size)
{
	struct sut_info to = {
		.id = i->id,
		.user = i->user,
		.state = (enum sut_state)i->state,
		.flags = flags_of(i),
		.snd_wscale = i->snd_wscale,
		.rcv_wscale = i->rcv_wscale,
		.cc = i->cc,
		.recovery = i->recovery,
		.mss = i->mss,
		.cwnd = i->cwnd,
		.ssthresh = i->ssthresh,
		.snd_wnd = i->snd_wnd,
		.rcv_wnd = i->rcv_wnd,
		.in_flight = i->in_flight,
		.unsent = i->unsent,
		.unread = i->unread,
		.out_of_order = i->ofo,
		.srtt_us = i->srtt_us,
		.rttvar_us = i->rttvar_us,
		.min_rtt_us = i->min_rtt_us,
		.rto_us = i->rto_us,
		.bytes_in = i->bytes_in,
		.bytes_out = i->bytes_out,
		.retrans_bytes = i->retrans_bytes,
		.segs_in = i->segs_in,
		.segs_out = i->segs_out,
		.retrans_segs = i->retrans_segs,
		.timeouts = i->timeouts,
		.iss = i->iss,
		.irs = i->irs,
		.snd_una = i->snd_una,
		.snd_nxt = i->snd_nxt,
		.rcv_nxt = i->rcv_nxt,
		.age = i->age,
	};

	copy_addrs(i, &to);
	memset(ret_i, 0, size);
	memcpy(ret_i, &to, size < sizeof to ? size : sizeof to);
}

int sut_info(const struct sut_stack *s, sut_id c, struct sut_info *ret_i, size_t size)
{
	struct conn_info i;
	int e = stack_info(s->pure, c, stack_now(s), &i);

	if (e == 0)
		fill(&i, ret_i, size);
	return e;
}

int sut_list(const struct sut_stack *s, uint32_t *cursor, struct sut_info *ret_i, size_t size)
{
	struct conn_info i;

	if (!stack_list(s->pure, cursor, stack_now(s), &i))
		return 0;
	fill(&i, ret_i, size);
	return 1;
}

int sut_stack_set_mtu(struct sut_stack *s, uint32_t mtu)
{
	return stack_set_mtu(s->pure, mtu) < 0 ? -EINVAL : 0;
}

int sut_stack_counter(const struct sut_stack *s, unsigned i, const char **ret_name,
		      const char **ret_text, uint64_t *ret_value)
{
	if (i >= (unsigned)STACK_COUNTER_COUNT)
		return -ENOENT;
	if (ret_name != NULL)
		*ret_name = stack_counter_label((enum stack_counter)i);
	if (ret_text != NULL)
		*ret_text = stack_counter_text((enum stack_counter)i);
	*ret_value = stack_count(s->pure, (enum stack_counter)i);
	return 0;
}

void sut_stack_usage(const struct sut_stack *s, struct sut_usage *ret_u)
{
	struct stack_usage u;

	stack_usage(s->pure, &u);
	*ret_u = (struct sut_usage){
		.conns = u.conns,
		.half_open = u.half_open,
		.time_wait = u.time_wait,
		.listeners = u.listeners,
		.buffered = (uint64_t)u.cells * 2048,
		.out_of_order = u.ofo_bytes,
	};
}

const char *sut_stack_check(const struct sut_stack *s)
{
	return stack_check(s->pure, stack_now(s));
}
