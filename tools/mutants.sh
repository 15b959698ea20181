#!/bin/sh
# SPDX-License-Identifier: MIT
# mutants.sh [NAME ...] - breaks one line at a time in a copy of the tree; each breakage must turn the test named beside it red.
#
# The list is tests/mutants/list: NAME TEST FILE SED-EXPRESSION, one a line.  TEST is a meson test, or script:FILE.pkt for one
# packet script.  A mutant that does not change its file, or does not build, is a failure as well: the list has to follow
# the code.  With names, only those are run.
set -u
cd "$(dirname "$0")/.." || exit 1
here=$(pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
trap 'exit 130' HUP INT TERM

git ls-files -z --cached --others --exclude-standard -- src tests bench meson.build meson_options.txt doc |
	xargs -0 cp --parents -t "$copy" 2>/dev/null
cd "$copy" || exit 1
CC=${CC:-gcc} meson setup build -Doptimization=0 -Ddebug=false >setup.log 2>&1 || { cat setup.log; exit 1; }
ninja -C build --quiet || exit 1

# Runs the named test: its exit status.
run() {
	case $1 in
	script:*) timeout 60 build/tests/pkt/suture-pkt "tests/pkt/${1#script:}" ;;
	*) timeout 240 meson test -C build --no-rebuild "$1" ;;
	esac
}

killed=0 survived=0
mutant() {
	name=$1 test=$2 file=$3 expression=$4
	cp "$file" original
	sed -i "$expression" "$file"
	if cmp -s "$file" original; then
		echo "not ok $name # $file has no such line any more"
		survived=$((survived + 1))
		return
	fi
	if ! ninja -C build --quiet >out.log 2>&1; then
		echo "not ok $name # does not build"
		tail -5 out.log
		survived=$((survived + 1))
	elif run "$test" >out.log 2>&1; then
		echo "not ok $name # $test did not notice"
		survived=$((survived + 1))
	else
		echo "ok $name # $test"
		killed=$((killed + 1))
	fi
	cp original "$file"
}

grep -v '^#' "$here/tests/mutants/list" | grep -v '^ *$' >list
while read -r name test file expression; do
	[ $# = 0 ] || case " $* " in *" $name "*) ;; *) continue ;; esac
	mutant "$name" "$test" "$file" "$expression" </dev/null
done <list

# The tree as it is must pass what killed the mutants.
ninja -C build --quiet
for test in $(awk '{ print $2 }' list | sort -u); do
	[ $# = 0 ] || continue
	run "$test" >out.log 2>&1 </dev/null || {
		echo "not ok $test # red without any mutant"
		survived=$((survived + 1))
	}
done
echo "$killed passed, $survived failed, 0 skipped"
[ "$survived" = 0 ] && [ "$killed" -gt 0 ]
