/* SPDX-License-Identifier: MIT */
#include "app/listing.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "app/flow_text.h"

#define PAGE 500u /* connections of one answer */

/* Takes word from the front of *args, if it is there. */
static bool take_word(const char **args, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(*args, word, len) != 0 || ((*args)[len] && (*args)[len] != ' '))
		return false;
	*args += len + ((*args)[len] == ' ');
	return true;
}

void listing_flows(const struct role_ops *ops, const void *role, sut_time now, const char *args,
		   struct control_reply *reply)
{
	bool json = take_word(&args, "json"), more = true;
	char text[FLOW_TEXT_MAX], *end;
	struct flow_row row;
	uint32_t cursor;
	unsigned n = 0;

	cursor = (uint32_t)strtoul(args, &end, 10);
	if (*end) {
		reply_error(reply, "flows: expected [json] [FROM], not '%s'", args);
		return;
	}
	if (!ops->list) {
		reply_error(reply, "%s has no connections to list", ops->name);
		return;
	}
	while (n < PAGE && (more = ops->list(role, &cursor, now, &row))) {
		if (json)
			flow_text_json(&row, text);
		else
			flow_text_line(&row, text);
		reply_data(reply, "%s", text);
		n++;
	}
	if (more)
		reply_ok(reply, "%" PRIu32, cursor);
	else
		reply_ok(reply, "end");
}

void listing_stats(listing_fn *fn, void *ctx, const char *args, struct control_reply *reply)
{
	bool json = take_word(&args, "json");
	char *text = NULL, *line, *next;
	size_t len = 0;
	FILE *f;

	if (*args) {
		reply_error(reply, "stats: expected [json], not '%s'", args);
		return;
	}
	f = open_memstream(&text, &len);
	if (f) {
		fn(ctx, json, f);
		fclose(f);
	}
	if (!f || !text) {
		reply_error(reply, "stats: out of memory");
		return;
	}
	for (line = text; *line; line = next) {
		size_t n = strcspn(line, "\n");

		next = line + n + (line[n] == '\n');
		reply_text(reply, line, n);
	}
	free(text);
	reply_ok(reply, "%s", "");
}
