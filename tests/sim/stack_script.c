/* SPDX-License-Identifier: MIT */
#include "stack_script.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proto/checksum.h"
#include "proto/ip.h"
#include "proto/print.h"
#include "stack_world.h"

/*
 * Theory of operation
 *
 * The script's role has the settings of the host, `seed` the host's dice, and `flush-calls`: so it does the same at the same points
 * as the host did.  Its time begins with the world's.  Each connection is a flow c0, c1..., with the host at its
 * destination; those that reuse ports share the flow of the first one.
 *
 * Numbers of the host's own are relative to a name for its ISN ($I0 for c0, $I0b for its next one): the name gets its value in the SYN.
 * So are its timestamps, to the first one ($T0).  The peers' numbers are as they were.  What was damaged on its way and dropped is left out.
 */

static const char *yes(bool b)
{
	return b ? "yes" : "no";
}

/* The flow of a connection: that of the first one on its ports. */
static unsigned flow_of(const struct stack_plan *p, unsigned conn)
{
	while (conn > 0 && conn < p->conns && p->conn[conn].reuses)
		conn--;
	return conn;
}

static void print_settings(const struct stack_config *c, const struct stack_world *w, unsigned side)
{
	printf("set seed %" PRIu64 "\nset start %" PRIu64
	       "us\nset flush-calls yes\nset events none\n",
	       w->p->seed ^ (0xaaaa + side), (uint64_t)(RUN_FIRST / 1000));
	printf("set mtu %u\nset max-conns %u\nset max-half-open %u\nset cells %u\nset records %u\n",
	       c->mtu, c->max_conns, c->max_half_open, c->cells, c->records);
	printf("set sndbuf %u\nset rcvbuf %u\nset max-ofo %u\nset gso-max %u\n", c->sndbuf,
	       c->rcvbuf, c->max_ofo, c->gso_max);
	printf("set csum-offload %s\nset tso %s\n", yes(c->offload & STACK_OFFLOAD_CSUM),
	       yes(c->offload & STACK_OFFLOAD_TSO));
	printf("set timestamps %s\nset sack %s\nset wscale %s\nset ecn %s\nset fastopen %s\n",
	       yes(!c->no_timestamps), yes(!c->no_sack), yes(!c->no_wscale), yes(c->ecn),
	       yes(c->fastopen));
	printf("set cc %s\nset msl %" PRIu64 "us\nset fin-wait-2 %" PRIu64 "us\n",
	       c->cc == STACK_CUBIC ? "cubic" : "newreno", (uint64_t)(c->msl / 1000),
	       (uint64_t)(c->linger_fin_wait_2 / 1000));
}

static void print_end(unsigned ip, unsigned host, unsigned port)
{
	if (ip == 6)
		printf("[2001:db8::%u]:%u", host, port);
	else
		printf("192.0.2.%u:%u", host, port);
}

static void print_flow(const struct stack_plan *p, unsigned i, unsigned side)
{
	struct stack_addr end[2];

	stack_plan_ends(p, i, end);
	printf("flow c%u ", i);
	print_end(p->conn[i].ip, 1, end[!side].port);
	printf(" > ");
	print_end(p->conn[i].ip, 2, end[side].port);
	printf("\n");
}

void stack_script_begin(struct stack_world *w, unsigned which)
{
	if (which == SCRIPT_NONE)
		return;
	w->script.w = w;
	w->script.side = which == SCRIPT_SERVER;
	printf("# seed %" PRIu64 " of the simulator, role %s: its %s\nrole stack\n", w->p->seed,
	       w->p->role->name, w->script.side ? "server" : "client");
	print_settings(&w->p->host[w->script.side], w, w->script.side);
	for (unsigned i = 0; i < w->p->conns; i++)
		if (flow_of(w->p, i) == i)
			print_flow(w->p, i, w->script.side);
	printf("\n");
}

