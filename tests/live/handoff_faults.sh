#!/bin/sh
# SPDX-License-Identifier: MIT
# Parts of a hand-off that die, and come back: the front end, agents, servers, a whole host.  What was given away goes on; what comes new works again.
set -u
# shellcheck source=tests/live/handoff_case.sh
. "$(dirname "$0")/handoff_case.sh"
FRONT_MAY_BE_GONE=yes
BLIND=${BLIND:-$BUILD/tests/live/blind}

# kill_off NAME: without a word.
kill_off() {
	kill -KILL "$(cat "$LAB/$1.pid")"
	wait "$(cat "$LAB/$1.pid")" 2>/dev/null
	rm -f "$LAB/$1.pid" "$LAB/$1.sock" "$LAB/${1#back-}.sock"
}

front_again() {
	hand_front --route "$ROUTE" --state "$LAB/front.state" --linger 1s --at-end keep
}

back_again() {
	hand_back "$1" --state "$LAB/back$1.state" --linger 1s --at-end keep
}

# Until both back ends answer: what their health checks have missed in between may be told late.
pages_again() {
	again_tries=50
	until pages; do
		again_tries=$((again_tries - 1))
		[ $again_tries -gt 0 ] || return 1
		sleep 0.1
	done
}

# Until the file has something in it.
until_some() {
	some_tries=200
	until [ -s "$1" ]; do
		some_tries=$((some_tries - 1))
		[ $some_tries -gt 0 ] || { echo "nothing is in $1"; return 1; }
		sleep 0.05
	done
}

# A slow download in the background; its digest is looked at by slow_ends.
slow_begins() {
	file_of 5
	rm -f "$LAB/slow" "$LAB/slow.head"
	get -D "$LAB/slow.head" -o "$LAB/slow" "$(url /slow/big5)" 2>"$LAB/slow.err" &
	slow=$!
	until_some "$LAB/slow" && settled
}

# The download has its way in the kernel: one of a few packets does not outlive its front end.
settled() {
	command -v bpftool >/dev/null || return 0
	settled_port=$(lab_in client ss -Htn state established "dport = :$HAND_PORT" | awk '{ n = split($3, at, ":"); print at[n]; exit }')
	settled_tries=100
	until bpftool map dump pinned "/sys/fs/bpf/sut$$-front/ways" | grep -q "\"sport\": $((settled_port % 256 * 256 + settled_port / 256)),"; do
		settled_tries=$((settled_tries - 1))
		[ $settled_tries -gt 0 ] || { echo "port $settled_port has no way in the kernel"; return 1; }
		sleep 0.05
	done
}

slow_ends() {
	wait $slow || { cat "$LAB/slow.err"; return 1; }
	[ "$(sum_of "$LAB/slow")" = "$(sum_of "$LAB/www/big5")" ]
}

works() {
	reached && takes "$RUNG" && many 10
}

# lives KILL..., each of which is killed without a word and started again in mid-download.
lives() {
	slow_begins || { echo 'the download did not begin'; return 1; }
	for part; do
		kill_off "$part"
	done
	sleep 0.3
	for part; do
		case $part in
		front) front_again ;;
		back-b1) back_again 1 ;;
		back-b2) back_again 2 ;;
		esac
	done
	slow_ends && works
}

# Ended by a signal: its records are in the file of --state.
lives_end() {
	slow_begins || { echo 'the download did not begin'; return 1; }
	lab_end "$1"
	sleep 0.2
	case $1 in
	front) front_again ;;
	back-b1) back_again 1 ;;
	back-b2) back_again 2 ;;
	esac
	slow_ends && works
}

# What is pinned outlives the processes, on purpose.
unpin() {
	lab_down
	rm -rf "/sys/fs/bpf/sut$$-front" "/sys/fs/bpf/sut$$-b1" "/sys/fs/bpf/sut$$-b2"
}

no_way_left() {
	! command -v bpftool >/dev/null || check "no way is left at $*" empty "$@"
}

restarts() {
	for RUNG in $1; do
		hand_up
		trap unpin EXIT
		servers
		HAND_RUNG=$RUNG ROUTE="default b1,b2$([ "$RUNG" != splice ] || echo ,b1v6,b2v6)"
		back_again 1
		back_again 2
		front_again
		for FAMILY in $2; do
			WHERE="$RUNG, IPv$FAMILY: "
			check 'ready' works || continue
			check 'the front end is ended and started' lives_end front
			check 'an agent is ended and started' lives_end back-b1
			no_way_left front b1 b2
			check 'both agents are killed' lives back-b1 back-b2
			no_way_left front b1 b2
		done
		for FAMILY in $2; do
			WHERE="$RUNG, IPv$FAMILY: "
			check 'the front end is killed in mid-download' lives front
			check 'all three are killed' lives front back-b1 back-b2
			no_way_left front b1 b2
		done
		unpin
	done
}

