#!/bin/sh
# SPDX-License-Identifier: MIT
# mutants.sh [NAME ...] - breaks one line at a time in a copy of the tree; each breakage must turn the test named beside it red.
#
# The list is tests/mutants/list: NAME TEST FILE SED-EXPRESSION, one a line.  TEST is
#
#     script:ROLE/x.pkt   a packet script, tests/pkt/ROLE/x.pkt
#     sim-...             a simulation, by its meson name
#     NAME                a unit test, by its meson name
#
# The named tests must first be green on the tree as it is.  A mutant that does not change exactly one line of its file, or
# does not build, is a failure as well: the list has to follow the code.  With names, only those are run.  JOBS copies of
# the tree (default: one a processor) are worked on side by side; all lie in one temporary folder, which goes at the end.
set -u
cd "$(dirname "$0")/.." || exit 1
here=$(pwd)
jobs=${JOBS:-$(nproc)}
tmp=$(mktemp -d) || exit 1
workers=

# A worker ends behind the command that it is in: only then nothing writes to the folder any more.
clean_up() {
	trap - EXIT HUP INT TERM
	# shellcheck disable=SC2086 # one word a worker
	[ -z "$workers" ] || kill $workers 2>/dev/null
	wait
	rm -rf "$tmp"
}
trap clean_up EXIT
trap 'exit 130' HUP INT TERM

# What has to be built for a test.
target() {
	case $1 in
	script:*) echo tests/pkt/suture-pkt ;;
	sim-*) echo tests/sim/suture-sim ;;
	*) echo "tests/unit/$1_test" ;;
	esac
}

build() {
	at_once=$1
	shift
	targets=$(for t; do target "$t"; done | sort -u)
	# shellcheck disable=SC2086 # one word a target
	ninja -j "$at_once" -C build --quiet $targets >build.log 2>&1
}

# Runs the named test in the present copy: its exit status.  What a mutant makes endless is cut off, and counts as red.
run() {
	case $1 in
	script:*) timeout 20 build/tests/pkt/suture-pkt "tests/pkt/${1#script:}" ;;
	sim-*) meson test -C build --no-rebuild --wrapper "$(pwd)/own" "$1" ;;
	*) timeout 60 "build/tests/unit/$1_test" ;;
	esac >test.log 2>&1 </dev/null
}

# Makes the change in FILE (beside which `original` lies), builds, runs: says why the mutant is no good; nothing if it is.
try() {
	file=$1 test=$2 expression=$3
	sed "$expression" original >"$file" || { echo "bad sed expression"; return; }
	lines=$(diff original "$file" | grep -c '^>')
	gone=$(diff original "$file" | grep -c '^<')
	if [ "$gone" = 0 ]; then
		echo "$file has no such line"
	elif [ "$lines,$gone" != 1,1 ]; then
		echo "changes $gone lines of $file to $lines, not one to one"
	elif ! build 1 "$test"; then
		echo "does not build: $(grep -m 1 'error:' build.log)"
	elif run "$test"; then
		echo "$test did not notice: $(diff original "$file" | sed -n 's/^>[[:space:]]*//p')"
	fi
}

mutant() {
	name=$1 test=$2 file=$3 expression=$4
	if grep -qxF "$test" "$tmp/unable"; then
		echo "skip $name # $test needs what this machine or user does not have"
		echo "$name" >>skipped
		return
	fi
	if grep -qxF "$test" "$tmp/red"; then
		why="$test is red without it"
	elif [ ! -f "$file" ]; then
		why="no such file: $file"
	else
		cp "$file" original
		why=$(try "$file" "$test" "$expression")
		cp original "$file"
	fi
	if [ -z "$why" ]; then
		echo "ok $name # $test"
		echo "$name" >>killed
	else
		echo "not ok $name # $why"
	fi
}

# Works through every jobs-th mutant, from the nth on, in its own copy.
work() {
	trap 'exit 1' HUP INT TERM
	cd "$tmp/copy$1" || exit 1
	awk -v n="$1" -v jobs="$jobs" 'NR % jobs == n' "$tmp/list" >mine
	: >killed
	: >skipped
	while read -r name test file expression; do
		mutant "$name" "$test" "$file" "$expression"
	done <mine
}

wanted() {
	[ $# = 0 ] && { cat; return; }
	while read -r name rest; do
		case " $* " in *" $name "*) printf '%s %s\n' "$name" "$rest" ;; esac
	done
}

grep -v '^#' tests/mutants/list | grep -v '^[[:space:]]*$' >"$tmp/all"
twice=$(awk '{ print $1 }' "$tmp/all" | sort | uniq -d)
[ -z "$twice" ] || { echo "tests/mutants/list: named twice: $twice" >&2; exit 1; }
wanted "$@" <"$tmp/all" >"$tmp/list"
[ -s "$tmp/list" ] || { echo "tools/mutants.sh: no such mutant" >&2; exit 2; }

# One copy is built, the others are copies of that: ninja goes by times, which cp -a keeps.
mkdir "$tmp/copy0"
git ls-files -z --cached --others --exclude-standard -- meson.build meson_options.txt include src tests bench contrib examples lab doc |
	xargs -0 sh -c 'for f; do [ ! -f "$f" ] || cp --parents -p "$f" "$0"; done' "$tmp/copy0"
cd "$tmp/copy0" || exit 1
# meson writes down where its first build lies: a simulation is to be that of its own copy.
cat >own <<EOF
#!/bin/sh
of_first=\$1
shift
exec "\$(dirname "\$0")/\${of_first#$tmp/copy0/}" "\$@"
EOF
chmod +x own
CC=${CC:-gcc} meson setup build -Doptimization=0 -Ddebug=false -Dwerror=false >setup.log 2>&1 ||
	{ cat setup.log; exit 1; }
tests=$(awk '{ print $2 }' "$tmp/list" | sort -u)
# shellcheck disable=SC2086 # one word a test
build "$jobs" $tests || { cat build.log; exit 1; }
for test in $tests; do
	status=0
	run "$test" || status=$?
	case $status in
	0) ;;
	77) echo "$test" >&4 ;;
	*) echo "not ok $test # red without any mutant"; echo "$test" >&3 ;;
	esac
done 3>"$tmp/red" 4>"$tmp/unable"
i=1
while [ "$i" -lt "$jobs" ]; do
	cp -a "$tmp/copy0" "$tmp/copy$i"
	i=$((i + 1))
done

i=0
while [ "$i" -lt "$jobs" ]; do
	work "$i" &
	workers="$workers $!"
	i=$((i + 1))
done
# shellcheck disable=SC2086 # one word a worker
wait $workers
workers=
cd "$here" || exit 1

killed=$(cat "$tmp"/copy*/killed | wc -l)
skipped=$(cat "$tmp"/copy*/skipped | wc -l)
failed=$(($(wc -l <"$tmp/list") - killed - skipped))
echo "$killed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
