#!/bin/sh
# SPDX-License-Identifier: MIT
# mesontest.sh BUILD - runs a build's tests and appends one line for each case to the file $RESULTS names.
#
# A test that prints cmocka's "[       OK ]" or a line "ok NAME" for each of its cases counts as that many.
set -u
build=$1
log=$build/meson-logs/testlog.json
rm -f "$log"
status=0
meson test -C "$build" --no-rebuild --print-errorlogs --no-suite house >"$build/test.out" 2>&1 || status=1
[ $status = 0 ] || cat "$build/test.out"
[ -f "$log" ] || { echo "not ok $build # meson test did not run" >>"$RESULTS"; exit 1; }

awk -v build="$build" '
	function value(key,   s) {
		s = $0
		if (!match(s, "\"" key "\": \""))
			return ""
		s = substr(s, RSTART + RLENGTH)
		match(s, /([^"\\]|\\.)*/)
		return substr(s, 1, RLENGTH)
	}
	{
		name = build "/" value("name")
		gsub(" ", "", name)
		result = value("result")
		out = value("stdout")
		lines = split(out, line, /\\n/)
		if (result == "OK" || result == "EXPECTEDFAIL") {
			cases = 0
			for (i = 1; i <= lines; i++)
				if (line[i] ~ /^\[       OK \] / || line[i] ~ /^ok /) {
					sub(/^\[       OK \] /, "", line[i])
					sub(/^ok /, "", line[i])
					print "ok " name ":" line[i]
					cases++
				}
			if (!cases)
				print "ok " name
		} else if (result == "SKIP") {
			while (lines > 1 && line[lines] == "")
				lines--
			print "skip " name " # " (line[lines] == "" ? "no reason given" : line[lines])
		} else {
			print "not ok " name " # " result
		}
	}' "$log" | tee -a "$RESULTS" | awk '{ n[$1]++ } END { printf "   %d ok, %d not, %d skipped\n", n["ok"], n["not"], n["skip"] }'
exit $status
