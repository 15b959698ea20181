#!/bin/sh
# SPDX-License-Identifier: MIT
# What tshark, which we did not write, says of the frames on both sides: no bad checksum, and no warning
# that it does not also give for the same work through a bridge of the kernel.
# Offloads are off, so that every checksum on the wire is complete.
# All runs on one CPU: veth queues a frame on the CPU that sends it, so that a sender that moves to another CPU (nginx as well as
# suture) may have its next frames overtake the last ones.  That is the machine's doing, and tshark would tell of it.
# shellcheck source=tests/live/live.sh
. "$(dirname "$0")/live.sh"

taskset -cp "$(awk '/^Cpus_allowed_list/ { n = split($2, a, "[,-]"); print a[n] }' /proc/self/status)" $$ >/dev/null

if ! command -v tshark >/dev/null; then
	echo 'skip capture # tshark is not installed'
	exit 0
fi

work() {
	small && keepalive && small "[$SERVER6]" && down http://$SERVER4 2 && down https://$SERVER4 2 &&
		lab_in client timeout 60 "$PEER" push $SERVER4 9000 2000000 && lab_in client timeout 60 "$PEER" chat $SERVER4 9001 20 &&
		lab_in client timeout 60 "$PEER" chat $SERVER6 9001 20
}

captured() {
	lab_capture "$1-client" client eth0
	lab_capture "$1-server" server eth0
	work
	status=$?
	sleep 0.3
	lab_end "$1-client"
	lab_end "$1-server"
	return $status
}

# A kernel that sums in software may send 0xffff where others send 0x0000: both sum right (RFC 1624, 3).
sums() {
	for side in client server; do
		tshark -n -r "$LAB/$1-$side.pcap" -o tcp.check_checksum:TRUE -o ip.check_checksum:TRUE \
			-Y '(tcp.checksum.status == 0 && !(tcp.checksum == 0xffff && tcp.checksum_calculated == 0)) || ip.checksum.status == 0' 2>/dev/null
	done >"$LAB/sums"
	tcps=$(tshark -n -r "$LAB/$1-client.pcap" -o tcp.check_checksum:TRUE -Y 'tcp.checksum.status == 1' 2>/dev/null | wc -l)
	[ "$tcps" -gt 1000 ] || { echo "only $tcps good checksums: was anything captured?"; return 1; }
	[ ! -s "$LAB/sums" ] || { head -n 10 "$LAB/sums"; return 1; }
}

# Full and empty windows and spurious retransmissions (D-SACK) depend on timing, and a reset that ends curl's connection is curl's.
warnings() {
	for side in client server; do
		tshark -n -r "$LAB/$1-$side.pcap" -o tcp.check_checksum:TRUE -Y '_ws.expert.severity >= 6291456' \
			-T fields -e frame.number -e _ws.expert.message 2>/dev/null |
		grep -vE 'TCP window specified by the receiver is now completely full|TCP Zero Window segment|D-SACK Sequence|0xffff instead of 0x0000|Connection reset \(RST\)' |
		sed "s/^/$side: /"
	done
}

unexplained() {
	warnings "$1" >"$LAB/warn"
	cut -f 2- "$LAB/bridge.warn" | sort -u >"$LAB/known"
	: >"$LAB/new"
	cut -f 2- "$LAB/warn" | sort | uniq -c | while read -r n text; do
		grep -qxF "$text" "$LAB/known" || echo "$n times: $text" >>"$LAB/new"
	done
	[ ! -s "$LAB/new" ] || { cat "$LAB/new"; head -n 10 "$LAB/warn"; return 1; }
}

live_up plain
lab_bridge box
LIVE_WHERE='bridge: '
big 2
lab_nginx
serve sink 9000
serve echo 9001
lab_reach
check 'the work itself' captured bridge
check 'checksums' sums bridge
warnings bridge >"$LAB/bridge.warn"
lab_unbridge box

for m in hold merge; do
	for i in $(all wrap far); do
		accel $m "$i"
		LIVE_WHERE="$m-plain-$i: "
		lab_reach
		check 'the server is learnt' work
		check 'the work itself' captured "$m$i"
		check 'checksums' sums "$m$i"
		check 'no new warning' unexplained "$m$i"
		check 'was at work, ends well' was_at_work
	done
done
live_mode=none LIVE_WHERE=
check 'kernels content' kernels_content
live_down
