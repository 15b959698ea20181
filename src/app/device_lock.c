/* SPDX-License-Identifier: MIT */
#include "app/device_lock.h"

/*
 * Theory of operation.  The lock is an abstract name that two sockets cannot have at once.  It says nothing of who has it, so its owner has a
 * second socket, whose name says that; all names of the namespace can be read, and nobody has to answer.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/un.h>

struct device_lock {
	int lock, note;
};

#define NAME_SIZE 80u

/* A socket of this abstract name, or -errno. */
static int name_take(const char *name)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	size_t n = strlen(name);
	int fd, err;

	if (n + 1 > sizeof a.sun_path)
		return -ENAMETOOLONG;
	memcpy(a.sun_path + 1, name, n);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&a,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n)) == 0)
		return fd;
	err = errno;
	close(fd);
	return -err;
}

/* Whoever has left a note at this name; it may just be writing it. */
static void who_has(const char *name, char *ret_who)
{
	FILE *f = fopen("/proc/self/net/unix", "re");
	char line[256], command[16], mark[NAME_SIZE + 2];
	long pid;

	snprintf(ret_who, DEVICE_LOCK_WHO, "another process");
	snprintf(mark, sizeof mark, "@%s/", name);
	while (f && fgets(line, sizeof line, f)) {
		const char *at = strstr(line, mark);

		if (at && sscanf(at + strlen(mark), "%15[a-z]/%ld", command, &pid) == 2)
			snprintf(ret_who, DEVICE_LOCK_WHO, "'suture handoff %s' (process %ld)",
				 command, pid);
	}
	if (f)
		fclose(f);
}

int device_lock_open(unsigned ifindex, const char *command, struct device_lock **ret_l,
		     char *ret_who)
{
	struct device_lock *l = malloc(sizeof *l);
	char name[NAME_SIZE / 2], note[NAME_SIZE];
	int err;

	if (!l)
		return -ENOMEM;
	snprintf(name, sizeof name, "suture/handoff/%u", ifindex);
	l->lock = name_take(name);
	if (l->lock < 0) {
		err = l->lock == -EADDRINUSE ? -EBUSY : l->lock;
		if (err == -EBUSY)
			who_has(name, ret_who);
		free(l);
		return err;
	}
	snprintf(note, sizeof note, "%s/%s/%ld", name, command, (long)getpid());
	l->note = name_take(note); /* without it the lock holds all the same */
	*ret_l = l;
	return 0;
}

void device_lock_close(struct device_lock *l)
{
	if (!l)
		return;
	if (l->note >= 0)
		close(l->note);
	close(l->lock);
	free(l);
}
