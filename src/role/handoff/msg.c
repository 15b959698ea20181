/* SPDX-License-Identifier: MIT */
#include "role/handoff/msg.h"

#include <errno.h>
#include <string.h>

#include "base/compiler.h"
#include "core/fields.h"

#define WSCALE_MAX 14u
#define AT(member) offsetof(struct hand_msg, member)

static const char *const verbs[] = { "hello", "adopt", "shift", "watch",   "mute", "forget",
				     "ask",   "host",  "ready", "refused", "state" };
static const char *const opt_names[] = { "ts", "sack", "ws", "ecn" };
static const char *const state_names[] = { "unknown", "pending", "there", "closing", "gone" };
static const char *const yes_names[] = { "no", "yes" };
static const char *const fin_names[] = { "none", "in", "out", "both" };

enum {
	F_ID,
	F_CLIENT,
	F_ORIGIN,
	F_SEQ,
	F_ACK,
	F_END,
	F_MSS,
	F_WS,
	F_OPTS,
	F_TS,
	F_TSECR,
	F_FAR,
	F_STATE,
	F_ACKED,
	F_FIN,
	F_RST,
	F_KERNEL,
	F_BOOT,
	F_ADOPT,
	F_SHIFT,
	F_WHY,
	F_RCVWND,
	F_WSCALE,
	F_ORIGINS,
	F_BEGUN,
	F_GUARD,
	F_MTU,
};

/* clang-format off */
static const struct field fields[] = {
	[F_ID]      = { "id",      FIELD_U32,  AT(id), 0, NULL, 0, 0 },
	[F_CLIENT]  = { "client",  FIELD_PORT_HOST, AT(client), AT(client_port), NULL, 0, 0 },
	[F_ORIGIN]  = { "origin",  FIELD_PORT_HOST, AT(origin), AT(origin_port), NULL, 0, 0 },
	[F_SEQ]     = { "seq",     FIELD_U32,  AT(seq), 0, NULL, 0, 0 },
	[F_ACK]     = { "ack",     FIELD_U32,  AT(ack), 0, NULL, 0, 0 },
	[F_END]     = { "end",     FIELD_U32,  AT(end), 0, NULL, 0, 0 },
	[F_MSS]     = { "mss",     FIELD_U16,  AT(mss), 0, NULL, 0, 0 },
	[F_WS]      = { "ws",      FIELD_TWO8, AT(snd_wscale), AT(rcv_wscale), NULL, 0, WSCALE_MAX },
	[F_OPTS]    = { "opts",    FIELD_SET8, AT(options), 0, opt_names, ARRAY_LEN(opt_names), 0 },
	[F_TS]      = { "ts",      FIELD_TWO32, AT(tsval), AT(tsecr), NULL, 0, 0 },
	[F_TSECR]   = { "ts",      FIELD_U32,  AT(tsecr), 0, NULL, 0, 0 },
	[F_FAR]     = { "far",     FIELD_ENUM8, AT(far_host), 0, yes_names, ARRAY_LEN(yes_names), 0 },
	[F_STATE]   = { "is",      FIELD_ENUM8, AT(state), 0, state_names, ARRAY_LEN(state_names), 0 },
	[F_ACKED]   = { "acked",   FIELD_U8,   AT(acked), 0, NULL, 0, 1 },
	[F_FIN]     = { "fin",     FIELD_ENUM2, AT(fin_in), AT(fin_out), fin_names, ARRAY_LEN(fin_names), 0 },
	[F_RST]     = { "rst",     FIELD_U8,   AT(rst), 0, NULL, 0, 1 },
	[F_KERNEL]  = { "kernel",  FIELD_VERSION, AT(kernel), 0, NULL, 0, 0 },
	[F_BOOT]    = { "boot",    FIELD_U32,  AT(boot), 0, NULL, 0, 0 },
	[F_ADOPT]   = { "adopt",   FIELD_ENUM8, AT(adopt), 0, yes_names, ARRAY_LEN(yes_names), 0 },
	[F_SHIFT]   = { "shift",   FIELD_ENUM8, AT(shift), 0, yes_names, ARRAY_LEN(yes_names), 0 },
	[F_WHY]     = { "why",     FIELD_TEXT, AT(why), 0, NULL, 0, HAND_WHY_MAX },
	[F_RCVWND]  = { "rcvwnd",  FIELD_U32,  AT(rcvwnd), 0, NULL, 0, 0 },
	[F_WSCALE]  = { "wscale",  FIELD_U8,   AT(wscale), 0, NULL, 0, WSCALE_MAX },
	[F_ORIGINS] = { "origins", FIELD_LIST64, AT(origins), 0, NULL, 0, 0 },
	[F_BEGUN]   = { "begun",   FIELD_U32,  AT(begun), 0, NULL, 0, 0 },
	[F_GUARD]   = { "guard",   FIELD_ENUM8, AT(guard), 0, yes_names, ARRAY_LEN(yes_names), 0 },
	[F_MTU]     = { "mtu",     FIELD_U32,  AT(mtu), 0, NULL, 0, 65535 },
};
/* clang-format on */

