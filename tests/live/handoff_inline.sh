#!/bin/sh
# SPDX-License-Identifier: MIT
# An agent that stands between the network and a back end whose kernel has no part in it: shift without BPF, both families.
set -u
# shellcheck source=tests/live/handoff_case.sh
. "$(dirname "$0")/handoff_case.sh"

HAND_BACKENDS=b1
HAND_RUNG='shift'

# The namespace box goes between the segment and b1; it has an address of its own, for its agent.
box_up() {
	hand_up
	lab_more box
	lab_in b1 ip link del eth0
	hand_port box
	lab_in box ip addr add 192.0.2.5/24 dev eth0
	lab_in box ip link set dev eth0 up
	lab_join box eth1 b1 eth0
	lab_sysctl box net.ipv6.conf.eth1.disable_ipv6=1
	lab_in box ip link set dev eth1 up
	hand_address b1 192.0.2.3 2001:db8::3
	lab_sysctl b1 net.ipv4.conf.eth0.rp_filter=0
	mkdir -p "$LAB/www/put"
	chmod 777 "$LAB/www/put"
	hand_nginx 1 "$PUT"
}

# box_agent ORIGIN ...
box_agent() {
	hand_start back-b1 box "$SUTURE" handoff back --plane user --if if:eth0 --host if:eth1 --listen 192.0.2.5:7000 --front fe=192.0.2.2 \
		--key-file "$LAB/key" --control "$LAB/back-b1.sock" "$@"
	lab_await back-b1 ready 10 || exit 1
}

box_front() {
	hand_start front front "$SUTURE" handoff front --client if:eth0 --vip "$VIP4:80" --vip "[$VIP6]:80" --key-file "$LAB/key" \
		--backend "b1=192.0.2.3:80,rungs=shift,agent=192.0.2.5:7000" --pins "/sys/fs/bpf/sut$$-front" --own 192.0.2.2 --own 2001:db8::2 \
		--agents-from 192.0.2.2 --at-end remove --control "$LAB/front.sock" "$@"
	lab_await front ready 10 && takes shift
}

page() {
	get -o "$LAB/got" "$(url /index.html)" && cmp "$LAB/got" "$LAB/www/index.html"
}

work() {
	for FAMILY in 4 6; do
		WHERE="$1, IPv$FAMILY: "
		check reached reached
		check page page || continue
		check keep-alive keepalive
		check '200 connections' many 200
		check '20 MB' big 20
		check '20 MB up' upload 20
	done
}

box_up
box_agent --origin "$VIP4:80" --origin "[$VIP6]:80"
WHERE='inline: '
check ready box_front && work inline
lab_down

# The host does not know the origin's address: it is given its own, and answers in the origin's name.
box_up
lab_in b1 ip addr del $VIP4/32 dev lo
lab_in b1 ip -6 addr del $VIP6/128 dev lo
box_agent --origin "80=$VIP4:80" --origin "80=[$VIP6]:80" --host-addr 192.0.2.3 --host-addr 2001:db8::3
WHERE='masquerade: '
check ready box_front && work masquerade
lab_down

# Nobody leaves a checksum to a device: every sum is as the host, and the agent, wrote it.
HAND_STRICT=yes
box_up
lab_in b1 ethtool -K eth0 tx off >/dev/null 2>&1
for device in eth0 eth1; do
	lab_in box ethtool -K $device tx off >/dev/null 2>&1
done
box_agent --origin "80=$VIP4:80" --origin "80=[$VIP6]:80" --host-addr 192.0.2.3 --host-addr 2001:db8::3
WHERE='strict: '
check ready box_front && work strict
WHERE='strict: '
check 'no wrong checksum' none client TcpInCsumErrors
check 'none at the host' none b1 TcpInCsumErrors
lab_down
exit $FAILED
