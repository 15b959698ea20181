#!/bin/sh
# SPDX-License-Identifier: MIT
# examples/echo_tun.c, as its first lines tell to use it: this kernel talks to the echo server over a TUN device.
# shellcheck source=lab/lab.sh
. "$(dirname "$0")/../../lab/lab.sh"

BUILD=${BUILD:-build}
ECHO=$(realpath "$BUILD/examples/echo_tun")
FAILED=0

# check NAME CMD ...: runs it; says how it went.
check() {
	name=$1
	shift
	if "$@" >"$LAB/check.out" 2>&1 && lab_alive echo; then
		echo "ok example: $name"
		return 0
	fi
	echo "not ok example: $name"
	tail -n 20 "$LAB/check.out" "$LAB/echo.out"
	FAILED=1
}

c() {
	lab_in client "$@"
}

up() {
	[ "$(id -u)" = 0 ] || lab_fail "needs root for network namespaces"
	LAB=$(mktemp -d) LAB_MORE=
	trap lab_down EXIT
	trap 'exit 130' HUP INT TERM
	lab_ns client
	head -c 5000000 /dev/urandom >"$LAB/some"
	lab_start echo client "$ECHO" sut0 192.0.2.2/24 7
	tries=100
	until c ip link show dev sut0 >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || { cat "$LAB/echo.out"; lab_fail "there is no device"; }
		sleep 0.05
	done
	c ip addr add 192.0.2.1/24 dev sut0
	c ip link set dev sut0 up
}

# There and back, with the end behind it.
echoes() {
	c timeout 30 nc -N 192.0.2.2 7 <"$LAB/some" | cmp - "$LAB/some"
}

crowd() {
	all=
	for i in 1 2 3 4 5 6 7 8 9 10; do
		echo "line $i" | c timeout 10 nc -N 192.0.2.2 7 >"$LAB/line.$i" &
		all="$all $!"
	done
	for i in $all; do
		wait "$i" || return 1
	done
	cat "$LAB"/line.* | sort -u | wc -l | grep -x 10
}

refused() {
	! c timeout 5 nc -z 192.0.2.2 8
}

# Words that make no sense are an error, not a server.
usage() {
	! c "$ECHO" sut1 192.0.2.2 7 2>"$LAB/usage" && grep . "$LAB/usage" && ! c ip link show dev sut1
}

up
check '5 MB there and back' echoes
check 'ten at once' crowd
check 'another port' refused
check 'what makes no sense' usage
lab_end echo
exit $FAILED
