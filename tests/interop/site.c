/* SPDX-License-Identifier: MIT */
#include "site.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/be.h"
#include "proc.h"
#include "tap.h"

#define WAIT_MS 20000

static const char *const link_names[LINK_COUNT] = {
	"mir0.s", "mir.s", "red0.s", "red1.s", "cmp0.s", "cmp1.s", "cout.s",
};
static const char *const sock_names[SOCK_COUNT] = {
	"c.s", "p.s", "s.s", "x.s", "cmp0.s", "cmp1.s", "cout.s", "red0.s", "red1.s",
};
static const char *const logs[PROG_COUNT] = {
	"mirror.log", "rewrite.log", "compare.log", "secondary.log", "primary.log",
};

enum kind { NOBODY, TEST, QEMU, SUTURE };

static bool primary_qemu(const struct plan *p)
{
	return p->mirror != BY_SUTURE;
}

static enum kind kind_of(enum by b)
{
	return b == BY_QEMU ? QEMU : b == BY_NOBODY ? TEST : SUTURE;
}

/* Who writes to a link, and who reads from it. */
static enum kind writer(const struct plan *p, enum link l)
{
	switch (l) {
	case LINK_MIR0:
		return p->mirror == BY_BOTH ? QEMU : NOBODY;
	case LINK_MIR:
		return p->mirror == BY_QEMU ? QEMU : SUTURE;
	case LINK_RED0:
		return SUTURE;
	case LINK_RED1:
		return p->secondary_qemu ? QEMU : TEST;
	case LINK_CMP0:
		return primary_qemu(p) ? QEMU : TEST;
	case LINK_CMP1:
		return kind_of(p->rewrite);
	case LINK_COUT:
		return kind_of(p->compare);
	case LINK_COUNT:
		break;
	}
	return NOBODY;
}

static enum kind reader(const struct plan *p, enum link l)
{
	switch (l) {
	case LINK_MIR0:
		return p->mirror == BY_BOTH ? SUTURE : NOBODY;
	case LINK_MIR:
		return kind_of(p->rewrite);
	case LINK_RED0:
		return p->secondary_qemu ? QEMU : TEST;
	case LINK_RED1:
		return SUTURE;
	case LINK_CMP0:
	case LINK_CMP1:
		return kind_of(p->compare);
	case LINK_COUT:
		return primary_qemu(p) ? QEMU : TEST;
	case LINK_COUNT:
		break;
	}
	return NOBODY;
}

/* Does the one who asks (a writer or a reader) listen? */
static bool listens(const struct site *s, enum link l, bool as_reader)
{
	enum kind me = as_reader ? reader(s->plan, l) : writer(s->plan, l);
	enum kind other = as_reader ? writer(s->plan, l) : reader(s->plan, l);

	if (other == TEST)
		return false;
	return me == other ? as_reader : (me == QEMU) == s->qemu_listens;
}

/* "-chardev ..." for QEMU's end of a link. */
static const char *chardev(const struct site *s, enum link l, bool as_reader)
{
	static char text[8][200];
	static unsigned n;
	char *t = text[n++ % 8];
	const char *name = link_names[l];

	(void)snprintf(t, sizeof text[0], "-chardev socket,id=%.*s,path=%s,%s",
		       (int)strcspn(name, "."), name, proc_path(name),
		       listens(s, l, as_reader) ? "server=on,wait=off"
		       : s->reconnect		? "server=off,reconnect=1"
						: "server=off");
	return t;
}

/* "qemu:..." for suture's end of one. */
static const char *port(const struct site *s, enum link l, bool as_reader)
{
	static char text[8][200];
	static unsigned n;
	char *t = text[n++ % 8];

	(void)snprintf(t, sizeof text[0], "qemu:%sunix:%s%s",
		       listens(s, l, as_reader) ? "listen:" : "", proc_path(link_names[l]),
		       s->vnet ? ",vnet_hdr_support" : "");
	return t;
}

