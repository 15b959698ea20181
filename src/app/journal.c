/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * Between two turns of the loop records gather in a buffer; engine_flush() has it written before packets leave.  A record of
 * kind REC_TIME with the wall clock precedes records whenever a second has passed since the last one, so that ages can be counted on
 * over the time in which nobody ran.
 *
 * Rewriting: a second file is begun (FILE.new) with the same head; in each turn some of the role's records are saved to it, and whatever
 * the role tells of meanwhile goes to both.  A flow that ends before its turn is not in the second file, one that ends behind it is
 * followed by its end; one that is told of and saved too is there twice, and the later one counts.  When the role's walk is over the second file
 * takes the first one's name.  A process that dies meanwhile leaves the first file whole; the second is begun anew by the next.
 *
 * A write that fails leaves the file cut back to the last whole record; what could not be written is kept up to a limit,
 * and tried again.
 */
#include "app/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/file.h>
#include <sys/stat.h>

#define MAGIC "suture-journal 1"
#define HEAD_MAX 200u
#define RECORD_LEAST 12u /* header and CRC */
#define TURN_RECORDS 64u
#define BUFFER_MAX ((size_t)8 << 20) /* what is kept while the file cannot be written */
#define GROWTH 4u
#define SHRINK_BYTES \
	((uint64_t)1 << 20) /* of the retired file, a turn: giving it all back at once takes long */
#define TIME_VERSION 1
#define SECOND_NS 1000000000u

/* A file that is being written, and what is to be written to it. */
struct out {
	int fd; /* -1: none */
	uint64_t size; /* whole records in the file */
	uint8_t *buf;
	size_t len, room;
	sut_time marked; /* wall time of the last REC_TIME, 0: none yet */
};

struct journal {
	const struct role_ops *ops;
	char path[PATH_MAX], next[PATH_MAX + 8];
	uint8_t secret[16];
	struct out file, rewrite;
	int retired; /* the file before the last one, of no name any more; -1: none */
	uint64_t retired_size; /* what is left of it */
	uint64_t base; /* size when it was last rewritten, or opened */
	uint32_t cursor; /* of the role's walk, while rewriting */
	uint64_t lost; /* records that found no room in the buffer */
	bool failing;
	char error[PATH_MAX + 200];

	uint8_t *read; /* the records that were in the file; NULL once they are replayed */
	size_t read_len;
	struct journal_counts counts;
};

static int complain(char *ret_err, size_t size, int err, const char *path, const char *what)
{
	snprintf(ret_err, size, "journal %s: %s", path, what);
	return err;
}

static void put_bytes(struct journal *j, struct out *o, const void *p, size_t n)
{
	size_t room = o->room ? o->room : 65536;
	uint8_t *buf;

	if (o->len + n > BUFFER_MAX) {
		j->lost++;
		return;
	}
	while (room < o->len + n)
		room *= 2;
	if (room != o->room) {
		buf = realloc(o->buf, room);
		if (!buf) {
			j->lost++;
			return;
		}
		o->buf = buf;
		o->room = room;
	}
	memcpy(o->buf + o->len, p, n);
	o->len += n;
}

/* How many bytes at the front of a buffer are whole records, at most n. */
static size_t whole(const uint8_t *b, size_t n)
{
	size_t at = 0;

	while (n - at >= RECORD_LEAST) {
		size_t len = RECORD_LEAST + (b[at + 4] | (size_t)b[at + 5] << 8 |
					     (size_t)b[at + 6] << 16 | (size_t)b[at + 7] << 24);

		if (len > n - at)
			break;
		at += len;
	}
	return at;
}

/* Writes o's buffer: 0 or -errno, with the file at the end of a whole record, and the rest still in the buffer. */
static int drain(struct out *o)
{
	size_t done = 0, good;
	int err = 0;

	while (done < o->len && err == 0) {
		ssize_t n = write(o->fd, o->buf + done, o->len - done);

		if (n > 0)
			done += (size_t)n;
		else if (n == 0 || errno != EINTR)
			err = n == 0 ? -ENOSPC : -errno;
	}
	good = err ? whole(o->buf, done) : done;
	o->size += good;
	if (err && good != done &&
	    (ftruncate(o->fd, (off_t)o->size) < 0 || lseek(o->fd, (off_t)o->size, SEEK_SET) < 0))
		err = -errno;
	memmove(o->buf, o->buf + good, o->len - good);
	o->len -= good;
	return err;
}

