#!/bin/sh
# SPDX-License-Identifier: MIT
# The table of traps in doc/design/accel.md, as far as a kernel can play them: row by row, over IPv4 and IPv6.
# What options.sh, refused.sh and drops.sh show over IPv4 alone is shown over both here.  ONE="row ecn merge gso far" runs that one only.
# Core: two rows, merge strict.  All: each row x hold, merge x gso, strict.
# shellcheck source=tests/live/live.sh
. "$(dirname "$0")/live.sh"

# What servers and clients can be, and how they can change after they were learnt.
SETTINGS='scale-0 scale-7 scale-14 no-scaling small-MSS no-SACK no-timestamps ecn client-tfo mptcp md5 client-without
	then-scale-0 then-no-scaling then-no-SACK then-no-timestamps then-small-MSS'
# What can happen.
EVENTS='closed unreachable silent speaks-first twice far-drops near-drops near-twice fin-in-hold rst-in-hold reused forgotten idle before full'
QUICK='then-no-timestamps forgotten'

in_url() {
	case $1 in
	*:*) echo "[$1]" ;;
	*) echo "$1" ;;
	esac
}

# setting NAME: of the server's or the client's kernel, from now on.
setting() {
	case $1 in
	scale-*) lab_server_scale "${1#scale-}" ;;
	no-scaling) lab_sysctl server net.ipv4.tcp_window_scaling=0 ;;
	small-MSS) lab_routes server advmss 1220 ;;
	no-SACK) lab_sysctl server net.ipv4.tcp_sack=0 ;;
	no-timestamps) lab_sysctl server net.ipv4.tcp_timestamps=0 ;;
	ecn)
		lab_sysctl client net.ipv4.tcp_ecn=1
		lab_sysctl server net.ipv4.tcp_ecn=1 ;;
	client-tfo) lab_sysctl client net.ipv4.tcp_fastopen=5 ;;
	client-without)
		lab_sysctl client net.ipv4.tcp_timestamps=0
		lab_sysctl client net.ipv4.tcp_sack=0
		lab_sysctl client net.ipv4.tcp_window_scaling=0 ;;
	esac
}

pushes() {
	for _ in 1 2; do
		lab_in client timeout 60 "$PEER" $client_how push "$1" 9000 2000000 || return 1
	done
}

chats() {
	for _ in 1 2; do
		lab_in client timeout 60 "$PEER" $client_how chat "$1" 9001 60 || return 1
	done
}

pages() {
	small "$(in_url "$1")" && down "http://$(in_url "$1")" 3 && down "http://$(in_url "$1")" 3
}

# page ADDRESS: one page on a connection of its own.
page() {
	lab_in client curl -gsS -m 30 -o "$LAB/got" "http://$(in_url "$1")/" && cmp "$LAB/got" "$LAB/www/index.html"
}

# Something that a promise assumed is gone: at most one connection fails, and none hangs.
changed() {
	page "$1" || page "$1" || return 1
	lab_in client timeout 30 "$PEER" chat "$1" 9001 5 || lab_in client timeout 30 "$PEER" chat "$1" 9001 5 || return 1
	lab_in client timeout 60 "$PEER" push "$1" 9000 100 || lab_in client timeout 60 "$PEER" push "$1" 9000 100
}

workloads() {
	check "pages, $1" pages "$1"
	check "pushes, $1" pushes "$1"
	check "chats, $1" chats "$1"
}

# After the traffic: did what the row is about take place?
proven() {
	case $1 in
	client-tfo) [ "$(kernel client TCPFastOpenActive)" -gt 0 ] || { echo 'the client sent no data in SYNs itself'; return 1; } ;;
	mptcp) [ "$(kernel server MPCapableSYNRX)" -gt 0 ] || { echo 'no connection asked for MPTCP'; return 1; } ;;
	esac
	case $1 in
	ecn)
		# The first connection to a server is not promised, and has ECN; promised ones ask for none.
		lab_end syns
		ecn_with=$(tcpdump -nr "$LAB/syns.pcap" 'tcp[13] & 0xd2 = 0xc2 or (ip6 and ip6[53] & 0xd2 = 0xc2)' 2>/dev/null | wc -l)
		ecn_none=$(tcpdump -nr "$LAB/syns.pcap" 'tcp[13] & 0xd2 = 0x02 or (ip6 and ip6[53] & 0xd2 = 0x02)' 2>/dev/null | wc -l)
		echo "SYNs with ECN $ecn_with, without $ecn_none"
		[ "$live_mode" = none ] || { [ "$ecn_with" -gt 0 ] && [ "$ecn_none" -gt 0 ]; } ;;
	esac
}

