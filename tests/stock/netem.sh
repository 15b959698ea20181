#!/bin/sh
# SPDX-License-Identifier: MIT
# netem.sh - suture's wire beside the kernel's netem: the same delay, the same loss, measured by the same pings.
#
# The bounds are wide: an emulated processor is slow.  A wire that forgot its delay, or lost twice as much, is far outside.
# shellcheck source=tests/live/live.sh
. tests/live/live.sh

# ours ARG ...: a wire with these settings.
ours() {
	lab_up
	lab_bridge box
	lab_wire "$@"
}

# netems ARG ...: bridges, and netem with these settings in both directions.
netems() {
	lab_up
	lab_bridge box
	lab_bridge wire
	for d in wa wb; do
		lab_in wire tc qdisc add dev $d root netem limit 10000 "$@" || lab_fail "no netem"
	done
}

# pinged COUNT INTERVAL: "SENT RECEIVED MEDIAN" with the median round trip in microseconds.
pinged() {
	lab_in client ping -c 2 -W 2 $SERVER4 >/dev/null 2>&1
	lab_in client ping -c "$1" -i "$2" -W 2 $SERVER4 >"$LAB/ping"
	sed -n 's/.*time=\([0-9.]*\) ms/\1/p' "$LAB/ping" | sort -n >"$LAB/times"
	awk -v sent="$1" '{ t[NR] = $1 } END { printf "%d %d %d\n", sent, NR, t[int((NR + 1) / 2)] * 1000 }' "$LAB/times"
}

# within A B TOLERANCE
within() {
	d=$(($1 - $2))
	[ ${d#-} -le "$3" ]
}

failed=0
verdict() {
	if eval "$2"; then
		echo "ok netem: $1"
	else
		echo "not ok netem: $1 # $2"
		failed=1
	fi
}

delay() {
	ours --delay "$1ms"
	o=$(pinged 60 0.05)
	lab_down
	netems delay "$1ms"
	n=$(pinged 60 0.05)
	lab_down
	echo "delay of $1 ms each way: sent, received, median in us: wire $o, netem $n"
	o=${o##* } n=${n##* }
	verdict "delay of $1 ms, round trip $o us, netem's $n" "within $o $n 6000 && within $o $((2000 * $1)) 12000 && [ $o -ge $((2000 * $1)) ]"
}

# Of 1500 pings a share of 1 - (1 - p)^2 is lost; 5 standard deviations around that.
loss() {
	ours --loss "$1%"
	o=$(pinged 1500 0.01)
	lab_down
	netems loss "$1%"
	n=$(pinged 1500 0.01)
	lab_down
	o=$(echo "$o" | awk '{ print $1 - $2 }') n=$(echo "$n" | awk '{ print $1 - $2 }')
	want=$(awk -v p="$1" 'BEGIN { q = (1 - p / 100) ^ 2; printf "%d %d", 1500 * (1 - q), 5 * sqrt(1500 * q * (1 - q)) }')
	dev=${want#* } want=${want% *}
	verdict "loss of $1 % each way: $o of 1500 lost, netem's $n, expected $want" "within $o $want $dev && within $n $want $dev"
}

delay 20
delay 150
loss 1
loss 5
exit $failed
