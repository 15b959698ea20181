# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# lab.sh - a laboratory of network namespaces; to be sourced by a POSIX shell script that runs as root.
#
#     client ---- box ---- wire ---- server        one Ethernet segment, 192.0.2.0/24 and 2001:db8::/64
#     .1, ::1                        .2, ::2
#
# The box and the wire have no addresses and do not forward: they are bridges of the kernel (lab_bridge: the baseline), or
# suture runs in them (lab_box, lab_wire).  All is unique to the process, and is gone when the script ends, however it ends.
# Everything that was started is ended by its process id.
#
#   lab_up                     makes the namespaces; LAB_WIRE=no leaves the wire out, LAB_MTU sets another MTU
#   lab_strict, lab_no_offload before traffic: the box's devices complete checksums / nobody offloads anything
#   lab_bridge box|wire        joins its two devices by the kernel
#   lab_box ARG ...            runs "suture ARG ..." in the box; its devices are $BOX_C and $BOX_S
#   lab_wire ARG ...           runs "suture wire if:wa if:wb ARG ..." in the wire; wa to wb is client to server
#   lab_stop box|wire          ends what lab_box or lab_wire started, and keeps its output in $LAB/box.out
#   lab_in NS CMD ...          runs a command in client, box, wire or server
#   lab_start NAME NS CMD ...  starts one; its output goes to $LAB/NAME.out, its process id to $LAB/NAME.pid
#   lab_end NAME               ends it (TERM, then KILL); its exit status is in $LAB/NAME.status
#   lab_nginx                  nginx on 80, 8080 and 443 (TLS) in the server, files of $LAB/www; any of them takes data in SYN
#   lab_capture NAME NS DEV    tcpdump into $LAB/NAME.pcap
#   lab_server_scale N         the server's window scale becomes N
#   lab_more NS                one more namespace, to be joined by lab_join NS1 DEV1 NS2 DEV2
#   lab_sysctl NS KEY=VALUE    where the kernel has that key

SUTURE=${SUTURE:-build/src/cli/suture}
LAB_WIRE=${LAB_WIRE:-yes}
LAB_MTU=${LAB_MTU:-1500}
CLIENT4=192.0.2.1 SERVER4=192.0.2.2
CLIENT6=2001:db8::1 SERVER6=2001:db8::2
BOX_C=cl BOX_S=sv

lab_fail() {
	echo "lab: $*" >&2
	exit 1
}

lab_in() {
	lab_where=$1
	shift
	ip netns exec "sut$$-$lab_where" "$@"
}

# The shell's own child becomes the command: ip netns exec replaces itself, so that $! is the command's process id.
# Its output is empty from the start: what an earlier one of that name said must not be taken for its.
lab_start() {
	lab_name=$1 lab_where=$2
	shift 2
	: >"$LAB/$lab_name.out"
	ip netns exec "sut$$-$lab_where" "$@" >"$LAB/$lab_name.out" 2>&1 </dev/null &
	echo $! >"$LAB/$lab_name.pid"
}

lab_alive() {
	[ -f "$LAB/$1.pid" ] && kill -0 "$(cat "$LAB/$1.pid")" 2>/dev/null
}

# lab_await NAME PATTERN SECONDS: until NAME's output has a line that matches; fails when it ends before.
lab_await() {
	lab_tries=$(($3 * 50))
	until grep -qE "$2" "$LAB/$1.out" 2>/dev/null; do
		lab_tries=$((lab_tries - 1))
		if [ $lab_tries -le 0 ] || ! lab_alive "$1"; then
			echo "lab: $1 did not get ready:" >&2
			tail -n 20 "$LAB/$1.out" >&2
			return 1
		fi
		sleep 0.02
	done
}

lab_end() {
	[ -f "$LAB/$1.pid" ] || return 0
	lab_pid=$(cat "$LAB/$1.pid")
	rm -f "$LAB/$1.pid"
	kill -TERM "$lab_pid" 2>/dev/null
	lab_tries=150
	while kill -0 "$lab_pid" 2>/dev/null; do
		lab_tries=$((lab_tries - 1))
		if [ $lab_tries -le 0 ]; then
			kill -KILL "$lab_pid" 2>/dev/null
			break
		fi
		sleep 0.02
	done
	wait "$lab_pid" 2>/dev/null
	echo $? >"$LAB/$1.status"
}

lab_down() {
	trap - EXIT
	trap '' HUP INT TERM
	for lab_f in "$LAB"/*.pid; do
		[ -f "$lab_f" ] || continue
		lab_f=${lab_f##*/}
		lab_end "${lab_f%.pid}"
	done
	for lab_n in client box wire server $LAB_MORE; do
		ip netns del "sut$$-$lab_n" 2>/dev/null
	done
	[ -n "${LAB_KEEP:-}" ] || rm -rf "$LAB"
	trap - HUP INT TERM
}