row_settings() {
	server_how='' client_how='' was=$1
	case $1 in
	mptcp)
		lab_sysctl client net.mptcp.enabled=1
		"$PEER" --mptcp refused 127.0.0.1 1 2>&1 | grep -q refused || { echo "skip ${LIVE_WHERE}the kernel has no MPTCP"; return; }
		server_how=--mptcp client_how=--mptcp ;;
	client-tfo) client_how=--fastopen ;;
	then-*) was=none ;;
	esac
	setting "$was"
	lab_nginx
	lab_start sink9000 server "$PEER" $server_how sink 9000
	lab_start echo9001 server "$PEER" $server_how echo 9001
	lab_await sink9000 ready 5
	lab_await echo9001 ready 5
	[ "$1" != ecn ] || lab_capture syns server eth0
	accel "$2" "$3"
	for a in $SERVER4 $SERVER6; do
		lab_reach "$a"
		workloads "$a"
	done
	case $1 in
	then-*)
		setting "${1#then-}"
		for a in $SERVER4 $SERVER6; do
			check "at most one connection fails, $a" changed "$a"
			workloads "$a"
		done ;;
	esac
	check 'it was so' proven "$1"
}

# Signed segments (RFC 2385) are left alone, both ends know the key.
row_md5() {
	lab_start md5four server "$PEER" --md5=$CLIENT4 echo 9021
	lab_start md5six server "$PEER" --md5=$CLIENT6 echo 9022
	if ! lab_await md5four ready 2 2>/dev/null; then
		echo "skip ${LIVE_WHERE}the kernel has no TCP-MD5"
		return
	fi
	lab_await md5six ready 2
	accel "$1" "$2" --first-contact promise
	lab_reach
	check 'chat, IPv4' lab_in client timeout 30 "$PEER" --md5=$SERVER4 chat $SERVER4 9021 50
	check 'chat, IPv6' lab_in client timeout 30 "$PEER" --md5=$SERVER6 chat $SERVER6 9022 50
	# lab_reach was promised; these two were not.
	check 'left alone' left_alone syn-auth
}

left_alone() {
	[ "$live_mode" != none ] || return 0
	live_mode=none
	lab_stop box
	grep -E "passed +$1 +[1-9]" "$LAB/box.out"
}

# how ADDRESS PORT PATTERN: how a connection ends.
how() {
	lab_in client timeout 40 "$PEER" refused "$1" "$2" >"$LAB/how"
	cat "$LAB/how"
	grep -qE "^($3) " "$LAB/how"
}

# The server was there, and promised, and is gone: a reset once, then its own refusal.
row_closed() {
	serve echo 9001
	accel "$@"
	lab_reach
	for a in $SERVER4 $SERVER6; do
		check "known, $a" lab_in client timeout 30 "$PEER" chat "$a" 9001 3
	done
	lab_end echo9001
	for a in $SERVER4 $SERVER6; do
		check "gone: a reset, $a" how "$a" 9001 reset
		check "gone: its own refusal, $a" how "$a" 9001 refused
	done
	serve echo 9001
	for a in $SERVER4 $SERVER6; do
		check "there again, $a" lab_in client timeout 30 "$PEER" chat "$a" 9001 3
	done
}

