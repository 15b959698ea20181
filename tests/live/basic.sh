#!/bin/sh
# SPDX-License-Identifier: MIT
# Everyday use through the box, in each mode: pages, downloads, uploads, TLS, ssh, eight flows, IPv6, ports used again.
# Core: both modes, once as it is and once strict with ISNs near the wrap.  All: each mode with each variant.
# shellcheck source=tests/live/live.sh
. "$(dirname "$0")/live.sh"

one() {
	mode=$1 offload=$2 isn=$3 mb=$4
	live_up "$offload"
	LIVE_WHERE="$mode-$offload-$isn: "
	big "$mb"
	lab_nginx
	serve sink 9000
	serve echo 9001
	serve greet 9002
	live_iperf
	live_sshd
	accel "$mode" "$isn"
	lab_reach
	check 'small page' small
	check 'small page, IPv6' small "[$SERVER6]"
	check 'keep-alive' keepalive
	check "$mb MB down" down http://$SERVER4 "$mb"
	check "$mb MB up" up $SERVER4 "$mb"
	check '10 MB down, TLS' down https://$SERVER4 10
	check '10 MB down, TLS, again' down https://$SERVER4 10
	check '10 MB down, IPv6' down "http://[$SERVER6]" 10
	check '10 MB up, IPv6' up $SERVER6 10
	check 'chat' chat $SERVER4 9001
	check 'chat again' chat $SERVER4 9001
	check 'chat, IPv6' chat $SERVER6 9001
	check 'server speaks first' greeted $SERVER4 9002
	check 'server speaks first, again' greeted $SERVER4 9002
	check 'scp' scp_both $SERVER4
	check 'scp again' scp_both $SERVER4
	check 'eight flows up' eight $SERVER4
	check 'eight flows down' eight $SERVER4 -R
	check 'same port 50 times' reuse $SERVER4 50
	check 'kernels content' kernels_content
	check 'was at work, ends well' was_at_work
	live_down
}

greeted() {
	lab_in client sh -c "(sleep 0.3; echo QUIT) | timeout 20 nc -N $1 $2" >"$LAB/greeted" && grep -q '^220 ' "$LAB/greeted" &&
		grep -q QUIT "$LAB/greeted"
}

if [ "$LIVE" = all ]; then
	for m in hold merge; do
		for o in gso strict plain; do
			for i in far wrap; do
				one $m $o $i 100
			done
		done
	done
else
	one hold gso far 100
	one merge strict wrap 100
	one hold strict wrap 20
fi
