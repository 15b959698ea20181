#!/bin/sh
# SPDX-License-Identifier: MIT
# stack.sh [SUTURE [BUILD]] - "suture serve" beside what else could be one end of a TCP connection here, in one run.
#
#     kernel's TCP (cubic) ---- TUN ---- suture serve | lwIP | null endpoint (does only TCP's form: the limit)
#     kernel's TCP (cubic) ---- veth --- kernel's TCP (cubic)
#
# One connection, bytes into the endpoint (push) and out of it (pull), with super-packets and without; connections a second;
# processor time for a gigabyte; and, through "suture wire" with 20 ms and loss, what is received of the endpoint and of the kernel.
# Rounds are interleaved: what counts is the ratio within the run.
# Prints Markdown:   bench/stack.sh >bench/results/stack.md   (root; about two minutes; progress on standard error)
# ROUNDS=N, TURN=SECONDS, LOSSY=SECONDS (0: no loss), ONLY="push pull rate loss" measure more, or less.
set -u
top=$(dirname "$0")/..
SUTURE=$(realpath "${1:-$top/build/src/cli/suture}")
BUILD=$(realpath "${2:-$top/build}")
ROUNDS=${ROUNDS:-3} TURN=${TURN:-1.5} LOSSY=${LOSSY:-10}
ONLY=${ONLY:-push pull rate loss}
LOAD=$BUILD/bench/stack_load NULLEND=$BUILD/bench/tun_null LWIP=$BUILD/bench/tun_lwip RATE=$BUILD/bench/conn_rate
TICKS=$(getconf CLK_TCK)

if [ "$(id -u)" != 0 ]; then
	echo "skip stack # needs root for network namespaces"
	exit 77
fi
for tool in "$SUTURE" "$LOAD" "$NULLEND" "$RATE"; do
	[ -x "$tool" ] || { echo "bench/stack.sh: $tool is not built: run make" >&2; exit 1; }
done
# shellcheck source=lab/lab.sh
. "$top/lab/lab.sh"
lab_up
mkdir -p "$LAB/www"
head -c 150 /dev/zero | tr '\0' x >"$LAB/www/index.html"
lab_more peer
FIGURES=$LAB/figures
: >"$FIGURES"

say() {
	echo "stack: $*" >&2
}

wants() {
	case " $ONLY " in
	*" $1 "*) return 0 ;;
	esac
	return 1
}

# The namespace "peer" has a TUN device with the endpoint behind it.
US=203.0.113.2 HOST=203.0.113.1
start_endpoint() {
	case $1 in
	suture) set -- ;;
	suture-plain) set -- --no-offload ;;
	lwip | null-plain) lab_in peer ip tuntap add dev t0 mode tun ;;
	null) lab_in peer ip tuntap add dev t0 mode tun vnet_hdr ;;
	esac
	case ${1:-} in
	lwip) set -- "$LWIP" t0 $US 255.255.255.0 $HOST ;;
	null) set -- "$NULLEND" t0 vnet ;;
	null-plain) set -- "$NULLEND" t0 plain ;;
	*) set -- "$SUTURE" serve --tun t0 --addr $US/24 --host-addr $HOST --port 9 discard --port 19 chargen \
		--port 80 http "$LAB/www" --max-conns 100000 "$@" ;;
	esac
	case $1 in
	"$SUTURE") ;;
	*)
		lab_in peer ip addr add $HOST/24 dev t0
		lab_in peer ip link set dev t0 up
		;;
	esac
	lab_start endpoint peer "$@"
	lab_await endpoint ready 10 || exit 1
}

stop_endpoint() {
	lab_end endpoint
	lab_in peer ip tuntap del dev t0 mode tun 2>/dev/null
}

# Clock ticks that process $1 has used, its threads' too.
ticks() {
	sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'
}

# measure WHAT WHERE HOST: "WHAT WHERE gbit cpu_s_per_GB"
measure() {
	case $1 in
	push) port=9 ;;
	pull) port=19 ;;
	esac
	pid=$(cat "$LAB/endpoint.pid")
	before=$(ticks "$pid")
	gbit=$(lab_in peer timeout 60 "$LOAD" "$1" "$3" "$port" "$TURN" 1 | awk '$1 == "gbit" { print $2 }')
	after=$(ticks "$pid")
	awk -v w="$1 $2" -v g="${gbit:-0}" -v t=$((after - before)) -v hz="$TICKS" -v s="$TURN" \
		'BEGIN { gb = g * s / 8; print w, g, (gb > 0 ? t / hz / gb : 0) }' >>"$FIGURES"
}

median() {
	awk -v a="$1" -v b="$2" -v f="$3" '$1 == a && $2 == b { print $f }' "$FIGURES" | sort -g |
	awk '{ v[NR] = $1 } END { print NR ? v[int((NR + 1) / 2)] : "-" }'
}

