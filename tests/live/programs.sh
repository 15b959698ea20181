#!/bin/sh
# SPDX-License-Identifier: MIT
# Programs and ways to talk that are not a browser's: redis with pipelining, rsync, git, WebSockets, requests in a row, answers that come late,
# servers that speak first, halves that close early or late, a hundred connections at once.  Each over IPv4 and IPv6.
# Core: merge strict, what takes no time.  All: hold, merge x gso, strict.
# shellcheck source=tests/live/live.sh
. "$(dirname "$0")/live.sh"

# Addresses as URLs have them.
in_url() {
	case $1 in
	*:*) echo "[$1]" ;;
	*) echo "$1" ;;
	esac
}

# until_listens PORT NAME
until_listens() {
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do
		! lab_in server ss -Hltn sport = ":$1" | grep -q LISTEN || return 0
		lab_alive "$2" || break
		sleep 0.2
	done
	cat "$LAB/$2.out"
	lab_fail "$2 did not start"
}

# --- redis: a session of 500 commands in one piece, answered byte for byte as without the box

redis_up() {
	lab_start redis server redis-server --port 9010 --bind '*' '-::*' --save '' --appendonly no --dir "$LAB" --protected-mode no
	until_listens 9010 redis
	awk 'BEGIN {
		print "FLUSHALL"
		for (i = 0; i < 500; i++) {
			printf "SET key%d %s%d\r\n", i, substr("abcdefghijklmnopqrstuvwxyz", 1, i % 26 + 1), i * i
			printf "INCRBY sum %d\r\n", i
			printf "RPUSH list item%d\r\n", i
			if (i % 7 == 0) printf "GET key%d\r\nLRANGE list 0 -1\r\n", i / 2
			if (i % 50 == 0) print "NO SUCH COMMAND"
		}
		print "GET sum\nQUIT"
	}' >"$LAB/session"
	lab_in server nc 127.0.0.1 9010 <"$LAB/session" >"$LAB/session.want"
}

redis_session() {
	for _ in 1 2; do
		lab_in client timeout 30 nc "$1" 9010 <"$LAB/session" >"$LAB/session.got" || return 1
		cmp "$LAB/session.got" "$LAB/session.want" || return 1
	done
	[ "$(wc -c <"$LAB/session.got")" -gt 100000 ]
}

redis_benchmark() {
	lab_in client timeout 60 redis-benchmark -h "$1" -p 9010 -P 16 -c 20 -n 20000 -q -t set,get,lpush,lrange_100 >"$LAB/redis.txt" 2>&1
	grep -c 'requests per second' "$LAB/redis.txt" | grep -qx 5 || { tail -n 5 "$LAB/redis.txt"; return 1; }
	! grep -iE 'error|refused' "$LAB/redis.txt"
}

# --- rsync's own daemon: two hundred files there, some of them changed, and back

rsync_up() {
	mkdir -p "$LAB/tree"
	for i in 0 1 2 3 4 5 6 7 8 9; do
		mkdir "$LAB/tree/d$i"
		for j in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19; do
			head -c $((i * j * 211)) /dev/urandom >"$LAB/tree/d$i/f$j"
		done
	done
	mkdir "$LAB/mirror"
	cat >"$LAB/rsyncd.conf" <<-CONF
		use chroot = no
		uid = root
		gid = root
		log file = $LAB/rsyncd.log
		[tree]
			path = $LAB/tree
			read only = yes
		[mirror]
			path = $LAB/mirror
			read only = no
	CONF
	lab_start rsyncd server rsync --daemon --no-detach --config="$LAB/rsyncd.conf" --port=9011
	until_listens 9011 rsyncd
}

rsync_both() {
	rm -rf "$LAB/copy" "$LAB/mirror"
	mkdir "$LAB/mirror"
	lab_in client timeout 60 rsync -a --timeout=30 "rsync://$(in_url "$1"):9011/tree/" "$LAB/copy/" && diff -r "$LAB/tree" "$LAB/copy" || return 1
	for i in 1 3 5 7 9; do
		echo changed >>"$LAB/copy/d$i/f19"
	done
	lab_in client timeout 60 rsync -a --timeout=30 "$LAB/copy/" "rsync://$(in_url "$1"):9011/mirror/" && diff -r "$LAB/copy" "$LAB/mirror" || return 1
	[ "$(find "$LAB/mirror" -type f | wc -l)" = 200 ]
}

