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
 * and tried again.  What is beyond the limit is lost to the file: once it can be written again, it is rewritten from the role.
 *
 * An empty file is a new one: who made it died, or found the disk full, before the head was written.  Zeroes, at the end or in all of it, are
 * blocks that a machine without power has not written.
 */
#include "app/journal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/file.h>
#include <sys/stat.h>

#include "base/compiler.h"

#define MAGIC "suture-journal 1"
#define HEAD_MAX 200u
#define RECORD_LEAST 12u /* header and CRC */
#define TURN_RECORDS 64u
#define BUFFER_MAX ((size_t)8 << 20) /* what is kept while the file cannot be written */
#define GROWTH 4u
#define SHRINK_BYTES \
	((uint64_t)1 << 20) /* of the retired file, a turn: giving it all back at once takes long */
#define TIME_VERSION 1
#define HEAL_AGAIN SUT_MS(10000) /* between two tries to make up for lost records */
#define SECOND_NS 1000000000u

/* A file that is being written, and what is to be written to it. */
struct out {
	int fd; /* -1: none */
	uint64_t size; /* whole records in the file */
	uint8_t *buf;
	size_t len, room;
	size_t old; /* of len, at the front: what an earlier flush could not write */
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
	uint64_t lost; /* records that found no room in the buffer: the file has not all */
	sut_time heal_at; /* no rewriting because of them begins before */
	bool failing;
	bool stuck; /* that it cannot be rewritten was said */
	char error[PATH_MAX + 200];
	char news[PATH_MAX + 200]; /* empty: none */
	bool has_news;

	uint8_t *read; /* the records that were in the file; NULL once they are replayed */
	size_t read_len;
	struct journal_counts counts;
};

static int complain(char *ret_err, size_t size, int err, const char *path, const char *what)
{
	snprintf(ret_err, size, "journal %s: %s", path, what);
	return err;
}

/* False: there is no room. */
static bool put_bytes(struct out *o, const void *p, size_t n)
{
	size_t room = o->room ? o->room : 65536;
	uint8_t *buf;

	if (o->len + n > BUFFER_MAX)
		return false;
	while (room < o->len + n)
		room *= 2;
	if (room != o->room) {
		buf = realloc(o->buf, room);
		if (!buf)
			return false;
		o->buf = buf;
		o->room = room;
	}
	memcpy(o->buf + o->len, p, n);
	o->len += n;
	return true;
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
	o->old = o->len;
	return err;
}

/* Puts the time in front of what is new, if it is not the same second as the last time. */
static void mark(struct out *o, sut_time wall)
{
	size_t fresh = o->len - o->old;
	uint8_t *at;
	struct record r;

	if (o->marked && wall - o->marked < SECOND_NS)
		return;
	record_begin(&r, REC_TIME, TIME_VERSION);
	record_put64(&r, wall);
	record_end(&r);
	if (!put_bytes(o, r.bytes, r.len))
		return;
	o->marked = wall;
	at = o->buf + o->old;
	memmove(at + r.len, at, fresh);
	memcpy(at, r.bytes, r.len);
}

static void head_of(const struct journal *j, char ret_head[HEAD_MAX])
{
	int n = snprintf(ret_head, HEAD_MAX, MAGIC "\nrole %s\nsecret ", j->ops->name);

	for (unsigned i = 0; i < sizeof j->secret; i++)
		n += snprintf(ret_head + n, HEAD_MAX - (size_t)n, "%02x", j->secret[i]);
	snprintf(ret_head + n, HEAD_MAX - (size_t)n, "\n\n");
}

/* Writes the head into an empty file: 0 or -errno, and it is empty again. */
static int begin(const struct journal *j, struct out *o)
{
	char head[HEAD_MAX];
	size_t len, done = 0;

	head_of(j, head);
	len = strlen(head);
	while (done < len) {
		ssize_t n = write(o->fd, head + done, len - done);

		if (n > 0) {
			done += (size_t)n;
		} else if (n == 0 || errno != EINTR) {
			int err = n == 0 ? -ENOSPC : -errno;

			(void)!ftruncate(o->fd, 0);
			return err;
		}
	}
	o->size = len;
	return 0;
}

