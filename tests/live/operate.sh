#!/bin/sh
# SPDX-License-Identifier: MIT
# What operators ask a running box: its connections, its counters, to take no new ones.
# shellcheck source=tests/live/live.sh
. "$(dirname "$0")/live.sh"

ctl() {
	"$SUTURE" "$@" --control "$LAB/ctl"
}

# A connection that stays open for the time of the test.
chatting() {
	lab_start chat client "$PEER" chat $SERVER4 9001 100000000
	sleep 0.5
	lab_alive chat
}

listed() {
	ctl flows >"$LAB/flows" && grep -E "^192\.0\.2\.1\.[0-9]+ +192\.0\.2\.2\.9001 +hold +OPEN +[0-9]+ +[0-9]+ +0 " "$LAB/flows" &&
		head -n 1 "$LAB/flows" | grep -q '^NEAR .* STATE '
}

listed_json() {
	ctl flows --json >"$LAB/flows.json" &&
		grep -E '^\{"src":"192\.0\.2\.1","sport":[0-9]+,"dst":"192\.0\.2\.2","dport":9001,"mode":"hold","state":"OPEN","shift_near":0,' "$LAB/flows.json"
}

counted() {
	ctl stats >"$LAB/stats" && awk '$1 == "promised" && $2 > 0 { found = 1 } END { exit !found }' "$LAB/stats" &&
		ctl stats --json >"$LAB/stats.json" && grep -q '^{"role":"accel-near","events":{.*"promised":' "$LAB/stats.json" &&
		[ "$(wc -l <"$LAB/stats.json")" = 1 ]
}

drained() {
	ctl drain | tee "$LAB/drain" | grep -q '^1 connection needs it still$' || { cat "$LAB/drain"; return 1; }
	drained_was=$(ctl stats | awk '$1 == "promised" { print $2 }')
	small && [ "$(ctl stats | awk '$1 == "promised" { print $2 }')" = "$drained_was" ] && lab_alive chat
}

undrained() {
	ctl drain --off && small && [ "$(ctl stats | awk '$1 == "promised" { print $2 }')" -gt "$drained_was" ]
}

ends() {
	ctl drain --end || return 1
	sleep 0.5
	lab_alive box && lab_alive chat || { echo "it did not wait for its last connection"; return 1; }
	ctl drain || return 1 # a question; it still ends
	lab_end chat
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		lab_alive box || break
		sleep 0.2
	done
	! lab_alive box && grep -q 'drained: no connection is left' "$LAB/box.out"
}

# The counters over HTTP, in the box's namespace.
scraped() {
	lab_in box curl -sS -m 5 "http://127.0.0.1:9100/metrics" >"$LAB/metrics" &&
		awk '$1 == "suture_promised_total" && $2 > 0 { n++ }
			$1 ~ /^suture_flows{state="OPEN"}/ && $2 > 0 { n++ }
			$1 ~ /^suture_port_rx_total{port="client",device="if:/ && $2 > 0 { n++ }
			$1 == "suture_flows_complete" && $2 == 1 { n++ }
			END { exit n != 4 }' "$LAB/metrics" && [ "$(lab_in box curl -sS -m 5 http://127.0.0.1:9100/healthz)" = ok ]
}

# What moves while a page is fetched.
watched() {
	ctl top --once --interval 1s --json >"$LAB/top.json" &
	watched_pid=$!
	sleep 0.3
	small || return 1
	wait "$watched_pid" && [ "$(wc -l <"$LAB/top.json")" = 1 ] && cat "$LAB/top.json" &&
		grep -q '^{"role":"accel-near","seconds":1\.[0-9]*,"ports":{"client":{.*"tx_bytes":[0-9.]*.*"connections":\[{"src":"192.0.2.1",.*"far":[1-9]' "$LAB/top.json" &&
		ctl top --once --interval 100ms >"$LAB/top" && grep -q '^client .*if:' "$LAB/top"
}

# The box's settings.
settings() {
	printf '%s\n' "accel-near { mode = hold stats = yes $1 }" >"$LAB/conf"
}

# A limit is changed below a living connection: it goes on, and still says how much came from either end.
reloaded() {
	settings 'max-flows = 1000 idle-time = 1h'
	ctl reload >"$LAB/reload" || return 1
	cat "$LAB/reload"
	grep -q '^max-flows: 256k -> 1000$' "$LAB/reload" && grep -q '^2 settings changed; .*: [1-9][0-9]* connections* came over, [0-9]* not joined yet' "$LAB/reload" &&
		sleep 0.5 && lab_alive chat && listed && small && ctl stats >"$LAB/stats" &&
		awk '$1 == "promised" && $2 > 1 { found = 1 } END { exit !found }' "$LAB/stats"
}

# No room for what lives: all stays as it is.
not_reloaded() {
	settings 'max-flows = 1000 idle-time = 1h mode = nope'
	! ctl reload 2>"$LAB/reload" && grep -q "$LAB/conf:1: mode: .nope" "$LAB/reload" && lab_alive chat && small
}

# A device that is smaller than the frames: what is dropped there is said, once.
too_long() {
	lab_in box ip link set $BOX_S mtu 1000
	for _ in 1 2; do
		lab_in client ping -q -c 3 -i 0.2 -W 1 -s 1300 -M 'do' $SERVER4 >/dev/null
		sleep 1.5
	done
	lab_in box ip link set $BOX_S mtu 1500
	[ "$(grep -c "if:$BOX_S: frames are too long for it, and dropped" "$LAB/box.out")" = 1 ] || { cat "$LAB/box.out"; return 1; }
}

LAB_WIRE=no
live_up gso
LIVE_WHERE='operate: '
lab_nginx
serve echo 9001
settings ""
accel hold far --control "$LAB/ctl" --config "$LAB/conf" --metrics 9100
lab_reach
check 'pages' small
check 'a first connection, that teaches' chat $SERVER4 9001
check 'a connection that stays' chatting
check 'flows' listed
check 'flows, JSON' listed_json
check 'stats' counted
check 'metrics' scraped
check 'top' watched
check 'reload' reloaded
check 'reload of what is wrong' not_reloaded
check 'frames that are too long' too_long
check 'drain' drained
check 'drain off' undrained
live_mode=none
check 'drain, then end' ends
live_down
exit $LIVE_FAILED