lab_sysctl() {
	lab_key=${2%%=*} lab_val=${2#*=}
	lab_path=/proc/sys/$(echo "$lab_key" | tr . /)
	# shellcheck disable=SC2016
	lab_in "$1" sh -c '[ ! -w "$1" ] || printf "%s\n" "$2" >"$1"' sh "$lab_path" "$lab_val" 2>/dev/null || true
}

lab_ns() {
	ip netns add "sut$$-$1" || lab_fail "cannot make a network namespace"
	lab_sysctl "$1" net.ipv6.conf.all.accept_dad=0
	lab_sysctl "$1" net.ipv6.conf.default.accept_dad=0
	lab_sysctl "$1" net.ipv4.ip_forward=0
	lab_in "$1" ip link set dev lo up
}

# One more, which goes when the laboratory does.
lab_more() {
	LAB_MORE="$LAB_MORE $1"
	lab_ns "$1"
}

# lab_join NS1 DEV1 NS2 DEV2: a veth pair.  Its ends learn no neighbours by accident and send no router solicitations.
lab_join() {
	ip link add name "$2" netns "sut$$-$1" mtu "$LAB_MTU" type veth peer name "$4" netns "sut$$-$3" mtu "$LAB_MTU" ||
		lab_fail "cannot make a veth pair"
}

lab_up() {
	[ "$(id -u)" = 0 ] || lab_fail "needs root for network namespaces"
	LAB=$(mktemp -d) LAB_MORE=
	chmod 755 "$LAB"
	trap lab_down EXIT
	trap 'exit 130' HUP INT TERM
	for lab_n in client box wire server; do
		[ "$lab_n $LAB_WIRE" != 'wire no' ] || continue
		lab_ns $lab_n
	done
	for lab_n in box wire; do
		lab_sysctl $lab_n net.ipv6.conf.all.disable_ipv6=1 2>/dev/null
		lab_sysctl $lab_n net.ipv6.conf.default.disable_ipv6=1 2>/dev/null
	done
	lab_join client eth0 box $BOX_C
	if [ "$LAB_WIRE" = no ]; then
		lab_join box $BOX_S server eth0
	else
		lab_join box $BOX_S wire wa
		lab_join wire wb server eth0
		lab_in wire ip link set dev wa up
		lab_in wire ip link set dev wb up
	fi
	lab_in box ip link set dev $BOX_C up
	lab_in box ip link set dev $BOX_S up
	lab_addresses client $CLIENT4 $CLIENT6
	lab_addresses server $SERVER4 $SERVER6
	# What is measured must not depend on the machine's choice of congestion control.
	for lab_n in client server; do
		lab_sysctl $lab_n net.ipv4.tcp_congestion_control=reno
		lab_sysctl $lab_n net.ipv4.tcp_no_metrics_save=1
	done
	# The server takes data in a SYN, with or without a cookie, wherever a listener allows it.
	lab_sysctl server net.ipv4.tcp_fastopen=0x602
}

# Routes name the congestion control: a namespace may not choose one that the machine keeps for the privileged.
lab_addresses() {
	lab_in "$1" ip addr add "$2/24" dev eth0 noprefixroute
	lab_in "$1" ip -6 addr add "$3/64" dev eth0 nodad noprefixroute
	lab_in "$1" ip link set dev eth0 up
	lab_routes "$1"
}

# lab_routes NS [METRIC VALUE ...]: the routes to the segment, with metrics such as "window 65535".
lab_routes() {
	lab_n=$1
	shift
	lab_cc=
	! grep -qw cubic /proc/sys/net/ipv4/tcp_available_congestion_control || lab_cc='congctl cubic'
	# shellcheck disable=SC2086
	lab_in "$lab_n" ip route replace 192.0.2.0/24 dev eth0 $lab_cc "$@"
	# shellcheck disable=SC2086
	lab_in "$lab_n" ip -6 route replace 2001:db8::/64 dev eth0 $lab_cc "$@"
}

# lab_server_scale N: the server offers the window scale N (0 to 14); before nginx starts.
lab_server_scale() {
	lab_win=$((65535 << $1))
	lab_sysctl server net.ipv4.tcp_rmem="4096 65535 $lab_win"
	lab_routes server window $lab_win
}

# The box completes checksums in software, so that a wrong one is seen by the receiver (a veth trusts partial ones).
lab_strict() {
	lab_in box ethtool -K $BOX_C tx off >/dev/null 2>&1
	lab_in box ethtool -K $BOX_S tx off >/dev/null 2>&1
}

# Nobody offloads: each segment is a frame with a complete checksum, from the client's kernel to the server's.
lab_no_offload() {
	lab_strict
	for lab_n in client server; do
		lab_in $lab_n ethtool -K eth0 tx off gro off gso off tso off >/dev/null 2>&1
	done
	for lab_d in $BOX_C $BOX_S; do
		lab_in box ethtool -K $lab_d gro off gso off tso off >/dev/null 2>&1
	done
}

lab_bridge() {
	case $1 in
	box) lab_devs="$BOX_C $BOX_S" ;;
	wire) lab_devs='wa wb' ;;
	esac
	lab_in "$1" ip link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0
	# Bridged packets do not pass the packet filter, where the kernel has that switch.
	lab_sysctl "$1" net.bridge.bridge-nf-call-iptables=0
	lab_sysctl "$1" net.bridge.bridge-nf-call-ip6tables=0
	lab_sysctl "$1" net.bridge.bridge-nf-call-arptables=0
	for lab_d in $lab_devs; do
		lab_in "$1" ip link set dev $lab_d master br0
	done
	lab_in "$1" ip link set dev br0 up
}