/* Makes the second file, in place of what an earlier process has left there: 0 or -errno. */
static int create_next(const struct journal *j, struct out *o)
{
	int err;

	*o = (struct out){ .fd = open(j->next, O_RDWR | O_CREAT | O_CLOEXEC, 0600) };
	if (o->fd < 0)
		return -errno;
	if (flock(o->fd, LOCK_EX | LOCK_NB) < 0) {
		err = -EBUSY; /* somebody's journal: it is not ours to remove */
	} else {
		err = ftruncate(o->fd, 0) < 0 ? -errno : begin(j, o);
		if (err)
			(void)unlink(j->next);
	}
	if (err) {
		close(o->fd);
		o->fd = -1;
	}
	return err;
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Is there a line that names a role, whatever role, and the beginning of a secret behind it?  n bytes. */
static bool names_a_role(const char *b, size_t n)
{
	static const char role[] = "role ", secret[] = "\nsecret ";
	size_t at = sizeof role - 1;

	if (n < at || memcmp(b, role, at) != 0)
		return false;
	while (at < n && (b[at] == '-' || (b[at] >= 'a' && b[at] <= 'z')))
		at++;
	return n - at >= sizeof secret - 1 && memcmp(b + at, secret, sizeof secret - 1) == 0;
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
	*ret_why = "its head, which has the secret, is damaged: move the file away to begin with "
		   "nothing";
	if (!names_a_role(b + magic, len - magic))
		return 0;
	if (len < n || memcmp(b, want, n) != 0) {
		*ret_why = "it is of another role: name another file";
		return 0;
	}
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

/* Blocks that were never written: a machine without power may leave them at the end of a file. */
static bool is_zero(const uint8_t *b, size_t n)
{
	while (n > 0 && b[n - 1] == 0)
		n--;
	return n == 0;
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
	if (n < 0 && is_zero(j->read + at, j->read_len - at))
		n = 0;
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

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int err = -errno;

			free(b);
			return err;
		}
		if (n == 0)
			break;
		len += (size_t)n;
	}
	*ret_b = b;
	*ret_len = len;
	return 0;
}

