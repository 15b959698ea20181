# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# handoff_lab.sh - a laboratory for hand-offs; to be sourced after nothing (it sources lab.sh).
#
#                       +---- front   .2 and the origin .80     "suture handoff front"
#     client ---- sw ---+---- b1      .3, .80 on lo             "suture handoff back", and stock servers
#     .1, ::1           +---- b2      .4, .80 on lo
#
# 192.0.2.0/24 and 2001:db8::/64 on one Ethernet segment (a bridge in sw).  HAND_WIRE=yes puts the namespace wire between the client and
# the segment, for lab_wire.  HAND_ROUTER=yes puts b2 behind a router: 198.51.100.0/24, 2001:db8:2::/64.
#
#   hand_up                     makes it; HAND_STRICT=yes: nobody offloads checksums
#   hand_nginx N [DIRECTIVE..]  nginx on 80 in bN, files of $LAB/www; its answers name it (header Server-Name)
#   hand_back N ARG ...         the agent in bN, listening at its address, port 7000; key in $LAB/key
#   hand_front ARG ...          the front end, with both back ends and their agents, unless HAND_BACKENDS says which; HAND_FAR: those behind a router
#   hand_status                 what the front end says of its back ends
#   hand_reach                  until the front end answers a request through a back end
#
# With EVIDENCE set the switch's packets are in $LAB/tap.pcap, and front end and agents say each change of a state.

# shellcheck source=lab/lab.sh
. "${HAND_LAB:-$(dirname "$0")/../${HAND_TOP:-}lab}/lab.sh"

VIP4=192.0.2.80 VIP6=2001:db8::80
HAND_BACKENDS=${HAND_BACKENDS:-b1 b2}
HAND_PORT=${HAND_PORT:-80}

hand_in() {
	hand_where=$1
	shift
	nsenter --net="/run/netns/sut$$-$hand_where" "$@"
}

# As lab_start, but the file systems stay the machine's: pinned BPF objects are seen.
hand_start() {
	hand_name=$1 hand_where=$2
	shift 2
	: >"$LAB/$hand_name.out"
	nsenter --net="/run/netns/sut$$-$hand_where" "$@" >"$LAB/$hand_name.out" 2>&1 </dev/null &
	echo $! >"$LAB/$hand_name.pid"
}

hand_port() {
	lab_join "$1" eth0 sw "$1"
	lab_in sw ip link set dev "$1" master br0 up
}

hand_address() {
	lab_in "$1" ip addr add "$2/24" dev eth0
	lab_in "$1" ip -6 addr add "$3/64" dev eth0 nodad
	lab_in "$1" ip link set dev eth0 up
}

# The origin's address at a back end: on lo, and nobody is told of it by ARP.
hand_origin() {
	lab_sysctl "$1" net.ipv4.conf.all.arp_ignore=1
	lab_sysctl "$1" net.ipv4.conf.all.arp_announce=2
	lab_sysctl "$1" net.ipv4.conf.all.rp_filter=0
	lab_sysctl "$1" net.ipv4.conf.default.rp_filter=0
	lab_sysctl "$1" net.ipv4.conf.eth0.rp_filter=0
	lab_in "$1" ip addr add $VIP4/32 dev lo
	lab_in "$1" ip -6 addr add $VIP6/128 dev lo nodad
}

