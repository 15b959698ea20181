#!/bin/sh
# SPDX-License-Identifier: MIT
# handoff_test.sh SUTURE - what front ends and agents say of wrong settings, and settings read anew; without privilege.
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

# tell ARG...: a command that says nothing where it is well
tell() {
	"$suture" handoff "$@" >"$dir/out" 2>&1 && [ ! -s "$dir/out" ] || { echo "not ok: $*"; sed "s/^/    /" "$dir/out"; bad=1; }
}

# --- settings read anew

# conf TEXT: the file; nobody is asked whether it serves
conf() {
	printf 'handoff-front {\nclient = "qemu:listen:unix:%s/a" plane = user check-interval = 0\nvip = {"192.0.2.10:80", "[2001:db8::10]:80"}\n%s\n}\n' "$dir" "$1" >"$dir/conf"
}

reload="$suture reload --control $dir/c"
ask="$suture handoff"
conf 'backend = {"web1=192.0.2.21:80,[2001:db8::21]:80", "web2=192.0.2.22:80"}'
start "$suture" handoff front --config "$dir/conf" --control "$dir/c" --state "$dir/state"
expect 0 out '^web1 192.0.2.21:80 up weight=1 conns=0 rung=none' $ask status --control "$dir/c"
said '^web1 \[2001:db8::21\]:80 up weight=1'
said '^web2 192.0.2.22:80 up weight=1'
tell weight --control "$dir/c" web2 9
expect 0 out '^0 settings changed$' $reload
expect 0 out '^web2 192.0.2.22:80 up weight=1 ' $ask status --control "$dir/c"
tell drain --control "$dir/c" web1
conf 'backend = {"web1=192.0.2.21:80,[2001:db8::21]:80,weight=3", "web3=192.0.2.23:80"} route = {"*.example web3", "default web1,web3 by source"} check-path = "/up" check-rise = 5 rungs = splice'
expect 0 out '^5 settings changed$' $reload
said '^backend: .* -> .*web1=192.0.2.21:80,\[2001:db8::21\]:80,weight=3'
said '^route:  -> \*\.example web3,default web1,web3 by source$'
said '^check-path:  -> /up$'
said '^rungs: adopt+shift+splice -> splice$'
expect 0 out '^web3 192.0.2.23:80 up weight=1 ' $ask status --control "$dir/c"
said '^web1 192.0.2.21:80 draining weight=3 '
if grep -q '^web2' "$dir/out"; then
	echo 'not ok: web2 is still there'
	bad=1
fi

# A file that is wrong changes nothing, and what is wrong is named with its line.
expect 0 out '^0 settings changed$' $reload
conf 'backend = {"web1=192.0.2.21:80,weight=5",
"web3=192.0.2.23"}'
expect 1 err "$dir/conf:5: backend web3: '192.0.2.23': expected an address with a port.*; nothing is changed" $reload
conf 'backend = {"web1=192.0.2.21:80,weight=5"}
route = {"default web1",
"*.example web1,web9"}'
expect 1 err "$dir/conf:6: route .*: no back end has this name: \"web9\"; nothing is changed" $reload
conf 'backend = {"web1=192.0.2.21:80", "web1=192.0.2.22:80"}'
expect 1 err "$dir/conf:4: backend: 'web1' is given twice.*; nothing is changed" $reload
conf 'backend = "web1=192.0.2.21:80"
check-path = "up"'
expect 1 err "$dir/conf:5: check-path: 'up'.*; nothing is changed" $reload
conf 'backend = "web1=192.0.2.21:80,agent=192.0.2.21:4510"'
expect 1 err 'key-file FILE is missing.*; nothing is changed' $reload
expect 0 out '^web1 192.0.2.21:80 draining weight=3 ' $ask status --control "$dir/c" web1
said '^web1 \[2001:db8::21\]:80 draining weight=3 '

# What is read at the start.
printf 'handoff-front { client = "qemu:listen:unix:%s/a" plane = user check-interval = 0 vip = "192.0.2.11:80" backend = "web1=192.0.2.21:80" }' "$dir" >"$dir/conf"
expect 1 err 'cannot change while it runs: vip; nothing is changed (a restart takes it)' $reload

# What was told outlives the process, and counts more than the file then.
tell weight --control "$dir/c" web3 7
stop
conf 'backend = {"web1=192.0.2.21:80,weight=3", "web3=192.0.2.23:80"}'
start "$suture" handoff front --config "$dir/conf" --control "$dir/c" --state "$dir/state"
expect 0 out '^web1 192.0.2.21:80 draining weight=3 ' $ask status --control "$dir/c"
said '^web3 192.0.2.23:80 up weight=7 '
stop

[ $bad -eq 0 ] && echo 'ok'
exit $bad
