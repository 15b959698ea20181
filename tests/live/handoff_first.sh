#!/bin/sh
# SPDX-License-Identifier: MIT
# Servers that speak first, and connections on which nobody says anything for longer than a rung may take to be confirmed: all rungs, both families.
set -u
# shellcheck source=tests/live/handoff_case.sh
. "$(dirname "$0")/handoff_case.sh"

HAND_BACKENDS=b1

greeted() {
	lab_in client "$PEER" greeted "$(vip)" 80 20
}

# Neither side says anything for two seconds; then a line goes there and back.
stays() {
	case $FAMILY in
	4) stays_url=telnet://$VIP4:80 ;;
	6) stays_url="telnet://[$VIP6]:80" ;;
	esac
	{ sleep 2; echo hello; sleep 0.5; } | lab_in client curl -gsS -m 3 "$stays_url" >"$LAB/stays" 2>"$LAB/stays.err"
	grep -qx hello "$LAB/stays" || { cat "$LAB/stays" "$LAB/stays.err"; return 1; }
}

# No rung was given up for another one meanwhile.
kept() {
	takes "$1" && [ "$(counted front rung_failed)" = 0 ]
}

rung() {
	HAND_RUNG=$1
	names=b1
	[ "$1" != splice ] || names=b1,b1v6
	hand_front --route "* $names"
	WHERE="$server, $1: "
	check taken takes "$1" || return
	for FAMILY in 4 6; do
		WHERE="$server, $1, IPv$FAMILY: "
		check "$2" "$2"
	done
	WHERE="$server, $1: "
	check 'the rung is kept' kept "$1"
	lab_end front
}

hand_up
hand_back 1
for server in greet echo; do
	hand_start server b1 "$PEER" $server 80
	for r in adopt 'shift' splice; do
		if [ $server = greet ]; then rung $r greeted; else rung $r stays; fi
	done
	lab_end server
done
lab_end back-b1
exit $FAILED