hand_up() {
	[ "$(id -u)" = 0 ] || lab_fail "needs root for network namespaces"
	LAB=$(mktemp -d) LAB_MORE=
	chmod 755 "$LAB"
	trap lab_down EXIT
	trap 'exit 130' HUP INT TERM
	for hand_n in sw client front b1 b2; do
		lab_more $hand_n
	done
	lab_in sw ip link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0
	lab_in sw ip link set dev br0 up
	lab_sysctl sw net.bridge.bridge-nf-call-iptables=0
	lab_sysctl sw net.bridge.bridge-nf-call-ip6tables=0
	lab_sysctl sw net.ipv6.conf.all.disable_ipv6=1
	if [ "${HAND_WIRE:-no}" = yes ]; then
		lab_more wire
		lab_sysctl wire net.ipv6.conf.all.disable_ipv6=1
		lab_join client eth0 wire wa
		lab_join wire wb sw client
		lab_in wire ip link set dev wa up
		lab_in wire ip link set dev wb up
		lab_in sw ip link set dev client master br0 up
	else
		hand_port client
	fi
	hand_port front
	hand_port b1
	hand_address client $CLIENT4 $CLIENT6
	hand_address front 192.0.2.2 2001:db8::2
	lab_in front ip addr add $VIP4/24 dev eth0
	lab_in front ip -6 addr add $VIP6/64 dev eth0 nodad
	hand_address b1 192.0.2.3 2001:db8::3
	B2=192.0.2.4 B26=2001:db8::4
	if [ "${HAND_ROUTER:-no}" = yes ]; then
		B2=198.51.100.4 B26=2001:db8:2::4
		lab_more router
		hand_port router
		hand_address router 192.0.2.254 2001:db8::fe
		lab_join router eth1 b2 eth0
		lab_in router ip addr add 198.51.100.254/24 dev eth1
		lab_in router ip -6 addr add 2001:db8:2::fe/64 dev eth1 nodad
		lab_in router ip link set dev eth1 up
		lab_sysctl router net.ipv4.ip_forward=1
		lab_sysctl router net.ipv6.conf.all.forwarding=1
		lab_sysctl router net.ipv4.conf.all.rp_filter=0
		lab_in front ip route add 198.51.100.0/24 via 192.0.2.254
		lab_in front ip -6 route add 2001:db8:2::/64 via 2001:db8::fe
		lab_in client ip route add 198.51.100.0/24 via 192.0.2.254
		lab_in client ip -6 route add 2001:db8:2::/64 via 2001:db8::fe
		hand_address b2 $B2 $B26
		lab_in b2 ip route add default via 198.51.100.254
		lab_in b2 ip -6 route add default via 2001:db8:2::fe
	else
		hand_port b2
		hand_address b2 $B2 $B26
	fi
	hand_origin b1
	hand_origin b2
	if [ "${HAND_STRICT:-no}" = yes ]; then
		for hand_n in client front b1 b2; do
			lab_in $hand_n ethtool -K eth0 tx off >/dev/null 2>&1
		done
	fi
	(umask 077; "$SUTURE" handoff key >"$LAB/key")
	[ -z "${EVIDENCE:-}" ] || hand_start tap sw tcpdump -Z root -q -n -U --immediate-mode -s 160 -B 16384 -i any -w "$LAB/tap.pcap" tcp or udp port 7000 or icmp or icmp6
	mkdir -p "$LAB/www"
}

hand_nginx() {
	hand_n=b$1
	shift
	mkdir -p "$LAB/tmp-$hand_n"
	[ -f "$LAB/www/index.html" ] || head -c 150 /dev/zero | tr '\0' x >"$LAB/www/index.html"
	cat >"$LAB/nginx-$hand_n.conf" <<-CONF
		user root;
		daemon off;
		master_process off;
		pid $LAB/nginx-$hand_n.own;
		error_log $LAB/nginx-$hand_n.err warn;
		events { worker_connections 8192; }
		http {
			access_log off;
			sendfile on;
			keepalive_timeout 20;
			keepalive_requests 100000;
			client_max_body_size 1g;
			client_body_temp_path $LAB/tmp-$hand_n/body;
			proxy_temp_path $LAB/tmp-$hand_n/proxy;
			fastcgi_temp_path $LAB/tmp-$hand_n/fastcgi;
			uwsgi_temp_path $LAB/tmp-$hand_n/uwsgi;
			scgi_temp_path $LAB/tmp-$hand_n/scgi;
			add_header Server-Name $hand_n always;
			server {
				listen 80 backlog=4096;
				listen [::]:80 backlog=4096;
				root $LAB/www;
				$*
			}
		}
	CONF
	hand_start "nginx-$hand_n" "$hand_n" nginx -c "$LAB/nginx-$hand_n.conf" -e "$LAB/nginx-$hand_n.err"
	hand_tries=100
	until lab_in "$hand_n" ss -Hltn sport = :80 2>/dev/null | grep -q 80; do
		hand_tries=$((hand_tries - 1))
		if [ $hand_tries -le 0 ] || ! lab_alive "nginx-$hand_n"; then
			cat "$LAB/nginx-$hand_n.out" "$LAB/nginx-$hand_n.err" >&2
			lab_fail "nginx did not start"
		fi
		sleep 0.05
	done
}

