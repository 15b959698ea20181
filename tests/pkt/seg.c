/* SPDX-License-Identifier: MIT */
#include "seg.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "opt.h"
#include "proto/tcp.h"

static const struct {
	char c;
	uint8_t flag;
} flag_chars[] = {
	{ 'S', TCP_SYN }, { 'F', TCP_FIN }, { 'R', TCP_RST }, { 'P', TCP_PSH },
	{ '.', TCP_ACK }, { 'U', TCP_URG }, { 'E', TCP_ECE }, { 'W', TCP_CWR },
};

static bool parse_flags(struct lex *l, uint8_t *ret_flags, struct fault *f)
{
	char word[16];
	uint8_t flags = 0;

	if (!lex_token(l, word, sizeof word))
		return fault_say(f, "a packet is missing");
	if (strcmp(word, "none") == 0) {
		*ret_flags = 0;
		return true;
	}
	for (const char *c = word; *c; c++) {
		size_t i = 0;

		while (i < 8 && flag_chars[i].c != *c)
			i++;
		if (i == 8)
			return fault_say(
				f, "\"%s\" is no packet: flags are of SFRPUEW. or \"none\"", word);
		flags |= flag_chars[i].flag;
	}
	*ret_flags = flags;
	return true;
}

/* "(N)" or "(*)" */
static bool parse_len(struct lex *l, struct seg *g, struct fault *f)
{
	uint64_t n = 0;

	if (!lex_sym(l, "("))
		return fault_say(f, "\"(length)\" is missing at \"%s\"", l->p);
	g->len_any = lex_sym(l, "*");
	if ((!g->len_any && !lex_num_max(l, 65535, &n)) || !lex_sym(l, ")"))
		return fault_say(f, "bad length at \"%s\"", l->p);
	g->len = (uint32_t)n;
	return true;
}

/* "first:last(len)", "*", "*(len)", each with an optional "seq" before it. */
static bool parse_range(struct lex *l, struct names *names, struct seg *g, struct fault *f)
{
	lex_word(l, "seq");
	if (lex_sym(l, "*")) {
		g->range_any = g->len_any = true;
		return *l->p != '(' || parse_len(l, g, f);
	}
	if (!value_parse(l, names, &g->seq, f))
		return false;
	if (!lex_sym(l, ":"))
		return fault_say(f, "\":last(length)\" is missing at \"%s\"", l->p);
	return value_parse(l, names, &g->end, f) && parse_len(l, g, f);
}

static bool parse_options(struct lex *l, struct names *names, struct seg *g, struct fault *f)
{
	if (lex_sym(l, "*>")) {
		g->opts = OPTS_ANY;
		return true;
	}
	if (lex_sym(l, "~"))
		g->opts = OPTS_LOOSE;
	do {
		if (g->nopts == SEG_OPTS_MAX)
			return fault_say(f, "more than %d options", SEG_OPTS_MAX);
		if (!opt_parse(l, names, &g->opt[g->nopts++], f))
			return false;
	} while (lex_sym(l, ","));
	return lex_sym(l, ">") || fault_say(f, "\",\" or \">\" is missing at \"%s\"", l->p);
}

static bool parse_fields(struct lex *l, struct names *names, struct seg *g, struct fault *f)
{
	for (;;) {
		if (lex_sym(l, "...")) {
			g->rest_any = true;
		} else if (lex_word(l, "ack")) {
			g->has_ack = true;
			if (!value_parse(l, names, &g->ack, f))
				return false;
		} else if (lex_word(l, "win")) {
			g->has_win = true;
			if (!value_parse(l, names, &g->win, f))
				return false;
		} else if (lex_word(l, "urg")) {
			g->has_urg = true;
			if (!value_parse(l, names, &g->urg, f))
				return false;
		} else if (lex_sym(l, "<")) {
			if (!parse_options(l, names, g, f))
				return false;
		} else {
			return true;
		}
	}
}

static bool parse_tcp(struct lex *l, struct names *names, struct seg *g, struct fault *f)
{
	if (!parse_flags(l, &g->flags, f) || !parse_range(l, names, g, f) ||
	    !parse_fields(l, names, g, f))
		return false;
	/* A SYN may carry the field without the flag: nobody looks at it but whom it is for. */
	if (g->has_ack && !(g->flags & (TCP_ACK | TCP_SYN)))
		return fault_say(f, "\"ack\" without the flag \".\"");
	if (!g->has_ack && (g->flags & TCP_ACK) && !g->rest_any)
		return fault_say(f, "flag \".\" without \"ack N\"");
	if (!g->has_win && !g->rest_any)
		return fault_say(f, "\"win N\" is missing");
	return true;
}

static bool bad_mark(const struct lex *l, struct fault *f)
{
	return fault_say(f, "unknown or bad mark at \"[%s\"", l->p);
}

static bool mark_vlan(struct lex *l, struct seg_marks *m)
{
	uint64_t n;

	m->vlan_set = true;
	m->vlans = 0;
	if (lex_word(l, "none"))
		return true;
	while (m->vlans < 2 && lex_num_max(l, 4094, &n))
		m->vlan[m->vlans++] = (uint16_t)n;
	return m->vlans > 0;
}

