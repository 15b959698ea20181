/* SPDX-License-Identifier: MIT */
#include "app/doctor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Two devices and a machine with which nothing is wrong. */
static struct doctor_facts well(void)
{
	struct doctor_port p = {
		.exists = true,
		.up = true,
		.carrier = true,
		.ethernet = true,
		.mtu = 1500,
		.gso_max_size = 65536,
		.tx_csum = 1,
	};
	struct doctor_facts f = {
		.port = { p, p },
		.rmem_max = 212992,
		.cap_net_raw = true,
		.cap_net_admin = true,
		.buffer_forced = true,
		.clocksource = "tsc",
	};

	f.port[0].role = "client";
	f.port[1].role = "server";
	snprintf(f.port[0].name, DOCTOR_NAME, "a0");
	snprintf(f.port[1].name, DOCTOR_NAME, "b0");
	return f;
}

/* The one finding that is not well, and the text and the command that it must hold. */
static void expect(const struct doctor_facts *f, enum doctor_severity s, const char *check,
		   const char *text, const char *command)
{
	struct doctor_finding found[DOCTOR_FINDINGS_MAX];
	unsigned n = doctor_judge(f, found), bad = 0;

	for (unsigned i = 0; i < n; i++) {
		if (found[i].severity == DOCTOR_OK)
			continue;
		bad++;
		assert_int_equal(found[i].severity, s);
		assert_string_equal(found[i].check, check);
		assert_non_null(strstr(found[i].text, text));
		assert_string_equal(found[i].mend, command);
	}
	assert_int_equal(bad, 1);
}

static void nothing_is_wrong(void **state)
{
	struct doctor_facts f = well();
	struct doctor_finding found[DOCTOR_FINDINGS_MAX];
	unsigned n = doctor_judge(&f, found);

	(void)state;
	assert_true(n > 10 && n < DOCTOR_FINDINGS_MAX);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(found[i].severity, DOCTOR_OK);
		assert_string_equal(found[i].mend, "");
	}
}

#define CASE(name, change, ...)                 \
	static void name(void **state)          \
	{                                       \
		struct doctor_facts f = well(); \
		(void)state;                    \
		change;                         \
		expect(&f, __VA_ARGS__);        \
	}

#define SETCAP "run as root, or: setcap cap_net_raw,cap_net_admin+ep $(command -v suture)"

CASE(no_capability, f.cap_net_raw = false, DOCTOR_WRONG, "capability", "CAP_NET_RAW", SETCAP)
CASE(half_a_capability, (f.cap_net_admin = false, f.rmem_max = 16 << 20), DOCTOR_NOTE, "capability",
     "CAP_NET_ADMIN", SETCAP)
CASE(down, f.port[1].up = false, DOCTOR_WRONG, "device", "b0 is down", "ip link set dev b0 up")
CASE(no_carrier, f.port[0].carrier = false, DOCTOR_WRONG, "device", "no carrier", "")
CASE(not_ethernet, f.port[0].ethernet = false, DOCTOR_WRONG, "device", "no Ethernet", "")
CASE(bridged, snprintf(f.port[0].master, DOCTOR_NAME, "br7"), DOCTOR_WRONG, "master",
     "a port of br7", "ip link set dev a0 nomaster")
CASE(addressed, snprintf(f.port[1].address, 40, "192.0.2.9"), DOCTOR_WRONG, "address", "192.0.2.9",
     "ip addr flush dev b0")
CASE(speaks, f.port[1].link_local = true, DOCTOR_NOTE, "address", "link-local",
     "sysctl -w net/ipv6/conf/b0/disable_ipv6=1")
CASE(forwards4, (f.port[0].forwarding4 = 1, f.port[1].forwarding4 = 1), DOCTOR_NOTE, "forwarding",
     "IPv4 between a0 and b0",
     "sysctl -w net/ipv4/conf/a0/forwarding=0 net/ipv4/conf/b0/forwarding=0")
CASE(forwards6, (f.port[0].forwarding6 = 1, f.port[1].forwarding6 = 1), DOCTOR_NOTE, "forwarding",
     "IPv6 between a0 and b0",
     "sysctl -w net/ipv6/conf/a0/forwarding=0 net/ipv6/conf/b0/forwarding=0")
CASE(filtered, f.port[0].rp_filter = 1, DOCTOR_NOTE, "rp_filter", "(1)",
     "sysctl -w net/ipv4/conf/a0/rp_filter=0")
CASE(small_mtu, f.port[1].mtu = 1400, DOCTOR_WRONG, "mtu", "a0 carries 1500 bytes, b0 only 1400",
     "ip link set dev b0 mtu 1500")
CASE(loopback_mtu, f.port[0].mtu = 65536, DOCTOR_WRONG, "mtu",
     "a0 carries 65536 bytes, b0 only 1500", "ip link set dev a0 mtu 1500")
