/* SPDX-License-Identifier: MIT */
#include "script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/counters.h"

/* Reading one file. */
struct reader {
	struct script *s;
	struct fault *f;
	bool *placed; /* f says where already */
	struct lex l;
	const char *path;
	unsigned no;
	sut_time at; /* of the last line that had one */
	const char *text;
};

static bool parse_end(struct lex *l, uint8_t addr[16], uint16_t *ret_port, bool *ret_ip6)
{
	bool bracket = lex_sym(l, "[");
	uint64_t port;

	if (!addr_parse(l, addr, ret_ip6) || (bracket && !lex_sym(l, "]")) || !lex_sym(l, ":") ||
	    !lex_num_max(l, 65535, &port))
		return false;
	*ret_port = (uint16_t)port;
	return true;
}

/* "[NAME] A:port > B:port [vlan N [N]]" */
static bool define_conn(struct reader *r)
{
	struct conn *c = &r->s->conn[r->s->nconns];
	struct lex was = r->l;
	bool ip6 = false;
	uint64_t n;

	if (r->s->nconns == SCRIPT_CONNS_MAX)
		return fault_say(r->f, "more than %d flows", SCRIPT_CONNS_MAX);
	if (!parse_end(&r->l, c->addr[0], &c->port[0], &c->ip6)) {
		r->l = was;
		if (!lex_name(&r->l, c->name, sizeof c->name) ||
		    !parse_end(&r->l, c->addr[0], &c->port[0], &c->ip6))
			return fault_say(r->f, "flow [NAME] ADDRESS:PORT > ADDRESS:PORT");
	}
	if (!lex_sym(&r->l, ">") || !parse_end(&r->l, c->addr[1], &c->port[1], &ip6) ||
	    ip6 != c->ip6)
		return fault_say(r->f, "bad second end at \"%s\"", r->l.p);
	if (lex_word(&r->l, "vlan"))
		while (c->vlans < 2 && lex_num_max(&r->l, 4094, &n))
			c->vlan[c->vlans++] = (uint16_t)n;
	r->s->nconns++;
	return true;
}

static struct line *new_line(struct reader *r, enum line_kind kind)
{
	struct script *s = r->s;
	struct line *l;

	if (s->nlines % 64 == 0) {
		l = realloc(s->line, (s->nlines + 64) * sizeof *l);
		if (!l)
			abort();
		s->line = l;
	}
	l = &s->line[s->nlines++];
	memset(l, 0, sizeof *l);
	l->kind = kind;
	l->path = r->path;
	l->no = r->no;
	l->at = r->at;
	l->text = strdup(r->text);
	return l;
}

/* "NAME:" or nothing. */
static bool parse_conn(struct reader *r, unsigned *ret_conn)
{
	struct lex was = r->l;
	char name[CONN_NAME_MAX] = "";

	if (!lex_name(&r->l, name, sizeof name) || !lex_sym(&r->l, ":")) {
		r->l = was;
		name[0] = '\0';
	}
	for (unsigned i = 0; i < r->s->nconns; i++)
		if (strcmp(r->s->conn[i].name, name) == 0) {
			*ret_conn = i;
			return true;
		}
	if (name[0] == '\0' && r->s->nconns > 0) {
		*ret_conn = 0;
		return true;
	}
	return fault_say(r->f, name[0] ? "no flow \"%s\"" : "no flow was defined%s", name);
}

/* Does a word hold a name, or is it "*"? */
static bool number_word(const char *s)
{
	return *s == '*' || memchr(s, '$', strcspn(s, " \t")) != NULL;
}

/* "[NAME:] WORD..." or "[NAME:] none" */
static bool assert_flow(struct reader *r)
{
	struct line *l = new_line(r, LINE_FLOW);

	if (!parse_conn(r, &l->conn))
		return false;
	if (lex_word(&r->l, "none"))
		return l->none = true;
	while (!lex_end(&r->l)) {
		struct word *w = &l->word[l->nwords];

		if (l->nwords++ == SCRIPT_WORDS_MAX)
			return fault_say(r->f, "more than %d words", SCRIPT_WORDS_MAX);
		w->is_value = number_word(r->l.p);
		if (w->is_value ? !value_parse(&r->l, &r->s->names, &w->v, r->f)
				: !lex_token(&r->l, w->text, sizeof w->text))
			return fault_say(r->f, "bad word at \"%s\"", r->l.p);
	}
	return l->nwords > 0 || fault_say(r->f, "a state is missing");
}

