#!/bin/sh
# SPDX-License-Identifier: MIT
# Hand-offs between real programs, which ask nothing of them: each rung, both families; pages, downloads, uploads, other programs.
set -u
# shellcheck source=tests/live/handoff_case.sh
. "$(dirname "$0")/handoff_case.sh"

# Nothing was odd enough to be counted: wrong checksums, echoes of timestamps that nobody had sent.
clean() {
	none client TcpInErrs TcpInCsumErrors && none b1 TcpExtTSEcrRejected TcpInCsumErrors && none b2 TcpExtTSEcrRejected TcpInCsumErrors
}

old_stamps() {
	old_n=0
	for old_ns in client b1 b2; do
		old_s=$(seen $old_ns TcpExtPAWSEstab)
		old_n=$((old_n + ${old_s:-0}))
	done
	echo $old_n
}

# Short connections, hardly a segment of which was too old for its receiver.  Where a clock is set wrongly it is one of each connection at least; a few are the machine's:
# what the process forwards overtakes, or is overtaken by, what the kernel forwards.  (In long transfers a host's own ACKs overtake each other by hundreds.)
many_young() {
	young_before=$(old_stamps)
	many "$1" || return 1
	young_n=$(($(old_stamps) - young_before))
	[ $young_n -le $(($1 / 4)) ] || { echo "$young_n segments with an old timestamp in $1 connections"; return 1; }
}

# Every checksum that the client sent or got, by tshark.
sums() {
	lab_end tcpdump
	tshark -r "$LAB/tcpdump.pcap" -o tcp.check_checksum:TRUE -o ip.check_checksum:TRUE -T fields -e tcp.checksum.status 2>/dev/null |
		sort | uniq -c >"$LAB/sums"
	cat "$LAB/sums"
	awk '$2 == 1 { n = $1 } $2 != 1 { bad = 1 } END { exit !(n > 1000 && !bad) }' "$LAB/sums"
}

busy() {
	for busy_i in 1 2 3 4; do
		lab_start "busy$busy_i" client sh -c 'while :; do :; done'
	done
}

calm() {
	for busy_i in 1 2 3 4; do
		lab_end "busy$busy_i"
	done
}

# Losses of long transfers are the machine's: without offloads its queues overflow.
many_clean() {
	before=$(seen client TcpRetransSegs)
	many "$1" && few client TcpRetransSegs $((before + $1 / 50 + 3))
}

# work CONNECTIONS MB
work() {
	for FAMILY in 4 6; do
		WHERE="$AS, IPv$FAMILY: "
		check reached reached
		check 'pages of both back ends' pages || continue
		check 'keep-alive' keepalive
		check "$1 connections, timestamps young enough" many_young "$1"
		if [ "$LIVE" = all ]; then
			# A busy machine repeats more: no judge of what is committed.
			check "$1 connections, hardly a retransmission" many_clean "$1"
			busy
			check "$1 connections, the machine is busy" many "$1"
			calm
		fi
		check "$2 MB" big "$2"
		check "$2 MB up" upload "$2"
	done
	WHERE="$AS: "
	check 'nothing odd was counted' clean
	check 'the rung was taken' took "$HAND_RUNG"
}

by_wget() {
	file_of 1
	lab_in client wget -q -T 20 -O "$LAB/got" "$(url /big1)" && cmp "$LAB/got" "$LAB/www/big1"
}

by_wrk() {
	lab_in client wrk -t1 -c100 -d"$1" "$(url /index.html)" >"$LAB/wrk" 2>&1 || { cat "$LAB/wrk"; return 1; }
	! grep -qE 'Socket errors|Non-2xx' "$LAB/wrk" && grep -qE '^ +[1-9][0-9]* requests' "$LAB/wrk" || { cat "$LAB/wrk"; return 1; }
}

