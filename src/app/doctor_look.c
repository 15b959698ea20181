/* SPDX-License-Identifier: MIT */
/* doctor_look - the facts of doctor.h, from sysfs, procfs, rtnetlink and a few ioctls. */
#include <ctype.h>
#include <dirent.h>
#include <ifaddrs.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <linux/capability.h>
#include <linux/ethtool.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "app/doctor.h"

/* The first line of a file, without its end: false if it cannot be read. */
static bool read_line(const char *path, char *ret_s, size_t size)
{
	FILE *f = fopen(path, "re");
	bool ok = f && fgets(ret_s, (int)size, f);

	if (f)
		fclose(f);
	if (ok)
		ret_s[strcspn(ret_s, "\n")] = 0;
	return ok;
}

static int64_t read_number(const char *path)
{
	char s[40], *end;
	int64_t v;

	if (!read_line(path, s, sizeof s))
		return -1;
	v = strtoll(s, &end, 10);
	return end == s ? -1 : v;
}

static int64_t device_number(const char *format, const char *name)
{
	char path[120];

	/* The formats are the constants below. */
	if (snprintf(path, sizeof path, "%s%s", format, name) >= (int)sizeof path)
		return -1;
	return read_number(path);
}

static int conf(const char *family, const char *name, const char *key)
{
	char path[160];

	snprintf(path, sizeof path, "/proc/sys/net/%s/conf/%s/%s", family, name, key);
	return (int)read_number(path);
}

static void look_master(struct doctor_port *p)
{
	char path[100], to[PATH_MAX], *base;
	ssize_t n;

	snprintf(path, sizeof path, "/sys/class/net/%s/master", p->name);
	n = readlink(path, to, sizeof to - 1);
	if (n <= 0)
		return;
	to[n] = 0;
	base = strrchr(to, '/');
	snprintf(p->master, sizeof p->master, "%.15s", base ? base + 1 : to);
}

/* An address may have a label instead of the device's name, which is that name, a colon and more. */
static bool is_name_of(const char *label, const char *device)
{
	size_t len = strlen(device);

	return strncmp(label, device, len) == 0 && (label[len] == 0 || label[len] == ':');
}

static void look_addresses(struct doctor_port *p)
{
	struct ifaddrs *all, *a;

	if (getifaddrs(&all) != 0)
		return;
	for (a = all; a; a = a->ifa_next) {
		const void *addr;

		if (!a->ifa_addr || !is_name_of(a->ifa_name, p->name))
			continue;
		if (a->ifa_addr->sa_family == AF_INET) {
			addr = &((const struct sockaddr_in *)(const void *)a->ifa_addr)->sin_addr;
		} else if (a->ifa_addr->sa_family == AF_INET6) {
			addr = &((const struct sockaddr_in6 *)(const void *)a->ifa_addr)->sin6_addr;
			if (IN6_IS_ADDR_LINKLOCAL(addr)) {
				p->link_local = true;
				continue;
			}
		} else {
			continue;
		}
		inet_ntop(a->ifa_addr->sa_family, addr, p->address, sizeof p->address);
	}
	freeifaddrs(all);
}

static int ethtool_value(int fd, const char *name, uint32_t what)
{
	struct ethtool_value v = { .cmd = what };
	struct ifreq r = { .ifr_data = (char *)&v };

	snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
	return ioctl(fd, SIOCETHTOOL, &r) < 0 ? -1 : (int)v.data;
}

static bool ask(int fd, const char *name, unsigned long what, struct ifreq *ret_r)
{
	memset(ret_r, 0, sizeof *ret_r);
	snprintf(ret_r->ifr_name, sizeof ret_r->ifr_name, "%s", name);
	return ioctl(fd, what, ret_r) == 0;
}

static void look_device(int fd, struct doctor_port *p)
{
	struct ifreq r;
	int flags;

	p->exists = ask(fd, p->name, SIOCGIFFLAGS, &r);
	if (!p->exists)
		return;
	p->up = r.ifr_flags & IFF_UP;
	p->carrier = r.ifr_flags & IFF_RUNNING;
	p->ethernet = ask(fd, p->name, SIOCGIFHWADDR, &r) && r.ifr_hwaddr.sa_family == ARPHRD_ETHER;
	p->mtu = ask(fd, p->name, SIOCGIFMTU, &r) ? r.ifr_mtu : -1;
	flags = ethtool_value(fd, p->name, ETHTOOL_GFLAGS);
	p->lro = flags < 0 ? -1 : !!(flags & ETH_FLAG_LRO);
	p->tx_csum = ethtool_value(fd, p->name, ETHTOOL_GTXCSUM);
}

/* IFLA_* of the sizes of super-packets; headers are older than the kernel. */
enum { GSO_SIZE = 41, GRO_SIZE = 58, GSO_SIZE4 = 63, GRO_SIZE4 = 64 };

/* The largest of them among the attributes of a device; -1 if there is none. */
static int64_t largest_size(const uint8_t *b, size_t len)
{
	int64_t largest = -1;
	struct rtattr a;
	uint32_t v;

	for (size_t at = 0; at + sizeof a <= len; at += (a.rta_len + 3u) & ~3u) {
		memcpy(&a, b + at, sizeof a);
		if (a.rta_len < sizeof a || a.rta_len > len - at)
			break;
		if (a.rta_len != sizeof a + sizeof v ||
		    (a.rta_type != GSO_SIZE && a.rta_type != GRO_SIZE && a.rta_type != GSO_SIZE4 &&
		     a.rta_type != GRO_SIZE4))
			continue;
		memcpy(&v, b + at + sizeof a, sizeof v);
		if (v > largest)
			largest = v;
	}
	return largest;
}