/* Same for suture's end of a socket of the test's. */
static const char *own_port(const struct site *s, enum socket k)
{
	static char text[8][200];
	static unsigned n;
	char *t = text[n++ % 8];

	(void)snprintf(t, sizeof text[0], "qemu:unix:%s%s", proc_path(sock_names[k]),
		       s->vnet ? ",vnet_hdr_support" : "");
	return t;
}

static pid_t run_mirror(const struct site *s)
{
	const char *su = s->prog->suture;

	if (s->plan->mirror == BY_BOTH)
		return proc_start(logs[PROG_MIRROR], "%s replica mirror --client %s --mirror %s",
				  su, port(s, LINK_MIR0, true), port(s, LINK_MIR, false));
	return proc_start(logs[PROG_MIRROR],
			  "%s replica mirror --client %s --primary %s --mirror %s", su,
			  own_port(s, SOCK_C), own_port(s, SOCK_P), port(s, LINK_MIR, false));
}

static pid_t run_rewrite(const struct site *s)
{
	return proc_start(
		logs[PROG_REWRITE],
		"%s replica rewrite --primary %s --secondary %s --secondary-out %s --compare %s",
		s->prog->suture, port(s, LINK_MIR, true), port(s, LINK_RED0, false),
		port(s, LINK_RED1, true), port(s, LINK_CMP1, false));
}

static pid_t run_compare(const struct site *s)
{
	return proc_start(logs[PROG_COMPARE],
			  "%s replica compare --primary-in %s --secondary-in %s --out %s",
			  s->prog->suture, port(s, LINK_CMP0, true), port(s, LINK_CMP1, true),
			  port(s, LINK_COUT, false));
}

static pid_t run_secondary(const struct site *s)
{
	bool rewrites = s->plan->rewrite == BY_QEMU;
	enum link in = rewrites ? LINK_MIR : LINK_RED0, out = rewrites ? LINK_CMP1 : LINK_RED1;
	const char *v = s->vnet ? ",vnet_hdr_support=on" : "";

	return proc_start(logs[PROG_SECONDARY],
			  "%s -machine none -nodefaults -display none %s %s"
			  " -netdev stream,id=np,server=off,addr.type=unix,addr.path=%s"
			  " -netdev stream,id=ng,server=off,addr.type=unix,addr.path=%s"
			  " -netdev hubport,id=h0,hubid=0,netdev=np"
			  " -netdev hubport,id=h1,hubid=0,netdev=ng"
			  " -object filter-redirector,id=f1,netdev=np,queue=tx,indev=%.*s%s"
			  " -object filter-redirector,id=f2,netdev=np,queue=rx,outdev=%.*s%s %s%s",
			  s->prog->qemu, chardev(s, in, true), chardev(s, out, false),
			  proc_path(sock_names[SOCK_X]), proc_path(sock_names[SOCK_S]),
			  (int)strcspn(link_names[in], "."), link_names[in], v,
			  (int)strcspn(link_names[out], "."), link_names[out], v,
			  rewrites ? "-object filter-rewriter,id=rw,netdev=np,queue=all" : "",
			  rewrites ? v : "");
}

/* What of the comparison is in the primary's QEMU: all of it, its redirectors, or nothing. */
static void compare_args(const struct site *s, char *ret_args, size_t size)
{
	const char *v = s->vnet ? ",vnet_hdr_support=on" : "";
	int n = 0;

	*ret_args = '\0';
	if (s->plan->compare == BY_QEMU) {
		const char *k0 = proc_path("k0.s"), *k1 = proc_path("k1.s");

		n = snprintf(ret_args, size,
			     "%s -chardev socket,id=cmp0,path=%s,server=on,wait=off -chardev "
			     "socket,id=in0,path=%s"
			     " -chardev socket,id=cout,path=%s,server=on,wait=off -chardev "
			     "socket,id=out0,path=%s"
			     " -object iothread,id=io"
			     " -object "
			     "colo-compare,id=cmp,primary_in=in0,secondary_in=cmp1,outdev=out0,"
			     "iothread=io%s",
			     chardev(s, LINK_CMP1, true), k0, k0, k1, k1, v);
	} else if (s->plan->compare == BY_SUTURE) {
		n = snprintf(ret_args, size, "%s %s", chardev(s, LINK_CMP0, false),
			     chardev(s, LINK_COUT, true));
	}
	if (n > 0)
		(void)snprintf(ret_args + n, size - (size_t)n,
			       " -object filter-redirector,id=r0,netdev=np,queue=rx,indev=cout%s"
			       " -object filter-redirector,id=r1,netdev=np,queue=rx,outdev=cmp0%s",
			       v, v);
}