/* The file is open: checks it, and leaves its records in j->read; begins an empty one. */
static int take_over(struct journal *j, bool salvage, char *ret_err, size_t err_size)
{
	const char *why;
	uint8_t *all = NULL;
	size_t len = 0, head;
	int err;

	if (flock(j->file.fd, LOCK_EX | LOCK_NB) < 0) {
		err = errno == EWOULDBLOCK ? -EBUSY : -errno;
		return complain(ret_err, err_size, err, j->path,
				err == -EBUSY ? "another suture uses it" : strerror(-err));
	}
	err = read_all(j, &all, &len);
	if (err)
		return complain(ret_err, err_size, err, j->path,
				err == -EINVAL ? "it is no regular file" : strerror(-err));
	assert(all);
	if (is_zero(all, len)) { /* none was written, or not to the disk */
		free(all);
		err = ftruncate(j->file.fd, 0) < 0 ? -errno : begin(j, &j->file);
		return err ? complain(ret_err, err_size, err, j->path, strerror(-err)) : 0;
	}
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

/* The second file lies beside the file itself, also where a link leads to it: the link stays one. */
static void name_next(struct journal *j)
{
	char *real = realpath(j->path, NULL);

	if (real && strlen(real) < sizeof j->path)
		memcpy(j->path, real, strlen(real) + 1);
	free(real);
	snprintf(j->next, sizeof j->next, "%s.new", j->path);
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
	j->file.fd = open(path, O_RDWR | O_CLOEXEC);
	if (j->file.fd < 0 && errno == ENOENT)
		j->file.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (j->file.fd < 0) {
		err = complain(ret_err, err_size, -errno, path, strerror(errno));
		goto out;
	}
	name_next(j);
	err = take_over(j, salvage, ret_err, err_size);
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

static SUT_PRINTF(2, 3) void tell(struct journal *j, const char *fmt, ...)
{
	int n = snprintf(j->news, sizeof j->news, "journal %s: ", j->path);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(j->news + n, sizeof j->news - (size_t)n, fmt, ap);
	va_end(ap);
	j->has_news = true;
}

const char *journal_news(struct journal *j)
{
	bool has = j->has_news;

	j->has_news = false;
	return has ? j->news : NULL;
}

/* Gives the rewriting up; the file stays as it is. */
static void drop_rewriting(struct journal *j)
{
	if (j->rewrite.fd >= 0)
		(void)unlink(j->next);
	close_out(&j->rewrite);
}

static void rewriting_failed(struct journal *j, int err)
{
	drop_rewriting(j);
	j->base = j->file.size; /* not again before it has grown as much once more */
	if (!j->stuck)
		tell(j, "it cannot be rewritten, and grows: %s: %s", j->next, strerror(-err));
	j->stuck = true;
}

void journal_put(struct journal *j, const struct record *r)
{
	j->lost += !put_bytes(&j->file, r->bytes, r->len);
	if (j->rewrite.fd >= 0 && !put_bytes(&j->rewrite, r->bytes, r->len))
		rewriting_failed(j, -ENOMEM);
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
	mark(&j->file, wall);
	if (j->rewrite.fd >= 0) {
		mark(&j->rewrite, wall);
		err = drain(&j->rewrite);
		if (err)
			rewriting_failed(j, err);
	}
	err = drain(&j->file);
	if (err)
		return !failed(j, err);
	if (j->failing)
		tell(j, "it is written again%s",
		     j->lost ? ", and will be whole once it was rewritten" : "");
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
	int err;

	if (j->rewrite.len)
		mark(&j->rewrite, wall);
	err = drain(&j->rewrite);
	if (err == 0)
		err = take_place(j);
	if (err) {
		rewriting_failed(j, err);
		return;
	}
	if (j->lost || j->stuck)
		tell(j, "it was rewritten, and is whole");
	j->lost = 0;
	j->stuck = false;
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

/* Has the file grown, or is something missing in it? */
static bool wants_rewriting(const struct journal *j, sut_time now)
{
	if (j->failing)
		return false;
	if (j->lost)
		return now >= j->heal_at;
	return j->file.size >= JOURNAL_SMALL && j->file.size >= GROWTH * j->base;
}

static bool begin_rewriting(struct journal *j, sut_time now)
{
	int err = create_next(j, &j->rewrite);

	j->heal_at = now + HEAL_AGAIN;
	j->cursor = 0;
	if (err)
		rewriting_failed(j, err);
	return err == 0;
}

bool journal_turn(struct journal *j, const void *role, sut_time now, sut_time wall)
{
	struct record r;
	int err = 0;

	if (j->retired >= 0) {
		shrink(j);
		return j->retired >= 0;
	}
	if (j->rewrite.fd < 0 && (!wants_rewriting(j, now) || !begin_rewriting(j, now)))
		return false;
	for (unsigned i = 0; i < TURN_RECORDS && err == 0; i++) {
		if (!j->ops->save(role, &j->cursor, now, &r)) {
			finish(j, wall);
			return j->retired >= 0;
		}
		err = put_bytes(&j->rewrite, r.bytes, r.len) ? 0 : -ENOMEM;
	}
	mark(&j->rewrite, wall);
	if (err == 0)
		err = drain(&j->rewrite);
	if (err)
		rewriting_failed(j, err);
	return j->rewrite.fd >= 0;
}

int journal_can_rewrite(const struct journal *j, char *ret_err, size_t err_size)
{
	struct out o;
	int err = create_next(j, &o);
	char what[PATH_MAX + 200];

	if (err == 0) {
		(void)unlink(j->next);
		close_out(&o);
		return 0;
	}
	snprintf(what, sizeof what,
		 "it could not be rewritten as %s: %s: name a file in a folder of the user's own",
		 j->next, err == -EBUSY ? "another suture uses that" : strerror(-err));
	return complain(ret_err, err_size, err, j->path, what);
}

void journal_walk_anew(struct journal *j)
{
	drop_rewriting(j);
}

uint64_t journal_size(const struct journal *j)
{
	return j->file.size + j->file.len;
}
