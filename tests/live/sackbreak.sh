#!/bin/sh
# SPDX-License-Identifier: MIT
# The oracle of loss.sh can fail: a suture that leaves SACK blocks as they are, built from a changed copy of the source,
# makes the server's kernel discard blocks, where the unchanged one under the same loss does not.
# shellcheck source=tests/live/live.sh
. "$(dirname "$0")/live.sh"

if [ -n "$BASELINE" ]; then
	echo 'skip sackbreak # a bridge translates nothing'
	exit 0
fi

top=$(cd "$(dirname "$0")/../.." && pwd)

# broken_suture DIR: a build of the source with SACK edges left alone.
broken_suture() {
	mkdir -p "$1/tree" && (cd "$top" && tar cf - --exclude='./build*' --exclude=./.git .) | tar xf - -C "$1/tree" || return 1
	sed -i 's/^\t\tadd32(d, h, off + 4 \* i, add);$/\t\tadd32(d, h, off + 4 * i, 0 * add);/' "$1/tree/src/core/rewrite.c"
	! cmp -s "$top/src/core/rewrite.c" "$1/tree/src/core/rewrite.c" || { echo 'rewrite.c has changed: mend the sed line'; return 1; }
	(cd "$1/tree" && CC=gcc meson setup -Doptimization=0 -Ddebug=false build && ninja -C build src/cli/suture)
}

discards() {
	down http://$SERVER4 20
	echo "TCPSACKDiscard: $(kernel server TCPSACKDiscard), TCPSackRecovery: $(kernel server TCPSackRecovery)"
	case $1 in
	none) [ "$(kernel server TCPSACKDiscard)" = 0 ] ;;
	some) [ "$(kernel server TCPSACKDiscard)" != 0 ] ;;
	esac
}

one() {
	LIVE_WHERE="$1: "
	accel hold far
	lab_reach
	check 'small page' small
	check "$2" discards "$3"
}

live_up strict
lab_unbridge wire
big 20
lab_nginx
lab_wire --delay 2ms --loss 0.5% --seed 3
one 'whole' 'SACK blocks are understood' none
if broken_suture "$LAB/broken" >"$LAB/broken.log" 2>&1; then
	SUTURE=$LAB/broken/tree/build/src/cli/suture
	one 'SACK not translated' 'is noticed' some
else
	tail -n 20 "$LAB/broken.log"
	echo 'not ok sackbreak # the broken copy does not build'
fi
live_down
