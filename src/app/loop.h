/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_LOOP_H
#define SUT_APP_LOOP_H
/*
 * loop - waits for descriptors, for a time, and for signals: epoll, a timerfd (exact to microseconds), a signalfd.
 *
 * Owns:     its three descriptors, and the blocking of SIGINT, SIGTERM, SIGHUP and SIGUSR1 in the calling thread while it is open.
 * Does not: call anybody: it says what happened, in no order; the engine has its own.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/time.h"

#define LOOP_TAGS 32u

struct loop {
	int epoll, timer, signals;
	sut_time armed; /* what the timer is set to; SUT_NEVER: not set */
	sigset_t old_mask;
};

struct loop_events {
	uint32_t ready; /* bit t: the descriptor watched with tag t can be read, or failed */
	bool terminate; /* SIGINT, SIGTERM */
	bool hangup; /* SIGHUP, where it is not ignored (nohup) */
	bool report; /* SIGUSR1 */
};

/* 0 or -errno. */
int loop_open(struct loop *l);
void loop_close(struct loop *l);

/* Watches fd for input, under tag (0 to LOOP_TAGS - 1): 0 or -errno. */
int loop_watch(struct loop *l, int fd, unsigned tag);

/* Watches fd no more. */
void loop_unwatch(struct loop *l, int fd);

/*
 * Waits until something is ready, a signal came, or it is deadline on CLOCK_MONOTONIC (SUT_NEVER: no limit; at or before now: only looks).
 * 0, or -errno.
 */
int loop_wait(struct loop *l, sut_time now, sut_time deadline, struct loop_events *ret_ev);
#endif
