/* SPDX-License-Identifier: MIT */
#include "proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCS_MAX 32
#define ARGS_MAX 96

static char dir[64];
static pid_t procs[PROCS_MAX];

static void forget(pid_t pid)
{
	for (unsigned i = 0; i < PROCS_MAX; i++)
		if (procs[i] == pid)
			procs[i] = 0;
}

static void clean_up(void)
{
	DIR *d;
	const struct dirent *e;

	for (unsigned i = 0; i < PROCS_MAX; i++)
		if (procs[i] > 0)
			proc_kill(procs[i]);
	d = opendir(dir);
	while (d && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			(void)unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		(void)closedir(d);
	(void)rmdir(dir);
}

/* A signal ends the test the ordinary way, so that nothing is left behind. */
static void on_signal(int sig)
{
	(void)sig;
	exit(1);
}

/* A fault of the test itself: nothing is left behind then either. */
static void on_fault(int sig)
{
	(void)signal(sig, SIG_DFL);
	clean_up();
	(void)raise(sig);
}

bool proc_setup(void)
{
	const char *tmp = getenv("TMPDIR");

	/* The path of a unix socket has 107 bytes. */
	if (!tmp || strlen(tmp) > 24)
		tmp = "/tmp";
	(void)snprintf(dir, sizeof dir, "%s/suture-interop.%d.XXXXXX", tmp, (int)getpid());
	if (!mkdtemp(dir)) {
		perror("mkdtemp");
		return false;
	}
	(void)atexit(clean_up);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGTERM, on_signal);
	(void)signal(SIGINT, on_signal);
	(void)signal(SIGALRM, on_signal);
	(void)signal(SIGABRT, on_fault);
	(void)signal(SIGSEGV, on_fault);
	return true;
}

const char *proc_path(const char *name)
{
	static char paths[16][108];
	static unsigned n;
	char *p = paths[n++ % 16];

	(void)snprintf(p, sizeof paths[0], "%s/%s", dir, name);
	return p;
}

static void become(char *const *argv, const char *log, pid_t parent)
{
	int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	int null = open("/dev/null", O_RDONLY);

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	if (getppid() != parent || fd < 0 || null < 0)
		_exit(126);
	(void)dup2(null, 0);
	(void)dup2(fd, 1);
	(void)dup2(fd, 2);
	for (int i = 3; i < 256; i++)
		(void)close(i);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)signal(SIGABRT, SIG_DFL);
	(void)signal(SIGSEGV, SIG_DFL);
	execvp(argv[0], argv);
	perror(argv[0]);
	_exit(127);
}

/* Splits line at blanks. */
static void split(char *line, char **ret_argv)
{
	unsigned n = 0;

	for (char *w = strtok(line, " \n"); w && n < ARGS_MAX - 1; w = strtok(NULL, " \n"))
		ret_argv[n++] = w;
	ret_argv[n] = NULL;
}

pid_t proc_start(const char *log, const char *fmt, ...)
{
	const char *path = proc_path(log);
	char line[4096], *argv[ARGS_MAX];
	va_list ap;
	pid_t parent = getpid(), pid;
	unsigned i = 0;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	split(line, argv);
	while (i < PROCS_MAX && procs[i] != 0)
		i++;
	if (i == PROCS_MAX)
		return -1;
	(void)fflush(stdout);
	pid = fork();
	if (pid == 0)
		become(argv, path, parent);
	if (pid > 0)
		procs[i] = pid;
	return pid;
}

bool proc_ended(pid_t pid, int ms, int *ret_status)
{
	int status;

	for (int i = 0; i <= ms; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid) {
			forget(pid);
			*ret_status = status;
			return true;
		}
		(void)usleep(1000);
	}
	return false;
}

int proc_stop(pid_t pid)
{
	int status = -1;

	if (pid <= 0)
		return -1;
	(void)kill(pid, SIGTERM);
	if (!proc_ended(pid, 2000, &status))
		proc_kill(pid);
	return status;
}

void proc_kill(pid_t pid)
{
	if (pid <= 0)
		return;
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	forget(pid);
}

const char *proc_said(const char *log)
{
	static char line[300];
	FILE *f = fopen(proc_path(log), "r");

	line[0] = '\0';
	while (f && fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0])
			break;
	}
	if (f)
		(void)fclose(f);
	return line;
}

unsigned long proc_counter(const char *log, const char *name)
{
	FILE *f = fopen(proc_path(log), "r");
	char line[300];
	unsigned long n = 0;

	while (f && fgets(line, sizeof line, f)) {
		const char *at = line + strspn(line, " ");

		if (strncmp(at, name, strlen(name)) == 0 && at[strlen(name)] == ' ')
			n = strtoul(at + strlen(name), NULL, 10);
	}
	if (f)
		(void)fclose(f);
	return n;
}

unsigned long proc_port_counter(const char *log, const char *port, const char *name)
{
	FILE *f = fopen(proc_path(log), "r");
	char line[1000], want[64];
	unsigned long n = 0;

	(void)snprintf(want, sizeof want, "port %s ", port);
	while (f && fgets(line, sizeof line, f)) {
		char *at = strstr(line, want);

		if (at && (at = strstr(at, name)) != NULL)
			n = strtoul(at + strlen(name), NULL, 10);
	}
	if (f)
		(void)fclose(f);
	return n;
}