down() {
	down_tries=100
	until hand_status >"$LAB/status" && grep -q "^$1 [^ ]* $2 " "$LAB/status"; do
		down_tries=$((down_tries - 1))
		[ $down_tries -gt 0 ] || { cat "$LAB/status"; return 1; }
		sleep 0.1
	done
}

# names N NAME: so many pages, all of them of this server.
names() {
	for i in $(seq "$1"); do
		PATIENCE=10 get -D "$LAB/head" -o "$LAB/got" "$(url /index.html)" && grep -qi "^server-name: $2" "$LAB/head" ||
			{ cat "$LAB/head"; return 1; }
	done
}

# A server that is killed: the other one answers at once, health checks say so, and it comes back.
server_dies() {
	lab_end nginx-b1
	names 6 b2 && down b1 down && names 4 b2
}

server_returns() {
	hand_nginx 1 "$PUT"
	down b1 up && takes "$RUNG" b1 && pages_again
}

# A host that is off the network, with downloads under way: new ones go to the other one, and nothing hangs for ever.
host_dies() {
	hand_in b1 ip link set dev eth0 down
	names 6 b2 && down b1 down && names 4 b2
}

host_returns() {
	hand_in b1 ip link set dev eth0 up
	hand_in b1 ip -6 addr add 2001:db8::3/64 dev eth0 nodad 2>/dev/null
	down b1 up && takes "$RUNG" b1 && pages_again
}

# An agent that is killed: what is new is taken by other means until it is back.
agent_dies() {
	kill_off back-b1
	many 10
}

agent_returns() {
	hand_back 1 --linger 1s
	takes "$RUNG" b1 && pages_again
}

# --- in mid-download

# The back end that has it.
slow_on() {
	tr -d '\r' <"$LAB/slow.head" | sed -n 's/^[Ss]erver-[Nn]ame: //p'
}

# Its server is killed: the client is told by the server's host, and need not wait for its own patience; what was its is taken away.
server_killed() {
	slow_begins || { echo 'the download did not begin'; return 1; }
	killed=$(slow_on)
	kill_off "nginx-$killed"
	wait $slow
	killed_status=$?
	hand_nginx "${killed#b}" "$PUT"
	case $killed_status in
	18 | 56) ;; # a part of it, or a reset
	*) echo "curl ended with $killed_status"; cat "$LAB/slow.err"; return 1 ;;
	esac
	down "$killed" up && nothing_left && pages_again
}

# address_again NS: what the kernel forgets where a link goes down.
address_again() {
	case $1 in
	client) hand_in client ip -6 addr add $CLIENT6/64 dev eth0 nodad ;;
	front)
		hand_in front ip -6 addr add 2001:db8::2/64 dev eth0 nodad
		hand_in front ip -6 addr add $VIP6/64 dev eth0 nodad
		;;
	*) hand_in "$1" ip -6 addr add "$(hand_address6_of "$1")/64" dev eth0 nodad ;;
	esac 2>/dev/null
}

# gone_for SECONDS NS: off the network for so long.
gone_for() {
	hand_in "$2" ip link set dev eth0 down
	sleep "$1"
	hand_in "$2" ip link set dev eth0 up
	address_again "$2"
}

back_off_and_on() {
	slow_begins || { echo 'the download did not begin'; return 1; }
	off=$(slow_on)
	gone_for 1 "$off"
	slow_ends && down "$off" up && takes "$RUNG" "$off" && pages_again
}

front_off_and_on() {
	slow_begins || { echo 'the download did not begin'; return 1; }
	gone_for 1 front
	slow_ends && down b1 up && down b2 up && works && pages_again
}

# The front end's machine is gone: nothing new is accepted, and what clients send has no way, so what is under way stands still; nobody is told anything wrong.
# With the machine both come back.
front_gone() {
	slow_begins || { echo 'the download did not begin'; return 1; }
	hand_in front ip link set dev eth0 down
	kill_off front
	if lab_in client curl -gsS -o /dev/null --connect-timeout 2 "$(url /index.html)" 2>"$LAB/curl.err" || grep -qi 'refused\|reset' "$LAB/curl.err"; then
		echo 'somebody answers'
		cat "$LAB/curl.err"
		return 1
	fi
	kill -0 $slow || { echo 'the download has ended'; cat "$LAB/slow.err"; return 1; }
	hand_in front ip link set dev eth0 up
	address_again front
	deaths_front
	slow_ends && works && pages_again
}

# --- clients that leave

