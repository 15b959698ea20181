# SPDX-License-Identifier: MIT
# plot.awk - draws the medians of bench/results/side.md's section "Waiting" as SVG: a panel for each delay, a bar for each way.
#
#	awk -f bench/plot.awk bench/results/side.md >doc/figures/first_byte.svg
#
# A bar ends where the first byte of the answer came; its dark part ends where connect() returned.  Lines stand at one and two
# round trips.  Nothing is drawn that is not in the table.

function text(x, y, anchor, class, s) {
	printf "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" class=\"%s\">%s</text>\n", x, y, anchor, class, s
}

function rect(x, y, w, h, class) {
	printf "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" class=\"%s\"/>\n", x, y, w, h, class
}

function line(x, y1, y2, class) {
	printf "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"%s\"/>\n", x, y1, x, y2, class
}

function number(x) { return sprintf(x < 1 ? "%.3f" : x < 100 ? "%.1f" : "%.0f", x) }

# The longest bar of a panel, in milliseconds; two round trips at least.
function longest(d,   i, x) {
	x = 4 * d
	for (i = 1; i <= ways; i++) if (first[d, i] > x) x = first[d, i]
	return x
}

function style() {
	print "<style>"
	print "text { font: 13px 'DejaVu Sans', Verdana, sans-serif; fill: #24292f }"
	print ".title { font-size: 17px; font-weight: bold } .small { font-size: 11px; fill: #57606a } .panel { font-weight: bold }"
	print ".value { font-size: 11px } .ours { font-weight: bold }"
	print ".back { fill: #ffffff } .band { fill: #f3f7fc } .zero { stroke: #57606a } .trip { stroke: #8c959f; stroke-dasharray: 3 3 }"
	print ".dark { fill: #6e7781 } .light { fill: #c8ced4 } .dark-ours { fill: #0a4f9e } .light-ours { fill: #6aa7e8 }"
	print "</style>"
}

function bar(d, i, x, y, px,   ours) {
	ours = i > theirs ? "-ours" : ""
	rect(x, y + 6, first[d, i] * px, ROW - 12, "light" ours)
	rect(x, y + 6, connect[d, i] * px, ROW - 12, "dark" ours)
	text(x + first[d, i] * px + 5, y + ROW / 2 + 4, "start", "value" (ours ? " ours" : ""), number(first[d, i]))
}

function panel(d, x,   i, px, bottom) {
	px = (PANEL - 52) / longest(d)
	bottom = TOP + ways * ROW
	text(x, TOP - 12, "start", "panel", d " ms one way")
	line(x, TOP - 4, bottom + 4, "zero")
	text(x, bottom + 18, "middle", "small", "0")
	for (i = 2; i <= 4 && d > 0; i += 2) {
		line(x + i * d * px, TOP - 4, bottom + 4, "trip")
		text(x + i * d * px, bottom + 18, "middle", "small", i * d " ms")
		text(x + i * d * px, bottom + 32, "middle", "small", i / 2 " round trip" (i == 2 ? "" : "s"))
	}
	if (d == 0) text(x, bottom + 32, "start", "small", "no delay but the box's own")
	for (i = 1; i <= ways; i++) bar(d, i, x, TOP + (i - 1) * ROW, px)
}

function legend(x, y) {
	rect(x, y - 10, 11, 11, "dark")
	rect(x + 13, y - 10, 11, 11, "dark-ours")
	text(x + 31, y, "start", "small", "until connect() returns")
	rect(x + 190, y - 10, 11, 11, "light")
	rect(x + 203, y - 10, 11, 11, "light-ours")
	text(x + 221, y, "start", "small", "until the first byte of the answer")
}

function cells(s,   a, n, i) {
	n = split(s, a, "|")
	for (i = 3; i < n; i++) cell[i - 2] = a[i] + 0 == 0 && a[i] !~ /[0-9]/ ? a[i] : a[i] + 0
	return n - 3
}

/^\| ms \|/ {
	ways = cells($0)
	for (i = 1; i <= ways; i++) { gsub(/ /, "", cell[i]); way[i] = cell[i] }
}

/^\| [0-9]+ ms: (connect\(\)|first byte) p50 \|/ {
	cells($0)
	d = $2 + 0
	if (!(d in seen)) { seen[d] = 1; delay[++delays] = d }
	for (i = 1; i <= ways; i++) {
		if ($0 ~ /first byte/) first[d, i] = cell[i]
		else connect[d, i] = cell[i]
	}
}

END {
	if (!ways || !delays) {
		print "plot.awk: no table of waiting in " FILENAME >"/dev/stderr"
		exit 1
	}
	ROW = 30; TOP = 104; LEFT = 150; PANEL = 236; GAP = 22
	name["bridge"] = "kernel bridge"; name["routing"] = "kernel routing"; name["synproxy"] = "SYNPROXY"; name["haproxy"] = "HAProxy, splitting"
	for (i = 1; i <= ways; i++) {
		if (way[i] ~ /^(verify|hold|merge)$/) name[way[i]] = "suture, " way[i]
		else theirs = i
	}
	width = LEFT + delays * (PANEL + GAP) + 8
	height = TOP + ways * ROW + 48
	printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" role=\"img\"", width, height, width, height
	print " aria-label=\"Time to the first byte of an answer, for each way through the box, at three delays\">"
	print "<!-- Drawn by bench/plot.awk from bench/results/side.md; not to be edited. -->"
	style()
	rect(0, 0, width, height, "back")
	text(14, 28, "start", "title", "The first byte of a web server's answer, on a fresh connection")
	legend(14, 54)
	text(width - 14, 54, "end", "small", "medians in milliseconds; each panel has a scale of its own")
	rect(8, TOP + theirs * ROW, width - 16, (ways - theirs) * ROW, "band")
	for (i = 1; i <= ways; i++)
		text(LEFT - 12, TOP + (i - 1) * ROW + ROW / 2 + 4, "end", i > theirs ? "ours" : "theirs", way[i] in name ? name[way[i]] : way[i])
	for (i = 1; i <= delays; i++) panel(delay[i], LEFT + (i - 1) * (PANEL + GAP))
	print "</svg>"
}
