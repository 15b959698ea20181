/* SPDX-License-Identifier: MIT */
#include "port/offload.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/compiler.h"

/* In the order in which they are turned off; they are put back in reverse, for TSO needs GSO. */
static const struct {
	uint32_t get, set;
} features[] = {
	{ ETHTOOL_GTSO, ETHTOOL_STSO },
	{ ETHTOOL_GGSO, ETHTOOL_SGSO },
	{ ETHTOOL_GGRO, ETHTOOL_SGRO },
};

static int ethtool_call(int fd, const char *dev, struct ethtool_value *v)
{
	struct ifreq req = { .ifr_data = (char *)v };

	snprintf(req.ifr_name, sizeof req.ifr_name, "%s", dev);
	return ioctl(fd, SIOCETHTOOL, &req) < 0 ? -errno : 0;
}

/* Writes value by command cmd. */
static int set(int fd, const char *dev, uint32_t cmd, uint32_t value)
{
	struct ethtool_value v = { .cmd = cmd, .data = value };

	return ethtool_call(fd, dev, &v);
}

static int disable_feature(int fd, unsigned i, struct offload_saved *s)
{
	struct ethtool_value v = { .cmd = features[i].get };
	int err = ethtool_call(fd, s->dev, &v);

	if (err == 0 && v.data) {
		err = set(fd, s->dev, features[i].set, 0);
		if (err == 0)
			s->on |= (uint8_t)(1u << i);
	}
	return err == -EOPNOTSUPP ? 0 : err;
}

static int disable_lro(int fd, struct offload_saved *s)
{
	struct ethtool_value v = { .cmd = ETHTOOL_GFLAGS };
	int err = ethtool_call(fd, s->dev, &v);

	if (err == 0 && (v.data & ETH_FLAG_LRO)) {
		s->flags = v.data;
		err = set(fd, s->dev, ETHTOOL_SFLAGS, v.data & ~(uint32_t)ETH_FLAG_LRO);
		s->flags_saved = err == 0;
	}
	return err == -EOPNOTSUPP ? 0 : err;
}

int offload_disable(const char *dev, struct offload_saved *ret_s)
{
	struct offload_saved s = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0, e;

	if (fd < 0)
		err = -errno;
	snprintf(s.dev, sizeof s.dev, "%s", dev);
	for (unsigned i = 0; fd >= 0 && i < ARRAY_LEN(features); i++) {
		e = disable_feature(fd, i, &s);
		err = err ? err : e;
	}
	if (fd >= 0) {
		e = disable_lro(fd, &s);
		err = err ? err : e;
		close(fd);
	}
	*ret_s = s;
	return err;
}

void offload_restore(const struct offload_saved *s)
{
	int fd;

	if (!s->on && !s->flags_saved)
		return;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (s->flags_saved)
		set(fd, s->dev, ETHTOOL_SFLAGS, s->flags);
	for (unsigned i = ARRAY_LEN(features); i-- > 0;)
		if (s->on & (1u << i))
			set(fd, s->dev, features[i].set, 1);
	close(fd);
}
