#!/bin/sh
# SPDX-License-Identifier: MIT
# Parts of a hand-off that die, and come back: the front end, agents, servers, a whole host.  What was given away goes on; what comes new works again.
set -u
# shellcheck source=tests/live/handoff_case.sh
. "$(dirname "$0")/handoff_case.sh"
FRONT_MAY_BE_GONE=yes
RATE=2M

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

# A slow download in the background; its digest is looked at by slow_ends.
slow_begins() {
	file_of 5
	rm -f "$LAB/slow"
	PATIENCE=40 get --limit-rate $RATE -o "$LAB/slow" "$(url /big5)" 2>"$LAB/slow.err" &
	slow=$!
	slow_tries=50
	until [ -s "$LAB/slow" ]; do
		slow_tries=$((slow_tries - 1))
		[ $slow_tries -gt 0 ] || return 1
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

ways() {
	bpftool map dump pinned "/sys/fs/bpf/sut$$-$1/ways" 2>/dev/null | grep -c '"key"'
}

# empty NS ...: nothing is left in the kernel there of what is over.
empty() {
	empty_tries=200
	while :; do
		empty_n=0
		for empty_ns; do
			empty_n=$((empty_n + $(ways "$empty_ns")))
		done
		[ $empty_n != 0 ] || return 0
		empty_tries=$((empty_tries - 1))
		[ $empty_tries -gt 0 ] || break
		sleep 0.1
	done
	for empty_ns; do
		echo "$empty_ns: $(ways "$empty_ns") ways"
	done
	return 1
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
			# Of whom a killed agent has not heard, the front end asks three times a quarter of a minute apart.
			[ "$FAMILY" = 6 ] && [ "$2" != 6 ] || no_way_left front b1 b2
			check 'both agents are killed' lives back-b1 back-b2
			no_way_left b1 b2
		done
		for FAMILY in $2; do
			WHERE="$RUNG, IPv$FAMILY: "
			check 'the front end is killed in mid-download' lives front
			check 'all three are killed' lives front back-b1 back-b2
			no_way_left b1 b2
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
	down b1 up && takes "$RUNG" b1 && pages
}

# A host that is off the network, with downloads under way: new ones go to the other one, and nothing hangs for ever.
host_dies() {
	hand_in b1 ip link set dev eth0 down
	names 6 b2 && down b1 down && names 4 b2
}

host_returns() {
	hand_in b1 ip link set dev eth0 up
	hand_in b1 ip -6 addr add 2001:db8::3/64 dev eth0 nodad 2>/dev/null
	down b1 up && takes "$RUNG" b1 && pages
}

agent_dies() {
	kill_off back-b1
	many 10
}

agent_returns() {
	back_again 1
	takes "$RUNG" b1 && pages
}

deaths() {
	for RUNG in $1; do
		hand_up
		servers
		HAND_RUNG='' FAMILY=4
		hand_back 1 --linger 1s
		hand_back 2 --linger 1s
		hand_front --route 'default b1,b2' --rungs "$2" --check-interval 300ms --check-timeout 300ms --confirm-time 300ms --linger 1s
		WHERE="$RUNG: "
		check 'ready' works
		check 'a server dies: another one answers' server_dies
		check 'it returns' server_returns
		check 'a host dies: another one answers' host_dies
		check 'it returns' host_returns
		lab_down
	done
}

case $LIVE in
all)
	restarts 'splice shift adopt' '4 6'
	deaths adopt adopt+shift+splice
	deaths shift shift+splice
	deaths splice splice
	;;
*)
	restarts adopt 6
	deaths adopt adopt+shift+splice
	;;
esac
exit $FAILED
