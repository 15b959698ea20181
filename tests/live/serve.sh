#!/bin/sh
# SPDX-License-Identifier: MIT
# "suture serve" before this kernel's clients: curl, wget, nc, wrk, ping; with offloads and without, IPv4 and IPv6.
# shellcheck source=lab/lab.sh
. "$(dirname "$0")/../../lab/lab.sh"

PEER=${PEER:-build/tests/live/peer}
LIVE=${LIVE:-core}
OURS4=192.0.2.2 OURS6=2001:db8::2
FAILED=0 WHERE='' crowd=''

# check NAME CMD ...: runs it; says how it went.
check() {
	name=$1
	shift
	if "$@" >"$LAB/check.out" 2>&1 && lab_alive serve; then
		echo "ok $WHERE$name"
		return 0
	fi
	echo "not ok $WHERE$name"
	tail -n 20 "$LAB/check.out"
	lab_alive serve || tail -n 20 "$LAB/serve.out"
	FAILED=1
}

# The laboratory's client alone: the device is in it.
up() {
	[ "$(id -u)" = 0 ] || lab_fail "needs root for network namespaces"
	LAB=$(mktemp -d) LAB_MORE=
	trap lab_down EXIT
	trap 'exit 130' HUP INT TERM
	chmod 755 "$LAB"
	lab_ns client
	mkdir -p "$LAB/www/dir"
	echo secret >"$LAB/secret"
	ln -s ../secret "$LAB/www/link"
	ln -s index.html "$LAB/www/inside"
	mkfifo "$LAB/www/pipe"
	: >"$LAB/www/empty"
	seq 2000 >"$LAB/www/index.html"
	echo directory >"$LAB/www/dir/index.html"
	head -c 104857600 /dev/urandom >"$LAB/www/big"
}

# serve ARG ...: in the client's namespace; ready when it says so.
serve() {
	lab_start serve client "$SUTURE" serve --tun sut0 --addr $OURS4/24 --addr $OURS6/64 --port 80 http "$LAB/www" \
		--port 7 echo --port 9 discard --port 19 chargen --port 2222 proxy 127.0.0.1:9001 \
		--control "$LAB/ctl" --metrics 9100 --access-log "$LAB/access" --idle-time 2s --stats "$@"
	lab_await serve 'ready: serve tun=sut0 80=http 7=echo' 10 || { FAILED=1; return 1; }
}

c() {
	lab_in client "$@"
}

get() {
	c curl -gsS -m 20 "$@"
}

# status EXPECTED CURL-ARG ...
status() {
	want=$1
	shift
	found=$(get -o "$LAB/body" -w '%{http_code}' "$@")
	[ "$found" = "$want" ] || { echo "status $found, not $want"; return 1; }
}

pings() {
	c ping -n -c 2 -i 0.2 -W 2 "$1" | grep ' 0% packet loss'
}

page() {
	get -o "$LAB/got" "http://$1/" && cmp "$LAB/got" "$LAB/www/index.html"
}

# Twenty requests on one connection.
kept() {
	set -- "http://$OURS4/" "http://$OURS4/dir/" "http://$OURS4/inside" "http://$OURS4/none"
	get -w '%{num_connects}\n' -o /dev/null "$1" -o /dev/null "$2" -o /dev/null "$3" -o /dev/null "$4" -o "$LAB/got" "$1" >"$LAB/connects" &&
		[ "$(awk '{ n += $1 } END { print n }' "$LAB/connects")" = 1 ] && cmp "$LAB/got" "$LAB/www/index.html"
}

# Three requests in one packet: three answers, in order, and the end because the last asked for it.
pipelined() {
	printf 'GET /dir/ HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n' |
		c timeout 10 nc $OURS4 80 >"$LAB/got" || return 1
	grep '^HTTP' "$LAB/got" | tr -d '\r' | cut -d' ' -f2 | tr '\n' ' ' | grep '^200 200 404 $' &&
		grep -q '^directory$' "$LAB/got" && tail -n 1 "$LAB/got" | grep '^404 Not Found$'
}

ranges() {
	get -r 100-299 -o "$LAB/got" "http://$OURS4/big" && head -c 300 "$LAB/www/big" | tail -c 200 | cmp - "$LAB/got" &&
		get -r -10 -o "$LAB/got" "http://$OURS4/big" && tail -c 10 "$LAB/www/big" | cmp - "$LAB/got" &&
		status 206 -r 0-0 "http://$OURS4/" && status 416 -r 104857600- "http://$OURS4/big" && status 200 -r 1-2,4-5 "http://$OURS4/" &&
		status 416 -r 0- "http://$OURS4/empty" && status 200 -r 5-9 -H 'If-Range: "x"' "http://$OURS4/"
}

