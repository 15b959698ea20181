/* SPDX-License-Identifier: MIT */
#include "app/doctor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/findings.h"
#include "base/compiler.h"
#include "base/packet.h"

#define GSO_MAX 65536
#define MTU_MOST 65535

static void capability(struct findings *r, const struct doctor_facts *f)
{
	if (!f->cap_net_raw) {
		findings_add(r, DOCTOR_WRONG, "capability",
			     "devices cannot be opened: CAP_NET_RAW is missing");
		findings_mend(r, "run as root, or: setcap cap_net_raw,cap_net_admin+ep $(command "
				 "-v suture)");
	} else if (!f->cap_net_admin) {
		findings_add(
			r, DOCTOR_NOTE, "capability",
			"CAP_NET_ADMIN is missing: receive buffers stay within net.core.rmem_max");
		findings_mend(r, "run as root, or: setcap cap_net_raw,cap_net_admin+ep $(command "
				 "-v suture)");
	} else {
		findings_add(r, DOCTOR_OK, "capability", "devices can be opened");
	}
}

static void device(struct findings *r, const struct doctor_port *p)
{
	if (!p->exists) {
		findings_add(
			r, DOCTOR_WRONG, "device",
			"%s: there is no device %s in this network namespace (ip link show lists "
			"those "
			"that are there)",
			p->role, p->name);
	} else if (!p->ethernet) {
		findings_add(r, DOCTOR_WRONG, "device", "%s: %s carries no Ethernet frames",
			     p->role, p->name);
	} else if (!p->up) {
		findings_add(r, DOCTOR_WRONG, "device", "%s: %s is down", p->role, p->name);
		findings_mend(r, "ip link set dev %s up", p->name);
	} else if (!p->carrier) {
		findings_add(r, DOCTOR_WRONG, "device",
			     "%s: %s is up but has no carrier: cable, or the other end", p->role,
			     p->name);
	} else {
		findings_add(r, DOCTOR_OK, "device", "%s: %s is up", p->role, p->name);
	}
}

static void master(struct findings *r, const struct doctor_port *p)
{
	if (!*p->master) {
		findings_add(r, DOCTOR_OK, "master", "%s: %s belongs to no other device", p->role,
			     p->name);
		return;
	}
	findings_add(r, DOCTOR_WRONG, "master",
		     "%s: %s is a port of %s, which forwards its frames past suture", p->role,
		     p->name, p->master);
	findings_mend(r, "ip link set dev %s nomaster", p->name);
}

static void address(struct findings *r, const struct doctor_port *p)
{
	if (*p->address) {
		findings_add(r, DOCTOR_WRONG, "address",
			     "%s: %s has the address %s: the kernel answers what is sent there",
			     p->role, p->name, p->address);
		findings_mend(r, "ip addr flush dev %s", p->name);
	} else if (p->link_local) {
		findings_add(
			r, DOCTOR_NOTE, "address",
			"%s: %s has an IPv6 link-local address: the kernel speaks on it of its own",
			p->role, p->name);
		findings_mend(r, "sysctl -w net/ipv6/conf/%s/disable_ipv6=1", p->name);
	} else {
		findings_add(r, DOCTOR_OK, "address", "%s: %s has no address", p->role, p->name);
	}
}

/* What is sent to the machine itself may be forwarded; without an address nobody sends it anything. */
static void forwards(struct findings *r, const struct doctor_facts *f, int ip)
{
	const struct doctor_port *a = &f->port[0], *b = &f->port[1];
	bool reached = *a->address || *b->address;

	findings_add(r, reached ? DOCTOR_WRONG : DOCTOR_NOTE, "forwarding",
		     "the kernel forwards IPv%d between %s and %s, past suture%s", ip, a->name,
		     b->name, reached ? "" : ", should they ever have an address");
	findings_mend(r, "sysctl -w net/ipv%d/conf/%s/forwarding=0 net/ipv%d/conf/%s/forwarding=0",
		      ip, a->name, ip, b->name);
}

static void forwarding(struct findings *r, const struct doctor_facts *f)
{
	const struct doctor_port *a = &f->port[0], *b = &f->port[1];
	bool four = a->forwarding4 > 0 && b->forwarding4 > 0,
	     six = a->forwarding6 > 0 && b->forwarding6 > 0;

	if (four)
		forwards(r, f, 4);
	if (six)
		forwards(r, f, 6);
	if (!four && !six)
		findings_add(r, DOCTOR_OK, "forwarding",
			     "the kernel does not forward between %s and %s", a->name, b->name);
}

/* The larger of the two settings counts; a device without an address takes in nothing that could be filtered. */
static void rp_filter(struct findings *r, const struct doctor_facts *f, const struct doctor_port *p)
{
	int set = p->rp_filter > f->rp_filter_all ? p->rp_filter : f->rp_filter_all;

	if (set <= 0) {
		findings_add(r, DOCTOR_OK, "rp_filter",
			     "%s: %s is not filtered by the reverse path", p->role, p->name);
		return;
	}
	findings_add(r, *p->address ? DOCTOR_WRONG : DOCTOR_NOTE, "rp_filter",
		     "%s: packets that %s takes in for this machine are filtered by the reverse "
		     "path (%d)",
		     p->role, p->name, set);
	if (f->rp_filter_all > 0)
		findings_mend(
			r, "sysctl -w net/ipv4/conf/all/rp_filter=0 net/ipv4/conf/%s/rp_filter=0",
			p->name);
	else
		findings_mend(r, "sysctl -w net/ipv4/conf/%s/rp_filter=0", p->name);
}