hand_address_of() {
	case $1 in
	b1) echo 192.0.2.3 ;;
	b2) echo "$B2" ;;
	esac
}

hand_address6_of() {
	case $1 in
	b1) echo 2001:db8::3 ;;
	b2) echo "$B26" ;;
	esac
}

hand_back() {
	hand_n=b$1
	shift
	hand_own=
	[ -z "$(hand_far "$hand_n")" ] || hand_own=$HAND_PORT= # what is sent to it has its own address
	hand_start "back-$hand_n" "$hand_n" "$SUTURE" handoff back --if if:eth0 --listen "$(hand_address_of "$hand_n"):7000" \
		--front fe=192.0.2.2 --origin "$hand_own$VIP4:$HAND_PORT" --origin "${hand_own}[$VIP6]:$HAND_PORT" --key-file "$LAB/key" --pins "/sys/fs/bpf/sut$$-$hand_n" --at-end remove \
		--control "$LAB/back-$hand_n.sock" ${EVIDENCE:+--debug --log-time} "$@"
	lab_await "back-$hand_n" ready 10 || exit 1
}

hand_far() {
	case " ${HAND_FAR:-} " in
	*" $1 "*) echo ,far ;;
	esac
}

# HAND_RUNG: forces it on all back ends; HAND_HEAD: words in front of the others.
hand_front() {
	# Splices cannot change the family: a back end has a name for each of its addresses.
	for hand_n in $HAND_BACKENDS; do
		[ "${HAND_RUNG:-}" != splice ] || set -- --backend "${hand_n}v6=[$(hand_address6_of "$hand_n")]:$HAND_PORT,rungs=splice" "$@"
	done
	for hand_n in $HAND_BACKENDS; do
		hand_second=
		[ -z "$(hand_far "$hand_n")" ] || [ "${HAND_RUNG:-}" = splice ] || hand_second=",[$(hand_address6_of "$hand_n")]:$HAND_PORT"
		set -- --backend "$hand_n=$(hand_address_of "$hand_n"):$HAND_PORT$hand_second${HAND_RUNG:+,rungs=$HAND_RUNG}$(hand_far "$hand_n"),agent=$(hand_address_of "$hand_n"):7000" "$@"
	done
	hand_start front front "$SUTURE" handoff front --client if:eth0 --vip "$VIP4:$HAND_PORT" --vip "[$VIP6]:$HAND_PORT" --key-file "$LAB/key" \
		--pins "/sys/fs/bpf/sut$$-front" --own 192.0.2.2 --own 2001:db8::2 --agents-from 192.0.2.2 --at-end remove --control "$LAB/front.sock" ${EVIDENCE:+--debug --log-time} "$@"
	lab_await front ready 10 || exit 1
}

hand_status() {
	"$SUTURE" handoff status --control "$LAB/front.sock"
}

hand_reach() {
	hand_tries=50
	until lab_in client curl -fgsS -o /dev/null --connect-timeout 1 -m 2 "http://${1:-$VIP4}/" 2>"$LAB/reach.err"; do
		hand_tries=$((hand_tries - 1))
		[ $hand_tries -gt 0 ] || { cat "$LAB/reach.err" "$LAB/front.out" >&2; return 1; }
		sleep 0.1
	done
}
