/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_NOTIFY_H
#define SUT_APP_NOTIFY_H
/* notify - tells the service manager about readiness, by the datagram that NOTIFY_SOCKET asks for. */

/* Sends state ("READY=1"); nothing happens, and nothing is said, where there is no service manager. */
void notify_manager(const char *state);
#endif