static pid_t run_primary(const struct site *s)
{
	enum link mir = s->plan->mirror == BY_BOTH ? LINK_MIR0 : LINK_MIR;
	const char *v = s->vnet ? ",vnet_hdr_support=on" : "";
	char compare[2000];

	compare_args(s, compare, sizeof compare);
	return proc_start(logs[PROG_PRIMARY],
			  "%s -machine none -nodefaults -display none %s"
			  " -netdev stream,id=np,server=off,addr.type=unix,addr.path=%s"
			  " -netdev stream,id=ng,server=off,addr.type=unix,addr.path=%s"
			  " -netdev hubport,id=h0,hubid=0,netdev=np"
			  " -netdev hubport,id=h1,hubid=0,netdev=ng"
			  " -object filter-mirror,id=m0,netdev=np,queue=tx,outdev=%.*s%s %s",
			  s->prog->qemu, chardev(s, mir, false), proc_path(sock_names[SOCK_C]),
			  proc_path(sock_names[SOCK_P]), (int)strcspn(link_names[mir], "."),
			  link_names[mir], v, compare);
}

/* The program of this plan that stands there; -2: there is none. */
static pid_t launch(struct site *s, enum program p)
{
	const struct plan *pl = s->plan;

	switch (p) {
	case PROG_MIRROR:
		return pl->mirror == BY_QEMU ? -2 : run_mirror(s);
	case PROG_REWRITE:
		return pl->rewrite == BY_QEMU ? -2 : run_rewrite(s);
	case PROG_COMPARE:
		return pl->compare == BY_SUTURE ? run_compare(s) : -2;
	case PROG_SECONDARY:
		return pl->secondary_qemu ? run_secondary(s) : -2;
	case PROG_PRIMARY:
		return primary_qemu(pl) ? run_primary(s) : -2;
	case PROG_COUNT:
		break;
	}
	return -2;
}

/* Does program p make a connection to the test's socket k?  The framing there: true with the vnet field. */
static bool connects(const struct site *s, enum program p, enum socket k, bool *ret_vnet)
{
	const struct plan *pl = s->plan;

	*ret_vnet = s->vnet;
	switch (k) {
	case SOCK_C:
	case SOCK_P:
		*ret_vnet = s->vnet && !primary_qemu(pl);
		return p == (primary_qemu(pl) ? PROG_PRIMARY : PROG_MIRROR);
	case SOCK_S:
	case SOCK_X:
		*ret_vnet = false;
		return p == PROG_SECONDARY && pl->secondary_qemu;
	case SOCK_CMP0:
	case SOCK_COUT:
		return p == PROG_COMPARE && !primary_qemu(pl) && pl->compare == BY_SUTURE;
	case SOCK_CMP1:
		return pl->compare == BY_NOBODY &&
		       p == (pl->rewrite == BY_QEMU ? PROG_SECONDARY : PROG_REWRITE);
	case SOCK_RED0:
	case SOCK_RED1:
		return p == PROG_REWRITE && !pl->secondary_qemu;
	case SOCK_COUNT:
		break;
	}
	return false;
}

