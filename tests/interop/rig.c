/* SPDX-License-Identifier: MIT */
#include "rig.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/be.h"
#include "proc.h"

/*
 * Theory of operation
 *
 * A marker is a frame of an experimental Ethernet type with a number: every rewriter passes it untouched and in order.  A
 * frame sent in at one side has been dealt with when a marker that followed it there has come out at the other; what it
 * made the rewriter send to its own side is out when a marker sent at the other side afterwards has come out here.
 */

#define MARK_LEN 60u
#define VNET_MAX 12u
#define MARK_TYPE 0x88b5u
#define STILL_MS 20000 /* nothing for so long: it stands still */

static const char *const log_of[] = { "hub.log", "colo.log", "suture.log", "vnet.log",
				      "suture-vnet.log" };

/* A rewriter between socket netdevs on the sockets 0 and 1. */
static pid_t start_hub(const char *qemu)
{
	return proc_start(log_of[RIG_QEMU_HUB],
			  "%s -machine none -nodefaults -display none"
			  " -netdev stream,id=np,server=off,addr.type=unix,addr.path=%s"
			  " -netdev stream,id=ns,server=off,addr.type=unix,addr.path=%s"
			  " -netdev hubport,id=h0,hubid=0,netdev=np"
			  " -netdev hubport,id=h1,hubid=0,netdev=ns"
			  " -object filter-rewriter,id=rw,netdev=np,queue=all",
			  qemu, proc_path("rig0"), proc_path("rig1"));
}

/* As on a secondary: 0 is what its redirector reads, 1 the guest, 2 what its other redirector writes; 3 stays silent. */
static pid_t start_colo(const char *qemu)
{
	return proc_start(log_of[RIG_QEMU_COLO],
			  "%s -machine none -nodefaults -display none"
			  " -chardev socket,id=red0,server=off,path=%s"
			  " -chardev socket,id=red1,server=off,path=%s"
			  " -netdev stream,id=np,server=off,addr.type=unix,addr.path=%s"
			  " -netdev stream,id=ns,server=off,addr.type=unix,addr.path=%s"
			  " -netdev hubport,id=h0,hubid=0,netdev=np"
			  " -netdev hubport,id=h1,hubid=0,netdev=ns"
			  " -object filter-redirector,id=f1,netdev=np,queue=tx,indev=red0"
			  " -object filter-redirector,id=f2,netdev=np,queue=rx,outdev=red1"
			  " -object filter-rewriter,id=rw,netdev=np,queue=all",
			  qemu, proc_path("rig0"), proc_path("rig2"), proc_path("rig3"),
			  proc_path("rig1"));
}

/* 0 and 2 are read and written towards the guest, 1 and 3 from it; the card makes the netdev have headers, and stays silent. */
static pid_t start_vnet(const char *qemu)
{
	return proc_start(
		log_of[RIG_QEMU_VNET],
		"unshare %s %s -machine pc -accel tcg -m 16 -nodefaults -display none"
		" -chardev socket,id=c0,server=off,path=%s -chardev socket,id=c1,server=off,path=%s"
		" -chardev socket,id=c2,server=off,path=%s -chardev socket,id=c3,server=off,path=%s"
		" -netdev tap,id=np,script=no,downscript=no,vnet_hdr=on -device "
		"e1000e,netdev=np,romfile="
		" -object filter-redirector,id=f1,netdev=np,queue=tx,indev=c0,vnet_hdr_support=on"
		" -object filter-redirector,id=f2,netdev=np,queue=rx,outdev=c3,vnet_hdr_support=on"
		" -object filter-rewriter,id=rw,netdev=np,queue=all,vnet_hdr_support=on"
		" -object filter-redirector,id=f3,netdev=np,queue=tx,outdev=c2,vnet_hdr_support=on"
		" -object filter-redirector,id=f4,netdev=np,queue=rx,indev=c1,vnet_hdr_support=on",
		geteuid() == 0 ? "-n" : "-rn", qemu, proc_path("rig0"), proc_path("rig1"),
		proc_path("rig2"), proc_path("rig3"));
}

static pid_t start_suture(const char *log, const char *suture, const char *option, const char *more)
{
	return proc_start(
		log, "%s replica rewrite --primary qemu:unix:%s%s --secondary qemu:unix:%s%s %s",
		suture, proc_path("rig0"), option, proc_path("rig1"), option, more);
}

static pid_t start(enum rig_kind kind, const struct programs *p, const char *more)
{
	switch (kind) {
	case RIG_QEMU_HUB:
		return start_hub(p->qemu);
	case RIG_QEMU_COLO:
		return start_colo(p->qemu);
	case RIG_SUTURE:
		return start_suture(log_of[kind], p->suture, "", more);
	case RIG_QEMU_VNET:
		return start_vnet(p->qemu);
	case RIG_SUTURE_VNET:
		return start_suture(log_of[kind], p->suture, ",vnet_hdr_support", more);
	}
	return -1;
}

/* Its length, with its virtio-net header. */
static uint32_t mark(const struct rig *r, uint32_t n, uint8_t *ret_frame)
{
	memset(ret_frame, 0, MARK_LEN + VNET_MAX);
	ret_frame += r->vnet_len;
	memcpy(ret_frame, "\x02\0\0\0\0\x03\x02\0\0\0\0\x04", 12);
	store_be16(ret_frame + 12, MARK_TYPE);
	store_be32(ret_frame + 14, n);
	return r->vnet_len + MARK_LEN;
}

static bool is_mark(const struct message *m, uint32_t *ret_n)
{
	const uint8_t *f = m->bytes + m->vnet_len;

	if (m->len != MARK_LEN + m->vnet_len || load_be16(f + 12) != MARK_TYPE)
		return false;
	*ret_n = load_be32(f + 14);
	return true;
}