for r in $(seq "$ROUNDS"); do
	for e in suture null suture-plain null-plain lwip; do
		[ $e != lwip ] || [ -x "$LWIP" ] || continue
		say "round $r: $e"
		start_endpoint $e
		for w in push pull; do
			wants $w && measure $w $e $US
		done
		case $e in
		suture | lwip)
			if wants rate; then
				lab_in peer timeout 60 "$RATE" $US 80 / "$TURN" 16 |
					awk -v e=$e '$1 == "rate" { print "rate", e, $2, $4 }' >>"$FIGURES"
			fi
			;;
		esac
		stop_endpoint
	done
	say "round $r: kernel"
	if [ "$r" = 1 ]; then
		lab_more other
		lab_join peer v0 other v1
		lab_in peer ip addr add 198.51.100.1/24 dev v0
		lab_in other ip addr add 198.51.100.2/24 dev v1
		lab_in peer ip link set dev v0 up
		lab_in other ip link set dev v1 up
	fi
	lab_start endpoint other "$LOAD" serve
	lab_await endpoint ready 10 || exit 1
	for w in push pull; do
		wants $w && measure $w kernel 198.51.100.2
	done
	lab_end endpoint
done

# --- loss: client ---- box (bridge) ---- wire ---- server, the endpoint on a TUN of the server
if wants loss && [ "$LOSSY" != 0 ]; then
	lab_bridge box
	lab_sysctl server net.ipv4.ip_forward=1
	lab_in client ip route add 203.0.113.0/24 via "$SERVER4" dev eth0
	lab_start endpoint server "$SUTURE" serve --tun t0 --addr $US/24 --host-addr $HOST --port 19 chargen
	lab_await endpoint ready 10 || exit 1
	lab_start kernel server "$LOAD" serve
	lab_await kernel ready 10 || exit 1
	for loss in 1% 5%; do
		lab_wire --delay 10ms --loss-ba $loss --seed 1
		for r in $(seq "$ROUNDS"); do
			for where in suture:$US kernel:$SERVER4; do
				say "loss $loss, round $r: ${where%%:*}"
				lab_in client timeout 100 "$LOAD" pull "${where#*:}" 19 "$LOSSY" 1 |
					awk -v e="${where%%:*}" -v l=$loss '$1 == "gbit" { print "loss" l, e, $2 * 1000 }' >>"$FIGURES"
			done
		done
		lab_stop wire
	done
	lab_end endpoint
	lab_end kernel
fi

ratio() {
	awk -v a="$1" -v b="$2" 'BEGIN { print (a == "-" || b == "-" || b == 0) ? "-" : sprintf("%.2f", a / b) }'
}

cat <<END
# Endpoints of TCP

$(uname -r), $(nproc) processors; medians of $ROUNDS interleaved rounds of $TURN s; made by \`bench/stack.sh\`.
The other end is the kernel's TCP with cubic. The null endpoint does TCP's form and nothing else: no buffer, no copy, no congestion control.

| one connection | into it (push), Gbit/s | out of it (pull), Gbit/s | processor s/GB in | out |
|---|---|---|---|---|
END
for e in suture null kernel suture-plain null-plain lwip; do
	case $e in
	suture) name='suture serve, super-packets' ;;
	null) name='null endpoint, super-packets' ;;
	kernel) name='kernel to kernel, veth' ;;
	suture-plain) name='suture serve, 1500 bytes' ;;
	null-plain) name='null endpoint, 1500 bytes' ;;
	lwip) name='lwIP, 1500 bytes' ;;
	esac
	echo "| $name | $(median push $e 3) | $(median pull $e 3) | $(median push $e 4) | $(median pull $e 4) |"
done
cat <<END

| ratio | into it | out of it | goal |
|---|---|---|---|
| suture / kernel, super-packets | $(ratio "$(median push suture 3)" "$(median push kernel 3)") | $(ratio "$(median pull suture 3)" "$(median pull kernel 3)") | must be 1 |
| suture / null, super-packets | $(ratio "$(median push suture 3)" "$(median push null 3)") | $(ratio "$(median pull suture 3)" "$(median pull null 3)") | aim 0.5 |
| suture / lwIP, 1500 bytes | $(ratio "$(median push suture-plain 3)" "$(median push lwip 3)") | $(ratio "$(median pull suture-plain 3)" "$(median pull lwip 3)") | 3 in, 1.4 out |

Connections a second (connect, GET, answer, close; 16 at once): suture $(median rate suture 3) ($(median rate suture 4) failed), lwIP $(median rate lwip 3) ($(median rate lwip 4) failed).
END
if wants loss && [ "$LOSSY" != 0 ]; then
	cat <<END

| received over 20 ms with loss, Mbit/s | suture | kernel (cubic) | ratio, goal 1 |
|---|---|---|---|
| 1 % | $(median loss1% suture 3) | $(median loss1% kernel 3) | $(ratio "$(median loss1% suture 3)" "$(median loss1% kernel 3)") |
| 5 % | $(median loss5% suture 3) | $(median loss5% kernel 3) | $(ratio "$(median loss5% suture 3)" "$(median loss5% kernel 3)") |
END
fi