static bool flow_line(struct reader *r)
{
	return strstr(r->l.p, " > ") ? define_conn(r) : assert_flow(r);
}

/* The index of a label in a list, or -1. */
static int find_label(const char *(*label)(unsigned), unsigned n, const char *s)
{
	for (unsigned i = 0; i < n; i++)
		if (strcmp(label(i), s) == 0)
			return (int)i;
	return -1;
}

static const char *reason_at(unsigned i)
{
	return reason_label((enum reason)i);
}

static const char *event_at(unsigned i)
{
	return event_label((enum event)i);
}

static bool count_line(struct reader *r)
{
	struct line *l = new_line(r, LINE_COUNT);
	char name[48];

	l->count = lex_word(&r->l, "drop")   ? COUNT_DROP
		   : lex_word(&r->l, "pass") ? COUNT_PASS
					     : COUNT_EVENT;
	l->index = -1;
	if (l->count == COUNT_DROP && lex_num(&r->l, &l->n))
		return true;
	if (!lex_name(&r->l, name, sizeof name))
		return fault_say(r->f, "a label is missing");
	l->index = l->count == COUNT_EVENT ? find_label(event_at, SUT_EVENT_COUNT, name)
					   : find_label(reason_at, SUT_REASON_COUNT, name);
	if (l->index < 0)
		return fault_say(r->f, "no counter \"%s\"", name);
	return lex_num(&r->l, &l->n) || fault_say(r->f, "a number is missing");
}

/* "a, b and c" */
static const char *list_ports(const struct port_desc *ports, char *s, size_t size)
{
	size_t n = 0;

	for (unsigned i = 0; ports[i].name && n < size; i++)
		n += (size_t)snprintf(s + n, size - n, "%s%s",
				      i == 0		  ? ""
				      : ports[i + 1].name ? ", "
							  : " and ",
				      ports[i].name);
	return s;
}

static bool parse_port(struct reader *r, unsigned *ret_port)
{
	const struct port_desc *ports = r->s->role->ops->ports;
	char names[200];

	for (unsigned i = 0; i < SCRIPT_PORTS && ports[i].name; i++)
		if (lex_word(&r->l, ports[i].name)) {
			*ret_port = i;
			return true;
		}
	return fault_say(r->f, "no port at \"%s\": role %s has %s", r->l.p, r->s->role->name,
			 list_ports(ports, names, sizeof names));
}

/* Who sends what comes in (in true) or goes out at this port. */
static enum conn_dir direction(const struct role_kind *k, unsigned port, bool in)
{
	const char *way = k->ways ? k->ways[port] : port == 0 ? "sd" : "ds";

	return way[!in] == 's' ? FROM_SOURCE : FROM_DESTINATION;
}

static bool is_messages(const struct reader *r, unsigned port)
{
	return r->s->role->ops->ports[port].kind != PORT_FRAMES;
}

/* "PORT >|<" */
static bool parse_way(struct reader *r, struct line *l, bool *ret_in)
{
	if (!parse_port(r, &l->port))
		return false;
	*ret_in = lex_sym(&r->l, ">");
	if (!*ret_in && !lex_sym(&r->l, "<"))
		return fault_say(r->f, "\">\" or \"<\" is missing at \"%s\"", r->l.p);
	if (!(r->s->joined >> l->port & 1))
		return fault_say(r->f, "port %s is not joined: \"join %s\" comes first",
				 r->s->role->ops->ports[l->port].name,
				 r->s->role->ops->ports[l->port].name);
	l->dir = direction(r->s->role, l->port, *ret_in);
	return true;
}

/* "isn PORT >|< [NAME:] N" */
static bool isn_line(struct reader *r)
{
	struct line *l = new_line(r, LINE_ISN);
	bool in;

	return parse_way(r, l, &in) &&
	       (!is_messages(r, l->port) || fault_say(r->f, "no stream at a port of messages")) &&
	       parse_conn(r, &l->conn) && value_parse(&r->l, &r->s->names, &l->isn, r->f);
}

static bool parse_time(struct reader *r)
{
	bool relative = lex_sym(&r->l, "+");
	sut_time t;

	if (!lex_time(&r->l, &t))
		return fault_say(r->f, "not a line of a script: \"%s\"", r->text);
	if (relative)
		t += r->at;
	if (t < r->at)
		return fault_say(r->f, "times go back");
	r->at = t;
	return true;
}

