/* SPDX-License-Identifier: MIT */
#include "app/handoff_doctor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "app/findings.h"
#include "base/be.h"
#include "proto/ip.h"

#define ADOPTS_MAJOR 6u
#define ADOPTS_MINOR 9u
#define MTU_LEAST 1280 /* IPv6 */
#define MTU_USUAL 1500

/* One who looks: what for, what at, where findings go. */
struct visit {
	const struct handoff_patient *p;
	const struct handoff_facts *f;
	struct findings *l;
};

static void kernel(const struct visit *v)
{
	const unsigned *k = v->f->kernel;

	if (!v->p->back)
		return;
	if (!v->p->bpf) {
		findings_add(
			v->l, DOCTOR_NOTE, "kernel",
			"--plane user cannot adopt connections, whatever the kernel is: shift");
	} else if (v->f->adopts == 0) {
		findings_add(
			v->l, DOCTOR_NOTE, "kernel",
			"Linux %u.%u cannot adopt connections (6.9 or newer can): shift is the "
			"best rung here",
			k[0], k[1]);
	} else if (v->f->adopts < 0) {
		findings_add(v->l, DOCTOR_NOTE, "kernel",
			     "Linux %u.%u does not tell whether it can adopt connections "
			     "(/sys/kernel/btf/vmlinux is missing)",
			     k[0], k[1]);
	} else {
		findings_add(v->l, DOCTOR_OK, "kernel", "Linux %u.%u can adopt connections", k[0],
			     k[1]);
	}
}

static void capability(const struct visit *v)
{
	static const char how[] =
		"run as root, or: setcap cap_net_raw,cap_net_admin,cap_bpf+ep $(command -v suture)";
	const struct handoff_facts *f = v->f;

	if (!f->cap_net_raw || !f->cap_net_admin || (v->p->bpf && !f->cap_bpf)) {
		findings_add(v->l, DOCTOR_WRONG, "capability", "%s%s%s missing",
			     f->cap_net_raw ? "" : "CAP_NET_RAW ",
			     f->cap_net_admin ? "" : "CAP_NET_ADMIN ",
			     f->cap_bpf || !v->p->bpf ? "is" : "CAP_BPF is");
		findings_mend(v->l, "%s", how);
	} else {
		findings_add(v->l, DOCTOR_OK, "capability", "devices and programs can be opened");
	}
}

static void bpffs(const struct visit *v)
{
	const char *dir = v->p->pins;

	if (!v->p->bpf)
		return;
	if (!dir || !*dir) {
		findings_add(v->l, DOCTOR_NOTE, "bpffs",
			     "nothing is pinned: connections end with the process");
	} else if (v->f->bpffs > 0) {
		findings_add(v->l, DOCTOR_OK, "bpffs", "%s is in a BPF file system", dir);
	} else if (v->f->bpffs < 0) {
		findings_add(v->l, DOCTOR_NOTE, "bpffs",
			     "%s: this user cannot see whether that is in a BPF file system", dir);
	} else {
		findings_add(v->l, DOCTOR_WRONG, "bpffs", "%s is not in a BPF file system", dir);
		findings_mend(v->l, "mount -t bpf bpf /sys/fs/bpf");
	}
}

static void device(const struct visit *v, const struct doctor_port *d)
{
	if (!d->exists) {
		findings_add(v->l, DOCTOR_WRONG, "device",
			     "there is no device %s in this network namespace (ip link show lists "
			     "those that are there)",
			     d->name);
	} else if (!d->ethernet) {
		findings_add(v->l, DOCTOR_WRONG, "device", "%s carries no Ethernet frames",
			     d->name);
	} else if (!d->up) {
		findings_add(v->l, DOCTOR_WRONG, "device", "%s is down", d->name);
		findings_mend(v->l, "ip link set dev %s up", d->name);
	} else if (!d->carrier) {
		findings_add(v->l, DOCTOR_WRONG, "device",
			     "%s is up but has no carrier: cable, or the other end", d->name);
	} else {
		findings_add(v->l, DOCTOR_OK, "device", "%s is up", d->name);
	}
}