static bool silent(const struct stack_world *w, unsigned side)
{
	return !w->script.w || w->script.side != side;
}

static void print_time(const struct stack_world *w)
{
	printf("%" PRIu64 "us ", (uint64_t)((w->run.now - RUN_FIRST) / 1000));
}

/* --- calls */

static void print_app(const struct stack_world *w, unsigned conn, char dir)
{
	print_time(w);
	printf("app %c \"", dir);
	if (conn < w->p->conns)
		printf("c%u: ", flow_of(w->p, conn));
	else if (dir == '<') /* answers of none are the first flow's */
		printf("c0: ");
}

void stack_script_call(struct stack_world *w, unsigned side, unsigned conn, const char *fmt, ...)
{
	va_list ap;

	w->calls++;
	if (silent(w, side))
		return;
	w->script.pending = true;
	print_app(w, conn, '>');
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\"\n");
}

static const char *error_name(long e)
{
	static const struct {
		int e;
		const char *name;
	} names[] = {
		{ EAGAIN, "EAGAIN" },
		{ EBADF, "EBADF" },
		{ EINVAL, "EINVAL" },
		{ ENOSPC, "ENOSPC" },
		{ EPIPE, "EPIPE" },
		{ ENOTCONN, "ENOTCONN" },
		{ EISCONN, "EISCONN" },
		{ EADDRINUSE, "EADDRINUSE" },
		{ EHOSTUNREACH, "EHOSTUNREACH" },
		{ ECONNREFUSED, "ECONNREFUSED" },
		{ ECONNRESET, "ECONNRESET" },
		{ ECONNABORTED, "ECONNABORTED" },
		{ ETIMEDOUT, "ETIMEDOUT" },
		{ ENOBUFS, "ENOBUFS" },
		{ ENOMEM, "ENOMEM" },
		{ EOPNOTSUPP, "EOPNOTSUPP" },
	};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (names[i].e == e)
			return names[i].name;
	return "?";
}

void stack_script_answer(struct stack_world *w, unsigned side, unsigned conn, long result,
			 bool with_number)
{
	if (silent(w, side))
		return;
	print_app(w, conn, '<');
	if (result < 0)
		printf("error %s\"\n", error_name(-result));
	else if (with_number)
		printf("ok %ld\"\n", result);
	else
		printf("ok\"\n");
}

void stack_script_took(struct stack_world *w, unsigned side, unsigned conn, uint32_t n, uint32_t of)
{
	if (silent(w, side))
		return;
	print_app(w, conn, '<');
	printf("took %u of %u\"\n", n, of);
}

void stack_script_flush(struct stack_world *w, unsigned side)
{
	if (silent(w, side) || !w->script.pending)
		return;
	w->script.pending = false;
	print_app(w, STACK_CONNS, '>');
	printf("flush\"\n");
}

/* --- packets */

/* One that is printed. */
struct shown {
	struct stack_world *w;
	const struct packet *p;
	struct view v;
	unsigned conn;
	bool ours; /* the host sends it */
};

/* "$I0+12", or "$I0b+12" where the ports are used for the second time. */
static void print_named(const struct stack_plan *p, char letter, unsigned conn, int32_t offset)
{
	unsigned flow = flow_of(p, conn);

	printf("$%c%u", letter, flow);
	if (conn != flow)
		printf("%c", (char)('a' + (conn - flow)));
	if (offset)
		printf("%+d", offset);
}

/* A number of the host's: the name is learnt in its first SYN, or timestamp. */
static void print_ours(const struct shown *s, char letter, uint32_t n)
{
	struct script_name *name = letter == 'I' ? &s->w->script.isn[s->conn]
						 : &s->w->script.clock[s->conn];
	int32_t offset;

	if (!name->known && s->ours && (letter == 'T' || s->v.flags & TCP_SYN)) {
		name->known = true;
		name->value = n;
	}
	offset = (int32_t)(n - name->value);
	if (name->known && offset > -(1 << 24) && offset < 1 << 28)
		print_named(s->w->p, letter, s->conn, offset);
	else
		printf("%u", n);
}