static bool mark_ext(struct lex *l, struct seg_marks *m)
{
	static const struct {
		const char *name;
		uint8_t next;
	} exts[] = {
		{ "hop", 0 },
		{ "route", 43 },
		{ "dst", 60 },
	};

	for (;;) {
		size_t i = 0;

		while (i < 3 && !lex_word(l, exts[i].name))
			i++;
		if (i == 3)
			return m->exts > 0;
		if (m->exts == sizeof m->ext)
			return false;
		m->ext[m->exts++] = exts[i].next;
	}
}

static bool mark_raw(struct lex *l, struct seg_marks *m)
{
	size_t n;

	if (!lex_hex(l, m->raw, sizeof m->raw, &n) || n % 4 != 0)
		return false;
	m->raw_len = (uint8_t)n;
	return m->raw_set = true;
}

/* Backslash and r, and backslash and n, are what they are in C. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] != 0)
			s++, *to++ = (char)(*s == 'r' ? '\r' : *s == 'n' ? '\n' : *s);
		else
			*to++ = *s;
	}
	*to = 0;
}

static bool mark_payload(struct lex *l, struct seg_marks *m)
{
	if (lex_sym(l, "*")) {
		m->payload = PAYLOAD_ANY;
		return true;
	}
	m->payload = PAYLOAD_TEXT;
	if (!lex_string(l, m->text, sizeof m->text))
		return false;
	unescape(m->text);
	return true;
}

static bool mark_num(struct lex *l, const char *word, uint64_t max, uint16_t *ret_n)
{
	struct lex was = *l;
	uint64_t n;

	if (!lex_word(l, word) || !lex_num_max(l, max, &n)) {
		*l = was;
		return false;
	}
	*ret_n = (uint16_t)n;
	return true;
}

static bool mark_frag(struct lex *l, struct seg_marks *m)
{
	m->frag = lex_word(l, "first") ? FRAG_FIRST : lex_word(l, "later") ? FRAG_LATER : FRAG_NONE;
	return m->frag != FRAG_NONE;
}

static bool mark_bad(struct lex *l, struct seg_marks *m)
{
	bool *flag = lex_word(l, "ip") ? &m->bad_ip_csum : &m->bad_csum;

	lex_word(l, "tcp");
	return *flag = lex_word(l, "cksum");
}

/* Those that are a word alone. */
static bool mark_flag(struct lex *l, struct seg_marks *m)
{
	const struct {
		const char *name;
		bool *flag;
	} flags[] = {
		{ "partial", &m->partial }, { "stray", &m->stray }, { "pad", &m->pad },
		{ "ipopt", &m->ipopt },	    { "df", &m->df },
	};

	for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
		if (lex_word(l, flags[i].name))
			return *flags[i].flag = true;
	return false;
}

static bool parse_mark(struct lex *l, struct seg_marks *m)
{
	uint16_t n;

	if (mark_flag(l, m))
		return true;
	if (lex_word(l, "bad"))
		return mark_bad(l, m);
	if (lex_word(l, "vlan"))
		return mark_vlan(l, m);
	if (lex_word(l, "ext"))
		return mark_ext(l, m);
	if (lex_word(l, "raw"))
		return mark_raw(l, m);
	if (lex_word(l, "payload"))
		return mark_payload(l, m);
	if (lex_word(l, "frag"))
		return mark_frag(l, m);
	if (mark_num(l, "ttl", 255, &n)) {
		m->ttl = (uint8_t)n;
		return true;
	}
	if (mark_num(l, "tos", 255, &n)) {
		m->tos = (uint8_t)n;
		return true;
	}
	return mark_num(l, "gso", 65535, &m->gso) || mark_num(l, "cut", 65535, &m->cut) ||
	       mark_num(l, "quote", 65535, &m->quote);
}

static bool parse_marks(struct lex *l, struct seg *g, struct fault *f)
{
	g->m.ttl = 64;
	while (lex_sym(l, "[")) {
		struct lex was = *l;

		if (!parse_mark(l, &g->m) || !lex_sym(l, "]"))
			return bad_mark(&was, f);
	}
	g->m.partial |= g->m.gso != 0;
	if (g->m.payload == PAYLOAD_TEXT && g->len != strlen(g->m.text))
		return fault_say(f, "the payload's text has %zu bytes, the length says %u",
				 strlen(g->m.text), g->len);
	return lex_end(l) || fault_say(f, "what is this: \"%s\"", l->p);
}

