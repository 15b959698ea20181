#!/bin/sh
# SPDX-License-Identifier: MIT
# exports.sh LIBRARY ARCHIVE HEADER - what can be seen of libsuture is what its header declares: no less, no more, all of it versioned.
set -u
library=$1 archive=$2 header=$3
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM
failed=0

# verdict NAME FOUND-FILE: is it the header's list?
verdict() {
	if cmp -s "$dir/declared" "$2"; then
		echo "ok $1"
	else
		diff "$dir/declared" "$2"
		echo "not ok $1 # '<' is what the header declares"
		failed=1
	fi
}

# Comments name functions too: what counts is a declaration, which begins in the first column.
sed -e 's|/\*.*\*/||' -e '/^\/\*/,/\*\//d' "$header" | grep -E '^[a-z].*\bsut_[a-z_]+\(' | grep -v typedef |
	sed -E 's/.*\b(sut_[a-z_]+)\(.*/\1/' | sort -u >"$dir/declared"
[ -s "$dir/declared" ] || { echo "not ok exports # no declaration in $header"; exit 1; }

nm -D --defined-only "$library" | awk '$2 != "A" { sub("@@SUT_0$", "", $3); print $3 }' | sort -u >"$dir/shared"
verdict "the shared library" "$dir/shared"
nm -g --defined-only "$archive" 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u >"$dir/static"
verdict "the archive" "$dir/static"
exit $failed
