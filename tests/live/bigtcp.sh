#!/bin/sh
# SPDX-License-Identifier: MIT
# Super-packets of more than 64 KB (BIG TCP), which both ends make and whose segments both devices of the box may merge.
LAB_WIRE=${LAB_WIRE:-no}
# shellcheck source=tests/live/live.sh
. "$(dirname "$0")/live.sh"

# sizes NS DEVICE BYTES
sizes() {
	lab_in "$1" ip link set dev "$2" gso_max_size "$3" gro_max_size "$3"
}

# none_refused NAME: the ports of the suture of that name, which has ended, could take in all that came.
none_refused() {
	[ -n "$BASELINE" ] || ! grep -E '^ *port .*: .*rx_errors [1-9]' "$LAB/$1.out"
}

# one MODE OFFLOAD ISN BYTES
one() {
	LIVE_WHERE="bigtcp: $1, $2, ISN $3, $4: "
	live_up "$2"
	for n in client server; do
		sizes $n eth0 "$4" 2>/dev/null || {
			echo "skip ${LIVE_WHERE}all # this kernel knows no such super-packets"
			live_down
			return
		}
	done
	sizes box $BOX_C "$4"
	sizes box $BOX_S "$4"
	lab_nginx
	serve sink 9000
	accel "$1" "$3"
	lab_reach "$SERVER6"
	check 'the server is learnt' down "http://[$SERVER6]" 1
	check 'download over IPv6' down "http://[$SERVER6]" 60
	check 'upload over IPv6' up "$SERVER6" 60
	check 'download over IPv4' down "http://$SERVER4" 60
	check 'kernels content' kernels_content
	lab_stop box
	live_mode=none
	check 'was at work, ends well' was_at_work
	check 'nothing was refused' none_refused box
	live_down
}

if [ -n "${ONE:-}" ]; then
	$ONE
elif [ "$LIVE" = all ]; then
	for m in hold merge; do
		one $m gso far 200000
		one $m gso wrap 500000
		one $m strict wrap 131072
	done
else
	one merge gso wrap 500000
fi
