# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# handoff_case.sh - what the live tests of hand-offs share: cases, what clients do, what the hosts have seen of it.  To be sourced.
#
#   check NAME CMD ...       a case; "not ok" with what the command said, and what the parts said
#   pages, many N, keepalive, big MB, upload MB     clients, over FAMILY (4 or 6)
#   took RUNG                the rung that the front end says its back ends have
#   seen NS COUNTER          of the kernel in NS, from nstat
#   counted WHO COUNTER      of front, back-b1 or back-b2, from its control socket
#   empty NS ..., nothing_left   what is over has left no way, no hand-off and no connection; EMPTY_TRIES tenths of a second
#
# With EVIDENCE=DIR a case that fails leaves there what all parts and kernels say at that moment, and all segments of the switch.

# shellcheck disable=SC2034
HAND_TOP=../
# shellcheck source=lab/handoff_lab.sh
. "${HAND_CASE_LAB:-$(dirname "$0")/../../lab/handoff_lab.sh}"

LIVE=${LIVE:-core}
BUILD=${BUILD:-build}
PEER=${PEER:-$BUILD/tests/live/peer}
FAILED=0 WHERE='' FAMILY=4

said() {
	for said_f in front back-b1 back-b2 wire; do
		[ ! -s "$LAB/$said_f.out" ] || { echo "--- $said_f:"; tail -n 20 "$LAB/$said_f.out"; }
	done
	hand_status 2>&1
	"$SUTURE" stats --control "$LAB/front.sock" 2>&1 | grep -v ' 0$' | head -n 60
}