static int64_t look_sizes(const char *name)
{
	struct {
		struct nlmsghdr head;
		struct ifinfomsg device;
	} ask = {
		.head = { .nlmsg_len = sizeof ask,
			  .nlmsg_type = RTM_GETLINK,
			  .nlmsg_flags = NLM_F_REQUEST },
		.device = { .ifi_index = (int)if_nametoindex(name) },
	};
	uint8_t answer[16384];
	const size_t skip = sizeof ask;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct nlmsghdr h;
	ssize_t n = -1;

	if (fd < 0)
		return -1;
	if (send(fd, &ask, sizeof ask, 0) == (ssize_t)sizeof ask)
		n = recv(fd, answer, sizeof answer, 0);
	close(fd);
	if (n < (ssize_t)skip)
		return -1;
	memcpy(&h, answer, sizeof h);
	return h.nlmsg_type == RTM_NEWLINK && h.nlmsg_len <= (size_t)n && h.nlmsg_len >= skip
		       ? largest_size(answer + skip, h.nlmsg_len - skip)
		       : -1;
}

/* Who has the socket with this inode open: another process's number, 0 if it is our own, -1 if nobody can be found. */
static int owner_of(unsigned long inode)
{
	char want[40], path[300], to[64];
	DIR *proc = opendir("/proc");
	struct dirent *d;
	int found = -1;

	snprintf(want, sizeof want, "socket:[%lu]", inode);
	while (proc && found < 0 && (d = readdir(proc))) {
		DIR *fds;
		struct dirent *e;

		if (!isdigit((unsigned char)d->d_name[0]))
			continue;
		snprintf(path, sizeof path, "/proc/%.20s/fd", d->d_name);
		fds = opendir(path);
		while (fds && found < 0 && (e = readdir(fds))) {
			ssize_t n;

			snprintf(path, sizeof path, "/proc/%.20s/fd/%.20s", d->d_name, e->d_name);
			n = readlink(path, to, sizeof to - 1);
			to[n > 0 ? n : 0] = 0;
			if (strcmp(to, want) == 0)
				found = atoi(d->d_name);
		}
		if (fds)
			closedir(fds);
	}
	if (proc)
		closedir(proc);
	return found == (int)getpid() ? 0 : found;
}

/* Packet sockets for every protocol on the device. */
static void look_other(struct doctor_port *p)
{
	FILE *f = fopen("/proc/net/packet", "re");
	unsigned index = if_nametoindex(p->name);
	char line[200];

	while (f && index && fgets(line, sizeof line, f)) {
		unsigned proto, iface;
		unsigned long inode;
		char path[64];

		if (sscanf(line, "%*s %*s %*s %x %u %*s %*s %*s %lu", &proto, &iface, &inode) !=
			    3 ||
		    proto != 3 || iface != index)
			continue;
		p->other_pid = owner_of(inode);
		if (p->other_pid == 0)
			continue;
		snprintf(path, sizeof path, "/proc/%d/comm", p->other_pid);
		if (!read_line(path, p->other_name, sizeof p->other_name))
			p->other_name[0] = 0;
		break;
	}
	if (f)
		fclose(f);
}

static void look_port(int fd, struct doctor_port *p)
{
	look_device(fd, p);
	if (!p->exists)
		return;
	look_master(p);
	look_addresses(p);
	look_other(p);
	p->gso_max_size = look_sizes(p->name);
	p->forwarding4 = conf("ipv4", p->name, "forwarding");
	p->forwarding6 = conf("ipv6", p->name, "forwarding");
	p->rp_filter = conf("ipv4", p->name, "rp_filter");
}

static void look_capabilities(struct doctor_facts *f)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	if (syscall(SYS_capget, &head, data) != 0)
		return;
	f->cap_net_raw = data[0].effective & 1u << CAP_NET_RAW;
	f->cap_net_admin = data[0].effective & 1u << CAP_NET_ADMIN;
}

void doctor_look(const char *const name[DOCTOR_PORTS], const char *const role[DOCTOR_PORTS],
		 struct doctor_facts *ret_f)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const int buffer = DOCTOR_BUFFER;

	memset(ret_f, 0, sizeof *ret_f);
	for (unsigned i = 0; i < DOCTOR_PORTS; i++) {
		ret_f->port[i].role = role[i];
		snprintf(ret_f->port[i].name, DOCTOR_NAME, "%s", name[i]);
		look_port(fd, &ret_f->port[i]);
	}
	ret_f->buffer_forced = setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer) ==
			       0;
	if (fd >= 0)
		close(fd);
	look_capabilities(ret_f);
	ret_f->rp_filter_all = conf("ipv4", "all", "rp_filter");
	ret_f->rmem_max = device_number("/proc/sys/net/core/", "rmem_max");
	if (!read_line("/sys/devices/system/clocksource/clocksource0/current_clocksource",
		       ret_f->clocksource, sizeof ret_f->clocksource))
		ret_f->clocksource[0] = 0;
	if (!read_line("/sys/devices/system/clocksource/clocksource0/available_clocksource",
		       ret_f->clocksources, sizeof ret_f->clocksources))
		ret_f->clocksources[0] = 0;
}
