/* SPDX-License-Identifier: MIT */
#include "app/plane_bpf_inside.h"

/*
 * What the host is asked beside its maps: whether it can adopt, and to end a socket.
 *
 * The kernel's command to destroy a socket takes the listener where there is no such connection.  So the socket is asked for first, and only
 * the one that was found is ended, by its cookie: if it is in TIME-WAIT, or not what the ways of its quad are for.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "proto/ip.h"

static int sysctl_read(const char *path)
{
	char text[16] = { 0 };
	int fd = open(path, O_RDONLY | O_CLOEXEC), value = -1;

	if (fd < 0)
		return -1;
	if (read(fd, text, sizeof text - 1) > 0)
		value = text[0] - '0';
	close(fd);
	return value;
}

bool plane_bpf_kernel_adopts(char *ret_why)
{
	struct btf *btf = btf__load_vmlinux_btf();
	bool has = btf && btf__find_by_name_kind(btf, "bpf_sk_assign_tcp_reqsk", BTF_KIND_FUNC) > 0;

	if (!has)
		snprintf(ret_why, PLANE_BPF_TEXT,
			 btf ? "the kernel is older than 6.9"
			     : "the kernel does not tell its types (BTF)");
	btf__free(btf);
	if (!has)
		return false;
	if (sysctl_read("/proc/sys/net/ipv4/tcp_syncookies") != 0)
		return true;
	snprintf(ret_why, PLANE_BPF_TEXT, "net.ipv4.tcp_syncookies is 0");
	return false;
}

static void address_put(__be32 ret_words[4], const uint8_t ip[16])
{
	memset(ret_words, 0, 16);
	if (ip_is_mapped(ip))
		memcpy(ret_words, ip + 12, 4);
	else
		memcpy(ret_words, ip, 16);
}

/* The host's end is the source there. */
static void request_put(struct nlmsghdr *nlh, const struct way_key *key, const __u32 cookie[2])
{
	struct inet_diag_req_v2 *req = mnl_nlmsg_put_extra_header(nlh, sizeof *req);

	req->sdiag_family = ip_is_mapped(key->dst) ? AF_INET : AF_INET6;
	req->sdiag_protocol = IPPROTO_TCP;
	req->idiag_states = UINT32_MAX;
	req->id.idiag_sport = key->dport;
	req->id.idiag_dport = key->sport;
	address_put(req->id.idiag_src, key->dst);
	address_put(req->id.idiag_dst, key->src);
	req->id.idiag_cookie[0] = cookie[0];
	req->id.idiag_cookie[1] = cookie[1];
}

struct found {
	bool any;
	uint8_t state;
	__u32 cookie[2];
};

static int on_found(const struct nlmsghdr *nlh, void *ctx)
{
	const struct inet_diag_msg *msg = mnl_nlmsg_get_payload(nlh);
	struct found *f = ctx;

	if (nlh->nlmsg_type != SOCK_DIAG_BY_FAMILY || mnl_nlmsg_get_payload_len(nlh) < sizeof *msg)
		return MNL_CB_OK;
	f->any = true;
	f->state = msg->idiag_state;
	memcpy(f->cookie, msg->id.idiag_cookie, sizeof f->cookie);
	return MNL_CB_OK;
}

/* One command and its acknowledgement: 0 or -errno. */
static int ask(struct mnl_socket *nl, uint16_t command, const struct way_key *key,
	       const __u32 cookie[2], struct found *ret_f)
{
	char buf[8192];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	ssize_t n;
	int r;

	nlh->nlmsg_type = command;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	nlh->nlmsg_seq = 1;
	request_put(nlh, key, cookie);
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	do {
		n = mnl_socket_recvfrom(nl, buf, sizeof buf);
		if (n < 0)
			return -errno;
		r = mnl_cb_run(buf, (size_t)n, 1, mnl_socket_get_portid(nl), on_found, ret_f);
	} while (r > 0);
	return r < 0 ? -errno : 0;
}

/* Do the ways of this quad wait for another connection, or are they nobody's any more? */
static bool is_not_theirs(const struct plane_bpf *pl, const struct way_key *key)
{
	struct way_key turned = { .sport = key->dport, .dport = key->sport };
	struct way in, out;

	memcpy(turned.src, key->dst, 16);
	memcpy(turned.dst, key->src, 16);
	if (plane_bpf_get(pl, &turned, &out) != 0)
		return false;
	return (out.flags & WAY_MUTE) ||
	       (plane_bpf_get(pl, &out.mate, &in) == 0 && (in.flags & (WAY_EXPECT | WAY_UNLEARNT)));
}

static int destroy(const struct plane_bpf *pl, struct mnl_socket *nl, const struct way_key *key)
{
	static const __u32 any[2] = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE };
	struct found f = { 0 };
	int r;

	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	r = ask(nl, SOCK_DIAG_BY_FAMILY, key, any, &f);
	if (r < 0)
		return r;
	if (!f.any || f.state == TCP_LISTEN)
		return -ENOENT;
	if (f.state != TCP_TIME_WAIT && !is_not_theirs(pl, key))
		return -EBUSY;
	return ask(nl, SOCK_DESTROY, key, f.cookie, &f);
}

int plane_bpf_destroy(const struct plane_bpf *pl, const struct way_key *key)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	int r;

	if (!nl)
		return -errno;
	r = destroy(pl, nl, key);
	mnl_socket_close(nl);
	return r;
}
