#!/bin/sh
# SPDX-License-Identifier: MIT
# replica.sh [SUTURE [REPLICA_LOAD]] - frames per second of processor time: "suture replica rewrite" beside QEMU's filter-rewriter.
#
#     replica_load ==unix==> rewriter ==unix==> replica_load        and the other way
#
# Both programs are given the same frames by the same generator over the same kind of sockets in the same run, in turns; a figure is the
# median of its turns.  QEMU runs without a guest and without a machine (-machine none), so all that is seen is its network code.
#
#     qemu-hub    stream netdev - rewriter - hub - stream netdev                 two sockets, each both ways: as suture's
#     qemu-colo   redirector - rewriter - redirector, hub - stream netdev        three sockets: the chain of a COLO secondary
#     suture      --primary --secondary                                          two sockets, each both ways
#     suture-3    --primary --secondary --compare                                three sockets
#
# Prints Markdown:   bench/replica.sh >bench/results/replica.md   (no privilege; about two minutes; progress on standard error)
# DATA=FILE keeps the turns' figures in FILE: a run that was interrupted goes on where it was; what is there is not measured again.
set -u
ROUNDS=${ROUNDS:-3}
MS=${MS:-300}		# of writing, for each figure
FLOWS=${FLOWS:-1000000}	# as many as the third load has
DATA=${DATA:-}

top=$(dirname "$0")/..
SUTURE=$(realpath "${1:-$top/build/src/cli/suture}")
LOAD=$(realpath "${2:-$top/build/bench/replica_load}")
QEMU=${QEMU:-qemu-system-x86_64}
COMMAND="bench/replica.sh${1:+ SUTURE}"
[ "$ROUNDS" = 3 ] || COMMAND="ROUNDS=$ROUNDS $COMMAND"
[ "$MS" = 300 ] || COMMAND="MS=$MS $COMMAND"

for tool in "$SUTURE" "$LOAD"; do
	[ -x "$tool" ] || { echo "bench/replica.sh: $tool is not built: run make" >&2; exit 1; }
done
command -v "$QEMU" >/dev/null || QEMU=

