# SPDX-License-Identifier: MIT
# handoff.awk - the tables of bench/handoff.sh, in Markdown, from lines "WAY METRIC VALUE".  Variable: ways.

function med(w, m,   k, i, j, t) {
	k = w SUBSEP m
	if (!n[k]) return ""
	for (i = 2; i <= n[k]; i++)
		for (j = i; j > 1 && v[k, j - 1] > v[k, j]; j--) { t = v[k, j]; v[k, j] = v[k, j - 1]; v[k, j - 1] = t }
	return (v[k, int((n[k] + 1) / 2)] + v[k, int(n[k] / 2) + 1]) / 2
}

function cell(x, form) { return x == "" ? "-" : sprintf(form, x) }

function row(text, m, form,   i, s) {
	s = "| " text " |"
	for (i = 1; i <= ways_n; i++) s = s " " cell(med(way[i], m), form) " |"
	print s
}

function ratio_row(text, m,   i, s, d) {
	s = "| " text " |"; d = med("direct", m)
	for (i = 1; i <= ways_n; i++) s = s " " cell(d ? med(way[i], m) / d : "", "%.2f") " |"
	print s
}

function less_row(text, m, form,   i, s, d, x) {
	s = "| " text " |"; d = med("direct", m)
	for (i = 1; i <= ways_n; i++) { x = med(way[i], m); s = s " " (way[i] == "direct" || x == "" || d == "" ? "-" : sprintf(form, x - d)) " |" }
	print s
}

function head(title,   i, s, t) {
	print "## " title "\n"
	s = "| |"; t = "|---|"
	for (i = 1; i <= ways_n; i++) { s = s " " way[i] " |"; t = t "---:|" }
	print s; print t
}

# What the best possible front end could have: a router in its place.
function routed(m,   d) { d = med("direct", m); return d && med("routed", m) != "" ? sprintf(" (a router in its place: %.2f x)", med("routed", m) / d) : "" }

function wanted(text, want, x, form, ok) {
	printf "| %s | %s | %s | %s |\n", text, want, cell(x, form), x == "" ? "-" : ok ? "met" : "**missed**"
}

{ k = $1 SUBSEP $2; v[k, ++n[k]] = $3 }

END {
	ways_n = split(ways, way, " ")
	print "## What was wanted\n"
	print "| figure | wanted | measured | |"
	print "|---|---|---:|---|"
	for (i = 1; i <= ways_n; i++) {
		w = way[i]
		if (w !~ /^(adopt|shift)$/) continue
		x = med(w, "m1_own_gb"); wanted(w ": front end's CPU per GB, 1 MB objects, offloads on (own)", "<= 0.02 s", x, "%.4f", x <= 0.02)
		x = med(w, "m1off_own_gb"); wanted(w ": the same, offloads off", "<= 0.3 s", x, "%.3f", x <= 0.3)
		d = med("direct", "m1_gbit"); x = d ? med(w, "m1_gbit") / d : ""; wanted(w ": 1 MB objects, throughput", ">= 0.9 x direct", x, "%.2f x" routed("m1_gbit"), x >= 0.9)
		d = med("direct", "keep_rate"); x = d ? med(w, "keep_rate") / d : ""; wanted(w ": 1 KB keep-alive requests", ">= 0.9 x direct", x, "%.2f x" routed("keep_rate"), x >= 0.9)
		x = med(w, "conn_own_us"); wanted(w ": front end's CPU per connection with one request (own)", "<= 45 us", x, "%.1f us", x <= 45)
	}
	print ""
	head("Requests and connections")
	row("1 KB, keep-alive, 32 connections: requests/s", "keep_rate", "%.0f")
	ratio_row("over direct", "keep_rate")
	row("front end, own, us a request", "keep_own_us", "%.2f")
	less_row("front end, whole, us a request", "keep_busy_us", "%.1f")
	row("1 KB, a connection each, 32 at once: connections/s", "conn_rate", "%.0f")
	ratio_row("over direct", "conn_rate")
	row("front end, own, us a connection", "conn_own_us", "%.1f")
	less_row("front end, whole, us a connection", "conn_busy_us", "%.1f")
	row("errors and answers other than 200", "conn_bad", "%.0f")
	print ""
	head("Bytes")
	row("1 MB, 4 connections, Gbit/s", "m1_gbit", "%.1f")
	ratio_row("over direct", "m1_gbit")
	row("front end, own, s a GB", "m1_own_gb", "%.4f")
	less_row("front end, whole, s a GB", "m1_busy_gb", "%.3f")
	row("100 MB, 1 connection, Gbit/s", "m100_gbit", "%.1f")
	ratio_row("over direct", "m100_gbit")
	row("front end, own, s a GB", "m100_own_gb", "%.4f")
	less_row("front end, whole, s a GB", "m100_busy_gb", "%.3f")
	row("1 MB, offloads off, Gbit/s", "m1off_gbit", "%.2f")
	ratio_row("over direct", "m1off_gbit")
	row("front end, own, s a GB", "m1off_own_gb", "%.4f")
	less_row("front end, whole, s a GB", "m1off_busy_gb", "%.3f")
	print ""
	head("Waiting")
	row("first byte, fresh connection, ms, p50", "first_p50", "%.3f")
	row("p99", "first_p99", "%.3f")
	less_row("more than direct, p50", "first_p50", "%.3f")
}
