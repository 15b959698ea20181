#!/bin/sh
# SPDX-License-Identifier: MIT
# suture-replica(8), TWO ORDINARY HOSTS: its lines are typed as they stand there, but for names that are this test's own; a download outlives
# the primary.
set -u
top=$(dirname "$0")/../..
SUTURE=${SUTURE:-$top/build/src/cli/suture} PEER=${PEER:-$top/build/tests/live/peer}
dir=$(mktemp -d)
failed=0
running=

# shellcheck disable=SC2317
finish() {
	for p in $running; do
		kill "$p" 2>/dev/null
	done
	for n in client primary secondary box; do
		! ip netns list | grep -q "^sut$$-$n\\>" || ip netns del "sut$$-$n"
	done
	rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' HUP INT TERM

# lines N: the section's Nth block of lines.
lines() {
	awk -v want="$1" '/^\.Sh/ { on = /TWO ORDINARY HOSTS/ } !on { next }
		/^\.Ed/ { in_block = 0 } in_block && n == want
		/^\.Bd/ { in_block = 1; n++ }' "$top/doc/man/suture-replica.8" |
		sed -E "s|\\\\e$|\\\\|; s|/run/|$dir/|g
			:again
			s/(^|[ ])(client|primary|secondary|box)( |;|$)/\\1sut$$-\\2\\3/
			t again"
}

verdict() {
	# shellcheck disable=SC2015
	[ "$2" = 0 ] && echo "ok ordinary: $1" || { echo "not ok ordinary: $1 # $2"; failed=1; }
}

mkdir "$dir/bin"
ln -s "$(realpath "$SUTURE")" "$dir/bin/suture"
PATH=$dir/bin:$PATH
for i in 1 2 3 4; do
	lines $i >"$dir/$i"
done
# shellcheck disable=SC1091
. "$dir/1"
# shellcheck disable=SC1091
. "$dir/2" 2>"$dir/tc.err" || {
	echo "skip ordinary # $(head -n 1 "$dir/tc.err")"
	exit 0
}
# Each program in the background leaves its number.
sed 's/&$/\& running="$running $!"/' "$dir/3" >"$dir/programs"
# shellcheck disable=SC1091
. "$dir/programs" >"$dir/out" 2>&1
tries=100
until [ "$(grep -c ready "$dir/out")" = 3 ]; do
	[ $((tries -= 1)) -gt 0 ] || { cat "$dir/out"; echo "not ok ordinary: ready"; exit 1; }
	sleep 0.1
done
head -c 20000000 /dev/urandom >"$dir/data"
cat >"$dir/nginx.conf" <<CONF
user root;
daemon off;
master_process off;
error_log $dir/nginx.err warn;
events { }
http {
	access_log off;
	client_body_temp_path $dir/tmp;
	proxy_temp_path $dir/tmp;
	fastcgi_temp_path $dir/tmp;
	uwsgi_temp_path $dir/tmp;
	scgi_temp_path $dir/tmp;
	server {
		listen 80;
		root $dir;
	}
}
CONF
for n in primary secondary; do
	ip netns exec "sut$$-$n" nginx -c "$dir/nginx.conf" -e "$dir/nginx.err" -g "pid $dir/$n.own;" >"$dir/nginx.out" 2>&1 &
	running="$running $!"
	tries=100
	until ip netns exec "sut$$-$n" ss -Hltn sport = :80 | grep -q 80; do
		[ $((tries -= 1)) -gt 0 ] || { cat "$dir/nginx.out" "$dir/nginx.err"; echo "not ok ordinary: nginx"; exit 1; }
		sleep 0.1
	done
done

fetch() {
	ip netns exec "sut$$-client" curl -sS -m 60 "$@" -o "$dir/got" http://192.0.2.2/data && cmp "$dir/got" "$dir/data"
}

fetch
verdict 'download' $?
fetch --limit-rate 4M &
fetching=$!
tries=100
until [ "$(stat -c %s "$dir/got" 2>/dev/null || echo 0)" -gt 2000000 ] && ! cmp -s "$dir/got" "$dir/data"; do
	[ $((tries -= 1)) -gt 0 ] || break
	sleep 0.1
done
# shellcheck disable=SC1091
. "$dir/4" >"$dir/failover" 2>&1
verdict 'failover' $?
wait $fetching
verdict 'a download outlives the primary' $?
[ $failed = 0 ] || cat "$dir/out" "$dir/failover"
exit $failed