# Addresses behind the server, which forwards: to nowhere (it says so by ICMP), or silently.
beyond() {
	beyond_mac=$(lab_in server cat /sys/class/net/eth0/address)
	lab_sysctl server net.ipv4.ip_forward=1
	lab_sysctl server net.ipv6.conf.all.forwarding=1
	lab_in client ip neigh replace 192.0.2.77 lladdr "$beyond_mac" dev eth0 nud permanent
	lab_in client ip -6 neigh replace 2001:db8::77 lladdr "$beyond_mac" dev eth0 nud permanent
	lab_in server ip route add "$1" 192.0.2.77
	lab_in server ip -6 route add "$1" 2001:db8::77
	# Under its own lock of sending redirects, a kernel would tell of better routes.
	lab_sysctl server net.ipv4.conf.all.send_redirects=0
	lab_sysctl server net.ipv4.conf.eth0.send_redirects=0
}

row_unreachable() {
	beyond unreachable
	accel "$@" --first-contact promise
	lab_reach
	for a in 192.0.2.77 2001:db8::77; do
		check "promised: a reset, $a" how $a 80 reset
		check "then what the network says, $a" how $a 80 'No route to host|Network is unreachable|Permission denied'
	done
}

row_silent() {
	beyond blackhole
	accel "$@" --first-contact promise --syn-timeout 2s
	lab_reach
	for a in 192.0.2.77 2001:db8::77; do
		check "promised: a reset, $a" how $a 80 reset
	done
}

row_speaks_first() {
	serve greet 9002
	accel "$@"
	lab_reach
	for a in $SERVER4 $SERVER6; do
		for i in 1 2 3; do
			check "use $i, $a" lab_in client timeout 30 "$PEER" greeted "$a" 9002 20
		done
	done
}

# Each frame comes twice on the wire: SYNs with data too.
row_twice() {
	lab_unbridge wire
	lab_nginx
	serve sink 9000
	serve echo 9001
	client_how=
	accel "$@"
	lab_wire --delay 2ms --dup 100%
	for a in $SERVER4 $SERVER6; do
		lab_reach "$a"
		workloads "$a"
	done
}

# Nobody says anything by himself: the wire's first frame is the SYN.
quiet() {
	for n in client server; do
		lab_sysctl $n net.ipv6.conf.all.router_solicitations=0
		lab_sysctl $n net.ipv6.conf.eth0.router_solicitations=0
	done
	quiet_c=$(lab_in client cat /sys/class/net/eth0/address) quiet_s=$(lab_in server cat /sys/class/net/eth0/address)
	lab_in client ip neigh replace $SERVER4 lladdr "$quiet_s" dev eth0 nud permanent
	lab_in server ip neigh replace $CLIENT4 lladdr "$quiet_c" dev eth0 nud permanent
	lab_in client ip -6 neigh replace $SERVER6 lladdr "$quiet_s" dev eth0 nud permanent
	lab_in server ip -6 neigh replace $CLIENT6 lladdr "$quiet_c" dev eth0 nud permanent
}

# Frame n is lost between box and server: SYN, SYN-ACK, early data.  (drops.sh has the whole of it for IPv4.)
row_far_drops() {
	quiet
	lab_nginx
	serve sink 9000
	accel "$@"
	lab_reach $SERVER6
	check 'known' page $SERVER6
	check 'known' lab_in client timeout 30 "$PEER" push $SERVER6 9000 30000
	lab_unbridge wire
	for way in ab ba; do
		for n in 1 2 3 4 5; do
			lab_wire --delay 5ms --drop-nth-$way $n
			check "page, frame $n lost, $way, IPv6" page $SERVER6
			lab_stop wire
			lab_wire --delay 5ms --drop-nth-$way $n
			check "push, frame $n lost, $way, IPv6" lab_in client timeout 30 "$PEER" push $SERVER6 9000 30000
			lab_stop wire
		done
	done
}

# near MODE ISN ARG ...: the box stands where the wire was, and the wire between it and the client.
near() {
	near_mode=$1 near_isn=$2
	shift 2
	live_mode=$near_mode
	[ "$near_isn" != wrap ] || set -- "$@" --debug-isn-near-wrap
	lab_unbridge wire
	if [ -n "$BASELINE" ]; then
		live_mode=none
		lab_bridge wire
	else
		lab_start box wire "$SUTURE" accel near --client if:wa --server if:wb --mode "$near_mode" --ports $PORTS --idempotent $PORTS \
			--stats "$@"
		lab_await box ready 10 || exit 1
	fi
	near_wire
}

