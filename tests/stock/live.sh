#!/bin/sh
# SPDX-License-Identifier: MIT
# live.sh - everyday use through accel near, between the stock kernel's own TCP.
# shellcheck source=tests/live/live.sh
. tests/live/live.sh

some() {
	live_up "$2"
	LIVE_WHERE="$1-$2-$3: "
	big 5
	lab_nginx
	serve sink 9000
	serve echo 9001
	accel "$1" "$3"
	lab_reach
	check 'small page' small
	check 'keep-alive' keepalive
	check '5 MB down' down http://$SERVER4 5
	check '5 MB up' up $SERVER4 5
	check '5 MB down, TLS' down https://$SERVER4 5
	check '5 MB down, IPv6' down "http://[$SERVER6]" 5
	check 'chat' chat $SERVER4 9001
	check 'same port 20 times' reuse $SERVER4 20
	check 'was at work, ends well' was_at_work
	live_down
	return $LIVE_FAILED
}

some hold gso far
some merge strict wrap
