#!/bin/sh
# SPDX-License-Identifier: MIT
# Who may speak to an agent: keys that are missing, wrong, changed while all runs; datagrams that nobody with a key has sent; restarts.
set -u

# shellcheck disable=SC2034
HAND_TOP=../
# shellcheck source=lab/handoff_lab.sh
. "$(dirname "$0")/../../lab/handoff_lab.sh"

FAILED=0

check() {
	name=$1
	shift
	"$@" >"$LAB/check.out" 2>&1
	status=$?
	if [ $status = 0 ]; then
		echo "ok handoff_keys: $name"
		return 0
	fi
	echo "not ok handoff_keys: $name # exit status $status"
	for f in check front back-b1; do
		[ ! -s "$LAB/$f.out" ] || { echo "--- $f:"; tail -n 20 "$LAB/$f.out"; }
	done
	FAILED=1
	return 1
}

# agent ARG ...: with its keys among them.
agent() {
	hand_start back-b1 b1 "$SUTURE" handoff back --if if:eth0 --listen 192.0.2.3:7000 --front fe=192.0.2.2 --origin $VIP4:80 \
		--pins "/sys/fs/bpf/sut$$-b1" --at-end keep --control "$LAB/back.sock" "$@"
	lab_await back-b1 ready 10
}

front() {
	hand_start front front "$SUTURE" handoff front --client if:eth0 --vip $VIP4:80 --backend b1=192.0.2.3:80,agent=192.0.2.3:7000 \
		--pins "/sys/fs/bpf/sut$$-front" --at-end keep --agents-from 192.0.2.2 --control "$LAB/front.sock" "$@"
	lab_await front ready 10
}

# refused PATTERN CMD ...: does not start, with exit code 2, and says so.
refused() {
	refused_pattern=$1
	shift
	"$@" >"$LAB/refused" 2>&1
	[ $? = 2 ] && grep -q -e "$refused_pattern" "$LAB/refused" && ! grep -qE '[0-9a-f]{32}' "$LAB/refused" ||
		{ cat "$LAB/refused"; return 1; }
}

back_args="--if if:lo --listen 127.0.0.1:7000 --front fe=127.0.0.1 --origin 192.0.2.80:80"
front_args="--client if:lo --vip 192.0.2.80:80 --backend b1=127.0.0.1:80,agent=127.0.0.1:7000"

# shellcheck disable=SC2086
no_keys() {
	refused 'key-file FILE is missing' "$SUTURE" handoff back $back_args &&
		refused 'key-file FILE is missing' "$SUTURE" handoff front $front_args &&
		refused 'only one of them' "$SUTURE" handoff back $back_args --key-file "$LAB/key" --insecure-no-key
}

# shellcheck disable=SC2086
bad_files() {
	cp "$LAB/key" "$LAB/open" && chmod 640 "$LAB/open" &&
		refused 'chmod 600' "$SUTURE" handoff back $back_args --key-file "$LAB/open" &&
		refused 'chmod 600' "$SUTURE" handoff front $front_args --key-file "$LAB/open" &&
		refused 'No such file' "$SUTURE" handoff back $back_args --key-file "$LAB/nowhere" || return 1
	(umask 077; cut -c1-60 "$LAB/key" >"$LAB/short")
	refused 'line 1: expected a key of 64' "$SUTURE" handoff back $back_args --key-file "$LAB/short"
}

# until_rung RUNG: the back end has it; a hundred looks, then it has not.
until_rung() {
	rung_tries=100
	until hand_status | grep -q "^b1 .* rung=$1"; do
		[ $((rung_tries -= 1)) -gt 0 ] || { hand_status; return 1; }
		sleep 0.1
	done
}

# answered N: a request, by hand-over.
answered() {
	hand_reach && lab_in client curl -sS -m 10 "http://$VIP4/" | cmp - "$LAB/www/index.html"
}

counted() {
	"$SUTURE" stats --control "$LAB/$1.sock" | awk -v n="$2" '$2 == n { s = $3 } END { print s + 0 }'
}

adopts() {
	until_rung "\\(adopt\\|shift\\)" && answered
}

# A key that only one side has: nothing is handed over but by splice, and the agent says nothing.
strangers() {
	(umask 077; "$SUTURE" handoff key >"$LAB/key2")
	agent --key-file "$LAB/key2" && front --key-file "$LAB/key" || return 1
	until_rung splice && answered || return 1
	[ "$(counted back channel_forged)" -gt 0 ] && [ "$(counted back channel_sessions)" = 0 ] &&
		hand_status | grep -q 'adopt: its agent has not been heard'
	strangers_status=$?
	lab_end front
	lab_end back-b1
	return $strangers_status
}

insecure() {
	agent --insecure-no-key && front --insecure-no-key || return 1
	adopts && grep -q 'WARNING: --insecure-no-key' "$LAB/front.out" && grep -q 'WARNING: --insecure-no-key' "$LAB/back-b1.out"
	insecure_status=$?
	lab_end front
	lab_end back-b1
	return $insecure_status
}