near_wire() {
	lab_end near
	lab_start near box "$SUTURE" wire if:$BOX_C if:$BOX_S --delay 3ms "$@"
	lab_await near ready 10 || exit 1
}

# Frame n is lost between client and box: its SYN, the promise, the ACK, the request.
row_near_drops() {
	quiet
	lab_nginx
	serve sink 9000
	near "$@"
	for a in $SERVER4 $SERVER6; do
		lab_reach "$a"
		check "known, $a" page "$a"
		check "known, $a" lab_in client timeout 30 "$PEER" push "$a" 9000 30000
		for way in ab ba; do
			for n in 1 2 3 4; do
				near_wire --drop-nth-$way $n
				check "page, frame $n lost, $way, $a" page "$a"
				near_wire --drop-nth-$way $n
				check "push, frame $n lost, $way, $a" lab_in client timeout 30 "$PEER" push "$a" 9000 30000
			done
		done
	done
}

# The client's frames all come twice to the box, and the box's to the client.
row_near_twice() {
	lab_nginx
	serve sink 9000
	serve echo 9001
	client_how=
	near "$@"
	near_wire --dup 100%
	for a in $SERVER4 $SERVER6; do
		lab_reach "$a"
		workloads "$a"
	done
}

# The server is 100 ms away, and the client has said all that it has to say before the server has answered the SYN.
row_fin_in_hold() {
	lab_unbridge wire
	serve sink 9000
	accel "$@"
	lab_wire --delay 50ms
	for a in $SERVER4 $SERVER6; do
		lab_reach "$a"
		for bytes in 0 1 500 6000 20000; do
			for i in 1 2; do
				check "$bytes bytes and FIN, use $i, $a" lab_in client timeout 30 "$PEER" push "$a" 9000 $bytes
			done
		done
	done
}

# Nothing is left of a connection that was reset in the hold, at either end.
aborted() {
	for _ in 1 2 3; do
		lab_in client timeout 30 "$PEER" abort "$1" 9001 "$2" || return 1
	done
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
		sleep 0.2
		aborted_left=$(lab_in server ss -Htn sport = :9001; lab_in client ss -Htn dport = :9001)
		[ -n "$aborted_left" ] || return 0
	done
	echo "left: $aborted_left"
	return 1
}

row_rst_in_hold() {
	lab_unbridge wire
	serve echo 9001
	accel "$@"
	lab_wire --delay 50ms
	for a in $SERVER4 $SERVER6; do
		lab_reach "$a"
		check "known, $a" lab_in client timeout 30 "$PEER" chat "$a" 9001 2
		for bytes in 0 500 6000; do
			check "$bytes bytes and RST, $a" aborted "$a" $bytes
		done
		check "afterwards, $a" lab_in client timeout 30 "$PEER" chat "$a" 9001 3
	done
}

row_reused() {
	lab_nginx
	accel "$@"
	for a in $SERVER4 $SERVER6; do
		lab_reach "$a"
		check "same port 100 times, $a" reuse "$a" 100
	done
}

# stays NAME ADDRESS PORT: a connection from port 20100 that waits for what comes.
stays() {
	lab_start "$1" client "$PEER" stay "$2" 9001 0 20100
	lab_await "$1" stays 10
}

# The client's end is gone and the server knows nothing of it: the same ports again are answered by an ACK of the old connection.
forgotten() {
	lab_bridge wire 2>/dev/null
	stays old "$1" || return 1
	lab_unbridge wire
	lab_end old
	lab_bridge wire
	lab_in server ss -Htn state established sport = :9001 | grep -q 20100 || { echo 'the server has forgotten it'; return 1; }
	lab_in client timeout 30 "$PEER" chat "$1" 9001 20 20100
}

