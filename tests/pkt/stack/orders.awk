# SPDX-License-Identifier: MIT
# orders.awk -v dir=DIR -v irs=N - writes a packet script for every order and overlap of three segments behind a gap into DIR; the
# peer's SYN has the number N.
#
# Bytes are counted in units of 100; unit 0 is the gap at RCV.NXT.  Each triple of the shapes below comes in, then a segment
# that fills the gap and up to two units more.  What every ACK says follows from
#
#   RFC 2018, 4: the first block holds the segment that caused the ACK, the others are those told of before, newest first;
#   RFC 2883, 4: of what came twice the first run of bytes is told before them, once, above the cumulative ACK or below it;
#                the second block is then the one that holds it;
#   RFC 5681, 4.2: segments behind a gap, and those that fill one, are acknowledged at once.

function seq(u) { return sprintf("%.0f", (irs + 1 + 100 * u) % 4294967296) }

# The block of what was received around unit u.
function left_of(u) { while (have[u - 1]) u--; return u }
function right_of(u) { while (have[u]) u++; return u }

# Forgets the blocks that lie in [l, r), keeping the order of the others.
function forget(l, r,    i, k)
{
	k = 0
	for (i = 1; i <= blocks; i++)
		if (bl[i] < l || bl[i] >= r) {
			k++
			bl[k] = bl[i]
		}
	blocks = k
}

# The block that begins at l is the newest one.
function newest(l,    i)
{
	for (i = ++blocks; i > 1; i--)
		bl[i] = bl[i - 1]
	bl[1] = l
}

# The options of the ACK: duplicate [dl, dr) if any, then the blocks.
function options(dl, dr,    n, s, i)
{
	n = blocks + (dr > dl)
	if (n == 0)
		return ""
	s = " <nop,nop,sack " n " "
	if (dr > dl)
		s = s "{" seq(dl) ":" seq(dr) "}"
	for (i = 1; i <= blocks; i++)
		s = s "{" seq(bl[i]) ":" seq(right_of(bl[i])) "}"
	return s ">"
}

# [a, b) comes in: a packet and its ACK.
function come(a, b,    u, dl, dr, l)
{
	dl = dr = 0
	for (u = a; u < b && !(u < nxt || have[u]); u++)
		;
	for (dl = dr = u; dr < b && (dr < nxt || have[dr]); dr++)
		;
	for (u = a; u < b; u++)
		have[u] = 1
	if (a <= nxt) {
		nxt = right_of(nxt)
		forget(0, nxt)
	} else {
		l = left_of(a)
		forget(l, right_of(a))
		newest(l)
	}
	print "+1ms  net > P. " seq(a) ":" seq(b) "(" 100 * (b - a) ") ack $I+1 win 65535" > file
	print "+0ms  net < . $I+1:$I+1(0) ack " seq(nxt) " win " 65535 - 100 * nxt options(dl, dr) > file
}

function make(x, y, z, fill,    u)
{
	split("", have)
	blocks = nxt = 0
	file = dir "/order_" name[x] "_" name[y] "_" name[z] "_fill" fill ".pkt"
	print "# Segments behind a gap in the order " name[x] ", " name[y] ", " name[z] "." > file
	print "include sack.inc\ninclude server_sack.inc" > file
	come(first[x], last[x])
	come(first[y], last[y])
	come(first[z], last[z])
	come(0, fill)
	print "+1ms  app > \"read 10000\"\n+0ms  app < \"ok " 100 * nxt "\"" > file
	close(file)
}

BEGIN {
	n = split("1-2 2-3 1-3 2-4 3-4 4-5", name, " ")
	for (i = 1; i <= n; i++) {
		split(name[i], edge, "-")
		first[i] = edge[1]
		last[i] = edge[2]
	}
	for (x = 1; x <= n; x++)
		for (y = 1; y <= n; y++)
			for (z = 1; z <= n; z++) {
				make(x, y, z, 1)
				make(x, y, z, 3)
			}
}
