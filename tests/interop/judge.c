/* SPDX-License-Identifier: MIT */
#include "judge.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/be.h"
#include "proc.h"

/*
 * Theory of operation
 *
 * A marker is a datagram of a flow of its own that both servers send: it comes out when the second of the two has been read.
 * So all that stood in front of it in either stream has been dealt with, and what came of it, frames and messages, was
 * written before.
 */

#define STILL_MS 20000
#define MARK_PORT 54u

static const char *const names[] = { "j-pri", "j-sec", "j-out", "j-not" };

static pid_t start_qemu(const char *qemu, const struct judge_options *t)
{
	return proc_start(
		JUDGE_LOG,
		"%s -machine none -nodefaults -display none -object iothread,id=io"
		" -chardev socket,id=p,server=off,path=%s -chardev socket,id=s,server=off,path=%s"
		" -chardev socket,id=o,server=off,path=%s -chardev socket,id=n,server=off,path=%s"
		" -object "
		"colo-compare,id=c,primary_in=p,secondary_in=s,outdev=o,notify_dev=n,iothread=io,"
		"compare_timeout=%u,expired_scan_cycle=%u%s",
		qemu, proc_path(names[0]), proc_path(names[1]), proc_path(names[2]),
		proc_path(names[3]), t->timeout_ms, t->scan_ms,
		t->vnet ? ",vnet_hdr_support=on" : "");
}

static pid_t start_suture(const char *suture, const struct judge_options *t)
{
	const char *v = t->vnet ? ",vnet_hdr_support" : "";

	return proc_start(
		JUDGE_LOG,
		"%s replica compare --primary-in qemu:unix:%s%s --secondary-in qemu:unix:%s%s"
		" --stats --out qemu:unix:%s%s --notify qemu:unix:%s%s --compare-timeout %u"
		" --expired-scan-cycle %u",
		suture, proc_path(names[0]), v, proc_path(names[1]), v, proc_path(names[2]), v,
		proc_path(names[3]), v, t->timeout_ms, t->scan_ms);
}

/* A datagram that is a marker, from the server. */
static uint32_t mark(uint32_t n, uint8_t *ret_f)
{
	uint32_t len = seg_udp(SECONDARY, 4, 0, ret_f);

	store_be16(ret_f + 34, MARK_PORT);
	store_be16(ret_f + 40, 0);
	store_be32(ret_f + 42, n);
	return len;
}

static bool is_mark(const struct message *m, uint32_t *ret_n)
{
	if (m->len != 46 || load_be16(m->bytes + 12) != 0x0800 || m->bytes[23] != 17 ||
	    load_be16(m->bytes + 34) != MARK_PORT)
		return false;
	*ret_n = load_be32(m->bytes + 42);
	return true;
}

/* Sends a marker from both servers; it comes out behind all else within ms. */
static bool drain(struct judge *j, int ms, struct judged *o)
{
	uint8_t f[SEG_FRAME_MAX];
	uint32_t n, want = ++j->marks, len = mark(want, f);
	struct message m;

	if (!stream_send(&j->in[PRIMARY_IN], f, len, 0) ||
	    !stream_send(&j->in[SECONDARY_IN], f, len, 0))
		return false;
	while (stream_recv(&j->out, &m, ms) == 1) {
		if (!is_mark(&m, &n))
			outs_add(&o->out, CLIENT, m.bytes, m.len);
		else if (n == want)
			return true;
	}
	return false;
}

static bool say_of(const struct message *m, char *ret_text)
{
	uint32_t n = m->len < 63 ? m->len : 63;

	memcpy(ret_text, m->bytes, n);
	ret_text[n] = '\0';
	return true;
}

bool judge_hears(struct judge *j, int ms, char *ret_text)
{
	struct message m;

	return stream_recv(&j->notify, &m, ms) == 1 && say_of(&m, ret_text);
}

/* Drains, and reads the messages that were sent before. */
static bool settle(struct judge *j, struct judged *ret_j)
{
	char text[64];

	/* Twice: what one turn of a program sends to several streams has no order among them. */
	if (!drain(j, STILL_MS, ret_j) || !drain(j, STILL_MS, ret_j))
		return false;
	while (judge_hears(j, 0, text)) {
		if (strcmp(text, "DO_CHECKPOINT") == 0)
			ret_j->checkpoints++;
		else
			(void)snprintf(ret_j->other, sizeof ret_j->other, "%s", text);
	}
	return true;
}

static void clear(struct judged *o)
{
	o->out.n = 0;
	o->checkpoints = 0;
	o->other[0] = '\0';
}

bool judge_settle(struct judge *j, unsigned *ret_checkpoints)
{
	static struct judged d;

	clear(&d);
	if (!settle(j, &d))
		return false;
	*ret_checkpoints = d.checkpoints;
	return true;
}

bool judge_frame(struct judge *j, enum server who, const uint8_t *frame, uint32_t len,
		 struct judged *ret_j)
{
	clear(ret_j);
	return stream_send(&j->in[who], frame, len, 0) && settle(j, ret_j);
}

/* With vnet_hdr_support messages to the comparison have the field that frames have, those from it have not. */
static bool tell(struct judge *j, const char *message)
{
	uint32_t len = (uint32_t)strlen(message);
	uint8_t head[8] = { 0 };

	store_be32(head, len);
	return stream_send_raw(&j->notify, head, j->vnet ? 8 : 4) &&
	       stream_send_raw(&j->notify, message, len);
}

bool judge_tell(struct judge *j, const char *message, struct judged *ret_j)
{
	int64_t until = stream_now() + STILL_MS;
	char text[64];

	clear(ret_j);
	/* No marker can follow a message in its own stream: the answer, or the frames, tell that it was read. */
	if (!tell(j, message))
		return false;
	do {
		if (judge_hears(j, 5, text))
			(void)snprintf(ret_j->other, sizeof ret_j->other, "%s", text);
		if (!settle(j, ret_j))
			return false;
	} while (ret_j->out.n == 0 && !ret_j->other[0] && stream_now() < until);
	return true;
}

bool judge_start(struct judge *j, bool qemu, const struct programs *p,
		 const struct judge_options *t, char *ret_why)
{
	struct stream *s[] = { &j->in[0], &j->in[1], &j->out, &j->notify };
	struct judged o = { .out.n = 0 };
	int listener[4];
	bool ok = true;

	*j = (struct judge){ .qemu = qemu, .vnet = t->vnet };
	(void)unlink(proc_path(JUDGE_LOG));
	for (unsigned i = 0; i < 4; i++) {
		s[i]->fd = -1;
		listener[i] = stream_listen(proc_path(names[i]));
	}
	j->pid = qemu ? start_qemu(p->qemu, t) : start_suture(p->suture, t);
	for (unsigned i = 0; i < 4; i++) {
		ok = ok && stream_accept(s[i], listener[i], t->vnet && i < 3, STILL_MS);
		(void)close(listener[i]);
	}
	for (unsigned i = 0; ok && i < 100 && !drain(j, 50, &o); i++)
		ok = i < 99;
	if (!ok) {
		(void)snprintf(ret_why, 200, "%.80s does not compare: %.90s",
			       qemu ? p->qemu : p->suture, proc_said(JUDGE_LOG));
		judge_stop(j);
	}
	return ok;
}

void judge_stop(struct judge *j)
{
	(void)proc_stop(j->pid);
	j->pid = -1;
	stream_close(&j->in[0]);
	stream_close(&j->in[1]);
	stream_close(&j->out);
	stream_close(&j->notify);
}