# one_insecure: who has a key does not believe who has none.
one_insecure() {
	agent --key-file "$LAB/key" && front --insecure-no-key || return 1
	until_rung splice && answered && [ "$(counted back channel_sessions)" = 0 ]
	one_status=$?
	lab_end front
	lab_end back-b1
	return $one_status
}

# In three steps, each read anew while a download goes on; behind each of them connections are adopted.
rotation() {
	rm -f "$LAB/got"
	lab_in client curl -sS --limit-rate 2M -m 60 -o "$LAB/got" "http://$VIP4/big" &
	rotation_curl=$!
	under_way || return 1
	was=$(cat "$LAB/key") new=$("$SUTURE" handoff key --slot 1)
	printf '%s\n%s\n' "$was" "$new" >"$LAB/key"
	"$SUTURE" reload --control "$LAB/back.sock" >"$LAB/reload" && grep -q "; the keys have changed" "$LAB/reload" && "$SUTURE" reload --control "$LAB/front.sock" && adopts || return 1
	printf '%s\n%s\n' "$new" "$was" >"$LAB/key"
	"$SUTURE" reload --control "$LAB/front.sock" && adopts || return 1
	echo "$new" >"$LAB/key"
	"$SUTURE" reload --control "$LAB/front.sock" && "$SUTURE" reload --control "$LAB/back.sock" && adopts || return 1
	wait $rotation_curl && cmp "$LAB/got" "$LAB/www/big" && [ "$(counted back channel_sessions)" = 2 ]
}

# A file that is no good changes nothing.
bad_reload() {
	cp "$LAB/key" "$LAB/key.good" && echo rubbish >"$LAB/key"
	! "$SUTURE" reload --control "$LAB/back.sock" 2>"$LAB/reload" && grep -q 'line 1' "$LAB/reload" &&
		cp "$LAB/key.good" "$LAB/key" && adopts
}

# From the front end's own address, but not by who has the key.
noise() {
	noise_before=$(counted back channel_malformed)
	for noise_i in 1 2 3 4 5 6 7 8; do
		head -c $((200 + noise_i)) /dev/urandom | lab_in front nc -u -w1 -q0 -s 192.0.2.2 192.0.2.3 7000
	done
	[ "$(counted back channel_malformed)" -ge $((noise_before + 8)) ] && adopts
}

# From any other address nobody is even listened to.
stranger() {
	head -c 200 /dev/urandom | lab_in client nc -u -w1 -q0 192.0.2.3 7000
	[ "$(counted back channel_stranger)" -gt 0 ]
}

killed() {
	kill -9 "$(cat "$LAB/$1.pid")"
	wait "$(cat "$LAB/$1.pid")" 2>/dev/null
	rm -f "$LAB/$1.pid"
}

# Some of the download has come.
under_way() {
	way_tries=100
	until [ "$(wc -c 2>/dev/null <"$LAB/got")" -gt 100000 ] 2>/dev/null; do
		[ $((way_tries -= 1)) -gt 0 ] || return 1
		sleep 0.05
	done
}

# filters NS: which programs are at its device.
filters() {
	{ hand_in "$1" tc filter show dev eth0 ingress; hand_in "$1" tc filter show dev eth0 egress; } | grep -o 'id [0-9]* .*'
}

# not_begun NS PATTERN CMD ...: does not start there, says so, and changes nothing of what is at the device.
not_begun() {
	not_ns=$1 not_pattern=$2
	shift 2
	not_was=$(filters "$not_ns")
	hand_in "$not_ns" timeout 20 "$@" >"$LAB/refused" 2>&1
	[ $? = 1 ] && grep -q -e "$not_pattern" "$LAB/refused" && [ -n "$not_was" ] && [ "$(filters "$not_ns")" = "$not_was" ] ||
		{ cat "$LAB/refused"; echo "$not_was"; filters "$not_ns"; return 1; }
}

second_front() {
	not_begun front "$1" "$SUTURE" handoff front --client if:eth0 --vip $VIP4:81 --backend b1=192.0.2.3:80 --pins "/sys/fs/bpf/sut$$-second" \
		--own-ports 5000-5999
}

second_agent() {
	not_begun b1 "$1" "$SUTURE" handoff back --if if:eth0 --listen 192.0.2.3:7001 --front fe=192.0.2.2 --origin $VIP4:81 \
		--pins "/sys/fs/bpf/sut$$-second" --key-file "$LAB/key"
}

# A device has one process; who comes second is sent away, and takes nothing from the first, nor from its download.
second() {
	rm -f "$LAB/got"
	lab_in client curl -sS --limit-rate 2M -m 60 -o "$LAB/got" "http://$VIP4/big" &
	second_curl=$!
	under_way || return 1
	second_front "'suture handoff front' (process $(cat "$LAB/front.pid")) has this device.*--vip" &&
		second_agent "'suture handoff back' (process $(cat "$LAB/back-b1.pid")) has this device.*--origin" &&
		not_begun b1 "'suture handoff back' .* has this device" "$SUTURE" handoff front --client if:eth0 --vip 192.0.2.3:81 \
			--backend x=192.0.2.2:80 --pins "/sys/fs/bpf/sut$$-second" &&
		not_begun front "has this device; end it" "$SUTURE" handoff remove --client if:eth0 --pins "/sys/fs/bpf/sut$$-second" || return 1
	[ ! -e "/sys/fs/bpf/sut$$-second" ] && adopts && wait $second_curl && cmp "$LAB/got" "$LAB/www/big"
}