conditions() {
	get -I "http://$OURS4/" | tr -d '\r' >"$LAB/head" || return 1
	tag=$(sed -n 's/^ETag: //p' "$LAB/head")
	date=$(sed -n 's/^Last-Modified: //p' "$LAB/head")
	grep -q '^Content-Length: 8893$' "$LAB/head" && grep -q '^Content-Type: text/html' "$LAB/head" && [ -n "$tag" ] &&
		status 304 -H "If-None-Match: \"x\", $tag" "http://$OURS4/" && status 200 -H 'If-None-Match: "x"' "http://$OURS4/" &&
		status 304 -H "If-Modified-Since: $date" "http://$OURS4/" &&
		status 200 -H 'If-Modified-Since: Sun Nov  6 08:49:37 1994' "http://$OURS4/" &&
		status 206 -r 5-9 -H "If-Range: $tag" "http://$OURS4/"
}

# Nothing outside of the directory, and no mistake without its own answer.
refuses() {
	for path in /../secret /%2e%2e/secret /..%2fsecret /dir/../../secret /link; do
		status 403 --path-as-is "http://$OURS4$path" && ! grep -q secret "$LAB/body" || { echo "$path"; return 1; }
	done
	status 403 "http://$OURS4/pipe" && status 404 "http://$OURS4/none" && status 404 "http://$OURS4/index.html/" &&
		status 301 "http://$OURS4/dir" && status 200 -L "http://$OURS4/dir" && status 400 "http://$OURS4/%zz" &&
		status 405 -X POST -d x "http://$OURS4/" && status 405 -T "$LAB/www/index.html" "http://$OURS4/" &&
		status 501 -X BREW "http://$OURS4/" && status 414 "http://$OURS4/$(printf '%05000d' 0)" &&
		status 431 -H "X: $(printf '%08200d' 0)" "http://$OURS4/" && status 200 "http://$OURS4/empty" &&
		printf 'GET / HTTP/3.0\r\n\r\n' | c timeout 5 nc $OURS4 80 | grep '^HTTP/1.1 505'
}

# A head that never comes whole, and a client that takes nothing.
times_out() {
	# shellcheck disable=SC2216
	{ printf 'GET /big?stuck HTTP/1.1\r\nHost: a\r\n\r\n'; sleep 4; } | c timeout 10 nc $OURS4 80 | sleep 4 &
	stuck=$!
	{ printf 'GET / HT'; sleep 3; } | c timeout 10 nc $OURS4 80 | tr -d '\r' >"$LAB/got"
	grep '^HTTP/1.1 408' "$LAB/got" || return 1
	wait $stuck
	grep "GET /big?stuck HTTP/1.1. 200 [0-9]* " "$LAB/access" | grep -v " 104857600 "
}

down() {
	get "http://$1/big" | cmp - "$LAB/www/big"
}

wgets() {
	c wget -q -T 20 -t 1 -O "$LAB/got" "http://$OURS4/big" && cmp "$LAB/got" "$LAB/www/big"
}

# 100 MB there, and a half-close; the same back, and the end.
echoes() {
	c timeout 60 nc -N "$1" 7 <"$LAB/www/big" | cmp - "$LAB/www/big"
}

discards() {
	c timeout 60 nc -N $OURS4 9 <"$LAB/www/big" || return 1
	tail -n 5 "$LAB/access" | grep -q '"discard" - 104857600 '
}

# Three periods of the pattern; the client goes away in the middle.
generates() {
	c timeout 20 nc $OURS4 19 </dev/null | head -c 21090 >"$LAB/got"
	[ "$(wc -c <"$LAB/got")" = 21090 ] && [ "$(head -c 7030 "$LAB/got" | cksum)" = "$(tail -c 7030 "$LAB/got" | cksum)" ] &&
		head -n 1 "$LAB/got" | tr -d '\r' | grep '^ !"#.*fg$'
}

# Through the kernel's TCP to an echo of the kernel's TCP, with a half-close through both.
proxies() {
	c timeout 60 nc -N $OURS4 2222 <"$LAB/www/big" | cmp - "$LAB/www/big"
}

