#!/bin/sh
# SPDX-License-Identifier: MIT
# live.sh [SUTURE [CONN_RATE [FIRST_BYTE]]] - figures of "suture accel near" beside a plain bridge of the kernel, in one run.
#
#     client ---- box ---- server          0 ms: a bridge, or suture in each mode, in the box
#     client ---- box ---- wire ---- server     20 ms one way, the wire is "suture wire"
#
# The ways through the box take turns, ROUNDS times, and each figure is the median of its turns; CPU times are the least of
# them, as whatever else the machine does only adds to them.  What counts is the ratio to the bridge of the same run.
# On a machine that is busy with other things, PRIORITY=-15 lets the benchmark's processes go first (nice values): a box in user
# space needs a processor at once where a bridge needs none, and waits in line otherwise.
# Prints a Markdown table:   bench/live.sh >bench/results/live.md   (root; three to four minutes; progress on standard error)
set -u
ROUNDS=${ROUNDS:-4}
FETCHES=${FETCHES:-200}		# a turn, at 0 ms
FAR_FETCHES=${FAR_FETCHES:-20}	# a turn, at 20 ms
SECONDS_FLOW=${SECONDS_FLOW:-1}
SECONDS_RATE=${SECONDS_RATE:-1}
SECONDS_FAR=${SECONDS_FAR:-2}
AT_ONCE=16
DELAY=20ms
WAYS='bridge bypass hold merge'

top=$(dirname "$0")/..
SUTURE=$(realpath "${1:-$top/build/src/cli/suture}")
CONN_RATE=$(realpath "${2:-$top/build/bench/conn_rate}")
FIRST_BYTE=$(realpath "${3:-$top/build/bench/first_byte}")
PRIORITY=${PRIORITY:-0}
COMMAND="bench/live.sh${1:+ SUTURE}"
[ "$PRIORITY" = 0 ] || COMMAND="PRIORITY=$PRIORITY $COMMAND"
[ "$ROUNDS" = 4 ] || COMMAND="ROUNDS=$ROUNDS $COMMAND"
TICKS=$(getconf CLK_TCK)

if [ "$(id -u)" != 0 ]; then
	echo "skip live # needs root for network namespaces"
	exit 77
fi
for tool in "$SUTURE" "$CONN_RATE" "$FIRST_BYTE"; do
	[ -x "$tool" ] || { echo "bench/live.sh: $tool is not built: run make" >&2; exit 1; }
done

# shellcheck source=lab/lab.sh
. "$top/lab/lab.sh"

data=$(mktemp)
LAB=
finish() {
	[ -z "$LAB" ] || lab_down
	session_nice 0
	rm -f "$data" "$data.load"
}

# session_nice N: where the kernel shares processors out by session, a process's own nice value says nothing to other sessions.
session_nice() {
	[ "$PRIORITY" = 0 ] || [ ! -w /proc/self/autogroup ] || echo "$1" >/proc/self/autogroup
}

up() {
	LAB_WIRE=$1
	lab_up
	trap finish EXIT
	lab_nginx
	lab_start iperf server iperf3 -s -p 5201 --forceflush
	lab_await iperf 'listening' 10 || exit 1
}

down() {
	lab_down
	LAB=
	trap finish EXIT
	trap 'exit 130' HUP INT TERM
}

# note METRIC VALUE: one turn's figure of the way that is in the box now.
note() {
	echo "$way $1 $2" >>"$data"
}

# enter WAY: puts it in the box.  The first two connections to a port are suture's to learn the server's options by.
enter() {
	way=$1
	if [ "$way" = bridge ]; then
		lab_bridge box
	else
		lab_box accel near --client if:$BOX_C --server if:$BOX_S --mode "$way" --ports 80,5201 --stats
	fi
	lab_in client "$FIRST_BYTE" $SERVER4 80 / 2 >"$LAB/warm.out" 2>&1 || lab_fail "$way: $(cat "$LAB/warm.out")"
}

leave() {
	if [ "$way" = bridge ]; then
		lab_unbridge box
	else
		lab_stop box
	fi
}

# latency NAME COUNT
latency() {
	lab_in client "$FIRST_BYTE" $SERVER4 80 / "$2" >"$LAB/times" 2>&1 || lab_fail "$way: $(cat "$LAB/times")"
	while read -r what p50 p90 p99; do
		note "$1_${what}_p50" "$p50"
		note "$1_${what}_p90" "$p90"
		note "$1_${what}_p99" "$p99"
	done <"$LAB/times"
}