static void mtu(struct findings *r, const struct doctor_facts *f)
{
	const struct doctor_port *a = &f->port[0], *b = &f->port[1];
	const struct doctor_port *small = a->mtu < b->mtu ? a : b, *large = a->mtu < b->mtu ? b : a;

	if (a->mtu == b->mtu) {
		findings_add(r, DOCTOR_OK, "mtu", "both devices have an MTU of %d", a->mtu);
		return;
	}
	findings_add(r, DOCTOR_WRONG, "mtu",
		     "%s carries %d bytes, %s only %d: what is larger is lost between them",
		     large->name, large->mtu, small->name, small->mtu);
	/* Loopback has more than others can have. */
	if (large->mtu > MTU_MOST)
		findings_mend(r, "ip link set dev %s mtu %d", large->name, small->mtu);
	else
		findings_mend(r, "ip link set dev %s mtu %d", small->name, large->mtu);
}

static void offload(struct findings *r, const struct doctor_port *p)
{
	unsigned before = r->n;

	if (p->lro > 0) {
		findings_add(
			r, DOCTOR_WRONG, "offload",
			"%s: %s merges segments as it receives them (LRO): their sizes are lost",
			p->role, p->name);
		findings_mend(r, "ethtool -K %s lro off", p->name);
	}
	if (p->gso_max_size > GSO_MAX) {
		findings_add(r, DOCTOR_NOTE, "offload",
			     "%s: super-packets of %s may have %" PRId64
			     " bytes: suture makes several of %u of each, which costs a copy",
			     p->role, p->name, p->gso_max_size, GSO_MAX);
		findings_mend(r, "ip link set dev %s gso_max_size %u gro_max_size %u", p->name,
			      GSO_MAX, GSO_MAX);
	}
	if (p->tx_csum == 0) {
		findings_add(
			r, DOCTOR_NOTE, "offload",
			"%s: %s leaves checksums and segmentation to the processor: right, but "
			"slower",
			p->role, p->name);
		findings_mend(r, "ethtool -K %s tx on", p->name);
	}
	if (r->n == before)
		findings_add(r, DOCTOR_OK, "offload", "%s: offloads of %s keep frames whole",
			     p->role, p->name);
}

static void buffer(struct findings *r, const struct doctor_facts *f)
{
	if (f->buffer_forced || f->rmem_max >= DOCTOR_BUFFER) {
		findings_add(r, DOCTOR_OK, "buffer", "a port may buffer %d MB",
			     DOCTOR_BUFFER >> 20);
		return;
	}
	findings_add(r, DOCTOR_WRONG, "buffer",
		     "a port may buffer only %" PRId64
		     " bytes: bursts of super-packets are dropped",
		     f->rmem_max);
	findings_mend(r, "sysctl -w net.core.rmem_max=%d", DOCTOR_BUFFER);
}

static void other(struct findings *r, const struct doctor_port *p)
{
	if (p->other_pid == 0) {
		findings_add(r, DOCTOR_OK, "other", "%s: nobody else reads %s", p->role, p->name);
	} else if (p->other_pid < 0) {
		findings_add(
			r, DOCTOR_NOTE, "other",
			"%s: another process, which this user may not see, reads all frames of %s",
			p->role, p->name);
	} else if (strcmp(p->other_name, "suture") == 0) {
		findings_add(r, DOCTOR_WRONG, "other",
			     "%s: another suture (process %d) works on %s already", p->role,
			     p->other_pid, p->name);
		findings_mend(r, "kill %d", p->other_pid);
	} else {
		findings_add(r, DOCTOR_NOTE, "other",
			     "%s: process %d (%s) reads all frames of %s too", p->role,
			     p->other_pid, p->other_name, p->name);
	}
}

/* Is name a word of a list with blanks between? */
static bool listed(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = list; (at = strstr(at, name)); at += len)
		if ((at == list || at[-1] == ' ') && (at[len] == ' ' || at[len] == 0))
			return true;
	return false;
}

static void clock_source(struct findings *r, const struct doctor_facts *f)
{
	static const char *const fast[] = {
		"tsc",	    "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter",
		"timebase", "tod"
	};
	const char *better = NULL;

	for (unsigned i = ARRAY_LEN(fast); i-- > 0;) {
		if (strcmp(f->clocksource, fast[i]) == 0) {
			findings_add(r, DOCTOR_OK, "clock",
				     "the clock is %s: read without a system call", f->clocksource);
			return;
		}
		if (listed(f->clocksources, fast[i]))
			better = fast[i];
	}
	if (!*f->clocksource) {
		findings_add(r, DOCTOR_NOTE, "clock",
			     "this kernel does not tell which clock it uses");
		return;
	}
	findings_add(r, DOCTOR_NOTE, "clock", "the clock is %s: each reading costs a system call",
		     f->clocksource);
	if (better)
		findings_mend(
			r,
			"echo %s >/sys/devices/system/clocksource/clocksource0/current_clocksource",
			better);
}

unsigned doctor_judge(const struct doctor_facts *f,
		      struct doctor_finding ret_f[DOCTOR_FINDINGS_MAX])
{
	struct findings r = { .f = ret_f, .max = DOCTOR_FINDINGS_MAX };
	bool both = f->port[0].exists && f->port[1].exists;

	capability(&r, f);
	for (unsigned i = 0; i < DOCTOR_PORTS; i++) {
		const struct doctor_port *p = &f->port[i];

		device(&r, p);
		if (!p->exists)
			continue;
		master(&r, p);
		address(&r, p);
		rp_filter(&r, f, p);
		offload(&r, p);
		other(&r, p);
	}
	if (both) {
		forwarding(&r, f);
		mtu(&r, f);
	}
	buffer(&r, f);
	clock_source(&r, f);
	return r.n;
}
