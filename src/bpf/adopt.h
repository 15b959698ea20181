/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef SUT_BPF_ADOPT_H
#define SUT_BPF_ADOPT_H
/*
 * adopt - gives a segment to the listener of its quad as the one that finishes a handshake.
 *
 * Owns:     the look-up of the quad, and the one call of the kernel's function.
 * Does not: believe that function: it says 0 and makes nothing where the accept queue is full.  Adopted is what the socket reports
 *           (sockets.h), so the way stays pending and each retransmission is another try.
 */
#include "bpf/maps.h"
#include "bpf/met.h"
#include "bpf/packet.h"

/* What the kernel declares; looked up by name when the program is loaded. */
struct bpf_tcp_req_attrs {
	__u32 rcv_tsval, rcv_tsecr;
	__u16 mss;
	__u8 rcv_wscale, snd_wscale;
	__u8 ecn_ok, wscale_ok, sack_ok, tstamp_ok, usec_ts_ok;
	__u8 reserved[3];
};
struct sock {
} __attribute__((preserve_access_index));

extern int bpf_sk_assign_tcp_reqsk(struct __sk_buff *skb, struct sock *sk,
				   struct bpf_tcp_req_attrs *attrs, int attrs__sz) __weak __ksym;

enum { SOCK_LISTEN = 10 };

enum adoption {
	ADOPT_THERE, /* the connection exists */
	ADOPT_TRIED,
	ADOPT_TIME_WAIT, /* the quad is another connection's: in TIME-WAIT, or an older one */
	ADOPT_REFUSED, /* by *ret_err; 0: nobody listens */
};

static __always_inline struct bpf_sock *quad_find(struct __sk_buff *skb, const struct pkt *p)
{
	struct bpf_sock_tuple t = {};

	if (p->ip == 4) {
		__builtin_memcpy(&t.ipv4.saddr, p->key.src + 12, 4);
		__builtin_memcpy(&t.ipv4.daddr, p->key.dst + 12, 4);
		t.ipv4.sport = p->key.sport;
		t.ipv4.dport = p->key.dport;
		return bpf_skc_lookup_tcp(skb, &t, sizeof(t.ipv4), BPF_F_CURRENT_NETNS, 0);
	}
	__builtin_memcpy(t.ipv6.saddr, p->key.src, 16);
	__builtin_memcpy(t.ipv6.daddr, p->key.dst, 16);
	t.ipv6.sport = p->key.sport;
	t.ipv6.dport = p->key.dport;
	return bpf_skc_lookup_tcp(skb, &t, sizeof(t.ipv6), BPF_F_CURRENT_NETNS, 0);
}

/*
 * Is this what came of the segment that the way expects?  The quad may still be an older connection's: in TIME-WAIT, or the host has not
 * heard of its end.
 */
static __always_inline bool is_its_own(struct bpf_sock *skc, const struct way *w)
{
	const struct bpf_tcp_sock *tp = bpf_tcp_sock(skc);

	return tp && tp->rcv_nxt - w->expect <= FIRST_BYTES;
}

static __always_inline void attrs_of(const struct way_attrs *w, __u32 tsval,
				     struct bpf_tcp_req_attrs *ret_a)
{
	__builtin_memset(ret_a, 0, sizeof(*ret_a));
	ret_a->rcv_tsval = w->rcv_tsval ? w->rcv_tsval : tsval;
	ret_a->rcv_tsecr = w->rcv_tsecr;
	ret_a->mss = w->mss;
	ret_a->snd_wscale = w->snd_wscale;
	ret_a->rcv_wscale = w->rcv_wscale;
	ret_a->tstamp_ok = !!(w->options & WAY_OPT_TS);
	ret_a->sack_ok = !!(w->options & WAY_OPT_SACK);
	ret_a->wscale_ok = !!(w->options & WAY_OPT_WSCALE);
	ret_a->ecn_ok = !!(w->options & WAY_OPT_ECN);
}

/*
 * may_try: is this the segment that the way expects?  Otherwise it is only looked whether the connection is there (else
 * ADOPT_TRIED, with nothing done).
 */
static __always_inline enum adoption adopt(struct __sk_buff *skb, const struct pkt *p,
					   const struct way *w, __u32 tsval, bool may_try,
					   int *ret_err)
{
	struct bpf_tcp_req_attrs a;
	struct bpf_sock *skc = quad_find(skb, p);
	enum adoption got = ADOPT_THERE;
	struct sock *listener;

	*ret_err = 0;
	if (!skc)
		return may_try ? ADOPT_REFUSED : ADOPT_TRIED;
	if (skc->state == SOCK_LISTEN) {
		got = ADOPT_TRIED;
		listener = (struct sock *)bpf_skc_to_tcp_sock(skc);
		attrs_of(&w->attrs, tsval, &a);
		if (may_try && listener)
			*ret_err = bpf_sk_assign_tcp_reqsk(skb, listener, &a, sizeof(a));
		if (*ret_err)
			got = ADOPT_REFUSED;
	} else if (!is_its_own(skc, w)) {
		got = ADOPT_TIME_WAIT;
	}
	bpf_sk_release(skc);
	return got;
}
#endif
