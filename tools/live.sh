#!/bin/sh
# SPDX-License-Identifier: MIT
# live.sh BUILD [TEST ...] - runs live tests (tests/live/TEST.sh) with BUILD's suture; without names, all of them.
#
# Each test has a core (LIVE=core, the default) and a whole matrix (LIVE=all): modes x offloads x ISNs near the wrap.
#
#   test        core                                          all
#   basic       hold gso 100 MB, merge strict wrap 100 MB,    hold, merge x gso, strict, plain x far, wrap, 100 MB
#               hold strict wrap 20 MB
#   options     merge strict wrap, 10 kinds of ends           + hold gso, merge gso, hold strict wrap, merge plain wrap
#   refused     hold, merge, strict wrap                      + gso
#   drops       hold strict wrap, merge gso                   hold, merge x gso, strict, plain x far, wrap
#   loss        merge strict wrap, hold gso                   + hold, merge x gso, gso wrap, plain wrap
#   capture     hold, merge, plain wrap                       + far from the wrap
#   sackbreak   a build whose SACK blocks are not translated must be caught
#   doctor      each finding of "suture accel doctor", provoked and mended
#   handoff_doctor  each finding of "suture handoff doctor", provoked and mended
#   handoff_keys  who may speak to an agent; keys changed, programs killed while all runs
#   handoff_reload  back ends taken in and out while connections go on, an address of each family
#   flood       hold, 4 s                                     hold, merge, 10 s
#   cookie      merge gso wrap                                + strict
#   operate     flows, stats, metrics, top, reload, drain
#   programs    merge strict wrap, without the slow ones      hold, merge x gso, strict wrap; redis, rsync, git too
#   paths       1400 bytes behind a router                    + 300 ms, 1400 bytes at the server, asymmetric, two boxes; hold, merge, gso, strict wrap
#   traps       two rows, merge strict wrap                   each trap of doc/design/accel.md; hold, merge, gso, strict wrap
#   restarts    killed 3 times, merge strict wrap               killed 10 times, ended 10 times; hold, merge, gso, strict wrap
#   tags        802.1Q in 802.1ad, merge strict wrap            seven kinds of tags; hold, merge, gso, strict wrap
#   journal     hold gso wrap                                 + merge, strict
#   serve       our own TCP, offloads and none                + IPv6 without
#   example     the echo server of examples, over its TUN device
#   stack       our own TCP and the kernel's, both roles,    100 MB, each option off in both roles, without offloads, each
#               20 MB, 1 % and 5 % lost                       option over a wire that loses 5 %
#   stack_flood SYNs straight into the device, 5 s            10 s, IPv6 too
#   bigtcp      super-packets of 500000 bytes, merge gso wrap   131072, 200000, 500000; hold, merge; strict
#   ordinary    suture-replica(8), TWO ORDINARY HOSTS, as it stands there
#   handoff     each rung, both families, 100 connections   + 1000 connections, 100 MB, a busy machine, checksums; wrk, wget, redis, haproxy
#   handoff_rules   obstacles of hand-offs, adopt                all rungs; hosts without options, routers, a lossy wire
#   handoff_faults  (all alone) what dies, leaves or falls silent, and comes back; each rung
#   handoff_first   servers that speak first, connections that are silent for a while; each rung, both families
#   handoff_inline  shift by an agent in front of a host that knows nothing of it: its address, or one of its own; without offloads
#
# Each test prints "ok NAME", "not ok NAME # why", "skip NAME # why".  These go to the file that $RESULTS names; failures are shown.
set -u
tests="basic options refused drops loss capture sackbreak doctor handoff_doctor handoff_keys flood cookie operate journal programs paths traps restarts tags serve example stack stack_flood bigtcp ordinary handoff handoff_rules handoff_inline handoff_first"
# What dies and comes back has to be seen on busy machines for longer before it judges what is committed.
[ "${LIVE:-core}" != all ] || tests="$tests handoff_faults handoff_reload"

build=$1
shift
# shellcheck disable=SC2086
[ $# -gt 0 ] || set -- $tests
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
	LIVE=${LIVE:-core} SUTURE=$(realpath -m "$build/src/cli/suture") PEER=$(realpath "$build/tests/live/peer") BUILD=$build \
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
