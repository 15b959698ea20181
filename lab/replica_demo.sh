#!/bin/sh
# SPDX-License-Identifier: MIT
# replica_demo.sh [--check] [SUTURE [REPLICA_SCENE]] - the same few segments through QEMU's rewriter and through ours.
#
# A client talks to a primary; a secondary, with other initial numbers and another timestamp clock, is kept in step.  Both rewriters stand between
# the two on unix sockets, as filter-rewriter does in QEMU's COLO, and are given the same frames.  No privilege is needed.
#
# Where QEMU is not installed (it is large, and the demonstration of one filter), its answers are those in replica_qemu72.txt, recorded from
# QEMU 7.2.  --check compares, prints nothing but differences: QEMU 7.2 with the record, suture with what is right; 77 where there is no QEMU 7.2.
set -u
top=$(dirname "$0")/..
check=
[ "${1:-}" != --check ] || { check=yes; shift; }
SUTURE=${1:-$top/build/src/cli/suture}
SCENE=${2:-$(dirname "$SUTURE")/../../lab/replica_scene}
QEMU=${QEMU:-qemu-system-x86_64}
record=$(dirname "$0")/replica_qemu72.txt

dir=$(mktemp -d)
child=
finish() {
	# The scene takes its own child with it.
	[ -z "$child" ] || kill "$child" 2>/dev/null
	rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' HUP INT TERM

# scene NAME COMMAND...: NAME's answers in $dir/NAME.
scene() {
	name=$1
	shift
	"$SCENE" "$dir" -- "$@" >"$dir/$name" 2>"$dir/$name.err" &
	child=$!
	wait $child
	code=$?
	child=
	return $code
}

qemu_scene() {
	scene qemu "$QEMU" -machine none -nodefaults -display none \
		-netdev "stream,id=n0,server=off,addr.type=unix,addr.path=$dir/primary" \
		-netdev "stream,id=n1,server=off,addr.type=unix,addr.path=$dir/secondary" \
		-netdev hubport,id=h0,hubid=0,netdev=n0 -netdev hubport,id=h1,hubid=0,netdev=n1 \
		-object filter-rewriter,id=rw,netdev=n0,queue=all
}

# segment WHOSE NAME WAY
segment() {
	sed -n "s/^$2 [a-z]* $3 //p" "$dir/$1"
}

# lines NAME: what comes in, and what the two make of it.
lines() {
	printf '    in      %s\n    QEMU    %s\n    suture  %s\n' "$(segment suture "$1" in)" "$(segment qemu "$1" out)" "$(segment suture "$1" out)"
}

if ! scene suture "$SUTURE" replica rewrite --primary "qemu:unix:$dir/primary" --secondary "qemu:unix:$dir/secondary"; then
	echo "lab/replica_demo.sh: suture let a segment go astray:" >&2
	cat "$dir/suture.err" "$dir/log" >&2
	exit 1
fi

version=
command -v "$QEMU" >/dev/null && version=$("$QEMU" --version | sed -n '1s/^[^0-9]*\([0-9.]*\).*/\1/p')

if [ "$check" ]; then
	failed=0
	for right in 'sack ack 10461 .*{11921:13381}' 'sack ecr 200310' 'ts P. 9381:9481' 'ts TS val 900351 '; do
		segment suture "${right%% *}" out | grep -q "${right#* }" || { echo "suture, ${right%% *}: no ${right#* }"; failed=1; }
	done
	[ $failed = 0 ] || exit 1
	case $version in
	7.2.*) ;;
	*) echo "skip replica-scene # no QEMU 7.2 to compare its record with"; exit 77 ;;
	esac
	qemu_scene || { cat "$dir/qemu.err" "$dir/log" >&2; exit 1; }
	grep -v "^#" "$record" | diff - "$dir/qemu"
	exit $?
fi

if [ "$version" ] && qemu_scene; then
	whose="version $version, run now"
else
	whose='version 7.2, recorded: it is not installed (lab/replica_qemu72.txt)'
	cp "$record" "$dir/qemu"
fi
primary_ts=$(segment qemu sack in | sed -n 's/.* ecr \([0-9]*\).*/\1/p')
cat <<EOF

A standby server kept in step: the same segments through QEMU's filter-rewriter and through suture replica rewrite.
QEMU here is $whose.

The primary's sequence numbers begin at 5000 and its timestamp clock at 900000; the secondary's at 9000 and 200000.

  The client acknowledges, and reports a hole (SACK), in the primary's numbers; this goes to the secondary:
$(lines sack)
  QEMU moves the ack and leaves the block and the echoed timestamp: to the secondary the block lies below the ack, and does not say which
  bytes are missing.

  The secondary sends; once the primary is dead, this is what the client gets:
$(lines ts)
  QEMU leaves TSval: the client has last seen $primary_ts, takes what is older for a segment from the past and drops it (PAWS, RFC 7323), this
  one and all that follow: the connection hangs, wherever the secondary's clock is the one that is behind.  With suture the clock goes on.
EOF
