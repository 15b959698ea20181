#!/bin/sh
# SPDX-License-Identifier: MIT
# Servers that differ: without timestamps, SACK, window scaling; scales 0, 7 and 14; a small MSS; no data in SYN.
# shellcheck source=tests/live/live.sh
. "$(dirname "$0")/live.sh"

one() {
	mode=$1 offload=$2 isn=$3 kind=$4
	LAB_MTU=1500
	live_up "$offload"
	LIVE_WHERE="$mode-$offload-$isn, $kind: "
	case $kind in
	'no timestamps') lab_sysctl server net.ipv4.tcp_timestamps=0 ;;
	'no SACK') lab_sysctl server net.ipv4.tcp_sack=0 ;;
	'no scaling') lab_sysctl server net.ipv4.tcp_window_scaling=0 ;;
	'no options')
		lab_sysctl server net.ipv4.tcp_timestamps=0
		lab_sysctl server net.ipv4.tcp_sack=0
		lab_sysctl server net.ipv4.tcp_window_scaling=0 ;;
	'client without options')
		lab_sysctl client net.ipv4.tcp_timestamps=0
		lab_sysctl client net.ipv4.tcp_sack=0
		lab_sysctl client net.ipv4.tcp_window_scaling=0 ;;
	'no data in SYN') lab_sysctl server net.ipv4.tcp_fastopen=0 ;;
	scale*) lab_server_scale "${kind#scale }" ;;
	'MSS 536') lab_routes server advmss 536 ;;
	esac
	big 20
	lab_nginx
	serve sink 9000
	serve echo 9001
	accel "$mode" "$isn"
	lab_reach
	check 'small page' small
	check '20 MB down' down http://$SERVER4 20
	check '20 MB down again' down http://$SERVER4 20
	check '20 MB up' up $SERVER4 20
	check '20 MB up again' up $SERVER4 20
	check 'chat' chat $SERVER4 9001
	check 'chat again' chat $SERVER4 9001
	check 'kernels content' kernels_content
	check 'was at work, ends well' was_at_work
	live_down
}

if [ "$LIVE" = all ]; then
	variants='hold:gso:far merge:gso:far hold:strict:wrap merge:strict:wrap merge:plain:wrap'
else
	variants='merge:strict:wrap'
fi
for v in $variants; do
	for k in 'no timestamps' 'no SACK' 'no scaling' 'no options' 'client without options' 'scale 0' 'scale 7' 'scale 14' 'MSS 536' 'no data in SYN'; do
		m=${v%%:*} rest=${v#*:}
		one "$m" "${rest%%:*}" "${rest#*:}" "$k"
	done
done
