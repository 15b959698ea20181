#!/bin/sh
# SPDX-License-Identifier: MIT
# Each obstacle that a hand-off has to get over, on each rung that meets it: doc/design/handoff.md, RULES.
set -u
# shellcheck source=tests/live/handoff_case.sh
. "$(dirname "$0")/handoff_case.sh"
BLIND=${BLIND:-$BUILD/tests/live/blind}
LISTEN=${LISTEN:-$BUILD/tests/live/listen}

both() {
	for FAMILY in 4 6; do
		WHERE="$AS, IPv$FAMILY: "
		check "$@"
	done
}

start() {
	hand_up
	servers
	hand_back 1
	hand_back 2
}

# --- the same four-tuple again

again() {
	lab_in client timeout 20 "$PEER" again "$(vip)" 80 5 $((40000 + FAMILY))
}

# --- what is lost on the way

# lose KIND DEVICE ...: the switch drops, of what these devices send, the first segment of this kind of each connection; some of the messages.
lose() {
	lose_kind=$1
	shift
	case $lose_kind in
	request) lose_4='tcp dport 80 ip length > 100' lose_6='tcp dport 80 ip6 length > 80' ;;
	answer) lose_4='tcp sport 80 ip length > 100' lose_6='tcp sport 80 ip6 length > 80' ;;
	syn) lose_4='tcp dport 80 tcp flags & (syn | ack) == syn' lose_6=$lose_4 ;;
	fin) lose_4='tcp flags & fin == fin' lose_6=$lose_4 ;;
	esac
	for lose_dev; do
		if [ "$lose_kind" = message ]; then
			cat <<-NFT
				table netdev lose_$lose_dev {
					chain c { type filter hook ingress device "$lose_dev" priority 0;
						meta l4proto udp th dport 7000 numgen random mod 100 < 15 counter drop
						meta l4proto udp th sport 7000 numgen random mod 100 < 15 counter drop
					}
				}
			NFT
			continue
		fi
		cat <<-NFT
			table netdev lose_$lose_dev {
				set four { type ipv4_addr . ipv4_addr . inet_service . inet_service; flags dynamic; timeout 60s; size 8192; }
				set six { type ipv6_addr . ipv6_addr . inet_service . inet_service; flags dynamic; timeout 60s; size 8192; }
				chain c { type filter hook ingress device "$lose_dev" priority 0;
					meta protocol ip $lose_4 ip saddr . ip daddr . tcp sport . tcp dport != @four add @four { ip saddr . ip daddr . tcp sport . tcp dport } counter drop
					meta protocol ip6 $lose_6 ip6 saddr . ip6 daddr . tcp sport . tcp dport != @six add @six { ip6 saddr . ip6 daddr . tcp sport . tcp dport } counter drop
				}
			}
		NFT
	done | lab_in sw nft -f -
}

# How many were lost; and no more.
lost() {
	lab_in sw nft list ruleset | sed -n 's/.*counter packets \([0-9]*\).*/\1/p' | awk '{ n += $1 } END { print n + 0 }'
	lab_in sw nft flush ruleset
}

# lossy KIND N DEVICE ...: N connections, each of which loses one.
lossy() {
	lossy_kind=$1 lossy_n=$2
	shift 2
	lose "$lossy_kind" "$@" || return 1
	many "$lossy_n"
	lossy_status=$?
	lossy_lost=$(lost)
	echo "$lossy_lost lost"
	[ $lossy_status = 0 ] && [ "$lossy_lost" -ge $((lossy_n / 8)) ]
}

# No back end keeps a socket that waits for its last ACK.
ended() {
	ended_tries=60
	while { lab_in b1 ss -Htan; lab_in b2 ss -Htan; } | grep -E 'LAST-ACK|CLOSING|FIN-WAIT' | grep -q ':80 '; do
		ended_tries=$((ended_tries - 1))
		[ $ended_tries -gt 0 ] || { lab_in b1 ss -Htan; lab_in b2 ss -Htan; return 1; }
		sleep 0.1
	done
}

losses() {
	both 'the request is lost on the way to the back end' lossy request 20 front
	both 'the answer is lost' lossy answer 20 b1 b2
	both 'SYNs to the back end are lost' losing_syns
	both 'FINs are lost' lossy fin 20 front b1 b2
	WHERE="$AS: "
	check 'the last ACKs come' ended
	both 'messages to and from agents are lost' losing_messages
}

# Only two rungs send some.
losing_syns() {
	[ "$HAND_RUNG" != adopt ] || return 0
	lossy syn 20 front
}

