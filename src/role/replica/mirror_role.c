/* SPDX-License-Identifier: MIT */
#include "role/replica/mirror_role.h"

#include <errno.h>
#include <stdbool.h>

#include "core/env.h"
#include "core/outbox.h"

/*
 * Theory of operation
 *
 * A frame that is copied stands in the outbox twice: once for the port it goes on to, once for the
 * mirror.  Nothing is copied in memory.  That is safe because a port has sent a packet, or has
 * copied what it could not send, before the next port is given its own; and what a port writes (a
 * length in front of the first byte) it writes anew each time.  The bytes of a frame and its
 * offload state are never touched, so both leave as the frame came.
 *
 * A burst of 64 gives 128 packets at most, half of what the outbox holds: nothing is kept, nothing
 * is due, there is no state.
 */

struct mirror {
	struct replica_mirror_config cfg;
	const struct role_env *env;
};

static const struct port_desc ports[] = {
	[MIRROR_CLIENT] = { "client", PORT_FRAMES, false },
	[MIRROR_PRIMARY] = { "primary", PORT_FRAMES, true },
	[MIRROR_MIRROR] = { "mirror", PORT_FRAMES, false },
	{ NULL, PORT_FRAMES, false },
};

void replica_mirror_defaults(struct replica_mirror_config *ret_c)
{
	*ret_c = (struct replica_mirror_config){ .queue = MIRROR_TX };
}

const char *replica_mirror_config_error(const struct replica_mirror_config *c)
{
	return c->queue > MIRROR_ALL ? "queue must be tx, rx or all" : NULL;
}

static size_t mirror_need(const void *config)
{
	return replica_mirror_config_error(config) ? 0 : sizeof(struct mirror);
}

static void *mirror_init(void *block, const void *config, const struct role_env *env)
{
	struct mirror *m = block;

	*m = (struct mirror){ *(const struct replica_mirror_config *)config, env };
	return m;
}

static bool joined(const struct mirror *m, unsigned port)
{
	return m->env->ports >> port & 1;
}

/* Is what comes in at this port copied? */
static bool copied(const struct mirror *m, unsigned port)
{
	return m->cfg.queue == MIRROR_ALL ||
	       m->cfg.queue == (port == MIRROR_CLIENT ? MIRROR_TX : MIRROR_RX);
}

static int mirror_configure(void *role, const void *config)
{
	struct mirror *m = role;

	m->cfg = *(const struct replica_mirror_config *)config;
	return 0;
}

static void mirror_input(void *role, const struct burst *in, struct outbox *out)
{
	struct mirror *m = role;
	unsigned to = in->port == MIRROR_CLIENT ? MIRROR_PRIMARY : MIRROR_CLIENT;

	if (in->port == MIRROR_MIRROR) {
		m->env->counters->dropped[R_WRONG_WAY] += in->n;
		return;
	}
	for (unsigned i = 0; i < in->n; i++) {
		if (joined(m, to))
			outbox_put(out, to, in->pkts[i]);
		if (!copied(m, in->port)) {
			if (!joined(m, to)) /* only copied, and not even that */
				count_drop(m->env, R_WRONG_WAY);
			continue;
		}
		outbox_put(out, MIRROR_MIRROR, in->pkts[i]);
		count_event(m->env, EV_MIRRORED);
	}
}

static void mirror_expire(void *role, sut_time now, struct outbox *out)
{
	(void)role;
	(void)now;
	(void)out;
}

static sut_time mirror_deadline(const void *role)
{
	(void)role;
	return SUT_NEVER;
}

static size_t mirror_save(const void *role, uint32_t *cursor, sut_time now,
			  struct record *ret_record)
{
	(void)role;
	(void)cursor;
	(void)now;
	(void)ret_record;
	return 0;
}

static int mirror_restore(void *role, const struct record *record, sut_time now)
{
	(void)role;
	(void)record;
	(void)now;
	return -EPROTO;
}

const struct role_ops replica_mirror_ops = {
	.name = "replica-mirror",
	.ports = ports,
	.need = mirror_need,
	.init = mirror_init,
	.input = mirror_input,
	.expire = mirror_expire,
	.deadline = mirror_deadline,
	.save = mirror_save,
	.restore = mirror_restore,
	.configure = mirror_configure,
};
