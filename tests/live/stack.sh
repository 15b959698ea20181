#!/bin/sh
# SPDX-License-Identifier: MIT
# Our own TCP and this kernel's, each as client and as server, IPv4 and IPv6: options switched off one by one on either side, a wire that
# loses, doubles and reorders, peers that vanish, ports used again at once, paths that are narrower than they say; and what tshark says of it.
#
#     client ---- box (bridge) ---- wire ---- server ---- TUN: our TCP, 203.0.113.2 and 2001:db8:1::2
# shellcheck source=lab/lab.sh
. "$(dirname "$0")/../../lab/lab.sh"

PEER=${PEER:-build/tests/live/peer}
LIVE=${LIVE:-core}
END=${END:-$(dirname "$PEER")/stack_end}
RATE=${RATE:-$(dirname "$PEER")/../../bench/conn_rate}
OURS4=203.0.113.2 OURS6=2001:db8:1::2
HOST4=203.0.113.1 HOST6=2001:db8:1::1
FAILED=0 WHERE=''
if [ "$LIVE" = all ]; then BIG=104857600 mid=104857600; else BIG=20971520 mid=2000000; fi
SMALL=2000000

# check NAME CMD ...: runs it; says how it went.
check() {
	name=$1
	shift
	if "$@" >"$LAB/check.out" 2>&1; then
		echo "ok $WHERE$name"
		return 0
	fi
	echo "not ok $WHERE$name"
	tail -n 20 "$LAB/check.out"
	[ ! -s "$LAB/end.out" ] || tail -n 20 "$LAB/end.out"
	FAILED=1
}

up() {
	lab_up
	lab_bridge box
	lab_in server sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	lab_in client ip route add 203.0.113.0/24 via "$SERVER4" dev eth0
	lab_in client ip -6 route add 2001:db8:1::/64 via "$SERVER6" dev eth0
	lab_in server ip tuntap add dev sut0 mode tun vnet_hdr
	for n in client server; do
		lab_sysctl $n net.ipv4.tcp_fastopen=0x3
		for v in sink:9000 echo:9001 early:9002; do
			lab_start "$n-${v%:*}" $n "$PEER" "${v%:*}" "${v#*:}"
			lab_await "$n-${v%:*}" ready 5 || exit 1
		done
	done
}

# end WORD ... VERB ...: our end, on the server's TUN; the kernel's is the server itself, or the client beyond the wire.
end() {
	lab_in server timeout 150 "$END" --addr=$OURS4/24 --addr=$OURS6/64 --host=$HOST4/24 --host=$HOST6/64 "$@"
}

# serve WORD ...: one that a case has left behind when it failed goes first.
serve() {
	lab_end end
	lab_start end server "$END" --addr=$OURS4/24 --addr=$OURS6/64 --host=$HOST4/24 --host=$HOST6/64 "$@" sut0 serve
	lab_await end ready 10 || { FAILED=1; return 1; }
}

# What ended must have been sound, and must not have crashed.
served() {
	lab_end end
	[ "$(cat "$LAB/end.status")" = 0 ]
}

wire() {
	lab_stop wire
	lab_wire "$@"
	reach
}

# Until a packet comes back through the wire: neighbours are known then.
reach() {
	for reach_a in "$SERVER4" "$SERVER6"; do
		tries=50
		until lab_in client ping -n -c 1 -W 1 "$reach_a" >/dev/null 2>&1; do
			tries=$((tries - 1))
			[ $tries -gt 0 ] || lab_fail "the server cannot be reached"
		done
	done
}

# --- options: ours are taken away by words, the kernel's by sysctl; what was agreed on is looked at

# without WHAT CMD ...: our end has said what was agreed on, and WHAT is not in it; "-" for nothing: all four are.
without() {
	what=$1
	shift
	"$@" >"$LAB/agreed" || { cat "$LAB/agreed"; return 1; }
	cat "$LAB/agreed"
	for w in timestamps sack wscale ecn; do
		if [ "$w" = "$what" ]; then ! grep "^agreed:.* $w" "$LAB/agreed" || return 1; else
			grep -q "^agreed:.* $w" "$LAB/agreed" || { echo "no $w"; return 1; }
		fi
	done
}