/* Until suture listens, where it does: QEMU tries only once. */
static void wait_for_sockets(const struct site *s, enum program p)
{
	const struct {
		enum program p;
		enum link l;
		bool as_reader;
	} ends[] = {
		{ PROG_MIRROR, LINK_MIR0, true },   { PROG_MIRROR, LINK_MIR, false },
		{ PROG_REWRITE, LINK_MIR, true },   { PROG_REWRITE, LINK_RED0, false },
		{ PROG_REWRITE, LINK_RED1, true },  { PROG_REWRITE, LINK_CMP1, false },
		{ PROG_COMPARE, LINK_CMP0, true },  { PROG_COMPARE, LINK_CMP1, true },
		{ PROG_COMPARE, LINK_COUT, false }, { PROG_SECONDARY, LINK_MIR, true },
	};

	for (unsigned i = 0; i < ARRAY_LEN(ends); i++) {
		enum link l = ends[i].l;
		enum kind me = ends[i].as_reader ? reader(s->plan, l) : writer(s->plan, l);

		if (ends[i].p != p || me == NOBODY || me == TEST ||
		    !listens(s, l, ends[i].as_reader))
			continue;
		for (unsigned k = 0; k < 3000 && access(proc_path(link_names[l]), F_OK) != 0; k++)
			(void)usleep(1000);
	}
}

bool site_run(struct site *s, enum program p)
{
	bool vnet;

	if (p >= PROG_COUNT)
		return false;
	s->pid[p] = launch(s, p);
	if (s->pid[p] == -2)
		return true;
	for (enum socket k = 0; k < SOCK_COUNT; k++) {
		if (!connects(s, p, k, &vnet))
			continue;
		stream_close(&s->s[k]);
		if (!stream_accept(&s->s[k], s->listener[k], vnet, WAIT_MS))
			return false;
	}
	wait_for_sockets(s, p);
	return true;
}

static void join_ends(struct site *s)
{
	bool primary = primary_qemu(s->plan), secondary = s->plan->secondary_qemu;
	bool compared = s->plan->compare != BY_NOBODY;

	s->in[END_CLIENT] = &s->s[SOCK_C];
	s->out[END_CLIENT] = &s->s[primary || !compared ? SOCK_C : SOCK_COUT];
	s->in[END_PRIMARY] = &s->s[primary || !compared ? SOCK_P : SOCK_CMP0];
	s->out[END_PRIMARY] = &s->s[SOCK_P];
	s->in[END_SECONDARY] = &s->s[secondary ? SOCK_S : SOCK_RED1];
	s->out[END_SECONDARY] = &s->s[secondary ? SOCK_S : SOCK_RED0];
	s->out[END_SINK] = &s->s[SOCK_CMP1];
}

bool site_start(struct site *s, const struct programs *prog, const struct plan *plan,
		enum site_options o, char *ret_why)
{
	*s = (struct site){
		.prog = prog,
		.plan = plan,
		.vnet = o & SITE_VNET,
		.qemu_listens = o & SITE_QEMU_LISTENS,
		.reconnect = o & SITE_RECONNECT,
	};
	for (unsigned i = 0; i < LINK_COUNT; i++)
		(void)unlink(proc_path(link_names[i]));
	for (unsigned k = 0; k < SOCK_COUNT; k++) {
		bool v, used = false;

		s->s[k].fd = -1;
		for (enum program p = 0; p < PROG_COUNT; p++)
			used = used || connects(s, p, (enum socket)k, &v);
		s->listener[k] = used ? stream_listen(proc_path(sock_names[k])) : -1;
	}
	join_ends(s);
	for (enum program p = 0; p < PROG_COUNT; p++)
		s->pid[p] = -2;
	for (enum program p = 0; p < PROG_COUNT; p++) {
		(void)unlink(proc_path(logs[p]));
		if (site_run(s, p))
			continue;
		(void)snprintf(ret_why, 200, "%s does not connect: %.150s", logs[p],
			       proc_said(logs[p]));
		return false;
	}
	return true;
}

#define MARK_TYPE 0x88b5u

