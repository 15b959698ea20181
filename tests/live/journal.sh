#!/bin/sh
# SPDX-License-Identifier: MIT
# The box is killed in mid-download and begins anew with its journal: the bytes are right, servers are known, promises are the same.
# shellcheck source=tests/live/live.sh
. "$(dirname "$0")/live.sh"

with_journal() {
	accel "$1" "$2" --journal "$LAB/journal"
}

# SIGKILL, and at once a new one in its place.
killed() {
	kill -KILL "$(cat "$LAB/box.pid")"
	wait "$(cat "$LAB/box.pid")" 2>/dev/null
	rm -f "$LAB/box.pid"
	with_journal "$1" "$2"
}

# survives MODE ISN URL MB: a download through several deaths.
survives() {
	lab_in client curl -gksS -m 60 --limit-rate 8M "$3/big$4" 2>"$LAB/curl.err" | "$PEER" sha >"$LAB/got.sha" &
	survives_pid=$!
	for _ in 1 2 3; do
		sleep 0.4
		killed "$1" "$2" || return 1
	done
	wait $survives_pid
	cat "$LAB/curl.err"
	cmp "$LAB/got.sha" "$LAB/big$4.sha"
}

survives_up() {
	lab_in client timeout 60 "$PEER" push "$3" 9000 $(($4 * 1048576)) &
	survives_pid=$!
	for _ in 1 2 3; do
		sleep 0.3
		killed "$1" "$2" || return 1
	done
	wait $survives_pid
}

# The first SYN after a death is promised: nothing has to be learnt anew.
known() {
	small || return 1
	killed "$1" "$2" || return 1
	page="$LAB/page"
	lab_in client curl -gsS -m 20 -o "$page" http://$SERVER4/ && cmp "$page" "$LAB/www/index.html" || return 1
	lab_stop box
	[ "$(counter promised)" -ge 1 ] || { echo "nothing was promised"; return 1; }
	! grep -q syn-unlearnt "$LAB/box.out" || { echo "the server had to be learnt anew"; return 1; }
	with_journal "$1" "$2"
}

# A journal that is damaged is refused, and there is a way on.
damaged() {
	lab_stop box
	cp "$LAB/journal" "$LAB/whole"
	damaged_size=$(wc -c <"$LAB/journal")
	printf 'XXXXXXXX' | dd of="$LAB/journal" bs=1 seek=$((damaged_size / 2)) conv=notrunc 2>/dev/null
	lab_in box "$SUTURE" accel near --client if:$BOX_C --server if:$BOX_S --journal "$LAB/journal" >"$LAB/damaged" 2>&1
	[ $? = 1 ] && grep -q 'damaged at byte .*--journal-salvage' "$LAB/damaged" || { cat "$LAB/damaged"; return 1; }
	accel "$1" "$2" --journal "$LAB/journal" --journal-salvage && small
}

one() {
	live_up "$2"
	LIVE_WHERE="journal, $1-$2-$3: "
	lab_sysctl client net.ipv4.tcp_rmem='4096 131072 262144'
	big 12
	lab_nginx
	serve sink 9000
	with_journal "$1" "$3"
	lab_reach
	check 'small page' small
	check 'download, three deaths' survives "$1" "$3" http://$SERVER4 12
	check 'download, TLS, three deaths' survives "$1" "$3" https://$SERVER4 12
	check 'download, IPv6, three deaths' survives "$1" "$3" "http://[$SERVER6]" 12
	check 'upload, three deaths' survives_up "$1" "$3" $SERVER4 12
	check 'upload again, three deaths' survives_up "$1" "$3" $SERVER4 200
	check 'the server is known' known "$1" "$3"
	check 'damaged' damaged "$1" "$3"
	check 'was at work, ends well' was_at_work
	live_down
}

if [ "$LIVE" = all ]; then
	for m in hold merge; do
		for o in gso strict; do
			one $m $o wrap
		done
	done
else
	one hold gso wrap
fi
exit $LIVE_FAILED