static bool parse_icmp_what(struct lex *l, struct names *names, struct seg *g, struct fault *f)
{
	static const char *const why[] = { "net", "host", "proto", "port", "admin" };

	if (lex_word(l, "too-big")) {
		g->icmp = SI_TOO_BIG;
		return value_parse(l, names, &g->mtu, f);
	}
	if (lex_word(l, "time") || lex_word(l, "echo")) {
		g->icmp = l->p[-1] == 'e' ? SI_TIME : SI_ECHO;
		return true;
	}
	if (lex_word(l, "quench") || lex_word(l, "param")) {
		g->icmp = l->p[-1] == 'h' ? SI_QUENCH : SI_PARAM;
		return true;
	}
	if (lex_word(l, "reply")) {
		g->icmp = SI_REPLY;
		return true;
	}
	if (!lex_word(l, "unreachable"))
		return fault_say(
			f,
			"icmp unreachable, too-big, time, param, quench, echo or reply is missing");
	g->icmp = SI_UNREACHABLE;
	for (unsigned i = 0; i < 5; i++)
		if (lex_word(l, why[i])) {
			g->unreach = (enum seg_unreach)i;
			return true;
		}
	return fault_say(f, "unreachable net, host, proto, port or admin is missing");
}

static bool parse_icmp(struct lex *l, struct names *names, struct seg *g, struct fault *f)
{
	if (lex_word(l, "from")) {
		g->from_set = true;
		if (!addr_parse(l, g->from, &g->from_ip6))
			return fault_say(f, "bad address at \"%s\"", l->p);
	}
	if (!parse_icmp_what(l, names, g, f))
		return false;
	if (g->icmp == SI_ECHO || g->icmp == SI_REPLY)
		return true;
	if (!lex_word(l, "quoting"))
		return fault_say(f, "\"quoting PACKET\" is missing at \"%s\"", l->p);
	g->quote = calloc(1, sizeof *g->quote);
	if (!g->quote)
		return fault_say(f, "out of memory");
	g->quote->kind = SEG_TCP;
	g->quote->m.ttl = 64;
	return parse_tcp(l, names, g->quote, f);
}

static bool parse_frame(struct lex *l, struct seg *g, struct fault *f)
{
	size_t n;

	g->bytes = malloc(2048);
	if (!g->bytes || !lex_hex(l, g->bytes, 2048, &n))
		return fault_say(f, "bad bytes, or more than 2048, at \"%s\"", l->p);
	g->len = (uint32_t)n;
	return true;
}

bool seg_parse(struct lex *l, struct names *names, struct seg *ret_g, struct fault *f)
{
	uint64_t n;
	bool ok;

	memset(ret_g, 0, sizeof *ret_g);
	if (lex_word(l, "arp")) {
		ret_g->kind = SEG_ARP;
		ok = true;
	} else if (lex_word(l, "udp")) {
		ret_g->kind = SEG_UDP;
		ok = lex_num_max(l, 1472, &n) || fault_say(f, "\"udp LENGTH\", at most 1472");
		ret_g->len = ok ? (uint32_t)n : 0;
	} else if (lex_word(l, "icmp")) {
		ret_g->kind = SEG_ICMP;
		ok = parse_icmp(l, names, ret_g, f);
	} else if (lex_word(l, "frame")) {
		ret_g->kind = SEG_FRAME;
		ok = parse_frame(l, ret_g, f);
	} else {
		ret_g->kind = SEG_TCP;
		ok = parse_tcp(l, names, ret_g, f);
	}
	return ok && parse_marks(l, ret_g, f);
}

void seg_free(struct seg *g)
{
	free(g->bytes);
	free(g->quote);
	g->bytes = NULL;
	g->quote = NULL;
}

bool addr_parse(struct lex *l, uint8_t ret_addr[16], bool *ret_ip6)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	char s[48];
	uint8_t a[16];
	size_t n;

	lex_end(l);
	n = strspn(l->p, "0123456789abcdefABCDEF:.");
	if (n == 0 || n >= sizeof s)
		return false;
	memcpy(s, l->p, n);
	s[n] = '\0';
	if (inet_pton(AF_INET6, s, a) == 1) {
		*ret_ip6 = true;
	} else {
		char *colon = strchr(s, ':'); /* "192.0.2.1:80" */

		if (colon)
			*colon = '\0';
		n = strlen(s);
		if (inet_pton(AF_INET, s, a + 12) != 1)
			return false;
		memcpy(a, mapped, sizeof mapped);
		*ret_ip6 = false;
	}
	memcpy(ret_addr, a, sizeof a);
	l->p += n;
	return true;
}

static bool opts_known(const struct seg *g, const struct vars *vars)
{
	for (unsigned i = 0; i < g->nopts; i++) {
		const struct seg_opt *o = &g->opt[i];

		if (!value_known(&o->a, vars) || !value_known(&o->b, vars))
			return false;
		for (unsigned k = 0; k < o->blocks; k++)
			if (!value_known(&o->edge[k][0], vars) ||
			    !value_known(&o->edge[k][1], vars))
				return false;
	}
	return true;
}

bool seg_known(const struct seg *g, const struct vars *vars)
{
	return value_known(&g->seq, vars) && value_known(&g->end, vars) &&
	       value_known(&g->ack, vars) && value_known(&g->win, vars) &&
	       value_known(&g->urg, vars) && value_known(&g->mtu, vars) && opts_known(g, vars) &&
	       (!g->quote || seg_known(g->quote, vars));
}
