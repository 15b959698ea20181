#!/bin/sh
# SPDX-License-Identifier: MIT
# control_test.sh SUTURE - commands to running instances at their control sockets, and state from one run to the next; without privilege.
set -u
suture=$1
dir=$(mktemp -d) || exit 1
pids=
others=
bad=0

clean_up() {
	trap - EXIT
	for pid in $pids; do
		kill -9 "$pid" 2>/dev/null
	done
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

# check WHAT COMMAND...: the command must succeed
check() {
	what=$1
	shift
	"$@" || { echo "not ok: $what"; bad=1; }
}

# start LOG COMMAND...: runs the command behind, until it is ready; its process is $pid
start() {
	log=$1
	shift
	: >"$log"
	"$@" >"$log" 2>&1 &
	pid=$!
	pids="$pid $others"
	tries=0
	until grep -q 'ready:' "$log"; do
		tries=$((tries + 1))
		if [ $tries -gt 200 ] || ! kill -0 "$pid" 2>/dev/null; then
			echo "not ok: not ready: $*"
			sed 's/^/    /' "$log"
			exit 1
		fi
		sleep 0.05
	done
}

# stop SIGNAL: ends $pid, and returns its exit code
stop() {
	kill "-$1" "$pid"
	wait "$pid" 2>/dev/null
	code=$?
	pids=
	return $code
}

rewrite="$suture replica rewrite --primary qemu:listen:unix:$dir/p --secondary qemu:listen:unix:$dir/s"

# The commands of the replica.
start "$dir/log" $rewrite --control "$dir/c"
check 'mode 0600' test -n "$(find "$dir/c" -type s -perm 0600)"
expect 0 out '' "$suture" replica checkpoint --control "$dir/c"
expect 0 out 'failed over' "$suture" replica failover --control "$dir/c"
expect 1 err 'replica checkpoint: .*dead' "$suture" replica checkpoint --control "$dir/c"
check 'the log tells of a stream without a peer' grep -q 'qemu:listen:.*: has no peer yet: waiting for it' "$dir/log"
check 'the log tells of the failover, once' test "$(grep -c 'failed over: the primary is dead; 0 connections live on' "$dir/log")" = 1

# A second instance at the same path is refused before it opens anything; the first one goes on.
expect 1 err "$dir/c: a running suture listens" "$suture" replica rewrite \
	--primary "qemu:listen:unix:$dir/p2" --secondary "qemu:listen:unix:$dir/s2" --control "$dir/c"
check 'no port of the second one' test ! -e "$dir/p2"
expect 0 out 'failed over\|already' "$suture" replica failover --control "$dir/c"

# Somebody else has locked the folder: that keeps nobody waiting.
mkdir "$dir/locked"
first=$pid
flock -F "$dir/locked" sleep 100 &
locker=$! others="$first $!"
start "$dir/log2" "$suture" replica rewrite --primary "qemu:listen:unix:$dir/p3" --secondary "qemu:listen:unix:$dir/s3" \
	--control "$dir/locked/c"
stop TERM
kill $locker; others=
pid=$first
pids=$first

# One that does not answer.
kill -STOP "$pid"
expect 1 err "$dir/c: no answer within 5 s" "$suture" replica failover --control "$dir/c"
kill -CONT "$pid"

# The socket goes with its process; one that is killed leaves it, and the next one replaces it.
stop TERM
check 'exit code 0 after SIGTERM' test $? -eq 0
check 'socket removed' test ! -e "$dir/c"
expect 1 err "$dir/c: there is no such socket" "$suture" replica failover --control "$dir/c"
# More signals than one, while it cleans up, do not keep it from that.
start "$dir/log" $rewrite --control "$dir/c"
while [ -e "/proc/$pid/exe" ]; do
	kill -TERM "$pid" 2>/dev/null
done
wait "$pid" 2>/dev/null
pids=
check 'socket removed, whoever hurries' test ! -e "$dir/c"
# Who looks on is told that it has died.
start "$dir/log" $rewrite --control "$dir/c"
"$suture" top --json --interval 100ms --control "$dir/c" >"$dir/top" 2>"$dir/top.err" &
top=$!
until [ -s "$dir/top" ] || ! kill -0 "$top" 2>/dev/null; do
	sleep 0.05
done
stop KILL
rm -f "$dir/p" "$dir/s"
wait "$top"
check 'top ends with 1' test $? -eq 1
check 'top says why' grep -q 'top: .*/c: \(the suture that listened there has ended\|the answer broke off\)' "$dir/top.err"
start "$dir/log" $rewrite --control "$dir/c"
stop KILL
expect 1 err "$dir/c: nobody listens" "$suture" replica failover --control "$dir/c"
rm -f "$dir/p" "$dir/s"
start "$dir/log" $rewrite --control "$dir/c"
expect 0 out 'failed over' "$suture" replica failover --control "$dir/c"
stop TERM

# A role without commands, and what is no control socket.
start "$dir/log" "$suture" accel near --client "qemu:listen:unix:$dir/a" --server "qemu:listen:unix:$dir/b" --control "$dir/c"
expect 1 err "unknown command 'failover'" "$suture" replica failover --control "$dir/c"
expect 1 err "$dir/a: the answer broke off" "$suture" replica failover --control "$dir/a"
expect 1 err "$dir/log: that is no socket" "$suture" replica failover --control "$dir/log"
expect 1 err "$dir: that is no socket" "$suture" flows --control "$dir"
expect 1 err 'there is no such socket' "$suture" flows --control "$dir/log/c"
expect 0 out '^{"connections":0}$' "$suture" drain --json --control "$dir/c"
expect 0 out '^0 connections need it still' "$suture" drain --off --control "$dir/c"
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	chmod 755 "$dir"
	expect 1 err "$dir/c: permission is refused: " setpriv --reuid 65534 --clear-groups "$suture" stats --control "$dir/c"
fi
expect 2 err '--control PATH is missing' "$suture" replica failover
expect 2 err 'cannot be the path' "$suture" replica failover --control ''
stop TERM

# State: one connection, seen in captures, goes into the file; the next run begins with it, the one behind that without.

# sum WORD...: the Internet checksum of 16-bit words in hexadecimal
sum() {
	total=0
	for word in "$@"; do
		total=$((total + 0x$word))
	done
	total=$(((total & 0xffff) + (total >> 16)))
	printf '%04x' $((~((total & 0xffff) + (total >> 16)) & 0xffff))
}

# bytes WORD...: writes the words
bytes() {
	for word in "$@"; do
		# The format is made of what is to be written.
		# shellcheck disable=SC2059
		printf "\\$(printf '%03o' $((0x$word >> 8)))\\$(printf '%03o' $((0x$word & 255)))"
	done
}

# segment SECOND SRC DST PORTS SEQ ACK FLAGS: a record of a capture with a TCP segment; all but SECOND are words ("c000 0201")
segment() {
	printf "\\$(printf '%03o' "$1")\000\000\000\000\000\000\000\066\000\000\000\066\000\000\000"
	bytes 0200 0000 0002 0200 0000 0001 0800
	# shellcheck disable=SC2086 # words
	bytes 4500 0028 0001 4000 4006 "$(sum 4500 0028 0001 4000 4006 $2 $3)" $2 $3
	# shellcheck disable=SC2086
	bytes $4 $5 $6 "50$7" faf0 "$(sum $2 $3 0006 0014 $4 $5 $6 "50$7" faf0)" 0000
}
header() {
	printf '\324\303\262\241\002\000\004\000\000\000\000\000\000\000\000\000\377\377\000\000\001\000\000\000'
}
client='c000 0201' server='c633 6401'
{
	header
	segment 1 "$client" "$server" '0fa0 0050' '0000 03e8' '0000 0000' 02
	segment 3 "$client" "$server" '0fa0 0050' '0000 03e9' '0000 1389' 10
} >"$dir/client.pcap"
{
	header
	segment 2 "$server" "$client" '0050 0fa0' '0000 2328' '0000 03e9' 12
} >"$dir/server.pcap"
header >"$dir/empty.pcap"
first="$suture replica rewrite --primary pcap:$dir/client.pcap --secondary pcap:$dir/server.pcap"
later="$suture replica rewrite --primary pcap:$dir/empty.pcap --secondary pcap:$dir/empty2.pcap"
cp "$dir/empty.pcap" "$dir/empty2.pcap"

expect 0 err 'state: 1 records saved' sh -c "$first --state $dir/state 2>&1 | sed 's|$dir/||' >&2"
expect 0 err '1 records of .* restored, 0 had no room' $later --state "$dir/state"
mv "$dir/state.old" "$dir/first"
cp "$dir/first" "$dir/state"
expect 0 err '1 records saved' $later --state "$dir/state"
# a crash: the file was taken, and none was written
start "$dir/log" $rewrite --state "$dir/state"
stop KILL
check 'nothing to restore after a crash' test ! -e "$dir/state"
rm -f "$dir/p" "$dir/s"
start "$dir/log" $rewrite --state "$dir/state"
check 'an empty start' sh -c "! grep -q restored '$dir/log'"
stop TERM
check 'state after SIGTERM' test -s "$dir/state"
# damaged, and of another role
head -c 100 "$dir/first" >"$dir/state"
expect 1 err "state $dir/state: a record .* nothing was restored" $later --state "$dir/state"
check 'a damaged file stays' test -e "$dir/state"
cp "$dir/first" "$dir/state"
expect 1 err 'it is of the role replica-rewrite, not accel-near' "$suture" accel near \
	--client "pcap:$dir/empty.pcap" --server "pcap:$dir/empty2.pcap" --state "$dir/state"

# until_soon COMMAND...: it succeeds within some seconds
until_soon() {
	tries=0
	until "$@" >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ $tries -le 200 ] || return 1
		sleep 0.05
	done
}

# as_long A B: A is at least as long as B
as_long() {
	[ "$(wc -c <"$1")" -ge "$(wc -c <"$2")" ]
}

# A trace is in its file soon, whatever becomes of the process; one that cannot be written is told of while there is time.
traced="$suture replica rewrite --primary pcap:$dir/client.pcap --secondary qemu:listen:unix:$dir/s4"
start "$dir/log" $traced --trace-pcap "$dir/t.pcap"
check 'the trace is written while it runs' until_soon as_long "$dir/t.pcap" "$dir/client.pcap"
stop KILL
rm -f "$dir/s4"
start "$dir/log" $traced --trace-pcap /dev/full
check 'the log tells of a full disk' until_soon grep -q 'trace: /dev/full: .*: it will not be whole' "$dir/log"
stop TERM
check 'exit code 1 without a whole trace' test $? -eq 1

[ $bad -eq 0 ] && echo 'ok'
exit $bad
