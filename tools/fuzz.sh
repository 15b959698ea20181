#!/bin/sh
# SPDX-License-Identifier: MIT
# fuzz.sh SECONDS - runs each fuzzer of tests/fuzz for that long (clang, libFuzzer, sanitizers); new inputs land in build-fuzz/corpus.
set -eu
seconds=$1
tools/build.sh build-fuzz clang -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false
for f in build-fuzz/tests/fuzz/fuzz_*; do
	{ [ -f "$f" ] && [ -x "$f" ]; } || continue
	name=${f##*/fuzz_}
	mkdir -p "build-fuzz/corpus/$name"
	echo "== $name, $seconds s"
	seeds=
	[ ! -d "tests/fuzz/corpus/$name" ] || seeds=tests/fuzz/corpus/$name
	"$f" -max_total_time="$seconds" -print_final_stats=0 -verbosity=0 "build-fuzz/corpus/$name" ${seeds:+"$seeds"}
done
