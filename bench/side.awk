# SPDX-License-Identifier: MIT
# side.awk - the tables of bench/side.sh, in Markdown, from lines "WAY METRIC VALUE".
# Variables: slice, slices (of connections, seconds each), at_once, ports.

function key(w, m) { return w SUBSEP m }

function sorted(k,   gap, i, j, t) {
	if (is_sorted[k] == n[k]) return
	for (gap = int(n[k] / 2); gap > 0; gap = int(gap / 2))
		for (i = gap + 1; i <= n[k]; i++) {
			t = v[k, i]
			for (j = i; j > gap && v[k, j - gap] > t; j -= gap) v[k, j] = v[k, j - gap]
			v[k, j] = t
		}
	is_sorted[k] = n[k]
}

# The smallest value that at least percent % of all do not exceed.
function percentile(w, m, percent,   k) {
	k = key(w, m)
	if (!n[k]) return ""
	sorted(k)
	return v[k, int((n[k] * percent + 99) / 100)]
}

function median(w, m,   k) {
	k = key(w, m)
	if (!n[k]) return ""
	sorted(k)
	return (v[k, int((n[k] + 1) / 2)] + v[k, int(n[k] / 2) + 1]) / 2
}

function least(w, m,   k) {
	k = key(w, m)
	if (!n[k]) return ""
	sorted(k)
	return v[k, 1]
}

function most(w, m,   k) {
	k = key(w, m)
	if (!n[k]) return ""
	sorted(k)
	return v[k, n[k]]
}

function ratio(w, m, to,   b) {
	b = median(to, m)
	return b == "" || b == 0 || median(w, m) == "" ? "" : median(w, m) / b
}

# Microseconds that the machine was busy for a packet, or (unit) for a megabyte or a connection, less what the ends cost by themselves.
function of_box(w, m, unit,   busy, ends) {
	busy = least(w, m "_busy_unit")
	ends = least("cable", m "_busy_unit")
	if (w == "cable" || busy == "" || ends == "" || !median(w, m "_packets_unit")) return ""
	return unit ? busy - ends : (busy - ends) / median(w, m "_packets_unit")
}

function figure(kind, w, m) {
	if (kind == "least") return least(w, m)
	if (kind == "most") return most(w, m)
	if (kind == "box") return of_box(w, m, 0)
	if (kind == "box unit") return of_box(w, m, 1)
	if (kind == "p50") return percentile(w, m, 50)
	if (kind == "p99") return percentile(w, m, 99)
	return median(w, m)
}

function header(title, with_cable,   i) {
	columns = with_cable ? all : all - 1
	printf "\n| %s |", title
	for (i = 1; i <= columns; i++) printf " %s |", way[i]
	printf "\n|---|"
	for (i = 1; i <= columns; i++) printf "---:|"
	printf "\n"
}

function row(title, m, fmt, kind,   i, x, r) {
	printf "| %s |", title
	for (i = 1; i <= columns; i++) {
		x = figure(kind, way[i], m)
		if (x == "") { printf " - |"; continue }
		printf " " fmt, x
		r = kind == "ratio" && way[i] != "bridge" ? ratio(way[i], m, "bridge") : ""
		if (r != "") printf " (%.2f)", r
		printf " |"
	}
	printf "\n"
}

function judge(what, wanted, x, fmt, good) {
	if (x == "") return
	printf "| %s | %s | " fmt " | %s |\n", what, wanted, x, good ? "met" : "**missed**"
}

function judge_ways(what, m, wanted, least_ratio,   i, r) {
	for (i = 5; i <= 7; i++) {
		r = ratio(way[i], m, "bridge")
		judge(what ", " way[i], wanted, r, "%.2f x", r >= least_ratio)
	}
}

function waiting(   d, i, j, delay, what) {
	split("0 20 300", delay, " ")
	split("connect first", what, " ")
	title["connect"] = "connect()"
	title["first"] = "first byte"
	print "\n## Waiting"
	print "\nMilliseconds from before connect() to its return, and to the first byte of nginx's answer (a page of 200 bytes), fresh"
	printf "connections; %d fetches of each at 0 ms, %d at 20 ms, %d at 300 ms one way.\n", n[key("merge", "first0")],
		n[key("merge", "first20")], n[key("merge", "first300")]
	header("ms", 0)
	for (d = 1; d <= 3; d++)
		for (i = 1; i <= 2; i++)
			for (j = 50; j <= 99; j += 49)
				row(delay[d] " ms: " title[what[i]] " p" j, what[i] delay[d], delay[d] > 0 ? "%.2f" : "%.3f", "p" j)
}

function connections(   i) {
	print "\n## Connections a second"
	printf "\nconnect(), GET, read to the end, close; %d at once, 0 ms. The client's source ports are %s and wrap round:\n", at_once, ports
	printf "%d stretches of %s s follow one another. In brackets: ratio to the bridge.\n", slices, slice
	header("0 ms", 1)
	row("connections a second, all stretches", "rate", "%.0f", "ratio")
	for (i = 1; i <= slices; i++) row("stretch " i, "rate" i, "%.0f")
	row("failed, most of a stretch", "rate_failed", "%d", "most")
	row("longest time without one finished, ms, most of a stretch", "rate_gap", "%.0f", "most")
}