# say PORT TEXT: the client says this from this port, and keeps the connection.
say() {
	# shellcheck disable=SC2059
	printf "$2" >"$LAB/say.$1"
	lab_start "say$1" client socat -t 60 "GOPEN:$LAB/say.$1,rdonly,ignoreeof!!-" "TCP:$VIP4:80,sourceport=$1,reuseaddr"
}

# Nothing of this port's, or address', leaves the client's host any more.
silence() {
	lab_in client nft -f - <<-NFT
		table inet silent {
			chain out { type filter hook output priority 0;
				$1 counter drop
			}
		}
	NFT
}

# A SYN, and no more: the answer of the client's own kernel is lost.
only_syns() {
	lab_in client ip addr add 192.0.2.77/24 dev eth0
	silence 'ip saddr 192.0.2.77 tcp flags rst'
	lab_in client "$BLIND" 192.0.2.77 7777 $VIP4 80 syn 1000 3 >/dev/null
	nothing_left
}

# By FIN and by RST, at once: behind the handshake, half a head, a whole one, and in the answer.
ends() {
	for ends_by in '' ',linger=0'; do
		for ends_text in '' 'GET / HT' 'GET /big20 HTTP/1.1\r\nHost: a\r\n\r\n'; do
			# shellcheck disable=SC2059
			printf "$ends_text" | lab_in client socat -u - "TCP:$VIP4:80$ends_by" || return 1
		done
	done
	rm -f "$LAB/cut"
	lab_start cut client curl -gsS -m 60 -o "$LAB/cut" "$(url /slow/big20)"
	until_some "$LAB/cut" || return 1
	kill_off cut # what comes later is answered by resets
	nothing_left && pages_again
}

# Not a word more: behind the handshake, half a head, a whole one whose answer is under way.
silences() {
	say 7001 ''
	say 7002 'GET / HT'
	rm -f "$LAB/cut"
	lab_start say7003 client curl -gsS -m 120 --local-port 7003 -o "$LAB/cut" "$(url /slow/big20)"
	until_some "$LAB/cut" || return 1
	silence 'tcp sport 7001-7003'
	nothing_left
	silences_status=$?
	for silent in 7001 7002 7003; do
		kill_off say$silent
	done
	lab_in client nft flush ruleset
	return $silences_status && pages_again
}

# The rungs that it may take are in $LADDER.
deaths_front() {
	hand_front --route 'default b1,b2' --rungs "$LADDER" --check-interval 300ms --check-timeout 300ms --confirm-time 300ms --linger 1s --head-time 2s \
		--journal "$LAB/front.journal" $DEATHS_MORE
}

# deaths RUNG LADDER
deaths() {
	RUNG=$1 LADDER=$2 DEATHS_MORE=
	hand_up
	trap unpin EXIT
	servers
	file_of 20
	# Nobody tells a splice that its server has lost patience.
	[ "$RUNG" != splice ] || DEATHS_MORE='--idle-time 5s'
	for deaths_n in b1 b2; do
		lab_sysctl $deaths_n net.ipv4.tcp_retries2=3
		lab_sysctl $deaths_n net.ipv4.tcp_wmem="4096 65536 262144"
	done
	lab_sysctl client net.ipv4.tcp_rmem="4096 65536 262144" # little of a download is on its way
	HAND_RUNG='' FAMILY=4
	hand_back 1 --linger 1s
	hand_back 2 --linger 1s
	deaths_front
	WHERE="$RUNG: "
	if check 'ready' works; then
		check 'a server dies: another one answers' server_dies
		check 'it returns' server_returns
		check 'a host dies: another one answers' host_dies
		check 'it returns' host_returns
		if [ "$RUNG" != splice ]; then
			check 'an agent dies: its server is reached by other means' agent_dies
			check 'it returns' agent_returns
		fi
		check 'a server is killed in mid-download: its client hears of it' server_killed
		check 'SYNs, and no more' only_syns
		check 'clients that end at any step leave nothing' ends
		check 'clients that fall silent at any step leave nothing' silences
		check 'a back end is off the network in mid-download' back_off_and_on
		check 'the front end is off the network in mid-download' front_off_and_on
		check "the front end's machine is gone in mid-download, and returns" front_gone
	fi
	unpin
}

PARTS=${PARTS:-restarts deaths}
for part in $PARTS; do
	case $part$LIVE in
	restartsall) restarts 'splice shift adopt' '4 6' ;;
	deathsall)
		deaths adopt adopt+shift+splice
		deaths shift shift+splice
		deaths splice splice
		;;
	restarts*) restarts adopt 6 ;;
	deaths*) deaths "${RUNGS:-adopt}" "${LADDER:-adopt+shift+splice}" ;;
	esac
done
exit $FAILED
