#!/bin/sh
# SPDX-License-Identifier: MIT
# Paths that are not a short cable: 300 ms one way, 1400 bytes behind a router or at the server itself, answers that take another way,
# two boxes in a row.
# Core: 1400 bytes behind a router, merge strict.  ONE="far_away hold gso far" runs that one only.  All: every path, hold, merge x gso, strict.
# shellcheck source=tests/live/live.sh
. "$(dirname "$0")/live.sh"

# Behind routers the server has addresses of another network.
BEYOND4=198.51.100.2 BEYOND6=2001:db8:1::2

in_url() {
	case $1 in
	*:*) echo "[$1]" ;;
	*) echo "$1" ;;
	esac
}

servers_up() {
	big "$1"
	lab_nginx
	serve sink 9000
	serve echo 9001
}

# both ADDRESS MB: down, up, twice each.
both() {
	for both_i in 'first' 'again'; do
		check "$2 MB down, $1, $both_i" down "http://$(in_url "$1")" "$2"
		check "$2 MB up, $1, $both_i" up "$1" "$2"
	done
}

# --- 300 ms one way

# The client's first round trip was short, and its first data is not acknowledged for 600 ms: it times out, and must find out that it need not have.
# The congestion window is what it was before, from the first acknowledgement of data on.
no_collapse() {
	lab_start push client "$PEER" push "$1" 9000 1500000
	no_collapse_least=1000 no_collapse_n=0
	while lab_alive push; do
		no_collapse_w=$(lab_in client ss -tinH state established dst "$(in_url "$1")" dport = :9000 | tr ' ' '\n' | awk -F: '
			$1 == "cwnd" { w = $2 } $1 == "bytes_acked" { a = $2 } END { if (a > 1) print w }')
		[ -z "$no_collapse_w" ] || {
			no_collapse_n=$((no_collapse_n + 1))
			[ "$no_collapse_w" -ge $no_collapse_least ] || no_collapse_least=$no_collapse_w
		}
		sleep 0.1
	done
	lab_end push
	echo "least congestion window $no_collapse_least in $no_collapse_n looks; push ended with $(cat "$LAB/push.status")"
	cat "$LAB/push.out"
	[ "$(cat "$LAB/push.status")" = 0 ] && [ $no_collapse_n -gt 0 ] && [ $no_collapse_least -ge 10 ]
}

closed() {
	lab_in client timeout 30 "$PEER" refused "$1" 81 >"$LAB/how"
	cat "$LAB/how"
	grep -qE "^($2) " "$LAB/how"
}

fetch() {
	lab_in client curl -gsS -m 60 -o "$LAB/got" "http://$(in_url "$1")/" && cmp "$LAB/got" "$LAB/www/index.html"
}

# Nobody says anything by himself: the wire's first frame is the SYN.
quiet() {
	for n in client server; do
		lab_sysctl $n net.ipv6.conf.all.disable_ipv6=1
	done
	lab_in client ip neigh replace $SERVER4 lladdr "$(lab_in server cat /sys/class/net/eth0/address)" dev eth0 nud permanent
	lab_in server ip neigh replace $CLIENT4 lladdr "$(lab_in client cat /sys/class/net/eth0/address)" dev eth0 nud permanent
}

far_away() {
	live_up "$2"
	LIVE_WHERE="$1-$2-$3, 300 ms: "
	servers_up 5
	lab_unbridge wire
	accel "$1" "$3"
	lab_wire --delay 300ms
	lab_reach
	for a in $SERVER4 $SERVER6; do
		check "small page, $a" small "$(in_url $a)"
		check "5 MB down, $a" down "http://$(in_url $a)" 5
		check "the first upload, $a" up $a 1
		[ "$live_mode" = none ] || check "no collapse, $a" no_collapse $a
	done
	check 'keep-alive' keepalive
	check 'closed port, not known' closed $SERVER4 refused
	quiet
	for way in ab ba; do
		for n in 1 2 3 4 5; do
			lab_stop wire
			lab_wire --delay 300ms --drop-nth-$way $n
			check "page, frame $n lost, $way" fetch $SERVER4
		done
	done
	check 'kernels content' kernels_content
	check 'was at work, ends well' was_at_work
	accel "$1" "$3" --first-contact promise
	check 'closed port, promised' closed $SERVER4 'reset|refused'
	check 'closed port, the second time' closed $SERVER4 refused
	live_down
}

# --- 1400 bytes behind a router
#
#     client ---- box ---- wire ---- hop ---- server          wire to hop: 1400 bytes; both forward, and say by ICMP what is too big
#       192.0.2.0/24       203.0.113.0/24  198.51.100.0/24

routers_up() {
	lab_more hop
	lab_in wire ip link del dev br0
	lab_in wire ip link del dev wb
	lab_sysctl wire net.ipv6.conf.all.disable_ipv6=0
	lab_sysctl wire net.ipv6.conf.default.disable_ipv6=0
	for routers_n in wa lo; do
		lab_sysctl wire net.ipv6.conf.$routers_n.disable_ipv6=0
	done
	LAB_MTU=1400
	lab_join wire wb hop ha
	LAB_MTU=1500
	lab_join hop hb server eth0
	for routers_n in wire hop; do
		lab_sysctl $routers_n net.ipv4.ip_forward=1
		lab_sysctl $routers_n net.ipv6.conf.all.forwarding=1
		# All that is too big is told.
		lab_sysctl $routers_n net.ipv4.icmp_ratelimit=0
		lab_sysctl $routers_n net.ipv6.icmp.ratelimit=0
	done
	routers_address wire wa 192.0.2.3/24 2001:db8::3/64
	routers_address wire wb 203.0.113.1/24 2001:db8:2::1/64
	routers_address hop ha 203.0.113.2/24 2001:db8:2::2/64
	routers_address hop hb 198.51.100.1/24 2001:db8:1::1/64
	routers_address server eth0 $BEYOND4/24 $BEYOND6/64
	routers_route client 192.0.2.3 2001:db8::3
	routers_route server 198.51.100.1 2001:db8:1::1
	routers_route wire 203.0.113.2 2001:db8:2::2
	routers_route hop 203.0.113.1 2001:db8:2::1
	[ "$1" != strict ] || lab_in server ethtool -K eth0 tx off >/dev/null 2>&1
}

routers_address() {
	lab_in "$1" ip addr add "$3" dev "$2"
	lab_in "$1" ip -6 addr add "$4" dev "$2" nodad
	lab_in "$1" ip link set dev "$2" up
}

# Everything that is not near goes through that neighbour.
routers_route() {
	lab_in "$1" ip route add default via "$2"
	lab_in "$1" ip -6 route add default via "$3"
}

# Nobody remembers what the path can carry.
forget_path() {
	lab_in client ip route flush cache
	lab_in server ip route flush cache
	lab_in client ip -6 route flush cache
	lab_in server ip -6 route flush cache
}

# A request of one full packet, which in merge travels in the SYN and is too big for the path.
big_request() {
	forget_path
	big_request_pad=$(head -c 1290 /dev/zero | tr '\0' x)
	lab_in client curl -gsS -m 20 -H "Pad: $big_request_pad" -o "$LAB/got" "http://$(in_url "$1")/" && cmp "$LAB/got" "$LAB/www/index.html"
}

# up_told ADDRESS MB: up, and afterwards the client knows what the path carries.
up_told() {
	up "$1" "$2" || return 1
	lab_in client ip route get "$1" | grep -q 'mtu 1400' || { echo 'the client was not told'; return 1; }
}

behind_router() {
	live_up "$2"
	LIVE_WHERE="$1-$2-$3, 1400 bytes behind a router: "
	routers_up "$2"
	servers_up 10
	accel "$1" "$3"
	lab_reach $BEYOND4
	for a in $BEYOND4 $BEYOND6; do
		check "10 MB up, nobody knows the path, $a" up_told $a 10
		forget_path
		check "10 MB up, promised, nobody knows the path, $a" up_told $a 10
		both $a 10
		check "big request, $a" big_request $a
		check "big request again, $a" big_request $a
	done
	check 'kernels content' kernels_content
	check 'was at work, ends well' was_at_work
	live_down
}

# --- 1400 bytes at the server

at_server() {
	live_up "$2"
	LIVE_WHERE="$1-$2-$3, server of 1400 bytes: "
	servers_up 10
	accel "$1" "$3"
	lab_reach
	check 'learnt when it had 1500 bytes' small
	check 'learnt when it had 1500 bytes' up $SERVER4 1
	check 'learnt when it had 1500 bytes' small "[$SERVER6]"
	check 'learnt when it had 1500 bytes' up $SERVER6 1
	# What was promised is more than what is real now.
	lab_in wire ip link set dev wb mtu 1400
	lab_in server ip link set dev eth0 mtu 1400
	for a in $SERVER4 $SERVER6; do
		both $a 10
	done
	accel "$1" "$3" --first-contact promise
	for a in $SERVER4 $SERVER6; do
		check "promised unseen: 10 MB down, $a" down "http://$(in_url $a)" 10
		check "promised unseen: 10 MB up, $a" up $a 10
	done
	check 'kernels content' kernels_content
	check 'was at work, ends well' was_at_work
	live_down
}

# --- the server's answers do not pass the box
#
# The client and the server have a second cable, and the server answers through that one.

cable_up() {
	lab_join client eth1 server eth1
	for cable_n in client server; do
		lab_sysctl $cable_n net.ipv4.conf.all.rp_filter=0
		lab_sysctl $cable_n net.ipv4.conf.eth0.rp_filter=0
		lab_sysctl $cable_n net.ipv4.conf.eth1.rp_filter=0
		lab_in $cable_n ip link set dev eth1 up
	done
	cable_mac=$(lab_in client cat /sys/class/net/eth1/address)
	lab_in server ip neigh replace $CLIENT4 lladdr "$cable_mac" dev eth1 nud permanent
	lab_in server ip -6 neigh replace $CLIENT6 lladdr "$cable_mac" dev eth1 nud permanent
	lab_in server ip route replace $CLIENT4/32 dev eth1
	lab_in server ip -6 route replace $CLIENT6/128 dev eth1
}

# Promised although the answer cannot be seen: the client gets a reset or an end, and does not hang; the next connection is left alone.
blind_promise() {
	blind_began=$(date +%s)
	lab_in client curl -gsS -m 20 -o "$LAB/got" "http://$(in_url "$1")/" 2>"$LAB/blind" && { echo 'it worked'; return 1; }
	cat "$LAB/blind"
	[ $(($(date +%s) - blind_began)) -lt 15 ] || { echo 'it hung'; return 1; }
	fetch "$1"
}

nothing_promised() {
	[ -z "$BASELINE" ] || return 0
	lab_stop box
	[ -z "$(counter promised)" ]
}

asymmetric() {
	live_up "$2"
	LIVE_WHERE="$1-$2-$3, answers take another way: "
	servers_up 5
	cable_up
	accel "$1" "$3"
	check 'no answer passes the box' lab_reach
	for a in $SERVER4 $SERVER6; do
		check "small page, $a" small "$(in_url $a)"
		both $a 5
	done
	check 'nothing was promised' nothing_promised
	accel "$1" "$3" --first-contact promise --syn-timeout 2s
	for a in $SERVER4 $SERVER6; do
		check "promised unseen: fails soon, once, $a" blind_promise $a
	done
	check 'kernels content' kernels_content
	live_down
}

# --- two boxes in a row

second_up() {
	lab_more second
	lab_in box ip link del dev $BOX_S
	lab_join box $BOX_S second cl
	lab_join second sv wire wa
	lab_in box ip link set dev $BOX_S up
	lab_in wire ip link set dev wa up
	lab_in wire ip link set dev wa master br0
	for second_n in cl sv; do
		lab_sysctl second net.ipv6.conf.$second_n.disable_ipv6=1
		lab_in second ip link set dev $second_n up
	done
	[ "$1" != strict ] || for second_n in cl sv; do
		lab_in second ethtool -K $second_n tx off >/dev/null 2>&1
		lab_in box ethtool -K $BOX_S tx off >/dev/null 2>&1
	done
	lab_start second second "$SUTURE" accel near --client if:cl --server if:sv --mode "$2" --ports $PORTS --idempotent $PORTS --stats \
		--debug-isn-near-wrap
	lab_await second ready 10 || exit 1
}

# Its SYNs come with data where the first box merges: those it leaves alone.
second_at_work() {
	lab_end second
	second_n=$(awk '$1 == "promised" { print $2; exit }' "$LAB/second.out")
	[ "$(cat "$LAB/second.status")" = 0 ] && { [ "$1" = merge ] || [ "${second_n:-0}" -gt 0 ]; } || { cat "$LAB/second.out"; return 1; }
}

two_boxes() {
	[ -z "$BASELINE" ] || return 0
	live_up "$2"
	LIVE_WHERE="$1-$2-$3, two boxes: "
	second_up "$2" "$1"
	servers_up 10
	live_iperf
	accel "$1" "$3"
	lab_reach
	for a in $SERVER4 $SERVER6; do
		check "small page, $a" small "$(in_url $a)"
		both $a 10
		check "chat, $a" chat $a 9001
		check "chat again, $a" chat $a 9001
		check "eight flows, $a" eight $a
	done
	check 'closed port' closed $SERVER4 'refused'
	check 'same port 50 times' reuse $SERVER4 50
	check 'kernels content' kernels_content
	check 'the second was at work' second_at_work "$1"
	check 'was at work, ends well' was_at_work
	live_down
}

if [ -n "${ONE:-}" ]; then
	$ONE
elif [ "$LIVE" = all ]; then
	for m in hold merge; do
		far_away $m gso far
		far_away $m strict wrap
		for p in behind_router at_server asymmetric two_boxes; do
			$p $m gso far
			$p $m strict wrap
		done
	done
else
	behind_router merge strict wrap
fi