/* One of those that were sent until frames passed: no dialogue has datagrams. */
static bool is_mark(const struct message *m)
{
	uint16_t type = load_be16(m->bytes + 12);

	return m->len >= 60 && (type == MARK_TYPE || (type == 0x0800 && m->bytes[23] == 17));
}

static void mark(uint32_t n, uint8_t ret_f[60])
{
	memset(ret_f, 0, 60);
	memcpy(ret_f, "\x02\0\0\0\0\x03\x02\0\0\0\0\x04", 12);
	store_be16(ret_f + 12, MARK_TYPE);
	store_be32(ret_f + 14, n);
}

/* Until a marker of the client's comes to both servers. */
static bool wake_servers(struct site *s)
{
	int64_t until = stream_now() + WAIT_MS;
	bool p = false, q = false;
	struct message m;
	uint8_t f[60];

	while ((!p || !q) && stream_now() < until) {
		mark(++s->marks, f);
		if (!stream_send(s->in[END_CLIENT], f, 60, 0))
			return false;
		p = stream_recv(s->out[END_PRIMARY], &m, p ? 0 : 30) == 1 || p;
		q = stream_recv(s->out[END_SECONDARY], &m, q ? 0 : 30) == 1 || q;
	}
	return p && q;
}

/* Until a datagram that both servers send comes to the client. */
static bool wake_client(struct site *s)
{
	int64_t until = stream_now() + WAIT_MS;
	enum end to = s->plan->compare == BY_NOBODY ? END_SINK : END_CLIENT;
	struct message m;
	uint8_t f[SEG_FRAME_MAX];

	while (stream_now() < until) {
		uint32_t len = seg_udp(SECONDARY, 30, (uint8_t)++s->marks, f);

		/* each of a flow of its own: where one of the two was lost, those behind it would wait */
		store_be16(f + 36, (uint16_t)(20000 + s->marks));
		store_be16(f + 40, 0);

		if (!stream_send(s->in[END_PRIMARY], f, len, 0) ||
		    !stream_send(s->in[END_SECONDARY], f, len, 0))
			return false;
		if (stream_recv(s->out[to], &m, 30) == 1)
			return true;
	}
	return false;
}

/* Throws away what is left of waking. */
static void empty(struct site *s)
{
	struct message m;

	for (unsigned e = 0; e < END_COUNT; e++)
		while (s->out[e] && s->out[e]->fd >= 0 && stream_recv(s->out[e], &m, 20) == 1)
			;
}

bool site_wake(struct site *s)
{
	bool ok = wake_servers(s) && wake_client(s);

	empty(s);
	return ok;
}

bool site_send(struct site *s, enum end e, const uint8_t *frame, uint32_t len)
{
	return stream_send(s->in[e], frame, len, 0);
}

bool site_expect(struct site *s, enum end e, const uint8_t *frame, uint32_t len)
{
	static const char *const names[] = { "client", "primary", "secondary", "comparison" };
	struct message m;
	int r;

	do
		r = stream_recv(s->out[e], &m, WAIT_MS);
	while (r == 1 && is_mark(&m));
	if (r != 1)
		return tap_fail("nothing comes to the %s, expected %s", names[e],
				seg_print(frame, len));
	if (m.len == len && memcmp(m.bytes, frame, len) == 0)
		return true;
	return tap_fail("to the %s comes %s instead of %s", names[e], seg_print(m.bytes, m.len),
			seg_print(frame, len));
}

void site_stop(struct site *s)
{
	for (enum program p = 0; p < PROG_COUNT; p++)
		if (s->pid[p] > 0)
			(void)proc_stop(s->pid[p]);
	for (unsigned k = 0; k < SOCK_COUNT; k++) {
		stream_close(&s->s[k]);
		if (s->listener[k] >= 0)
			(void)close(s->listener[k]);
	}
}

bool site_has_compare(const struct programs *prog)
{
	pid_t pid = proc_start("has.log", "%s replica compare --help", prog->suture);
	int status = -1;

	return proc_ended(pid, WAIT_MS, &status) && status == 0;
}
