/* SPDX-License-Identifier: MIT */
#include "app/state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "core/record.h"

#define MAGIC "suture-state 1"
#define RECORD_HEADER 8u /* kind, version, 0, u32 length of the body */
#define RECORD_LEAST (RECORD_HEADER + 4u) /* with the CRC */

/* A file that is being read, or written. */
struct file {
	const char *path;
	FILE *f;
	uint32_t records;
	uint64_t saved_at;
	char *err;
	size_t err_size;
};

static int complain(const struct file *f, int err, const char *what)
{
	snprintf(f->err, f->err_size, "state %s: %s", f->path, what);
	return err;
}

static int system_error(const struct file *f, const char *doing)
{
	int err = errno ? -errno : -EIO;
	char what[200];

	snprintf(what, sizeof what, "%s: %s", doing, strerror(-err));
	return complain(f, err, what);
}

static int damaged(const struct file *f, const char *how)
{
	char what[300];

	snprintf(what, sizeof what,
		 "%s at byte %ld: nothing was restored; move the file away to begin without it",
		 how, ftell(f->f));
	return complain(f, -EBADMSG, what);
}

/* One line without its newline: false if there is none. */
static bool read_line(const struct file *f, char *ret_s, int size)
{
	size_t n;

	if (!fgets(ret_s, size, f->f))
		return false;
	n = strlen(ret_s);
	if (n == 0 || ret_s[n - 1] != '\n')
		return false;
	ret_s[n - 1] = 0;
	return true;
}

/* A line "WORD NUMBER": false if it is anything else. */
static bool read_number(const struct file *f, const char *word, uint64_t *ret_n)
{
	size_t len = strlen(word);
	char line[100];
	uint64_t n = 0;

	if (!read_line(f, line, sizeof line) || strncmp(line, word, len) != 0 || line[len] != ' ')
		return false;
	for (const char *c = line + len + 1; *c; c++) {
		if (*c < '0' || *c > '9' || n > UINT64_MAX / 100)
			return false;
		n = n * 10 + (uint64_t)(*c - '0');
	}
	*ret_n = n;
	return true;
}

/* The lines in front: 0 or -errno. */
static int read_head(struct file *f, const struct role_ops *ops)
{
	char line[100], what[300];
	uint64_t records;

	if (!read_line(f, line, sizeof line) || strcmp(line, MAGIC) != 0)
		return complain(f, -EBADMSG,
				"this is no state of this version of suture: name another file");
	if (!read_line(f, line, sizeof line) || strncmp(line, "role ", 5) != 0)
		return damaged(f, "the role is missing");
	if (strcmp(line + 5, ops->name) != 0) {
		snprintf(what, sizeof what, "it is of the role %s, not %s: name another file",
			 line + 5, ops->name);
		return complain(f, -EBADMSG, what);
	}
	if (!read_number(f, "saved", &f->saved_at))
		return damaged(f, "the time is missing");
	if (!read_number(f, "records", &records) || records > UINT32_MAX)
		return damaged(f, "the number of records is missing");
	f->records = (uint32_t)records;
	return 0;
}

/* The next record, checked: 0 or -errno. */
static int read_record(const struct file *f, struct record *ret_r)
{
	struct record_reader rd;
	uint8_t *b = ret_r->bytes;
	uint32_t body;

	if (fread(b, 1, RECORD_HEADER, f->f) != RECORD_HEADER)
		return damaged(f, "a record is missing");
	body = b[4] | (uint32_t)b[5] << 8 | (uint32_t)b[6] << 16 | (uint32_t)b[7] << 24;
	if (body > RECORD_MAX - RECORD_LEAST)
		return damaged(f, "a record is damaged");
	ret_r->len = (uint16_t)(RECORD_LEAST + body);
	if (fread(b + RECORD_HEADER, 1, body + 4, f->f) != body + 4)
		return damaged(f, "a record is cut short");
	return record_open(ret_r, &rd) == 0 ? 0 : damaged(f, "a record is damaged");
}

/* Is all of it as it should be? */
static int check_all(const struct file *f)
{
	struct record r;
	int err = 0;

	for (uint32_t i = 0; i < f->records && err == 0; i++)
		err = read_record(f, &r);
	if (err == 0 && fgetc(f->f) != EOF)
		err = damaged(f, "there is more than the records");
	return err;
}

static void count(struct state_counts *c, int err)
{
	if (err == 0)
		c->restored++;
	else if (err == -ENOSPC)
		c->no_room++;
	else if (err == -EPROTO)
		c->version++;
	else
		c->refused++;
}

/* path with something behind it: false, and complained, if that is too long. */
static bool name_beside(const struct file *f, const char *suffix, char ret_name[PATH_MAX])
{
	if (snprintf(ret_name, PATH_MAX, "%s%s", f->path, suffix) < PATH_MAX)
		return true;
	complain(f, -ENAMETOOLONG, "the name is too long");
	return false;
}