/* Puts the time in front of what waits, if it is not the same second as the last time. */
static void mark(struct journal *j, struct out *o, sut_time wall)
{
	struct record r;
	size_t waits = o->len;

	if (o->marked && wall - o->marked < SECOND_NS)
		return;
	record_begin(&r, REC_TIME, TIME_VERSION);
	record_put64(&r, wall);
	record_end(&r);
	put_bytes(j, o, r.bytes, r.len);
	if (o->len == waits)
		return; /* no room */
	o->marked = wall;
	memmove(o->buf + r.len, o->buf, waits);
	memcpy(o->buf, r.bytes, r.len);
}

static void head_of(const struct journal *j, char ret_head[HEAD_MAX])
{
	int n = snprintf(ret_head, HEAD_MAX, MAGIC "\nrole %s\nsecret ", j->ops->name);

	for (unsigned i = 0; i < sizeof j->secret; i++)
		n += snprintf(ret_head + n, HEAD_MAX - (size_t)n, "%02x", j->secret[i]);
	snprintf(ret_head + n, HEAD_MAX - (size_t)n, "\n\n");
}

/* Makes an empty file with the head: 0 or -errno. */
static int create(const struct journal *j, const char *path, struct out *o)
{
	char head[HEAD_MAX];
	int err;

	head_of(j, head);
	*o = (struct out){ .fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) };
	if (o->fd < 0)
		return -errno;
	o->size = strlen(head);
	if (flock(o->fd, LOCK_EX | LOCK_NB) == 0 && write(o->fd, head, o->size) == (ssize_t)o->size)
		return 0;
	err = errno ? -errno : -EIO;
	close(o->fd);
	o->fd = -1;
	return err;
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads the head at b: its length, or 0 if it is none of this role's (ret_why). */
static size_t read_head(struct journal *j, const char *b, size_t len, const char **ret_why)
{
	char want[HEAD_MAX];
	size_t n = (size_t)snprintf(want, sizeof want, MAGIC "\nrole %s\nsecret ", j->ops->name),
	       magic = strlen(MAGIC) + 1;

	*ret_why = "it is no journal of this version of suture: name another file";
	if (len < magic || memcmp(b, want, magic) != 0)
		return 0;
	*ret_why = "it is of another role: name another file";
	if (len < n || memcmp(b, want, n) != 0)
		return 0;
	*ret_why = "its head is damaged: move the file away to begin with nothing";
	if (len < n + 34 || b[n + 32] != '\n' || b[n + 33] != '\n')
		return 0;
	for (unsigned i = 0; i < 16; i++) {
		int hi = hex(b[n + 2 * i]), lo = hex(b[n + 2 * i + 1]);

		if (hi < 0 || lo < 0)
			return 0;
		j->secret[i] = (uint8_t)(hi << 4 | lo);
	}
	return n + 34;
}

/* Takes the record at b out: its length; 0 if it is cut short; -1 if it is damaged. */
static ssize_t next_record(const uint8_t *b, size_t left, struct record *ret_r)
{
	struct record_reader rd;
	size_t body;

	if (left < RECORD_LEAST)
		return 0;
	body = b[4] | (size_t)b[5] << 8 | (size_t)b[6] << 16 | (size_t)b[7] << 24;
	if (body > RECORD_MAX - RECORD_LEAST)
		return -1;
	if (left < RECORD_LEAST + body)
		return 0;
	ret_r->len = (uint16_t)(RECORD_LEAST + body);
	memcpy(ret_r->bytes, b, ret_r->len);
	return record_open(ret_r, &rd) == 0 ? ret_r->len : -1;
}

/*
 * How much of the records is good: all but a cut end, or up to the damage.  A damaged length hides where the next record begins; what lies behind
 * is not looked for.
 */
static int check(struct journal *j, bool salvage, char *ret_err, size_t err_size)
{
	struct record r;
	size_t at = 0;
	char what[200];
	ssize_t n = 0;

	while (at < j->read_len && (n = next_record(j->read + at, j->read_len - at, &r)) > 0)
		at += (size_t)n;
	if (n < 0 && !salvage) {
		snprintf(what, sizeof what,
			 "it is damaged at byte %" PRIu64 ": move it away to begin with nothing, "
			 "or use what lies before the damage by "
			 "--journal-salvage",
			 j->file.size + at);
		return complain(ret_err, err_size, -EBADMSG, j->path, what);
	}
	if (n < 0)
		j->counts.salvaged_at = j->file.size + at;
	else
		j->counts.cut = (uint32_t)(j->read_len - at);
	j->read_len = at;
	return 0;
}

