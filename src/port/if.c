/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * One raw packet socket per interface, bound to it with ETH_P_ALL.  PACKET_VNET_HDR puts a virtio-net header before each frame,
 * in both directions: super-packets and unfinished checksums travel as they are.  PACKET_AUXDATA brings the outermost VLAN
 * tag, which the kernel has taken out of the bytes; it is put back.  PACKET_IGNORE_OUTGOING hides what we send.
 *
 * recvmmsg and sendmmsg move bursts of 64.  A burst of super-packets would sweep 4 MB through the cache: after one of more than
 * BURST_BYTES the next is half as long, and it grows again when they get short.
 *
 * sendmmsg stops at the first frame that fails.  If the failure is "not now" (EAGAIN: socket buffer full; ENOBUFS: queue full)
 * the caller is told how many went, and tries again.  Any other failure is this frame's own: it is counted and skipped; but only the second
 * one in a row, because the socket's pending error from receiving is handed out by whichever call comes next.
 *
 * A super-packet of more than 64 KB (BIG TCP) ends in a tail of its own, and becomes several of less: every other port, and what is behind
 * it, can then take them.  A burst may so become more packets than are asked for; what is left is handed out by the next calls,
 * and port.more says that there is some.
 *
 * An interface that goes down makes recv fail with ENETDOWN once; when it comes up again the kernel resumes the socket by itself.
 * One that is removed leaves the socket dead; it is bound anew when an interface of that name is there again.
 */
#include "port/if.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "port/arena.h"
#include "port/if_frame.h"
#include "port/if_long.h"
#include "port/port.h"

#define RCVBUF (16 << 20)
#define SNDBUF (4 << 20)
#define BURST_BYTES (512u << 10)
#define BURST_MIN 8u

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23 /* Linux 4.20 */
#endif

struct control {
	_Alignas(struct cmsghdr) char bytes[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
};

struct if_port {
	struct port port;
	char ifname[IFNAMSIZ];
	int fd;
	int ifindex; /* 0: not bound, the interface was removed */
	unsigned burst; /* frames to ask for at once */
	struct arena *arena;
	struct port_stats stats;
	struct virtio_net_hdr vnet[PORT_BURST];
	struct control control[PORT_BURST];
	struct iovec iov[PORT_BURST][3];
	struct mmsghdr msg[PORT_BURST];
	struct if_long frames; /* received */
};

static struct if_port *if_of(struct port *p)
{
	return (struct if_port *)p;
}

/* Asks the kernel about the interface by name: 0 or -errno. */
static int ask(struct if_port *f, unsigned long what, struct ifreq *ret_r)
{
	memset(ret_r, 0, sizeof *ret_r);
	memcpy(ret_r->ifr_name, f->ifname, sizeof f->ifname);
	return ioctl(f->fd, what, ret_r) < 0 ? -errno : 0;
}

/* The interface's index now; 0 if there is none of that name. */
static int index_now(struct if_port *f)
{
	struct ifreq r;

	return ask(f, SIOCGIFINDEX, &r) == 0 ? r.ifr_ifindex : 0;
}

static bool is_up(struct if_port *f)
{
	struct ifreq r;

	return ask(f, SIOCGIFFLAGS, &r) == 0 && (r.ifr_flags & IFF_UP);
}

/* Binds to the interface, and makes it promiscuous for as long as the socket lives: 0 or -errno. */
static int attach(struct if_port *f)
{
	int index = index_now(f);
	struct sockaddr_ll addr = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = index,
	};
	struct packet_mreq promisc = { .mr_ifindex = index, .mr_type = PACKET_MR_PROMISC };

	if (!index)
		return -ENODEV;
	if (bind(f->fd, (struct sockaddr *)&addr, sizeof addr) < 0)
		return -errno;
	if (setsockopt(f->fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promisc, sizeof promisc) < 0)
		return -errno;
	f->ifindex = index;
	return 0;
}

