#!/bin/sh
# SPDX-License-Identifier: MIT
# handoff.sh [SUTURE [SIDE_FETCH]] - "suture handoff" beside HAProxy and nothing at all, in one run.
#
#     client ---- switch ---- front end: suture handoff front, or HAProxy
#                   +-------- b1: stock nginx, suture handoff back
#
#     direct      the client asks nginx itself                    adopt   the back end's kernel takes the connection over
#     http        HAProxy 2.6, mode http                          shift   its agent translates numbers
#     http-splice the same with option splice-response, forced    splice  the front end translates both directions
#     tcp         HAProxy 2.6, mode tcp, splicing where it can
#     routed      nginx itself, and the front end's kernel forwards what the client sends: nobody in its place can be faster
#
# Everybody has one thread; all share this machine's processors.  What is compared takes turns, ROUNDS times; a figure is the median of its turns.
# Prints Markdown:   bench/handoff.sh >bench/results/handoff.md   (root; some five minutes; progress on standard error)
# QUICK=yes: one round of short turns.  WAYS="direct adopt" compares less.
set -u
QUICK=${QUICK:-no}
WAYS=${WAYS:-direct routed http http-splice tcp adopt shift splice}
if [ "$QUICK" = yes ]; then
	ROUNDS=${ROUNDS:-1} SECONDS_=${SECONDS_:-1} FETCHES=200
else
	ROUNDS=${ROUNDS:-3} SECONDS_=${SECONDS_:-3} FETCHES=1000
fi

top=$(dirname "$0")/..
SUTURE=$(realpath "${1:-$top/build/src/cli/suture}")
FETCH=$(realpath "${2:-$top/build/bench/side_fetch}")
export SUTURE
COMMAND=bench/handoff.sh
[ "$QUICK" = no ] || COMMAND="QUICK=yes $COMMAND"

if [ "$(id -u)" != 0 ]; then
	echo "skip handoff # needs root for network namespaces"
	exit 77
fi
for tool in haproxy nginx wrk ethtool; do
	command -v $tool >/dev/null || { echo "skip handoff # needs $tool: tools/deps.sh demo bench"; exit 77; }
done
for tool in "$SUTURE" "$FETCH"; do
	[ -x "$tool" ] || { echo "bench/handoff.sh: $tool is not built: run make" >&2; exit 1; }
done

# shellcheck source=lab/handoff_lab.sh
. "$top/lab/handoff_lab.sh"

data=$(mktemp)
began=$(date +%s)
TICKS=$(getconf CLK_TCK)
bpf_stats=$(cat /proc/sys/kernel/bpf_stats_enabled 2>/dev/null)
finish() {
	[ -z "${LAB:-}" ] || lab_down
	[ -z "$bpf_stats" ] || echo "$bpf_stats" >/proc/sys/kernel/bpf_stats_enabled
	rm -f "$data"
}

progress() {
	echo "bench/handoff.sh: $(($(date +%s) - began)) s: $*" >&2
}

# Hundredths of a second that all processors were busy.
busy() {
	awk '$1 == "cpu" { print $2 + $3 + $4 + $7 + $8 }' /proc/stat
}

# Hundredths of a second of the front end's process.
process() {
	if lab_alive fe; then
		awk '{ print $14 + $15 }' "/proc/$(cat "$LAB/fe.pid")/stat"
	else
		echo 0
	fi
}

# Nanoseconds in the BPF programs whose names begin so.
programs() {
	bpftool prog show 2>/dev/null | awk -v n="$1" '
		/^[0-9]+:/ { on = 0; for (i = 1; i < NF; i++) if ($i == "name" && index($(i + 1), n) == 1) on = 1 }
		on { for (i = 1; i < NF; i++) if ($i == "run_time_ns") sum += $(i + 1) }
		END { printf "%.0f\n", sum + 0 }'
}

say() {
	echo "$way $1 $2" >>"$data"
}

write_haproxy() {
	cat >"$LAB/haproxy.cfg" <<-CONF
		global
			maxconn 2048
			nbthread 1
		defaults
			timeout connect 5s
			timeout client 30s
			timeout server 30s
			$2
		frontend in
			bind $VIP4:80
			default_backend all
		backend all
			server b1 192.0.2.3:80
	CONF
	hand_start fe front haproxy -db -f "$LAB/haproxy.cfg"
}

# The client's packets to the origin go through the front end's kernel; answers come straight.
routed() {
	lab_in front ip addr del "$VIP4/24" dev eth0
	lab_in front ip route add "$VIP4/32" via 192.0.2.3
	lab_sysctl front net.ipv4.conf.all.send_redirects=0
	lab_sysctl front net.ipv4.conf.eth0.send_redirects=0
	lab_sysctl front net.ipv4.ip_forward=1
	lab_in client ip route add "$VIP4/32" via 192.0.2.2
}

unrouted() {
	lab_in client ip route del "$VIP4/32"
	lab_sysctl front net.ipv4.ip_forward=0
	lab_in front ip route del "$VIP4/32"
	lab_in front ip addr add "$VIP4/24" dev eth0
}

# Puts a way in place; the address that clients ask is $target.
begin_way() {
	target=$VIP4
	case $way in
	direct) target=192.0.2.3 ;;
	routed) routed ;;
	http) write_haproxy "$way" 'mode http' ;;
	http-splice) write_haproxy "$way" 'mode http
			option splice-response' ;;
	tcp) write_haproxy "$way" 'mode tcp
			option splice-auto' ;;
	*)
		HAND_RUNG=$way
		HAND_BACKENDS=b1
		hand_back 1
		hand_front --route 'default b1'
		cp "$LAB/front.pid" "$LAB/fe.pid"
		;;
	esac
	hand_reach "$target" || { cat "$LAB/fe.out"; echo "bench/handoff.sh: $way does not answer"; exit 1; } >&2
}

