#!/bin/sh
# SPDX-License-Identifier: MIT
# sim.sh BUILD SEEDS [ROLE ...] - simulates for as long as one likes: seeds 1 to SEEDS (or A-B) of each role, all
# processors, progress on a terminal.  Broken seeds are listed, and how to see one; then the exit status is 1.
set -u
build=${1:?usage: sim.sh BUILD SEEDS [ROLE ...]} seeds=${2:?usage: sim.sh BUILD SEEDS [ROLE ...]}
shift 2
case $seeds in
*-*) ;;
*) seeds=1-$seeds ;;
esac
sim=$build/tests/sim/suture-sim
# shellcheck disable=SC2046 # names without blanks
[ $# -gt 0 ] || set -- $("$sim" --roles)
shares=$(nproc)
dir=$(mktemp -d)
pids=
# The shares that were started here end with this script, by number.
# shellcheck disable=SC2086 # a list of numbers
trap '[ -z "$pids" ] || kill $pids 2>/dev/null; wait; rm -rf "$dir"' EXIT
trap 'exit 130' HUP INT TERM

bad=0
for role in "$@"; do
	pids="" i=0
	while [ $i -lt "$shares" ]; do
		# The first one alone says how far it is: the others are as far.
		if [ $i -eq 0 ]; then
			"$sim" -q --role "$role" --seeds "$seeds" --share $i/"$shares" >"$dir/$i" &
		else
			"$sim" -q --role "$role" --seeds "$seeds" --share $i/"$shares" >"$dir/$i" 2>"$dir/err" &
		fi
		pids="$pids $!"
		i=$((i + 1))
	done
	failed=0
	for pid in $pids; do
		wait "$pid" || failed=1
	done
	pids=
	cat "$dir"/[0-9]* | grep -E '^seeds [0-9]|^  connections ' | sed "s/^/$role: /"
	[ $failed -eq 0 ] && continue
	bad=1
	cat "$dir"/[0-9]* | grep '^seed [0-9]* BROKEN' | head -n 20
	seed=$(cat "$dir"/[0-9]* | sed -n 's/^seed \([0-9]*\) BROKEN.*/\1/p' | head -n 1)
	[ -n "$seed" ] || {
		echo "$role: it ended without a broken seed:"
		tail -n 5 "$dir"/[0-9]* "$dir"/err 2>/dev/null
		continue
	}
	echo "to see it: $sim -q --role $role --seeds $seed --shrink"
	case $role in
	stack*) echo "as a script for suture-pkt: $sim --role $role --seeds $seed --shrink --script client (or server)" ;;
	esac
done
exit $bad