/* Puts the bytes that \n and \\ stand for in their place; returns the length, or -1. */
static int unescape(char *s)
{
	char *to = s;

	for (const char *from = s; *from; from++) {
		if (*from != '\\') {
			*to++ = *from;
			continue;
		}
		from++;
		if (*from != 'n' && *from != '\\')
			return -1;
		*to++ = *from == 'n' ? '\n' : '\\';
	}
	*to = '\0';
	return (int)(to - s);
}

/* "TEXT" or "TEXT"... */
static bool parse_message(struct reader *r, struct line *l)
{
	char text[SCRIPT_MESSAGE_MAX];
	int n = -1;

	if (lex_string(&r->l, text, sizeof text))
		n = unescape(text);
	if (n < 0)
		return fault_say(r->f, "a message is text in quotes, with \\n and \\\\, at \"%s\"",
				 r->l.p);
	l->message = strdup(text);
	l->message_len = (size_t)n;
	l->message_open = l->kind == LINE_OUT && lex_sym(&r->l, "...");
	return true;
}

static bool timed_line(struct reader *r)
{
	struct line *l;
	bool in;

	if (!parse_time(r))
		return false;
	l = new_line(r, LINE_WAIT);
	if (lex_word(&r->l, "wait"))
		return true;
	if (lex_word(&r->l, "restart")) {
		l->kind = LINE_RESTART;
		l->empty = lex_word(&r->l, "empty");
		return true;
	}
	if (lex_word(&r->l, "reload")) {
		l->kind = LINE_RELOAD;
		l->refused = lex_word(&r->l, "refused");
		return parse_message(r, l);
	}
	if (!parse_way(r, l, &in))
		return false;
	l->kind = in ? LINE_IN : LINE_OUT;
	if (is_messages(r, l->port))
		return parse_message(r, l);
	if (lex_sym(&r->l, "rev "))
		l->dir = (enum conn_dir) !l->dir;
	l->seg = calloc(1, sizeof *l->seg);
	return parse_conn(r, &l->conn) && seg_parse(&r->l, &r->s->names, l->seg, r->f);
}

static bool role_line(struct reader *r)
{
	struct script *s = r->s;

	if (s->role_name[0] || !lex_name(&r->l, s->role_name, sizeof s->role_name))
		return fault_say(r->f, "one role, please");
	s->role = role_find(s->role_name);
	if (!s->role)
		return true;
	s->config = calloc(1, s->role->config_size);
	s->role->defaults(s->config);
	for (unsigned i = 0; s->role->ops->ports[i].name; i++) {
		const struct port_desc *d = &s->role->ops->ports[i];

		if (!d->optional || (d->kind != PORT_FRAMES && strcmp(d->name, "control") == 0))
			s->joined |= (uint32_t)1 << i;
	}
	return true;
}

static bool is_begun(const struct script *s)
{
	for (unsigned i = 0; i < s->nlines; i++)
		if (s->line[i].kind == LINE_IN)
			return true;
	return false;
}

/* "join PORT..." */
static bool join_line(struct reader *r)
{
	unsigned port;

	if (is_begun(r->s))
		return fault_say(r->f, "ports are joined before the first packet");
	do {
		if (!parse_port(r, &port))
			return false;
		r->s->joined |= (uint32_t)1 << port;
	} while (!lex_end(&r->l));
	return true;
}

static bool set_line(struct reader *r)
{
	char key[48], text[96];

	if (!lex_name(&r->l, key, sizeof key))
		return fault_say(r->f, "set KEY VALUE");
	lex_end(&r->l);
	snprintf(text, sizeof text, "%s", r->l.p);
	r->l.p += strlen(r->l.p);
	if (is_begun(r->s))
		return fault_say(r->f, "settings come before the first packet");
	return role_set(r->s->role, r->s->config, key, text, r->f);
}

static bool read_file(struct reader *r);