end_way() {
	case $way in
	direct) ;;
	routed) unrouted ;;
	http | http-splice | tcp) lab_end fe ;;
	*)
		rm -f "$LAB/fe.pid"
		lab_end front
		lab_end back-b1
		;;
	esac
}

# load METRIC CONNECTIONS PATH [WRK-ARG ...]: what wrk got, and what it cost.
load() {
	metric=$1 conns=$2 path=$3
	shift 3
	b0=$(busy) p0=$(process) f0=$(programs front)
	lab_in client wrk -t1 -c"$conns" -d"${SECONDS_}s" --timeout 20s "$@" "http://$target$path" >"$LAB/wrk" 2>&1
	b1=$(busy) p1=$(process) f1=$(programs front)
	awk -v way="$way" -v m="$metric" -v b=$((b1 - b0)) -v p=$((p1 - p0)) -v f=$((f1 - f0)) -v ticks="$TICKS" '
		/requests in/ { n = $1; t = $4; sub(/s,$/, "", t); size = $5 }
		/Requests\/sec/ { rate = $2 }
		/Socket errors/ { gsub(",", ""); bad = $4 + $6 + $8 + $10 }
		/Non-2xx/ { bad += $NF }
		END {
			unit = substr(size, length(size) - 1)
			bytes = size * (unit == "GB" ? 2^30 : unit == "MB" ? 2^20 : unit == "KB" ? 2^10 : 1)
			if (!n) { print way, m "_bad", 1; exit }
			print way, m "_rate", rate
			print way, m "_gbit", bytes * 8 / t / 1e9
			print way, m "_busy_gb", b / ticks / (bytes / 1e9)
			print way, m "_own_gb", (p / ticks + f / 1e9) / (bytes / 1e9)
			print way, m "_busy_us", b / ticks / n * 1e6
			print way, m "_own_us", (p / ticks * 1e6 + f / 1e3) / n
			print way, m "_bad", bad + 0
		}' "$LAB/wrk" >>"$data"
}

first_byte() {
	lab_in client "$FETCH" "$target" 80 /1k $FETCHES 1 | sort -n -k 2 | awk '{ v[NR] = $2 } END { print v[int((NR + 1) / 2)], v[int(NR * 0.99)] }' >"$LAB/fetch"
	read -r p50 p99 <"$LAB/fetch"
	say first_p50 "$p50"
	say first_p99 "$p99"
}

files() {
	head -c 1024 /dev/urandom >"$LAB/www/1k"
	head -c 1048576 /dev/urandom >"$LAB/www/1m"
	head -c 104857600 /dev/urandom >"$LAB/www/100m"
}

run() {
	hand_up
	trap finish EXIT
	if [ "$1" = plain ]; then
		for n in client front b1 b2; do
			lab_in $n ethtool -K eth0 tso off gso off gro off tx off >/dev/null 2>&1
		done
	fi
	files
	hand_nginx 1
	for round in $(seq "$ROUNDS"); do
		for way in $WAYS; do
			progress "$1, round $round: $way"
			begin_way
			if [ "$1" = gso ]; then
				first_byte
				load keep 32 /1k
				load conn 32 /1k -H 'Connection: close'
				load m1 4 /1m
				load m100 1 /100m
			else
				load m1off 4 /1m
			fi
			end_way
		done
	done
	lab_down
	LAB=
	trap finish EXIT
	trap 'exit 130' HUP INT TERM
}

load_before=$(cut -d ' ' -f 1 /proc/loadavg)
[ -z "$bpf_stats" ] || echo 1 >/proc/sys/kernel/bpf_stats_enabled
trap finish EXIT
run gso
run plain
progress 'all rounds'

cat <<EOF2
# suture handoff beside HAProxy

Made by \`$COMMAND >bench/results/handoff.md\`; to be made again, never edited.

* Machine: $(nproc) x $(awk -F': ' '/model name/ { print $2; exit }' /proc/cpuinfo), Linux $(uname -r). HAProxy $(haproxy -v | awk '{ print $3; exit }'), nginx $(nginx -v 2>&1 | sed 's,.*/,,').
* Client, front end and back end are network namespaces of this machine on one bridge, so all of them share its processors; nginx, HAProxy and suture have one thread each.
* One nginx answers in all of them: a second one is a cost where all share the processors. direct: the client asks it. routed: the same, and the front end's kernel forwards what the client sends (no program, no look at it): what the way itself costs. http, http-splice (option splice-response), tcp (option splice-auto): HAProxy's modes. adopt, shift, splice: the rungs of suture handoff.
* They took turns, $ROUNDS times; a figure is the median of its turns. Each load lasts $SECONDS_ s (wrk, one thread). Before the run the machine had $load_before processes waiting.
* Processor time of the front end is said in two ways. "own": of its process (user and system), and of its BPF programs (the kernel's run_time_ns). "whole": all that the
  machine was busy with, soft interrupts included, less what "direct" took for the same work; the ends' own differences are in it too.
* Offloads are on, but where the table says that they are off.

EOF2
awk -v ways="$WAYS" -f "$top/bench/handoff.awk" "$data"