dir=$(mktemp -d)
child=
finish() {
	# The generator takes its own child with it.
	[ -z "$child" ] || kill "$child" 2>/dev/null
	rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' HUP INT TERM
data=${DATA:-$dir/data}
touch "$data" || exit 1

# load ROUND SUBJECT FLOWS [FLAG] COMMAND...: one process's turn; nothing if it is in the data already.
load() {
	round=$1 subject=$2 flows=$3 flag=
	shift 3
	[ "$1" != -c ] || { flag=-c; shift; }
	! grep -q "^$round $subject $flows done" "$data" || return 0
	"$LOAD" $flag -t "$MS" "$dir" "$flows" -- "$@" >"$dir/turn" 2>"$dir/errors" &
	child=$!
	wait $child
	code=$?
	child=
	if [ $code != 0 ]; then
		echo "bench/replica.sh: $subject, $flows flows: failed" >&2
		cat "$dir/errors" "$dir/log" >&2
		exit 1
	fi
	sed "s/^/$round $subject $flows /; \$a $round $subject $flows done" "$dir/turn" >>"$data"
}

qemu_hub() {
	load "$1" qemu-hub "$2" "$QEMU" -machine none -nodefaults -display none \
		-netdev "stream,id=n0,server=off,addr.type=unix,addr.path=$dir/primary" \
		-netdev "stream,id=n1,server=off,addr.type=unix,addr.path=$dir/secondary" \
		-netdev hubport,id=h0,hubid=0,netdev=n0 -netdev hubport,id=h1,hubid=0,netdev=n1 \
		-object filter-rewriter,id=rw,netdev=n0,queue=all
}

# The netdev that the filters are on has no other end: the redirectors are its ends.
qemu_colo() {
	load "$1" qemu-colo "$2" -c "$QEMU" -machine none -nodefaults -display none \
		-chardev "socket,id=red0,path=$dir/primary,server=off" \
		-chardev "socket,id=red1,path=$dir/compare,server=off" \
		-netdev "stream,id=n0,server=on,addr.type=unix,addr.path=$dir/nobody" \
		-netdev "stream,id=n1,server=off,addr.type=unix,addr.path=$dir/secondary" \
		-netdev hubport,id=h0,hubid=0,netdev=n0 -netdev hubport,id=h1,hubid=0,netdev=n1 \
		-object filter-redirector,id=f1,netdev=n0,queue=tx,indev=red0 \
		-object filter-redirector,id=f2,netdev=n0,queue=rx,outdev=red1 \
		-object filter-rewriter,id=rw,netdev=n0,queue=all
}

suture() {
	load "$1" suture "$2" "$SUTURE" replica rewrite --primary "qemu:unix:$dir/primary" \
		--secondary "qemu:unix:$dir/secondary" --max-flows "$(($2 + 65536))"
}

suture_3() {
	load "$1" suture-3 "$2" -c "$SUTURE" replica rewrite --primary "qemu:unix:$dir/primary" \
		--secondary "qemu:unix:$dir/secondary" --compare "qemu:unix:$dir/compare" --max-flows "$(($2 + 65536))"
}

# Beyond 16384 flows QEMU has nothing left to translate: 20000 show it in each round, as many as suture's in the first alone.
measure() {
	for r in $(seq "$ROUNDS"); do
		echo "bench/replica.sh: $(($(date +%s) - began)) s: round $r" >&2
		for n in 1 16000; do
			[ -z "$QEMU" ] || qemu_hub "$r" $n
			suture "$r" $n
			[ -z "$QEMU" ] || qemu_colo "$r" $n
			[ -z "$THREE" ] || suture_3 "$r" $n
		done
		suture "$r" "$FLOWS"
	done
	[ -z "$QEMU" ] || {
		qemu_hub 1 20000
		qemu_hub 1 "$FLOWS"
	}
}

print_head() {
	qemu='is not installed: its columns are empty'
	[ -z "$QEMU" ] || qemu=$("$QEMU" --version | sed -n '1s/^[^0-9]*\([0-9.]*\).*/\1/p')
	cat <<-HEAD
		# suture replica rewrite beside QEMU's filter-rewriter

		Made by \`$COMMAND >bench/results/replica.md\`; to be made again, never edited.

		* Machine: $(nproc) x $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), Linux $(uname -r). QEMU $qemu.
		* Before the run the machine had $load_before processes waiting for its $(nproc) processors (load of a minute).
		* Unix stream sockets with the frames' length in front of each; frames of TCP/IPv4 with timestamps (66 bytes and the payload),
		  each flow with numbers of its own on each side, so that each frame has to be translated. The generator writes in blocks of 256 KB for
		  $MS ms and reads what comes out; flows take turns frame by frame.
		* Processor time is what the kernel's clock of the rewriter's process says (clock_getcpuclockid: user and system, all threads), from
		  before the first frame is written until the last is read. The generator's is not in it; what the sockets' kernel code does for the rewriter is.
		* The programs took turns, $ROUNDS times; a figure is the median of its turns.
	HEAD
}

# Reads lines "ROUND SUBJECT FLOWS ..." (replica_load.c says what they hold) and prints the tables.
print_tables() {
	awk -v many="$FLOWS" -v have_qemu="${QEMU:+yes}" '
		function median(k,   i, j, t) {
			if (!n[k]) return 0
			for (i = 2; i <= n[k]; i++)
				for (j = i; j > 1 && v[k, j] < v[k, j - 1]; j--) { t = v[k, j]; v[k, j] = v[k, j - 1]; v[k, j - 1] = t }
			return (v[k, int((n[k] + 1) / 2)] + v[k, int(n[k] / 2) + 1]) / 2
		}
		function note(k, x) { v[k, ++n[k]] = x }
		function ns(s, f, c) { return median("ns " s " " f " " c) }
		function rate(s, f, c,   x) { x = ns(s, f, c); return x ? sprintf("%.0f", 1e6 / x) : "-" }
		function ratio(a, b, f, c,   x) { x = ns(b, f, c); return x ? ns(a, f, c) / x : 0 }
		function times(x) { return x ? sprintf("%.1f", x) : "-" }
		# The least (or the greatest) of the ratios between QEMU and suture, at this payload and these flows
		function least(p, a, b,   i, j, x, m) {
			m = 0
			for (j = 1; j <= 2; j++) {
				x = ratio(a, b, fl[1], p " " way[j])
				if (!m || x < m) m = x
			}
			return m
		}
		function slowest(f,   i, x, m) {
			for (i = 1; i <= 4; i++) {
				x = ns("suture", f, cell[i]) / ns("suture", fl[1], cell[i])
				if (x > m) m = x
			}
			return m
		}
		function judge(what, wanted, x, good) { printf "| %s | %s | %s | %s |\n", what, wanted, x, good ? "met" : "**missed**" }
		$4 == "done" { next }
		$4 == "setup" {
			k = $2 " " $3
			note("setup " k, $6 / $3 / 4)
			next
		}
		{
			k = $2 " " $3
			if (!(k in seen)) order[++subjects] = k
			seen[k] = 1
			if ($6 > 0) note("ns " k " " $4 " " $5, $7 / $6)
			frames[k] += $6; reordered[k] += $9; untranslated[k] += $10; wrong[k] += $11; missing[k] += $12
			bad[k] += $13; ts[k] += $14
			if ($15 > lost[k]) lost[k] = $15
			if ($16 > kb[k]) kb[k] = $16
			wall[k] += $8; cpu[k] += $7
		}
		END {
			split("1 16000 " many, fl, " ")
			split("to from", way, " ")
			split("64 to,64 from,1460 to,1460 from", cell, ",")
			split("64 1460", pay, " ")
			print "\n## What was wanted\n"
			print "| figure | wanted | measured | |\n|---|---|---:|---|"
			for (i = 1; have_qemu && i <= 2; i++) {
				x = least(pay[i], "qemu-hub", "suture")
				judge("frames per CPU second, " pay[i] " bytes, 1 flow, the worse way, over QEMU (hub)", ">= 4 x (aim 8)", times(x) " x", x >= 4)
				x = least(pay[i], "qemu-colo", n["ns suture-3 1 64 to"] ? "suture-3" : "suture")
				judge("the same over QEMU (colo)", ">= 4 x (aim 8)", times(x) " x", x >= 4)
			}
			judge("16000 flows: time per frame over that of 1 flow, the worst cell", "<= 1.5 x", sprintf("%.2f x", slowest(fl[2])), slowest(fl[2]) <= 1.5)
			judge("16000 flows: flows lost", "0", lost["suture 16000"] + 0, lost["suture 16000"] == 0)
			judge(many " flows: time per frame over that of 1 flow, the worst cell", "<= 3 x", sprintf("%.2f x", slowest(fl[3])), slowest(fl[3]) <= 3)
			judge(many " flows: flows lost", "0", lost["suture " many] + 0, lost["suture " many] == 0)

			print "\n## Frames per CPU second\n"
			print "Thousands. Payload in bytes; to: client to secondary, from: secondary to client. In the last columns how many times as many"
			print "frames suture handles in the same processor time: two sockets over QEMU (hub), three over QEMU (colo).\n"
			print "| flows | payload | way | QEMU, hub | QEMU, colo | suture | suture, 3 sockets | over hub | over colo |"
			print "|---:|---:|---|---:|---:|---:|---:|---:|---:|"
			for (f = 1; f <= 3; f++)
				for (i = 1; i <= 4; i++) {
					split(cell[i], c, " ")
					printf "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", fl[f], c[1], c[2], rate("qemu-hub", fl[f], cell[i]),
						rate("qemu-colo", fl[f], cell[i]), rate("suture", fl[f], cell[i]), rate("suture-3", fl[f], cell[i]),
						times(ratio("qemu-hub", "suture", fl[f], cell[i])), times(ratio("qemu-colo", "suture-3", fl[f], cell[i]))
				}
			print "\n## What came out\n"
			print "Over all turns. Untranslated: the sequence or acknowledgment number is still in the numbers of the side that it comes from. Wrong: neither"
			print "that nor right. Reordered: not where the frame before it in its flow ended. Timestamps: TSval or TSecr not in the clock of the side that it goes to."
			print "Bad checksums: of each 1024th frame. Flows lost: with at least one frame untranslated or wrong, most of a figure (in which not all of"
			print "very many flows have their turn). Busy: of the time on the clock. Handshake: CPU time per frame of it, half of them are SYN or SYN-ACK. QEMU has one turn beyond 16384 flows.\n"
			print "| program | flows | frames | untranslated | wrong | missing | reordered | timestamps | bad checksums | flows lost | MB | busy | handshake, us |"
			print "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
			for (i = 1; i <= subjects; i++) {
				k = order[i]
				split(k, w, " ")
				printf "| %s | %s | %d | %d | %d | %d | %d | %d | %d | %d | %.0f | %.0f%% | %s |\n", w[1], w[2], frames[k], untranslated[k], wrong[k], missing[k],
					reordered[k], ts[k], bad[k], lost[k], kb[k] / 1024, 100 * cpu[k] / wall[k], (w[2] > 1000 ? sprintf("%.2f", median("setup " k) / 1000) : "-")
			}
			for (i = 1; i <= subjects; i++)
				for (j = 1; j <= 4; j++) {
					k = "ns " order[i] " " cell[j]
					m = median(k)
					if (n[k] > 1 && (v[k, n[k]] - v[k, 1]) / m > spread) { spread = (v[k, n[k]] - v[k, 1]) / m; at = order[i] ", " cell[j] }
				}
			if (spread) printf "\nThe turns of one figure lie within %.0f %% of their median in the worst case (%s).\n", 100 * spread, at
		}' "$data"
}

began=$(date +%s)
load_before=$(cut -d ' ' -f 1 /proc/loadavg)
"$SUTURE" replica rewrite --help >"$dir/help" 2>&1 || { echo "skip replica # this suture has no replica rewrite"; exit 77; }
THREE=
! grep -q -- '--compare ' "$dir/help" || THREE=yes
measure
print_head
print_tables
echo "bench/replica.sh: $(($(date +%s) - began)) s: done" >&2