void outs_add(struct outs *o, enum side side, const uint8_t *frame, uint32_t len)
{
	if (o->n == OUTS_MAX || len > SEG_FRAME_MAX)
		return;
	o->o[o->n].side = side;
	o->o[o->n].len = len;
	memcpy(o->o[o->n].bytes, frame, len);
	o->n++;
}

/* Sends a marker in at one side and collects at the other until it comes out. */
static bool drain(struct rig *r, enum side from, struct outs *o)
{
	uint8_t f[MARK_LEN + VNET_MAX];
	struct message m;
	uint32_t n, want = ++r->marks, len = mark(r, want, f);

	if (!stream_send(r->in[from], f, len, r->vnet_len))
		return false;
	while (stream_recv(r->out[!from], &m, STILL_MS) == 1) {
		if (!is_mark(&m, &n))
			outs_add(o, (enum side) !from, m.bytes, m.len);
		else if (n == want)
			return true;
	}
	return false;
}

/* Markers until one comes out: QEMU drops frames while it has not noticed that a connection is made. */
static bool wake(struct rig *r, enum side from)
{
	int64_t until = stream_now() + STILL_MS;
	uint8_t f[MARK_LEN + VNET_MAX];
	struct message m;

	do {
		uint32_t len = mark(r, ++r->marks, f);

		if (!stream_send(r->in[from], f, len, r->vnet_len))
			return false;
		if (stream_recv(r->out[!from], &m, 20) == 1)
			return true;
	} while (stream_now() < until);
	return false;
}

bool rig_step(struct rig *r, enum side side, const uint8_t *frame, uint32_t len, struct outs *ret_o)
{
	ret_o->n = 0;
	return stream_send(r->in[side], frame, len, r->vnet_len) && drain(r, side, ret_o) &&
	       drain(r, (enum side) !side, ret_o);
}

bool rig_wait(struct rig *r, enum side side, unsigned n, int ms, struct outs *ret_o)
{
	int64_t until = stream_now() + ms;
	struct message m;

	for (; n > 0; n--) {
		int64_t left = until - stream_now();

		if (stream_recv(r->out[side], &m, left > 0 ? (int)left : 0) != 1)
			return false;
		outs_add(ret_o, side, m.bytes, m.len);
	}
	return true;
}

/* Takes a connection of the program, as long as it lives. */
static bool take(struct rig *r, struct stream *s, int listener, bool vnet)
{
	int64_t until = stream_now() + STILL_MS;
	int status;

	while (!stream_accept(s, listener, vnet, 100)) {
		if (proc_ended(r->pid, 0, &status))
			r->pid = -1;
		if (r->pid < 0 || stream_now() > until)
			return false;
	}
	return true;
}

/* Joins the streams once the rewriter has connected to all of its sockets. */
static bool join(struct rig *r, const int listener[4])
{
	bool colo = r->kind == RIG_QEMU_COLO,
	     vnet = r->kind == RIG_QEMU_VNET || r->kind == RIG_SUTURE_VNET;
	bool ways = r->kind == RIG_QEMU_VNET; /* a stream for each way */
	struct outs o = { 0 };

	for (unsigned i = 0; i < (colo || ways ? 4 : 2); i++)
		if (!take(r, &r->s[i], listener[i], vnet))
			return false;
	r->in[CLIENT] = &r->s[0];
	r->out[CLIENT] = &r->s[colo ? 2 : ways ? 3 : 0];
	r->in[SECONDARY] = &r->s[1];
	r->out[SECONDARY] = &r->s[ways ? 2 : 1];
	return wake(r, CLIENT) && wake(r, SECONDARY) && drain(r, CLIENT, &o) &&
	       drain(r, SECONDARY, &o);
}

static bool begin(struct rig *r, enum rig_kind kind, const struct programs *p, const char *more,
		  char *ret_why)
{
	static const char *const names[] = { "rig0", "rig1", "rig2", "rig3" };
	int listener[4];
	bool ok;

	r->kind = kind;
	r->pid = -1;
	for (unsigned i = 0; i < 4; i++) {
		r->s[i].fd = -1;
		listener[i] = stream_listen(proc_path(names[i]));
	}
	r->pid = start(kind, p, more);
	ok = join(r, listener);
	for (unsigned i = 0; i < 4; i++)
		(void)close(listener[i]);
	if (!ok) {
		(void)snprintf(ret_why, 200, "%.80s does not take frames: %.90s",
			       kind == RIG_SUTURE || kind == RIG_SUTURE_VNET ? p->suture : p->qemu,
			       proc_said(log_of[kind]));
		rig_stop(r);
	}
	return ok;
}

bool rig_start(struct rig *r, enum rig_kind kind, const struct programs *p, const char *more,
	       char *ret_why)
{
	*r = (struct rig){ .vnet_len = 0 };
	return begin(r, kind, p, more, ret_why);
}

bool rig_start_vnet(struct rig *r, enum rig_kind kind, const struct programs *p, uint32_t vnet_len,
		    char *ret_why)
{
	*r = (struct rig){ .vnet_len = vnet_len };
	return begin(r, kind, p, "", ret_why);
}

void rig_stop(struct rig *r)
{
	if (r->pid > 0)
		(void)proc_stop(r->pid);
	for (unsigned i = 0; i < 4; i++)
		stream_close(&r->s[i]);
	r->pid = -1;
}

bool rig_qemu_works(const struct programs *p, char *ret_why)
{
	struct rig r;
	bool ok = rig_start(&r, RIG_QEMU_HUB, p, "", ret_why);

	if (ok)
		rig_stop(&r);
	return ok;
}
