#!/bin/sh
# SPDX-License-Identifier: MIT
# A flood of SYNs from forged sources: memory stays within its bound, the server's accept queue stays empty, and everyone else is served.
# shellcheck source=tests/live/live.sh
. "$(dirname "$0")/live.sh"

FLOOD=${FLOOD:-$(dirname "$PEER")/flood}
LASTS=${FLOOD_SECONDS:-$(all 4 10)}
LASTS=${LASTS##* }
PENDING=20000

# Kilobytes of suture that lie in memory.
resident() {
	awk '/^VmRSS:/ { print $2 }' "/proc/$(cat "$LAB/box.pid")/status"
}

# A page every 100 ms for as long as the flood lasts, each on a connection of its own; says how many failed.
visits() {
	visits_n=0 visits_failed=0
	while lab_alive flood; do
		visits_n=$((visits_n + 1))
		lab_in client curl -gsS -m 30 -o "$LAB/visit" "$1" 2>>"$LAB/visits.err" && cmp -s "$LAB/visit" "$LAB/www/index.html" ||
			visits_failed=$((visits_failed + 1))
		sleep 0.1
	done
	echo "$visits_n $visits_failed" >"$LAB/visits"
}

# The longest accept queue that was seen on port 80 while the flood lasted.
queue() {
	queue_most=0
	while lab_alive flood; do
		queue_now=$(lab_in server ss -Hltn sport = :80 | awk '{ n = $2 > n ? $2 : n } END { print n + 0 }')
		[ "$queue_now" -le $queue_most ] || queue_most=$queue_now
		sleep 0.2
	done
	echo $queue_most >"$LAB/queue"
}

# flooded URL SERVER
flooded() {
	lab_end flood
	lab_start flood client "$FLOOD" eth0 "$LASTS" "$2" 80 "$(lab_in server cat /sys/class/net/eth0/address)"
	queue &
	queue_pid=$!
	visits "$1"
	wait $queue_pid
	cat "$LAB/flood.out" "$LAB/visits" "$LAB/visits.err" 2>/dev/null
	read -r flooded_n flooded_bad <"$LAB/visits"
	[ "$flooded_n" -ge 1 ] && [ "$flooded_bad" = 0 ]
}

# Each pending connection costs at most 1 KB; 16 MB more for buffers that are touched for the first time.
memory() {
	memory_now=$(resident)
	echo "resident: $memory_before KB before, $memory_now KB after; $PENDING pending connections"
	[ $((memory_now - memory_before)) -le $((PENDING + 16384)) ]
}

queue_empty() {
	echo "longest accept queue: $(cat "$LAB/queue")"
	[ "$(cat "$LAB/queue")" -le 5 ]
}

budget_was_reached() {
	lab_stop box
	echo "promised $(counter promised), past the budget $(awk '$1 == "passed" && $2 ~ /^syn-(budget|source)$/ { n += $3 } END { print n + 0 }' "$LAB/box.out")"
	[ "$(awk '$1 == "passed" && $2 ~ /^syn-(budget|source)$/ { n += $3 } END { print n + 0 }' "$LAB/box.out")" -gt 0 ]
}

flood() {
	LAB_WIRE=no
	live_up gso
	LIVE_WHERE="flood, $1: "
	lab_nginx
	# What the server answers to those who do not exist goes to the client's kernel, and is dropped there.
	for flood_net in 198.51.100.0/24 203.0.113.0/24; do
		lab_in server ip route add $flood_net via $CLIENT4 dev eth0
	done
	lab_in server ip -6 route add 2001:db8:f::/48 via $CLIENT6 dev eth0
	lab_sysctl server net.ipv4.tcp_syncookies=1
	lab_box accel near --client if:$BOX_C --server if:$BOX_S --mode "$1" --ports 80 --idempotent 80 --stats \
		--max-pending $PENDING --max-pending-source "$2"
	live_mode=$1
	lab_reach
	check 'before' small
	memory_before=$(resident)
	check 'everyone else is served' flooded "http://$SERVER4/" $SERVER4
	check 'accept queue' queue_empty
	check 'everyone else is served, IPv6' flooded "http://[$SERVER6]/" $SERVER6
	check 'accept queue, IPv6' queue_empty
	check 'memory' memory
	check 'afterwards' small
	check 'the budget was reached' budget_was_reached
	live_down
}

for m in $(all hold merge); do
	flood "$m" 1024
done
# A few sources may use up all but their own share.
[ "$LIVE" != all ] || flood hold 65536
exit $LIVE_FAILED
