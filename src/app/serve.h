/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_SERVE_H
#define SUT_APP_SERVE_H
/*
 * serve - services of our own TCP (src/stack) at a TUN device: HTTP, echo, discard, chargen, and a way on to a kernel's TCP.
 *
 * Owns:     the device, the stack's memory, the connections' services, until it is told to end.
 * Does not: parse flags (cli/cmd_serve.c), or know any service but by serve_service.h.
 *
 * The addresses that are served are the stack's; the kernel's side of the device has others of the same networks, so that the kernel routes
 * to it.  SIGINT and SIGTERM drain: listeners close, connections finish, for a time at most; a second one ends at once.  SIGHUP (where it is
 * not ignored) reads the settings and opens the access log anew; without either it drains too.  SIGUSR1 prints the counters.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/engine.h"
#include "base/time.h"
#include "port/tun_link.h"
#include "stack/stack.h"

#define SERVE_PORTS 32u
#define SERVE_ADDRS STACK_NETS

struct config_file;
struct service;
struct settings;

/* What is served at a port. */
struct serve_listen {
	uint16_t port; /* host order */
	const struct service *service;
	const char *arg; /* DIR, HOST:PORT; NULL: the service takes none */
};

/* As it was typed; strings stay where they are. */
struct serve_flags {
	const char *tun; /* the device's name */
	const char *addr[SERVE_ADDRS]; /* "192.0.2.2/24" */
	uint32_t addrs;
	const char *host_addr[SERVE_ADDRS]; /* "192.0.2.1" */
	uint32_t host_addrs;
	const char *port
		[SERVE_PORTS]; /* "80" (its service stands beside the flags), or "80 http DIR" */
	uint32_t ports;
	uint32_t mtu; /* 0: as the device has it */
	bool no_offload;
	uint8_t cc; /* enum stack_cc */
	uint64_t memory; /* bytes for what connections buffer */
	uint64_t buffer; /* bytes that one may buffer, each way; 0: by itself */
	uint32_t max_conns;
	sut_time idle_time, drain_time;
	sut_time stream_idle_time; /* of services other than http; 0: none */
	const char *access_log; /* a file; NULL: none */
};

/* Words beside the flags. */
struct serve_words {
	const char *const *word;
	unsigned n;
};

struct serve_config {
	struct serve_flags flags;
	struct engine_options opt;
	struct serve_words words;
	const struct config_file *file; /* where flags may have come from; NULL: none */
	const struct settings
		*settings; /* how to read all anew; its block is this struct.  NULL: it is not */
	struct stack_net net[SERVE_ADDRS]; /* ours */
	struct link_addr host[SERVE_ADDRS]; /* the kernel's: one a network */
	struct serve_listen listen[SERVE_PORTS];
	unsigned nets, listens;
};

/*
 * Makes nets, hosts and ports out of c->flags and c->words.  A port without a service in its text takes the next words.  Each
 * network's host address is the one of c->flags.host_addr that lies in it, else its first address that is not ours.
 * 0, or -EINVAL with a sentence in ret_err that begins with the option ("--addr: ..."), or with the file and the line that it stands in.
 */
int serve_configure(struct serve_config *c, char *ret_err, size_t err_size);

/* Opens, says "suture: ready: serve tun=sut0 ...", runs.  The exit code: 0 after a signal; 1: something failed (said on stderr).
 * c->settings->block may be changed by it. */
int serve_run(const struct serve_config *c);
#endif