# The far end closes first: all that the client says is still brought there, to the last byte and its FIN.
proxy_half_closed() {
	lab_end echo
	lab_start sink client sh -c 'timeout 30 nc -lN 127.0.0.1 9001 </dev/null >"$1"' sh "$LAB/sunk"
	lab_tries=100
	until lab_in client ss -Hltn sport = :9001 | grep -q 9001; do
		lab_tries=$((lab_tries - 1))
		[ $lab_tries -gt 0 ] || return 1
		sleep 0.05
	done
	c timeout 30 nc -N $OURS4 2222 <"$LAB/www/big" || return 1
	lab_tries=100
	while lab_alive sink && [ $lab_tries -gt 0 ]; do
		lab_tries=$((lab_tries - 1))
		sleep 0.05
	done
	cmp "$LAB/sunk" "$LAB/www/big"
}

# Nobody listens behind it: the client is reset, as the kernel would.
proxy_refused() {
	lab_end echo
	! get -m 5 "http://$OURS4:2222/"
}

many() {
	c wrk -c 100 -t 2 -d 2s "http://$OURS4/dir/" >"$LAB/wrk" 2>&1 || { cat "$LAB/wrk"; return 1; }
	cat "$LAB/wrk"
	! grep -E 'Socket errors|Non-2xx' "$LAB/wrk" && awk '/requests in/ { exit !($1 > 1000) }' "$LAB/wrk"
}

lists() {
	lab_start holder client timeout 30 nc -d $OURS4 7
	sleep 0.3
	"$SUTURE" flows --control "$LAB/ctl" >"$LAB/flows" && cat "$LAB/flows" &&
		grep -E "^192\.0\.2\.1\.[0-9]+ +192\.0\.2\.2\.7 +echo +ESTABLISHED .* cwnd [1-9][0-9]* srtt [1-9][0-9]*us retrans 0$" "$LAB/flows" &&
		! "$SUTURE" flows --not-state established --control "$LAB/ctl" | grep ESTABLISHED && "$SUTURE" flows --state TIME-WAIT --json --control "$LAB/ctl" | awk '!/"TIME-WAIT"/ { exit 1 }' &&
		"$SUTURE" flows --state ESTABLISHED --json --control "$LAB/ctl" | grep '"dport":7,"mode":"echo","state":"ESTABLISHED",.*"cwnd":[1-9]' &&
		"$SUTURE" stats --control "$LAB/ctl" | grep '^  stack   opened_passive ' &&
		"$SUTURE" stats --json --control "$LAB/ctl" | grep '^{"role":"serve",.*"stack":{"segments_in":[1-9].*"ports":{"tun":' &&
		c curl -sS -m 5 http://127.0.0.1:9100/metrics >"$LAB/metrics" && grep '^suture_stack_opened_passive_total [1-9]' "$LAB/metrics" &&
		grep '^suture_flows{state="ESTABLISHED"} [1-9]' "$LAB/metrics" &&
		! grep -E 'suture_(promised|mirrored|passed|flows_opened)|reason="(mode-bypass|wire-loss|standby)' "$LAB/metrics" &&
		"$SUTURE" top --once --interval 200ms --json --control "$LAB/ctl" | grep '"stack":{'
}

logs() {
	grep -E "^192\.0\.2\.1 - - \[[0-9]+/[A-Z][a-z]+/[0-9]+:[0-9:]+ \+0000\] \"GET /big HTTP/1\.1\" 200 104857600 srtt=[0-9]+us retrans=[0-9]+$" "$LAB/access" &&
		grep -E '^2001:db8::1 - - .* "GET / HTTP/1.1" 200 8893 ' "$LAB/access" && grep '"GET /none HTTP/1.1" 404 14 ' "$LAB/access"
}

# No new connection while it drains; the one that is there goes on.
drains() {
	"$SUTURE" drain --control "$LAB/ctl" && ! get -o /dev/null "http://$OURS4/" && lab_alive holder &&
		"$SUTURE" drain --off --control "$LAB/ctl" && page $OURS4
}

# descriptors: how many it has open.
descriptors() {
	find "/proc/$(cat "$LAB/serve.pid")/fd" -mindepth 1 | wc -l
}

# As many as there were, once the last connections have ended.
none_left_open() {
	soon as_many "$1" || { ls -l "/proc/$(cat "$LAB/serve.pid")/fd"; return 1; }
}

