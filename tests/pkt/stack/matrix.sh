#!/bin/sh
# SPDX-License-Identifier: MIT
# matrix.sh SUTURE-PKT [-k DIR] - plays what matrix.tab and orders.awk say of the stack: makes the scripts, and plays them.  The
# table holds over IPv4 and IPv6, and with timestamps.  With -k the scripts are made in DIR, and stay.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
play=$1
case ${2:-} in
-k) dir=$3 && mkdir -p "$dir" ;;
*) dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT HUP INT TERM ;;
esac
mkdir -p "$dir/4" "$dir/6" "$dir/good" "$dir/old" "$dir/none" "$dir/orders"
cp "$here"/*.inc "$dir/4"
cp "$here"/*.inc "$dir/orders"
awk -v dir="$dir/4" -f "$here/matrix.awk" "$here/matrix.tab"
awk -v dir="$dir/orders" -f "$here/orders.awk"
for f in "$dir"/4/*; do
	sed 's/192\.0\.2\.\([12]\):/[2001:db8::\1]:/g; s/mss 1460/mss 1440/' "$f" >"$dir/6/${f##*/}"
done
for ts in good old none; do
	for f in "$here"/*.inc; do
		sed '/^set timestamps/d
/net > .*<mss 1460>/s/>$/,nop,nop,TS val 500 ecr 0>/
/net > .*win [0-9]*$/s/$/ <nop,nop,TS val 500 ecr 0>/
/net < /{s/ <[a-z].*//;s/$/ <*>/;}' "$f" >"$dir/$ts/${f##*/}"
	done
	awk -v dir="$dir/$ts" -v ts=$ts -f "$here/matrix.awk" "$here/matrix.tab"
done
"$play" "$dir/4" "$dir/6" "$dir/good" "$dir/old" "$dir/none" "$dir/orders"
