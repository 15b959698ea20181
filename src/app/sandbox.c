/* SPDX-License-Identifier: MIT */
#include "app/sandbox.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/capability.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "app/log.h"
#include "base/compiler.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/*
 * What the code names, and what the C library makes of it on the machines that Debian runs on.  A name that an architecture lacks is
 * left out there.
 */
/* clang-format off */
#define CALLS(X) \
	X(read,            "streams, timers, the control socket") \
	X(readv,           "streams") \
	X(write,           "streams, the log, the journal, traces") \
	X(writev,          "streams") \
	X(pwrite64,        "the header of a trace or a journal") \
	X(recvfrom,        "streams") \
	X(recvmsg,         "streams, netlink") \
	X(recvmmsg,        "devices: a burst in") \
	X(sendto,          "streams, the service manager's datagram") \
	X(sendmsg,         "streams") \
	X(sendmmsg,        "devices: a burst out") \
	X(bpf,             "ways of handed-off connections: maps inside the kernel") \
	X(epoll_wait,      "the loop") \
	X(epoll_pwait,     "the loop") \
	X(epoll_ctl,       "the loop: connections come and go") \
	X(epoll_create1,   "ports that open anew") \
	X(timerfd_create,  "ports that open anew") \
	X(timerfd_settime, "the loop's timer") \
	X(eventfd2,        "ports that open anew") \
	X(poll,            "the C library: names, time-outs") \
	X(ppoll,           "the C library: names, time-outs") \
	X(clock_gettime,   "time, where it takes a call") \
	X(gettimeofday,    "time, where it takes a call") \
	X(time,            "time, where it takes a call") \
	X(clock_nanosleep, "waiting for a full device") \
	X(nanosleep,       "waiting for a full device") \
	X(socket,          "devices that come back, streams that connect anew") \
	X(bind,            "devices that come back") \
	X(listen,          "streams") \
	X(connect,         "streams that connect anew, the service manager") \
	X(accept4,         "streams, the control socket") \
	X(shutdown,        "streams") \
	X(getsockopt,      "what the kernel dropped; whether a connection succeeded") \
	X(setsockopt,      "devices that come back, streams") \
	X(getsockname,     "streams") \
	X(getpeername,     "streams") \
	X(ioctl,           "devices: is it up, its MTU; offloads put back at the end") \
	X(close,           "everything that ends") \
	X(openat,          "the journal's next file, the time zone") \
	X(openat2,         "files that HTTP serves") \
	X(open,            "the journal's next file, the time zone") \
	X(newfstatat,      "the journal's next file") \
	X(fstat,           "standard output") \
	X(stat,            "the time zone") \
	X(lseek,           "standard output, traces") \
	X(ftruncate,       "the journal") \
	X(fsync,           "the journal, the state file") \
	X(fdatasync,       "the journal, the state file") \
	X(rename,          "the journal's next file takes the place of the last") \
	X(renameat,        "the same") \
	X(renameat2,       "the same") \
	X(unlink,          "the control socket at the end") \
	X(unlinkat,        "the same") \
	X(rmdir,           "the directory of what was pinned, at the end") \
	X(flock,           "the journal's next file")                                           \
	X(lstat,           "a stream's socket at the end")                                      \
	X(pread64,         "the journal") \
	X(preadv,          "files that HTTP serves") \
	X(fcntl,           "descriptors") \
	X(mmap,            "memory of the C library") \
	X(munmap,          "memory of the C library") \
	X(mremap,          "memory of the C library") \
	X(madvise,         "memory given back") \
	X(brk,             "memory of the C library") \
	X(mprotect,        "memory of the C library") \
	X(getrandom,       "random bits") \
	X(futex,           "locks of the C library") \
	X(rt_sigaction,    "signals at the end") \
	X(rt_sigprocmask,  "signals at the end") \
	X(rt_sigreturn,    "signals") \
	X(signalfd4,       "signals") \
	X(uname,           "what an agent says of its host, behind a reload") \
	X(getpid,          "the log") \
	X(gettid,          "abort()") \
	X(tgkill,          "abort()") \
	X(restart_syscall, "a call that a stopped process goes on with") \
	X(exit,            "the end") \
	X(exit_group,      "the end")
/* clang-format on */

static const struct {
	const char *name, *why;
} calls[] = {
#define X(name, why) { #name, why },
	CALLS(X)
#undef X
};

#define KEPT_CAPS ((1u << CAP_NET_RAW) | (1u << CAP_NET_ADMIN))

/* The capabilities of this thread become those that it has of KEPT_CAPS, and nobody it runs can get others. */
static int drop_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data) != 0)
		return -errno;
	for (int cap = 0; cap <= 63; cap++)
		if (cap >= 32 || !(KEPT_CAPS >> cap & 1))
			(void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	data[0].permitted &= KEPT_CAPS;
	data[0].effective &= KEPT_CAPS;
	data[0].inheritable = 0;
	data[1] = (struct __user_cap_data_struct){ 0 };
	return syscall(SYS_capset, &head, data) != 0 ? -errno : 0;
}

static int filter_calls(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int err = ctx ? 0 : -ENOMEM;

	for (unsigned i = 0; i < ARRAY_LEN(calls) && err == 0; i++) {
		int nr = seccomp_syscall_resolve_name(calls[i].name);

		if (nr != __NR_SCMP_ERROR && nr >= 0)
			err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
	}
	if (err == 0)
		err = seccomp_load(ctx);
	seccomp_release(ctx);
	return err;
}

int sandbox_enter(char *ret_err, size_t err_size)
{
	int err = drop_capabilities();

	if (err) {
		snprintf(ret_err, err_size, "capabilities cannot be dropped: %s", strerror(-err));
		return err;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
		err = -errno;
		snprintf(ret_err, err_size, "new privileges cannot be forbidden: %s",
			 strerror(-err));
		return err;
	}
	if (SANITIZED)
		return 0;
	err = filter_calls();
	if (err == -EINVAL || err == -ECANCELED || err == -EFAULT)
		err = -ENOSYS;
	if (err)
		snprintf(ret_err, err_size, "system calls cannot be filtered: %s", strerror(-err));
	return err;
}

bool sandbox_is_built(void)
{
	return !SANITIZED;
}

int sandbox_begin(const struct log *l)
{
	char why[300];
	int err = sandbox_enter(why, sizeof why);

	if (err == -ENOSYS) {
		log_line(l, LOG_NOTICE, "sandbox: %s: going on without", why);
		return 0;
	}
	if (err)
		log_line(l, LOG_ERROR, "sandbox: %s; --no-sandbox does without", why);
	else if (!sandbox_is_built())
		log_line(l, LOG_INFO, "sandbox: no system calls are filtered in this build");
	return err;
}

const char *sandbox_call(unsigned i, const char **ret_why)
{
	if (i >= ARRAY_LEN(calls))
		return NULL;
	*ret_why = calls[i].why;
	return calls[i].name;
}
