#!/bin/sh
# SPDX-License-Identifier: MIT
# test.sh - everything that a change must pass, in stages; the last line sums them up.
#
#   1 build-asan   gcc, -Werror, AddressSanitizer and UBSan: unit, scripts, simulation, fuzz corpora
#   2 live         the same binary between real kernels and servers in network namespaces (LIVE=core, all or none)
#   3 build        gcc, -Werror, as users get it: all of 1 again, then the layer checks
#   4 build-clang  clang, -Werror: all of 1 again
#   5 lint         clang-tidy, cppcheck, format, man pages, shell, licence lines, names that must not be in the tree
#
# Every stage appends lines "ok NAME", "not ok NAME # why", "skip NAME # why" to one file, and they are counted at the end.
# STAGES="live lint" runs some of them only (asan live plain clang lint).
set -u
cd "$(dirname "$0")/.." || exit 1

STAGES=${STAGES:-asan live plain clang lint}
LIVE=${LIVE:-core}
RESULTS=$(mktemp)
export RESULTS LIVE
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}"
trap 'rm -f "$RESULTS"' EXIT
trap 'exit 130' HUP INT TERM

began=$(date +%s)
stage() {
	printf '== %s (at %d s)\n' "$1" $(($(date +%s) - began))
}

# Builds a directory and counts that as a test.
built() {
	if tools/build.sh "$@"; then
		echo "ok $1" >>"$RESULTS"
	else
		echo "not ok $1 # does not build with $2" >>"$RESULTS"
		return 1
	fi
}

# Runs a command that appends to RESULTS itself; that it ends badly without having said so is a failure too.
reporting() {
	before=$(grep -c '^not ok' "$RESULTS")
	"$@"
	status=$?
	[ $status = 0 ] || [ "$(grep -c '^not ok' "$RESULTS")" -gt "$before" ] ||
		echo "not ok $1 # exit status $status" >>"$RESULTS"
}

wants() {
	case " $STAGES " in *" $1 "*) return 0 ;; esac
	return 1
}

if wants asan || wants live; then
	stage 'gcc with sanitizers'
	asan=
	built build-asan gcc -Dwerror=true -Db_sanitize=address,undefined && asan=yes
	if [ -n "$asan" ] && wants asan; then
		reporting tools/mesontest.sh build-asan
	fi
	if [ -n "$asan" ] && wants live && [ "$LIVE" != none ]; then
		stage "live, $LIVE"
		reporting tools/live.sh build-asan
	fi
fi
if wants plain; then
	stage 'gcc, plain'
	if built build gcc -Dwerror=true; then
		reporting tools/mesontest.sh build
		stage 'layers'
		reporting tools/layers.sh src build
		tests/house/layers_selftest.sh | sed 's/^\(not ok\|ok\) /&selftest: /' | tee -a "$RESULTS"
	fi
fi
if wants clang; then
	stage 'clang'
	built build-clang clang -Dwerror=true && reporting tools/mesontest.sh build-clang
fi
if wants lint; then
	stage 'lint'
	[ -f build/compile_commands.json ] || built build gcc -Dwerror=true
	reporting tools/lint.sh build
fi

stage 'sum'
tools/sum.sh "$RESULTS" "${SUM:-/dev/null}"