# --- git over http, from plain files

git_in() {
	lab_in client env HOME="$LAB" GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0 no_proxy='*' git "$@"
}

git_up() {
	git_in init -q -b main "$LAB/work"
	for i in 1 2 3 4 5 6 7 8 9 10; do
		head -c $((i * 20000)) /dev/urandom >"$LAB/work/file$i"
		git_in -C "$LAB/work" add . &&
			git_in -C "$LAB/work" -c user.name=test -c user.email=test@example.org commit -q -m "Change $i" || lab_fail 'git made no commit'
	done
	git_in clone -q --bare "$LAB/work" "$LAB/www/repo.git" 2>/dev/null && git_in -C "$LAB/www/repo.git" update-server-info ||
		lab_fail 'git made no repository'
}

git_clone() {
	rm -rf "$LAB/clone"
	git_in clone -q "http://$(in_url "$1")/repo.git" "$LAB/clone" && git_in -C "$LAB/clone" fsck --full --strict || return 1
	[ "$(git_in -C "$LAB/clone" rev-parse HEAD)" = "$(git_in -C "$LAB/work" rev-parse HEAD)" ] && diff -r -x .git "$LAB/work" "$LAB/clone"
}

# --- ways to talk

# Twenty requests in one piece; the answers are those that the server gives without a box between (but for the date).
requests_in_a_row() {
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19; do
		printf 'GET /%s HTTP/1.1\r\nHost: server\r\n\r\n' "$([ $((i % 5)) = 0 ] || echo "row$((i % 3))")"
	done >"$LAB/row"
	printf 'GET / HTTP/1.1\r\nHost: server\r\nConnection: close\r\n\r\n' >>"$LAB/row"
	lab_in server nc 127.0.0.1 80 <"$LAB/row" | grep -av '^Date: ' >"$LAB/row.want"
	for _ in 1 2; do
		lab_in client timeout 20 nc "$1" 80 <"$LAB/row" | grep -av '^Date: ' >"$LAB/row.got"
		cmp "$LAB/row.got" "$LAB/row.want" || return 1
	done
	[ "$(grep -ao 'HTTP/1.1 200' "$LAB/row.got" | wc -l)" = 20 ]
}

talk() {
	talk_verb=$1
	shift
	for _ in 1 2; do
		lab_in client timeout 60 "$PEER" "$talk_verb" "$@" || return 1
	done
}

# The server has closed its half before the client sends: what it read is in its output.
upload() {
	talk upload "$1" 9005 400000 >"$LAB/upload" && tail -n 2 "$LAB/early9005.out" | cmp - "$LAB/upload"
}

one() {
	mode=$1 offload=$2 isn=$3
	live_up "$offload"
	LIVE_WHERE="$mode-$offload-$isn: "
	lab_nginx
	for i in 0 1 2; do
		head -c $((i * 9000 + 100)) /dev/urandom | base64 >"$LAB/www/row$i"
	done
	serve echo 9001
	serve greet 9002
	serve ws 9003
	serve late 9004
	serve early 9005
	redis_up
	[ "$LIVE" != all ] || { rsync_up; git_up; }
	accel "$mode" "$isn"
	lab_reach
	for a in $SERVER4 $SERVER6; do
		check "redis session, $a" redis_session $a
		check "requests in a row, $a" requests_in_a_row $a
		check "WebSocket, $a" talk wschat $a 9003 40
		check "server speaks first, $a" talk greeted $a 9002 30
		check "server closes its half first, $a" upload $a
		check "a hundred at once, $a" talk crowd $a 9001 100
		[ "$LIVE" = all ] || continue
		check "the answer is late, $a" talk push $a 9004 3000
		check "late, to more than a window, $a" talk push $a 9004 300000
		check "redis-benchmark, $a" redis_benchmark $a
		check "rsync, $a" rsync_both $a
		check "git clone, $a" git_clone $a
	done
	check 'kernels content' kernels_content
	check 'was at work, ends well' was_at_work
	live_down
}

if [ "$LIVE" = all ]; then
	for m in hold merge; do
		one $m gso far
		one $m strict wrap
	done
else
	one merge strict wrap
fi