/* "include FILE": as if its lines stood here; FILE is in the same folder. */
static bool include_line(struct reader *r)
{
	struct reader inner = *r;
	const char *slash = strrchr(r->path, '/');
	int folder = slash ? (int)(slash - r->path + 1) : 0;
	char name[64], path[1024];

	if (!lex_token(&r->l, name, sizeof name) || r->s->nfiles == SCRIPT_FILES_MAX)
		return fault_say(r->f, "include FILE, not more than %d", SCRIPT_FILES_MAX);
	snprintf(path, sizeof path, "%.*s%s", folder, r->path, name);
	inner.path = r->s->file[r->s->nfiles++] = strdup(path);
	inner.no = 0;
	if (!read_file(&inner))
		return false;
	r->at = inner.at;
	return true;
}

static bool one_line(struct reader *r)
{
	if (lex_end(&r->l))
		return true;
	if (lex_word(&r->l, "fails"))
		return lex_string(&r->l, r->s->fails, sizeof r->s->fails) ||
		       fault_say(r->f, "fails \"TEXT\"");
	if (lex_word(&r->l, "role"))
		return role_line(r);
	if (lex_word(&r->l, "include"))
		return include_line(r);
	if (!r->s->role)
		return fault_say(r->f, "\"role NAME\" comes first");
	if (lex_word(&r->l, "set"))
		return set_line(r);
	if (lex_word(&r->l, "join"))
		return join_line(r);
	if (lex_word(&r->l, "flow"))
		return flow_line(r);
	if (lex_word(&r->l, "count"))
		return count_line(r);
	if (lex_word(&r->l, "isn"))
		return isn_line(r);
	return timed_line(r);
}

/*
 * Ends the line at its newline or comment ('#' at the start or behind a blank, outside of
 * quotes).
 */
static void cut_comment(char *s)
{
	bool quoted = false;

	for (char *c = s; *c; c++) {
		quoted ^= *c == '"';
		if (*c == '\n' ||
		    (*c == '#' && !quoted && (c == s || c[-1] == ' ' || c[-1] == '\t'))) {
			*c = '\0';
			return;
		}
	}
}

static bool read_lines(struct reader *r, FILE *in)
{
	char buf[8192];

	while (fgets(buf, sizeof buf, in)) {
		r->no++;
		cut_comment(buf);
		r->l.p = buf;
		lex_end(&r->l);
		r->text = r->l.p;
		if (!one_line(r))
			return false;
		if (!r->s->role && r->s->role_name[0])
			return true;
		if (!lex_end(&r->l))
			return fault_say(r->f, "what is this: \"%s\"", r->l.p);
	}
	return true;
}

/* Puts "path:line: " in front of the first fault. */
static bool blame(const struct reader *r)
{
	char text[sizeof r->f->text];

	if (*r->placed)
		return false;
	*r->placed = true;
	memcpy(text, r->f->text, sizeof text);
	r->f->set = false;
	return fault_say(r->f, "%s:%u: %s", r->path, r->no, text);
}

static bool read_file(struct reader *r)
{
	FILE *in = fopen(r->path, "r");
	bool ok;

	if (!in)
		return fault_say(r->f, "%s cannot be opened", r->path);
	ok = read_lines(r, in);
	fclose(in);
	return ok || blame(r);
}

static bool config_fits(struct reader *r)
{
	const struct role_kind *k = r->s->role;

	if (!k)
		return true;
	if (k->flows)
		k->flows(r->s->config, r->s->conn, r->s->nconns);
	return k->ops->need(r->s->config) != 0 ||
	       fault_say(r->f, "the settings are impossible: %s",
			 k->error ? k->error(r->s->config) : "?");
}

bool script_read(const char *path, struct script *ret_s, struct fault *f)
{
	struct fault inner = { 0 };
	bool placed = false;
	struct reader r = { .s = ret_s, .f = &inner, .placed = &placed, .path = path };

	memset(ret_s, 0, sizeof *ret_s);
	ret_s->path = path;
	if (!read_file(&r))
		return fault_say(f, "%s", inner.text);
	if (!ret_s->role_name[0])
		return fault_say(f, "%s: no role", path);
	return config_fits(&r) || fault_say(f, "%s: %s", path, inner.text);
}

void script_free(struct script *s)
{
	for (unsigned i = 0; i < s->nlines; i++) {
		free(s->line[i].text);
		free(s->line[i].message);
		if (s->line[i].seg)
			seg_free(s->line[i].seg);
		free(s->line[i].seg);
	}
	for (unsigned i = 0; i < s->nfiles; i++)
		free(s->file[i]);
	free(s->line);
	free(s->config);
}
