#!/bin/sh
# SPDX-License-Identifier: MIT
# 1 % loss and 1 % reordering each way, 5 ms one way: all bytes arrive, and no kernel meets a SACK block it cannot place.
# shellcheck source=tests/live/live.sh
. "$(dirname "$0")/live.sh"

many() {
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		lab_in client curl -gsS -m 30 -o "$LAB/got" http://$SERVER4/big1 || return 1
		"$PEER" sha <"$LAB/got" | cmp - "$LAB/big1.sha" || return 1
	done
}

recovered() {
	n=$(($(kernel client TCPSackRecovery) + $(kernel server TCPSackRecovery)))
	[ $n -gt 0 ] || { echo "no SACK recovery took place: nothing was tested"; return 1; }
}

one() {
	mode=$1 offload=$2 isn=$3
	live_up "$offload"
	LIVE_WHERE="$mode-$offload-$isn: "
	lab_unbridge wire
	big 1
	big 10
	lab_nginx
	serve sink 9000
	serve echo 9001
	accel "$mode" "$isn"
	lab_wire --delay 5ms --loss 1% --reorder 1% --dup 0.2% --seed "${SEED:-7}"
	lab_reach
	check 'ten pages of 1 MB' many
	check '10 MB down' down http://$SERVER4 10
	check '10 MB up' up $SERVER4 10
	check 'chat' chat $SERVER4 9001
	check 'SACK was used' recovered
	check 'kernels content' kernels_content
	check 'was at work, ends well' was_at_work
	live_down
}

one merge strict wrap
if [ "$LIVE" = all ]; then
	for m in hold merge; do
		one $m gso far
		one $m gso wrap
		one $m plain wrap
	done
else
	one hold gso far
fi