/* Each frame slot's iovec and control buffer are fixed for the port's life. */
static void lay_out_rx(struct if_port *f, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		f->iov[i][0] = (struct iovec){ &f->vnet[i], sizeof f->vnet[i] };
		f->iov[i][1] = (struct iovec){ arena_slot(f->arena, i), PACKET_MAX };
		f->iov[i][2] = if_long_tail(&f->frames, i);
		f->msg[i].msg_hdr = (struct msghdr){
			.msg_iov = f->iov[i],
			.msg_iovlen = 3,
			.msg_control = &f->control[i],
			.msg_controllen = sizeof f->control[i],
		};
	}
}

/* Puts back the tag that came beside the frame, if there was one. */
static void read_aux(struct msghdr *m, struct packet *p)
{
	struct tpacket_auxdata aux;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA ||
		    c->cmsg_len < CMSG_LEN(sizeof aux))
			continue;
		memcpy(&aux, CMSG_DATA(c), sizeof aux);
		if (aux.tp_status & TP_STATUS_VLAN_VALID)
			vlan_insert(p,
				    aux.tp_status & TP_STATUS_VLAN_TPID_VALID ? aux.tp_vlan_tpid
									      : ETH_P_8021Q,
				    aux.tp_vlan_tci);
	}
}

/* Makes packet i from message i, and queues it; counts it if it is not whole. */
static void take(struct if_port *f, unsigned i)
{
	struct packet *p = &f->arena->pkt[i];
	uint32_t len = f->msg[i].msg_len, head;
	unsigned n;

	if ((f->msg[i].msg_hdr.msg_flags & MSG_TRUNC) || len <= sizeof f->vnet[i]) {
		f->stats.rx_errors++;
		return;
	}
	len -= (uint32_t)sizeof f->vnet[i];
	head = len < PACKET_MAX ? len : PACKET_MAX;
	*p = (struct packet){ .head = arena_slot(f->arena, i), .head_len = head };
	if (len > head) {
		p->body = f->iov[i][2].iov_base;
		p->body_len = len - head;
	}
	offload_from_vnet(&f->vnet[i], &p->off);
	read_aux(&f->msg[i].msg_hdr, p);
	n = if_long_put(&f->frames, p);
	f->stats.rx_errors += n == 0;
	f->stats.rx += n;
	for (unsigned k = f->frames.n - n; k < f->frames.n; k++)
		f->stats.rx_bytes += f->frames.queue[k]->head_len;
}

/* Adapts the length of bursts to the length of frames. */
static void tune_burst(struct if_port *f, int got, uint64_t bytes)
{
	if (bytes > BURST_BYTES && f->burst > BURST_MIN)
		f->burst /= 2;
	else if (bytes < BURST_BYTES / 4 && (unsigned)got == f->burst && f->burst < PORT_BURST)
		f->burst *= 2;
}

/* While the interface is down: is it up again?  0 if so, else -ENETDOWN. */
static int revive(struct if_port *f)
{
	int now = index_now(f);

	if (now != f->ifindex)
		f->ifindex = 0;
	if (!now || (!f->ifindex && attach(f) != 0) || !is_up(f))
		return -ENETDOWN;
	f->port.down = false;
	return 0;
}

/* What a failed recvmmsg means: 0 (nothing there), 1 (try again), -errno. */
static int recv_failed(struct if_port *f, int err)
{
	switch (err) {
	case EAGAIN:
	case EINTR:
		return 0;
	case EINVAL: /* the frame at the queue's head has an offload that vnet_hdr cannot say; it is gone now */
	case ENOBUFS:
		f->stats.rx_errors++;
		return 1;
	case ENETDOWN:
		f->port.down = true;
		return -ENETDOWN;
	default:
		snprintf(f->port.error, sizeof f->port.error, "receive: %s", strerror(err));
		return -err;
	}
}

/* Queues a burst: 0 or -errno. */
static int recv_burst(struct if_port *f, unsigned max)
{
	unsigned want = max < f->burst ? max : f->burst;
	uint64_t bytes = 0;
	int got, err;

	if_long_reset(&f->frames);
	for (unsigned tries = 0;; tries++) {
		lay_out_rx(f, want);
		got = recvmmsg(f->fd, f->msg, want, MSG_DONTWAIT | MSG_TRUNC, NULL);
		if (got >= 0)
			break;
		err = recv_failed(f, errno);
		if (err <= 0 || tries == PORT_BURST)
			return err < 0 ? err : 0;
	}
	for (unsigned i = 0; i < (unsigned)got; i++) {
		bytes += f->msg[i].msg_len;
		take(f, i);
	}
	tune_burst(f, got, bytes);
	return 0;
}

