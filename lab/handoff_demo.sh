#!/bin/sh
# SPDX-License-Identifier: MIT
# handoff_demo.sh [SUTURE] - a front end accepts, a stock nginx on another host answers the client directly: what the front end saw of it.
set -u
top=$(dirname "$0")/..
SUTURE=$(realpath "${1:-$top/build/src/cli/suture}")
MB=${MB:-100}
# shellcheck source=lab/handoff_lab.sh
. "$top/lab/handoff_lab.sh"

# Bytes that the front end's device has received and sent.
device() {
	lab_in front cat /sys/class/net/eth0/statistics/rx_bytes /sys/class/net/eth0/statistics/tx_bytes | awk '{ n += $1 } END { print n }'
}

# Milliseconds of processor time of the front end: its process, and its BPF programs where the kernel counts that.
worked() {
	ticks=$(awk '{ print $14 + $15 }' "/proc/$(cat "$LAB/front.pid")/stat")
	ns=$(bpftool prog show 2>/dev/null | awk '
		/^[0-9]+:/ { on = / name front/ }
		on { for (i = 1; i < NF; i++) if ($i == "run_time_ns") sum += $(i + 1) }
		END { printf "%.0f", sum + 0 }')
	awk -v t="$ticks" -v hz="$(getconf CLK_TCK)" -v ns="$ns" 'BEGIN { printf "%.1f\n", t / hz * 1000 + ns / 1e6 }'
}

stats=$(cat /proc/sys/kernel/bpf_stats_enabled 2>/dev/null)
finish() {
	[ -z "$stats" ] || echo "$stats" >/proc/sys/kernel/bpf_stats_enabled
	lab_down
}

echo
echo "suture handoff: the front end reads the request; nginx on another host, as it comes from Debian, answers the client itself"
echo
failed=0
hand_up
trap finish EXIT
[ -z "$stats" ] || echo 1 >/proc/sys/kernel/bpf_stats_enabled
head -c "${MB}M" /dev/urandom >"$LAB/www/big"
want=$(sha256sum <"$LAB/www/big")
hand_nginx 1
hand_nginx 2
hand_back 1
hand_back 2
printf '  %-8s %12s %14s %22s %18s   %s\n' 'rung' "$MB MB" 'first byte' 'front end: bytes' 'processor time' 'SHA-256'
for rung in adopt shift splice; do
	HAND_RUNG=$rung
	hand_front --route 'default b1,b2'
	hand_reach || exit 1
	bytes=$(device) ms=$(worked)
	got=$(lab_in client curl -gsS -m 60 -o "$LAB/got" -w '%{speed_download} %{time_starttransfer}' "http://$VIP4/big") || failed=1
	bytes=$(($(device) - bytes))
	sum=equal
	[ "$(sha256sum <"$LAB/got")" = "$want" ] || { sum=DIFFERENT; failed=1; }
	echo "$rung $got $bytes $ms $(worked) $MB $sum" | awk '{
		printf "  %-8s %7.2f Gbit/s %11.2f ms %12.2f MB (%5.1f %%) %11.1f ms CPU   %s\n", $1, $2 * 8 / 1e9, $3 * 1000, $4 / 1e6,
			$4 / ($7 * 1048576) * 100, $6 - $5, $8 }'
	lab_end front
done
exit $failed
