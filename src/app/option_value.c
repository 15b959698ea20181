/* SPDX-License-Identifier: MIT */
#include "app/option_value.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "app/option_text.h"
#include "app/options.h"
#include "base/compiler.h"

/* Appends a digit: false on overflow. */
static bool add_digit(uint64_t *v, unsigned base, unsigned digit)
{
	if (*v > (UINT64_MAX - digit) / base)
		return false;
	*v = *v * base + digit;
	return true;
}

static int digit_of(char c, unsigned base)
{
	int d = -1;

	if (c >= '0' && c <= '9')
		d = c - '0';
	else if (c >= 'a' && c <= 'f')
		d = c - 'a' + 10;
	else if (c >= 'A' && c <= 'F')
		d = c - 'A' + 10;
	return d < (int)base ? d : -1;
}

int value_number(const char *s, size_t len, uint64_t *ret_v)
{
	unsigned base = 10;
	uint64_t v = 0;

	if (len > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		base = 16;
		s += 2;
		len -= 2;
	}
	if (len == 0)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		int d = digit_of(s[i], base);

		if (d < 0)
			return -EINVAL;
		if (!add_digit(&v, base, (unsigned)d))
			return -ERANGE;
	}
	*ret_v = v;
	return 0;
}

/* A decimal fraction as read: whole + part / scale. */
struct decimal {
	uint64_t whole, part, scale;
};

/* Reads digits[.digits]: how many bytes it took; 0 if there is no number, -1 if it is too long. */
static int read_decimal(const char *s, size_t len, struct decimal *ret_d)
{
	struct decimal d = { .scale = 1 };
	size_t i = 0, digits = 0;

	for (; i < len && digit_of(s[i], 10) >= 0; i++, digits++)
		if (!add_digit(&d.whole, 10, (unsigned)digit_of(s[i], 10)))
			return -1;
	if (i < len && s[i] == '.') {
		for (i++; i < len && digit_of(s[i], 10) >= 0; i++, digits++) {
			if (d.scale >= 1000000000000000000u)
				return -1;
			d.part = d.part * 10 + (unsigned)digit_of(s[i], 10);
			d.scale *= 10;
		}
	}
	*ret_d = d;
	return digits ? (int)i : 0;
}

__extension__ typedef unsigned __int128 wide;

/* whole * factor + part * factor / scale, which must be exact. */
static int scale_decimal(const struct decimal *d, uint64_t factor, uint64_t *ret_v)
{
	wide v = (wide)d->whole * factor, f = (wide)d->part * factor;

	if (f % d->scale)
		return -EDOM;
	v += f / d->scale;
	if (v > UINT64_MAX)
		return -ERANGE;
	*ret_v = (uint64_t)v;
	return 0;
}

int value_with_unit(const char *s, size_t len, const struct unit *units, uint64_t bare,
		    uint64_t *ret_v)
{
	struct decimal d;
	int n = read_decimal(s, len, &d);

	if (n <= 0)
		return n ? -ERANGE : -EINVAL;
	s += n;
	len -= (size_t)n;
	if (len == 0 && bare == 0)
		return d.whole || d.part ? -ENOENT : (*ret_v = 0, 0);
	if (len == 0)
		return scale_decimal(&d, bare, ret_v);
	for (; units->name; units++)
		if (strlen(units->name) == len && memcmp(units->name, s, len) == 0)
			return scale_decimal(&d, units->factor, ret_v);
	return -EINVAL;
}

/* clang-format off */
static const struct unit sizes[] = {
	{ "k", 1u << 10 }, { "K", 1u << 10 }, { "M", 1u << 20 }, { "G", 1u << 30 }, { NULL, 0 },
};
static const struct unit times[] = {
	{ "ns", 1 }, { "us", 1000 }, { "ms", 1000000 }, { "s", 1000000000 },
	{ "min", 60000000000 }, { "h", 3600000000000 }, { NULL, 0 },
};
static const struct unit shares[] = { { "%", 10000 }, { "ppm", 1 }, { NULL, 0 } };
static const struct unit rates[] = {
	{ "bit", 1 }, { "kbit", 1000 }, { "mbit", 1000000 }, { "gbit", 1000000000 }, { NULL, 0 },
};

