#!/bin/sh
# SPDX-License-Identifier: MIT
# fuzz.sh SECONDS [NAME ...] - runs each fuzzer of tests/fuzz for that long (clang, libFuzzer, sanitizers).
#
# It starts from the seeds in tests/fuzz/corpus; new inputs land in build-fuzz/corpus, an input that breaks something in build-fuzz.
set -eu
seconds=$1
shift
[ -f build-fuzz/build.ninja ] || CC=clang meson setup build-fuzz -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false \
	-Dc_args=-fsanitize=fuzzer-no-link >/dev/null
ninja -C build-fuzz --quiet
# shellcheck disable=SC2046
[ $# -gt 0 ] || set -- $(cd build-fuzz/tests/fuzz && find . -maxdepth 1 -type f -name 'fuzz_*' | sed 's|.*/fuzz_||' | sort)
for name; do
	seeds=tests/fuzz/corpus/$name
	mkdir -p "build-fuzz/corpus/$name"
	echo "== $name, $seconds s"
	[ -d "$seeds" ] || seeds=
	"build-fuzz/tests/fuzz/fuzz_$name" -max_total_time="$seconds" -verbosity=1 -artifact_prefix="build-fuzz/$name-" \
		"build-fuzz/corpus/$name" ${seeds:+"$seeds"} 2>&1 | grep -E 'DONE|ERROR|SUMMARY|Test unit|Done' || true
	if ls build-fuzz/"$name"-* >/dev/null 2>&1; then
		echo "$name: an input that breaks it is in build-fuzz/" >&2
		exit 1
	fi
done
