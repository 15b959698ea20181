#!/bin/sh
# SPDX-License-Identifier: MIT
# The hash of a seed's run is the same whatever compiled it: gcc -O0, gcc -O2 and clang are compared, run against run.
#
#	hash.sh ROLE [SEEDS]
set -eu

role=${1:?usage: hash.sh ROLE [SEEDS]}
seeds=${2:-1-300}
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
		"$root"/src/role/accel/*.c "$root"/src/role/replica/*.c "$root"/src/stack/*.c "$root"/src/role/wire/*.c "$root"/tests/sim/*.c
}

n=0
for how in 'gcc -O0' 'gcc -O2' 'clang -O2'; do
	command -v "${how%% *}" >/dev/null || { echo "skipped: no ${how%% *}"; continue; }
	n=$((n + 1))
	# shellcheck disable=SC2086 # a compiler and its flag
	build "sim$n" $how
	"$dir/sim$n" --role "$role" --seeds "$seeds" >"$dir/hash$n" || {
		echo "$how: a seed is broken:"
		grep BROKEN "$dir/hash$n"
		exit 1
	}
	[ "$n" -eq 1 ] && continue
	diff "$dir/hash1" "$dir/hash$n" >"$dir/diff" || {
		echo "$how gives other hashes than gcc -O0:"
		head -n 20 "$dir/diff"
		exit 1
	}
done
[ "$n" -gt 1 ] || { echo "nothing to compare"; exit 77; }
echo "$(wc -l <"$dir/hash1") seeds, $n builds, one hash each"