CASE(merges, f.port[0].lro = 1, DOCTOR_WRONG, "offload", "LRO", "ethtool -K a0 lro off")
CASE(big_tcp, f.port[0].gso_max_size = 185000, DOCTOR_NOTE, "offload", "185000",
     "ip link set dev a0 gso_max_size 65536 gro_max_size 65536")
CASE(no_csum, f.port[0].tx_csum = 0, DOCTOR_NOTE, "offload", "slower", "ethtool -K a0 tx on")
CASE(other_suture, (f.port[0].other_pid = 77, strcpy(f.port[0].other_name, "suture")), DOCTOR_WRONG,
     "other", "process 77", "kill 77")
CASE(other_tcpdump, (f.port[0].other_pid = 78, strcpy(f.port[0].other_name, "tcpdump")),
     DOCTOR_NOTE, "other", "78 (tcpdump)", "")
CASE(other_hidden, f.port[0].other_pid = -1, DOCTOR_NOTE, "other", "may not see", "")
/* What is called after a faster one is none. */
CASE(slow_clock,
     (strcpy(f.clocksource, "acpi_pm"), strcpy(f.clocksources, "tsc-early hpet acpi_pm ")),
     DOCTOR_NOTE, "clock", "acpi_pm", "")
CASE(slow_clock_chosen,
     (strcpy(f.clocksource, "hpet"), strcpy(f.clocksources, "tsc-early hpet tsc acpi_pm ")),
     DOCTOR_NOTE, "clock", "hpet",
     "echo tsc >/sys/devices/system/clocksource/clocksource0/current_clocksource")
CASE(gone, (f.port[0] = (struct doctor_port){ .role = "client", .name = "zz" }), DOCTOR_WRONG,
     "device", "no device zz", "")

/* With an address the kernel may be sent what it then forwards. */
static void forwards_with_an_address(void **state)
{
	struct doctor_facts f = well();
	struct doctor_finding found[DOCTOR_FINDINGS_MAX];
	unsigned n, wrong = 0;

	(void)state;
	f.port[0].forwarding4 = f.port[1].forwarding4 = 1;
	snprintf(f.port[1].address, sizeof f.port[1].address, "192.0.2.9");
	n = doctor_judge(&f, found);
	for (unsigned i = 0; i < n; i++)
		if (strcmp(found[i].check, "forwarding") == 0)
			wrong += found[i].severity == DOCTOR_WRONG;
	assert_int_equal(wrong, 1);
}

/* Without the capability the buffer is bounded too. */
static void small_buffer(void **state)
{
	struct doctor_facts f = well();
	struct doctor_finding found[DOCTOR_FINDINGS_MAX];
	unsigned n, expected = 0;

	(void)state;
	f.buffer_forced = false; /* with the capability, in a user namespace */
	n = doctor_judge(&f, found);
	for (unsigned i = 0; i < n; i++)
		if (strcmp(found[i].check, "buffer") == 0)
			expected += strcmp(found[i].mend, "sysctl -w net.core.rmem_max=16777216") ==
				    0;
	assert_int_equal(expected, 1);
}

/* Looking at devices that are not there, or at the loopback, says so and does not fall over. */
static void looks_at_what_there_is(void **state)
{
	static const char *const role[] = { "client", "server" };
	static const char *const name[] = { "lo", "nosuchdevice" };
	struct doctor_facts f;

	(void)state;
	doctor_look(name, role, &f);
	assert_true(f.port[0].exists && !f.port[0].ethernet);
	assert_true(f.port[0].mtu > 0);
	assert_false(f.port[1].exists);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_wrong),
		cmocka_unit_test(no_capability),
		cmocka_unit_test(half_a_capability),
		cmocka_unit_test(down),
		cmocka_unit_test(no_carrier),
		cmocka_unit_test(not_ethernet),
		cmocka_unit_test(bridged),
		cmocka_unit_test(addressed),
		cmocka_unit_test(speaks),
		cmocka_unit_test(forwards4),
		cmocka_unit_test(forwards6),
		cmocka_unit_test(filtered),
		cmocka_unit_test(small_mtu),
		cmocka_unit_test(loopback_mtu),
		cmocka_unit_test(merges),
		cmocka_unit_test(big_tcp),
		cmocka_unit_test(no_csum),
		cmocka_unit_test(other_suture),
		cmocka_unit_test(other_tcpdump),
		cmocka_unit_test(other_hidden),
		cmocka_unit_test(slow_clock),
		cmocka_unit_test(slow_clock_chosen),
		cmocka_unit_test(gone),
		cmocka_unit_test(forwards_with_an_address),
		cmocka_unit_test(small_buffer),
		cmocka_unit_test(looks_at_what_there_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