static int if_recv(struct port *port, struct packet **ret_pkts, unsigned max)
{
	struct if_port *f = if_of(port);
	unsigned n;
	int err;

	if (if_long_empty(&f->frames)) {
		err = f->port.down ? revive(f) : 0;
		if (err == 0)
			err = recv_burst(f, max);
		if (err)
			return err;
	}
	n = if_long_take(&f->frames, ret_pkts, max);
	f->port.more = !if_long_empty(&f->frames);
	return (int)n;
}

static sut_time if_when(const struct port *p)
{
	(void)p;
	return SUT_NEVER;
}

static void lay_out_tx(struct if_port *f, struct packet *const *pkts, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const struct packet *p = pkts[i];

		vnet_from_packet(p, &f->vnet[i]);
		f->iov[i][0] = (struct iovec){ &f->vnet[i], sizeof f->vnet[i] };
		f->iov[i][1] = (struct iovec){ p->head, p->head_len };
		f->iov[i][2] = (struct iovec){ (void *)(uintptr_t)p->body, p->body_len };
		f->msg[i].msg_hdr = (struct msghdr){
			.msg_iov = f->iov[i],
			.msg_iovlen = p->body_len ? 3 : 2,
		};
	}
}

static bool not_now(int err)
{
	return err == EAGAIN || err == ENOBUFS || err == EINTR;
}

/* Counts the frame that can never be sent. */
static void count_refused(struct if_port *f, int err)
{
	if (err == EMSGSIZE)
		f->stats.tx_too_long++;
	else
		f->stats.tx_dropped++;
	if (err == ENETDOWN || err == ENXIO || err == ENODEV)
		f->port.down = true;
}

static void count_sent(struct if_port *f, struct packet *const *pkts, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		f->stats.tx_bytes += packet_len(pkts[i]);
	f->stats.tx += n;
}

static int if_send(struct port *port, struct packet *const *pkts, unsigned n)
{
	struct if_port *f = if_of(port);
	unsigned done = 0, failed = UINT_MAX;
	int why = 0;

	while (done < n) {
		unsigned k = n - done < PORT_BURST ? n - done : PORT_BURST;
		int sent;

		lay_out_tx(f, pkts + done, k);
		sent = sendmmsg(f->fd, f->msg, k, MSG_DONTWAIT);
		if (sent > 0) {
			/* so it was left over: a received frame with an unknown offload, which is lost */
			if (failed == done && why == EINVAL)
				f->stats.rx_errors++;
			count_sent(f, pkts + done, (unsigned)sent);
			done += (unsigned)sent;
		} else if (not_now(errno)) {
			break;
		} else if (failed != done) {
			/* may have been an error left over from receiving: once more */
			failed = done;
			why = errno;
		} else {
			count_refused(f, errno);
			done++;
		}
	}
	return (int)done;
}

static int if_fd(const struct port *p)
{
	return ((const struct if_port *)p)->fd;
}

static void if_stats(struct port *p, struct port_stats *ret_s)
{
	struct if_port *f = if_of(p);
	struct tpacket_stats st;
	socklen_t len = sizeof st;

	/* reading sets the kernel's counters to zero */
	if (getsockopt(f->fd, SOL_PACKET, PACKET_STATISTICS, &st, &len) == 0)
		f->stats.rx_dropped += st.tp_drops;
	*ret_s = f->stats;
}

static void if_close(struct port *p)
{
	struct if_port *f = if_of(p);

	close(f->fd);
	if_long_close(&f->frames);
	free(f);
}

static const struct port_ops if_ops = {
	.recv = if_recv,
	.when = if_when,
	.send = if_send,
	.fd = if_fd,
	.stats = if_stats,
	.close = if_close,
};

