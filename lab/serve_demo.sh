#!/bin/sh
# SPDX-License-Identifier: MIT
# serve_demo.sh [SUTURE] - curl, on the kernel's TCP, fetches a large file from "suture serve": the other end is a TCP in user space.
#
# One namespace, one TUN device: 203.0.113.1 and 2001:db8:1::1 are the kernel's, .2 and ::2 are suture's.
set -u
top=$(dirname "$0")/..
SUTURE=$(realpath "${1:-$top/build/src/cli/suture}")
MB=${MB:-100}
# shellcheck source=lab/lab.sh
. "$top/lab/lab.sh"

LAB_WIRE=no
lab_up
lab_more host
mkdir -p "$LAB/www"
head -c "${MB}M" /dev/urandom >"$LAB/www/big"
want=$(sha256sum <"$LAB/www/big")
lab_start serve host "$SUTURE" serve --tun sut0 --addr 203.0.113.2/24 --addr 2001:db8:1::2/64 --host-addr 203.0.113.1 \
	--host-addr 2001:db8:1::1 --port 80 http "$LAB/www"
lab_await serve ready 10 || exit 1

echo
echo "suture serve: no kernel's TCP at the server's end; curl fetches $MB MB over a TUN device"
echo
failed=0
for url in http://203.0.113.2/big 'http://[2001:db8:1::2]/big'; do
	speed=$(lab_in host curl -gsS -m 60 -o "$LAB/got" -w '%{speed_download} %{time_connect}' "$url") || failed=1
	sum=equal
	[ "$(sha256sum <"$LAB/got")" = "$want" ] || { sum=DIFFERENT; failed=1; }
	echo "$url $speed $sum" | awk '{ printf "  %-28s %6.2f Gbit/s   connect %5.2f ms   SHA-256 %s\n", $1, $2 * 8 / 1e9, $3 * 1000, $4 }'
done
lab_end serve
[ "$(cat "$LAB/serve.status")" = 0 ] || { cat "$LAB/serve.out"; failed=1; }
exit $failed
