# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# live.sh - what live tests share: variants of the laboratory, workloads, verdicts.  To be sourced after setting nothing.
#
# A test brings a laboratory up in a variant, starts "suture accel near" in the box, and runs workloads through it.
# Each workload is a case: "ok NAME" or "not ok NAME # why", and on failure what suture counted and said.
#
# Variants: gso (as it is: super-packets, partial checksums), strict (the box completes checksums), plain (no offload at all).
# With "wrap" the promised ISNs lie just below 2^32.

# BASELINE=yes puts a bridge of the kernel in suture's place: a case that fails there is wrong itself.

# shellcheck source=lab/lab.sh
. "$(dirname "$0")/../../lab/lab.sh"

PEER=${PEER:-build/tests/live/peer}
LIVE=${LIVE:-core}
BASELINE=${BASELINE:-}
PORTS=22,80,81,443,5201,8080,9000-9099

# all A B C: its words in test-all, else only the first one.
all() {
	if [ "$LIVE" = all ]; then
		echo "$*"
	else
		echo "$1"
	fi
}

# live_up OFFLOAD: the laboratory, the wire a bridge of the kernel.
live_up() {
	lab_up
	LIVE_FAILED=0 LIVE_WHERE='' live_mode=none
	case $1 in
	gso) ;;
	strict) lab_strict ;;
	plain) lab_no_offload ;;
	*) lab_fail "no such variant: $1" ;;
	esac
	[ "$LAB_WIRE" = no ] || lab_bridge wire
}

live_down() {
	[ "$LIVE_FAILED" = 0 ] || lab_said
	lab_down
}

# accel MODE near|far-from-wrap ARG ...: suture in the box, in place of what ran there.
accel() {
	live_mode=$1 live_isn=$2
	shift 2
	if [ -n "$BASELINE" ]; then
		live_mode=none
		lab_unbridge box 2>/dev/null
		lab_bridge box
		return
	fi
	lab_stop box
	[ "$live_isn" != wrap ] || set -- --debug-isn-near-wrap "$@"
	lab_box accel near --client if:$BOX_C --server if:$BOX_S --mode "$live_mode" --ports $PORTS --idempotent $PORTS \
		--stats "$@"
}

# counter NAME: of the suture that ran last in the box; it must have ended.
counter() {
	awk -v n="$1" '$1 == n { print $2; exit }' "$LAB/box.out"
}

lab_said() {
	for live_f in box wire; do
		[ ! -s "$LAB/$live_f.out" ] || { echo "--- $live_f:"; tail -n 60 "$LAB/$live_f.out"; }
	done
}

# check NAME CMD ...: runs it; says how it went.
check() {
	live_name=$1
	shift
	if [ "$live_mode" != none ] && ! lab_alive box; then
		echo "not ok $LIVE_WHERE$live_name # suture is not running"
		LIVE_FAILED=1
		return 1
	fi
	"$@" >"$LAB/check.out" 2>&1
	live_status=$?
	if [ $live_status = 0 ]; then
		echo "ok $LIVE_WHERE$live_name"
		return 0
	fi
	echo "not ok $LIVE_WHERE$live_name # exit status $live_status"
	tail -n 20 "$LAB/check.out"
	LIVE_FAILED=1
	return 1
}

# --- workloads; each ends well only if all arrived as it was sent

# small [ADDRESS]: the index page, three times (the first teaches suture the server).
small() {
	for live_i in 1 2 3; do
		lab_in client curl -gsS -m 20 -o "$LAB/got" "http://${1:-$SERVER4}/" || return 1
		cmp "$LAB/got" "$LAB/www/index.html" || return 1
	done
}

# keepalive: five requests on one connection.
keepalive() {
	live_u=http://$SERVER4/index.html
	lab_in client curl -gsS -m 20 -w '%{num_connects}\n' -o "$LAB/k1" $live_u -o "$LAB/k2" $live_u -o "$LAB/k3" $live_u \
		-o "$LAB/k4" $live_u -o "$LAB/k5" $live_u >"$LAB/connects" || return 1
	[ "$(awk '{ n += $1 } END { print n }' "$LAB/connects")" = 1 ] || { cat "$LAB/connects"; return 1; }
	for live_i in 1 2 3 4 5; do
		cmp "$LAB/k$live_i" "$LAB/www/index.html" || return 1
	done
}

# big MB: a file of random bytes for nginx, made once; its digest in $LAB/www/big$1.sha.
big() {
	[ ! -f "$LAB/www/big$1" ] || return 0
	mkdir -p "$LAB/www"
	head -c "$1M" /dev/urandom >"$LAB/www/big$1"
	"$PEER" sha <"$LAB/www/big$1" >"$LAB/big$1.sha"
}

