#!/bin/sh
# SPDX-License-Identifier: MIT
# explain_test.sh SUTURE SCENE GOLDEN - what "suture explain" says of small captures, against the texts in the folder GOLDEN.
#
# With UPDATE=yes the texts are written anew: look at what changed.
set -u
suture=$(realpath "$1") scene=$2 golden=$3
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM
bad=0

fail() {
	echo "not ok: $*"
	[ ! -s "$dir/err" ] || sed 's/^/    /' "$dir/err"
	bad=1
}

# expect CODE STREAM PATTERN ARG...: of "suture explain ARG..."
expect() {
	code=$1 stream=$2 pattern=$3
	shift 3
	"$suture" explain "$@" >"$dir/out" 2>"$dir/err"
	got=$?
	[ "$got" -eq "$code" ] || fail "explain $*: exit $got, expected $code"
	grep -q -e "$pattern" "$dir/$stream" || fail "explain $*: no '$pattern' in $stream"
}

# same NAME CODE ARG...: the output is GOLDEN/NAME
same() {
	name=$1 code=$2
	shift 2
	(cd "$dir" && "$suture" explain "$@") >"$dir/$name" 2>"$dir/err"
	got=$?
	[ "$got" -eq "$code" ] || fail "$name: exit $got, expected $code"
	[ -z "${UPDATE:-}" ] || cp "$dir/$name" "$golden/$name"
	diff "$golden/$name" "$dir/$name" || fail "$name: not as expected (-: expected)"
}

make_scene() {
	"$scene" "$1" "$dir" || { echo "not ok: scene $1"; exit 1; }
}

near=$dir/near.pcap far=$dir/far.pcap

make_scene hold
same hold.txt 0 near.pcap far.pcap
same hold-absolute.txt 0 --absolute near.pcap far.pcap
make_scene merge
same merge.txt 0 near.pcap far.pcap
same merge.svg 0 --svg - near.pcap far.pcap
make_scene lost
same lost.txt 0 near.pcap
expect 0 out 'only in .*near.pcap: nothing to compare' "$near" "$far"
make_scene bulk
same bulk.txt 0 --ascii near.pcap far.pcap
expect 0 out '│ ESTABLISHED' --first 3 "$near" "$far"
expect 0 out 'not shown: 42 packets from the server (40.0 kB), 24 from the client (100 B)' --first 1 "$near" "$far"
make_scene mid
same mid.txt 0 near.pcap far.pcap
make_scene pieces
same pieces.txt 0 near.pcap far.pcap
make_scene broken
same broken.txt 1 near.pcap far.pcap
same broken.json 1 --json near.pcap far.pcap
expect 1 out 'FAULT: ack is 1 too high (frames 6 and 6)' --first 1 "$near" "$far"
expect 1 out '"fault":true,"remark":"FAULT: ack is 1 too high' --json --all "$near" "$far"

# every other way round is found out, or said
expect 1 out '1 FAULT' "$far" "$near"
make_scene hold
expect 0 out 'mode hold.*no faults' "$far" "$near"

expect 0 out 'of other connections' --flow 192.0.2.9 "$near"
expect 0 out '1 connection' --flow 192.0.2.1:40000 --flow 80 "$near"
expect 0 out '^0 frames\|0 connections' --flow '[2001:db8::1]:80' "$near"
expect 2 err "'nope' is not an end" --flow nope "$near"
expect 2 err 'neither auto nor a time' --offset soon "$near"
expect 2 err 'too few arguments' --all
expect 2 err 'both captures are standard input' - -
expect 1 err '/nonexistent' /nonexistent
expect 1 err '/nonexistent/x' --svg /nonexistent/x "$near"
expect 1 err 'no connection to draw' --svg "$dir/x.svg" --flow 9 "$near"
expect 0 out 'clock is 5.000 s ahead' --offset -5s "$near" "$far"
expect 0 out '"connections":1' --json - <"$near"

# clocks that differ by less than a round trip, but by more than the box takes; what comes through pipes cannot be read twice
make_scene skew
expect 0 out "clock is 500 us behind" "$near" "$far"
expect 0 out "mode hold.*no faults" "$near" "$far"
make_scene hold
mkfifo "$dir/pipe"
cat "$near" >"$dir/pipe" &
expect 0 out "^20 frames, 1 connection, no faults" "$dir/pipe" "$far"
wait

# data whose SYN was not captured leaves in a SYN all the same
make_scene unseen
expect 0 out "no faults" "$near" "$far"

make_scene hold
# a capture that ends in mid-frame: what there was, and a failure
head -c 700 "$near" >"$dir/cut.pcap"
expect 1 err 'cut.pcap' "$dir/cut.pcap"
expect 1 out '1 connection' "$dir/cut.pcap"
# times that go back are said
{ cat "$near"; tail -c +25 "$near"; } >"$dir/back.pcap"
expect 0 out "1 out of order in their capture" "$dir/back.pcap"
# a link type that is none of ours, and no capture at all
{ head -c 20 "$near"; printf '\161\000\000\000'; } >"$dir/cooked.pcap"
expect 1 err 'cooked.pcap' "$dir/cooked.pcap"
: >"$dir/empty"
expect 1 err 'empty' "$dir/empty"

# a full memory shows connections early, and loses no packet
expect 0 out '^10 frames, 10 connections, 10 connections shown before their end' --memory 1k --brief "$near"

exit $bad
