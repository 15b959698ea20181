#!/bin/sh
# SPDX-License-Identifier: MIT
# cli_test.sh SUTURE - exit codes and messages of the command, without privilege.
set -u
suture=$1
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
bad=0

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

# the header of a capture of Ethernet frames, and one ARP-like frame of 60 zero bytes
header() {
	printf '\324\303\262\241\002\000\004\000\000\000\000\000\000\000\000\000\377\377\000\000\001\000\000\000'
}
frame() {
	printf '\001\000\000\000\000\000\000\000\074\000\000\000\074\000\000\000'
	head -c 60 /dev/zero
}
# a frame of 64 bytes of which 10 were captured
snapped() {
	printf '\001\000\000\000\000\000\000\000\012\000\000\000\100\000\000\000'
	head -c 10 /dev/zero
}
header >"$dir/empty.pcap"
{ header; snapped; frame; } >"$dir/snapped.pcap"
{ header; frame; frame; } >"$dir/two.pcap"
{ header; frame; frame | head -c 40; } >"$dir/cut.pcap"
: >"$dir/zero.pcap"
replay="$suture replay --role accel-near"

expect 2 err 'usage: suture' "$suture"
expect 0 out 'Commands:' "$suture" --help
expect 0 out '^suture [0-9]' "$suture" version
expect 0 out '^suture [0-9]' "$suture" --version
expect 0 out '^{"suture":"' "$suture" version --json
expect 2 err "unknown command 'nope'" "$suture" nope
expect 2 err 'replica failover  *tell' "$suture" replica fail
expect 2 err "replica: unknown command 'fail'" "$suture" help replica fail
expect 2 err "unknown option '--nope'" "$suture" --nope
expect 2 err 'unknown option --nope' "$suture" version --nope
expect 2 err 'version --help' "$suture" version --nope
expect 0 out 'usage: suture version' "$suture" help version
expect 0 out 'usage: suture replay' "$suture" replay --help
expect 1 err 'standard output' sh -c "exec '$suture' version >/dev/full"

expect 2 err 'which of its commands' "$suture" accel
expect 0 out 'accel near' "$suture" accel --help
expect 2 err '--client PORT is missing' "$suture" accel near
expect 2 err 'a network interface is if:eth0' "$suture" accel near --client eth0 --server if:b
expect 2 err 'same port' "$suture" accel near --client if:a --server if:a
expect 2 err '--merge-hold: .*unit' "$suture" accel near --merge-hold 5
expect 2 err '--early-bytes: .*65535' "$suture" accel near --early-bytes 65536
expect 1 err 'pcap\|No such file' "$suture" accel near --client pcap:/nonexistent --server pcap:/nonexistent2
expect 0 err 'ready: accel-near client=pcap:' "$suture" accel near --client "pcap:$dir/two.pcap" --server "pcap:$dir/empty.pcap"

expect 2 err '--role is missing: one of accel-near' "$suture" replay "$dir/two.pcap"
expect 2 err "'nope' is not one of" "$suture" replay --role nope "$dir/two.pcap"
expect 2 err 'too few arguments' $replay
expect 2 err 'both input and output' $replay "$dir/two.pcap" -o "$dir/./two.pcap"
expect 2 err '--client-net' $replay --client-net 192.0.2.0/40 "$dir/two.pcap"
expect 1 err "$dir/zero.pcap" $replay "$dir/zero.pcap"
expect 1 err "$dir/cut.pcap" $replay "$dir/cut.pcap"
expect 1 err '/nonexistent' $replay /nonexistent
expect 1 err '/nonexistent/out' $replay "$dir/two.pcap" -o /nonexistent/out
expect 1 err '/dev/full' $replay "$dir/two.pcap" -o /dev/full
expect 0 out 'counters of accel-near' $replay "$dir/empty.pcap" -o "$dir/out.pcap"
expect 0 out '"packets_in":2,"packets_out":2' $replay --json "$dir/two.pcap" -o "$dir/out.pcap"
expect 0 out '"server":{"port":"[^"]*","rx":1,.*"rx_cut":1' $replay --json server="$dir/snapped.pcap"
expect 0 err 'skipped 1 frames of which only a part' $replay --json "$dir/snapped.pcap"
expect 0 out '"packets_in":4' $replay --json client="$dir/two.pcap" server="$dir/two.pcap"
expect 0 out '1.pcap' sh -c "$replay --mode bypass -q '$dir/two.pcap' -o '$dir/1.pcap' && $replay --mode bypass -q '$dir/1.pcap' -o '$dir/2.pcap' && cmp '$dir/1.pcap' '$dir/2.pcap' && echo 1.pcap"