as_many() {
	[ "$(descriptors)" = "$1" ]
}

# The kernel's side of each connection was content.
no_errors() {
	c cat /proc/net/snmp | awk '$1 == "Tcp:" { if (!n++) split($0, h); else for (i = 2; i <= NF; i++) if (h[i] == "InCsumErrors" && $i) exit 1 }' || return 1
	! grep -E 'Sanitizer|runtime error' "$LAB/serve.out"
}

# One connection is left: it is given the drain time, then reset; exit status 0.
ends() {
	lab_alive holder || return 1
	lab_end serve
	lab_end holder
	[ "$(cat "$LAB/serve.status")" = 0 ] && grep 'ends: takes no new connections' "$LAB/serve.out" &&
		grep ' 1 connection is reset' "$LAB/serve.out" && ! c ip link show dev sut0 && [ ! -e "$LAB/ctl" ]
}

# Little memory, and more clients than it could hold windows for: slower, but none stands still.
crowded() {
	for i in 1 2 3 4 5 6; do
		c timeout 20 nc -N $OURS4 7 <"$LAB/www/big" | cmp - "$LAB/www/big" &
		crowd="$crowd $!"
	done
	for i in $crowd; do
		wait "$i" || return 1
	done
	page $OURS4
}

# The device is removed and made again: the connection that is there outlives it.
removed() {
	{ echo one; sleep 2; echo two; } | c timeout 15 nc -N $OURS4 7 >"$LAB/got" &
	talker=$!
	sleep 0.3
	c ip link del sut0
	sleep 0.3
	c ip tuntap add dev sut0 mode tun || return 1
	wait $talker
	printf 'one\ntwo\n' | cmp - "$LAB/got" && page $OURS4 && grep 'tun:sut0: is back' "$LAB/serve.out"
}

# Told to end in the middle of an answer: the answer comes whole, and nobody else comes in.
ends_gently() {
	c curl -gsS -m 20 --limit-rate 60M -o "$LAB/got" "http://$OURS4/big" &
	loader=$!
	sleep 0.5
	kill -TERM "$(cat "$LAB/serve.pid")"
	sleep 0.2
	! get -m 1 -o /dev/null "http://$OURS4/" && wait $loader && cmp "$LAB/got" "$LAB/www/big" || return 1
	lab_end serve
	[ "$(cat "$LAB/serve.status")" = 0 ] && ! grep 'connections* [isare]* reset' "$LAB/serve.out"
}

# A client behind a router and a wire that loses, reorders and duplicates.
far_up() {
	lab_more far
	lab_ns wire
	lab_join far eth0 wire wa
	lab_join wire wb client eth0
	for dev in wa wb; do
		lab_in wire ip link set dev $dev up
	done
	c ip addr add 198.51.100.2/24 dev eth0
	c ip -6 addr add 2001:db8:1::2/64 dev eth0 nodad
	c ip link set dev eth0 up
	lab_sysctl client net.ipv4.ip_forward=1
	lab_sysctl client net.ipv6.conf.all.forwarding=1
	lab_in far ip addr add 198.51.100.1/24 dev eth0
	lab_in far ip -6 addr add 2001:db8:1::1/64 dev eth0 nodad
	lab_in far ip link set dev eth0 up
	lab_in far ip route add default via 198.51.100.2
	lab_in far ip -6 route add default via 2001:db8:1::2
	lab_wire --delay 2ms --loss 1% --reorder 1% --dup 1%
	head -c 3145728 "$LAB/www/big" >"$LAB/www/some"
}

far_down() {
	lab_in far curl -gsS -m 30 -o "$LAB/got" "http://$1/some" && cmp "$LAB/got" "$LAB/www/some"
}

far_echo() {
	lab_in far timeout 30 nc -N $OURS4 7 <"$LAB/www/some" | cmp - "$LAB/www/some"
}

# It had to send something again, and knows that it was lost.
resent() {
	"$SUTURE" stats --control "$LAB/ctl" >"$LAB/stats" && cat "$LAB/stats" &&
		awk '$1 == "stack" && $2 == "retransmitted" && $3 > 0 { n++ } $1 == "stack" && $2 == "recoveries" && $3 > 0 { n++ } END { exit n != 2 }' "$LAB/stats"
}

# --- settings that change, and an access log that tells what came