static void mtu(const struct visit *v)
{
	const struct doctor_port *a = &v->f->port[0], *b = &v->f->port[1];
	bool two = v->p->other && b->exists;
	const struct doctor_port *least = two && b->mtu < a->mtu ? b : a;

	if (least->mtu < MTU_LEAST) {
		findings_add(v->l, DOCTOR_WRONG, "mtu", "%s carries only %d bytes", least->name,
			     least->mtu);
		findings_mend(v->l, "ip link set dev %s mtu 1500", least->name);
	} else if (two && b->mtu < a->mtu) {
		findings_add(
			v->l, DOCTOR_NOTE, "mtu",
			"%s carries %d bytes, %s only %d: clients are told of an MSS that fits the "
			"latter, unless --mtu says more",
			a->name, a->mtu, b->name, b->mtu);
		findings_mend(v->l, "ip link set dev %s mtu %d", b->name, a->mtu);
	} else if (least->mtu < MTU_USUAL) {
		findings_add(
			v->l, DOCTOR_OK, "mtu",
			v->p->back
				? "%s carries %d bytes: front ends hear of it from the agent, and "
				  "tell clients of an MSS that fits"
				: "%s carries %d bytes: clients are told of an MSS that fits, "
				  "unless "
				  "--mtu says more",
			least->name, least->mtu);
	} else {
		findings_add(v->l, DOCTOR_OK, "mtu", "%s carries %d bytes", least->name,
			     least->mtu);
	}
}

static void syncookies(const struct visit *v)
{
	if (!v->p->back)
		return;
	if (v->f->syncookies == 0) {
		findings_add(v->l, DOCTOR_WRONG, "syncookies",
			     "SYN cookies are forbidden: the kernel then adopts nothing, and does "
			     "not say so");
		findings_mend(v->l, "sysctl -w net.ipv4.tcp_syncookies=1");
	} else {
		findings_add(v->l, DOCTOR_OK, "syncookies", "SYN cookies are not forbidden");
	}
}

static void option(const struct visit *v, int set, const char *name, const char *what)
{
	if (set != 0)
		return;
	findings_add(v->l, DOCTOR_WRONG, "options",
		     "%s forbidden: front ends may not agree upon %s with any client", what, what);
	findings_mend(v->l, "sysctl -w net.ipv4.%s=1", name);
}

static void options(const struct visit *v)
{
	unsigned before = v->l->n;

	if (!v->p->back)
		return;
	option(v, v->f->timestamps, "tcp_timestamps", "timestamps");
	option(v, v->f->sack, "tcp_sack", "SACK");
	option(v, v->f->window_scaling, "tcp_window_scaling", "window scaling");
	if (v->l->n == before)
		findings_add(v->l, DOCTOR_OK, "options",
			     "timestamps, SACK and window scaling are not forbidden");
}

/* Addresses of origins. */

static void vip_front(const struct visit *v, unsigned i, const char *ip, unsigned bits)
{
	const char *where = v->f->origin[i].device;

	if (v->p->bpf && !*where) {
		findings_add(v->l, DOCTOR_WRONG, "vip",
			     "%s is no address of this host: nobody answers for it on the link",
			     ip);
		findings_mend(v->l, "ip addr add %s/%u dev %s%s", ip, bits, v->f->port[0].name,
			      bits == 128 ? " preferred_lft 0" : "");
	} else if (!v->p->bpf && *where) {
		findings_add(v->l, DOCTOR_WRONG, "vip",
			     "%s is this host's own address: with --plane user its kernel answers "
			     "the clients, with resets",
			     ip);
		findings_mend(v->l, "ip addr flush dev %s to %s/%u", where, ip, bits);
	} else if (v->p->bpf && v->f->origin[i].outdoes) {
		findings_add(v->l, DOCTOR_WRONG, "vip",
			     "%s is what this host comes from at %s in place of its own address: "
			     "who has the origin too answers itself",
			     ip, where);
		findings_mend(v->l, "ip addr change %s/%u dev %s preferred_lft 0", ip, bits, where);
	} else {
		findings_add(v->l, DOCTOR_OK, "vip", "%s is %s", ip,
			     *where ? "an address of this host" : "no address of this host");
	}
}

static void vip_back(const struct visit *v, unsigned i, const char *ip, unsigned bits)
{
	const struct handoff_patient *p = v->p;
	const char *where = v->f->origin[i].device;

	if (memcmp(p->origin[i].ip, p->host[i].ip, 16) != 0) {
		if (v->f->origin[i].host_has)
			findings_add(v->l, DOCTOR_OK, "vip",
				     "%s is served at an address of this host", ip);
		else
			findings_add(v->l, DOCTOR_WRONG, "vip",
				     "%s is to be served at an address that is not this host's: "
				     "--host-addr has to name one that 'ip addr' lists",
				     ip);
	} else if (!*where) {
		findings_add(
			v->l, DOCTOR_WRONG, "vip",
			"%s is no address of this host: connections to it have nobody to go to",
			ip);
		findings_mend(v->l, "ip addr add %s/%u dev lo", ip, bits);
	} else if (strcmp(where, "lo") != 0) {
		findings_add(
			v->l, DOCTOR_WRONG, "vip",
			"%s is on %s: this host and the front end both answer for it on the link",
			ip, where);
		findings_mend(v->l, "ip addr flush dev %s to %s/%u; ip addr add %s/%u dev lo",
			      where, ip, bits, ip, bits);
	} else {
		findings_add(v->l, DOCTOR_OK, "vip", "%s is on lo", ip);
	}
}

