#!/bin/sh
# SPDX-License-Identifier: MIT
# side.sh [SUTURE [CONN_RATE [SIDE_FETCH]]] - "suture accel near" beside what others would put in its place, in one run.
#
#     client ---- box ---- server                  0 ms; what is compared takes turns in the box
#     client ---- box ---- wire ---- server        20 and 300 ms one way, the wire is "suture wire"
#
#     bridge        the kernel forwards frames                    verify   suture passes, and learns servers' options
#     routing       the kernel forwards packets                   hold     suture answers, holds data until the server did
#     synproxy      routing, and SYNPROXY by nftables             merge    suture answers, sends the data with the SYN
#     haproxy       splitting in tcp mode: an explicit proxy, the client connects to the box's own address
#     cable         no box at all: what both ends cost by themselves
#
# Rounds are short and interleaved; what counts is the ratio to the bridge of the same run.
# Prints Markdown:   bench/side.sh >bench/results/side.md   (root; under four minutes; progress on standard error)
# and the picture is drawn from that:   bench/plot.sh bench/results/side.md >doc/figures/first_byte.svg
# QUICK=yes is one round of short turns, in a good minute.  DATA=FILE keeps the turns' figures in FILE: a run that was interrupted
# goes on where it was; what is there is not measured again.  WAYS="bridge merge" compares less.
# On a machine that is busy with other things, PRIORITY=-15 lets the benchmark's processes go first (nice values): a box in user
# space needs a processor at once where a bridge needs none, and waits in line otherwise.
set -u
QUICK=${QUICK:-no}
if [ "$QUICK" = yes ]; then
	default='1 100 30 30 0.2 1'
else
	default='2 200 60 50 0.25 2'
fi
# shellcheck disable=SC2086
set -- "$@" -- $default
paths=
while [ "$1" != -- ]; do
	paths="$paths $1"
	shift
done
shift
ROUNDS=${ROUNDS:-$1}
FETCHES_0=$2 FETCHES_20=$3 FETCHES_300=$4	# a turn
SLICE=$5					# seconds, of connections
SLICES=6
SECONDS_FLOW=1
SECONDS_FAR=$6
AT_ONCE=16
WAYS=${WAYS:-cable bridge routing synproxy haproxy verify hold merge}
DATA=${DATA:-}
PRIORITY=${PRIORITY:-0}
# So few source ports that they wrap round within each turn.
FIRST_PORT=20000 LAST_PORT=39999

top=$(dirname "$0")/..
# shellcheck disable=SC2086
set -- $paths
SUTURE=$(realpath "${1:-$top/build/src/cli/suture}")
CONN_RATE=$(realpath "${2:-$top/build/bench/conn_rate}")
FETCH=$(realpath "${3:-$top/build/bench/side_fetch}")
COMMAND="bench/side.sh"
[ "$QUICK" = no ] || COMMAND="QUICK=yes $COMMAND"
[ "$ROUNDS" = "${default%% *}" ] || COMMAND="ROUNDS=$ROUNDS $COMMAND"
[ "$PRIORITY" = 0 ] || COMMAND="PRIORITY=$PRIORITY $COMMAND"
TICKS=$(getconf CLK_TCK)

if [ "$(id -u)" != 0 ]; then
	echo "skip side # needs root for network namespaces"
	exit 77
fi
for tool in haproxy nft conntrack tcpdump iperf3 nginx ethtool; do
	if ! command -v $tool >/dev/null; then
		echo "skip side # needs $tool: tools/deps.sh demo bench"
		exit 77
	fi
done
for tool in "$SUTURE" "$CONN_RATE" "$FETCH"; do
	[ -x "$tool" ] || { echo "bench/side.sh: $tool is not built: run make" >&2; exit 1; }
done

# shellcheck source=lab/lab.sh
. "$top/lab/lab.sh"

# The box's and the server's addresses where the box is a hop of its own; and the cable's.
BOX_NEAR=192.0.2.254 BOX_FAR=198.51.100.254 SERVER_FAR=198.51.100.2
CABLE_C=203.0.113.1 CABLE_S=203.0.113.2

dir=$(mktemp -d)
data=${DATA:-$dir/data}
turn=$dir/turn
LAB=
finish() {
	[ -z "$LAB" ] || lab_down
	session_nice 0
	rm -rf "$dir"
}

# session_nice N: where the kernel shares processors out by session, a process's own nice value says nothing to other sessions.
session_nice() {
	[ "$PRIORITY" = 0 ] || [ ! -w /proc/self/autogroup ] || echo "$1" >/proc/self/autogroup
}