# What is to be looked at afterwards: outputs, files of state, sockets, ways, counters.
evidence() {
	[ -n "${EVIDENCE:-}" ] || return 0
	evidence_n=$((${evidence_n:-0} + 1))
	evidence_d=$EVIDENCE/$$-$evidence_n
	mkdir -p "$evidence_d"
	sleep 1 # for what is still to be written
	echo "$WHERE$check_name" >"$evidence_d/case"
	cp "$LAB"/*.out "$LAB"/*.state "$LAB"/*.err "$LAB"/*.pcap "$LAB/status" "$LAB/many" "$evidence_d/" 2>/dev/null
	for evidence_p in front back-b1 back-b2; do
		"$SUTURE" flows --control "$LAB/$evidence_p.sock" >"$evidence_d/$evidence_p.flows" 2>&1
		"$SUTURE" stats --control "$LAB/$evidence_p.sock" >"$evidence_d/$evidence_p.stats" 2>&1
	done
	for evidence_p in client front b1 b2; do
		{ lab_in $evidence_p ss -tane; lab_in $evidence_p ip neigh; lab_in $evidence_p ip -s link show dev eth0; } >"$evidence_d/$evidence_p.kernel" 2>&1
		lab_in $evidence_p nstat -as >"$evidence_d/$evidence_p.nstat" 2>&1
		[ $evidence_p = client ] || bpftool map dump pinned "/sys/fs/bpf/sut$$-$evidence_p/ways" >"$evidence_d/$evidence_p.ways" 2>&1
	done
}

check() {
	check_name=$1
	shift
	"$@" >"$LAB/check.out" 2>&1
	check_status=$?
	if [ $check_status = 0 ] && { lab_alive front || [ "${FRONT_MAY_BE_GONE:-no}" = yes ]; }; then
		echo "ok $WHERE$check_name"
		return 0
	fi
	echo "not ok $WHERE$check_name # exit status $check_status$(lab_alive front || echo ', the front end is not running')"
	tail -n 20 "$LAB/check.out"
	said
	evidence
	FAILED=1
	return 1
}

vip() {
	case $FAMILY in
	4) echo $VIP4 ;;
	6) echo $VIP6 ;;
	esac
}

url() {
	case $FAMILY in
	4) echo "http://$VIP4$1" ;;
	6) echo "http://[$VIP6]$1" ;;
	esac
}

reached() {
	case $FAMILY in
	4) hand_reach $VIP4 ;;
	6) hand_reach "[$VIP6]" ;;
	esac
}

get() {
	lab_in "${HAND_CLIENT:-client}" curl -gsS -m "${PATIENCE:-60}" "$@"
}

# Both back ends answer, as themselves.
pages() {
	for i in 1 2 3 4; do
		get -D "$LAB/head" -o "$LAB/got" "$(url /index.html)" || return 1
		cmp "$LAB/got" "$LAB/www/index.html" || { cat "$LAB/head"; return 1; }
		grep -i '^server-name' "$LAB/head"
	done | tr -d '\r' | sort | uniq -c >"$LAB/names"
	[ "$(wc -l <"$LAB/names")" = 2 ] || { cat "$LAB/names"; return 1; }
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

file_of() {
	[ -f "$LAB/www/big$1" ] || head -c "$1"000000 /dev/urandom >"$LAB/www/big$1"
}

# big MB: down, its digest.
big() {
	file_of "$1"
	get -o "$LAB/got" "$(url "/big$1")" || return 1
	[ "$(sum_of "$LAB/got")" = "$(sum_of "$LAB/www/big$1")" ]
}

# upload MB: up, by PUT.
upload() {
	file_of "$1"
	rm -f "$LAB/www/put/file"
	get -o /dev/null -w '%{http_code}\n' -T "$LAB/www/big$1" "$(url /put/file)" | grep -qx '20[14]' || return 1
	[ "$(sum_of "$LAB/www/put/file")" = "$(sum_of "$LAB/www/big$1")" ]
}

# took RUNG [BACKEND]: the rung that the front end says it has, of some or of this back end.
took() {
	hand_status >"$LAB/status"
	grep -q "^${2:-.*} .* rung=$1" "$LAB/status" || { cat "$LAB/status"; return 1; }
}

# takes RUNG [BACKEND]: as soon as it is probed.
takes() {
	takes_tries=100
	until took "$@" >/dev/null; do
		takes_tries=$((takes_tries - 1))
		[ $takes_tries -gt 0 ] || { took "$@"; return 1; }
		sleep 0.05
	done
}

seen() {
	lab_in "$1" nstat -asz "$2" 2>/dev/null | awk -v c="$2" '$1 == c { print $2 }'
}

# none NS COUNTER ...: the kernel there has counted none of these.
none() {
	none_ns=$1
	shift
	for none_c; do
		none_n=$(seen "$none_ns" "$none_c")
		[ "${none_n:-0}" = 0 ] || { echo "$none_ns: $none_c $none_n"; return 1; }
	done
}

# few NS COUNTER N: not more than N.
few() {
	few_n=$(seen "$1" "$2")
	[ "${few_n:-0}" -le "$3" ] || { echo "$1: $2 $few_n"; return 1; }
}

counted() {
	"$SUTURE" stats --control "$LAB/$1.sock" 2>/dev/null |
		awk -v c="$2" '{ for (i = 1; i < NF; i++) if ($i == c) { n += $(i + 1); break } } END { print n + 0 }'
}

ways() {
	bpftool map dump pinned "/sys/fs/bpf/sut$$-$1/ways" 2>/dev/null | grep -c '"key"'
}

# empty NS ...: nothing is left in the kernel there of what is over.
empty() {
	empty_tries=${EMPTY_TRIES:-200}
	while :; do
		empty_n=0
		for empty_ns; do
			empty_n=$((empty_n + $(ways "$empty_ns")))
		done
		[ $empty_n != 0 ] || return 0
		empty_tries=$((empty_tries - 1))
		[ $empty_tries -gt 0 ] || break
		sleep 0.1
	done
	for empty_ns; do
		echo "$empty_ns: $(ways "$empty_ns") ways"
	done
	return 1
}

# What front end and agents say that they have, and sockets of the origins' port at the hosts that are neither listening nor in TIME-WAIT.
remains() {
	for remains_p in front back-b1 back-b2; do
		"$SUTURE" flows --control "$LAB/$remains_p.sock" 2>&1 | sed "1d; s/^/$remains_p: /"
	done
	for remains_p in b1 b2; do
		lab_in $remains_p ss -Htan "sport = :$HAND_PORT" | grep -vE '^(LISTEN|TIME-WAIT)' | sed "s/^/$remains_p: /"
	done
	hand_status | sed -n 's/.*conns=[1-9].*/status: &/p'
}

# nothing_left: no way, no hand-off, no connection, anywhere, once their times are over.
nothing_left() {
	! command -v bpftool >/dev/null || empty front b1 b2 || { remains; return 1; }
	left_tries=${EMPTY_TRIES:-200}
	until [ -z "$(remains)" ]; do
		left_tries=$((left_tries - 1))
		[ $left_tries -gt 0 ] || { remains; return 1; }
		sleep 0.1
	done
}

PUT='location /put/ { dav_methods PUT; create_full_put_path on; }'
# A server that says it slowly: of a client that reads slowly much lies in buffers, and a busy one reads fast all the same.
PUT="$PUT location /slow/ { rewrite ^/slow/(.*) /\$1 break; limit_rate 2m; }"

servers() {
	mkdir -p "$LAB/www/put"
	chmod 777 "$LAB/www/put"
	hand_nginx 1 "$PUT"
	hand_nginx 2 "$PUT"
}

# front_of RUNG [ARG ...]: the front end, with both back ends on this rung, and ready.
front_of() {
	HAND_RUNG=$1
	front_names=$(echo "$HAND_BACKENDS" | tr ' ' ,)
	[ "$1" != splice ] || front_names=$front_names,$(echo "$HAND_BACKENDS" | sed 's/ /v6,/g; s/$/v6/')
	shift
	hand_front --route "default $front_names" "$@"
	hand_reach || return 1
	takes "$HAND_RUNG"
}
