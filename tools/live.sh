#!/bin/sh
# SPDX-License-Identifier: MIT
# live.sh BUILD [TEST ...] - runs live tests (tests/live/TEST.sh) with BUILD's suture.
#
# LIVE=core (default) runs the first list, LIVE=all both.  Each test prints "ok NAME", "not ok NAME # why", "skip NAME # why".
# They are shown, and appended to the file that $RESULTS names.
set -u
core="http upload tls ssh parallel ipv6 options refused reuse drops loss wrap strict sackbreak"
more="matrix dropsall bulk"

build=$1
shift
[ $# -gt 0 ] || case ${LIVE:-core} in
all)
	# shellcheck disable=SC2086
	set -- $core $more ;;
*)
	# shellcheck disable=SC2086
	set -- $core ;;
esac
RESULTS=${RESULTS:-/dev/null}

if [ "$(id -u)" != 0 ]; then
	echo "skip live # needs root for network namespaces" | tee -a "$RESULTS"
	exit 0
fi
if ! ip netns add "sutprobe$$" 2>/dev/null; then
	echo "skip live # this machine does not let us make network namespaces" | tee -a "$RESULTS"
	exit 0
fi
ip netns del "sutprobe$$"

failed=0
for t; do
	out=$(mktemp)
	began=$(date +%s)
	SUTURE=$(realpath "$build/src/cli/suture") PEER=$(realpath "$build/tests/live/peer") BUILD=$build \
		sh "tests/live/$t.sh" >"$out" 2>&1
	status=$?
	grep -E '^(ok|not ok|skip) ' "$out" >>"$RESULTS"
	if [ $status != 0 ] || grep -q '^not ok ' "$out"; then
		failed=1
		cat "$out"
		grep -q '^not ok ' "$out" || echo "not ok live/$t # exit status $status" | tee -a "$RESULTS"
	fi
	awk -v t="$t" -v s=$(($(date +%s) - began)) '
		/^(ok|not|skip) / { n[$1]++ }
		END { printf "   live/%-10s %3d ok, %d not, %d skipped, %d s\n", t, n["ok"], n["not"], n["skip"], s }' "$out"
	rm -f "$out"
done
exit $failed
