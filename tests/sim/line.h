/* SPDX-License-Identifier: MIT */
#ifndef SUT_SIM_LINE_H
#define SUT_SIM_LINE_H
/*
 * line - the network of a client's host, a role and a server's host, or of the hosts alone.
 *
 *     client --link 0--> near [role] far --link 2--> server         client --link 0--> server
 *            <--link 1--                 <--link 3--                       <--link 3--
 */
#include "net.h"

enum line_node {
	LINE_CLIENT,
	LINE_BOX,
	LINE_SERVER
}; /* a host's port is 0, the role's are its own */

#define LINE_LINKS 4u

/* Names of the role's ports, in traces. */
extern const char *const line_ports[2];

/* Joins the nodes, which are there already, by links as they are numbered above. */
void line_join(struct net *n, bool role, const struct net_link_config cfg[LINE_LINKS]);
#endif
