#!/bin/sh
# SPDX-License-Identifier: MIT
# Back ends with an address of each family, taken in and out by `suture reload` while connections go on; what operators told outlives the process.
set -u

# shellcheck disable=SC2034
HAND_TOP=../
# shellcheck source=lab/handoff_lab.sh
. "$(dirname "$0")/../../lab/handoff_lab.sh"

FAILED=0
MB=24

check() {
	name=$1
	shift
	"$@" >"$LAB/check.out" 2>&1
	status=$?
	if [ $status = 0 ]; then
		echo "ok handoff_reload: $name"
		return 0
	fi
	echo "not ok handoff_reload: $name # exit status $status"
	for f in check front back-b1 back-b2; do
		[ ! -s "$LAB/$f.out" ] || { echo "--- $f:"; tail -n 20 "$LAB/$f.out"; }
	done
	hand_status
	FAILED=1
	return 1
}

FIRST="b1=192.0.2.3:80,[2001:db8::3]:80,agent=192.0.2.3:7000"
SECOND="b2=192.0.2.4:80,[2001:db8::4]:80"

# conf RUNGS BACKEND ...: the file
conf() {
	conf_rungs=$1 conf_list=
	shift
	for conf_b in "$@"; do
		conf_list="$conf_list${conf_list:+, }\"$conf_b\""
	done
	cat >"$LAB/front.conf" <<-CONF
		handoff-front {
			client = "if:eth0"
			vip = {"$VIP4:80", "[$VIP6]:80"}
			own = {192.0.2.2, "2001:db8::2"}
			agents-from = 192.0.2.2
			key-file = "$LAB/key"
			rungs = "$conf_rungs"
			check-interval = 200ms
			linger = 2s
			backend = {$conf_list}
		}
	CONF
}

start_front() {
	hand_start front front "$SUTURE" handoff front --config "$LAB/front.conf" --pins "/sys/fs/bpf/sut$$-front" --at-end remove \
		--state "$LAB/front.state" --control "$LAB/front.sock"
	lab_await front ready 10
}

reload() {
	"$SUTURE" reload --control "$LAB/front.sock"
}

# status_is PATTERN: within ten seconds
status_is() {
	status_tries=100
	until hand_status | grep -q -e "$1"; do
		[ $((status_tries -= 1)) -gt 0 ] || { echo "status has no '$1':"; hand_status; return 1; }
		sleep 0.1
	done
}

status_is_not() {
	status_tries=100
	while hand_status | grep -q -e "$1"; do
		[ $((status_tries -= 1)) -gt 0 ] || { echo "status has '$1':"; hand_status; return 1; }
		sleep 0.1
	done
}

# page FAMILY WHO: that back end answers
page() {
	page_at=$VIP4
	[ "$1" = 4 ] || page_at="[$VIP6]"
	lab_in client curl -gsS -m 5 -D - -o /dev/null "http://$page_at/index.html" | tr -d '\r' >"$LAB/page"
	grep -q "^Server-Name: $2" "$LAB/page" || { cat "$LAB/page"; return 1; }
}

both_families() {
	status_is "^b1 192.0.2.3:80 up .* rung=$1" && status_is "^b1 \[2001:db8::3\]:80 up .* rung=$1" && page 4 b1 && page 6 b1
}

# A download by FAMILY from b1 is slow, so that it is on its way while all changes.
begin() {
	begin_at=$VIP4
	[ "$1" = 4 ] || begin_at="[$VIP6]"
	rm -f "$LAB/got$1"
	lab_start "curl$1" client curl -gsS -m 60 --limit-rate 4M -o "$LAB/got$1" "http://$begin_at/big"
	begin_tries=100
	until [ -s "$LAB/got$1" ]; do
		[ $((begin_tries -= 1)) -gt 0 ] || return 1
		sleep 0.1
	done
}

ended() {
	wait "$(cat "$LAB/curl$1.pid")" && cmp "$LAB/got$1" "$LAB/www/big"
}

taken_out() {
	begin 4 && begin 6 || return 1
	conf adopt+shift+splice "$SECOND"
	reload || return 1
	hand_status | grep -q '^b1 192.0.2.3:80 removed .* conns=1 ' && hand_status | grep -q '^b1 \[2001:db8::3\]:80 removed .* conns=1 ' ||
		{ hand_status; return 1; }
	status_is "^b2 192.0.2.4:80 up .* rung=splice" && status_is "^b2 \[2001:db8::4\]:80 up .* rung=splice" &&
		page 4 b2 && page 6 b2 && ended 4 && ended 6 && status_is_not '^b1 '
}

taken_in() {
	conf adopt+shift+splice "$FIRST" "$SECOND,weight=0"
	reload && status_is "^b1 192.0.2.3:80 up .* rung=adopt" && status_is "^b1 \[2001:db8::3\]:80 up .* rung=adopt" && page 4 b1 && page 6 b1
}

# Its connections are there again, as if nothing had been.
taken_back() {
	begin 4 || return 1
	conf adopt+shift+splice "$SECOND"
	reload || return 1
	conf adopt+shift+splice "$FIRST" "$SECOND,weight=0"
	reload && status_is "^b1 192.0.2.3:80 up .* conns=1 rung=adopt" && ended 4
}

bad_file() {
	conf adopt+shift+splice "$FIRST" "$SECOND" "b3=192.0.2.5"
	reload 2>"$LAB/why" && return 1
	grep -q "front.conf:10: backend b3: '192.0.2.5': expected an address with a port.*; nothing is changed" "$LAB/why" || { cat "$LAB/why"; return 1; }
	page 4 b1
}

rungs() {
	conf splice "$FIRST" "$SECOND,weight=0"
	reload && both_families splice
}

ask() {
	"$SUTURE" handoff "$1" --control "$LAB/front.sock" "$2" ${3:+"$3"}
}

outlives() {
	conf adopt+shift+splice "$FIRST" "$SECOND"
	reload && ask weight b2 7 && ask drain b1 || return 1
	lab_stop front
	start_front && status_is '^b1 192.0.2.3:80 draining ' && status_is '^b2 192.0.2.4:80 up weight=7 ' && status_is '^b2 .* rung=splice' &&
		page 4 b2 && reload && status_is '^b2 192.0.2.4:80 up weight=1 ' && status_is '^b1 192.0.2.3:80 draining '
}

hand_up
head -c $((MB * 1048576)) /dev/urandom >"$LAB/www/big"
hand_nginx 1
hand_nginx 2
hand_back 1
conf adopt+shift+splice "$FIRST"
start_front || exit 1
check "one name, both families" both_families adopt
check "a back end is taken out while it answers" taken_out
check "and in again" taken_in
check "and back, before it is empty" taken_back
check "a bad file changes nothing" bad_file
check "other rungs" rungs
check "what was told outlives the process" outlives
exit $FAILED