# Nor does anybody take what a process that has ended left for whoever has its pins.
left_alone() {
	second_front "connections in /sys/fs/bpf/sut$$-front: start with --pins .* remove --client if:eth0 --pins /sys/fs/bpf/sut$$-front'" &&
		second_agent "connections in /sys/fs/bpf/sut$$-b1: start with --pins .* remove --if if:eth0 --pins /sys/fs/bpf/sut$$-b1'" &&
		not_begun front "take them away by" "$SUTURE" handoff remove --client if:eth0 --pins "/sys/fs/bpf/sut$$-second" &&
		[ ! -e "/sys/fs/bpf/sut$$-second" ]
}

# An agent, then a front end, is killed in the middle of a download, and started again.
restarts() {
	rm -f "$LAB/got"
	lab_in client curl -sS --limit-rate 2M -m 60 -o "$LAB/got" "http://$VIP4/big" &
	restarts_curl=$!
	under_way || return 1
	killed back-b1
	agent --key-file "$LAB/key" && adopts || return 1
	killed front
	front --key-file "$LAB/key" && adopts && wait $restarts_curl && cmp "$LAB/got" "$LAB/www/big"
}

# A back end has another link address, and is heard of: packets to it go there.
moved() {
	lab_in b1 ip link set dev eth0 address 02:00:00:00:77:77 && lab_in b1 ping -c 1 -W 5 192.0.2.2 && adopts
}

# A back end without a server is not asked, and is again when it has one.
health() {
	lab_end nginx-b1
	health_tries=100
	until hand_status | grep -q '^b1 .* down '; do
		[ $((health_tries -= 1)) -gt 0 ] || { hand_status; return 1; }
		sleep 0.1
	done
	[ "$(lab_in client curl -s -m 5 -o "$LAB/got" -w '%{http_code}' "http://$VIP4/")" = 503 ] || return 1
	hand_nginx 1
	health_tries=100
	until hand_status | grep -q '^b1 .* up '; do
		[ $((health_tries -= 1)) -gt 0 ] || { hand_status; return 1; }
		sleep 0.1
	done
	adopts
}

hand_up
if ! grep -q '^bpf /sys/fs/bpf bpf' /proc/mounts; then
	echo "skip handoff_keys # no BPF file system is mounted at /sys/fs/bpf"
	exit 0
fi
if "$SUTURE" handoff front --client if:nowhere --pins '' --vip 192.0.2.80:80 --backend a=127.0.0.1:80 2>&1 | grep -q "built without"; then
	echo "skip handoff_keys # this suture was built without BPF"
	exit 0
fi
head -c 6000000 /dev/urandom >"$LAB/www/big"
hand_nginx 1
check 'nobody starts without keys' no_keys
check 'files of keys that are no good' bad_files
check 'a key of somebody else' strangers
check 'without keys, and said so' insecure
check 'one side without keys' one_insecure
agent --key-file "$LAB/key" && front --key-file "$LAB/key" --check-interval 200ms
check 'adopted' adopts
check 'keys change while all runs' rotation
check 'a file that is no good changes nothing' bad_reload
check 'noise from a peer' noise
check 'noise from elsewhere' stranger
check 'a device has one process' second
check 'killed and started again' restarts
check 'another link address' moved
check 'a server that is away' health
lab_end front
lab_end back-b1
check 'what is left is not taken away by others' left_alone
# What a process has left is taken away by a command of its own.
removed() {
	[ -e "/sys/fs/bpf/sut$$-b1" ] && [ -e "/sys/fs/bpf/sut$$-front" ] &&
		hand_in b1 tc filter show dev eth0 ingress | grep -q bpf &&
		hand_in b1 "$SUTURE" handoff remove --if if:eth0 --pins "/sys/fs/bpf/sut$$-b1" &&
		hand_in front "$SUTURE" handoff remove --client if:eth0 --pins "/sys/fs/bpf/sut$$-front" || return 1
	[ ! -e "/sys/fs/bpf/sut$$-b1" ] && [ ! -e "/sys/fs/bpf/sut$$-front" ] &&
		! hand_in b1 tc filter show dev eth0 ingress | grep bpf
}

check 'what is left is taken away' removed
# what is pinned goes with the process that is told so
agent --key-file "$LAB/key" --at-end remove && front --key-file "$LAB/key" --at-end remove
lab_end front
lab_end back-b1
check 'nothing is left' test ! -e "/sys/fs/bpf/sut$$-b1" -a ! -e "/sys/fs/bpf/sut$$-front"
exit $FAILED
