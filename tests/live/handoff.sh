#!/bin/sh
# SPDX-License-Identifier: MIT
# Hand-offs between real programs: curl, nginx and the kernel's TCP; each rung, both families.
set -u

# shellcheck disable=SC2034
HAND_TOP=../
# shellcheck source=lab/handoff_lab.sh
. "$(dirname "$0")/../../lab/handoff_lab.sh"

LIVE=${LIVE:-core}
PEER=${PEER:-build/tests/live/peer}
FAILED=0 WHERE=

said() {
	for f in front back-b1 back-b2 wire; do
		[ ! -s "$LAB/$f.out" ] || { echo "--- $f:"; tail -n 40 "$LAB/$f.out"; }
	done
	hand_status 2>&1
}

check() {
	name=$1
	shift
	if ! lab_alive front; then
		echo "not ok $WHERE$name # the front end is not running"
		FAILED=1
		return 1
	fi
	"$@" >"$LAB/check.out" 2>&1
	status=$?
	if [ $status = 0 ]; then
		echo "ok $WHERE$name"
		return 0
	fi
	echo "not ok $WHERE$name # exit status $status"
	tail -n 20 "$LAB/check.out"
	FAILED=1
	return 1
}

url() {
	case $FAMILY in
	4) echo "http://$VIP4$1" ;;
	6) echo "http://[$VIP6]$1" ;;
	esac
}

get() {
	lab_in client curl -gsS -m 60 "$@"
}

# Both back ends answer, as themselves.
pages() {
	for i in 1 2 3 4; do
		get -D "$LAB/head" -o "$LAB/got" "$(url /index.html)" || return 1
		cmp "$LAB/got" "$LAB/www/index.html" || return 1
		grep -i '^server-name' "$LAB/head"
	done | tr -d '\r' | sort | uniq -c >"$LAB/names"
	[ "$(wc -l <"$LAB/names")" = 2 ] || { cat "$LAB/names" "$LAB/got"; return 1; }
}

# many N: so many connections, 16 at once; every answer is whole.
many() {
	u=$(url /index.html)
	seq "$1" | sed "s|.*|url = \"$u?&\"\noutput = /dev/null|" >"$LAB/many.urls"
	lab_in client curl -gsS -m 60 -H "Connection: close" --parallel --parallel-max 16 -w "%{http_code} %{size_download}\n" \
		-K "$LAB/many.urls" >"$LAB/many" 2>"$LAB/many.err"
	n=$(grep -c "^200 150$" "$LAB/many")
	[ "$n" = "$1" ] || { echo "$n of $1"; sort "$LAB/many" | uniq -c; grep curl: "$LAB/many.err" | head -n 5; return 1; }
}

# On one connection; the same back end answers all.
keepalive() {
	u=$(url /index.html)
	get -w '%{num_connects}\n' -D "$LAB/head" -o "$LAB/k1" "$u" -o "$LAB/k2" "$u" -o "$LAB/k3" "$u" -o "$LAB/k4" "$u" >"$LAB/connects" ||
		return 1
	[ "$(awk '{ n += $1 } END { print n }' "$LAB/connects")" = 1 ] || { cat "$LAB/connects"; return 1; }
	for i in 1 2 3 4; do
		cmp "$LAB/k$i" "$LAB/www/index.html" || return 1
	done
}

sum_of() {
	sha256sum <"$1" | cut -d ' ' -f 1
}

# big MB: down, its digest.
big() {
	[ -f "$LAB/www/big$1" ] || head -c "$1"000000 /dev/urandom >"$LAB/www/big$1"
	get -o "$LAB/got" "$(url "/big$1")" || return 1
	[ "$(sum_of "$LAB/got")" = "$(sum_of "$LAB/www/big$1")" ]
}

# upload MB: up, by PUT.
upload() {
	[ -f "$LAB/www/big$1" ] || head -c "$1"000000 /dev/urandom >"$LAB/www/big$1"
	rm -f "$LAB/www/put/file"
	get -o /dev/null -w '%{http_code}\n' -T "$LAB/www/big$1" "$(url /put/file)" | grep -qx '20[14]' || return 1
	[ "$(sum_of "$LAB/www/put/file")" = "$(sum_of "$LAB/www/big$1")" ]
}

# The rung that the front end says it took.
took() {
	hand_status | tee "$LAB/status" | grep -q "$1" || { cat "$LAB/status"; return 1; }
}

PUT='location /put/ { dav_methods PUT; create_full_put_path on; }'

servers() {
	mkdir -p "$LAB/www/put"
	chmod 777 "$LAB/www/put"
	hand_nginx 1 "$PUT"
	hand_nginx 2 "$PUT"
}

work() {
	for FAMILY in 4 6; do
		WHERE="$1, IPv$FAMILY: "
		check reached hand_reach "$([ $FAMILY = 4 ] && echo $VIP4 || echo "[$VIP6]")"
		check 'pages of both back ends' pages || { said; continue; }
		check 'keep-alive' keepalive
		check "$2 connections" many "$2"
		check "$3 MB" big "$3"
		check "$3 MB up" upload "$3"
	done
}

for rung in splice shift adopt; do
	hand_up
	servers
	hand_back 1
	hand_back 2
	HAND_RUNG=$rung
	hand_front --route "default b1,b2$([ $rung != splice ] || echo ,b1v6,b2v6)"
	WHERE="$rung: "
	if check 'ready' hand_reach; then
		if [ "$LIVE" = all ]; then
			work $rung 1000 100
		else
			work $rung 200 20
		fi
		check 'the rung was taken' took $rung
	fi
	[ "$FAILED" = 0 ] || said
	lab_down
done
exit $FAILED