lab_unbridge() {
	lab_in "$1" ip link del dev br0
}

lab_box() {
	lab_start box box "$SUTURE" "$@"
	lab_await box 'ready' 10 || exit 1
}

lab_wire() {
	lab_start wire wire "$SUTURE" wire if:wa if:wb "$@"
	lab_await wire 'ready' 10 || exit 1
}

lab_stop() {
	lab_end "$1"
}

# lab_reach [ADDRESS]: until the server's kernel refuses a closed port through box and wire.
lab_reach() {
	case ${1:-$SERVER4} in
	*:*) lab_url="http://[$1]:9/" ;;
	*) lab_url="http://${1:-$SERVER4}:9/" ;;
	esac
	lab_tries=50
	until lab_in client curl -gsv -o /dev/null --connect-timeout 1 "$lab_url" 2>&1 | grep -q refused; do
		lab_tries=$((lab_tries - 1))
		[ $lab_tries -gt 0 ] || lab_fail "the server cannot be reached through box and wire"
		sleep 0.1
	done
}

lab_certificate() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=server.example.org \
		-keyout "$LAB/key.pem" -out "$LAB/cert.pem" >/dev/null 2>&1 || lab_fail "openssl made no certificate"
}

# Files: index.html (200 bytes), and what the test puts into $LAB/www.
lab_nginx() {
	mkdir -p "$LAB/www" "$LAB/tmp"
	chmod 755 "$LAB/www"
	head -c 150 /dev/zero | tr '\0' x | sed 's/^/<p>/; s/$/<\/p>/' >"$LAB/www/index.html"
	[ -f "$LAB/cert.pem" ] || lab_certificate
	cat >"$LAB/nginx.conf" <<-CONF
		user root;
		daemon off;
		master_process off;
		pid $LAB/nginx.own;
		error_log $LAB/nginx.err warn;
		events { worker_connections 4096; }
		http {
			access_log off;
			sendfile on;
			keepalive_timeout 20;
			keepalive_requests 100000;
			client_body_temp_path $LAB/tmp/body;
			proxy_temp_path $LAB/tmp/proxy;
			fastcgi_temp_path $LAB/tmp/fastcgi;
			uwsgi_temp_path $LAB/tmp/uwsgi;
			scgi_temp_path $LAB/tmp/scgi;
			server {
				listen 80 fastopen=256 backlog=4096;
				listen 8080 fastopen=256 backlog=4096;
				listen [::]:80 fastopen=256 backlog=4096;
				listen 443 ssl fastopen=256 backlog=4096;
				listen [::]:443 ssl fastopen=256 backlog=4096;
				ssl_certificate $LAB/cert.pem;
				ssl_certificate_key $LAB/key.pem;
				root $LAB/www;
			}
		}
	CONF
	lab_start nginx server nginx -c "$LAB/nginx.conf" -e "$LAB/nginx.err"
	lab_tries=100
	until lab_in server ss -Hltn sport = :443 2>/dev/null | grep -q 443; do
		lab_tries=$((lab_tries - 1))
		if [ $lab_tries -le 0 ] || ! lab_alive nginx; then
			cat "$LAB/nginx.out" "$LAB/nginx.err" >&2
			lab_fail "nginx did not start"
		fi
		sleep 0.05
	done
}

lab_capture() {
	lab_start "$1" "$2" tcpdump -Z root -q -n -U -s "${LAB_SNAP:-262144}" -B 16384 -i "$3" -w "$LAB/$1.pcap" tcp or icmp or icmp6
	lab_await "$1" 'listening on' 10 || exit 1
}
