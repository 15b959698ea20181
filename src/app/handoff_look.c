/* SPDX-License-Identifier: MIT */
/* handoff_look - the facts of handoff_doctor.h, from /proc, /sys, and the kernel's table of listeners. */
#include <errno.h>
#include <ifaddrs.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/capability.h>
#include <linux/if_addr.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

#include "app/channel_keys.h"
#include "app/handoff_doctor.h"
#include "proto/ip.h"

#define BPF_FS 0xcafe4a11
#define ANSWER 16384u /* bytes of one answer */
#define STATE_LISTEN 10
#define ULP_NAME 1 /* INET_ULP_INFO_NAME */
#define IPV6_ADDR_GLOBAL 0u /* scope, as the list of addresses tells it */

/* The i-th number of a file; -1. */
static int number(const char *path, unsigned i)
{
	int v[2] = { -1, -1 }, n = 0;
	FILE *f = fopen(path, "re");

	if (f) {
		n = fscanf(f, "%d %d", &v[0], &v[1]);
		fclose(f);
	}
	return n > (int)i ? v[i] : -1;
}

/* A setting of all devices and of this one: the larger counts. */
static int conf(const char *device, const char *key)
{
	char path[160];
	int all, own;

	snprintf(path, sizeof path, "/proc/sys/net/ipv4/conf/all/%s", key);
	all = number(path, 0);
	snprintf(path, sizeof path, "/proc/sys/net/ipv4/conf/%s/%s", device, key);
	own = number(path, 0);
	return all > own ? all : own;
}

/* Does the kernel have this function? */
static int has_function(const char *name)
{
	FILE *f = fopen("/proc/kallsyms", "re");
	char line[300], symbol[200];
	int found = f ? 0 : -1;

	while (f && found == 0 && fgets(line, sizeof line, f))
		found = sscanf(line, "%*s %*s %199s", symbol) == 1 && strcmp(symbol, name) == 0;
	if (f)
		fclose(f);
	return found;
}

static void look_kernel(struct handoff_facts *f)
{
	struct utsname u;

	if (uname(&u) != 0 || sscanf(u.release, "%u.%u", &f->kernel[0], &f->kernel[1]) != 2)
		f->kernel[0] = f->kernel[1] = 0;
	f->adopts = has_function("bpf_sk_assign_tcp_reqsk");
	if (f->adopts > 0 && access("/sys/kernel/btf/vmlinux", R_OK) != 0)
		f->adopts = -1;
}

static void look_capabilities(struct handoff_facts *f)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	if (syscall(SYS_capget, &head, data) != 0)
		return;
	f->cap_net_raw = data[0].effective >> CAP_NET_RAW & 1;
	f->cap_net_admin = data[0].effective >> CAP_NET_ADMIN & 1;
	f->cap_bpf = (data[1].effective >> (CAP_BPF - 32) & 1) ||
		     (data[0].effective >> CAP_SYS_ADMIN & 1);
}

/* Is the directory, or the nearest above it that is there, in a BPF file system? */
static int look_bpffs(const char *dir)
{
	char path[PATH_MAX];
	struct statfs s;
	char *slash;

	if (!dir || !*dir || strlen(dir) >= sizeof path)
		return -1;
	snprintf(path, sizeof path, "%s", dir);
	while (statfs(path, &s) != 0) {
		slash = strrchr(path, '/');
		if (errno == EACCES)
			return -1;
		if (errno != ENOENT || !slash || slash == path)
			return 0;
		*slash = 0;
	}
	return (unsigned long)s.f_type == BPF_FS;
}

/* The device that has this address; "" if none has. */
static void look_address(const uint8_t ip[16], char ret_device[DOCTOR_NAME])
{
	struct ifaddrs *all, *a;

	*ret_device = 0;
	if (getifaddrs(&all) != 0)
		return;
	for (a = all; a && !*ret_device; a = a->ifa_next) {
		struct sockaddr_storage s = { 0 };
		struct endpoint e;
		size_t len;

		if (!a->ifa_addr)
			continue;
		len = a->ifa_addr->sa_family == AF_INET	   ? sizeof(struct sockaddr_in)
		      : a->ifa_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
							   : 0;
		memcpy(&s, a->ifa_addr, len);
		if (len && endpoint_of_socket(&s, &e) == 0 && memcmp(e.ip, ip, 16) == 0)
			snprintf(ret_device, DOCTOR_NAME, "%.*s", (int)strcspn(a->ifa_name, ":"),
				 a->ifa_name);
	}
	freeifaddrs(all);
}