losing_messages() {
	[ "$HAND_RUNG" != splice ] || return 0
	lossy message 40 front b1 b2
}

# --- segments of somebody else

# A download, while somebody who does not know its numbers tries to end it, or to begin it anew.
blind() {
	file_of 5
	port=$((41000 + FAMILY))
	get --local-port $port -o "$LAB/got" "$(url /slow/big5)" 2>"$LAB/curl.err" &
	curl=$!
	sleep 0.5
	from=$([ $FAMILY = 4 ] && echo $CLIENT4 || echo $CLIENT6)
	for kind in rst syn fin; do
		n=$(lab_in client "$BLIND" "$from" $port "$(vip)" 80 $kind - 100)
		[ "$n" = 100 ] || echo "$kind: $n sent"
	done
	wait $curl || { cat "$LAB/curl.err"; return 1; }
	[ "$(sum_of "$LAB/got")" = "$(sum_of "$LAB/www/big5")" ]
}

# --- clients without options

poor() {
	lab_sysctl client "net.ipv4.$1=0"
	pages && many 20 && big 5 && upload 1
	poor_status=$?
	lab_sysctl client "net.ipv4.$1=1"
	return $poor_status
}

# --- requests

said_by() {
	lab_in client socat -t 5 - "TCP:$VIP4:80" 2>/dev/null | tr -d '\r'
}

pieces() {
	{ printf 'GET /index'; sleep 0.1; printf '.html HTTP/1.1\r\nHo'; sleep 0.1; printf 'st: a\r\nConnection: close\r\n'; sleep 0.1; printf '\r\n'; sleep 1; } |
		said_by >"$LAB/reply"
	grep -q '^HTTP/1.1 200' "$LAB/reply" && grep -q x "$LAB/reply" || { cat "$LAB/reply"; return 1; }
}

# A half-closed request is answered whole.
half_closed() {
	printf 'GET /index.html HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n' | said_by >"$LAB/reply"
	grep -q '^HTTP/1.1 200' "$LAB/reply" || { cat "$LAB/reply"; return 1; }
}

# answered STATUS COMMAND: what the command says is answered so by the front end.
answered() {
	sh -c "$2" | said_by >"$LAB/reply"
	grep -q "^HTTP/1.1 $1 " "$LAB/reply" && ! grep -qi '^server-name' "$LAB/reply" || { cat "$LAB/reply"; return 1; }
}

long_head() {
	get -o /dev/null -w '%{http_code}\n' -H "X-Long: $(head -c 12000 /dev/zero | tr '\0' a)" "$(url /index.html)" >"$LAB/reply" || return 1
	grep -qx "$1" "$LAB/reply" || { cat "$LAB/reply"; return 1; }
}

# Whoever says nothing is closed without a word.
silent() {
	sleep 4 | said_by >"$LAB/reply"
	[ ! -s "$LAB/reply" ]
}

# Clients that leave: at once, in mid-head, behind the request; by FIN and by RST.
leave() {
	for end in '' ',linger=0'; do
		for text in '' 'GET / HT' 'GET /big20 HTTP/1.1\r\nHost: a\r\n\r\n'; do
			# shellcheck disable=SC2059
			printf "$text" | lab_in client socat -u - "TCP:$VIP4:80$end" || return 1
		done
	done
}

gone() {
	gone_tries=100
	while hand_status | grep -q 'conns=[1-9]'; do
		gone_tries=$((gone_tries - 1))
		[ $gone_tries -gt 0 ] || { hand_status; return 1; }
		sleep 0.1
	done
}

requests() {
	start
	file_of 20
	AS=requests WHERE='requests: '
	check 'ready' front_of adopt --head-time 2s --linger 1s || return
	check 'a head in pieces' pieces
	check 'a half-closed request' half_closed
	check 'slow: 408' answered 408 'printf "GET / HTTP/1.1\r\nHo"; sleep 4'
	check 'garbage: 400' answered 400 'printf "HELO mail.example\r\n\r\n"; sleep 1'
	check 'two readings: 400' answered 400 'printf "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"; sleep 1'
	check 'too large: 431' answered 431 'printf "GET / HTTP/1.1\r\nHost: a\r\nX: "; head -c 20000 /dev/zero | tr "\0" a; sleep 1'
	both 'a head of 12 kB is read by the back end' long_head 400
	WHERE='requests: '
	check 'silence' silent
	WHERE='requests: '
	check 'clients that leave' leave
	check 'pages' pages
	check 'nothing is left of them' gone
	lab_down
}