function throughput() {
	print "\n## Throughput"
	print "\nMbit/s as iperf3's receiver has it. Single frames: nobody offloads anything. In brackets: ratio to the bridge."
	header("Mbit/s", 1)
	row("0 ms, offloads, 1 flow", "gso1_mbit", "%.0f", "ratio")
	row("0 ms, offloads, 8 flows", "gso8_mbit", "%.0f", "ratio")
	row("0 ms, single frames, 1 flow", "frame1_mbit", "%.0f", "ratio")
	row("0 ms, single frames, 8 flows", "frame8_mbit", "%.0f", "ratio")
	row("20 ms, offloads, 1 flow", "far1_mbit", "%.0f", "ratio")
}

function processor() {
	print "\n## Processor time"
	print "\nMicroseconds; a packet is one that the box's devices received, a super-packet is one."
	print "\n* *own*: user and system time of the box's process, from /proc/PID/stat. The kernel's ways have none. Soft interrupts that run in its"
	print "  calls count in it: over virtual links a send runs the receiving end's whole stack, which no real device would make it do."
	print "* *softirq*: time of all processors in soft interrupts, from /proc/stat. All kernel peers' work is in there, and work of the"
	print "  client's and the server's kernel too; what runs in a process's calls is in its system time too."
	print "* *box*: busy time of all processors, less that of the cable for the same megabytes or connections: what the box itself costs, whoever"
	print "  does the work. This is the figure that compares. Ends that send and receive in other bursts count as the box's, for better or worse."
	print "  The clock behind all of these ticks " ticks " times a second. Of a way that stalls, a figure for a connection is that of the stall."
	header("us", 1)
	row("own, a packet, offloads, 1 flow", "gso1_own", "%.2f", "least")
	row("own, a packet, single frames, 1 flow", "frame1_own", "%.2f", "least")
	row("own, a packet, connections", "rate_own", "%.2f", "least")
	row("softirq, a packet, offloads, 1 flow", "gso1_softirq", "%.2f", "least")
	row("softirq, a packet, single frames, 1 flow", "frame1_softirq", "%.2f", "least")
	row("softirq, a packet, connections", "rate_softirq", "%.2f", "least")
	row("box, a packet, offloads, 1 flow", "gso1", "%.2f", "box")
	row("box, a packet, offloads, 8 flows", "gso8", "%.2f", "box")
	row("box, a packet, single frames, 1 flow", "frame1", "%.2f", "box")
	row("box, a packet, single frames, 8 flows", "frame8", "%.2f", "box")
	row("box, a packet, connections", "rate", "%.2f", "box")
	row("box, a MB, offloads, 1 flow", "gso1", "%.0f", "box unit")
	row("box, a MB, single frames, 1 flow", "frame1", "%.0f", "box unit")
	row("box, a connection", "rate", "%.1f", "box unit")
	row("machine, a MB, offloads, 1 flow", "gso1_busy_unit", "%.0f", "least")
	row("machine, a MB, single frames, 1 flow", "frame1_busy_unit", "%.0f", "least")
	row("machine, a connection", "rate_busy_unit", "%.1f", "least")
	row("packets a MB, offloads, 1 flow", "gso1_packets_unit", "%.1f")
	row("packets a connection", "rate_packets_unit", "%.1f")
}

function wanted(   i, x) {
	print "\n## What was wanted\n"
	print "Medians; plain is the bridge.\n"
	print "| figure | wanted | measured | |\n|---|---|---:|---|"
	for (i = 6; i <= 7; i++) {
		x = percentile(way[i], "connect20", 50)
		judge("connect(), 20 ms one way, " way[i], "<= 0.25 ms", x, "%.3f ms", x <= 0.25)
	}
	x = percentile("merge", "first20", 50)
	judge("first byte, 20 ms one way, merge", "<= 43 ms", x, "%.2f ms", x <= 43)
	judge_ways("throughput of one flow, 20 ms", "far1_mbit", ">= 0.9 x plain", 0.9)
	judge_ways("throughput of one flow, 0 ms, offloads", "gso1_mbit", ">= 0.7 x plain", 0.7)
	judge_ways("connections a second, 0 ms", "rate", ">= 0.75 x plain", 0.75)
	for (i = 5; i <= 7; i++) {
		x = most(way[i], "rate_gap")
		judge("longest time without a finished connection, " way[i], "no stall (<= 150 ms)", x, "%.0f ms", x <= 150)
	}
}

$1 == "done" { next }
{ k = key($1, $2); v[k, ++n[k]] = $3 + 0 }
END {
	all = split("bridge routing synproxy haproxy verify hold merge cable", way, " ")
	wanted()
	waiting()
	connections()
	throughput()
	processor()
}