/* Begins the file that will take the place of the last one: its descriptor or -errno. */
static int create_temp(const struct file *f, char ret_name[PATH_MAX])
{
	int fd;

	if (!name_beside(f, ".new", ret_name))
		return -ENAMETOOLONG;
	if (unlink(ret_name) < 0 && errno != ENOENT)
		return system_error(f, "writing");
	fd = open(ret_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? system_error(f, "writing") : fd;
}

/* Could one be written at the end? */
static int check_folder(const struct file *f)
{
	char temp[PATH_MAX], what[600];
	int fd = *f->path ? create_temp(f, temp) : -EINVAL;

	if (fd < 0) {
		snprintf(what, sizeof what,
			 "it could not be written at the end: name a file in a folder that the "
			 "user may write to%s%s",
			 *f->path ? ": " : "", *f->path ? strerror(-fd) : "");
		return complain(f, fd, what);
	}
	close(fd);
	(void)unlink(temp);
	return 0;
}

/* 0; 1 if there is none; -errno. */
static int open_read(struct file *f)
{
	int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT ? 1 : system_error(f, "reading");
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return complain(f, -EBADMSG, "this is no regular file: name another one");
	}
	f->f = fdopen(fd, "r");
	if (f->f)
		return 0;
	close(fd);
	return system_error(f, "reading");
}

int state_load(const char *path, const struct role_ops *ops, void *role, sut_time now,
	       struct state_counts *ret_c, char *ret_err, size_t err_size)
{
	struct file f = { .path = path, .err = ret_err, .err_size = err_size };
	struct state_counts c = { 0 };
	struct record r;
	long records_at;
	int err = check_folder(&f);

	if (err)
		return err;
	err = open_read(&f);
	if (err)
		return err;
	err = read_head(&f, ops);
	records_at = ftell(f.f);
	if (err == 0)
		err = check_all(&f);
	if (err == 0 && fseek(f.f, records_at, SEEK_SET) < 0)
		err = system_error(&f, "reading");
	for (uint32_t i = 0; i < f.records && err == 0; i++) {
		err = read_record(&f, &r);
		if (err == 0)
			count(&c, ops->restore(role, &r, now));
	}
	fclose(f.f);
	c.saved_at = f.saved_at;
	if (err == 0)
		*ret_c = c;
	return err;
}

/* A rename is on the disk when its folder is. */
static void sync_folder(const char *path)
{
	char dir[PATH_MAX];
	char *slash;
	int fd;

	snprintf(dir, sizeof dir, "%s", path);
	slash = strrchr(dir, '/');
	if (slash)
		slash[slash == dir] = 0;
	fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)fsync(fd);
	close(fd);
}

int state_taken(const char *path, char *ret_err, size_t err_size)
{
	const struct file f = { .path = path, .err = ret_err, .err_size = err_size };
	char old[PATH_MAX];

	if (!name_beside(&f, ".old", old))
		return -ENAMETOOLONG;
	if (rename(path, old) < 0)
		return system_error(&f, "it cannot be renamed, and must not be read again");
	sync_folder(path);
	return 0;
}

/* The lines in front: always as long, so that they can be written again. */
static void write_head(const struct file *f, const struct role_ops *ops)
{
	fprintf(f->f, MAGIC "\nrole %s\nsaved %" PRIu64 "\nrecords %010" PRIu32 "\n", ops->name,
		f->saved_at, f->records);
}

/* All of the file, to the disk: 0 or -errno. */
static int write_all(struct file *f, const struct role_ops *ops, const void *role, sut_time now)
{
	uint32_t cursor = 0;
	struct record r;

	write_head(f, ops);
	while (ops->save(role, &cursor, now, &r) > 0) {
		fwrite(r.bytes, 1, r.len, f->f);
		f->records++;
	}
	rewind(f->f);
	write_head(f, ops);
	errno = 0;
	if (fflush(f->f) != 0 || ferror(f->f) || fsync(fileno(f->f)) < 0)
		return system_error(f, "writing");
	return 0;
}

int state_store(const char *path, const struct role_ops *ops, const void *role, sut_time now,
		sut_time wall, uint32_t *ret_records, char *ret_err, size_t err_size)
{
	struct file f = { .path = path, .err = ret_err, .err_size = err_size };
	char temp[PATH_MAX];
	int err, fd = create_temp(&f, temp);

	if (fd < 0)
		return fd;
	f.saved_at = wall / 1000000000u;
	f.f = fdopen(fd, "w");
	if (!f.f) {
		err = system_error(&f, "writing");
		close(fd);
		return err;
	}
	err = write_all(&f, ops, role, now);
	fclose(f.f);
	if (err == 0 && rename(temp, path) < 0)
		err = system_error(&f, "writing");
	if (err) {
		unlink(temp);
		return err;
	}
	sync_folder(path);
	*ret_records = f.records;
	return 0;
}
