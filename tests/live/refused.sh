#!/bin/sh
# SPDX-License-Identifier: MIT
# Servers that do not answer: a closed port is reset the first time, refused by the server itself the second time;
# a silent server ends in a reset, never in a connection that stays.
# shellcheck source=tests/live/live.sh
. "$(dirname "$0")/live.sh"

closed() {
	lab_in client timeout 20 "$PEER" refused "$1" 81 >"$LAB/how"
	cat "$LAB/how"
	grep -q "^$2 " "$LAB/how"
}

# One address that nobody has, with the server's Ethernet address: frames arrive and nobody answers.
silent() {
	lab_in client timeout 30 "$PEER" refused 192.0.2.77 80 >"$LAB/how"
	cat "$LAB/how"
	grep -qE '^(reset|Connection timed out|No route to host) ' "$LAB/how"
}

one() {
	mode=$1 offload=$2 isn=$3
	live_up "$offload"
	LIVE_WHERE="$mode-$offload-$isn: "
	lab_nginx
	accel "$mode" "$isn" --syn-timeout 2s
	lab_reach
	check 'small page' small
	check 'closed port, server not known' closed $SERVER4 refused
	lab_stop box
	accel "$mode" "$isn" --syn-timeout 2s --first-contact promise
	check 'closed port, promised' closed $SERVER4 reset
	check 'closed port, the second time' closed $SERVER4 refused
	mac=$(lab_in server cat /sys/class/net/eth0/address)
	lab_in client ip neigh replace 192.0.2.77 lladdr "$mac" dev eth0 nud permanent
	check 'silent server, promised' silent
	check 'kernels content' kernels_content
	live_down
}

if [ -n "$BASELINE" ]; then
	echo 'skip refused # a bridge promises nothing'
	exit 0
fi
for m in $(all hold merge); do
	one "$m" strict wrap
	[ "$LIVE" != all ] || one "$m" gso far
done
[ "$LIVE" = all ] || one merge strict wrap