# 10000 commands in one go, and one that asks for what they did.
by_redis() {
	seq 10000 | awk '{ printf "SET key%d value%d\r\n", $1, $1 }' >"$LAB/redis.in"
	lab_in client redis-cli -h $VIP4 --pipe <"$LAB/redis.in" >"$LAB/redis" 2>&1
	grep -q 'errors: 0, replies: 10000' "$LAB/redis" || { cat "$LAB/redis"; return 1; }
	[ "$(lab_in client redis-cli -h $VIP4 get key5000)" = value5000 ] &&
		lab_in client redis-benchmark -h $VIP4 -q -n 2000 -c 20 -P 16 -t set,get >"$LAB/redis" 2>&1 && ! grep -qi error "$LAB/redis"
}

redis() {
	HAND_BACKENDS=b1 HAND_PORT=6379
	lab_start redis b1 redis-server --port 6379 --bind '*' -::\* --protected-mode no --save '' --dir "$LAB"
	lab_await redis 'eady to accept' 10
	hand_back 1
	HAND_RUNG=$1
	hand_front --route '* b1'
	WHERE="$1, redis: "
	check 'the rung was taken' takes "$1"
	check 'commands in a pipeline' by_redis
	for part in front back-b1 redis; do
		lab_end $part
	done
	HAND_BACKENDS='b1 b2' HAND_PORT=80
}

haproxy_up() {
	echo "from haproxy" >"$LAB/www/said"
	cat >"$LAB/haproxy.cfg" <<-CONF
		defaults
			mode http
			timeout client 20s
			timeout server 20s
			timeout connect 5s
		frontend f
			bind :::80 v4v6
			http-request return status 200 content-type text/plain file $LAB/www/said
	CONF
	lab_start haproxy b1 haproxy -db -f "$LAB/haproxy.cfg"
	haproxy_tries=100
	until lab_in b1 ss -Hltn sport = :80 | grep -q 80; do
		haproxy_tries=$((haproxy_tries - 1))
		[ $haproxy_tries -gt 0 ] || lab_fail "haproxy did not start: $(cat "$LAB/haproxy.out")"
		sleep 0.05
	done
}

by_haproxy() {
	for i in 1 2 3 4 5 6 7 8; do
		get -o "$LAB/got" "$(url /)" -o "$LAB/got2" "$(url /again)" && cmp "$LAB/got" "$LAB/www/said" && cmp "$LAB/got2" "$LAB/www/said" || return 1
	done
}

haproxy() {
	HAND_BACKENDS=b1
	haproxy_up
	hand_back 1
	front_of "$1"
	for FAMILY in 4 6; do
		WHERE="$1, haproxy, IPv$FAMILY: "
		check 'pages' by_haproxy
	done
	for part in front back-b1 haproxy; do
		lab_end $part
	done
	HAND_BACKENDS='b1 b2'
}

programs() {
	for FAMILY in 4 6; do
		WHERE="$AS, IPv$FAMILY: "
		! command -v wget >/dev/null || check 'wget' by_wget
		! command -v wrk >/dev/null || check 'wrk, 100 connections' by_wrk 1
	done
}

core() {
	[ "$LIVE" = core ]
}

for rung in splice shift adopt; do
	hand_up
	servers
	hand_back 1
	hand_back 2
	AS=$rung WHERE="$rung: "
	if check 'ready' front_of $rung; then
		if [ "$LIVE" = all ]; then
			work 1000 100
		else
			work 100 5
		fi
		core || programs
	fi
	lab_down
	core && [ $rung != adopt ] && continue
	HAND_STRICT=yes
	hand_up
	servers
	hand_back 1
	hand_back 2
	AS="$rung, strict" WHERE="$rung, strict: "
	lab_start tcpdump client tcpdump -Z root -q -U -s 2000 -B 65536 -i eth0 -w "$LAB/tcpdump.pcap" tcp
	lab_await tcpdump 'listening on' 10
	if check 'ready' front_of $rung; then
		work 50 5
		check 'all checksums are right' sums
	fi
	HAND_STRICT=no
	lab_down
	hand_up
	! command -v redis-server >/dev/null || redis $rung
	! command -v haproxy >/dev/null || haproxy $rung
	lab_down
done
exit $FAILED
