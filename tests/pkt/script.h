/* SPDX-License-Identifier: MIT */
#ifndef SUT_PKT_SCRIPT_H
#define SUT_PKT_SCRIPT_H
/*
 * script - a packet script as read from its file: role, settings, connections, and lines in
 * order.
 */
#include "conn.h"
#include "roles.h"
#include "seg.h"

#define SCRIPT_CONNS_MAX 16
#define SCRIPT_PORTS 12
#define SCRIPT_MESSAGE_MAX 1024
#define SCRIPT_WORDS_MAX 16
#define SCRIPT_FILES_MAX 8

enum line_kind {
	LINE_IN,
	LINE_OUT, /* a packet or a message */
	LINE_FLOW, /* what the role says of a connection */
	LINE_COUNT, /* a counter */
	LINE_ISN, /* where a stream begins at a port */
	LINE_RESTART, /* save, lay out anew, restore */
	LINE_RELOAD, /* another configuration, of which message has the settings */
	LINE_WAIT, /* only time passes */
};

enum count_kind { COUNT_DROP, COUNT_PASS, COUNT_EVENT };

/* A word of a `flow` line: text, or a number where is_value is set. */
struct word {
	bool is_value;
	struct value v;
	char text[32];
};

struct line {
	enum line_kind kind;
	const char *path; /* owned by the script */
	unsigned no; /* in the file, from 1 */
	char *text; /* owned; as written */
	sut_time at;
	unsigned port, conn;
	enum conn_dir dir;
	struct seg *seg; /* owned; IN and OUT of frames */
	char *message; /* owned; IN and OUT of messages; NULL: a frame */
	size_t message_len;
	bool message_open; /* more may follow */
	struct value isn;
	bool none, empty, refused; /* `flow none`; `restart empty`; `reload refused` */
	unsigned nwords;
	struct word word[SCRIPT_WORDS_MAX];
	enum count_kind count;
	int index; /* reason or event; -1: all drops */
	uint64_t n;
};

struct script {
	const char *path;
	unsigned nfiles;
	char *file[SCRIPT_FILES_MAX]; /* owned; paths of included files */
	char role_name[32];
	const struct role_kind *role; /* NULL: this build has none of that name */
	void *config; /* owned */
	uint32_t joined; /* bit i: port i of the role is */
	char fails[128]; /* the script must fail with this in its text; "" if it must pass */
	struct names names;
	unsigned nconns, nlines;
	struct conn conn[SCRIPT_CONNS_MAX];
	struct line *line; /* owned */
};

/*
 * Reads a script. False with a fault that begins with "path:line: ". True with role NULL, and
 * nothing read behind it, where the role is not built. script_free() is right after either.
 */
bool script_read(const char *path, struct script *ret_s, struct fault *f);

void script_free(struct script *s);
#endif