/* Ten years: added to any clock it does not wrap. */
#define TIME_MAX (87600u * 3600000000000u)

/* How the numeric kinds are read, and what is said to be expected. */
static const struct {
	const struct unit *units;
	uint64_t bare;
	uint64_t max;
	const char *expected;
} numeric[] = {
	[OPTION_NUMBER] = { NULL, 1, 0, "a number" },
	[OPTION_SIZE]   = { sizes, 1, 0, "a number, or one with k, M or G, as in 64k" },
	[OPTION_TIME]   = { times, 0, TIME_MAX, "a time with its unit (ns, us, ms, s, min, h), as in 20ms" },
	[OPTION_MS]     = { times, 1000000, TIME_MAX, "a time, in milliseconds or with its unit (ns, us, ms, s, min, h), as in 3000 or 3s" },
	[OPTION_PPM]    = { shares, 0, 1000000, "a share with its unit (%, ppm), as in 1% or 0.05% or 20ppm" },
	[OPTION_RATE]   = { rates, 0, 0, "a rate with its unit (bit, kbit, mbit, gbit), as in 100mbit" },
};
/* clang-format on */

struct complaint {
	char *s;
	size_t size;
};

static SUT_PRINTF(2, 3) int complain(struct complaint c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c.s, c.size, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static void store_number(void *field, size_t size, uint64_t v)
{
	switch (size) {
	case 1:
		memcpy(field, &(uint8_t){ (uint8_t)v }, 1);
		break;
	case 2:
		memcpy(field, &(uint16_t){ (uint16_t)v }, 2);
		break;
	case 4:
		memcpy(field, &(uint32_t){ (uint32_t)v }, 4);
		break;
	default:
		assert(size == 8);
		memcpy(field, &v, 8);
	}
}

static uint64_t field_max(size_t size)
{
	return size >= 8 ? UINT64_MAX : ((uint64_t)1 << (size * 8)) - 1;
}

/* Says both bounds as one would type them. */
static int out_of_range(const struct option_desc *d, const char *text, uint64_t max,
			struct complaint c)
{
	char low[32], high[32];

	option_number_text(d->kind, d->min, low, sizeof low);
	option_number_text(d->kind, max, high, sizeof high);
	return complain(c, "'%s' is out of range: %s to %s%s%s", text, low, high,
			d->arg && strcmp(d->arg, "BYTES") == 0 ? " bytes" : "",
			d->or_zero ? ", or 0" : "");
}

static int set_number(const struct option_desc *d, void *field, const char *text,
		      struct complaint c)
{
	uint64_t max = d->max ? d->max : field_max(d->size), v;
	int err;

	if (numeric[d->kind].max && numeric[d->kind].max < max)
		max = numeric[d->kind].max;
	if (d->kind == OPTION_NUMBER)
		err = value_number(text, strlen(text), &v);
	else
		err = value_with_unit(text, strlen(text), numeric[d->kind].units,
				      numeric[d->kind].bare, &v);
	if (err == -ERANGE)
		return complain(c, "'%s' is too large", text);
	if (err == -EDOM)
		return complain(c, "'%s' is finer than can be counted", text);
	if (err)
		return complain(c, "'%s' is not %s", text, numeric[d->kind].expected);
	if ((v < d->min && !(v == 0 && d->or_zero)) || v > max)
		return out_of_range(d, text, max, c);
	store_number(field, d->size, v);
	return 0;
}

static int set_enum(const struct option_desc *d, void *field, const char *text, struct complaint c)
{
	size_t n;

	for (unsigned i = 0; d->names[i]; i++) {
		if (strcmp(d->names[i], text) == 0) {
			store_number(field, d->size, i);
			return 0;
		}
	}
	complain(c, "'%s' is not one of ", text);
	for (unsigned i = 0; d->names[i]; i++) {
		n = strlen(c.s);
		snprintf(c.s + n, c.size - n, "%s%s", i ? ", " : "", d->names[i]);
	}
	return -EINVAL;
}

static int set_flag(const struct option_desc *d, void *field, const char *text, struct complaint c)
{
	if (text && strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
		return complain(c, "'%s' is neither yes nor no", text);
	store_number(field, d->size, !text || text[0] == 'y');
	return 0;
}

/* Length of the next piece of a comma-separated list. */
static size_t piece_len(const char *s)
{
	return strcspn(s, ",");
}

/* Stores the number of entries, or the zero entry that ends the list. */
static void end_list(const struct option_desc *d, void *config, uint32_t n, size_t entry)
{
	char *field = (char *)config + d->offset;

	if (d->counted)
		store_number((char *)config + d->count_offset, 4, n);
	else if ((n + 1) * entry <= d->size)
		memset(field + n * entry, 0, entry);
}

static int read_range(const char *s, size_t len, uint16_t ret_range[2])
{
	const char *dash = memchr(s, '-', len);
	size_t first_len = dash ? (size_t)(dash - s) : len;
	uint64_t first, last;

	if (value_number(s, first_len, &first) != 0)
		return -EINVAL;
	last = first;
	if (dash && value_number(dash + 1, len - first_len - 1, &last) != 0)
		return -EINVAL;
	if (first == 0 || last > 65535 || first > last)
		return -EINVAL;
	ret_range[0] = (uint16_t)first;
	ret_range[1] = (uint16_t)last;
	return 0;
}

/*
 * Both kinds of lists: entries are read into a copy first, so that a mistake changes nothing.  The names "all" and "none"
 * are for ports.
 */
static int set_list(const struct option_desc *d, void *config, const char *text, struct complaint c)
{
	const char *expected = d->kind == OPTION_PORTS
				       ? "TCP ports or ranges, as in 80,443,8000-8999"
				       : "numbers of 1 and more, as in 1,5";
	char copy[1024];
	uint32_t n = 0, room = (uint32_t)(d->size / 4);

	assert(d->size <= sizeof copy);
	if (d->kind == OPTION_PORTS && strcmp(text, "all") == 0)
		text = "1-65535";
	else if (strcmp(text, "none") == 0)
		text = NULL;
	for (; text; n++) {
		size_t len = piece_len(text);
		uint16_t range[2];
		uint64_t v = 0;
		int err;

		if (n == room)
			return complain(c, "more than %u entries", room);
		err = d->kind == OPTION_PORTS ? read_range(text, len, range)
					      : value_number(text, len, &v);
		if (err || (d->kind == OPTION_LIST && (v == 0 || v > UINT32_MAX)))
			return complain(c, "'%.*s' is not valid: expected %s", (int)len, text,
					expected);
		if (d->kind == OPTION_PORTS)
			memcpy(copy + n * 4, range, 4);
		else
			store_number(copy + n * 4, 4, v);
		text = text[len] ? text + len + 1 : NULL;
	}
	memcpy((char *)config + d->offset, copy, n * 4);
	end_list(d, config, n, 4);
	return 0;
}

static int add_string(const struct option_desc *d, void *config, const char *text,
		      struct complaint c)
{
	char *field = (char *)config + d->offset, *count = (char *)config + d->count_offset;
	uint32_t n;

	assert(d->counted);
	memcpy(&n, count, sizeof n);
	if (d->check && d->check(text, c.s, c.size) != 0)
		return -EINVAL;
	if ((n + 1) * sizeof text > d->size)
		return complain(c, "given more than %u times", n);
	memcpy(field + n * sizeof text, &text, sizeof text);
	n++;
	memcpy(count, &n, sizeof n);
	return 0;
}

int option_set(const struct option_desc *d, void *config, const char *text, char *ret_err,
	       size_t err_size)
{
	struct complaint c = { ret_err, err_size };
	void *field = (char *)config + d->offset;

	switch (d->kind) {
	case OPTION_FLAG:
		return set_flag(d, field, text, c);
	case OPTION_STRING:
	case OPTION_CONFIG:
		if (d->check && d->check(text, ret_err, err_size) != 0)
			return -EINVAL;
		memcpy(field, &text, sizeof text);
		return 0;
	case OPTION_ENUM:
		return set_enum(d, field, text, c);
	case OPTION_PORTS:
	case OPTION_LIST:
		return set_list(d, config, text, c);
	case OPTION_STRINGS:
		return add_string(d, config, text, c);
	case OPTION_NUMBER:
	case OPTION_SIZE:
	case OPTION_TIME:
	case OPTION_MS:
	case OPTION_PPM:
	case OPTION_RATE:
		break;
	}
	return set_number(d, field, text, c);
}