static void print_seq(const struct shown *s, bool of_host, uint32_t n)
{
	if (of_host)
		print_ours(s, 'I', n);
	else
		printf("%u", n);
}

static void print_ts(const struct shown *s, const uint8_t *o)
{
	printf("TS val ");
	if (s->ours)
		print_ours(s, 'T', load_be32(o + 2));
	else
		printf("%u", load_be32(o + 2));
	printf(" ecr ");
	if (!s->ours && load_be32(o + 6))
		print_ours(s, 'T', load_be32(o + 6));
	else
		printf("%u", load_be32(o + 6));
}

static void print_sack(const struct shown *s, const uint8_t *o)
{
	unsigned n = (o[1] - 2u) / 8;

	printf("sack %u ", n);
	for (unsigned i = 0; i < n; i++) {
		printf("{");
		print_seq(s, !s->ours, load_be32(o + 2 + 8 * i));
		printf(":");
		print_seq(s, !s->ours, load_be32(o + 6 + 8 * i));
		printf("}");
	}
}

static void print_tfo(const uint8_t *o)
{
	printf("tfo ");
	if (o[1] == 2)
		printf("cookiereq");
	for (unsigned i = 2; i < o[1]; i++)
		printf("%02x", o[i]);
}

static void print_option(const struct shown *s, const uint8_t *o)
{
	switch (o[0]) {
	case TCPOPT_EOL:
		printf("eol");
		break;
	case TCPOPT_NOP:
		printf("nop");
		break;
	case TCPOPT_MSS:
		printf("mss %u", load_be16(o + 2));
		break;
	case TCPOPT_WSCALE:
		printf("wscale %u", o[2]);
		break;
	case TCPOPT_SACK_PERMITTED:
		printf("sackOK");
		break;
	case TCPOPT_SACK:
		print_sack(s, o);
		break;
	case TCPOPT_TIMESTAMPS:
		print_ts(s, o);
		break;
	default:
		print_tfo(o);
		break;
	}
}

static void print_options(const struct shown *s)
{
	const uint8_t *o = s->p->head + s->v.l4 + sizeof(struct tcp_hdr);
	uint32_t len = view_options_len(&s->v);

	if (!len)
		return;
	printf(" <");
	for (uint32_t i = 0; i<len; i += o[i]> TCPOPT_NOP ? o[i + 1] : 1) {
		printf(i ? "," : "");
		print_option(s, o + i);
		if (o[i] == TCPOPT_EOL)
			break;
	}
	printf(">");
}

static void print_marks(const struct shown *s)
{
	const uint8_t *ip = s->p->head + s->v.l3;
	uint8_t tos = s->v.ip == 4 ? ip[1] : (uint8_t)(load_be16(ip) >> 4);
	uint8_t ttl = s->v.ip == 4 ? ip[8] : ip[7];

	if (tos)
		printf(" [tos %u]", tos);
	if (ttl != 64)
		printf(" [ttl %u]", ttl);
	if (s->p->off.csum == CSUM_PARTIAL)
		printf(" [partial]");
	if (s->p->off.gso_type)
		printf(" [gso %u]", s->p->off.gso_size);
}

static void print_flags(uint8_t flags)
{
	static const struct {
		uint8_t bit;
		char c;
	} names[] = {
		{ TCP_SYN, 'S' }, { TCP_FIN, 'F' }, { TCP_RST, 'R' }, { TCP_PSH, 'P' },
		{ TCP_ACK, '.' }, { TCP_URG, 'U' }, { TCP_ECE, 'E' }, { TCP_CWR, 'W' },
	};

	if (!flags)
		printf("none");
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (flags & names[i].bit)
			printf("%c", names[i].c);
}