rate() {
	# shellcheck disable=SC2046
	set -- $(lab_in client "$CONN_RATE" $SERVER4 80 / "$SECONDS_RATE" $AT_ONCE)
	[ $# = 6 ] || lab_fail "$way: no connection got through"
	note rate "$2"
	note rate_failed "$4"
	note rate_gap "$6"
}

# What the box's devices have received so far, in packets (a super-packet is one).
box_packets() {
	lab_in box sh -c "cat /sys/class/net/$BOX_C/statistics/rx_packets /sys/class/net/$BOX_S/statistics/rx_packets" |
		awk '{ n += $1 } END { print n }'
}

# Seconds that all processors together have been busy; interrupts included.
busy() {
	awk -v t="$TICKS" '/^cpu / { print ($2 + $3 + $4 + $7 + $8) / t }' /proc/stat
}

own_cpu() {
	sed 's/.*) //' "/proc/$(cat "$LAB/box.pid")/stat" | awk -v t="$TICKS" '{ print ($12 + $13) / t }'
}

counted() {
	awk -v n="$1" '$1 == n { print $2; exit }' "$LAB/box.out"
}

# throughput NAME FLOWS SECONDS WAY: with a box of its own, so that its counters are about nothing else.
throughput() {
	enter "$4"
	own=0 cpu=0
	[ "$way" = bridge ] || cpu=$(own_cpu)
	packets=$(box_packets) was_busy=$(busy)
	lab_in client iperf3 -c $SERVER4 -p 5201 -t "$3" -P "$2" -f m >"$LAB/iperf.txt" 2>&1 ||
		lab_fail "$way: iperf3: $(tail -n 1 "$LAB/iperf.txt")"
	is_busy=$(busy) packets=$(($(box_packets) - packets))
	[ "$way" = bridge ] || cpu=$(echo "$cpu $(own_cpu)" | awk '{ print $2 - $1 }')
	leave
	[ "$way" = bridge ] || own=$(counted packets_in)
	# The last line of receivers is the sum, where there is more than one flow.
	awk -v way="$way" -v name="$1" -v cpu="$cpu" -v busy="$was_busy $is_busy" -v packets="$packets" -v own="$own" '
		/receiver/ { for (i = 2; i <= NF; i++) if ($i == "Mbits/sec") mbit = $(i - 1)
			     for (i = 2; i <= NF; i++) if ($i ~ /^[MGK]Bytes$/) mb = $(i - 1) * ($i == "GBytes" ? 1024 : $i == "KBytes" ? 1 / 1024 : 1) }
		END {
			split(busy, b)
			print way, name "_mbit", mbit
			if (packets) print way, name "_busy_us", (b[2] - b[1]) / packets * 1e6
			if (mb) print way, name "_busy_us_mb", (b[2] - b[1]) / mb * 1e6
			if (own > 0) print way, name "_own_us", cpu / own * 1e6
			if (own > 0 && mb) print way, name "_own_us_mb", cpu / mb * 1e6
			if (packets && mb) print way, name "_bytes", mb * 1048576 / packets
		}' "$LAB/iperf.txt" >>"$data"
}

# near_turn WAY, far_turn WAY: what fresh connections cost, without and with the wire.
near_turn() {
	enter "$1"
	latency near "$FETCHES"
	rate
	leave
}

far_turn() {
	enter "$1"
	latency far "$FAR_FETCHES"
	leave
}

# rounds WHAT CMD ...: CMD with each way in turn, as often as there are rounds.
rounds() {
	echo "bench/live.sh: $(($(date +%s) - began)) s: $1" >&2
	shift
	for _ in $(seq "$ROUNDS"); do
		for w in $WAYS; do
			"$@" "$w"
		done
	done
}

measure() {
	up no
	# So few source ports that they wrap round within each turn.
	lab_sysctl client net.ipv4.ip_local_port_range="20000 27999"
	rounds "connections, 0 ms" near_turn
	lab_sysctl client net.ipv4.ip_local_port_range="32768 60999"
	rounds "one flow, 0 ms" throughput gso1 1 "$SECONDS_FLOW"
	rounds "8 flows, 0 ms" throughput gso8 8 "$SECONDS_FLOW"
	lab_strict
	rounds "one flow, strict" throughput strict1 1 "$SECONDS_FLOW"
	rounds "8 flows, strict" throughput strict8 8 "$SECONDS_FLOW"
	lab_no_offload
	rounds "one flow, single frames" throughput frame1 1 "$SECONDS_FLOW"
	down
	up yes
	# Reno: cubic leaves slow start when a round trip seems to last longer, which on a busy machine is chance.
	lab_in client ip route replace 192.0.2.0/24 dev eth0 congctl reno
	lab_wire --delay $DELAY --gso --memory 256M
	rounds "connections, $DELAY" far_turn
	rounds "one flow, $DELAY" throughput far1 1 "$SECONDS_FAR"
}

print_head() {
	cat <<-HEAD
		# Live figures of suture accel near

		Made by \`$COMMAND >bench/results/live.md\`; to be made again, never edited.

		* Machine: $(nproc) x $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), Linux $(uname -r)
		* Ways through the box: a bridge of the kernel, or \`suture accel near --mode\` bypass, hold, merge. Client, box, wire and
		  server are network namespaces of this machine, so all of them share its processors.
		* The ways took turns, $ROUNDS times; a figure is the median of its turns, a CPU time the least of them. Other work may
		  have run on the machine at the same time: ratios to the bridge of the same run mean more than the figures themselves.
		* Before the run the machine had $(cut -d ' ' -f 1 "$data.load") processes waiting for its $(nproc) processors (load of a minute).
	HEAD
}

# Reads lines "WAY METRIC VALUE" and prints the tables.
print_tables() {
	awk -v fetches="$FETCHES" -v far_fetches="$FAR_FETCHES" -v at_once="$AT_ONCE" -v rounds="$ROUNDS" '
		function key(w, m) { return w SUBSEP m }
		function sorted(k,   i, j, t) {
			for (i = 2; i <= n[k]; i++)
				for (j = i; j > 1 && v[k, j] < v[k, j - 1]; j--) { t = v[k, j]; v[k, j] = v[k, j - 1]; v[k, j - 1] = t }
		}
		function median(w, m,   k) {
			k = key(w, m)
			if (!n[k]) return ""
			sorted(k)
			return (v[k, int((n[k] + 1) / 2)] + v[k, int(n[k] / 2) + 1]) / 2
		}
		function least(w, m,   k) {
			k = key(w, m)
			if (!n[k]) return ""
			sorted(k)
			return v[k, 1]
		}
		function most(w, m,   k) {
			k = key(w, m)
			sorted(k)
			return v[k, n[k]]
		}
		function ratio(w, m) { return median(w, m) / median("bridge", m) }
		function header(first) {
			printf "\n| %s | bridge | bypass | hold | merge |\n|---|---:|---:|---:|---:|\n", first
		}
		# row(TITLE, METRIC, FORMAT, KIND): of medians, of medians and their ratios to the bridge, of the least, or of the greatest
		function row(title, m, fmt, kind,   i, x) {
			printf "| %s |", title
			for (i = 1; i <= 4; i++) {
				x = kind == "least" ? least(way[i], m) : kind == "most" ? most(way[i], m) : median(way[i], m)
				if (x == "") { printf " - |"; continue }
				printf " " fmt, x
				if (kind == "ratio" && i > 1) printf " (%.2f)", ratio(way[i], m)
				printf " |"
			}
			printf "\n"
		}
		function judge(what, wanted, x, fmt, good) {
			printf "| %s | %s | " fmt " | %s |\n", what, wanted, x, good ? "met" : "**missed**"
		}
		{ k = key($1, $2); v[k, ++n[k]] = $3 + 0 }
		END {
			split("bridge bypass hold merge", way, " ")
			split("p50 p90 p99", p, " ")
			print "\n## What was wanted"
			print "\nFigures from the design note of accel; p50 of fresh connections, medians of turns.\n"
			print "| figure | wanted | measured | |\n|---|---|---:|---|"
			for (i = 3; i <= 4; i++)
				judge("connect(), 20 ms one way, " way[i], "<= 0.25 ms", median(way[i], "far_connect_p50"), "%.3f ms", median(way[i], "far_connect_p50") <= 0.25)
			judge("first byte, 20 ms one way, merge", "<= 43 ms", median("merge", "far_first_p50"), "%.2f ms", median("merge", "far_first_p50") <= 43)
			for (i = 2; i <= 4; i++)
				judge("throughput of one flow, 0 ms, offloads, " way[i], ">= 0.7 x bridge", ratio(way[i], "gso1_mbit"), "%.2f x", ratio(way[i], "gso1_mbit") >= 0.7)
			for (i = 2; i <= 4; i++)
				judge("throughput of one flow, 20 ms, " way[i], ">= 0.9 x bridge", ratio(way[i], "far1_mbit"), "%.2f x", ratio(way[i], "far1_mbit") >= 0.9)
			for (i = 2; i <= 4; i++)
				judge("connections a second, 0 ms, " way[i], ">= 0.75 x bridge", ratio(way[i], "rate"), "%.2f x", ratio(way[i], "rate") >= 0.75)
			for (i = 2; i <= 4; i++)
				judge("longest time without a finished connection, " way[i], "<= 500 ms", most(way[i], "rate_gap"), "%.0f ms", most(way[i], "rate_gap") <= 500)

			print "\n## Waiting"
			print "\nMilliseconds from before connect() to its return, and to the first byte of nginx\x27s answer (a page of 200 bytes), one fresh"
			printf "connection after another: %d a turn at 0 ms, %d at 20 ms one way.\n", fetches, far_fetches
			header("ms")
			for (i = 1; i <= 3; i++) row("0 ms: connect() " p[i], "near_connect_" p[i], "%.3f")
			for (i = 1; i <= 3; i++) row("0 ms: first byte " p[i], "near_first_" p[i], "%.3f")
			for (i = 1; i <= 3; i++) row("20 ms: connect() " p[i], "far_connect_" p[i], "%.3f")
			for (i = 1; i <= 3; i++) row("20 ms: first byte " p[i], "far_first_" p[i], "%.2f")

			print "\n## Connections a second"
			printf "\nconnect(), GET, read to the end, close; %d at once, source ports wrapping round. In brackets: ratio to the bridge.\n", at_once
			header("0 ms")
			row("connections a second", "rate", "%.0f", "ratio")
			row("failed, most of a turn", "rate_failed", "%d", "most")
			row("longest time without one finished, ms, most of a turn", "rate_gap", "%.0f", "most")

			print "\n## Throughput"
			print "\nMbit/s as iperf3\x27s receiver has it. Strict: the box\x27s devices complete checksums and cut super-packets in software. Single frames:"
			print "nobody offloads. In brackets: ratio to the bridge."
			header("Mbit/s")
			row("0 ms, offloads, 1 flow", "gso1_mbit", "%.0f", "ratio")
			row("0 ms, offloads, 8 flows", "gso8_mbit", "%.0f", "ratio")
			row("0 ms, strict, 1 flow", "strict1_mbit", "%.0f", "ratio")
			row("0 ms, strict, 8 flows", "strict8_mbit", "%.0f", "ratio")
			row("0 ms, single frames, 1 flow", "frame1_mbit", "%.0f", "ratio")
			row("20 ms, offloads, 1 flow", "far1_mbit", "%.0f", "ratio")

			print "\n## Processor time"
			print "\nMicroseconds. Of suture: its own user and system time over its packets_in. Of the machine: all busy time of all processors, both"
			print "ends included, over the packets that the box received (a super-packet is one), or over megabytes delivered."
			header("us")
			row("suture, a packet, offloads, 1 flow", "gso1_own_us", "%.2f", "least")
			row("suture, a packet, single frames", "frame1_own_us", "%.2f", "least")
			row("suture, a MB, offloads, 1 flow", "gso1_own_us_mb", "%.0f", "least")
			row("suture, a MB, single frames", "frame1_own_us_mb", "%.0f", "least")
			row("machine, a packet, offloads, 1 flow", "gso1_busy_us", "%.2f", "least")
			row("machine, a packet, single frames", "frame1_busy_us", "%.2f", "least")
			row("machine, a MB, offloads, 1 flow", "gso1_busy_us_mb", "%.0f", "least")
			row("machine, a MB, offloads, 8 flows", "gso8_busy_us_mb", "%.0f", "least")
			row("machine, a MB, strict, 1 flow", "strict1_busy_us_mb", "%.0f", "least")
			row("machine, a MB, single frames", "frame1_busy_us_mb", "%.0f", "least")
			row("bytes delivered a packet, offloads, 1 flow", "gso1_bytes", "%.0f")
		}' "$data"
}

began=$(date +%s)
trap finish EXIT
trap 'exit 130' HUP INT TERM
if [ "$PRIORITY" != 0 ]; then
	renice -n "$PRIORITY" -p $$ >/dev/null
	session_nice "$PRIORITY"
fi
cp /proc/loadavg "$data.load"
measure
print_head
print_tables
echo "bench/live.sh: $(($(date +%s) - began)) s: done" >&2