# --- back ends that cannot

# It says 0, and nothing appears: nobody may think that it has taken the connection.
full_queue() {
	for i in 1 2 3 4 5 6; do
		get -D "$LAB/head" -o "$LAB/got" "$(url /index.html)" && grep -qi '^server-name: b2' "$LAB/head" || { cat "$LAB/head"; return 1; }
	done
	[ "$(counted front handed_elsewhere)" -ge 1 ] || { echo 'it was not tried'; return 1; }
}

full() {
	HAND_RUNG=
	hand_up
	servers
	lab_end nginx-b1
	hand_start listen b1 "$LISTEN" $VIP4 80 tcp
	lab_await listen ready 5
	hand_back 1
	hand_back 2
	AS=full WHERE='full accept queue: '
	hand_front --route 'default b1,b2' --check-interval 0 --confirm-time 300ms
	check 'adopts before' takes adopt b1
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		lab_start "stay$i" b1 "$PEER" stay $VIP4 80 0
	done
	sleep 0.3
	check 'somebody else answers' full_queue
	lab_down
}

# falls SETTING RUNG WORD: with this at both back ends the rung is another one, and status says why; pages come.
falls() {
	HAND_RUNG=
	for n in b1 b2; do
		lab_sysctl $n "$1"
	done
	hand_back 1
	hand_back 2
	hand_front --route 'default b1,b2'
	WHERE="$1: "
	check "the rung is $2" takes "$2" b1
	[ -z "$3" ] || check "and $3 is why" grep -q "adopt: .*$3" "$LAB/status"
	both_at="$1"
	for FAMILY in 4 6; do
		WHERE="$both_at, IPv$FAMILY: "
		check 'pages' pages
		check '20 connections' many 20
		check '5 MB' big 5
	done
	for part in front back-b1 back-b2; do
		lab_end $part
	done
	for n in b1 b2; do
		lab_sysctl $n "${1%=0}=1"
	done
}

settings() {
	hand_up
	servers
	falls net.ipv4.tcp_syncookies=0 shift cookies
	falls net.ipv4.tcp_timestamps=0 adopt ''
	falls net.ipv4.tcp_sack=0 adopt ''
	falls net.ipv4.tcp_window_scaling=0 adopt ''
	lab_down
}

# What was handed over is not in the front end's table, where it would stay for days; what it says itself is.
untracked() {
	lab_in front cat /proc/net/nf_conntrack >"$LAB/tracked" || return 0 # this kernel does not tell
	grep -q 'dport=7000' "$LAB/tracked" || { echo 'nothing is tracked there'; return 1; }
	! grep -E "dst=($VIP4|2001:0db8:0+:.*0080) .*dport=80 " "$LAB/tracked"
}

# Connection tracking that takes only what it has seen begin, and a filter that drops the rest.
tracked() {
	HAND_RUNG=
	hand_up
	servers
	for n in b1 b2 front; do
		lab_in $n nft -f - <<-NFT
			table inet filter {
				chain in { type filter hook input priority 0;
					ct state invalid counter drop
				}
			}
		NFT
		lab_sysctl $n net.netfilter.nf_conntrack_tcp_loose=0
	done
	hand_back 1
	hand_back 2
	WHERE='loose=0: '
	hand_front --route 'default b1,b2' --confirm-time 300ms
	check 'the rung is shift' takes shift b1
	check 'and adopt did not work' grep -q '^b1 .*adopt: .*appear' "$LAB/status"
	check 'pages' pages
	lab_end front
	for n in b1 b2; do
		lab_in $n nft -f - <<-NFT
			table inet suture {
				chain pre { type filter hook prerouting priority raw;
					ip daddr $VIP4 tcp dport 80 notrack
					ip6 daddr $VIP6 tcp dport 80 notrack
				}
				chain out { type filter hook output priority raw;
					ip saddr $VIP4 tcp sport 80 notrack
					ip6 saddr $VIP6 tcp sport 80 notrack
				}
			}
		NFT
	done
	hand_front --route 'default b1,b2'
	WHERE='loose=0, notrack: '
	check 'the rung is adopt' takes adopt b1
	check 'pages' pages
	check '50 connections' many 50
	check 'the front end tracks none of them' untracked
	lab_down
}

# --- networks

