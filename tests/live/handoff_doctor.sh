#!/bin/sh
# SPDX-License-Identifier: MIT
# Each thing that the doctor of hand-offs knows is provoked on a host, found by its name, mended by the command that is printed, and gone.
#
# The box is a front end (its devices are $BOX_C and $BOX_S), the server a back end.
# shellcheck source=tests/live/live.sh
. "$(dirname "$0")/live.sh"
LISTEN=${LISTEN:-$BUILD/tests/live/listen}

# The file systems stay the machine's, so that one of BPF is seen.
on() {
	on_where=$1
	shift
	nsenter --net="/run/netns/sut$$-$on_where" "$@"
}

front() {
	on box "$SUTURE" handoff doctor --client if:$BOX_C --vip 192.0.2.10:80 --pins "$PINS" "$@"
}

back() {
	on server "$SUTURE" handoff doctor --if if:eth0 --origin 192.0.2.10:80 --key-file "$LAB/keys" --pins "$PINS" "$@"
}

# sick front|back CHECK ARG ...: the doctor finds exactly CHECK to be wrong or worth a note; its cure is left in $LAB/cure.
sick() {
	sick_who=$1 sick_check=$2
	shift 2
	$sick_who -q "$@" >"$LAB/doctor"
	doctor_status=$?
	[ "$(grep -v '^ ' "$LAB/doctor" | awk '{ print $2 }' | sort -u)" = "$sick_check" ] ||
		{ echo "expected $sick_check, found:"; cat "$LAB/doctor"; return 1; }
	if grep -q '^wrong' "$LAB/doctor"; then
		[ $doctor_status = 1 ]
	else
		[ $doctor_status = 0 ]
	fi || { echo "exit status $doctor_status"; return 1; }
	sed -n 's/^ *mend: //p' "$LAB/doctor" >"$LAB/cure"
	return 0
}

# provoked front|back CHECK COMMAND ...: the command makes it sick, the cure makes it well.
provoked() {
	provoked_who=$1 provoked_check=$2
	shift 2
	[ "$provoked_who" = front ] && provoked_where=box || provoked_where=server
	on $provoked_where "$@" || return 1
	sick "$provoked_who" "$provoked_check" || return 1
	[ -s "$LAB/cure" ] || { echo "no cure"; return 1; }
	on $provoked_where sh -ex "$LAB/cure" || return 1
	sick "$provoked_who" ''
}

listener() {
	lab_end listener
	lab_start listener server "$LISTEN" 192.0.2.10 80 "$1"
	lab_await listener ready 5
}

listens() {
	listener "$1" || { echo "this kernel has no $1"; listener tcp; return; }
	sick back listener && grep -q "$2" "$LAB/doctor"
	listens_status=$?
	listener tcp && sick back '' && return $listens_status
}

nobody_listens() {
	lab_end listener
	sick back listener && grep -q 'nobody listens' "$LAB/doctor" && listener tcp && sick back ''
}

# A server at any address serves the origin too.
anywhere() {
	lab_end listener
	lab_start listener server "$LISTEN" 0.0.0.0 80 tcp
	lab_await listener ready 5 && sick back ''
	anywhere_status=$?
	listener tcp && return $anywhere_status
}

# One of IPv6 serves an origin of IPv4 only where it takes both.
anywhere6() {
	lab_end listener
	lab_start listener server "$LISTEN" :: 80 tcp
	lab_await listener ready 5 && sick back '' || return 1
	lab_end listener
	lab_start listener server "$LISTEN" :: 80 v6only
	lab_await listener ready 5 && sick back listener && grep -q '192.0.2.10:80: nobody listens' "$LAB/doctor"
	anywhere6_status=$?
	listener tcp && return $anywhere6_status
}

