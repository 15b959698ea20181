/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_CHANNEL_PORT_H
#define SUT_APP_CHANNEL_PORT_H
/*
 * channel_port - a channel (channel.h) over UDP sockets, as a port of messages: each line has its peer's name in front.
 *
 * Owns:     a socket for each family that is needed, a timer, the channel.
 * Does not: say who is a peer, or which keys are valid.
 */
#include "app/channel.h"
#include "app/log.h"

struct port;

struct channel_port_config {
	struct channel_config channel; /* its callbacks are not looked at */
	struct endpoint
		local; /* where an agent is reached, or from where a front end speaks; ip zero: any, port 0: any */
	uint8_t source[2][16]; /* where local is not told: IPv4, IPv6; zero: any */
	struct log
		log; /* where it is said what does not open, and, by who begins sessions, that a peer is lost or heard again */
};

/* 0, or -errno with a sentence in ret_err. */
int channel_port_open(const struct channel_port_config *c, struct port **ret_p, char *ret_err,
		      size_t err_size);

/* These peers too from now on, as channel_add(): 0, or -errno with a sentence where one of them cannot be spoken to. */
int channel_port_add(struct port *p, const struct channel_peer *peer, unsigned n, char *ret_err,
		     size_t err_size);
/* No peer of this name any more: may be called from within a port's send. */
void channel_port_drop(struct port *p, const char *name);

/* Another log from now on. */
void channel_port_log(struct port *p, const struct log *l);

/* Other keys from now on. */
void channel_port_rekey(struct port *p, const struct channel_keys *k);
#endif
