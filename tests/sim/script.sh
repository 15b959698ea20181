#!/bin/sh
# SPDX-License-Identifier: MIT
# What a host saw of a seed, printed as a packet script, is played by suture-pkt, and must pass: so the script of a broken seed shows
# just what broke.
#
#	script.sh SUTURE-SIM SUTURE-PKT ROLE FIRST LAST
set -eu
sim=${1:?usage: script.sh SUTURE-SIM SUTURE-PKT ROLE FIRST LAST} pkt=$2 role=$3 seed=$4 last=$5
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM

while [ "$seed" -le "$last" ]; do
	for host in client server; do
		script=$dir/$seed-$host.pkt
		"$sim" --role "$role" --seeds "$seed" --script "$host" >"$script"
		# A script has no clock that jumps.
		! grep -q '^# the clocks jump' "$script" || rm "$script"
	done
	seed=$((seed + 1))
done
"$pkt" "$dir" >"$dir/tap" || { grep -v '^ok' "$dir/tap"; exit 1; }
echo "$(grep -c '^ok' "$dir/tap") scripts"