# A host's port for an origin: the address may be anywhere else.
by_port() {
	lab_start other server "$LISTEN" 192.0.2.2 8080 tcp
	lab_await other ready 5 && sick back '' --origin 8080=192.0.2.99:80
	by_port_status=$?
	lab_end other
	[ $by_port_status = 0 ] || return 1
	back -q --origin 8080=192.0.2.99:80 --host-addr 192.0.2.98 >"$LAB/doctor"
	grep -q "^wrong *vip .*not this host" "$LAB/doctor" && grep -q "^wrong *listener *192.0.2.98:8080: nobody" "$LAB/doctor"
}

# An origin of IPv6 is not to become what the host comes from.
origin6() {
	on box sysctl -qw "net/ipv6/conf/$BOX_C/disable_ipv6=0"
	on box ip -6 addr add 2001:db8:c::5/64 dev $BOX_C nodad
	for origin6_prefix in 64 128; do
		sick front vip --vip '[2001:db8:c::10]:80' && grep -q 'ip addr add .* preferred_lft 0' "$LAB/cure" && on box sh -ex "$LAB/cure" || return 1
		sick front '' --vip '[2001:db8:c::10]:80' || return 1
		on box ip -6 route get 2001:db8:c::9 | grep -q 'src 2001:db8:c::5 ' || { echo 'it is a source'; return 1; }
		on box ip -6 addr del 2001:db8:c::10/128 dev $BOX_C
		on box ip -6 addr add "2001:db8:c::10/$origin6_prefix" dev $BOX_C nodad
		sick front vip --vip '[2001:db8:c::10]:80' && on box sh -ex "$LAB/cure" && sick front '' --vip '[2001:db8:c::10]:80' || return 1
		on box ip -6 route get 2001:db8:c::9 | grep -q 'src 2001:db8:c::5 ' || { echo 'it is a source'; return 1; }
		on box ip -6 addr del "2001:db8:c::10/$origin6_prefix" dev $BOX_C
	done
	on box ip -6 addr del 2001:db8:c::5/64 dev $BOX_C
	on box sysctl -qw "net/ipv6/conf/$BOX_C/disable_ipv6=1"
}

json() {
	back --json >"$LAB/doctor.json" && ! grep -v '^{"severity":"[a-z]*","check":"[a-z_]*","text":".*"}$' "$LAB/doctor.json"
}

key_readable() {
	chmod 644 "$LAB/keys"
	sick back key && grep -q 'chmod 600' "$LAB/doctor"
	key_status=$?
	chmod 600 "$LAB/keys"
	[ $key_status = 0 ] && sick back ''
}

key_missing() {
	mv "$LAB/keys" "$LAB/keys.away"
	sick back key && on server sh -c "export PATH=$LAB/bin:\$PATH; . $LAB/cure" && sick back ''
}

user_front() {
	sick front vip --plane user && on box sh -ex "$LAB/cure" && sick front '' --plane user &&
		on box sysctl -qw net/ipv4/conf/$BOX_C/forwarding=1 && sick front forwarding --plane user &&
		on box sh -ex "$LAB/cure" && sick front '' --plane user
	user_status=$?
	on box ip addr add 192.0.2.10/32 dev $BOX_C
	return $user_status
}

unprivileged() {
	on server setpriv --bounding-set -bpf,-sys_admin,-net_raw "$SUTURE" handoff doctor -q --if if:eth0 \
		--origin 192.0.2.10:80 --insecure-no-key --pins "$PINS" >"$LAB/doctor"
	grep -q '^wrong *capability *CAP_NET_RAW CAP_BPF is missing' "$LAB/doctor"
}

loose() {
	on server test -w /proc/sys/net/netfilter/nf_conntrack_tcp_loose || { echo "no connection tracking here"; return 0; }
	provoked back conntrack sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0
}

# What is wrong and would go unnoticed is said by the programs themselves when they start.
warned() {
	lab_start front box "$SUTURE" handoff front --client if:$BOX_C --plane user --vip 192.0.2.10:80 --backend a=192.0.2.2:80 "$@"
	lab_await front ready 10 || return 1
	lab_end front
	grep -q "^suture: warning: 192.0.2.10 is this host.s own address.*; mend: ip addr flush" "$LAB/front.out"
}

