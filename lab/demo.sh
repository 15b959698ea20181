#!/bin/sh
# SPDX-License-Identifier: MIT
# demo.sh [SUTURE] - what suture does to the wait for a web server 20 ms away, on this machine, in network namespaces.
#
# curl fetches from nginx: through a bridge of the kernel, then with "suture accel near" in the bridge's place, first holding
# the client's data until the server has answered (hold), then sending it in the SYN (merge).  Neither end is changed.
# Prints medians, and checks a download of 100 MB by its SHA-256 each time.
# Then what becomes of a few segments on their way to a standby server: replica_demo.sh.
set -u
ROUNDS=${ROUNDS:-15}
DELAY=${DELAY:-20ms}
MB=${MB:-100}
SUTURE=${1:-build/src/cli/suture}

# shellcheck source=lab/lab.sh
. "$(dirname "$0")/lab.sh"

# median N FILE: of column N.
median() {
	sort -n -k "$1,$1" "$2" | awk -v c="$1" '{ v[NR] = $c } END { printf "%.1f", (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 * 1000 }'
}

# row NAME: measures what is now between client and server.
row() {
	: >"$LAB/times"
	# The first two connections are suture's to learn the server's options by; they do not count for anyone.
	for i in $(seq -1 "$ROUNDS"); do
		t=$(lab_in client curl -sS -m 20 -o /dev/null -w '%{time_connect} %{time_starttransfer}' "http://$SERVER4/") ||
			lab_fail "$1: curl got no page"
		[ "$i" -le 0 ] || echo "$t" >>"$LAB/times"
	done
	took=$(lab_in client curl -sS -m 100 -o "$LAB/got" -w '%{time_total}' "http://$SERVER4/big") || lab_fail "$1: curl got no file"
	if [ "$(sha256sum <"$LAB/got")" = "$want" ]; then
		same='same'
	else
		same='DIFFERENT'
		failed=1
	fi
	printf '  %-18s %8s ms %12s ms %14.2f s   %s\n' "$1" "$(median 1 "$LAB/times")" "$(median 2 "$LAB/times")" "$took" "$same"
}

near() {
	lab_box accel near --client if:$BOX_C --server if:$BOX_S --mode "$1" --ports 80 --idempotent 80 --stats
}

# counted NAME: from the counters that suture printed when it ended.
counted() {
	awk -v n="$1" '$1 == n { print $2; exit }' "$LAB/box.out"
}

failed=0
# Other work on this machine is not what is measured here: curl, the box, the wire and nginx all go before it.
renice -n -10 $$ >/dev/null 2>&1
lab_up
mkdir -p "$LAB/www"
head -c "${MB}M" /dev/urandom >"$LAB/www/big"
want=$(sha256sum <"$LAB/www/big")
lab_nginx
lab_wire --delay "$DELAY"

echo "curl - box - $DELAY one way - nginx: medians of $ROUNDS fetches of a small page, then one download of $MB MB"
echo
printf '  %-18s %11s %15s %16s   %s\n' 'in the box' 'connect' 'first byte' "$MB MB" 'SHA-256'

lab_bridge box
lab_reach
row 'bridge (plain)'
lab_unbridge box

near hold
row 'suture, hold'
lab_stop box

near merge
row 'suture, merge'
lab_stop box

cat <<EOF

hold   connect() returns at once: the box answers for the server.  The first byte is no earlier: the client's data waits
       for the server's handshake all the same.
merge  the client's first data travels in the SYN, which nginx here takes (listen ... fastopen; TCP Fast Open without a
       cookie): the first byte comes one round trip earlier.  A server that takes no data in SYN gains nothing.
       Data in SYN that the server took: $(($(counted merge_taken) + 0)) of $(($(counted merged) + 0)) connections.
EOF
"$(dirname "$0")/replica_demo.sh" "$SUTURE" || failed=1
"$(dirname "$0")/serve_demo.sh" "$SUTURE" || failed=1
"$(dirname "$0")/handoff_demo.sh" "$SUTURE" || failed=1
exit $failed
