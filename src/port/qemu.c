/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * In:   one read takes what the socket has, up to 256 KB; recv delivers bursts from that until no whole frame is left, and only
 *       then moves the rest to the buffer's begin and reads again.  While frames wait in the buffer nothing tells the kernel so:
 *       an eventfd does.  It is set when a burst leaves something behind, and taken back only after a read that was used up at
 *       once, so a busy stream never touches it.
 * Out:  one sendmsg takes all that a call was given (stream_batch.h).  What the kernel left is copied to the ring, whole frames behind
 *       the cut one; as long as anything is in there, all goes through it, so frames keep their order.
 *
 * The connection ends by the peer's end, an error, or bytes that are not in the format.  All of it is left behind then: the frame that was cut,
 * what waits in the ring, of which the first frame may be written by half.  The new connection begins with a frame on both sides.
 * An error on writing does not end it at once: the peer may have said something before it went, which is read first.
 */
#include "port/qemu.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/socket.h>

#include "base/compiler.h"
#include "port/if_frame.h"
#include "port/port.h"
#include "port/stream_batch.h"
#include "port/stream_in.h"
#include "port/stream_link.h"
#include "port/stream_out.h"

#define CONGESTED (1u << 20)
#define RELIEVED (256u << 10)
#define REFUSE_EVERY \
	256u /* reads of a stream that never pauses between two looks for second peers */

struct qemu_port {
	struct port port;
	struct stream_link link;
	struct stream_in in;
	struct stream_out out;
	struct stream_form form; /* of what is sent */
	bool msgs;
	bool deaf; /* the peer takes nothing any more: all that is sent is dropped */
	bool stuck; /* it took nothing for a while */
	unsigned reads;
	struct port_stats stats;
	struct packet pkt[PORT_BURST];
	struct stream_batch batch;
};

static struct qemu_port *qemu_of(struct port *p)
{
	return (struct qemu_port *)p;
}

/* A device's state that no frame can have: passed on, it would be refused far from here. */
static bool is_possible(const struct packet *p)
{
	if (p->off.csum == CSUM_PARTIAL &&
	    (uint32_t)p->off.csum_start + p->off.csum_offset + 2u > p->head_len)
		return false;
	return p->off.gso_type == GSO_NONE || p->off.gso_size != 0;
}

/* Makes a packet of a frame in the buffer: false (and counted) if there is no sense in it. */
static bool make_packet(struct qemu_port *q, const struct stream_frame *f, struct packet *ret_p)
{
	struct packet p = { .head = f->bytes, .head_len = f->len };

	if (q->form.vnet && !q->msgs) {
		q->form.vnet_len = f->vnet_len;
		q->form.told = true;
		p.off.vnet_len = f->vnet_len ? f->vnet_len : VNET_NONE;
	}
	if (f->vnet_len && !q->msgs) {
		struct virtio_net_hdr h;

		memcpy(&h, f->bytes - f->vnet_len, sizeof h);
		offload_from_vnet(&h, &p.off);
		p.off.vnet_len = f->vnet_len;
		if (!is_possible(&p)) {
			q->stats.rx_errors++;
			return false;
		}
	}
	q->stats.rx++;
	q->stats.rx_bytes += f->len;
	*ret_p = p;
	return true;
}

/* Takes up to max frames from the buffer: their number.  ret_got says how the buffer goes on. */
static unsigned take_frames(struct qemu_port *q, struct packet **ret_pkts, unsigned max,
			    enum stream_got *ret_got)
{
	struct stream_frame f;
	enum stream_got g;
	unsigned n = 0;

	while ((g = stream_in_peek(&q->in, &f)) == STREAM_WHOLE && n < max && n < PORT_BURST) {
		stream_in_take(&q->in, &f);
		if (make_packet(q, &f, &q->pkt[n])) {
			ret_pkts[n] = &q->pkt[n];
			n++;
		}
	}
	*ret_got = g;
	return n;
}

/* What waits was put, taken or lost: sets all that follows from it. */
static void settle_out(struct qemu_port *q)
{
	uint32_t waiting = stream_out_waiting(&q->out);

	if (q->stuck || waiting < RELIEVED)
		q->port.congested = false;
	else if (waiting > CONGESTED)
		q->port.congested = true;
	if (q->link.state == LINK_UP)
		stream_link_want_out(&q->link, waiting > 0);
}

static void discard_out(struct qemu_port *q)
{
	q->stats.tx_dropped += stream_out_discard(&q->out);
	q->stuck = false;
	settle_out(q);
}

static void end_connection(struct qemu_port *q, const char *what, const char *more)
{
	if (stream_in_bytes(&q->in) > 0)
		q->stats.rx_cut++;
	stream_in_clear(&q->in);
	stream_link_drop(&q->link, what, more);
	snprintf(q->port.error, sizeof q->port.error, "%s", q->link.why);
	q->port.down = true;
	q->deaf = false;
	discard_out(q);
}