# conf LINE ...: the file of settings.
conf() {
	{
		printf 'serve {\n\ttun = sut0\n\taddr = {"%s/24", "%s/64"}\n' $OURS4 $OURS6
		printf '\taccess-log = "%s/access"\n\tcontrol = "%s/ctl"\n' "$LAB" "$LAB"
		printf '\t%s\n' "$@"
		echo '}'
	} >"$LAB/conf"
}

serve_conf() {
	lab_start serve client "$SUTURE" serve --config "$LAB/conf" "$@"
	lab_await serve 'ready: serve tun=sut0' 10 || { FAILED=1; return 1; }
}

# soon CMD ...: it succeeds within some seconds.
soon() {
	soon_tries=100
	until "$@" >/dev/null 2>&1; do
		soon_tries=$((soon_tries - 1))
		[ $soon_tries -gt 0 ] || { echo "not soon: $*"; return 1; }
		sleep 0.05
	done
}

# reload STATUS PATTERN: what the answer is.
reload() {
	"$SUTURE" reload --control "$LAB/ctl" >"$LAB/reload" 2>&1
	found=$?
	cat "$LAB/reload"
	[ $found = "$1" ] && grep -qE "$2" "$LAB/reload"
}

# The log is moved away and opened anew, by command and by signal.
rotated() {
	page $OURS4 && soon grep -q 'GET / ' "$LAB/access" || return 1
	mv "$LAB/access" "$LAB/access.1"
	reload 0 '^0 settings changed; the access log was opened anew$' && status 200 "http://$OURS4/dir/" || return 1
	soon grep -q 'GET /dir/ ' "$LAB/access" && ! grep -q 'GET /dir/ ' "$LAB/access.1" || return 1
	mv "$LAB/access" "$LAB/access.2"
	kill -HUP "$(cat "$LAB/serve.pid")"
	soon test -e "$LAB/access" && status 404 "http://$OURS4/none" && soon grep -q 'GET /none ' "$LAB/access" &&
		! grep -q 'GET /none ' "$LAB/access.2"
}

said() {
	[ "$(wc -l <"$LAB/held")" = "$1" ]
}

# One service goes, another comes; the connection of the one that went goes on.
other_ports() {
	mkfifo "$LAB/words"
	c timeout 60 nc $OURS4 7 <"$LAB/words" >"$LAB/held" &
	holder=$!
	exec 3>"$LAB/words"
	echo one >&3
	soon said 1 || return 1
	conf "port = {\"80 http $LAB/www/dir\", \"9 discard\", \"2222 proxy 127.0.0.1:9001\"}" 'idle-time = 1s'
	reload 0 '^2 settings changed; ' && grep -q '^idle-time: 60s -> 1s\|^idle-time: 1min -> 1s$' "$LAB/reload" && grep -q '^port: 80 http .*,7 echo -> 80 http .*/dir,9 discard' "$LAB/reload" || return 1
	echo two >&3
	soon said 2 && ! c timeout 5 nc -z $OURS4 7 && c timeout 5 nc -N $OURS4 9 <"$LAB/www/index.html" &&
		get "http://$OURS4/" | grep '^directory$' && "$SUTURE" flows --control "$LAB/ctl" | grep ' echo '
}

# What cannot change is named, mistakes stand where they are; and nothing is changed, not even what could.
not_changed() {
	cp "$LAB/conf" "$LAB/conf.well"
	conf "port = {\"80 http $LAB/www\"}" 'mtu = 1400' 'max-conns = 5' 'idle-time = 9s'
	reload 1 'cannot change while it runs: mtu, max-conns; nothing is changed' || return 1
	conf "port = {\"80 http $LAB/nodir\"}"
	reload 1 "port: 80: http: $LAB/nodir: No such file or directory; nothing is changed" || return 1
	conf 'port = {"80 echo",' '  "7 foo"}'
	reload 1 "$LAB/conf:7: port: 7: 'foo' is no service: .*; nothing is changed" || return 1
	conf 'port = {"2223 proxy localhost:9001"}'
	reload 1 'port: 2223: proxy: .*looked up at the start only: .*; nothing is changed' || return 1
	sed "s|/access|/nodir/access|" "$LAB/conf.well" >"$LAB/conf"
	reload 1 "access-log: $LAB/nodir/access: No such file or directory; nothing is changed" || return 1
	cp "$LAB/conf.well" "$LAB/conf"
	reload 0 '^0 settings changed' && get "http://$OURS4/" | grep '^directory$'
}

