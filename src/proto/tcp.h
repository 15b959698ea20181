/* SPDX-License-Identifier: MIT */
#ifndef SUT_PROTO_TCP_H
#define SUT_PROTO_TCP_H
/* tcp - the TCP header on one screen (RFC 9293, 3.1), and its options (tcp_options_read). */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/be.h"
#include "base/reason.h"

struct tcp_hdr {
	be16 sport, dport;
	be32 seq, ack;
	uint8_t doff; /* header length in 32-bit words << 4 */
	uint8_t flags;
	be16 window;
	be16 csum;
	be16 urg;
};

/* clang-format off */
enum tcp_flag {
	TCP_FIN = 0x01, TCP_SYN = 0x02, TCP_RST = 0x04, TCP_PSH = 0x08,
	TCP_ACK = 0x10, TCP_URG = 0x20, TCP_ECE = 0x40, TCP_CWR = 0x80,
};

enum tcp_option_kind {
	TCPOPT_EOL = 0, TCPOPT_NOP = 1,
	TCPOPT_MSS = 2,			/* RFC 9293, 3.7.1: 4 bytes, SYN only */
	TCPOPT_WSCALE = 3,		/* RFC 7323: 3 bytes, SYN only */
	TCPOPT_SACK_PERMITTED = 4,	/* RFC 2018: 2 bytes, SYN only */
	TCPOPT_SACK = 5,		/* RFC 2018: 2 + 8n bytes */
	TCPOPT_TIMESTAMPS = 8,		/* RFC 7323: 10 bytes */
	TCPOPT_MD5 = 19,		/* RFC 2385: 18 bytes */
	TCPOPT_AO = 29,			/* RFC 5925: 4 bytes or more */
	TCPOPT_MPTCP = 30,		/* RFC 8684: 3 bytes or more */
	TCPOPT_TFO = 34,		/* RFC 7413: 2 (request), or 6 to 18 */
	TCPOPT_EXP1 = 253, TCPOPT_EXP2 = 254,	/* RFC 6994: ExID of 2 bytes, or 4 */
};

#define TCP_EXID_TFO 0xf989		/* TFO as an experimental option */
#define TCP_WSCALE_MAX 14		/* RFC 7323, 2.3: larger ones count as 14 */
enum mptcp_subtype { MPTCP_CAPABLE = 0, MPTCP_JOIN = 1 };

/* Which options were there. */
enum {
	OPT_MSS = 1, OPT_WSCALE = 2, OPT_SACK_PERMITTED = 4, OPT_SACK = 8,
	OPT_TS = 16, OPT_MD5 = 32, OPT_AO = 64, OPT_MPTCP = 128, OPT_TFO = 256,
	OPT_EXP = 512, OPT_UNKNOWN = 1024,
};
/* clang-format on */

/*
 * What the options say.  Offsets count from the start of the TCP header; fields are valid where
 * their bit of present is set.  Of a repeated option the first one counts, of SACK too.  TFO in
 * an experimental option (TCP_EXID_TFO) sets OPT_TFO as well as OPT_EXP; exid is 0 where an
 * experiment is too short to have one.
 */
struct tcp_options {
	uint16_t present; /* OPT_* */
	uint16_t mss; /* bytes */
	uint8_t wscale; /* 0 to 14; a larger one on the wire reads as 14 */
	uint8_t sack_count; /* blocks, 1 to 4 */
	uint8_t sack_off; /* first block's left edge */
	uint8_t ts_off; /* TSval; TSecr is 4 further */
	uint32_t tsval, tsecr; /* numbers as on the wire */
	uint8_t mptcp_subtype;
	uint8_t tfo_off, tfo_len; /* cookie bytes; length 0 is a request */
	uint16_t exid; /* of the first experimental option */
};

/*
 * The one walk over options: len bytes at opt follow the 20-byte header.  The aligned layout of
 * established segments (NOP NOP TS [NOP NOP SACK]) takes a short way through the same function.
 * Returns R_NONE, or R_TCP_OPT (ret_opts then holds what was read before the bad one).
 */
enum reason tcp_options_read(const uint8_t *opt, size_t len, struct tcp_options *ret_opts);

/* One option as a cursor meets it. */
struct tcp_option {
	uint8_t kind;
	uint8_t off; /* of the kind byte, from the start of the options */
	uint8_t len; /* whole option, kind and length bytes included; 1 for EOL and NOP */
};

/*
 * Steps a cursor over options (start with *off = 0): true and *ret_o, or false at the end or at
 * one whose length is below 2 or beyond len (then *off < len).  EOL is given as the last one:
 * *off is len after it.  For those who copy or strip options; tcp_options_read is built on it.
 */
bool tcp_option_next(const uint8_t *opt, size_t len, size_t *off, struct tcp_option *ret_o);

/*
 * Is the length right for the kind?  True for kinds that are not known, and for experiments of
 * any length.
 */
bool tcp_option_fits(const struct tcp_option *o);
#endif
