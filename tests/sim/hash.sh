#!/bin/sh
# SPDX-License-Identifier: MIT
# The hash of a seed's run is the same whatever compiled it: gcc -O0, gcc -O2 and clang are compared, run against run.
#
#	hash.sh SEEDS ROLE ...
set -eu

seeds=${1:?usage: hash.sh SEEDS ROLE ...}
shift
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM

# build NAME COMPILER...: everything from source, into $dir/NAME
build() {
	name=$1
	shift
	"$@" -std=c17 -w -fno-strict-overflow -I"$root/src" -o "$dir/$name" \
		"$root"/src/base/*.c "$root"/src/proto/*.c "$root"/src/core/*.c \
		"$root"/src/stack/*.c "$root"/src/role/*/*.c "$root"/tests/sim/*.c
}

# compare BUILD HOW ROLE: the same hashes as the first build's
compare() {
	"$dir/sim$1" --role "$3" --seeds "$seeds" >"$dir/hash$1" || {
		echo "$2, $3: a seed is broken:"
		grep BROKEN "$dir/hash$1"
		exit 1
	}
	if [ "$1" -eq 1 ]; then
		cp "$dir/hash1" "$dir/first-$3"
	elif ! diff "$dir/first-$3" "$dir/hash$1" >"$dir/diff"; then
		echo "$2, $3: other hashes than gcc -O0:"
		head -n 20 "$dir/diff"
		exit 1
	fi
}

n=0
for how in 'gcc -O0' 'gcc -O2' 'clang -O2'; do
	command -v "${how%% *}" >/dev/null || { echo "skipped: no ${how%% *}"; continue; }
	n=$((n + 1))
	# shellcheck disable=SC2086 # a compiler and its flag
	build "sim$n" $how
	for role; do
		compare "$n" "$how" "$role"
	done
done
[ "$n" -gt 1 ] || { echo "nothing to compare"; exit 77; }
echo "$(cat "$dir"/first-* | wc -l) seeds of $# roles, $n builds, one hash each"
