#!/bin/sh
# SPDX-License-Identifier: MIT
# A server that takes data in SYNs with a Fast Open cookie only, as Linux does unless told otherwise: the box asks for one in the client's
# name, and the client's later requests travel in their SYNs.
# shellcheck source=tests/live/live.sh
. "$(dirname "$0")/live.sh"

# taken N: so many SYNs with data were taken by the server's kernel since the last time.
taken() {
	taken_now=$(kernel server TCPFastOpenPassive)
	taken_was=$(cat "$LAB/taken" 2>/dev/null || echo 0)
	echo "$taken_now" >"$LAB/taken"
	[ $((taken_now - taken_was)) = "$1" ] || { echo "$((taken_now - taken_was)) SYNs with data were taken, expected $1"; return 1; }
}

# page URL: one page on a connection of its own.
page() {
	lab_in client curl -gksS -m 20 -o "$LAB/got" "$1" && cmp "$LAB/got" "$LAB/www/index.html"
}

pages() {
	page "$1" && taken 0 && page "$1" && page "$1" && page "$1" && taken 3
}

# The server gets another key: the cookie is worth nothing, its SYN-ACK brings a new one, and the data is sent again at once.
other_key() {
	lab_sysctl server net.ipv4.tcp_fastopen_key=1-2-3-4
	page "$1" && taken 0 && page "$1" && taken 1
}

# Another address of the same client needs a cookie of its own.
other_client() {
	lab_in client ip addr add 192.0.2.77/24 dev eth0
	for other_i in 0 1; do
		lab_in client curl -gsS -m 20 --interface 192.0.2.77 -o "$LAB/got" "$1" && cmp "$LAB/got" "$LAB/www/index.html" && taken $other_i ||
			return 1
	done
}

asked() {
	lab_stop box
	[ "$(counter cookie_asked)" -ge 3 ] && [ "$(counter cookie_learnt)" -ge 4 ]
}

for v in gso strict; do
	live_up $v
	LIVE_WHERE="cookie, $v: "
	lab_sysctl server net.ipv4.tcp_fastopen=3
	lab_nginx
	accel merge wrap --merge-hold 500ms
	lab_reach
	check 'pages' pages http://$SERVER4/
	check 'pages, TLS' pages https://$SERVER4/
	check 'pages, IPv6' pages "http://[$SERVER6]/"
	check 'another key' other_key http://$SERVER4/
	check 'another client' other_client http://$SERVER4/
	check 'kernels content' kernels_content
	check 'asked, and ended well' asked
	live_down
	[ "$LIVE" = all ] || break
done
exit $LIVE_FAILED