# down URL-PREFIX MB
down() {
	big "$2"
	lab_in client curl -gksS -m 120 "$1/big$2" 2>"$LAB/curl.err" | "$PEER" sha >"$LAB/got.sha"
	cat "$LAB/curl.err"
	cmp "$LAB/got.sha" "$LAB/big$2.sha"
}

# up ADDRESS MB
up() {
	lab_in client timeout 120 "$PEER" push "$1" 9000 $(($2 * 1048576))
}

serve() {
	lab_start "$1$2" server "$PEER" "$1" "$2"
	lab_await "$1$2" ready 5
}

chat() {
	lab_in client timeout 60 "$PEER" chat "$1" "$2" 200
}

live_sshd() {
	mkdir -p "$LAB/ssh"
	chmod 700 "$LAB/ssh"
	ssh-keygen -q -t ed25519 -N '' -f "$LAB/ssh/host" && ssh-keygen -q -t ed25519 -N '' -f "$LAB/ssh/me" || return 1
	cp "$LAB/ssh/me.pub" "$LAB/ssh/authorized"
	mkdir -p /run/sshd
	lab_start sshd server "$(command -v sshd)" -D -e -f /dev/null -h "$LAB/ssh/host" -p 22 -o PidFile=none -o UsePAM=no \
		-o StrictModes=no -o PermitRootLogin=yes -o AuthorizedKeysFile="$LAB/ssh/authorized" \
		-o "Subsystem=sftp internal-sftp"
	lab_await sshd 'Server listening' 10
}

# scp_both ADDRESS: 5 MB there and back.
scp_both() {
	live_opts="-q -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=20 -o LogLevel=ERROR"
	big 5
	# shellcheck disable=SC2086
	lab_in client timeout 60 scp $live_opts -i "$LAB/ssh/me" "$LAB/www/big5" "root@$1:$LAB/there" &&
		lab_in client timeout 60 scp $live_opts -i "$LAB/ssh/me" "root@$1:$LAB/there" "$LAB/back" &&
		cmp "$LAB/back" "$LAB/www/big5" && rm -f "$LAB/there" "$LAB/back"
}

live_iperf() {
	lab_start iperf server iperf3 -s --forceflush -p 5201
	lab_await iperf 'listening' 5
}

# eight ADDRESS [-R]: eight flows at once, one second.
eight() {
	lab_in client timeout 60 iperf3 -c "$1" -p 5201 -P 8 -t 1 ${2:+"$2"} >"$LAB/iperf.txt" 2>&1 ||
		{ tail -n 3 "$LAB/iperf.txt"; return 1; }
}

# reuse ADDRESS COUNT: the same source port again and again.
reuse() {
	lab_in client timeout 60 "$PEER" again "$1" 80 "$2" 20000
}

# kernel NS NAME: a counter of that kernel's TCP.
kernel() {
	lab_in "$1" cat /proc/net/netstat /proc/net/snmp | awk -v n="$2" '
		!($1 in head) { head[$1] = $0; next }
		{ split(head[$1], h); delete head[$1]; for (i = 2; i <= NF; i++) if (h[i] == n) { print $i; exit } }'
}

# No kernel saw a wrong checksum, or SACK blocks that it could not place.  A few of those are natural where the wire reorders
# and duplicates: a bridge of the kernel shows as many; blocks that are not translated show some in every recovery.
kernels_content() {
	for live_n in client server; do
		live_v=$(kernel $live_n InCsumErrors)
		[ "${live_v:-0}" = 0 ] || { echo "$live_n: InCsumErrors is $live_v"; return 1; }
		live_v=$(kernel $live_n TCPSACKDiscard)
		live_r=$(($(kernel client TCPSackRecovery) + $(kernel server TCPSackRecovery)))
		[ $((${live_v:-0} * 10)) -le $((live_r)) ] || { echo "$live_n: TCPSACKDiscard is $live_v in $live_r recoveries"; return 1; }
	done
}

# suture has promised, has translated, and ended well when it was asked to.
was_at_work() {
	[ -z "$BASELINE" ] || return 0
	lab_stop box
	live_p=$(counter promised) live_t=$(counter translated)
	[ "${live_p:-0}" -gt 0 ] && [ "${live_t:-0}" -gt 0 ] || { echo "promised ${live_p:-?}, translated ${live_t:-?}"; return 1; }
	[ "$(cat "$LAB/box.status")" = 0 ] || { echo "exit status $(cat "$LAB/box.status")"; return 1; }
	! grep -E 'ERROR: (Address|Leak|Undefined)Sanitizer|runtime error' "$LAB/box.out"
}