/* One line of the kernel's list of IPv6 addresses. */
struct address6 {
	uint8_t ip[16];
	unsigned scope, flags;
	char device[DOCTOR_NAME];
};

static bool read_address6(FILE *f, struct address6 *ret_a)
{
	char hex[33];

	if (fscanf(f, "%32s %*x %*x %x %x %15s", hex, &ret_a->scope, &ret_a->flags,
		   ret_a->device) != 4 ||
	    strlen(hex) != 32)
		return false;
	for (unsigned i = 0; i < 16; i++) {
		char byte[3] = { hex[2 * i], hex[2 * i + 1], 0 };

		ret_a->ip[i] = (uint8_t)strtoul(byte, NULL, 16);
	}
	return true;
}

static bool is_origin(const struct handoff_patient *p, const uint8_t ip[16])
{
	for (unsigned i = 0; i < p->origins; i++)
		if (memcmp(p->origin[i].ip, ip, 16) == 0)
			return true;
	return false;
}

/*
 * Of addresses of one device and scope the kernel takes one that is not deprecated, and of those rather the one whose prefix is longer, or that came
 * later: an origin.  (IPv4 has the address of the route's own subnet, which an origin behind it never is.)
 */
static bool look_outdoes(const struct handoff_patient *p, const uint8_t ip[16], const char *device)
{
	FILE *f = fopen("/proc/net/if_inet6", "re");
	bool preferred = false, own = false;
	struct address6 a;

	if (!f)
		return false;
	while (read_address6(f, &a)) {
		if (strcmp(a.device, device) != 0 || a.scope != IPV6_ADDR_GLOBAL ||
		    a.flags & IFA_F_DEPRECATED)
			continue;
		preferred |= memcmp(a.ip, ip, 16) == 0;
		own |= !is_origin(p, a.ip);
	}
	fclose(f);
	return preferred && own;
}

/* Listeners. */

struct search {
	struct endpoint at;
	enum handoff_listener best;
};

/* Of a listener's attributes: what keeps it from adopting. */
static enum handoff_listener kind_of(const struct nlmsghdr *m)
{
	const struct nlattr *a = mnl_nlmsg_get_payload_offset(m, sizeof(struct inet_diag_msg)), *in;
	enum handoff_listener kind = LISTENER_TCP;

	for (; mnl_attr_ok(a, (int)((const char *)mnl_nlmsg_get_payload_tail(m) - (const char *)a));
	     a = mnl_attr_next(a)) {
		if (mnl_attr_get_type(a) == INET_DIAG_MD5SIG)
			kind = LISTENER_MD5;
		if (mnl_attr_get_type(a) != INET_DIAG_ULP_INFO)
			continue;
		for (in = mnl_attr_get_payload(a);
		     mnl_attr_ok(in, (int)((const char *)mnl_attr_get_payload(a) +
					   mnl_attr_get_payload_len(a) - (const char *)in));
		     in = mnl_attr_next(in))
			if (mnl_attr_get_type(in) == ULP_NAME &&
			    strncmp(mnl_attr_get_payload(in), "mptcp", 5) == 0)
				kind = LISTENER_MPTCP;
	}
	return kind;
}

/* A socket of IPv6 that leaves IPv4 alone. */
static bool is_v6only(const struct nlmsghdr *m)
{
	const struct nlattr *a = mnl_nlmsg_get_payload_offset(m, sizeof(struct inet_diag_msg));
	const char *end = mnl_nlmsg_get_payload_tail(m);

	for (; mnl_attr_ok(a, (int)(end - (const char *)a)); a = mnl_attr_next(a))
		if (mnl_attr_get_type(a) == INET_DIAG_SKV6ONLY)
			return mnl_attr_get_u8(a) != 0;
	return false;
}

static int take_listener(const struct nlmsghdr *m, void *ctx)
{
	const struct inet_diag_msg *d = mnl_nlmsg_get_payload(m);
	struct search *s = ctx;
	bool four = d->idiag_family == AF_INET, same;
	uint8_t ip[16];

	if (m->nlmsg_type != SOCK_DIAG_BY_FAMILY || ntohs(d->id.idiag_sport) != s->at.port)
		return MNL_CB_OK;
	if (four)
		ip4_map((const uint8_t *)d->id.idiag_src, ip);
	else
		memcpy(ip, d->id.idiag_src, 16);
	same = memcmp(ip, s->at.ip, 16) == 0;
	/* any address: of its own family, or of both */
	if (!same && !(four ? ip_is_mapped(s->at.ip) && !d->id.idiag_src[0]
			    : ip_is_zero(ip) && !(ip_is_mapped(s->at.ip) && is_v6only(m))))
		return MNL_CB_OK;
	if (same || s->best == LISTENER_NONE)
		s->best = kind_of(m);
	return MNL_CB_OK;
}