# A stream that says nothing is reset, and the log says why; one that talks lives on.
stream_idles() {
	conf "port = {\"80 http $LAB/www\", \"7 echo\"}" 'stream-idle-time = 800ms' 'idle-time = 1s'
	reload 0 '^stream-idle-time: 1h -> 800ms$' || return 1
	seq 8 >"$LAB/eight"
	{ for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.3; done; } | c timeout 20 nc -N $OURS4 7 | cmp - "$LAB/eight" || return 1
	wait $holder
	exec 3>&-
	said 2 && soon grep -q '"echo" - 8 .* cut=idle$' "$LAB/access" && grep '"echo" - 16 ' "$LAB/access" | grep -v cut
}

# was_cut WORDS WHY BYTES: the line of that request, with less than all and the reason.
was_cut() {
	grep "$1" "$LAB/access" | awk -v why="cut=$2" -v all="$3" '{ print } $NF == why && $10 < all { n++ } END { exit n != 1 }'
}

# Its client takes some of it, and is gone.
cut_by_reset() {
	printf 'GET /big?reset HTTP/1.1\r\nHost: a\r\n\r\n' | c timeout 10 nc $OURS4 80 | head -c 100000 >/dev/null
	soon grep -q 'big?reset' "$LAB/access" && was_cut 'big?reset' reset 104857600
}

# All of the answer is in the send buffer, but its client takes nothing more.
cut_by_idleness() {
	# shellcheck disable=SC2216
	{ printf 'GET /part?idle HTTP/1.1\r\nHost: a\r\n\r\n'; sleep 5; } | c timeout 10 nc $OURS4 80 | sleep 5 &
	stuck=$!
	soon grep -q 'part?idle' "$LAB/access" && was_cut 'part?idle' idle 900000 && wait $stuck
}

# What came whole is not cut, with as many bytes; also where three answers are on their way at once.
whole() {
	: >"$LAB/access"
	c curl -gsS -m 20 -o /dev/null "http://$OURS4/part?whole" && pipelined_part && soon said_all
}

pipelined_part() {
	for i in 1 2 3; do
		printf 'GET /part?%s HTTP/1.1\r\nHost: a\r\n\r\n' $i
	done | c timeout 10 nc $OURS4 80 | wc -c
}

said_all() {
	[ "$(grep -cE '"GET /part\?[123whole]+ HTTP/1.1" 200 900000 srtt=[0-9]+us retrans=[0-9]+$' "$LAB/access")" = 4 ]
}

# More requests at once than may wait for their lines in the log: each is answered, and has its line.
flooded() {
	seq 5 | awk '{ for (i = 1; i <= 1000; i++) printf "GET /flood%d-%d HTTP/1.1\r\nHost: a\r\n\r\n", NR, i }' >"$LAB/flood"
	c timeout 20 nc -N $OURS4 80 <"$LAB/flood" >"$LAB/got"
	grep -c '^HTTP/1.1 404' "$LAB/got" | grep -x 5000 && soon flood_said && ! grep 'GET /flood.*cut=' "$LAB/access"
}

flood_said() {
	[ "$(grep -c '"GET /flood[1-5]-[0-9]* HTTP/1.1" 404 14 ' "$LAB/access")" = 5000 ]
}

# Told to end while a client takes nothing.
cut_by_drain() {
	# shellcheck disable=SC2216
	{ printf 'GET /part?drain HTTP/1.1\r\nHost: a\r\n\r\n'; sleep 3; } | c timeout 10 nc $OURS4 80 | sleep 3 &
	stuck=$!
	sleep 0.5
	lab_end serve
	wait $stuck
	was_cut 'part?drain' drain 900000 && [ "$(cat "$LAB/serve.status")" = 0 ]
}

# A full disk is told of once, and keeps nobody from serving.
full() {
	page $OURS4 && page $OURS4 && status 404 "http://$OURS4/none" && sleep 0.3 &&
		[ "$(grep -c 'access log: /dev/full: No space left on device' "$LAB/serve.out")" = 1 ]
}

