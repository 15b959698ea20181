/* SPDX-License-Identifier: MIT */
#include "app/words.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proto/print.h"

void words_add(struct words *w, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(w->s + w->len, w->size - w->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		w->len += (size_t)n < w->size - w->len ? (size_t)n : w->size - w->len - 1;
}

void words_part(struct words *w)
{
	if (w->len)
		words_add(w, "; ");
}

void words_time(struct words *w, sut_time t)
{
	if (t >= SUT_MS(1000))
		words_add(w, "%" PRIu64 ".%03" PRIu64 " s", t / 1000000000, t / 1000000 % 1000);
	else if (t >= SUT_MS(1))
		words_add(w, "%" PRIu64 ".%03" PRIu64 " ms", t / 1000000, t / 1000 % 1000);
	else
		words_add(w, "%" PRIu64 " us", t / 1000);
}

void words_bytes(struct words *w, uint64_t n)
{
	static const char unit[] = "kMGTPE";
	uint64_t whole = n, tenths = 0;
	unsigned i = 0;

	for (; whole >= 1000; i++) {
		tenths = whole % 1000 / 100;
		whole /= 1000;
	}
	if (i == 0)
		words_add(w, "%" PRIu64 " B", n);
	else
		words_add(w, "%" PRIu64 ".%" PRIu64 " %cB", whole, tenths, unit[i - 1]);
}

void words_end(struct words *w, const uint8_t addr[16], be16 port)
{
	char text[64];

	print_addr(addr, text, sizeof text);
	words_add(w, strchr(text, ':') ? "[%s]:%u" : "%s:%u", text, be16_get(port));
}
