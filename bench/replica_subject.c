/* SPDX-License-Identifier: MIT */
#include "replica_subject.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CONNECT_MS = 10000, END_MS = 5000 };

static void fail(struct subject *s, const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	subject_stop(s);
	exit(1);
}

static int listen_at(struct subject *s, const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 1) < 0)
		fail(s, path);
	return fd;
}

static void become(char *const argv[], const char *log, pid_t parent)
{
	int out = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600), in = open("/dev/null", O_RDONLY);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || out < 0 || in < 0)
		_exit(126);
	dup2(in, 0);
	dup2(out, 1);
	dup2(out, 2);
	execvp(argv[0], argv);
	dprintf(2, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

void subject_start(struct subject *s, const char *dir, unsigned links, char *const argv[])
{
	static const char *const names[] = { "primary", "secondary", "compare" };
	pid_t parent = getpid();
	char log[120];

	*s = (struct subject){ .pid = -1, .fd = { -1, -1, -1 } };
	for (unsigned i = 0; i < links; i++) {
		snprintf(s->path[i], sizeof s->path[i], "%s/%s", dir, names[i]);
		s->fd[i] = listen_at(s, s->path[i]);
	}
	snprintf(log, sizeof log, "%s/log", dir);
	s->pid = fork();
	if (s->pid == 0)
		become(argv, log, parent);
	if (s->pid < 0 || clock_getcpuclockid(s->pid, &s->clock) != 0)
		fail(s, argv[0]);
	for (unsigned i = 0; i < links; i++) {
		struct pollfd p = { .fd = s->fd[i], .events = POLLIN };

		errno = ETIMEDOUT;
		if (poll(&p, 1, CONNECT_MS) != 1)
			fail(s, s->path[i]);
		s->fd[i] = accept4(p.fd, NULL, NULL, SOCK_CLOEXEC);
		close(p.fd);
		if (s->fd[i] < 0)
			fail(s, s->path[i]);
	}
}

uint64_t subject_cpu_ns(const struct subject *s)
{
	struct timespec t;

	if (clock_gettime(s->clock, &t) != 0) {
		fprintf(stderr, "the rewriter has ended by itself\n");
		exit(1);
	}
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void subject_settle(const struct subject *s)
{
	const struct timespec tick = { .tv_nsec = 100000000 };
	uint64_t before, now = subject_cpu_ns(s);

	do {
		before = now;
		nanosleep(&tick, NULL);
		now = subject_cpu_ns(s);
	} while (now != before);
}

uint64_t subject_memory_kb(const struct subject *s)
{
	char name[40], line[120];
	unsigned long kb = 0;
	FILE *f;

	snprintf(name, sizeof name, "/proc/%d/status", (int)s->pid);
	f = fopen(name, "r");
	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "VmRSS: %lu", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb;
}

void subject_stop(struct subject *s)
{
	const struct timespec tick = { .tv_nsec = 10000000 };

	if (s->pid > 0)
		kill(s->pid, SIGTERM);
	for (unsigned i = 0; i < SUBJECT_LINKS; i++) {
		if (s->fd[i] >= 0)
			close(s->fd[i]);
		s->fd[i] = -1;
		if (s->path[i][0])
			unlink(s->path[i]);
	}
	if (s->pid <= 0)
		return;
	for (int ms = 0; waitpid(s->pid, NULL, WNOHANG) == 0; ms += 10) {
		if (ms == END_MS)
			kill(s->pid, SIGKILL);
		nanosleep(&tick, NULL);
	}
	s->pid = -1;
}