static void print_segment_of(const struct shown *s)
{
	const struct view *v = &s->v;

	print_flags(v->flags);
	printf(" ");
	print_seq(s, s->ours, v->seq);
	printf(":");
	print_seq(s, s->ours, v->seq + v->payload_len);
	printf("(%u)", v->payload_len);
	if (v->flags & TCP_ACK) {
		printf(" ack ");
		print_seq(s, !s->ours, v->ack);
	}
	printf(" win %u", v->window);
	print_options(s);
	print_marks(s);
}

/* The connection of its ports, seen from the host; conns: of none. */
static unsigned conn_of(const struct stack_world *w, const struct packet *p, const struct view *v,
			bool ours)
{
	const struct tcp_hdr *t = view_tcp((struct packet *)p, v);
	bool from_client = ours == (w->script.side == CLIENT);
	uint16_t port = be16_get(from_client ? t->sport : t->dport);
	unsigned i = stack_conn_of_port(w, port);

	/* It may not yet be started at this host, but forged segments come early. */
	return i < w->p->conns ? i : (unsigned)port - STACK_CLIENT_PORT;
}

static void print_packet_line(struct stack_world *w, bool ours, const struct shown *s)
{
	print_time(w);
	printf("net %c c%u: ", ours ? '<' : '>', flow_of(w->p, s->conn));
	print_segment_of(s);
	if (!ours && w->forging && s->v.flags & TCP_SYN)
		printf(" [stray]");
	printf("\n");
}

/* An ICMP error about a packet of the host's. */
static void print_icmp(struct stack_world *w, const struct packet *p, const struct view *v)
{
	uint8_t inner[14 + 1500] = { 0 };
	const uint8_t *icmp = p->head + v->l4;
	struct packet q = { .head = inner };
	struct shown s = { .w = w, .p = &q, .ours = true };
	uint32_t len = v->l4_len - 8;

	memcpy(inner + 12, p->head + 12, 2);
	memcpy(inner + 14, icmp + 8, len);
	/* What was cut off of the quotation is not there, but it is parsed as if it were. */
	q.head_len = 14 + (v->ip == 4 ? load_be16(inner + 16) : 40u + load_be16(inner + 18));
	if (q.head_len > sizeof inner || view_parse(&q, &s.v) != R_NONE || !s.v.tcp)
		return;
	s.conn = conn_of(w, &q, &s.v, true);
	if (s.conn >= w->p->conns)
		return;
	w->script.pending = true;
	print_time(w);
	printf("net > c%u: icmp too-big %u quoting ", flow_of(w->p, s.conn),
	       v->ip == 4 ? load_be16(icmp + 6) : load_be32(icmp + 4));
	print_segment_of(&s);
	printf("\n");
}

void stack_script_in(struct stack_world *w, unsigned side, const struct packet *p)
{
	struct shown s = { .w = w, .p = p };

	if (silent(w, side) || view_parse(p, &s.v) != R_NONE)
		return;
	if (!s.v.tcp) {
		if (s.v.proto == IP_ICMP || s.v.proto == IP_ICMP6)
			print_icmp(w, p, &s.v);
		return;
	}
	s.conn = conn_of(w, p, &s.v, false);
	if (s.conn >= w->p->conns || !csum_tcp_ok(p, &s.v) || !csum_ip_ok(p, &s.v)) {
		print_time(w);
		printf("wait # something damaged comes\n");
		return;
	}
	w->script.pending = true;
	print_packet_line(w, false, &s);
}

void stack_script_out(struct stack_world *w, unsigned side, const struct packet *p)
{
	struct shown s = { .w = w, .p = p, .ours = true };

	if (silent(w, side) || view_parse(p, &s.v) != R_NONE || !s.v.tcp)
		return;
	s.conn = conn_of(w, p, &s.v, true);
	if (s.conn < w->p->conns)
		print_packet_line(w, true, &s);
}
