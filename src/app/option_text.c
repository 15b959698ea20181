/* SPDX-License-Identifier: MIT */
#include "app/option_text.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "app/option_value.h"
#include "base/compiler.h"

static uint64_t load_number(const void *field, size_t size)
{
	uint64_t v = 0;
	uint32_t v32;
	uint16_t v16;
	uint8_t v8;

	switch (size) {
	case 1:
		memcpy(&v8, field, 1);
		return v8;
	case 2:
		memcpy(&v16, field, 2);
		return v16;
	case 4:
		memcpy(&v32, field, 4);
		return v32;
	default:
		memcpy(&v, field, sizeof v);
		return v;
	}
}

/* By the largest unit that leaves no fraction; units go from the largest to the smallest, of factor 1. */
static void put_with_unit(uint64_t v, const struct unit *units, char *ret_s, size_t size)
{
	while (v % units->factor)
		units++;
	snprintf(ret_s, size, v ? "%" PRIu64 "%s" : "0", v / units->factor, units->name);
}

/* clang-format off */
static const struct unit sizes[] = { { "G", 1u << 30 }, { "M", 1u << 20 }, { "k", 1u << 10 }, { "", 1 } };
static const struct unit times[] = {
	{ "h", 3600000000000 }, { "min", 60000000000 }, { "s", 1000000000 }, { "ms", 1000000 }, { "us", 1000 },
	{ "ns", 1 },
};
static const struct unit shares[] = { { "%", 10000 }, { "ppm", 1 } };
static const struct unit rates[] = { { "gbit", 1000000000 }, { "mbit", 1000000 }, { "kbit", 1000 }, { "bit", 1 } };
/* clang-format on */

/* Entries of 4 bytes: ranges of ports, or numbers. */
static void put_list(const struct option_desc *d, const void *config, char *ret_s, size_t size)
{
	const char *field = (const char *)config + d->offset;
	uint32_t n = (uint32_t)(d->size / 4), v;
	uint16_t range[2];
	size_t len = 0;

	if (d->counted)
		n = (uint32_t)load_number((const char *)config + d->count_offset, 4);
	if (n > d->size / 4)
		n = 0; /* not set */
	snprintf(ret_s, size, "none");
	for (uint32_t i = 0; i < n && len < size; i++) {
		const char *comma = i ? "," : "";

		memcpy(&v, field + i * 4, 4);
		memcpy(range, field + i * 4, 4);
		if (d->kind == OPTION_LIST && v == 0)
			break;
		if (d->kind == OPTION_LIST)
			len += (size_t)snprintf(ret_s + len, size - len, "%s%" PRIu32, comma, v);
		else if (range[0] == range[1])
			len += (size_t)snprintf(ret_s + len, size - len, "%s%u", comma, range[0]);
		else
			len += (size_t)snprintf(ret_s + len, size - len, "%s%u-%u", comma, range[0],
						range[1]);
	}
}

static void put_texts(const struct option_desc *d, const void *config, char *ret_s, size_t size)
{
	uint32_t n = d->counted ? (uint32_t)load_number((const char *)config + d->count_offset, 4)
				: 1;
	size_t len = 0;

	*ret_s = 0;
	for (uint32_t i = 0; i < n && len < size; i++) {
		const char *text;

		memcpy(&text, (const char *)config + d->offset + i * sizeof text, sizeof text);
		if (text)
			len += (size_t)snprintf(ret_s + len, size - len, "%s%s", i ? "," : "",
						text);
	}
}

static bool is_number(const struct option_desc *d)
{
	return d->size <= 8 && d->kind >= OPTION_NUMBER && d->kind <= OPTION_RATE;
}

/* A number of nothing but ones stands for one that was not set. */
static bool is_unset(const struct option_desc *d, uint64_t v)
{
	return is_number(d) && v == UINT64_MAX >> (64 - 8 * d->size);
}

void option_number_text(enum option_kind kind, uint64_t v, char *ret_s, size_t size)
{
	switch (kind) {
	case OPTION_SIZE:
		put_with_unit(v, sizes, ret_s, size);
		break;
	case OPTION_TIME:
	case OPTION_MS:
		put_with_unit(v, times, ret_s, size);
		break;
	case OPTION_PPM:
		put_with_unit(v, shares, ret_s, size);
		break;
	case OPTION_RATE:
		put_with_unit(v, rates, ret_s, size);
		break;
	case OPTION_NUMBER:
	case OPTION_FLAG:
	case OPTION_ENUM:
	case OPTION_PORTS:
	case OPTION_LIST:
	case OPTION_STRING:
	case OPTION_STRINGS:
	case OPTION_CONFIG:
		snprintf(ret_s, size, "%" PRIu64, v);
		break;
	}
}

void option_text(const struct option_desc *d, const void *config, char *ret_s, size_t size)
{
	uint64_t v = load_number((const char *)config + d->offset, d->size);

	if (is_unset(d, v)) {
		*ret_s = 0;
		return;
	}

	switch (d->kind) {
	case OPTION_FLAG:
		snprintf(ret_s, size, v ? "yes" : "no");
		break;
	case OPTION_NUMBER:
	case OPTION_SIZE:
	case OPTION_TIME:
	case OPTION_MS:
	case OPTION_PPM:
	case OPTION_RATE:
		option_number_text(d->kind, v, ret_s, size);
		break;
	case OPTION_ENUM:
		snprintf(ret_s, size, "%s", d->names[v]);
		break;
	case OPTION_PORTS:
	case OPTION_LIST:
		put_list(d, config, ret_s, size);
		break;
	case OPTION_STRING:
	case OPTION_STRINGS:
	case OPTION_CONFIG:
		put_texts(d, config, ret_s, size);
		break;
	}
}
