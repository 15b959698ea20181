#!/bin/sh
# SPDX-License-Identifier: MIT
# vlan.sh - the box between the kernel's own VLAN devices: 802.1Q, and 802.1Q within 802.1ad; tags are neither lost nor mixed up.
# shellcheck source=tests/live/live.sh
. tests/live/live.sh

# tagged NS DEV ID ADDRESS PROTOCOL: a VLAN device on DEV.
tagged() {
	lab_in "$1" ip link add link "$2" name "$2.$3" type vlan protocol "$5" id "$3" || return 1
	lab_in "$1" ip link set dev "$2.$3" up
	[ "$4" = - ] || lab_in "$1" ip addr add "$4/24" dev "$2.$3"
}

# fetch ADDRESS: three pages (the first teaches), then 2 MB.
fetch() {
	small "$1" && down "http://$1" 2
}

LAB_MTU=1508
live_up gso
LIVE_WHERE='vlan: '
big 2
lab_nginx
for end in client:1 server:2; do
	ns=${end%:*} n=${end#*:}
	tagged $ns eth0 7 198.51.100.$n 802.1Q
	tagged $ns eth0 5 - 802.1ad
	tagged $ns eth0.5 9 203.0.113.$n 802.1Q
done
accel hold far
lab_reach
check 'untagged' fetch $SERVER4
check '802.1Q' fetch 198.51.100.2
check '802.1Q in 802.1ad' fetch 203.0.113.2
check 'was at work, ends well' was_at_work
live_down
[ $LIVE_FAILED = 0 ] || exit 1

live_up strict
LIVE_WHERE='vlan, strict: '
big 2
lab_nginx
for end in client:1 server:2; do
	ns=${end%:*} n=${end#*:}
	tagged $ns eth0 7 198.51.100.$n 802.1Q
done
accel merge wrap
lab_reach
check '802.1Q, merge' fetch 198.51.100.2
check 'was at work, ends well' was_at_work
live_down
exit $LIVE_FAILED
