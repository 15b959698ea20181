#!/bin/sh
# SPDX-License-Identifier: MIT
# matrix.sh SUTURE-PKT [-k DIR] - plays what matrix.tab and orders.awk say of the stack: makes the scripts, and plays them.
# With -k they are made in DIR, and stay.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
play=$1
case ${2:-} in
-k) dir=$3 && mkdir -p "$dir" ;;
*) dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT HUP INT TERM ;;
esac
cp "$here"/*.inc "$dir"
awk -v dir="$dir" -f "$here/matrix.awk" "$here/matrix.tab"
[ ! -f "$here/orders.awk" ] || awk -v dir="$dir" -f "$here/orders.awk"
"$play" "$dir"
