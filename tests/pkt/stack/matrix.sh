#!/bin/sh
# SPDX-License-Identifier: MIT
# matrix.sh SUTURE-PKT [-k DIR] - plays what matrix.tab and orders.awk say of the stack: makes the scripts, and plays them.  All of
# it holds over IPv4 and IPv6, where numbers and clocks begin anew at 2^32, and with timestamps.  With -k the scripts are made in DIR, and stay.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
play=$1
case ${2:-} in
-k) dir=$3 && mkdir -p "$dir" ;;
*) dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT HUP INT TERM ;;
esac

# plus IRS N: their sum, as numbers go.
plus() {
	awk -v irs="$1" -v n="$2" 'BEGIN { printf "%.0f", (irs + n) % 4294967296 }'
}

# folder NAME IRS SED: a folder with the common parts, in which the peer's SYN has the number IRS.
folder() {
	mkdir -p "$dir/$1"
	one=$(plus "$2" 1)
	two=$(plus "$2" 2)
	for f in "$here"/*.inc; do
		sed "s/ 1000:1000(/ $2:$2(/; s/ 1001:1001(/ $one:$one(/; s/ack 1001 /ack $one /; s/ack 1002 /ack $two /; $3" \
			"$f" >"$dir/$1/${f##*/}"
	done
}

# matrix NAME IRS TS LET_GO: the scripts of matrix.awk.
matrix() {
	awk -v dir="$dir/$1" -v irs="$2" -v ts="$3" -v let_go="$4" -f "$here/matrix.awk" "$here/matrix.tab"
}

orders() {
	folder "$1" "$2" ''
	awk -v dir="$dir/$1" -v irs="$2" -f "$here/orders.awk"
}

folder 4 1000 ''
matrix 4 1000 '' ''
folder wrap 4294967295 ''
echo "set start 4294967240ms" >>"$dir/wrap/plain.inc" # 56 ms before the clock begins anew, in ms
matrix wrap 4294967295 '' ''
folder let-go 1000 's/"shutdown"/"close"/'
matrix let-go 1000 '' 1
for ts in good old none; do
	folder $ts 1000 '/^set timestamps/d
/net > .*<mss 1460>/s/>$/,nop,nop,TS val 500 ecr 0>/
/net > .*win [0-9]*$/s/$/ <nop,nop,TS val 500 ecr 0>/
/net < /{s/ <[a-z].*//;s/$/ <*>/;}'
	matrix $ts 1000 $ts ''
done
mkdir -p "$dir/6"
for f in "$dir"/4/*; do
	sed 's/192\.0\.2\.\([12]\):/[2001:db8::\1]:/g; s/mss 1460/mss 1440/' "$f" >"$dir/6/${f##*/}"
done
orders orders 1000
orders orders-wrap 4294967000
"$play" "$dir/4" "$dir/wrap" "$dir/let-go" "$dir/6" "$dir/good" "$dir/old" "$dir/none" "$dir/orders" "$dir/orders-wrap"
