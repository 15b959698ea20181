/* SPDX-License-Identifier: MIT */
#ifndef SUT_CLI_CMD_HANDOFF_H
#define SUT_CLI_CMD_HANDOFF_H
/* cmd_handoff - what the commands of the hand-off share: checks of ports, the data plane in the kernel, what is said about keys. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/handoff_words.h"
#include "app/options.h"

struct device_lock;
struct handoff_patient;
struct plane_bpf;
struct plane_config;
struct port;

#define HANDOFF_DEVICES 2u

/* The data plane in the kernel, the port that speaks to it, and its devices; all NULL where it is not wanted. */
struct handoff_kernel {
	struct device_lock *lock[HANDOFF_DEVICES];
	struct plane_bpf *plane;
	struct port *port;
};

/* What it is to be: as struct plane_bpf_config. */
struct handoff_kernel_want {
	bool back;
	const char *device[HANDOFF_DEVICES]; /* "eth0"; NULL: none */
	const char *pins, *cgroup;
	bool no_adopt;
	const struct plane_config *plane;
	bool only; /* no other plane would do */
};

/*
 * Before anything else: has nobody else the devices, and is nothing left there that others could still take up?  0, or -errno with a sentence in
 * ret_err; handoff_kernel_close() in either case.
 */
int handoff_kernel_claim(const struct handoff_kernel_want *w, struct handoff_kernel *k,
			 char *ret_err, size_t err_size);

/* Opens it, its devices being claimed: 0, or -errno with a sentence in ret_err. */
int handoff_kernel_open(const struct handoff_kernel_want *w, struct handoff_kernel *k,
			char *ret_err, size_t err_size);

/* tap: the packet socket that is to see only what user space must see, -1: none.  0, or -errno with a sentence. */
int handoff_kernel_attach(const struct handoff_kernel *k, const char *device, int tap,
			  char *ret_err, size_t err_size);
int handoff_kernel_configure(const struct handoff_kernel *k, const struct handoff_kernel_want *w);
bool handoff_kernel_adopts(const struct handoff_kernel *k, char *ret_why, size_t size);
void handoff_kernel_close(struct handoff_kernel *k, bool keep);

/* Is spec "if:NAME"?  -1, or 2 after complaining. */
int handoff_check_device(const struct option_usage *u, const char *flag, const char *spec);

/* Says on stderr what it means to run without keys. */
void handoff_warn_keys(const struct channel_keys *k, bool quiet);
/* Says on stderr what is wrong with the host and would go unnoticed otherwise, a line each; the caller goes on. */
void handoff_warn_host(const struct handoff_patient *p, bool quiet);
#endif
