#!/bin/sh
# SPDX-License-Identifier: MIT
# VLANs through the box, on kernels that have no VLAN devices: a switch of our own (trunk.c) puts tags on at both ends.  802.1Q, 802.1Q within
# 802.1ad, priority tags, three tags; the same addresses and ports in two VLANs at once.  (tests/stock/vlan.sh has the kernel's own devices.)
# Core: 802.1Q within 802.1ad, merge strict.  All: each kind of tags, hold, merge x gso, strict.
#
#     client  ---- near ---- box ---- wire ---- server          near and wire are switches; between them all is tagged
#     client2 ----'                     `------ server2         the same addresses again
# shellcheck source=tests/live/live.sh
. "$(dirname "$0")/live.sh"

TRUNK=${TRUNK:-$(dirname "$PEER")/trunk}

# The cables; a tagged frame is up to 12 bytes longer.
cables() {
	lab_more near
	lab_more client2
	lab_more server2
	lab_unbridge wire
	lab_in box ip link del dev $BOX_C
	lab_in wire ip link del dev wb
	for cables_n in near client2 server2; do
		lab_sysctl $cables_n net.ipv6.conf.all.accept_dad=0
	done
	lab_sysctl near net.ipv6.conf.all.disable_ipv6=1
	lab_sysctl near net.ipv6.conf.default.disable_ipv6=1
	LAB_MTU=1500
	lab_join near one client eth0
	lab_join near two client2 eth0
	lab_join wire one server eth0
	lab_join wire two server2 eth0
	LAB_MTU=1512
	lab_join near trunk box $BOX_C
	LAB_MTU=1500
	for cables_n in near:one near:two near:trunk wire:one wire:two box:$BOX_C; do
		lab_in "${cables_n%:*}" ip link set dev "${cables_n#*:}" up
	done
	lab_addresses client $CLIENT4 $CLIENT6
	lab_addresses client2 $CLIENT4 $CLIENT6
	lab_addresses server $SERVER4 $SERVER6
	lab_addresses server2 $SERVER4 $SERVER6
	[ "$1" != strict ] || lab_strict
}

# switches TAGS TAGS: of the first pair and of the second, at both ends.
switches() {
	lab_start near near "$TRUNK" trunk "one=$1" "two=$2"
	lab_start far wire "$TRUNK" wa "one=$1" "two=$2"
	lab_await near ready 5 && lab_await far ready 5
}

# Both clients from the same port to the same address and port, at once: each reaches its own server, with its own bytes.
two_worlds() {
	for two_i in 1 2; do
		lab_start "push$two_i" "client${two_i#1}" timeout 60 "$PEER" push "$1" 9000 $((two_i * 700000)) 20200
	done
	two_bad=0
	for two_i in 1 2; do
		two_pid=$(cat "$LAB/push$two_i.pid")
		rm -f "$LAB/push$two_i.pid"
		wait "$two_pid" || { two_bad=1; cat "$LAB/push$two_i.out"; }
	done
	return $two_bad
}

# Each server in its own VLAN: what is written there is of that one.
own_server() {
	[ "$(lab_in client curl -gsS -m 20 "http://$1/")" = "$(cat "$LAB/www/index.html")" ] &&
		[ "$(lab_in client2 curl -gsS -m 20 "http://$1/who")" = second ]
}

# Nothing came with other tags than those that it was sent with.
no_strays() {
	! grep -h -E 'stray|refused' "$LAB/near.out" "$LAB/far.out"
}

# one MODE OFFLOAD ISN NAME TAGS OTHER-TAGS
one() {
	LAB_MTU=1512
	live_up "$2"
	LIVE_WHERE="$1-$2-$3, $4: "
	cables "$2"
	big 10
	switches "$5" "$6" || lab_fail 'no switch'
	lab_nginx
	mkdir "$LAB/www2"
	echo second >"$LAB/www2/who"
	sed "s|root $LAB/www;|root $LAB/www2;|; s|nginx.own|nginx2.own|" "$LAB/nginx.conf" >"$LAB/nginx2.conf"
	lab_start nginx2 server2 nginx -c "$LAB/nginx2.conf" -e "$LAB/nginx.err"
	serve sink 9000
	serve echo 9001
	lab_start sink2 server2 "$PEER" sink 9000
	lab_await sink2 ready 5
	accel "$1" "$3"
	lab_reach
	for a in $SERVER4 $SERVER6; do
		case $a in
		*:*) u="[$a]" ;;
		*) u=$a ;;
		esac
		check "small page, $a" small "$u"
		for i in first again; do
			check "10 MB down, $a, $i" down "http://$u" 10
			check "10 MB up, $a, $i" up "$a" 10
			check "chat, $a, $i" chat "$a" 9001
			check "the same ports in two VLANs, $a, $i" two_worlds "$a"
			check "each its own server, $a, $i" own_server "$u"
		done
	done
	check 'closed port' closed $SERVER4
	check 'no tag was lost' no_strays
	check 'kernels content' kernels_content
	case $4 in
	'three tags') live_mode=none ;;
	*) check 'was at work, ends well' was_at_work ;;
	esac
	live_down
}

closed() {
	lab_in client timeout 20 "$PEER" refused "$1" 81 | grep '^refused'
}

# kinds MODE OFFLOAD ISN
kinds() {
	one "$1" "$2" "$3" '802.1Q' 81000007 81000008
	one "$1" "$2" "$3" '802.1Q in 802.1ad' 88a80005,81006009 88a80006,81006009
	[ "$LIVE" = all ] || return 0
	one "$1" "$2" "$3" 'the inner tag alone differs' 88a80005,81000009 88a80005,8100000a
	one "$1" "$2" "$3" 'untagged and 802.1Q' 0 81000ffe
	one "$1" "$2" "$3" '802.1ad alone' 88a80005 81000006
	one "$1" "$2" "$3" 'priority tags' 8100a000 81000007
	one "$1" "$2" "$3" 'three tags' 88a80001,81000002,81000003 88a80001,81000002,81000004
}

if [ -n "${ONE:-}" ]; then
	$ONE
elif [ "$LIVE" = all ]; then
	for m in hold merge; do
		kinds $m gso far
		kinds $m strict wrap
	done
else
	one merge strict wrap '802.1Q in 802.1ad' 88a80005,81006009 88a80006,81006009
fi
