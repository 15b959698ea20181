/* SPDX-License-Identifier: MIT */
#include "line.h"

#include "role/accel/near.h"

const char *const line_ports[2] = { "near", "far" };

/* What arrives at one time does so along the line: at the client, near, far, at the server. */
void line_join(struct net *n, bool role, const struct net_link_config cfg[LINE_LINKS])
{
	const struct net_end client = { LINE_CLIENT, 0 }, near = { LINE_BOX, ACCEL_CLIENT },
			     far = { LINE_BOX, ACCEL_SERVER }, server = { LINE_SERVER, 0 };

	if (!role) {
		net_join(n, server, client, &cfg[3]);
		net_join(n, client, server, &cfg[0]);
		return;
	}
	net_join(n, near, client, &cfg[1]);
	net_join(n, client, near, &cfg[0]);
	net_join(n, server, far, &cfg[3]);
	net_join(n, far, server, &cfg[2]);
}
