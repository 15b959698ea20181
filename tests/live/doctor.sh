#!/bin/sh
# SPDX-License-Identifier: MIT
# Each thing that the doctor knows is provoked in the box, found by its name, mended by the very command that is printed, and gone.
# shellcheck source=tests/live/live.sh
. "$(dirname "$0")/live.sh"

# sick CHECK: the doctor finds exactly CHECK to be wrong or worth a note; its cure is left in $LAB/cure.
sick() {
	lab_in box "$SUTURE" accel doctor --client if:$BOX_C --server if:$BOX_S -q >"$LAB/doctor"
	doctor_status=$?
	[ "$(grep -v '^ ' "$LAB/doctor" | awk '$2 != "clock" { print $2 }' | sort -u)" = "$1" ] ||
		{ echo "expected $1, found:"; cat "$LAB/doctor"; return 1; }
	if grep -q '^wrong' "$LAB/doctor"; then
		[ $doctor_status = 1 ]
	else
		[ $doctor_status = 0 ]
	fi || { echo "exit status $doctor_status"; return 1; }
	sed -n 's/^ *mend: //p' "$LAB/doctor" | grep -v clocksource >"$LAB/cure"
	return 0
}

healthy() {
	sick '' && [ $doctor_status = 0 ]
}

# provoked CHECK COMMAND ...: the command makes it sick, the cure makes it well.
provoked() {
	provoked_check=$1
	shift
	lab_in box "$@" || return 1
	sick "$provoked_check" || return 1
	lab_in box sh -ex "$LAB/cure" || return 1
	healthy
}

json() {
	lab_in box "$SUTURE" accel doctor --client if:$BOX_C --server if:$BOX_S --json >"$LAB/doctor.json" &&
		! grep -v '^{"severity":"[a-z]*","check":"[a-z_]*","text":".*"}$' "$LAB/doctor.json" | grep -v mend
}

# warned TEXT: suture itself says it when it starts.
warned() {
	lab_start other box "$SUTURE" accel near --client if:$BOX_C --server if:$BOX_S
	lab_await other ready 10 || return 1
	lab_end other
	grep -q "$1" "$LAB/other.out"
}

not_warned() {
	! warned warning
}

second() {
	lab_start first box "$SUTURE" accel near --client if:$BOX_C --server if:$BOX_S
	lab_await first ready 10 || return 1
	sick other && warned 'another suture (process' && grep -q "^kill $(cat "$LAB/first.pid")" "$LAB/cure"
	second_status=$?
	lab_end first
	[ $second_status = 0 ] && healthy
}

# An address with a label of its own is an address.
labelled() {
	lab_in box ip addr add 203.0.113.9/24 label $BOX_C:x dev $BOX_C && sick address && lab_in box sh -ex "$LAB/cure" && healthy
}

# renamed DEVICE NAME: has another name, and is up again.
renamed() {
	lab_in box sh -c "ip link set dev $1 down && ip link set dev $1 name $2 && ip link set dev $2 up" || return 1
	renamed_tries=100
	until lab_in box ip link show dev "$2" | grep -q "state UP"; do
		[ $((renamed_tries -= 1)) -gt 0 ] || return 1
		sleep 0.1
	done
}

# Devices of VLANs have a point in their names, which sysctl would take for one between the parts of a key.
pointed() {
	renamed $BOX_C box.10 || return 1
	pointed_was=$BOX_C
	BOX_C=box.10
	provoked forwarding sysctl -qw net/ipv4/conf/box.10/forwarding=1 net/ipv4/conf/$BOX_S/forwarding=1 &&
		provoked rp_filter sysctl -qw net/ipv4/conf/box.10/rp_filter=1
	pointed_status=$?
	BOX_C=$pointed_was
	renamed box.10 $BOX_C && return $pointed_status
}

LAB_WIRE=no
live_up gso
LIVE_WHERE='doctor: '
check 'nothing is wrong' healthy
check 'no warning then' not_warned
check 'JSON' json
check 'device down' provoked device ip link set dev $BOX_S down
check 'port of a bridge' provoked master sh -c "ip link add br9 type bridge && ip link set dev $BOX_C master br9"
check 'port of a bridge, at the start' sh -c "ip netns exec sut$$-box ip link set dev $BOX_C master br9"
check 'a warning' warned 'warning: .*port of br9'
lab_in box ip link del br9
check 'IPv4 address' provoked address ip addr add 203.0.113.9/24 dev $BOX_C
# Addresses go as IPv6 does; forwarding may be off while they are there.
lab_in box sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.$BOX_C.disable_ipv6=0 net.ipv6.conf.$BOX_C.accept_dad=0
check 'IPv6 link-local address' provoked address ip -6 addr add fe80::99/64 dev $BOX_C nodad
check 'IPv4 forwarding' provoked forwarding sysctl -qw net.ipv4.conf.$BOX_C.forwarding=1 net.ipv4.conf.$BOX_S.forwarding=1
check 'IPv6 forwarding' provoked forwarding sysctl -qw net.ipv6.conf.$BOX_C.forwarding=1 net.ipv6.conf.$BOX_S.forwarding=1
check 'reverse path filter' provoked rp_filter sysctl -qw net.ipv4.conf.$BOX_C.rp_filter=1
check 'reverse path filter of all' provoked rp_filter sysctl -qw net.ipv4.conf.all.rp_filter=1
check 'MTU' provoked mtu ip link set dev $BOX_S mtu 1400
check 'checksums not offloaded' provoked offload ethtool -K $BOX_S tx off
check 'a label for an address' labelled
check 'super-packets beyond 64 KB' provoked offload ip link set dev $BOX_S gso_max_size 100000 gro_max_size 100000
check 'a point in a name' pointed
check 'a second suture' second
live_down
exit $LIVE_FAILED