as_client() {
	check "$1 B both ways" without "$2" end $3 sut0 both "$4" 9001 "$1"
	check 'chat' end $3 sut0 chat "$4" 9001 60
}

as_server() {
	check "$1 B pushed" lab_in server timeout 60 "$PEER" push "$2" 9000 "$1"
	check 'lines' lab_in server timeout 60 "$PEER" chat "$2" 9001 60
	check 'a crowd' lab_in server timeout 60 "$PEER" crowd "$2" 9001 50
	check 'the kernel ends last' early "$2"
}

# Our end comes first, then 1 MB; both ends have counted the same.
early() {
	lab_in server timeout 60 "$PEER" upload "$1" 9002 1000000 >"$LAB/early" || return 1
	tries=100
	until grep -qxF "$(cat "$LAB/early")" "$LAB/end.out"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || { cat "$LAB/early"; return 1; }
		sleep 0.02
	done
}

ours_off() {
	i=0
	for o in timestamps: sack: wscale: ecn: -:--no-fastopen -:--no-offload -:--no-tso -:--newreno -:--buffer=8192; do
		i=$((i + 1))
		what=${o%:*} words=${o#*:}
		WHERE="stack, ${words:-no $what}: "
		as_client $SMALL "$what" "${words:---no-$what}" "$([ $((i % 2)) = 0 ] && echo $HOST4 || echo $HOST6)"
		[ "$LIVE" = all ] || continue
		# shellcheck disable=SC2086
		serve ${words:---no-$what} || continue
		as_server $SMALL $OURS4
		as_server $SMALL $OURS6
		check 'ends well' served
	done
}

kernel_off() {
	i=0
	for o in timestamps=0 sack=0 window_scaling=0 ecn=0 ecn=1 fastopen=0; do
		i=$((i + 1))
		WHERE="stack, the kernel's tcp_$o: "
		old=$(lab_in server sysctl -n net.ipv4.tcp_${o%=*})
		lab_sysctl server net.ipv4.tcp_$o
		case $o in
		window_scaling=0) what=wscale ;;
		ecn=1 | fastopen=0) what=- ;;
		*) what=${o%=0} ;;
		esac
		as_client $SMALL $what '' "$([ $((i % 2)) = 0 ] && echo $HOST4 || echo $HOST6)"
		if [ "$LIVE" != all ] && [ $((i % 2)) = 0 ]; then
			lab_sysctl server net.ipv4.tcp_${o%=*}="$old"
			continue
		fi
		serve || continue
		as_server $SMALL "$([ $((i % 2)) = 1 ] && echo $OURS4 || echo $OURS6)"
		check 'ends well' served
		lab_sysctl server net.ipv4.tcp_${o%=*}="$old"
	done
}

# --- roles

# 1000 bytes each from the same port of ours: the kernel's TIME-WAIT gives way.
reused() {
	end sut0 again "$1" 9002 50 30000 | grep '^50 well, 0 failed'
}

ends_reset() {
	lab_in server timeout 20 "$PEER" abort "$1" 9001 300000
	tries=100
	until grep -q 'ends: reset' "$LAB/end.out"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		sleep 0.02
	done
}

# nc closes its direction first, and gets all of the answer; then one where our end closes first.
half_closes() {
	head -c 3000000 /dev/urandom >"$LAB/rnd"
	lab_in server timeout 30 nc -N $OURS4 9001 <"$LAB/rnd" | cmp - "$LAB/rnd" || return 1
	lab_in server timeout 30 nc -N $OURS6 9001 <"$LAB/rnd" | cmp - "$LAB/rnd" || return 1
	[ "$(lab_in server timeout 30 nc $OURS4 9003 </dev/null | wc -c)" = 1048576 ]
}

tfo() {
	end --counters sut0 many "$1" 9001 20 1 >"$LAB/tfo" || { cat "$LAB/tfo"; return 1; }
	grep -E '^fastopen_out (1[5-9])$' "$LAB/tfo" || { cat "$LAB/tfo"; return 1; }
}