static void vip(const struct visit *v)
{
	for (unsigned i = 0; i < v->p->origins; i++) {
		struct endpoint e = v->p->origin[i];
		unsigned bits = ip_is_mapped(e.ip) ? 32 : 128;
		char ip[ENDPOINT_TEXT];
		bool twice = false;

		for (unsigned j = 0; j < i; j++)
			twice |= memcmp(v->p->origin[j].ip, e.ip, 16) == 0;
		if (twice)
			continue;
		e.port = 0;
		endpoint_write(&e, ip);
		(v->p->back ? vip_back : vip_front)(v, i, ip, bits);
	}
}

/* Loopback addresses are answered for at any device, unless that is forbidden; IPv6 does not do so. */
static void arp(const struct visit *v)
{
	bool on_lo = false;

	for (unsigned i = 0; i < v->p->origins; i++)
		on_lo |= ip_is_mapped(v->p->origin[i].ip) &&
			 strcmp(v->f->origin[i].device, "lo") == 0;
	if (!v->p->back || !on_lo)
		return;
	if (v->f->arp_ignore > 0 && v->f->arp_announce > 1) {
		findings_add(v->l, DOCTOR_OK, "arp",
			     "ARP is not answered for addresses of the loopback device");
		return;
	}
	findings_add(
		v->l, DOCTOR_WRONG, "arp",
		"ARP is answered, or asked, with addresses of the loopback device: clients find "
		"this host in place of the front end");
	findings_mend(v->l,
		      "sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2");
}

static void listener_back(const struct visit *v, unsigned i, const char *at)
{
	switch (v->f->origin[i].listener) {
	case LISTENER_UNKNOWN:
		findings_add(v->l, DOCTOR_NOTE, "listener",
			     "%s: the kernel does not tell who listens", at);
		break;
	case LISTENER_NONE:
		findings_add(
			v->l, DOCTOR_WRONG, "listener",
			"%s: nobody listens there: start the server, or let it listen there too",
			at);
		break;
	case LISTENER_MPTCP:
		findings_add(v->l, DOCTOR_WRONG, "listener",
			     "%s: the server listens by MPTCP, which can adopt nothing", at);
		findings_mend(
			v->l,
			"for a server in Go: GODEBUG=multipathtcp=0; for the whole host: sysctl "
			"-w net.mptcp.enabled=0, and restart the server");
		break;
	case LISTENER_MD5:
		findings_add(
			v->l, DOCTOR_WRONG, "listener",
			"%s: the server wants signed segments (MD5, AO), which can adopt nothing",
			at);
		break;
	case LISTENER_TCP:
		findings_add(v->l, DOCTOR_OK, "listener", "%s: a server listens", at);
		break;
	}
}

/* At a front end a kernel's server is never asked; it is no harm, but surely a mistake. */
static void listener_front(const struct visit *v, unsigned i, const char *at)
{
	enum handoff_listener l = v->f->origin[i].listener;

	if (l == LISTENER_TCP || l == LISTENER_MPTCP || l == LISTENER_MD5)
		findings_add(
			v->l, DOCTOR_NOTE, "listener",
			"%s: a server of this host listens there too: it gets nothing while the "
			"front end runs",
			at);
}

static void listeners(const struct visit *v)
{
	for (unsigned i = 0; i < v->p->origins; i++) {
		char at[ENDPOINT_TEXT];

		endpoint_write(v->p->back ? &v->p->host[i] : &v->p->origin[i], at);
		(v->p->back ? listener_back : listener_front)(v, i, at);
	}
}

static void rp_filter(const struct visit *v)
{
	const struct doctor_port *d = &v->f->port[0];
	int set = d->rp_filter > v->f->rp_filter_all ? d->rp_filter : v->f->rp_filter_all;

	if (set == 1 && (v->p->back || v->p->other)) {
		findings_add(
			v->l, DOCTOR_WRONG, "rp_filter",
			"what comes in at %s from a client is dropped, unless the way back to it "
			"leads out there too (strict reverse path filter)",
			d->name);
		findings_mend(v->l, "sysctl -w net/ipv4/conf/%s/rp_filter=2", d->name);
	} else {
		findings_add(v->l, DOCTOR_OK, "rp_filter", "%s: no strict reverse path filter",
			     d->name);
	}
}