not_warned() {
	lab_start front box "$SUTURE" handoff front --client if:$BOX_C --plane user --vip 192.0.2.11:80 --backend a=192.0.2.2:80
	lab_await front ready 10 || return 1
	lab_end front
	! grep warning "$LAB/front.out" && ! warned -q
}

LAB_WIRE=no
live_up gso
LIVE_WHERE='handoff doctor: '
mkdir "$LAB/bin"
ln -s "$SUTURE" "$LAB/bin/suture"
(umask 077 && "$SUTURE" handoff key >"$LAB/keys")
PINS=/sys/fs/bpf/sut$$
grep -q '^bpf /sys/fs/bpf bpf' /proc/mounts || PINS=
on server sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0
on server ip addr add 192.0.2.10/32 dev lo
on box sysctl -qw net.ipv4.ip_local_port_range='32768 60999'
on box ip addr add 192.0.2.10/32 dev $BOX_C
listener tcp
if [ -z "$PINS" ]; then
	echo "skip handoff doctor # no BPF file system is mounted at /sys/fs/bpf"
	live_down
	exit 0
fi
check 'nothing is wrong with a back end' sick back ''
check 'nothing is wrong with a front end' sick front ''
check 'JSON' json
check 'SYN cookies' provoked back syncookies sysctl -qw net.ipv4.tcp_syncookies=0
check 'timestamps' provoked back options sysctl -qw net.ipv4.tcp_timestamps=0
check 'SACK' provoked back options sysctl -qw net.ipv4.tcp_sack=0
check 'window scaling' provoked back options sysctl -qw net.ipv4.tcp_window_scaling=0
check 'ARP for loopback addresses' provoked back arp sysctl -qw net.ipv4.conf.all.arp_ignore=0
check 'ARP from loopback addresses' provoked back arp sysctl -qw net.ipv4.conf.all.arp_announce=0
check 'no origin' provoked back vip ip addr del 192.0.2.10/32 dev lo
check 'the origin on the network' provoked back vip sh -c 'ip addr del 192.0.2.10/32 dev lo; ip addr add 192.0.2.10/32 dev eth0'
check 'nobody listens' nobody_listens
check 'a listener of MPTCP' listens mptcp MPTCP
check 'a listener that wants signatures' listens md5 MD5
check 'a listener at any address' anywhere
check 'a listener at any address of IPv6' anywhere6
check 'a port for an origin' by_port
check 'reverse path filter' provoked back rp_filter sysctl -qw net.ipv4.conf.eth0.rp_filter=1
check 'connection tracking' loose
check 'device down' provoked back device ip link set dev eth0 down
check 'small MTU' provoked back mtu ip link set dev eth0 mtu 1000
check 'a file of keys that others may read' key_readable
check 'no file of keys' key_missing
check 'no BPF file system' sick back bpffs --pins "$LAB/pins"
check 'missing capabilities' unprivileged
check 'no origin at a front end' provoked front vip ip addr del 192.0.2.10/32 dev $BOX_C
check 'an origin of IPv6 at a front end' origin6
check 'ports that the kernel gives out' sh -c "nsenter --net=/run/netns/sut$$-box sysctl -qw net.ipv4.ip_local_port_range='20000 60999'"
check 'they are found' sick front ports
on box sysctl -qw net.ipv4.ip_local_port_range='32768 60999'
on box ip link set dev $BOX_S mtu 1400
check 'less room to the back ends' sick front mtu --backend-port if:$BOX_S
on box sh -ex "$LAB/cure"
check 'more room' sick front '' --backend-port if:$BOX_S
check 'a front end that forwards itself' user_front
check 'a warning at the start' warned
check 'no warning without reason' not_warned
live_down
exit $LIVE_FAILED