tfo_server() {
	for i in 1 2 3; do
		lab_in server timeout 20 "$PEER" --fastopen push "$1" 9000 5000 || return 1
	done
	lab_end end
	grep -E '^fastopen_in [12]$' "$LAB/end.out"
}

roles() {
	first=$BIG
	WHERE="stack, client${1:+, $1}: "
	for h in $HOST4 $HOST6; do
		# shellcheck disable=SC2086
		{
			check "$first B pushed" end $1 sut0 push $h 9000 $first
			first=$mid
			check "$mid B both ways" end $1 sut0 both $h 9001 $mid
			check 'the kernel closes first' end $1 sut0 upload $h 9002 1000000
			check '2000 connections' end $1 sut0 many $h 9001 2000 100
			check 'a port used again' reused $h
			check 'data in SYNs' tfo $h
		}
	done
	WHERE="stack, server${1:+, $1}: "
	# shellcheck disable=SC2086
	serve --counters $1 || return
	as_server $BIG $OURS4
	as_server $mid $OURS6
	check 'half-closes' half_closes
	check 'a reset' ends_reset $OURS4
	check 'data in SYNs' tfo_server $OURS4
	served
}

# --- the wire

# beyond 4|6 BYTES WORD ...: to the kernel behind the wire, and from there to us; in the whole matrix by both families.
beyond() {
	family=$1 bytes=$2
	shift 2
	for a in "$CLIENT4 $OURS4" "$CLIENT6 $OURS6"; do
		[ "$LIVE" = all ] || case "$family $a" in
		4*:* | "6 $CLIENT4"*) continue ;;
		esac
		check "$bytes B pushed" end "$@" sut0 push "${a% *}" 9000 "$bytes"
		[ "$LIVE" = all ] || bytes=$SMALL
		check "$bytes B both ways" end "$@" sut0 both "${a% *}" 9001 "$bytes"
		serve "$@" || continue
		check "$bytes B taken" lab_in client timeout 120 "$PEER" push "${a#* }" 9000 "$bytes"
		check 'lines' lab_in client timeout 60 "$PEER" chat "${a#* }" 9001 30
		check 'ends well' served
	done
}

wires() {
	WHERE='stack, 1 % lost, reordered, doubled: '
	wire --delay 1ms --loss 1% --reorder 1% --dup 1% --seed 3
	beyond 4 $BIG
	WHERE='stack, 5 % lost: '
	wire --delay 1ms --loss 5% --reorder 2% --dup 2% --seed 4
	beyond 6 $SMALL
	[ "$LIVE" = all ] || return
	beyond 4 $BIG
	for o in --no-sack --no-timestamps --newreno --no-wscale --no-offload '--no-sack --no-timestamps --newreno'; do
		WHERE="stack, 5 % lost, $o: "
		# shellcheck disable=SC2086
		beyond 4 $SMALL $o
	done
	WHERE='stack, 20 ms: '
	wire --delay 10ms --reorder 3% --reorder-by 5ms --seed 5
	beyond 4 $BIG
}

# --- peers that vanish: the wire is cut

# stays VERB TO WORD ...: our connection is there, the wire goes, and our end gives up by itself.
vanishes() {
	verb=$1
	shift
	lab_start stay server timeout 60 "$END" --addr=$OURS4/24 --host=$HOST4/24 "$@" sut0 "$verb" "$CLIENT4" 9001
	lab_await stay '^stays' 10 || return 1
	lab_stop wire
	tries=500
	while lab_alive stay && [ $tries -gt 0 ]; do
		tries=$((tries - 1))
		sleep 0.02
	done
	cat "$LAB/stay.out"
	lab_end stay
	grep -q '^ends: timed out' "$LAB/stay.out"
}

# The other way: the kernel has keepalive, or a user timeout, and we are gone without a word.
killed() {
	serve || return 1
	lab_start stay client timeout 30 "$PEER" stay $OURS4 9001 0
	lab_await stay '^stays' 10 || return 1
	kill -KILL "$(cat "$LAB/end.pid")"
	lab_end end
	serve || return 1
	# A stack that knows nothing of the connection: what the kernel sends next is reset.
	lab_end stay
	lab_in client timeout 10 "$PEER" push $OURS4 9000 1000 && served
}

