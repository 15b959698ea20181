/* SPDX-License-Identifier: MIT */
#include "app/handoff_doctor.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct handoff_patient patient;
static struct handoff_facts facts;

/* A host with which nothing is wrong. */
static void well(bool back)
{
	const struct doctor_port p = {
		.exists = true, .up = true, .carrier = true, .ethernet = true, .mtu = 1500
	};

	memset(&patient, 0, sizeof patient);
	memset(&facts, 0, sizeof facts);
	patient = (struct handoff_patient){ .back = back,
					    .bpf = true,
					    .device = "eth0",
					    .pins = "/sys/fs/bpf/x",
					    .key_file = "keys",
					    .own_ports = { 61000, 65534 },
					    .origins = 1 };
	assert_int_equal(endpoint_read("192.0.2.10:80", 13, &patient.origin[0]), 0);
	patient.host[0] = patient.origin[0];
	facts.port[0] = facts.port[1] = p;
	snprintf(facts.port[0].name, DOCTOR_NAME, "eth0");
	snprintf(facts.port[1].name, DOCTOR_NAME, "eth1");
	facts.kernel[0] = 6;
	facts.kernel[1] = 18;
	facts.adopts = facts.bpffs = facts.syncookies = facts.timestamps = facts.sack = 1;
	facts.window_scaling = facts.arp_ignore = facts.loose = 1;
	facts.arp_announce = 2;
	facts.cap_bpf = facts.cap_net_admin = facts.cap_net_raw = true;
	facts.local_ports[0] = 32768;
	facts.local_ports[1] = 60999;
	facts.keys = 1;
	facts.origin[0].listener = back ? LISTENER_TCP : LISTENER_NONE;
	facts.origin[0].host_has = true;
	snprintf(facts.origin[0].device, DOCTOR_NAME, back ? "lo" : "eth0");
}

/* What is not well: how many, and the first of them. */
static unsigned not_well(struct doctor_finding *ret_f)
{
	static struct doctor_finding found[HANDOFF_FINDINGS_MAX];
	unsigned n = handoff_judge(&patient, &facts, found), bad = 0;

	for (unsigned i = n; i-- > 0;)
		if (found[i].severity != DOCTOR_OK) {
			*ret_f = found[i];
			bad++;
		}
	return bad;
}

static void expect(enum doctor_severity s, const char *check, const char *text, const char *command)
{
	struct doctor_finding f;

	assert_int_equal(not_well(&f), 1);
	assert_int_equal(f.severity, s);
	assert_string_equal(f.check, check);
	assert_non_null(strstr(f.text, text));
	assert_non_null(strstr(f.mend, command));
}

static void nothing_is_wrong(void **state)
{
	struct doctor_finding f;

	(void)state;
	well(false);
	assert_int_equal(not_well(&f), 0);
	well(true);
	assert_int_equal(not_well(&f), 0);
}

static void tells_what_the_kernel_can(void **state)
{
	(void)state;
	well(true);
	facts.kernel[1] = 1;
	facts.adopts = 0;
	expect(DOCTOR_NOTE, "kernel", "Linux 6.1 cannot adopt", "");
	facts.adopts = -1;
	expect(DOCTOR_NOTE, "kernel", "does not tell", "");
	well(true);
	patient.bpf = false;
	expect(DOCTOR_NOTE, "kernel", "--plane user", "");
}

static void tells_of_capabilities(void **state)
{
	(void)state;
	well(true);
	facts.cap_bpf = false;
	expect(DOCTOR_WRONG, "capability", "CAP_BPF is missing", "setcap");
	patient.back = patient.bpf = false;
	facts.origin[0].device[0] = 0;
	facts.origin[0].listener = LISTENER_NONE;
	facts.cap_net_raw = false;
	expect(DOCTOR_WRONG, "capability", "CAP_NET_RAW is missing", "setcap");
}

static void tells_of_devices(void **state)
{
	struct doctor_finding f;

	(void)state;
	well(false);
	facts.port[0].up = false;
	expect(DOCTOR_WRONG, "device", "eth0 is down", "ip link set dev eth0 up");
	facts.port[0].ethernet = false;
	expect(DOCTOR_WRONG, "device", "no Ethernet", "");
	facts.port[0].exists = false;
	expect(DOCTOR_WRONG, "device", "no device eth0", "");
	well(false);
	facts.port[0].carrier = false;
	expect(DOCTOR_WRONG, "device", "no carrier", "");
	well(false);
	facts.port[1].mtu = 1400; /* not asked about */
	patient.other = "eth1";
	expect(DOCTOR_NOTE, "mtu", "eth1 only 1400", "dev eth1 mtu 1500");
	patient.other = NULL;
	facts.port[0].mtu = 1400;
	assert_int_equal(not_well(&f), 0);
	facts.port[0].mtu = 1279;
	expect(DOCTOR_WRONG, "mtu", "carries only 1279", "dev eth0 mtu 1500");
}

static void tells_of_addresses(void **state)
{
	(void)state;
	well(false);
	facts.origin[0].device[0] = 0;
	expect(DOCTOR_WRONG, "vip", "nobody answers", "ip addr add 192.0.2.10/32 dev eth0");
	assert_int_equal(endpoint_read("[2001:db8::10]:80", 17, &patient.origin[0]), 0);
	expect(DOCTOR_WRONG, "vip", "2001:db8::10",
	       "ip addr add 2001:db8::10/128 dev eth0 preferred_lft 0");
	snprintf(facts.origin[0].device, DOCTOR_NAME, "eth0");
	assert_int_equal(not_well(&(struct doctor_finding){ 0 }), 0);
	facts.origin[0].outdoes = true;
	expect(DOCTOR_WRONG, "vip", "in place of its own",
	       "ip addr change 2001:db8::10/128 dev eth0 preferred_lft 0");
	well(true);
	facts.arp_ignore = 0;
	expect(DOCTOR_WRONG, "arp", "ARP", "arp_ignore=1");
	/* IPv6 addresses of lo are not answered for */
	assert_int_equal(endpoint_read("[2001:db8::10]:80", 17, &patient.origin[0]), 0);
	patient.host[0] = patient.origin[0];
	assert_int_equal(not_well(&(struct doctor_finding){ 0 }), 0);
}