# Addresses that would never be asked for.
addresses() {
	c timeout 10 "$SUTURE" serve --tun sut1 --addr 192.0.2.1/24 --port 7 echo >"$LAB/said" 2>&1
	[ $? = 1 ] && grep -q 'addr: 192.0.2.1 is an address of this machine' "$LAB/said" && ! c ip link show dev sut1 || return 1
	lab_start second client "$SUTURE" serve --tun sut1 --addr 192.0.2.77/24 --port 7 echo
	lab_await second ready 10 || return 1
	lab_end second
	cat "$LAB/second.out"
	grep -q 'warning: addr: what is meant for 192.0.2.77 goes to sut0, not to sut1' "$LAB/second.out" && ! grep warning "$LAB/serve.out"
}

# A device that was down comes back with its addresses of both families.
downed() {
	c ip link set dev sut0 down
	! c timeout 2 nc -z $OURS4 7 || return 1
	c ip link set dev sut0 up
	soon page $OURS4 && soon page "[$OURS6]"
}

# The same with each kind of device.
bulk() {
	check 'ping' pings $OURS4
	check 'ping, IPv6' pings $OURS6
	check 'a page' page $OURS4
	check 'a page, IPv6' page "[$OURS6]"
	check '100 MB down' down $OURS4
	check '100 MB echoed, half-close' echoes $OURS4
	check '100 MB discarded' discards
	check 'no errors' no_errors
}

up
WHERE='serve: '
serve --drain-time 300ms && {
	opened=$(descriptors)
	bulk
	check '100 MB down, IPv6' down "[$OURS6]"
	check 'wget' wgets
	check 'connections that stay' kept
	check 'pipelined' pipelined
	check 'ranges' ranges
	check 'conditions' conditions
	check 'what is refused' refuses
	check 'chargen' generates
	lab_start echo client "$PEER" echo 9001
	lab_await echo ready 5
	check 'proxy' proxies
	check 'proxy, the far end closes first' proxy_half_closed
	check 'proxy to nobody' proxy_refused
	! command -v wrk >/dev/null || check '100 clients' many
	check 'a head that does not come' times_out
	check 'flows, stats, metrics' lists
	check 'access log' logs
	check 'no descriptor is left open' none_left_open "$opened"
	check 'drain' drains
	if ends >"$LAB/check.out" 2>&1; then echo "ok ${WHERE}the end"; else
		echo "not ok ${WHERE}the end"
		cat "$LAB/check.out"
		tail -n 40 "$LAB/serve.out"
		FAILED=1
	fi
}
WHERE='serve, no offload: '
serve --no-offload --drain-time 300ms && {
	bulk
	[ "$LIVE" != all ] || check '100 MB echoed, half-close, IPv6' echoes $OURS6
	lab_end serve
}
WHERE='serve, 4 MB: '
serve --memory 4M --max-conns 100 --drain-time 10s && {
	check 'six that echo' crowded
	check 'the device is made anew' removed
	far_up
	check 'down, over a lossy wire' far_down $OURS4
	check 'down, over a lossy wire, IPv6' far_down "[$OURS6]"
	check 'echoed, over a lossy wire' far_echo
	check 'sent again' resent
	if ends_gently >"$LAB/check.out" 2>&1; then echo "ok ${WHERE}the end"; else
		echo "not ok ${WHERE}the end"
		cat "$LAB/check.out"
		tail -n 40 "$LAB/serve.out"
		FAILED=1
	fi
}
WHERE='serve, settings: '
head -c 900000 "$LAB/www/big" >"$LAB/www/part"
rm -f "$LAB/access"
conf "port = {\"80 http $LAB/www\", \"7 echo\"}"
serve_conf --drain-time 300ms && {
	opened=$(descriptors)
	check 'the log is moved away' rotated
	check 'the device is down and up' downed
	check 'other ports' other_ports
	check 'what cannot change' not_changed
	check 'streams idle' stream_idles
	check 'whole answers' whole
	check '5000 requests at once' flooded
	check 'an answer cut by a reset' cut_by_reset
	check 'an answer cut by idleness' cut_by_idleness
	check 'addresses' addresses
	check 'no descriptor is left open' none_left_open "$opened"
	check 'no errors' no_errors
	if cut_by_drain >"$LAB/check.out" 2>&1; then echo "ok ${WHERE}an answer cut by the end"; else
		echo "not ok ${WHERE}an answer cut by the end"
		cat "$LAB/check.out" "$LAB/serve.out"
		FAILED=1
	fi
}
WHERE='serve, a full disk: '
conf "port = {\"80 http $LAB/www\"}"
sed -i "s|$LAB/access|/dev/full|" "$LAB/conf"
serve_conf && {
	check 'pages' full
	lab_end serve
}
exit $FAILED