/* Asks for the listeners of one family: 0 or -errno. */
static int ask_listeners(struct mnl_socket *nl, int family, struct search *s)
{
	uint8_t buf[ANSWER];
	struct nlmsghdr *m = mnl_nlmsg_put_header(buf);
	struct inet_diag_req_v2 *r;
	int more = MNL_CB_OK;

	m->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	m->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	r = mnl_nlmsg_put_extra_header(m, sizeof *r);
	r->sdiag_family = (uint8_t)family;
	r->sdiag_protocol = IPPROTO_TCP;
	r->idiag_states = 1u << STATE_LISTEN;
	r->idiag_ext = 1u << (INET_DIAG_INFO - 1);
	if (mnl_socket_sendto(nl, m, m->nlmsg_len) < 0)
		return -errno;
	while (more > MNL_CB_STOP) {
		ssize_t n = mnl_socket_recvfrom(nl, buf, sizeof buf);

		if (n < 0)
			return -errno;
		more = mnl_cb_run(buf, (size_t)n, 0, 0, take_listener, s);
	}
	return more < 0 ? -errno : 0;
}

static enum handoff_listener look_listener(const struct endpoint *at)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	struct search s = { *at, LISTENER_NONE };

	if (!nl)
		return LISTENER_UNKNOWN;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) != 0 ||
	    (ip_is_mapped(at->ip) && ask_listeners(nl, AF_INET, &s) != 0) ||
	    (s.best == LISTENER_NONE && ask_listeners(nl, AF_INET6, &s) != 0))
		s.best = LISTENER_UNKNOWN;
	mnl_socket_close(nl);
	return s.best;
}

static void look_origin(const struct handoff_patient *p, unsigned i,
			struct handoff_origin_facts *ret_o)
{
	char device[DOCTOR_NAME];

	look_address(p->origin[i].ip, ret_o->device);
	look_address(p->host[i].ip, device);
	ret_o->host_has = *device != 0;
	ret_o->outdoes = *ret_o->device && strcmp(ret_o->device, "lo") != 0 &&
			 look_outdoes(p, p->origin[i].ip, ret_o->device);
	ret_o->listener = look_listener(p->back ? &p->host[i] : &p->origin[i]);
}

static void look_keys(const struct handoff_patient *p, struct handoff_facts *f)
{
	struct channel_keys k;

	if (!p->key_file)
		return;
	f->key_err = channel_keys_read(p->key_file, &k, f->key_error, sizeof f->key_error);
	if (f->key_err)
		return;
	f->keys = (k.valid & 1u) + (k.valid >> 1 & 1u);
	channel_keys_forget(&k);
}

void handoff_look(const struct handoff_patient *p, struct handoff_facts *ret_f)
{
	const char *name[DOCTOR_PORTS] = { p->device, p->other ? p->other : p->device };
	static const char *const role[DOCTOR_PORTS] = { "client", "backend" };
	struct doctor_facts d;

	memset(ret_f, 0, sizeof *ret_f);
	doctor_look(name, role, &d);
	memcpy(ret_f->port, d.port, sizeof ret_f->port);
	ret_f->rp_filter_all = d.rp_filter_all;
	look_kernel(ret_f);
	look_capabilities(ret_f);
	ret_f->bpffs = look_bpffs(p->pins);
	ret_f->syncookies = number("/proc/sys/net/ipv4/tcp_syncookies", 0);
	ret_f->timestamps = number("/proc/sys/net/ipv4/tcp_timestamps", 0);
	ret_f->sack = number("/proc/sys/net/ipv4/tcp_sack", 0);
	ret_f->window_scaling = number("/proc/sys/net/ipv4/tcp_window_scaling", 0);
	ret_f->arp_ignore = conf(p->device, "arp_ignore");
	ret_f->arp_announce = conf(p->device, "arp_announce");
	ret_f->loose = number("/proc/sys/net/netfilter/nf_conntrack_tcp_loose", 0);
	ret_f->conntrack = number("/proc/sys/net/netfilter/nf_conntrack_count", 0) >= 0;
	for (unsigned i = 0; i < 2; i++)
		ret_f->local_ports[i] = number("/proc/sys/net/ipv4/ip_local_port_range", i);
	for (unsigned i = 0; i < p->origins; i++)
		look_origin(p, i, &ret_f->origin[i]);
	look_keys(p, ret_f);
}
