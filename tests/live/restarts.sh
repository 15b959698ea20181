#!/bin/sh
# SPDX-License-Identifier: MIT
# The box ends at random moments under load and begins anew: killed, with a journal; asked to end, with a state file.  Every byte of what was
# under way arrives, servers are known at once, and nobody hangs.  SEED=N repeats a run's moments.
# Core: killed three times, merge strict wrap.  All: ten times, killed and asked, hold, merge x gso, strict.
# shellcheck source=tests/live/live.sh
. "$(dirname "$0")/live.sh"

SEED=${SEED:-$(date +%s)}
TIMES=$(all 3 10)
TIMES=${TIMES##* }

with_memory() {
	accel "$mode" "$isn" --$how "$LAB/memory"
}

# Ends as the test says, and at once there is a new one in its place.
anew() {
	if [ "$how" = journal ]; then
		kill -KILL "$(cat "$LAB/box.pid")"
		wait "$(cat "$LAB/box.pid")" 2>/dev/null
		rm -f "$LAB/box.pid"
	else
		lab_stop box
		[ "$(cat "$LAB/box.status")" = 0 ] || { cat "$LAB/box.out"; return 1; }
	fi
	with_memory
}

# N moments between 0.05 and 0.45 s.
moments() {
	awk -v n="$1" -v s="$SEED" 'BEGIN { srand(s); while (n--) printf "%.3f ", 0.05 + 0.4 * rand() }'
}

# down_slowly NAME URL: the large file, its digest in $LAB/NAME.sha.
down_slowly() {
	lab_in client curl -gksS -m 90 --limit-rate 4M "$2/big$((TIMES * 2))" 2>"$LAB/$1.err" | "$PEER" sha >"$LAB/$1.sha"
}

# Pages for as long as the test goes on, each on a connection of its own: one may fail, but it ends, and what comes is right.
visits() {
	visits_n=0 visits_bad=0 visits_got="$LAB/visit$(echo "$1" | tr -dc a-z0-9)"
	while [ -f "$LAB/visiting" ]; do
		visits_n=$((visits_n + 1))
		lab_in client curl -gksS -m 20 -o "$visits_got" "$1" 2>"$visits_got.err"
		case $? in
		0) cmp "$visits_got" "$LAB/www/index.html" || echo 'a wrong page' >>"$LAB/visits.bad" ;;
		28) echo "hung: $(cat "$visits_got.err")" >>"$LAB/visits.bad" ;;
		*) visits_bad=$((visits_bad + 1)) ;;
		esac
	done
	echo "$1: $visits_n visits, $visits_bad reset" >>"$LAB/visits"
}

# The server has all six: what is promised but not joined when the box ends would be reset.
all_joined() {
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		[ "$(lab_in server ss -Htn state established "( sport = :80 or sport = :443 or sport = :9000 )" | wc -l)" -lt 6 ] || return 0
		sleep 0.05
	done
	echo "not all have begun"
	return 1
}

under_load() {
	rm -f "$LAB/visits" "$LAB/visits.bad"
	: >"$LAB/visiting"
	load=
	for under_u in "http://$SERVER4" "https://$SERVER4" "http://[$SERVER6]" "https://[$SERVER6]"; do
		under_n=$(echo "$under_u" | tr -dc 'a-z0-9')
		down_slowly "down$under_n" "$under_u" &
		load="$load $!"
	done
	for under_a in $SERVER4 $SERVER6; do
		lab_in client timeout 90 "$PEER" push $under_a 9000 $((TIMES * 6000000)) >"$LAB/push$under_a" 2>&1 &
		load="$load $!"
	done
	all_joined || return 1
	visits "http://$SERVER4/" &
	guests=$!
	visits "https://[$SERVER6]/" &
	guests="$guests $!"
	for under_m in $(moments "$TIMES"); do
		sleep "$under_m"
		anew || return 1
	done
	under_bad=0
	for under_p in $load; do
		wait "$under_p" || under_bad=1
	done
	rm -f "$LAB/visiting"
	for under_p in $guests; do
		wait "$under_p"
	done
	cat "$LAB/visits" "$LAB"/push* "$LAB"/down*.err
	[ $under_bad = 0 ] && [ ! -s "$LAB/visits.bad" ] || { cat "$LAB/visits.bad"; return 1; }
	for under_p in "$LAB"/down*.sha; do
		cmp "$under_p" "$LAB/big$((TIMES * 2)).sha" || return 1
	done
}

# After the last time: the first SYN to each server is promised.
known() {
	anew || return 1
	for known_u in "http://$SERVER4/" "http://[$SERVER6]/" "https://$SERVER4/"; do
		lab_in client curl -gksS -m 20 -o "$LAB/got" "$known_u" && cmp "$LAB/got" "$LAB/www/index.html" || return 1
	done
	lab_stop box
	[ "$(counter promised)" -ge 3 ] && ! grep -q syn-unlearnt "$LAB/box.out" || { cat "$LAB/box.out"; return 1; }
	with_memory
}

# A connection that says nothing while the box is away, and is heard afterwards.
silent_one() {
	for silent_a in $SERVER4 $SERVER6; do
		lab_start stays client "$PEER" stay $silent_a 9001 1000
		lab_await stays stays 10 || return 1
		anew || return 1
		lab_await stays heard 15 || return 1
		lab_end stays
		for _ in 1 2 3 4 5 6 7 8 9 10; do
			silent_left=$(lab_in server ss -Htn state established sport = :9001)
			[ -n "$silent_left" ] || break
			sleep 0.2
		done
		[ -z "$silent_left" ] || { echo "the server did not hear the end: $silent_left"; return 1; }
	done
}

# Once all have ended nothing is left at the client.
nothing_left() {
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		nothing_now=$(lab_in client ss -Htn state connected exclude time-wait)
		[ -n "$nothing_now" ] || return 0
		sleep 0.5
	done
	echo "left: $nothing_now"
	return 1
}

one() {
	mode=$1 offload=$2 isn=$3 how=$4
	live_up "$offload"
	LIVE_WHERE="$mode-$offload-$isn, $how: "
	lab_sysctl client net.ipv4.tcp_rmem='4096 131072 262144'
	big $((TIMES * 2))
	lab_nginx
	serve sink 9000
	serve echo 9001
	lab_unbridge wire
	lab_wire --delay 5ms --rate-ab 200mbit
	with_memory
	lab_reach
	check 'before' small
	check 'before' small "[$SERVER6]"
	for a in $SERVER4 $SERVER6; do
		check "before, $a" lab_in client timeout 30 "$PEER" chat $a 9001 2
	done
	for t in $(all 1 2); do
		check "under load, ended $TIMES times, $t (SEED=$SEED)" under_load
		SEED=$((SEED + 1))
	done
	check 'one that says nothing' silent_one
	check 'servers are known' known
	check 'nothing left at the client' nothing_left
	check 'no wrong checksum' sums_right
	check 'was at work, ends well' was_at_work_since
	live_down
}

sums_right() {
	[ "$(kernel client InCsumErrors)$(kernel server InCsumErrors)" = 00 ]
}

# The last of them may have had nothing to promise.
was_at_work_since() {
	[ -z "$BASELINE" ] || return 0
	small || return 1
	was_at_work
}

if [ -n "$BASELINE" ]; then
	echo 'skip restarts # a bridge remembers nothing'
	exit 0
fi
if [ -n "${ONE:-}" ]; then
	$ONE
elif [ "$LIVE" = all ]; then
	for h in journal state; do
		for m in hold merge; do
			one $m gso far $h
			one $m strict wrap $h
		done
	done
else
	one merge strict wrap journal
fi