# ---- the laboratory

# up WIRE CONGESTION-CONTROL
up() {
	LAB_WIRE=$1 cc=
	lab_up
	trap finish EXIT
	! grep -qw "$2" /proc/sys/net/ipv4/tcp_available_congestion_control || cc="congctl $2"
	lab_in server ip addr add $SERVER_FAR/24 dev eth0
	lab_join client eth1 server eth1
	for n in client server; do
		lab_in $n ip link set dev eth1 up
	done
	lab_in client ip addr add $CABLE_C/24 dev eth1 noprefixroute
	lab_in server ip addr add $CABLE_S/24 dev eth1 noprefixroute
	# shellcheck disable=SC2086
	{
		lab_in client ip route replace 192.0.2.0/24 dev eth0 $cc
		lab_in client ip route replace 198.51.100.0/24 via $BOX_NEAR dev eth0 onlink $cc
		lab_in client ip route replace 203.0.113.0/24 dev eth1 $cc
		lab_in server ip route replace 203.0.113.0/24 dev eth1 $cc
	}
	lab_nginx
	lab_start iperf server iperf3 -s -p 5201 --forceflush
	lab_await iperf 'listening' 10 || exit 1
	write_haproxy
}

down() {
	lab_down
	LAB=
	trap finish EXIT
	trap 'exit 130' HUP INT TERM
}

# One thread, as suture has one; data are moved by splice() where it can.  (HAProxy 2.6 told "tfo" towards its server, with the
# client's data already there, was seen to send none of them in the SYN: so there is no such way here.)
write_haproxy() {
	cat >"$LAB/haproxy.cfg" <<-CONF
		global
			maxconn 4096
			nbthread 1
		defaults
			mode tcp
			option splice-auto
			timeout connect 20s
			timeout client 20s
			timeout server 20s
		listen web
			bind $BOX_NEAR:80
			server s $SERVER_FAR:80
		listen flow
			bind $BOX_NEAR:5201
			server s $SERVER_FAR:5201
	CONF
}

# hop, unhop: the box has addresses, and forwards.
hop() {
	lab_in box ip addr add $BOX_NEAR/24 dev $BOX_C
	lab_in box ip addr add $BOX_FAR/24 dev $BOX_S
	# shellcheck disable=SC2086
	{
		lab_in box ip route replace 198.51.100.0/24 dev $BOX_S src $BOX_FAR $cc
		lab_in box ip route replace 192.0.2.0/24 dev $BOX_C src $BOX_NEAR $cc
		lab_in server ip route replace $CLIENT4/32 via $BOX_FAR dev eth0 onlink src $SERVER_FAR $cc
	}
	lab_sysctl box net.ipv4.ip_forward=1
}

unhop() {
	lab_in server ip route del $CLIENT4/32
	lab_sysctl box net.ipv4.ip_forward=0
	lab_in box ip addr flush dev $BOX_C
	lab_in box ip addr flush dev $BOX_S
}

# What SYNPROXY has to be told by hand, and gets wrong unless it is told exactly: the options of this server.
learn_options() {
	hop
	lab_start learn server tcpdump -n -l -c 1 -i eth0 "src $SERVER_FAR and tcp[13] = 18"
	lab_await learn 'listening on' 10 || exit 1
	lab_in client "$FETCH" $SERVER_FAR 80 / 1 1 >"$LAB/warm.out" 2>&1 || lab_fail "routing: $(cat "$LAB/warm.out")"
	lab_await learn 'wscale' 10 || exit 1
	lab_end learn
	unhop
	mss=$(sed -n 's/.*mss \([0-9]*\).*/\1/p' "$LAB/learn.out")
	wscale=$(sed -n 's/.*wscale \([0-9]*\).*/\1/p' "$LAB/learn.out")
	[ -n "$mss$wscale" ] || lab_fail "no options in the server's SYN-ACK: $(cat "$LAB/learn.out")"
}

synproxy() {
	lab_in box nft -f - <<-RULES || lab_fail "nftables: no SYNPROXY"
		table ip side {
			chain before {
				type filter hook prerouting priority raw
				tcp dport { 80, 5201 } tcp flags & (fin|syn|rst|ack) == syn notrack
			}
			chain through {
				type filter hook forward priority filter
				ct state invalid,untracked synproxy mss $mss wscale $wscale timestamp sack-perm
				ct state invalid drop
			}
		}
	RULES
	lab_sysctl box net.netfilter.nf_conntrack_tcp_loose=0
}

