#!/bin/sh
# SPDX-License-Identifier: MIT
# matrix.sh SUTURE-PKT [-k DIR] - plays what matrix.tab (over IPv4 and IPv6) and orders.awk say of the stack: makes the scripts,
# and plays them.  With -k they are made in DIR, and stay.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
play=$1
case ${2:-} in
-k) dir=$3 && mkdir -p "$dir" ;;
*) dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT HUP INT TERM ;;
esac
mkdir -p "$dir/4" "$dir/6" "$dir/orders"
cp "$here"/*.inc "$dir/4"
cp "$here"/*.inc "$dir/orders"
awk -v dir="$dir/4" -f "$here/matrix.awk" "$here/matrix.tab"
awk -v dir="$dir/orders" -f "$here/orders.awk"
for f in "$dir"/4/*; do
	sed 's/192\.0\.2\.\([12]\):/[2001:db8::\1]:/g; s/mss 1460/mss 1440/' "$f" >"$dir/6/${f##*/}"
done
"$play" "$dir/4" "$dir/6" "$dir/orders"
