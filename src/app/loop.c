/* SPDX-License-Identifier: MIT */
#include "app/loop.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

enum { TAG_TIMER = LOOP_TAGS, TAG_SIGNALS };

static int add(struct loop *l, int fd, uint32_t tag)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = tag };

	return epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

/* signalfd would tell of an ignored signal as well. */
static bool is_ignored(int sig)
{
	struct sigaction a;

	return sigaction(sig, NULL, &a) == 0 && a.sa_handler == SIG_IGN;
}

static int open_signals(struct loop *l)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	if (!is_ignored(SIGHUP))
		sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, &l->old_mask);
	l->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return l->signals < 0 ? -errno : add(l, l->signals, TAG_SIGNALS);
}

static int open_timer(struct loop *l)
{
	l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return l->timer < 0 ? -errno : add(l, l->timer, TAG_TIMER);
}

int loop_open(struct loop *l)
{
	int err;

	*l = (struct loop){ .timer = -1, .signals = -1, .armed = SUT_NEVER };
	pthread_sigmask(SIG_BLOCK, NULL, &l->old_mask);
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll < 0)
		return -errno;
	err = open_timer(l);
	if (err == 0)
		err = open_signals(l);
	if (err)
		loop_close(l);
	return err;
}

static void take_signals(struct loop *l, struct loop_events *ev)
{
	struct signalfd_siginfo si;

	while (read(l->signals, &si, sizeof si) == sizeof si) {
		if (si.ssi_signo == SIGUSR1)
			ev->report = true;
		else if (si.ssi_signo == SIGHUP)
			ev->hangup = true;
		else
			ev->terminate = true;
	}
}

void loop_close(struct loop *l)
{
	struct loop_events ignored;

	/* one that comes while all is being closed was meant for that */
	if (l->signals >= 0) {
		take_signals(l, &ignored);
		close(l->signals);
	}
	if (l->timer >= 0)
		close(l->timer);
	close(l->epoll);
	pthread_sigmask(SIG_SETMASK, &l->old_mask, NULL);
}

int loop_watch(struct loop *l, int fd, unsigned tag)
{
	return add(l, fd, tag);
}

void loop_unwatch(struct loop *l, int fd)
{
	epoll_ctl(l->epoll, EPOLL_CTL_DEL, fd, NULL);
}

/* Sets the timer if it is not set so already; time 0 would mean "never" to the kernel. */
static int arm(struct loop *l, sut_time at)
{
	struct itimerspec t = { 0 };

	if (at == l->armed)
		return 0;
	if (at != SUT_NEVER) {
		t.it_value.tv_sec = (time_t)(at / 1000000000u);
		t.it_value.tv_nsec = (long)(at % 1000000000u);
		if (at == 0)
			t.it_value.tv_nsec = 1;
	}
	if (timerfd_settime(l->timer, TFD_TIMER_ABSTIME, &t, NULL) < 0)
		return -errno;
	l->armed = at;
	return 0;
}

static void take_timer(struct loop *l)
{
	uint64_t count;
	ssize_t n = read(l->timer, &count, sizeof count);

	(void)n;
	l->armed = SUT_NEVER;
}

int loop_wait(struct loop *l, sut_time now, sut_time deadline, struct loop_events *ret_ev)
{
	struct epoll_event got[LOOP_TAGS + 2];
	struct loop_events ev = { 0 };
	int n, err = 0;

	if (deadline > now)
		err = arm(l, deadline);
	if (err)
		return err;
	n = epoll_wait(l->epoll, got, LOOP_TAGS + 2, deadline > now ? -1 : 0);
	if (n < 0 && errno != EINTR)
		return -errno;
	for (int i = 0; i < n; i++) {
		uint32_t tag = got[i].data.u32;

		if (tag == TAG_TIMER)
			take_timer(l);
		else if (tag == TAG_SIGNALS)
			take_signals(l, &ev);
		else
			ev.ready |= (uint32_t)1 << tag;
	}
	*ret_ev = ev;
	return 0;
}
