#!/bin/sh
# SPDX-License-Identifier: MIT
# config_test.sh SUTURE - settings from a file, and from flags that count more; without privilege.
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

for f in a b c; do
	printf '\324\303\262\241\002\000\004\000\000\000\000\000\000\000\000\000\377\377\000\000\001\000\000\000' >"$dir/$f.pcap"
done
cat >"$dir/conf" <<END
json = yes
accel-near {
	client = "pcap:$dir/a.pcap"
	server = "pcap:$dir/b.pcap"
	mode = merge
	ports = {80, "443", "8000-8999"}
}
replica-mirror {
	client = "pcap:$dir/b.pcap"
	mirror = "pcap:$dir/a.pcap"
	queue = all
}
END
accel="$suture accel near --config $dir/conf"

# Each command reads its own section, and what is outside of all; a flag counts more wherever it stands.
expect 0 out '"role":"accel-near".*"client":{"port":"pcap:[^"]*/a.pcap' $accel
expect 0 out '"client":{"port":"pcap:[^"]*/c.pcap' $accel --client "pcap:$dir/c.pcap"
expect 0 out '"client":{"port":"pcap:[^"]*/c.pcap' "$suture" accel near --client "pcap:$dir/c.pcap" --config "$dir/conf"
expect 0 out '"role":"replica-mirror".*"client":{"port":"pcap:[^"]*/b.pcap' "$suture" replica mirror --config "$dir/conf"
expect 2 err '--primary PORT is missing' "$suture" replica rewrite --config "$dir/conf"
expect 0 out '"role":"wire"' "$suture" wire "pcap:$dir/a.pcap" "pcap:$dir/b.pcap" --config "$dir/conf"
expect 2 err '--mode' $accel --mode nope
expect 0 out 'usage: suture accel near' $accel --help

# What is wrong is said with its line, as it is said of the flag.
printf 'accel-near {\n\tmerge-hold = 5\n}\n' >"$dir/conf"
expect 2 err "accel near: $dir/conf:2: merge-hold: '5' is not a time with its unit" $accel
printf '\n\naccel-near { mood = merge }\n' >"$dir/conf"
expect 2 err "$dir/conf:3: unknown setting 'mood'; known are .*mode.*idle-time.*control" $accel
printf 'accel-far { }\n' >"$dir/conf"
expect 2 err "$dir/conf:1: unknown section 'accel-far'; known are accel-near, .*wire" $accel
printf 'accel-near {\n' >"$dir/conf"
expect 2 err "$dir/conf:1: .*closing brace" $accel
printf 'merge-hold = 2s\nclient = "pcap:%s/a.pcap"\nserver = "pcap:%s/b.pcap"' "$dir" "$dir" >"$dir/conf"
expect 2 err 'merge-hold must be above 0 and at most 1s' $accel
rm "$dir/conf"
expect 2 err "$dir/conf: No such file" $accel
expect 2 err 'this is no regular file' "$suture" accel near --config "$dir"
expect 2 err '--config needs a value' "$suture" accel near --config

[ $bad -eq 0 ] && echo 'ok'
exit $bad