# A client behind a router, whose link carries less than the client says: the router's ICMP errors are addressed to the origin.
narrow() {
	lab_more gate
	hand_port gate
	hand_address gate 192.0.2.253 2001:db8::fd
	lab_more away
	lab_join gate eth1 away eth0
	lab_in gate ip addr add 203.0.113.254/24 dev eth1
	lab_in gate ip -6 addr add 2001:db8:3::fe/64 dev eth1 nodad
	lab_in gate ip link set dev eth1 mtu 1400 up
	lab_sysctl gate net.ipv4.ip_forward=1
	lab_sysctl gate net.ipv6.conf.all.forwarding=1
	lab_sysctl gate net.ipv4.conf.all.rp_filter=0
	lab_sysctl gate net.ipv4.conf.eth0.rp_filter=0
	lab_sysctl gate net.ipv4.conf.eth0.send_redirects=0
	hand_address away 203.0.113.1 2001:db8:3::1
	lab_in away ip route add default via 203.0.113.254
	lab_in away ip -6 route add default via 2001:db8:3::fe
	for n in front b1 b2; do
		lab_in $n ip route add 203.0.113.0/24 via 192.0.2.253
		lab_in $n ip -6 route add 2001:db8:3::/64 via 2001:db8::fd
	done
}

# One that no back end has heard of yet.
forget_mtu() {
	for n in b1 b2; do
		lab_in $n ip route flush cache
		lab_in $n ip -6 route flush cache
	done
	PATIENCE=20
	HAND_CLIENT=away
	big 5
	narrow_status=$?
	HAND_CLIENT=client PATIENCE=60
	return $narrow_status
}

errors() {
	for rung in $1; do
		start
		narrow
		AS="$rung, 1400 bytes on the way"
		WHERE="$AS: "
		check 'ready' front_of $rung && both '5 MB' forget_mtu
		lab_down
	done
}

# less "NAMESPACE ..." RUNG: devices of ours that carry less than the clients' network, and that nobody has said so of.
less() {
	hand_up
	for n in $1; do
		lab_in "$n" ip link set dev eth0 mtu 1400
	done
	servers
	hand_back 1
	hand_back 2
	AS="$2, 1400 bytes at $1" WHERE="$2, 1400 bytes at $1: "
	PATIENCE=10
	if check 'ready' front_of "$2"; then
		both '3 MB up' upload 3
		both '3 MB' big 3
	fi
	PATIENCE=60
	lab_down
}

small() {
	for rung in $1; do
		less 'b1 b2' "$rung"
		less front "$rung"
	done
}

beyond() {
	for rung in $1; do
		HAND_ROUTER=yes HAND_BACKENDS=b2 HAND_FAR=b2
		hand_up
		servers
		hand_back 2
		AS="$rung, behind a router" WHERE="$rung, behind a router: "
		if check 'ready' front_of $rung; then
			both '50 connections' many 50
			both '5 MB' big 5
			both '5 MB up' upload 5
		fi
		lab_down
		HAND_ROUTER=no HAND_BACKENDS='b1 b2' HAND_FAR=
	done
}

# Losses and a changed order between the client and all others.
wire() {
	for rung in splice shift adopt; do
		HAND_WIRE=yes
		hand_up
		servers
		hand_back 1
		hand_back 2
		lab_wire --delay 1ms --loss 1% --reorder 3% --reorder-by 3ms --dup 1% --seed 7
		AS="$rung, lossy wire" WHERE="$rung, lossy wire: "
		if check 'ready' front_of $rung; then
			both "$1 connections" many "$1"
			both "$2 MB" big "$2"
			both "$3 MB up" upload "$3"
		fi
		lab_down
		HAND_WIRE=no
	done
}

each() {
	for rung in $1; do
		start
		AS=$rung WHERE="$rung: "
		if check 'ready' front_of $rung --check-interval 0 --linger 2s; then
			both 'the same port five times, the server closes first' again
			losses
			both 'somebody sends resets, SYNs and FINs' blind
			[ "$LIVE" = all ] || [ $rung = adopt ] || { lab_down; continue; }
			both 'a client without timestamps' poor tcp_timestamps
			both 'a client without SACK' poor tcp_sack
			both 'a client without window scaling' poor tcp_window_scaling
		fi
		lab_down
	done
}

case $LIVE in
core) PARTS=${PARTS:-each requests full tracked errors small} RUNGS=adopt ;;
*) PARTS=${PARTS:-each requests full settings tracked errors small beyond wire} RUNGS='splice shift adopt' ;;
esac
for part in $PARTS; do
	case $part$LIVE in
	wireall) wire 200 20 5 ;;
	wire*) wire 30 2 1 ;;
	each* | errors* | small* | beyond*) $part "$RUNGS" ;;
	*) $part ;;
	esac
done
exit $FAILED