static void tells_of_the_back_ends_addresses(void **state)
{
	(void)state;
	well(true);
	facts.origin[0].device[0] = 0;
	expect(DOCTOR_WRONG, "vip", "nobody to go to", "ip addr add 192.0.2.10/32 dev lo");
	well(true);
	snprintf(facts.origin[0].device, DOCTOR_NAME, "eth0");
	expect(DOCTOR_WRONG, "vip", "both answer", "ip addr flush dev eth0 to 192.0.2.10/32");
}

static void tells_of_options(void **state)
{
	(void)state;
	well(true);
	facts.syncookies = 0;
	expect(DOCTOR_WRONG, "syncookies", "adopts nothing", "net.ipv4.tcp_syncookies=1");
	well(true);
	facts.timestamps = 0;
	expect(DOCTOR_WRONG, "options", "timestamps", "net.ipv4.tcp_timestamps=1");
	well(true);
	facts.sack = 0;
	expect(DOCTOR_WRONG, "options", "SACK", "net.ipv4.tcp_sack=1");
	well(true);
	facts.window_scaling = 0;
	expect(DOCTOR_WRONG, "options", "window scaling", "net.ipv4.tcp_window_scaling=1");
}

/* What takes packets away, and what takes them twice. */
static void tells_of_the_kernels_ways(void **state)
{
	(void)state;
	well(true);
	facts.port[0].rp_filter = 1;
	expect(DOCTOR_WRONG, "rp_filter", "strict", "eth0/rp_filter=2");
	facts.port[0].rp_filter = 2; /* the larger one counts */
	facts.rp_filter_all = 1;
	assert_int_equal(not_well(&(struct doctor_finding){ 0 }), 0);
	well(true);
	facts.conntrack = 1;
	assert_int_equal(not_well(&(struct doctor_finding){ 0 }), 0);
	facts.loose = 0;
	expect(DOCTOR_WRONG, "conntrack", "invalid", "nf_conntrack_tcp_loose=1");
	well(false);
	facts.port[0].forwarding4 = 1;
	assert_int_equal(not_well(&(struct doctor_finding){ 0 }), 0); /* programs come before it */
	patient.bpf = false;
	facts.origin[0].device[0] = 0;
	expect(DOCTOR_WRONG, "forwarding", "twice", "forwarding=0");
	well(false);
	facts.local_ports[1] = 61000;
	expect(DOCTOR_WRONG, "ports", "61000 to 65534", "ip_local_reserved_ports=61000-65534");
}

static void tells_of_listeners(void **state)
{
	(void)state;
	well(false);
	facts.origin[0].listener = LISTENER_TCP;
	expect(DOCTOR_NOTE, "listener", "gets nothing", "");
	well(true);
	facts.origin[0].listener = LISTENER_NONE;
	expect(DOCTOR_WRONG, "listener", "nobody listens", "");
	facts.origin[0].listener = LISTENER_MD5;
	expect(DOCTOR_WRONG, "listener", "signed", "");
	facts.origin[0].listener = LISTENER_UNKNOWN;
	expect(DOCTOR_NOTE, "listener", "does not tell", "");
	facts.origin[0].listener = LISTENER_MPTCP;
	expect(DOCTOR_WRONG, "listener", "MPTCP", "mptcp.enabled=0");
}

static void tells_of_keys(void **state)
{
	(void)state;
	well(true);
	snprintf(facts.key_error, sizeof facts.key_error, "keys: line 3: no");
	facts.key_err = -EINVAL; /* a new key is no cure where others have this one */
	expect(DOCTOR_WRONG, "key", "line 3", "");
	facts.key_err = -ENOENT;
	expect(DOCTOR_WRONG, "key", "line 3", "handoff key >keys");
	facts.key_err = -EPERM;
	expect(DOCTOR_WRONG, "key", "line 3", "chmod 600 keys");
	well(true);
	patient.key_file = NULL;
	expect(DOCTOR_WRONG, "key", "no file", "handoff key");
	patient.insecure = true;
	expect(DOCTOR_NOTE, "key", "is believed", "");
}

/* As many findings as all origins can have find room. */
static void has_room_for_all(void **state)
{
	static struct doctor_finding found[HANDOFF_FINDINGS_MAX];

	(void)state;
	well(true);
	patient.origins = HANDOFF_ORIGINS;
	for (unsigned i = 0; i < HANDOFF_ORIGINS; i++) {
		patient.origin[i] = patient.origin[0];
		patient.origin[i].ip[15] = (uint8_t)i;
		patient.host[i] = patient.origin[i];
	}
	assert_true(handoff_judge(&patient, &facts, found) < HANDOFF_FINDINGS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_wrong),
		cmocka_unit_test(tells_what_the_kernel_can),
		cmocka_unit_test(tells_of_capabilities),
		cmocka_unit_test(tells_of_devices),
		cmocka_unit_test(tells_of_addresses),
		cmocka_unit_test(tells_of_the_back_ends_addresses),
		cmocka_unit_test(tells_of_options),
		cmocka_unit_test(tells_of_the_kernels_ways),
		cmocka_unit_test(tells_of_listeners),
		cmocka_unit_test(tells_of_keys),
		cmocka_unit_test(has_room_for_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