/* The peer takes nothing any more: recv ends the connection when all was read that it said. */
static void output_failed(struct qemu_port *q, int err)
{
	snprintf(q->port.error, sizeof q->port.error, "send: %s", strerror(err));
	q->deaf = true;
	discard_out(q);
	stream_link_set_timer(&q->link, 0);
	stream_link_set_ready(&q->link, true);
}

/* Sends what the iovecs say: bytes taken; 0, too, if it failed for good. */
static size_t give(struct qemu_port *q, struct iovec *iov, unsigned iovs)
{
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = iovs };
	ssize_t n = sendmsg(q->link.conn, &m, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n >= 0) {
		stream_link_proved(&q->link);
		return (size_t)n;
	}
	if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS && errno != ENOMEM)
		output_failed(q, errno);
	return 0;
}

static void count_sent(struct qemu_port *q, struct stream_done d)
{
	q->stats.tx += d.frames;
	q->stats.tx_bytes += d.bytes;
}

/* Gives the kernel what waits. */
static void pump(struct qemu_port *q)
{
	struct iovec iov[2];
	unsigned iovs = stream_out_iov(&q->out, iov);
	size_t n = iovs ? give(q, iov, iovs) : 0;

	if (n == 0)
		return;
	q->stuck = false;
	count_sent(q, stream_out_took(&q->out, n));
	stream_link_set_timer(&q->link, stream_out_waiting(&q->out) ? q->link.times.stuck : 0);
	settle_out(q);
}

/* Has nothing moved for too long? */
static bool is_stuck(struct qemu_port *q)
{
	if (!q->stuck && stream_link_fired(&q->link)) {
		q->stuck = true;
		settle_out(q);
	}
	return q->stuck;
}

/* The ring has no room for a frame: is it dropped (true), or does it wait outside? */
static bool drop_full(struct qemu_port *q)
{
	if (!is_stuck(q))
		return false;
	q->stats.tx_dropped++;
	return true;
}

/*
 * The frames of the batch behind its first sent bytes: counted if they are gone, else put in the ring.  Returns how many of
 * the batch are settled.
 */
static unsigned settle_batch(struct qemu_port *q, struct packet *const *pkts, size_t sent)
{
	struct stream_batch *b = &q->batch;
	struct iov_cursor c = { .iov = b->iov };
	uint64_t at = 0; /* where the frame begins */
	unsigned i = 0;

	iov_skip(&c, sent);
	for (; i < b->frames; i++) {
		uint32_t len = packet_len(pkts[i]), size = b->size[i];
		uint64_t end = at + size;

		if (size == 0) {
			q->stats.tx_too_long++;
		} else if (end <= sent) {
			count_sent(q, (struct stream_done){ 1, len });
		} else if (q->deaf) {
			q->stats.tx_dropped++;
		} else {
			uint32_t left = (uint32_t)(end - (at < sent ? sent : at));

			if (!stream_out_put(&q->out, &c, left, len)) {
				if (!drop_full(q))
					break;
				iov_skip(&c, left);
			}
		}
		at = end;
	}
	return i;
}

/* Sends the first of n packets: how many are settled. */
static unsigned send_some(struct qemu_port *q, struct packet *const *pkts, unsigned n)
{
	bool waited = stream_out_waiting(&q->out) > 0;
	size_t sent = 0;
	unsigned done;

	stream_batch_fill(&q->batch, &q->form, pkts, n);
	if (!waited && q->batch.iovs)
		sent = give(q, q->batch.iov, q->batch.iovs);
	done = settle_batch(q, pkts, sent);
	if (!q->deaf && stream_out_waiting(&q->out)) {
		if (!waited)
			stream_link_set_timer(&q->link, q->link.times.stuck);
		settle_out(q);
	}
	return done;
}

static int qemu_send(struct port *port, struct packet *const *pkts, unsigned n)
{
	struct qemu_port *q = qemu_of(port);
	unsigned done = 0;

	if (q->link.state == LINK_UP && !q->deaf && stream_out_waiting(&q->out))
		pump(q);
	while (done < n) {
		unsigned k;

		if (q->link.state != LINK_UP || q->deaf) {
			q->stats.tx_dropped += n - done;
			return (int)n;
		}
		k = send_some(q, pkts + done, n - done);
		done += k;
		if (k < q->batch.frames)
			break;
	}
	return (int)done;
}

/* Reads what the socket has: false if it has nothing, or if the connection is over. */
static bool read_more(struct qemu_port *q)
{
	uint32_t room;
	uint8_t *at = stream_in_room(&q->in, &room);
	ssize_t n = recv(q->link.conn, at, room < STREAM_READ ? room : STREAM_READ, MSG_DONTWAIT);

	if (n > 0) {
		stream_in_filled(&q->in, (uint32_t)n);
		if (++q->reads % REFUSE_EVERY == 0)
			stream_link_refuse(&q->link);
		return true;
	}
	if (n == 0)
		end_connection(q, "connection", "the peer has closed it");
	else if (errno != EAGAIN && errno != EINTR)
		end_connection(q, "receive", strerror(errno));
	else if (q->deaf)
		end_connection(q, "connection", "the peer takes nothing any more");
	else
		stream_link_refuse(&q->link);
	return false;
}

