/* SPDX-License-Identifier: MIT */
#include "core/way_text.h"

#include <errno.h>
#include <string.h>

#include "base/compiler.h"
#include "base/be.h"
#include "core/fields.h"

#define WSCALE_MAX 14u
#define AT(member) offsetof(struct way, member)

static const char *const act_names[] = { "drop", "user", "host", "send" };
static const char *const flag_names[] = { "src",    "dst",   "shift", "window",	  "clamp",
					  "expect", "adopt", "learn", "unlearnt", "watch",
					  "open",   "mute",  "join" };
static const char *const opt_names[] = { "ts", "sack", "ws", "ecn" };
static const char *const seen_names[] = { "any", "fin", "rst", "acked", "syn" };

static const char *const event_names[] = {
#define X(name, label, text) label,
	WAY_EVENTS(X)
#undef X
};

static const char *const verbs[] = { "set",  "amend", "del", "look",  "list",	"seen",
				     "have", "none",  "end", "event", "destroy" };

/* clang-format off */
static const struct field way_fields[] = {
	{ "act",    FIELD_ENUM32,   AT(act),        0,                   act_names,  ARRAY_LEN(act_names), 0 },
	{ "flags",  FIELD_SET32,    AT(flags),      0,                   flag_names, ARRAY_LEN(flag_names), 0 },
	{ "id",     FIELD_U32,      AT(id),         0,                   NULL, 0, 0 },
	{ "if",     FIELD_U32,      AT(ifindex),    0,                   NULL, 0, 0 },
	{ "mac",    FIELD_MAC,      AT(dmac),       0,                   NULL, 0, 0 },
	{ "from",   FIELD_MAC,      AT(smac),       0,                   NULL, 0, 0 },
	{ "src",    FIELD_PORT_NET, AT(new_src),    AT(new_sport),       NULL, 0, 0 },
	{ "dst",    FIELD_PORT_NET, AT(new_dst),    AT(new_dport),       NULL, 0, 0 },
	{ "seq",    FIELD_U32,      AT(seq),        0,                   NULL, 0, 0 },
	{ "ack",    FIELD_U32,      AT(ack),        0,                   NULL, 0, 0 },
	{ "tsval",  FIELD_U32,      AT(tsval),      0,                   NULL, 0, 0 },
	{ "tsecr",  FIELD_U32,      AT(tsecr),      0,                   NULL, 0, 0 },
	{ "scale",  FIELD_TWO8,     AT(from_scale), AT(to_scale),        NULL, 0, WSCALE_MAX },
	{ "origin", FIELD_U8,       AT(origin),     0,                   NULL, 0, WAY_ORIGINS - 1 },
	{ "expect", FIELD_U32,      AT(expect),     0,                   NULL, 0, 0 },
	{ "end",    FIELD_U32,      AT(end),        0,                   NULL, 0, 0 },
	{ "clamp",  FIELD_TWO32,    AT(tsecr_lo),   AT(tsecr_hi),        NULL, 0, 0 },
	{ "front",  FIELD_TWO32,    AT(front_seq),  AT(front_tsval),     NULL, 0, 0 },
	{ "fws",    FIELD_U8,       AT(front_wscale), 0,                 NULL, 0, 0 },
	{ "ts",     FIELD_TWO32,    AT(attrs.rcv_tsval), AT(attrs.rcv_tsecr), NULL, 0, 0 },
	{ "mss",    FIELD_U16,      AT(attrs.mss),  0,                   NULL, 0, 0 },
	{ "ws",     FIELD_TWO8,     AT(attrs.snd_wscale), AT(attrs.rcv_wscale), NULL, 0, WSCALE_MAX },
	{ "opts",   FIELD_SET8,     AT(attrs.options), 0,                opt_names, ARRAY_LEN(opt_names), 0 },
	{ "mate",   FIELD_QUAD,     AT(mate),       0,                   NULL, 0, 0 },
};

#define IN(member) offsetof(struct way_line, member)
static const struct field seen_fields[] = {
	{ "idle",    FIELD_U32,   IN(idle_ms),     0, NULL, 0, 0 },
	{ "packets", FIELD_U64,   IN(way.packets), 0, NULL, 0, 0 },
	{ "bytes",   FIELD_U64,   IN(way.bytes),   0, NULL, 0, 0 },
	{ "seen",    FIELD_SET32, IN(way.seen),    0, seen_names, ARRAY_LEN(seen_names), 0 },
	{ "fin",     FIELD_U32,   IN(way.fin_end), 0, NULL, 0, 0 },
};

static const struct field event_fields[] = {
	{ "id", FIELD_U32, IN(event.id), 0, NULL, 0, 0 },
	{ "a",  FIELD_U32, IN(event.a),  0, NULL, 0, 0 },
	{ "b",  FIELD_U32, IN(event.b),  0, NULL, 0, 0 },
};
/* clang-format on */