# gives_up WORD MS: our process is stopped, and says nothing any more: the kernel gives the connection up by itself.  Awake again, we hear of it.
gives_up() {
	serve || return 1
	lab_start stay client timeout 60 "$PEER" "$1" stay $OURS4 9001 "$2"
	lab_await stay '^stays' 10 || return 1
	kill -STOP "$(cat "$LAB/end.pid")"
	ended stay
	kill -CONT "$(cat "$LAB/end.pid")"
	cat "$LAB/stay.out"
	grep -q 'Connection timed out' "$LAB/stay.out" && lab_await end 'ends: reset' 10 && served
}

# ended NAME: within 20 s.
ended() {
	tries=1000
	while lab_alive "$1" && [ $tries -gt 0 ]; do
		tries=$((tries - 1))
		sleep 0.02
	done
	lab_end "$1"
}

# We are the server; the client's kernel cannot be heard any more, and nobody has anything to say.
probed() {
	serve --keepalive=500 || return 1
	lab_start stay client timeout 60 "$PEER" stay $OURS4 9001 0
	lab_await stay '^stays' 10 || return 1
	lab_stop wire
	lab_await end 'ends: timed out' 20 || return 1
	lab_end stay
	served
}

vanished() {
	WHERE='stack: '
	wire --delay 1ms
	check 'the peer vanishes: user timeout' vanishes stay --user-timeout=2000
	wire --delay 1ms
	check 'the peer vanishes: keepalive' vanishes idle --keepalive=500
	wire --delay 1ms
	check 'we are killed, and come again' killed
	check "we are silent: the kernel's user timeout" gives_up --user-timeout=2000 1500
	check "we are silent: the kernel's keepalive" gives_up --keepalive=1 0
	check 'a client is silent: our keepalive' probed
}

# --- paths

# counted COUNTER-PATTERN WORD ...: it went well, and this was counted.
counted() {
	pattern=$1
	shift
	end --counters "$@" >"$LAB/counted" || { cat "$LAB/counted"; return 1; }
	cat "$LAB/counted"
	grep -qE "$pattern" "$LAB/counted"
}

# Frames of more than 1400 bytes to the client are refused with a word (PMTUD), or vanish (a black hole).
narrow() {
	lab_in server ip route replace "$CLIENT4/32" dev eth0 mtu 1400
	lab_in server ip -6 route replace "$CLIENT6/128" dev eth0 mtu 1400
	for w in '' --no-offload; do
		WHERE="stack, 1400 bytes behind a router${w:+, $w}: "
		# shellcheck disable=SC2086
		for a in "$CLIENT4" "$CLIENT6"; do
			check "$SMALL B pushed" counted "^icmp_used [1-9]" $w sut0 push "$a" 9000 $SMALL
		done
	done
	lab_in server ip route del "$CLIENT4/32" dev eth0
	lab_in server ip -6 route del "$CLIENT6/128" dev eth0
	lab_in server ip link set dev sut0 mtu 1400
	WHERE='stack, 1400 bytes at our end: '
	serve --mtu=1400 && for a in $OURS4 $OURS6; do
		check "$SMALL B taken" lab_in client timeout 30 "$PEER" push $a 9000 $SMALL
	done
	served
	lab_in server ip link set dev sut0 mtu 1500
}

black_hole() {
	lab_in client ip link set dev eth0 mtu 1400
	lab_routes client advmss 1460
	lab_in client ip route replace 203.0.113.0/24 via "$SERVER4" dev eth0 advmss 1460
	lab_in client ip -6 route replace 2001:db8:1::/64 via "$SERVER6" dev eth0 advmss 1440
	WHERE='stack, a black hole of 1400 bytes: '
	for a in "$CLIENT4" "$CLIENT6"; do
		check "300000 B pushed" counted "^timeouts [1-9]" --mtu=1500 sut0 push "$a" 9000 300000
		[ "$LIVE" = all ] || break
	done
	lab_in client ip link set dev eth0 mtu 1500
}

# --- suture serve before many clients