/* Sets the socket up before it is bound: 0 or -errno, with the option's name. */
static int set_options(int fd, const char **ret_what)
{
	static const struct {
		int option;
		const char *name;
	} flags[] = {
		{ PACKET_VNET_HDR, "PACKET_VNET_HDR" },
		{ PACKET_AUXDATA, "PACKET_AUXDATA" },
		{ PACKET_IGNORE_OUTGOING,
		  "PACKET_IGNORE_OUTGOING (Linux 4.20 or newer is needed)" },
	};
	int one = 1, rcv = RCVBUF, snd = SNDBUF;

	for (unsigned i = 0; i < sizeof flags / sizeof flags[0]; i++) {
		if (setsockopt(fd, SOL_PACKET, flags[i].option, &one, sizeof one) < 0) {
			*ret_what = flags[i].name;
			return -errno;
		}
	}
	/* less than wished for is no reason to fail: what is dropped is counted */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &rcv, sizeof rcv) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcv, sizeof rcv);
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &snd, sizeof snd) < 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &snd, sizeof snd);
	return 0;
}

static int open_socket(struct if_port *f, char *ret_err, size_t err_size)
{
	const char *what = "";
	int err;

	f->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (f->fd < 0) {
		err = -errno;
		snprintf(ret_err, err_size, "if:%s: packet socket: %s%s", f->ifname,
			 strerror(errno),
			 errno == EPERM ? " (run as root, or with CAP_NET_RAW)" : "");
		return err;
	}
	err = set_options(f->fd, &what);
	if (err)
		snprintf(ret_err, err_size, "if:%s: %s: %s", f->ifname, what, strerror(-err));
	return err;
}

static int check_device(struct if_port *f, char *ret_err, size_t err_size)
{
	struct ifreq r;
	int err = ask(f, SIOCGIFHWADDR, &r);

	if (err == -ENODEV)
		snprintf(
			ret_err, err_size,
			"if:%s: no such interface in this network namespace ('ip link' lists them)",
			f->ifname);
	else if (err)
		snprintf(ret_err, err_size, "if:%s: %s", f->ifname, strerror(-err));
	else if (r.ifr_hwaddr.sa_family != ARPHRD_ETHER &&
		 r.ifr_hwaddr.sa_family != ARPHRD_LOOPBACK)
		snprintf(ret_err, err_size, "if:%s: not an Ethernet device (type %u)", f->ifname,
			 r.ifr_hwaddr.sa_family);
	else
		return 0;
	return err ? err : -EPROTONOSUPPORT;
}

static int open_all(struct if_port *f, char *ret_err, size_t err_size)
{
	int err = open_socket(f, ret_err, err_size);

	if (err)
		return err;
	err = if_long_open(&f->frames);
	if (err)
		snprintf(ret_err, err_size, "if:%s: packet buffers: %s", f->ifname, strerror(-err));
	else
		err = check_device(f, ret_err, err_size);
	if (err)
		return err;
	err = attach(f);
	if (err)
		snprintf(ret_err, err_size, "if:%s: bind: %s", f->ifname, strerror(-err));
	return err;
}

int if_open(const char *name, struct arena *a, struct port **ret_p, char *ret_err, size_t err_size)
{
	struct if_port *f;
	int err;

	if (strlen(name) >= IFNAMSIZ) {
		snprintf(ret_err, err_size, "if:%s: interface names have at most %d characters",
			 name, IFNAMSIZ - 1);
		return -EINVAL;
	}
	f = calloc(1, sizeof *f);
	if (!f) {
		snprintf(ret_err, err_size, "if:%s: out of memory", name);
		return -ENOMEM;
	}
	f->port.ops = &if_ops;
	f->arena = a;
	f->burst = PORT_BURST;
	memcpy(f->ifname, name, strlen(name) + 1);
	err = open_all(f, ret_err, err_size);
	if (err) {
		if (f->fd >= 0)
			close(f->fd);
		if_long_close(&f->frames);
		free(f);
		return err;
	}
	*ret_p = &f->port;
	return 0;
}