row_forgotten() {
	serve echo 9001
	accel "$@"
	lab_reach
	for a in $SERVER4 $SERVER6; do
		check "known, $a" lab_in client timeout 30 "$PEER" chat "$a" 9001 2
		check "first, $a" forgotten "$a"
		check "again, $a" forgotten "$a"
	done
}

# A connection without a packet: both ends get a reset.
idle() {
	stays idle "$1" || return 1
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		sleep 0.25
		lab_alive idle || break
	done
	cat "$LAB/idle.out"
	grep -q reset "$LAB/idle.out" || { lab_end idle; return 1; }
	[ -z "$(lab_in server ss -Htn state established sport = :9001)" ] || { echo 'the server still has it'; return 1; }
}

row_idle() {
	[ -z "$BASELINE" ] || return 0
	serve echo 9001
	accel "$@" --idle-time 1s
	lab_reach
	for a in $SERVER4 $SERVER6; do
		check "known, $a" lab_in client timeout 30 "$PEER" chat "$a" 9001 2
		check "both ends are reset, $a" idle "$a"
		check "afterwards, $a" lab_in client timeout 30 "$PEER" chat "$a" 9001 3
	done
}

# Connections that are older than the box go on through it.
before() {
	lab_bridge box
	for before_i in 1 2; do
		lab_start "before$before_i" client "$PEER" chat "$([ $before_i = 1 ] && echo $SERVER4 || echo $SERVER6)" 9001 4000
	done
	sleep 0.2
	lab_unbridge box
	accel "$@"
	for before_i in 1 2; do
		before_pid=$(cat "$LAB/before$before_i.pid")
		rm -f "$LAB/before$before_i.pid"
		wait "$before_pid" || { cat "$LAB/before$before_i.out"; return 1; }
	done
}

row_before() {
	[ -z "$BASELINE" ] || return 0
	serve echo 9001
	live_mode=none
	check 'two chats go on' before "$@"
	check 'afterwards' lab_in client timeout 30 "$PEER" chat $SERVER4 9001 3
}

# More connections than the table has room for.
row_full() {
	serve echo 9001
	accel "$@" --max-flows 16 --first-contact promise
	for a in $SERVER4 $SERVER6; do
		lab_reach "$a"
		for i in 1 2 3; do
			check "a hundred at once, use $i, $a" lab_in client timeout 30 "$PEER" crowd "$a" 9001 100
		done
	done
}

# Where all comes twice, blocks that say so are discarded with a bridge of the kernel too.
sums_right() {
	[ "$(kernel client InCsumErrors)$(kernel server InCsumErrors)" = 00 ]
}

# row NAME MODE OFFLOAD ISN
row() {
	live_up "$3"
	LIVE_WHERE="$2-$3-$4, $1: "
	big 3
	case " $SETTINGS " in
	*[!a-zA-Z0-9-]"$1"[!a-zA-Z0-9-]*)
		if [ "$1" = md5 ]; then
			row_md5 "$2" "$4"
		else
			row_settings "$1" "$2" "$4"
		fi ;;
	*) "row_$(echo "$1" | tr - _)" "$2" "$4" ;;
	esac
	case $1 in
	*twice) check 'no wrong checksum' sums_right ;;
	*) check 'kernels content' kernels_content ;;
	esac
	live_mode=none
	lab_stop box
	check 'ends well' ended_well
	live_down
}

ended_well() {
	[ -n "$BASELINE" ] || [ "$(cat "$LAB/box.status")" = 0 ] || { echo "exit status $(cat "$LAB/box.status")"; return 1; }
	[ -n "$BASELINE" ] || ! grep -E 'ERROR: (Address|Leak|Undefined)Sanitizer|runtime error' "$LAB/box.out"
}

if [ -n "${ONE:-}" ]; then
	$ONE
elif [ "$LIVE" = all ]; then
	for m in hold merge; do
		for o in gso-far strict-wrap; do
			for r in $SETTINGS $EVENTS; do
				row "$r" $m ${o%-*} ${o#*-}
			done
		done
	done
else
	for r in $QUICK; do
		row "$r" merge strict wrap
	done
fi
