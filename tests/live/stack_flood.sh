#!/bin/sh
# SPDX-License-Identifier: MIT
# A flood of SYNs from forged sources straight into the TUN device of "suture serve": memory stays as it is, and everyone else is served.
# shellcheck source=lab/lab.sh
. "$(dirname "$0")/../../lab/lab.sh"

PEER=${PEER:-build/tests/live/peer}
LIVE=${LIVE:-core}
FLOOD=${FLOOD:-$(dirname "$PEER")/flood}
if [ "$LIVE" = all ]; then LASTS=${FLOOD_SECONDS:-10}; else LASTS=${FLOOD_SECONDS:-5}; fi
OURS4=192.0.2.2 OURS6=2001:db8::2
FAILED=0 WHERE='stack, flood: '

check() {
	name=$1
	shift
	if "$@" >"$LAB/check.out" 2>&1 && lab_alive serve; then
		echo "ok $WHERE$name"
		[ -z "${SAY:-}" ] || sed 's/^/   /' "$LAB/check.out"
		return 0
	fi
	echo "not ok $WHERE$name"
	tail -n 20 "$LAB/check.out"
	lab_alive serve || tail -n 20 "$LAB/serve.out"
	FAILED=1
}

resident() {
	awk '/^VmRSS:/ { print $2 }' "/proc/$(cat "$LAB/serve.pid")/status"
}

# A counter of the stack.
count() {
	"$SUTURE" stats --control "$LAB/ctl" | awk -v n="$1" '$1 == "stack" && $2 == n { print $3 }'
}

# A page every 100 ms for as long as the flood lasts, each on a connection of its own.  SYNs that find the device's queue full are lost
# there, and come again: that is slow, and no failure.
flooded() {
	lab_start flood client "$FLOOD" sut0 "$LASTS" "$1" 80 -
	n=0 bad=0
	while lab_alive flood; do
		n=$((n + 1))
		lab_in client curl -gsS -m 40 -o "$LAB/visit" "$2" && cmp -s "$LAB/visit" "$LAB/www/index.html" || bad=$((bad + 1))
		sleep 0.1
	done
	lab_end flood
	cat "$LAB/flood.out"
	echo "$n visits, $bad failed"
	[ $n -ge 1 ] && [ $bad = 0 ]
}

# What was there before the first visit, and buffers that were touched since.
memory() {
	after=$(resident)
	echo "resident: $before KB before, $after KB after; $(count cookies_sent) cookies sent, $(count cookies_taken) taken"
	[ $((after - before)) -le 8192 ]
}

at_work() {
	sent=$(count cookies_sent)
	echo "$sent cookies sent"
	[ "${sent:-0}" -gt 10000 ]
}

[ "$(id -u)" = 0 ] || lab_fail "needs root for network namespaces"
LAB=$(mktemp -d) LAB_MORE=
trap lab_down EXIT
trap 'exit 130' HUP INT TERM
chmod 755 "$LAB"
lab_ns client
mkdir -p "$LAB/www"
seq 500 >"$LAB/www/index.html"
lab_start serve client "$SUTURE" serve --tun sut0 --addr $OURS4/24 --addr $OURS6/64 --port 80 http "$LAB/www" --control "$LAB/ctl"
lab_await serve 'ready: ' 10 || exit 1
check 'before' lab_in client curl -gsS -m 10 -o "$LAB/visit" http://$OURS4/
before=$(resident)
check 'everyone else is served' flooded $OURS4 http://$OURS4/
[ "$LIVE" != all ] || check 'everyone else is served, IPv6' flooded $OURS6 "http://[$OURS6]/"
check 'memory' memory
check 'cookies were needed' at_work
check 'afterwards' lab_in client curl -gsS -m 10 -o "$LAB/visit" "http://[$OURS6]/"
exit $FAILED