expect 2 err 'client=.* names no file' $replay "$dir/two.pcap" -o client=
expect 2 err "'server=' names no file" $replay server=
expect 2 err "'bogus=x.pcap' names no port of accel-near .client, server." $replay "$dir/two.pcap" -o bogus=x.pcap
expect 0 out 'accel near' "$suture" accel -h

wire="$suture wire pcap:$dir/two.pcap pcap:$dir/empty.pcap"
expect 2 err "--secondary PORT is missing" "$suture" replica rewrite --primary if:a
expect 2 err "same port" "$suture" replica rewrite --primary if:a --secondary if:a
expect 0 err "ready: replica-rewrite primary=pcap:.* secondary=pcap:" "$suture" replica rewrite --primary "pcap:$dir/two.pcap" --secondary "pcap:$dir/empty.pcap"
expect 0 err 'ready: wire a=pcap:' $wire
expect 1 err "wire keeps none" $wire --journal "$dir/journal"
expect 1 err "there is no --journal" $wire --journal-salvage
expect 2 err "'x:y' is not a port" "$suture" wire x:y lo
expect 2 err "'if:' is not a port" "$suture" wire '' lo
expect 2 err 'same port: if:lo' "$suture" wire lo if:lo
expect 2 err '--stats-interval: .*out of range: 0 to 87600h' $wire --stats-interval 5000000h
expect 2 err '--delay: .*out of range: 0 to 1h' $wire --delay 2h
expect 1 err 'two.pcap is being read' $wire --trace-pcap "$dir/two.pcap"
expect 0 out '"packets_in":2' $wire --json
expect 1 err 'trace: no file' $wire --trace-pcap=
expect 1 err 'trace: /dev/full' $wire --trace-pcap /dev/full
mkfifo "$dir/fifo"
expect 1 err 'fifo: not a regular file' timeout -k 1 5 "$suture" wire "pcap:$dir/fifo" "pcap:$dir/two.pcap"
expect 1 err 'pcap:-: not a regular file' "$suture" wire pcap:- "pcap:$dir/two.pcap"
long=$(printf '%0200d' 0)
expect 1 err "^suture: $long.pcap: No such file" "$suture" wire "pcap:$long.pcap" "pcap:$dir/two.pcap"

# an interface that does not exist is complained of once
"$suture" wire "nosuch$$" "nosuch0" 2>"$dir/err"
if [ "$(wc -l <"$dir/err")" -ne 1 ]; then
	echo "not ok: more than one line about an interface that does not exist:"
	sed 's/^/    /' "$dir/err"
	bad=1
fi

# with the standard descriptors closed, no text goes into what takes their numbers
sh -c "exec $wire --json --trace-pcap '$dir/trace.pcap'" <&- >&- 2>&-
if grep -q 'wire' "$dir/trace.pcap"; then
	echo 'not ok: the log is in the trace'
	bad=1
fi

# a reader of the counters that goes away is no end of the run, but a failure
mkfifo "$dir/pipe"
: <"$dir/pipe" &
reader=$!
exec 4>"$dir/pipe"
wait "$reader"
$wire --json >&4 2>"$dir/log"
echo $? >"$dir/code"
exec 4>&-
expect 0 out '^1$' cat "$dir/code"
expect 0 out 'standard output' cat "$dir/log"

# a line that hangs up ends a run as SIGTERM does
: >"$dir/hup.log"
$wire --delay 900ms --stats 2>"$dir/hup.log" &
pid=$!
until grep -q ready "$dir/hup.log"; do sleep 0.01; done
kill -HUP $pid
wait $pid
expect 0 out '^0$' echo $?
expect 0 out 'counters of wire' cat "$dir/hup.log"

# bytes that are no UTF-8 do not spoil the JSON
odd=$(printf 'a\377b')
cp "$dir/two.pcap" "$dir/$odd.pcap"
expect 0 out '/a\\ufffdb.pcap"' "$suture" wire "pcap:$dir/$odd.pcap" "pcap:$dir/empty.pcap" --json

exit $bad