static void conntrack(const struct visit *v)
{
	if (v->f->conntrack <= 0) {
		findings_add(v->l, DOCTOR_OK, "conntrack", "connections are not tracked here");
	} else if (!v->p->back) {
		findings_add(v->l, DOCTOR_OK, "conntrack",
			     "what is taken at the device is not seen by connection tracking");
	} else if (v->f->loose == 0) {
		findings_add(
			v->l, DOCTOR_WRONG, "conntrack",
			"connections that are tracked must have begun here "
			"(nf_conntrack_tcp_loose is 0): adopted ones are invalid to the firewall");
		findings_mend(v->l, "sysctl -w net.netfilter.nf_conntrack_tcp_loose=1");
	} else {
		findings_add(v->l, DOCTOR_OK, "conntrack",
			     "connections are tracked, though they have begun elsewhere");
	}
}

static void forwarding(const struct visit *v)
{
	const struct doctor_port *d = &v->f->port[0];

	if (v->p->bpf)
		return;
	if (d->forwarding4 > 0 || d->forwarding6 > 0) {
		findings_add(
			v->l, DOCTOR_WRONG, "forwarding",
			"the kernel forwards too what comes in at %s: packets to origins go on "
			"twice",
			d->name);
		findings_mend(
			v->l,
			"sysctl -w net/ipv4/conf/%s/forwarding=0 net/ipv6/conf/%s/forwarding=0",
			d->name, d->name);
	} else {
		findings_add(v->l, DOCTOR_OK, "forwarding", "the kernel does not forward at %s",
			     d->name);
	}
}

static void ports(const struct visit *v)
{
	const uint16_t *own = v->p->own_ports;
	const int *local = v->f->local_ports;

	if (v->p->back || !v->p->bpf || own[1] == 0 || local[0] < 0)
		return;
	if (own[0] > local[1] || own[1] < local[0]) {
		findings_add(v->l, DOCTOR_OK, "ports", "%u to %u are not given out by the kernel",
			     own[0], own[1]);
		return;
	}
	findings_add(v->l, DOCTOR_WRONG, "ports",
		     "the kernel gives out ports of %u to %u to programs of this host (%d to %d)",
		     own[0], own[1], local[0], local[1]);
	findings_mend(v->l,
		      "sysctl -w net.ipv4.ip_local_reserved_ports=%u-%u, or another --own-ports",
		      own[0], own[1]);
}

static void key(const struct visit *v)
{
	if (*v->f->key_error) {
		findings_add(v->l, DOCTOR_WRONG, "key", "%.200s", v->f->key_error);
		if (v->f->key_err == -ENOENT)
			findings_mend(v->l, "umask 077; suture handoff key >%.100s",
				      v->p->key_file);
		else if (v->f->key_err ==
			 -EPERM) /* a new key would be another one than everybody else has */
			findings_mend(v->l, "chmod 600 %.100s", v->p->key_file);
	} else if (v->p->key_file) {
		findings_add(v->l, DOCTOR_OK, "key", "%.150s has %u key%s", v->p->key_file,
			     v->f->keys, v->f->keys == 1 ? "" : "s");
	} else if (v->p->insecure) {
		findings_add(v->l, DOCTOR_NOTE, "key",
			     "there is no key: whoever can send from a peer's address is believed");
	} else if (v->p->back) {
		findings_add(v->l, DOCTOR_WRONG, "key",
			     "no file of keys is given: the agent does not start without one");
		findings_mend(v->l, "umask 077; suture handoff key >/etc/suture/keys");
	}
}

static uint16_t host_order(uint16_t network)
{
	return load_be16((const uint8_t *)&network);
}

void handoff_patient_origin(struct handoff_patient *p, unsigned i, const struct way_origin *o)
{
	memcpy(p->origin[i].ip, o->ip, 16);
	p->origin[i].port = host_order(o->port);
	memcpy(p->host[i].ip, o->host_ip, 16);
	p->host[i].port = host_order(o->host_port);
}

unsigned handoff_judge(const struct handoff_patient *p, const struct handoff_facts *f,
		       struct doctor_finding ret_f[HANDOFF_FINDINGS_MAX])
{
	struct findings l = { .f = ret_f, .max = HANDOFF_FINDINGS_MAX };
	const struct visit v = { p, f, &l };

	kernel(&v);
	capability(&v);
	bpffs(&v);
	device(&v, &f->port[0]);
	if (p->other)
		device(&v, &f->port[1]);
	if (f->port[0].exists)
		mtu(&v);
	syncookies(&v);
	options(&v);
	if (p->origins == 0)
		findings_add(v.l, DOCTOR_NOTE, "vip",
			     "no origin was named (%s): what origins need was not looked at",
			     p->back ? "--origin" : "--vip");
	vip(&v);
	arp(&v);
	listeners(&v);
	if (f->port[0].exists)
		rp_filter(&v);
	conntrack(&v);
	if (f->port[0].exists)
		forwarding(&v);
	ports(&v);
	key(&v);
	return l.n;
}