web() {
	WHERE='stack, many clients: '
	mkdir -p "$LAB/www"
	echo hello >"$LAB/www/index.html"
	lab_start end server "$SUTURE" serve --tun sut0 --addr $OURS4/24 --addr $OURS6/64 --host-addr $HOST4 --host-addr $HOST6 \
		--port 80 http "$LAB/www" --max-conns 4096 --stats
	lab_await end ready 10 || { FAILED=1; return; }
	check '10 000 connections and more' rate
	check 'one port 50 times' lab_in server timeout 60 "$PEER" again $OURS4 80 50 20000
	check 'one port 50 times, IPv6' lab_in server timeout 60 "$PEER" again $OURS6 80 50 20001
	[ "$LIVE" != all ] || ! command -v wrk >/dev/null || check '100 clients that stay' wrks
	check 'wget' lab_in server wget -q -T 10 -t 1 -O "$LAB/got" http://$OURS4/
	check 'ends well' served
}

wrks() {
	lab_in server wrk -c 100 -t 2 -d 2s http://$OURS4/ >"$LAB/wrk" 2>&1 || return 1
	cat "$LAB/wrk"
	! grep -E 'Socket errors|Non-2xx' "$LAB/wrk"
}

# Our end closes first, so each of its 4096 places is in TIME-WAIT soon, and cut when it is needed.
rate() {
	all=0
	for i in 1 2 3 4 5 6 7 8 9 10; do
		lab_in server timeout 30 "$RATE" $OURS4 80 / 1 50 >"$LAB/rate" || return 1
		cat "$LAB/rate"
		[ "$(awk '{ print $4 }' "$LAB/rate")" = 0 ] || return 1
		all=$((all + $(awk '{ print int($2) }' "$LAB/rate")))
		[ $all -lt 10000 ] || return 0
	done
	return 1
}

# --- what tshark says

captured() {
	lab_capture cap server sut0
	end --no-offload sut0 both $HOST4 9001 300000 && end --no-offload sut0 chat $HOST6 9001 60 && end --no-offload sut0 upload $HOST4 9002 100000 &&
		end --no-offload sut0 many $HOST6 9001 200 20 && serve --no-offload && lab_in server "$PEER" push $OURS4 9000 300000 &&
		lab_in server "$PEER" chat $OURS6 9001 60 && lab_in server "$PEER" crowd $OURS4 9001 50 && served
	status=$?
	sleep 0.3
	lab_end cap
	return $status
}

# A device that goes and comes ends the capture: it stays while it is captured.
sums() {
	tshark -n -r "$LAB/cap.pcap" -o tcp.check_checksum:TRUE -o ip.check_checksum:TRUE \
		-Y "(ip.src == $OURS4 || ipv6.src == $OURS6) && (tcp.checksum.status != 1 || ip.checksum.status == 0)" 2>/dev/null >"$LAB/sums"
	good=$(tshark -n -r "$LAB/cap.pcap" -o tcp.check_checksum:TRUE -Y 'tcp.checksum.status == 1' 2>/dev/null | wc -l)
	echo "$good good checksums"
	[ "$good" -gt 1000 ] || return 1
	[ ! -s "$LAB/sums" ] || { head -n 10 "$LAB/sums"; return 1; }
}

warnings() {
	tshark -n -r "$LAB/cap.pcap" -Y "_ws.expert.severity >= 6291456 && (ip.src == $OURS4 || ipv6.src == $OURS6)" \
		-T fields -e frame.number -e _ws.expert.message 2>/dev/null |
	grep -vE 'TCP window specified by the receiver is now completely full|TCP Zero Window segment|D-SACK Sequence' >"$LAB/warn"
	[ ! -s "$LAB/warn" ] || { head -n 10 "$LAB/warn"; return 1; }
}

looks() {
	WHERE='stack, tshark: '
	if ! command -v tshark >/dev/null; then
		echo 'skip stack # tshark is not installed'
		return
	fi
	check 'the work itself' captured
	check 'checksums' sums
	check 'no warning' warnings
}

up
roles ''
[ "$LIVE" != all ] || roles --no-offload
ours_off
kernel_off
web
looks
wires
wire --delay 1ms
narrow
black_hole
vanished
exit $FAILED