#define ALL(table) ((UINT64_C(1) << ARRAY_LEN(table)) - 1)
#define B_FLAGS 2u /* bits of way_fields */
#define B_ID 4u
#define B_END (1u << 15)
#define AMENDS (B_FLAGS | B_ID | B_END)

static void put_key(struct fields_text *t, const struct way_key *k)
{
	fields_put_bare(t, " ");
	fields_put_addr(t, k->src, load_be16((const uint8_t *)&k->sport));
	fields_put_bare(t, " > ");
	fields_put_addr(t, k->dst, load_be16((const uint8_t *)&k->dport));
}

size_t way_line_write(const struct way_line *l, char *ret_text)
{
	struct fields_text t = { ret_text, 0, WAY_LINE_MAX, false };

	fields_put_bare(&t, verbs[l->kind]);
	if (l->kind == WAY_LINE_EVENT) {
		fields_put_bare(&t, " ");
		fields_put_bare(&t, event_names[l->event.kind]);
	}
	if (l->kind != WAY_LINE_LIST && l->kind != WAY_LINE_END)
		put_key(&t, l->kind == WAY_LINE_EVENT ? &l->event.key : &l->key);
	if (l->kind == WAY_LINE_SET || l->kind == WAY_LINE_HAVE)
		fields_write(&t, way_fields,
			     fields_said(way_fields, ARRAY_LEN(way_fields), &l->way) | 1, &l->way);
	else if (l->kind == WAY_LINE_AMEND)
		fields_write(&t, way_fields,
			     fields_said(way_fields, ARRAY_LEN(way_fields), &l->way) & AMENDS,
			     &l->way);
	else if (l->kind == WAY_LINE_SEEN)
		fields_write(&t, seen_fields, ALL(seen_fields), l);
	else if (l->kind == WAY_LINE_EVENT)
		fields_write(&t, event_fields, ALL(event_fields), l);
	return t.n;
}

static bool read_key(struct words *w, struct way_key *ret_k)
{
	struct word src, arrow, dst;
	uint16_t sport, dport;

	if (!words_next(w, &src) || !words_next(w, &arrow) || !words_next(w, &dst) ||
	    !word_is(&arrow, ">") || !word_addr(&src, ret_k->src, &sport) ||
	    !word_addr(&dst, ret_k->dst, &dport))
		return false;
	store_be16((uint8_t *)&ret_k->sport, sport);
	store_be16((uint8_t *)&ret_k->dport, dport);
	return true;
}

/* What stands behind the key. */
static bool read_rest(struct words *w, struct way_line *l)
{
	struct word none;
	uint64_t which;

	switch (l->kind) {
	case WAY_LINE_SET:
	case WAY_LINE_HAVE:
		which = ALL(way_fields);
		return fields_read(w, way_fields, ARRAY_LEN(way_fields), &l->way, &which) &&
		       which & 1;
	case WAY_LINE_AMEND:
		which = AMENDS;
		return fields_read(w, way_fields, ARRAY_LEN(way_fields), &l->way, &which);
	case WAY_LINE_SEEN:
		which = ALL(seen_fields);
		return fields_read(w, seen_fields, ARRAY_LEN(seen_fields), l, &which) &&
		       which == ALL(seen_fields);
	case WAY_LINE_EVENT:
		which = ALL(event_fields);
		return fields_read(w, event_fields, ARRAY_LEN(event_fields), l, &which) &&
		       which == ALL(event_fields);
	case WAY_LINE_DEL:
	case WAY_LINE_LOOK:
	case WAY_LINE_LIST:
	case WAY_LINE_NONE:
	case WAY_LINE_END:
	case WAY_LINE_DESTROY:
		return !words_next(w, &none) && !w->bad;
	}
	return false;
}

int way_line_read(const char *text, size_t len, struct way_line *ret_l)
{
	struct words w = words_of(text, len);
	struct way_line l;
	struct word word;
	int i;

	memset(&l, 0, sizeof l); /* padding too: lines are compared as bytes */
	if (len > WAY_LINE_MAX || !words_next(&w, &word))
		return -EINVAL;
	i = word_among(&word, verbs, ARRAY_LEN(verbs));
	if (i < 0)
		return -EINVAL;
	l.kind = (enum way_line_kind)i;
	if (l.kind == WAY_LINE_EVENT) {
		if (!words_next(&w, &word))
			return -EINVAL;
		i = word_among(&word, event_names, ARRAY_LEN(event_names));
		if (i < 0)
			return -EINVAL;
		l.event.kind = (way_u32)i;
	}
	if (l.kind != WAY_LINE_LIST && l.kind != WAY_LINE_END &&
	    !read_key(&w, l.kind == WAY_LINE_EVENT ? &l.event.key : &l.key))
		return -EINVAL;
	if (!read_rest(&w, &l))
		return -EINVAL;
	*ret_l = l;
	return 0;
}