#define B(f) (UINT64_C(1) << (f))
#define WHO (B(F_ID) | B(F_CLIENT) | B(F_ORIGIN))

static bool announces(enum hand_msg_kind kind)
{
	return kind == HAND_ADOPT || kind == HAND_SHIFT || kind == HAND_WATCH;
}

/* What lines of this kind need not say. */
static uint64_t may_say(enum hand_msg_kind kind)
{
	return (announces(kind) ? B(F_BEGUN) : 0) |
	       (kind == HAND_ADOPT || kind == HAND_SHIFT ? B(F_FAR) : 0) |
	       (kind == HAND_HOST ? B(F_GUARD) | B(F_MTU) : 0);
}

/* What of it m says. */
static uint64_t does_say(const struct hand_msg *m)
{
	return ((m->begun ? B(F_BEGUN) : 0) | (m->far_host ? B(F_FAR) : 0) |
		(m->guard ? B(F_GUARD) : 0) | (m->mtu ? B(F_MTU) : 0)) &
	       may_say(m->kind);
}

/* What each kind of line says, all of it and nothing else. */
static const uint64_t says[] = {
	[HAND_HELLO] = 0,
	[HAND_ADOPT] = WHO | B(F_SEQ) | B(F_ACK) | B(F_END) | B(F_MSS) | B(F_WS) | B(F_OPTS) |
		       B(F_TS),
	[HAND_SHIFT] = WHO | B(F_SEQ) | B(F_ACK) | B(F_END) | B(F_WSCALE) | B(F_TSECR),
	[HAND_WATCH] = WHO | B(F_END),
	[HAND_MUTE] = B(F_ID),
	[HAND_FORGET] = B(F_ID),
	[HAND_ASK] = B(F_ID),
	[HAND_HOST] = B(F_OPTS) | B(F_KERNEL) | B(F_BOOT) | B(F_ADOPT) | B(F_SHIFT) | B(F_WHY) |
		      B(F_RCVWND) | B(F_WSCALE) | B(F_ORIGINS),
	[HAND_READY] = B(F_ID),
	[HAND_REFUSED] = B(F_ID) | B(F_WHY),
	[HAND_STATE] = B(F_ID) | B(F_STATE) | B(F_ACKED) | B(F_FIN) | B(F_RST) | B(F_ACK),
};

size_t hand_msg_write(const struct hand_msg *m, char *ret_text)
{
	struct fields_text t = { ret_text, 0, HAND_MSG_MAX, false };

	fields_put_bare(&t, verbs[m->kind]);
	fields_write(&t, fields, says[m->kind] | does_say(m), m);
	return t.n;
}

int hand_msg_read(const char *text, size_t len, struct hand_msg *ret_m)
{
	struct words w = words_of(text, len);
	struct hand_msg m;
	struct word verb;
	uint64_t which;
	int kind;

	memset(&m, 0, sizeof m); /* padding too: messages are compared as bytes */
	if (len > HAND_MSG_MAX || !words_next(&w, &verb))
		return -EINVAL;
	kind = word_among(&verb, verbs, ARRAY_LEN(verbs));
	if (kind < 0)
		return -EINVAL;
	m.kind = (enum hand_msg_kind)kind;
	which = says[kind] | may_say(m.kind);
	if (!fields_read(&w, fields, ARRAY_LEN(fields), &m, &which) ||
	    (which & ~may_say(m.kind)) != says[kind])
		return -EINVAL;
	*ret_m = m;
	return 0;
}
