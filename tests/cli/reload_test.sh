#!/bin/sh
# SPDX-License-Identifier: MIT
# reload_test.sh SUTURE - settings read anew while a role runs; without privilege.
set -u
suture=$1
dir=$(mktemp -d) || exit 1
pid=
bad=0

clean_up() {
	trap - EXIT
	[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null
	wait 2>/dev/null
	rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

# expect CODE STREAM PATTERN COMMAND...: runs the command and looks for PATTERN in its output or its errors
expect() {
	code=$1 stream=$2 pattern=$3
	shift 3
	"$@" >"$dir/out" 2>"$dir/err"
	got=$?
	if [ "$got" -ne "$code" ] || ! grep -q -e "$pattern" "$dir/$stream"; then
		echo "not ok: $*: exit $got (expected $code), expected '$pattern' in $stream:"
		sed 's/^/    /' "$dir/out" "$dir/err"
		bad=1
	fi
}

# said PATTERN: in the output of the command before
said() {
	grep -q -e "$1" "$dir/out" || { echo "not ok: '$1' was not said:"; sed "s/^/    /" "$dir/out"; bad=1; }
}

# start COMMAND...: runs the command behind, until it is ready; its process is $pid
start() {
	: >"$dir/log"
	"$@" >"$dir/log" 2>&1 &
	pid=$!
	tries=0
	until grep -q 'ready:' "$dir/log"; do
		tries=$((tries + 1))
		if [ $tries -gt 200 ] || ! kill -0 "$pid" 2>/dev/null; then
			echo "not ok: not ready: $*"
			sed 's/^/    /' "$dir/log"
			exit 1
		fi
		sleep 0.05
	done
}

stop() {
	kill -TERM "$pid"
	wait "$pid"
	code=$?
	pid=
	[ $code -eq 0 ] || { echo "not ok: exit $code"; sed 's/^/    /' "$dir/log"; bad=1; }
}

reload="$suture reload --control $dir/c"
ports="client = \"qemu:listen:unix:$dir/a\" server = \"qemu:listen:unix:$dir/b\""

# conf TEXT: the file, with both ports
conf() {
	printf 'accel-near {\n%s\n%s\n}\n' "$ports" "$1" >"$dir/conf"
}

conf ''
start "$suture" accel near --config "$dir/conf" --control "$dir/c" --syn-timeout 30s

expect 0 out '^0 settings changed$' $reload
conf 'mode = merge idle-time = 1h ports = {80, "8000-8999"} syn-timeout = 9s quiet = no stats = yes'
expect 0 out '^4 settings changed$' $reload
said '^mode: auto -> merge$'
said '^idle-time: 125min -> 1h$'
said '^ports: 80,443,8080,8443 -> 80,8000-8999$'
said '^stats: no -> yes$'
expect 0 out '^{"changed":0}$' $reload --json
conf 'mode = hold idle-time = 1h ports = {80, "8000-8999"} syn-timeout = 9s quiet = no stats = yes'
expect 0 out '^{"setting":"mode","was":"merge","is":"hold"}$' $reload --json
said '^{"changed":1}$'
conf 'mode = merge idle-time = 1h ports = {80, "8000-8999"} syn-timeout = 9s quiet = no stats = yes'
expect 0 out '^1 setting changed$' $reload
expect 0 out '^0 settings changed$' $reload
grep -q 'reload: mode: auto -> merge' "$dir/log" || { echo 'not ok: the log does not say it'; bad=1; }

# A file that is wrong changes nothing, not even what is right in it.
conf 'mode = hold
idle-time = 1'
expect 1 err "$dir/conf:4: idle-time: '1' is not a time with its unit.*; nothing is changed" $reload
conf 'mode = hold merge-hold = 2s'
expect 1 err 'merge-hold must be above 0 and at most 1s' $reload
conf 'nope = 1'
expect 1 err "unknown setting 'nope'; known are .*; nothing is changed" $reload
printf 'accel-near {' >"$dir/conf"
expect 1 err "$dir/conf:1: this has no closing brace" $reload
rm "$dir/conf"
expect 1 err "$dir/conf: No such file" $reload
conf 'mode = merge idle-time = 1h ports = {80, "8000-8999"} stats = yes'
expect 0 out '^0 settings changed$' $reload

# What cannot change.
conf "mode = hold trace-pcap = \"$dir/t\""
expect 1 err 'cannot change while it runs: trace-pcap; nothing is changed' $reload
printf 'accel-near { client = "qemu:listen:unix:%s/x" server = "qemu:listen:unix:%s/b" }' "$dir" "$dir" >"$dir/conf"
expect 1 err 'cannot change while it runs: client; nothing is changed' $reload

# A limit: memory is laid out anew, and a drain goes on.
"$suture" drain --control "$dir/c" >/dev/null
conf 'mode = merge idle-time = 1h ports = {80, "8000-8999"} stats = yes max-flows = 1000'
expect 0 out '^1 setting changed; memory was laid out anew: 0 connections came over' $reload
said '^max-flows: 256k -> 1000$'
stop
grep -q 'counters of accel-near' "$dir/log" || { echo 'not ok: stats = yes has no effect'; bad=1; }

# Without a file, and roles that cannot.
start "$suture" accel near --client "qemu:listen:unix:$dir/a" --server "qemu:listen:unix:$dir/b" --control "$dir/c"
expect 1 err 'no --config was given' $reload
stop
printf 'delay = 1ms\n' >"$dir/conf"
start "$suture" wire "qemu:listen:unix:$dir/a" "qemu:listen:unix:$dir/b" --config "$dir/conf" --control "$dir/c"
printf 'delay-ab = 5ms\nloss = 1%%\n' >"$dir/conf"
expect 0 out '^3 settings changed$' $reload
said '^delay: 1ms -> 0$'
said '^loss: 0 -> 1%$'
said '^delay-ab:  -> 5ms$'
expect 0 out '^{"role":"wire","seconds":0.1.*"ports":{"a":{"device":"qemu:' "$suture" top --control "$dir/c" --once --json --interval 100ms
expect 0 out '(of 0 connections)' "$suture" top --control "$dir/c" --once --interval 100ms
printf 'memory = 1M\n' >"$dir/conf"
expect 1 err 'wire cannot change this while it runs' $reload
stop
printf 'idle-time = 1h primary = "qemu:listen:unix:%s/a" secondary = "qemu:listen:unix:%s/b"' "$dir" "$dir" >"$dir/conf"
start "$suture" replica rewrite --config "$dir/conf" --control "$dir/c"
sed -i 's/1h/2min/' "$dir/conf"
expect 0 out '^idle-time: 1h -> 2min$' $reload
echo ' max-flows = 5' >>"$dir/conf"
expect 1 err 'replica-rewrite cannot change this while it runs' $reload
stop
printf 'primary-in = "qemu:listen:unix:%s/a" secondary-in = "qemu:listen:unix:%s/b" out = "qemu:listen:unix:%s/o"' "$dir" "$dir" "$dir" >"$dir/conf"
start "$suture" replica compare --config "$dir/conf" --control "$dir/c"
echo ' compare-timeout = 500' >>"$dir/conf"
expect 0 out '^compare-timeout: 3s -> 500ms$' $reload
echo ' hold-cells = 5' >>"$dir/conf"
expect 1 err 'replica-compare cannot change this while it runs' $reload
stop
expect 2 err '--control PATH is missing' "$suture" reload
expect 1 err "top: $dir/c: there is no such socket" "$suture" top --control "$dir/c"
expect 2 err '--interval: .*out of range' "$suture" top --control "$dir/c" --interval 1ms

[ $bad -eq 0 ] && echo 'ok'
exit $bad
