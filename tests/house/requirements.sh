#!/bin/sh
# SPDX-License-Identifier: MIT
# Every requirement of RFC 9293's appendix B has its row in doc/design/stack.md, and each test that a row names is there.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
page=$top/doc/design/stack.md
failed=0

row() {
	grep "^| $1 |" "$page"
}

for id in $(seq -f 'MUST-%g' 69) $(seq -f 'SHLD-%g' 31) REC-1; do
	n=$(row "$id" | wc -l)
	if [ "$n" != 1 ]; then
		echo "not ok $id # $n rows in doc/design/stack.md"
		failed=1
		continue
	fi
	tests=$(row "$id" | grep -o '`[^`]*`' | tr -d '`')
	if [ -z "$tests" ]; then
		row "$id" | grep -q '| does not apply |' && continue
		echo "not ok $id # its row names no test"
		failed=1
	fi
	for t in $tests; do
		[ -f "$top/tests/$t" ] && continue
		echo "not ok $id # no tests/$t"
		failed=1
	done
done
[ $failed = 0 ] && echo 'ok requirements'
exit $failed
