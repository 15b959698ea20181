# SPDX-License-Identifier: MIT
# matrix.awk -v dir=DIR [-v ts=good|old|none] [-v irs=N] [-v let_go=1] matrix.tab - writes a packet script for each pair
# of state and segment into DIR.  The peer's SYN has the number N, else 1000.  let_go: only those in which the application has closed,
# and holds no handle any more.
function trim(s)
{
	gsub(/^[ \t]+|[ \t]+$/, "", s)
	return s
}

function fail(s)
{
	printf "%s:%d: %s\n", FILENAME, FNR, s > "/dev/stderr"
	failed = 1
}

# The sum of two texts such as "$I+1" and "-50": plain numbers are added up.
function add(base, off)
{
	if (base ~ /^[0-9]+$/)
		return sprintf("%.0f", (base + off + 4294967296) % 4294967296)
	if (off + 0 == 0)
		return base
	return base (off + 0 < 0 ? "" : "+") (off + 0)
}

# The peer's number n, counted from a SYN of 1000, from its SYN on.
function moved(n)
{
	return irs == "" ? n : add(irs, n - 1000)
}

# Puts numbers in the place of what stands in braces.
function fill(text, st,    word, name, off, from, to)
{
	while (match(text, /\{[A-Z]+[-+]?[0-9A-Z]*\}/)) {
		from = RSTART
		to = RSTART + RLENGTH
		word = substr(text, from + 1, RLENGTH - 2)
		match(word, /^[A-Z]+/)
		name = substr(word, 1, RLENGTH)
		off = substr(word, RLENGTH + 1)
		sub(/^\+/, "", off)
		if (off == "LEN")
			off = num["LEN"]
		text = substr(text, 1, from - 1) add(num[name], off) substr(text, to)
	}
	return text
}

# What the packet of this text says: its number, ACK and length in sequence space.
function learn(text,    part)
{
	split(text, part, /[ :]+/)
	num["SEQ"] = part[2]
	num["ACK"] = 0
	if (match(text, /ack [^ ]+/))
		num["ACK"] = substr(text, RSTART + 4, RLENGTH - 4)
	match(text, /\([0-9]+\)/)
	num["LEN"] = substr(text, RSTART + 1, RLENGTH - 2) + (text ~ /^S/) + (text ~ /^F/)
}

# The packet with its timestamp.  What went before has 500.
function stamped(packet,    opt)
{
	if (ts == "" || ts == "none")
		return packet
	opt = "nop,nop,TS val " (ts == "old" ? 499 : 500) " ecr 0>"
	if (packet ~ />$/)
		return substr(packet, 1, length(packet) - 1) "," opt
	return packet " <" opt
}

# With timestamps (ts: good, old, none) a segment out of the past, or without, is never taken where they were agreed upon (RFC 7323,
# 5.3 and 3.2); RSTs are not judged by them.
function make(st, seg, ans, after, why,    file, packet, judged)
{
	judged = st !~ /^(LISTEN|CLOSED|SYN-SENT)$/ && seg !~ /^(rst|syn)/
	if (let_go && st !~ /^(FIN-WAIT|CLOSING|LAST-ACK|TIME-WAIT)/)
		return
	if (let_go && st ~ /^FIN-WAIT/ && seg ~ /^data(-ahead|-last|-overlap)?$/) {
		ans = "abort"
		after = "CLOSED"
		why = "RFC 1122, 4.2.2.13: nobody will read it: a reset (SHLD-3)"
	}
	if ((ts == "old" || ts == "none") && !judged)
		return
	if (ts == "old" || ts == "none") {
		ans = ts == "old" ? "ack" : "-"
		after = "="
		why = ts == "old" ? "RFC 7323, 5.3, R1: a timestamp of the past: an ACK" : "RFC 7323, 3.2: dropped"
	}
	num["IRS"] = moved(1000)
	num["RCV"] = moved(rcv[st])
	num["UNA"] = una[st]
	num["NXT"] = nxt[st]
	num["EDGE"] = moved(66536)
	file = dir "/" st "_" seg ".pkt"
	packet = fill(segment[seg], st)
	learn(packet)
	print "# " st ", " seg ": " why > file
	print "include plain.inc\nset events none\ninclude " inc[st] > file
	print "isn net > " num["IRS"] > file
	print "60ms  net > " stamped(packet) (packet ~ /^S/ ? " [stray]" : "") > file
	if (ans != "-") {
		packet = fill(answer[ans], st)
		print "60ms  net < " packet (ts != "" && packet !~ /</ ? " <*>" : "") > file
	}
	print "61ms  wait" > file
	if (after == "=")
		after = st
	sub(/-ACTIVE$/, "", after)
	if (after == "LISTEN" || (after == "CLOSED" && (let_go || st == "CLOSED")))
		after = "none"
	print "flow " after > file
	close(file)
	n++
}

/^#/ || NF == 0 { next }
$1 == "state" { inc[$2] = $3; rcv[$2] = $4; una[$2] = $5; nxt[$2] = $6; next }
{
	split($0, field, "|")
	sub(/^(segment|answer|row)/, "", field[1])
}
$1 == "segment" { segment[trim(field[1])] = trim(field[2]); next }
$1 == "answer" { answer[trim(field[1])] = trim(field[2]); next }
$1 == "row" {
	segs = split(trim(field[1]), seg, /[ \t]+/)
	states = split(trim(field[2]), st, /[ \t]+/)
	ans = trim(field[3])
	if (ans != "-" && !(ans in answer))
		fail("no answer " ans)
	for (i = 1; i <= segs; i++)
		for (k = 1; k <= states; k++) {
			if (!(seg[i] in segment) || !(st[k] in inc))
				fail("no segment " seg[i] ", or no state " st[k])
			else if ((st[k], seg[i]) in seen)
				fail(st[k] " and " seg[i] " for the second time")
			else
				make(st[k], seg[i], ans, trim(field[4]), trim(field[5]))
			seen[st[k], seg[i]] = 1
		}
	next
}
{ fail("what is this") }
END {
	for (s in inc)
		for (g in segment)
			if (!((s, g) in seen)) {
				printf "no row for %s and %s\n", s, g > "/dev/stderr"
				failed = 1
			}
	exit failed
}
