#!/bin/sh
# SPDX-License-Identifier: MIT
# Frame n is lost on the wire, n = 1 to 8, each way: the streams are the same, and nothing hangs.
# suture has learnt the server before, so that the connection that loses a frame is a promised one.
# shellcheck source=tests/live/live.sh
. "$(dirname "$0")/live.sh"

# The network says nothing by itself: neighbours are known, IPv6 is off, so that the wire's frame 1 is the SYN.
quiet() {
	for n in client server; do
		lab_sysctl $n net.ipv6.conf.all.disable_ipv6=1
	done
	cm=$(lab_in client cat /sys/class/net/eth0/address)
	sm=$(lab_in server cat /sys/class/net/eth0/address)
	lab_in client ip neigh replace $SERVER4 lladdr "$sm" dev eth0 nud permanent
	lab_in server ip neigh replace $CLIENT4 lladdr "$cm" dev eth0 nud permanent
}

fetch() {
	lab_in client timeout 30 curl -gsS -m 25 -o "$LAB/got" http://$SERVER4/page && cmp "$LAB/got" "$LAB/www/page"
}

push() {
	lab_in client timeout 30 "$PEER" push $SERVER4 9000 30000
}

one() {
	mode=$1 offload=$2 isn=$3
	live_up "$offload"
	LIVE_WHERE="$mode-$offload-$isn: "
	quiet
	lab_nginx
	head -c 30000 /dev/urandom >"$LAB/www/page"
	serve sink 9000
	accel "$mode" "$isn"
	lab_reach
	fetch && push && sleep 0.3
	lab_unbridge wire
	for way in ab ba; do
		for n in 1 2 3 4 5 6 7 8; do
			for what in fetch push; do
				lab_wire --delay 5ms --drop-nth-$way $n
				check "$what, frame $n lost, $way" $what
				lab_stop wire
			done
		done
	done
	check 'kernels content' kernels_content
	check 'was at work, ends well' was_at_work
	live_down
}

if [ "$LIVE" = all ]; then
	for m in hold merge; do
		for o in gso strict plain; do
			one $m $o far
			one $m $o wrap
		done
	done
else
	one hold strict wrap
	one merge gso far
fi