static int read_all(struct journal *j, uint8_t **ret_b, size_t *ret_len)
{
	struct stat st;
	size_t len = 0;
	uint8_t *b;

	if (fstat(j->file.fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	b = malloc((size_t)st.st_size + 1);
	if (!b)
		return -ENOMEM;
	while (len < (size_t)st.st_size) {
		ssize_t n = pread(j->file.fd, b + len, (size_t)st.st_size - len, (off_t)len);

		if (n <= 0)
			break;
		len += (size_t)n;
	}
	*ret_b = b;
	*ret_len = len;
	return 0;
}

/* An existing file: checks it, and leaves its records in j->read. */
static int take_over(struct journal *j, bool salvage, char *ret_err, size_t err_size)
{
	const char *why;
	uint8_t *all = NULL;
	size_t len = 0, head;
	int err;

	if (flock(j->file.fd, LOCK_EX | LOCK_NB) < 0)
		return complain(ret_err, err_size, -EBUSY, j->path, "another suture uses it");
	err = read_all(j, &all, &len);
	if (err)
		return complain(ret_err, err_size, err, j->path,
				err == -EINVAL ? "it is no regular file" : strerror(-err));
	head = read_head(j, (const char *)all, len, &why);
	if (!head) {
		free(all);
		return complain(ret_err, err_size, -EBADMSG, j->path, why);
	}
	j->file.size = head;
	j->read_len = len - head;
	memmove(all, all + head, j->read_len);
	j->read = all;
	err = check(j, salvage, ret_err, err_size);
	if (err)
		return err;
	j->file.size += j->read_len;
	if (ftruncate(j->file.fd, (off_t)j->file.size) < 0 ||
	    lseek(j->file.fd, (off_t)j->file.size, SEEK_SET) < 0)
		return complain(ret_err, err_size, -errno, j->path, strerror(errno));
	return 0;
}

int journal_open(const char *path, const struct role_ops *ops, bool salvage, uint8_t secret[16],
		 struct journal **ret_j, char *ret_err, size_t err_size)
{
	struct journal *j = calloc(1, sizeof *j);
	int err = 0;

	if (!j)
		return complain(ret_err, err_size, -ENOMEM, path, strerror(ENOMEM));
	j->ops = ops;
	j->file.fd = j->rewrite.fd = j->retired = -1;
	memcpy(j->secret, secret, sizeof j->secret);
	if (!*path || snprintf(j->path, sizeof j->path, "%s", path) >= (int)sizeof j->path) {
		err = complain(ret_err, err_size, -ENAMETOOLONG, path,
			       "this cannot be the name of a file");
		goto out;
	}
	snprintf(j->next, sizeof j->next, "%s.new", j->path);
	j->file.fd = open(path, O_RDWR | O_CLOEXEC);
	if (j->file.fd >= 0) {
		err = take_over(j, salvage, ret_err, err_size);
	} else {
		err = errno == ENOENT ? create(j, path, &j->file) : -errno;
		if (err)
			(void)complain(ret_err, err_size, err, path, strerror(-err));
	}
out:
	if (err) {
		journal_close(j);
		return err;
	}
	j->base = j->file.size;
	memcpy(secret, j->secret, sizeof j->secret);
	*ret_j = j;
	return 0;
}

static void close_out(struct out *o)
{
	if (o->fd >= 0)
		close(o->fd);
	free(o->buf);
	*o = (struct out){ .fd = -1 };
}

void journal_close(struct journal *j)
{
	if (j->file.fd >= 0 && j->file.len)
		(void)drain(&j->file);
	if (j->rewrite.fd >= 0)
		(void)unlink(j->next);
	if (j->retired >= 0)
		close(j->retired);
	close_out(&j->rewrite);
	close_out(&j->file);
	free(j->read);
	free(j);
}

void journal_replay(struct journal *j, void *role, sut_time now, sut_time wall,
		    struct journal_counts *ret_c)
{
	sut_time then = now;
	struct record r;
	ssize_t n;

	for (size_t at = 0;
	     at < j->read_len && (n = next_record(j->read + at, j->read_len - at, &r)) > 0;
	     at += (size_t)n) {
		struct record_reader rd;

		(void)record_open(&r, &rd);
		if (rd.kind == REC_TIME) {
			sut_time written = record_take64(&rd),
				 ago = wall > written ? wall - written : 0;

			then = now > ago ? now - ago : 1;
			continue;
		}
		j->counts.records++;
		j->counts.refused += j->ops->restore(role, &r, then) != 0;
	}
	free(j->read);
	j->read = NULL;
	j->read_len = 0;
	*ret_c = j->counts;
}

void journal_put(struct journal *j, const struct record *r)
{
	put_bytes(j, &j->file, r->bytes, r->len);
	if (j->rewrite.fd >= 0)
		put_bytes(j, &j->rewrite, r->bytes, r->len);
}

/* Gives the rewriting up; the file stays as it is. */
static void stop_rewriting(struct journal *j)
{
	close_out(&j->rewrite);
	(void)unlink(j->next);
	j->base = j->file.size; /* not again before it has grown as much once more */
}

static bool failed(struct journal *j, int err)
{
	bool first = !j->failing;

	j->failing = true;
	snprintf(j->error, sizeof j->error,
		 "journal %s: %s: connections that are joined now would not survive a restart",
		 j->path, strerror(-err));
	return first;
}

bool journal_flush(struct journal *j, sut_time wall)
{
	int err;

	if (!j->file.len)
		return true;
	mark(j, &j->file, wall);
	if (j->rewrite.fd >= 0) {
		mark(j, &j->rewrite, wall);
		if (drain(&j->rewrite) != 0)
			stop_rewriting(j);
	}
	err = drain(&j->file);
	if (err)
		return !failed(j, err);
	j->failing = false;
	return true;
}

const char *journal_error(const struct journal *j)
{
	return j->error;
}

/*
 * Puts the second file in the place of the first.  Exchanged names, for a file that takes the place of another by rename() is written to
 * the disk on the spot by some file systems.
 */
static int take_place(const struct journal *j)
{
	if (renameat2(AT_FDCWD, j->next, AT_FDCWD, j->path, RENAME_EXCHANGE) == 0) {
		(void)unlink(j->next);
		return 0;
	}
	return rename(j->next, j->path) == 0 ? 0 : -errno;
}

static void finish(struct journal *j, sut_time wall)
{
	if (j->rewrite.len)
		mark(j, &j->rewrite, wall);
	if (drain(&j->rewrite) != 0 || take_place(j) != 0) {
		stop_rewriting(j);
		return;
	}
	j->retired = j->file.fd;
	j->retired_size = j->file.size;
	j->file.fd = -1;
	close_out(&j->file);
	j->file = j->rewrite;
	j->rewrite = (struct out){ .fd = -1 };
	j->base = j->file.size;
}

/* Gives a piece of the retired file back. */
static void shrink(struct journal *j)
{
	j->retired_size -= j->retired_size < SHRINK_BYTES ? j->retired_size : SHRINK_BYTES;
	if (ftruncate(j->retired, (off_t)j->retired_size) == 0 && j->retired_size > 0)
		return;
	close(j->retired);
	j->retired = -1;
}

bool journal_turn(struct journal *j, const void *role, sut_time now, sut_time wall)
{
	struct record r;

	if (j->retired >= 0) {
		shrink(j);
		return j->retired >= 0;
	}
	if (j->rewrite.fd < 0) {
		if (j->file.size < JOURNAL_SMALL || j->file.size < GROWTH * j->base || j->failing)
			return false;
		if (create(j, j->next, &j->rewrite) != 0) {
			stop_rewriting(j);
			return false;
		}
		j->cursor = 0;
	}
	for (unsigned i = 0; i < TURN_RECORDS; i++) {
		if (!j->ops->save(role, &j->cursor, now, &r)) {
			finish(j, wall);
			return j->retired >= 0;
		}
		put_bytes(j, &j->rewrite, r.bytes, r.len);
	}
	mark(j, &j->rewrite, wall);
	if (drain(&j->rewrite) != 0)
		stop_rewriting(j);
	return j->rewrite.fd >= 0;
}

void journal_walk_anew(struct journal *j)
{
	if (j->rewrite.fd >= 0)
		stop_rewriting(j);
}

uint64_t journal_size(const struct journal *j)
{
	return j->file.size + j->file.len;
}
