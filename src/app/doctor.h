/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_DOCTOR_H
#define SUT_APP_DOCTOR_H
/*
 * doctor - looks at the devices and the kernel a box is to work on, and says what is wrong and which command mends it.
 *
 * Two steps, so that each finding can be tested on any machine: doctor_look() gathers facts and judges nothing, doctor_judge()
 * is pure.  Changes nothing, and needs no privilege; what it may not see it says so.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DOCTOR_PORTS 2u
#define DOCTOR_NAME 16u /* as IFNAMSIZ */
#define DOCTOR_BUFFER (16 << 20) /* bytes that a port of a device asks for */

/* What is known of one device; numbers are -1 where they could not be read. */
struct doctor_port {
	const char *role; /* "client" */
	char name[DOCTOR_NAME];
	bool exists, up, carrier, ethernet;
	char master
		[DOCTOR_NAME]; /* the bridge, bond or other device that it is a port of; "" if none */
	char address[48]; /* an IP address that it has, but for IPv6 link-local ones; "" if none */
	bool link_local; /* it has an IPv6 link-local address */
	int mtu;
	int64_t gso_max_size; /* bytes of the largest super-packet that may come, or be sent */
	int forwarding4, forwarding6, rp_filter;
	int lro; /* the device merges what it receives beyond repair */
	int tx_csum; /* the device, or the kernel for it, finishes checksums */
	int other_pid; /* another process that reads all frames of it; 0: none, -1: there is one, not known who */
	char other_name[DOCTOR_NAME];
};

struct doctor_facts {
	struct doctor_port port[DOCTOR_PORTS];
	int rp_filter_all;
	int64_t rmem_max; /* net.core.rmem_max, bytes */
	bool cap_net_raw, cap_net_admin;
	bool buffer_forced; /* a port gets its buffer whatever rmem_max says: CAP_NET_ADMIN, but not that of a user namespace */
	char clocksource[32]; /* "" where it is not told */
	char clocksources[120]; /* those that the kernel has, with blanks between */
};

/* Facts of the devices with these names, as the roles' ports call them. */
void doctor_look(const char *const name[DOCTOR_PORTS], const char *const role[DOCTOR_PORTS],
		 struct doctor_facts *ret_f);

enum doctor_severity { DOCTOR_OK, DOCTOR_NOTE, DOCTOR_WRONG };

struct doctor_finding {
	enum doctor_severity severity;
	const char *check; /* "forwarding", "mtu", ...: see DOCTOR_CHECKS */
	char text[240]; /* what was found, one sentence without a full stop */
	char mend[200]; /* the command that mends it; "" where there is none */
};

/* Names of the checks, and what each looks for. */
/* clang-format off */
#define DOCTOR_CHECKS(X) \
	X(capability, "may this user open devices, and ask for large buffers") \
	X(device,     "each device is there, is up, and carries Ethernet") \
	X(master,     "no device is a port of a bridge or bond, which would take its frames") \
	X(address,    "no device has an address: the kernel would answer for it") \
	X(forwarding, "the kernel does not forward between the devices, past suture") \
	X(rp_filter,  "reverse path filtering drops nothing that the devices receive") \
	X(mtu,        "both devices carry packets of the same size") \
	X(offload,    "no device merges what it receives beyond repair; checksums are finished by the device") \
	X(buffer,     "the receive buffer can hold a burst of super-packets") \
	X(other,      "no other process reads the devices, as a second suture would") \
	X(clock,      "reading the time costs no system call")
/* clang-format on */

#define DOCTOR_FINDINGS_MAX 48u

/* One finding for each check and device that is well or not, in the order of the list.  Returns how many. */
unsigned doctor_judge(const struct doctor_facts *f,
		      struct doctor_finding ret_f[DOCTOR_FINDINGS_MAX]);
#endif