/* Output, and the timer that watches over it. */
static void tend_out(struct qemu_port *q)
{
	if (q->deaf || !stream_out_waiting(&q->out))
		return;
	pump(q);
	if (!q->deaf && stream_out_waiting(&q->out))
		(void)is_stuck(q);
}

static bool come_up(struct qemu_port *q)
{
	if (!stream_link_step(&q->link)) {
		if (*q->link.why)
			snprintf(q->port.error, sizeof q->port.error, "%s", q->link.why);
		return false;
	}
	q->port.down = false;
	return true;
}

static int qemu_recv(struct port *port, struct packet **ret_pkts, unsigned max)
{
	struct qemu_port *q = qemu_of(port);
	bool fresh = false;
	enum stream_got g;
	unsigned n;

	if (q->link.state != LINK_UP && !come_up(q))
		return -ENETDOWN;
	tend_out(q);
	n = take_frames(q, ret_pkts, max, &g);
	if (n == 0 && g == STREAM_MORE) {
		fresh = true;
		if (read_more(q))
			n = take_frames(q, ret_pkts, max, &g);
	}
	if (n == 0 && g != STREAM_MORE && g != STREAM_WHOLE) {
		q->stats.rx_malformed++;
		stream_in_clear(&q->in);
		end_connection(q, "malformed stream", stream_got_text(g));
	}
	if (q->link.state != LINK_UP)
		return -ENETDOWN;
	if (n > 0)
		stream_link_proved(&q->link);
	if (g != STREAM_MORE || q->deaf)
		stream_link_set_ready(&q->link, true);
	else if (fresh)
		stream_link_set_ready(&q->link, false);
	return (int)n;
}

static sut_time qemu_when(const struct port *p)
{
	(void)p;
	return SUT_NEVER;
}

static int qemu_fd(const struct port *p)
{
	return ((const struct qemu_port *)p)->link.fd;
}

static void qemu_stats(struct port *p, struct port_stats *ret_s)
{
	struct qemu_port *q = qemu_of(p);

	q->stats.reconnects = q->link.ups > 0 ? q->link.ups - 1 : 0;
	q->stats.refused = q->link.refused;
	*ret_s = q->stats;
}

static void free_all(struct qemu_port *q)
{
	stream_out_close(&q->out);
	if (q->in.mem)
		munmap(q->in.mem, STREAM_IN_BYTES);
	free(q);
}

static void qemu_close(struct port *p)
{
	stream_link_close(&qemu_of(p)->link);
	free_all(qemu_of(p));
}

static const struct port_ops qemu_ops = {
	.recv = qemu_recv,
	.when = qemu_when,
	.send = qemu_send,
	.fd = qemu_fd,
	.stats = qemu_stats,
	.close = qemu_close,
};

void qemu_set_times(struct port *p, const struct stream_times *t)
{
	struct stream_link *l = &qemu_of(p)->link;

	l->times = *t;
	l->retry = t->retry_first;
}

int qemu_check(const char *name, char *ret_err, size_t err_size)
{
	struct qemu_addr a;

	return qemu_addr_parse(name, &a, ret_err, err_size);
}

/* A port with its buffers, not connected to anything: NULL if there is no memory. */
static struct qemu_port *new_port(const struct qemu_addr *a, bool msgs)
{
	struct qemu_port *q = calloc(1, sizeof *q);
	bool vnet_out = a->vnet && !msgs;
	void *mem;

	if (!q)
		return NULL;
	mem = mmap(NULL, STREAM_IN_BYTES, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem != MAP_FAILED)
		q->in.mem = mem;
	if (!q->in.mem || stream_out_open(&q->out, vnet_out) != 0) {
		free_all(q);
		return NULL;
	}
	q->port.ops = &qemu_ops;
	q->in.vnet = a->vnet;
	q->form.vnet = vnet_out;
	q->msgs = msgs;
	return q;
}

static int open_stream(const char *name, bool msgs, struct port **ret_p, char *ret_err,
		       size_t err_size)
{
	struct qemu_addr a;
	struct qemu_port *q;
	char why[300];
	int err = qemu_addr_parse(name, &a, ret_err, err_size);

	if (err)
		return err;
	q = new_port(&a, msgs);
	if (!q) {
		snprintf(ret_err, err_size, "qemu:%s: out of memory", name);
		return -ENOMEM;
	}
	err = stream_link_open(&q->link, &a, why, sizeof why);
	if (err) {
		snprintf(ret_err, err_size, "qemu:%s: %s", name, why);
		free_all(q);
		return err;
	}
	q->port.down = q->link.state != LINK_UP;
	*ret_p = &q->port;
	return 0;
}

int qemu_open(const char *name, struct arena *a, struct port **ret_p, char *ret_err,
	      size_t err_size)
{
	(void)a;
	return open_stream(name, false, ret_p, ret_err, err_size);
}

int qemu_open_msgs(const char *name, struct arena *a, struct port **ret_p, char *ret_err,
		   size_t err_size)
{
	(void)a;
	return open_stream(name, true, ret_p, ret_err, err_size);
}
