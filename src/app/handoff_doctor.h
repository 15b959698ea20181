/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_HANDOFF_DOCTOR_H
#define SUT_APP_HANDOFF_DOCTOR_H
/*
 * handoff_doctor - looks at a host that is to be a front end or a back end, and says what is wrong and which command mends it.
 *
 * Two steps, as doctor.h: handoff_look() gathers facts and judges nothing, handoff_judge() is pure.  Changes nothing; what it may not
 * see it says so.
 */
#include "app/doctor.h"
#include "app/endpoint.h"
#include "core/way.h"

#define HANDOFF_ORIGINS WAY_ORIGINS
#define HANDOFF_FINDINGS_MAX 320u

/* What is to be looked at. */
struct handoff_patient {
	bool back; /* a back end; else a front end */
	bool bpf; /* programs in the kernel; else this process forwards */
	const char *device; /* of a front end: the clients' */
	const char *other; /* the back ends' device of a front end; NULL: the same */
	const char *pins, *key_file;
	bool insecure;
	uint16_t own_ports[2];
	unsigned origins;
	struct endpoint origin[HANDOFF_ORIGINS]; /* as clients know it */
	struct endpoint host
		[HANDOFF_ORIGINS]; /* BACK: where the server listens; the same where the host has the address */
};

/* Fills p->origin[i] and p->host[i] out of an agent's. */
void handoff_patient_origin(struct handoff_patient *p, unsigned i, const struct way_origin *o);

enum handoff_listener {
	LISTENER_UNKNOWN,
	LISTENER_NONE,
	LISTENER_TCP,
	LISTENER_MPTCP,
	LISTENER_MD5
};

struct handoff_origin_facts {
	char device[DOCTOR_NAME]; /* that has the address; "" if none */
	bool outdoes; /* an IPv6 address that the kernel would take as a source in place of its device's others */
	bool host_has; /* BACK: the address that the server listens at is the host's */
	enum handoff_listener listener;
};

/* Numbers are -1 where they could not be read. */
struct handoff_facts {
	struct doctor_port port[DOCTOR_PORTS]; /* device, other (or the same) */
	unsigned kernel[2];
	int adopts; /* the kernel has the function; -1: it does not tell */
	bool cap_net_raw, cap_net_admin, cap_bpf;
	int bpffs; /* the directory of pins can be made in a BPF file system; -1: this user cannot see it */
	int syncookies, timestamps, sack, window_scaling;
	int rp_filter_all, arp_ignore, arp_announce; /* the larger of all and the device */
	int conntrack; /* connections are tracked here */
	int loose; /* nf_conntrack_tcp_loose */
	int local_ports[2]; /* ip_local_port_range */
	int bpf_jit;
	struct handoff_origin_facts origin[HANDOFF_ORIGINS];
	char key_error[300]; /* "": the file is well, or none is given */
	int key_err; /* why: -ENOENT, -EPERM (others may read it), or another -errno */
	unsigned keys; /* that it holds */
};

void handoff_look(const struct handoff_patient *p, struct handoff_facts *ret_f);

/* Names of the checks, and what each looks for. */
/* clang-format off */
#define HANDOFF_CHECKS(X) \
	X(kernel,     "Linux 6.9 or newer, with the function that adopts connections") \
	X(capability, "may this user open devices, and load programs into the kernel") \
	X(bpffs,      "a BPF file system, where what is pinned outlives the process") \
	X(device,     "each device is there, is up, and carries Ethernet") \
	X(mtu,        "what each device carries, of which clients are told") \
	X(syncookies, "TCP SYN cookies are not forbidden: without them nothing is adopted") \
	X(options,    "timestamps, SACK and window scaling are not forbidden") \
	X(vip,        "each origin's address is where it has to be") \
	X(arp,        "a back end does not answer ARP for an origin's address on its loopback device") \
	X(listener,   "a server listens for each origin, and can adopt (no MPTCP, no MD5)") \
	X(rp_filter,  "reverse path filtering drops nothing of the clients'") \
	X(conntrack,  "connection tracking takes connections that it has not seen begin") \
	X(forwarding, "the kernel does not forward what this process forwards") \
	X(ports,      "ports for splices and probes are not those that the kernel gives out") \
	X(key,        "the file of keys is there, well-formed, and nobody else's to read")
/* clang-format on */

/* One finding for each check that is well or not, in the order of the list.  Returns how many. */
unsigned handoff_judge(const struct handoff_patient *p, const struct handoff_facts *f,
		       struct doctor_finding ret_f[HANDOFF_FINDINGS_MAX]);
#endif