# enter WAY: puts it in the box, and lets it learn the server's options if it does: from the first connections.
enter() {
	way=$1 target=$SERVER4
	case $way in
	cable) target=$CABLE_S ;;
	bridge) lab_bridge box ;;
	routing) hop && target=$SERVER_FAR ;;
	synproxy) hop && synproxy && target=$SERVER_FAR ;;
	haproxy)
		hop
		target=$BOX_NEAR
		lab_start box box haproxy -db -f "$LAB/haproxy.cfg"
		lab_tries=250
		until lab_in box ss -Hltn sport = :5201 | grep -q 5201; do
			lab_tries=$((lab_tries - 1))
			[ $lab_tries -gt 0 ] || lab_fail "haproxy: $(cat "$LAB/box.out")"
			sleep 0.02
		done
		;;
	*) lab_box accel near --client if:$BOX_C --server if:$BOX_S --mode "$way" --ports 80,5201 ;;
	esac
	case $way in
	hold | merge) warm=2 ;;
	*) warm=1 ;;
	esac
	lab_in client "$FETCH" "$target" 80 / $warm 1 >"$LAB/warm.out" 2>&1 || lab_fail "$way: $(cat "$LAB/warm.out")"
}

leave() {
	case $way in
	bridge) lab_unbridge box ;;
	routing) unhop ;;
	synproxy)
		lab_in box nft delete table ip side
		lab_in box conntrack -F >/dev/null 2>&1
		unhop
		;;
	haproxy) lab_stop box && unhop ;;
	verify | hold | merge) lab_stop box ;;
	esac
}

# ---- what is measured

# note METRIC VALUE: of the way that is in the box now.
note() {
	echo "$way $1 $2" >>"$turn"
}

# fetches DELAY COUNT AT-ONCE
fetches() {
	lab_in client "$FETCH" "$target" 80 / "$2" "$3" >"$LAB/times" 2>&1 || lab_fail "$way: $(cat "$LAB/times")"
	awk -v w="$way" -v d="$1" '{ print w, "connect" d, $1; print w, "first" d, $2 }' "$LAB/times" >>"$turn"
}

# What the box's devices have received so far, in packets (a super-packet is one).
box_packets() {
	lab_in box sh -c "cat /sys/class/net/$BOX_C/statistics/rx_packets /sys/class/net/$BOX_S/statistics/rx_packets" |
		awk '{ n += $1 } END { print n }'
}

# meter: "BUSY SOFTIRQ OWN PACKETS" so far: seconds of all processors, seconds of them in soft interrupts, seconds of the box's own
# process (user and system), packets.
meter() {
	meter_own=0
	! lab_alive box || meter_own=$(sed 's/.*) //' "/proc/$(cat "$LAB/box.pid")/stat" | awk '{ print $12 + $13 }')
	awk -v t="$TICKS" -v own="$meter_own" -v packets="$(box_packets)" '
		/^cpu / { print ($2 + $3 + $4 + $7 + $8) / t, $8 / t, own / t, packets }' /proc/stat
}

# spent NAME BEFORE AFTER UNITS: what was spent between two readings of the meter, on so many megabytes or connections.  A cable has no packets.
spent() {
	echo "$2 $3" | awk -v way="$way" -v name="$1" -v units="$4" '{
		packets = way == "cable" ? 0 : $8 - $4
		if (units > 0) print way, name "_busy_unit", ($5 - $1) / units * 1e6
		if (packets > 0 && units > 0) print way, name "_packets_unit", packets / units
		if (packets > 0) print way, name "_softirq", ($6 - $2) / packets * 1e6
		if (packets > 0 && $7 > 0) print way, name "_own", ($7 - $3) / packets * 1e6
	}' >>"$turn"
}

# rates: turns of conn_rate follow one another, and the client's choice of ports goes on where it was.
rates() {
	before=$(meter) all=0
	for slice in $(seq $SLICES); do
		# shellcheck disable=SC2046
		set -- $(lab_in client "$CONN_RATE" "$target" 80 / "$SLICE" $AT_ONCE)
		[ $# = 6 ] || set -- rate 0 failed 0 gap_ms "$(echo "$SLICE" | awk '{ print $1 * 1000 }')"
		note "rate$slice" "$2"
		note rate_failed "$4"
		note rate_gap "$6"
		all=$(echo "$all $2 $SLICE" | awk '{ print $1 + $2 * $3 }')
	done
	spent rate "$before" "$(meter)" "$all"
	note rate "$(echo "$all $SLICE $SLICES" | awk '{ print $1 / ($2 * $3) }')"
}

# throughput NAME FLOWS SECONDS
throughput() {
	before=$(meter)
	lab_in client iperf3 -c "$target" -p 5201 -t "$3" -P "$2" -f m >"$LAB/iperf.txt" 2>&1 ||
		lab_fail "$way: iperf3: $(tail -n 1 "$LAB/iperf.txt")"
	after=$(meter)
	# The last line of receivers is the sum, where there is more than one flow.
	# shellcheck disable=SC2046
	set -- "$1" $(awk '/receiver/ {
		for (i = 2; i <= NF; i++) if ($i == "Mbits/sec") mbit = $(i - 1)
		for (i = 2; i <= NF; i++) if ($i ~ /^[MGK]Bytes$/) mb = $(i - 1) * ($i == "GBytes" ? 1024 : $i == "KBytes" ? 1 / 1024 : 1)
	} END { print mbit, mb }' "$LAB/iperf.txt")
	note "$1_mbit" "$2"
	spent "$1" "$before" "$after" "$3"
}

turn_near() {
	throughput gso1 1 $SECONDS_FLOW
	throughput gso8 8 $SECONDS_FLOW
	[ "$way" = cable ] || fetches 0 "$FETCHES_0" 1
	rates
}

turn_frames() {
	throughput frame1 1 $SECONDS_FLOW
	throughput frame8 8 $SECONDS_FLOW
}

turn_far() {
	fetches 20 "$FETCHES_20" 10
	throughput far1 1 "$SECONDS_FAR"
}

turn_moon() {
	fetches 300 "$FETCHES_300" 50
}

# rounds STAGE EXCEPT: each way's turns, as often as there are rounds, but those that are in the data already.
rounds() {
	echo "bench/side.sh: $(($(date +%s) - began)) s: $1" >&2
	for round in $(seq "$ROUNDS"); do
		for w in $WAYS; do
			case " $2 " in *" $w "*) continue ;; esac
			! grep -q "^done $1 $round $w\$" "$data" || continue
			: >"$turn"
			enter "$w"
			"turn_$1"
			leave
			echo "done $1 $round $w" >>"$turn"
			cat "$turn" >>"$data"
		done
	done
}

measure() {
	up no cubic
	learn_options
	lab_sysctl client net.ipv4.ip_local_port_range="$FIRST_PORT $LAST_PORT"
	rounds near ''
	lab_no_offload
	for n in client server; do
		lab_in $n ethtool -K eth1 tx off gro off gso off tso off >/dev/null 2>&1
	done
	rounds frames ''
	down
	# Reno: cubic leaves slow start when a round trip seems to last longer, which on a busy machine is chance.
	up yes reno
	lab_wire --delay 20ms --gso --memory 256M
	rounds far cable
	lab_stop wire
	lab_wire --delay 300ms --gso --memory 256M
	rounds moon cable
	down
}

print_head() {
	cat <<-HEAD
		# suture accel near, side by side

		Made by \`$COMMAND >bench/results/side.md\`; to be made again, never edited.

		* Machine: $(nproc) x $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), Linux $(uname -r)
		* Client, box, wire and server are network namespaces of this machine, so all of them share its processors.
		* bridge, routing: the kernel's. synproxy: routing, and nftables' SYNPROXY, told this server's own options. haproxy:
		  $(haproxy -v | sed -n '1s/^HAProxy version \([^ ]*\).*/HAProxy \1/p') splitting in tcp mode, one thread, as an explicit proxy: the client connects to the box's own address.
		  verify, hold, merge: \`suture accel near --mode\`. cable: no box at all.
		* They took turns, $ROUNDS times; a figure is the median of its turns, a CPU time the least of them, a percentile is of all fetches. Other
		  work may have run on the machine at the same time: ratios to the bridge of the same run mean more than the figures themselves.
		* Before the run the machine had $(cat "$dir/load") processes waiting for its $(nproc) processors (load of a minute).
	HEAD
}

began=$(date +%s)
trap finish EXIT
trap 'exit 130' HUP INT TERM
touch "$data" || exit 1
if [ "$PRIORITY" != 0 ]; then
	renice -n "$PRIORITY" -p $$ >/dev/null
	session_nice "$PRIORITY"
fi
cut -d ' ' -f 1 /proc/loadavg >"$dir/load"
measure
print_head
awk -v ticks="$TICKS" -v slice="$SLICE" -v slices=$SLICES -v at_once=$AT_ONCE -v ports="$FIRST_PORT to $LAST_PORT" -f "$top/bench/side.awk" "$data"
echo "bench/side.sh: $(($(date +%s) - began)) s: done" >&2
