/* SPDX-License-Identifier: MIT */
#include "app/handoff_words.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "proto/ip.h"

/* clang-format off */
const struct option_desc handoff_keys_table[] = {
	{ .name = "key-file", .kind = OPTION_STRING, OPTION_FIELD(struct handoff_keys_settings, key_file),
	  .arg = "FILE", .help = "the keys that front ends and agents share (suture handoff key makes one)" },
	{ .name = "insecure-no-key", .kind = OPTION_FLAG, OPTION_FIELD(struct handoff_keys_settings, insecure),
	  .fixed = 1, .help = "believe anybody who sends from a peer's address: for closed networks only" },
	{ .name = NULL },
};
/* clang-format on */

int handoff_wrong(struct handoff_error *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

bool handoff_is_name(const char *s, size_t len)
{
	bool letter = false;

	if (len == 0 || len > 31)
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (!isalnum(c) && !strchr("._-", c))
			return false;
		letter |= !isdigit(c);
	}
	return letter;
}

int handoff_take_name(const char **s, char ret_name[32])
{
	size_t len = strcspn(*s, "=");

	if ((*s)[len] != '=' || !handoff_is_name(*s, len))
		return -EINVAL;
	memcpy(ret_name, *s, len);
	ret_name[len] = 0;
	*s += len + 1;
	return 0;
}

bool handoff_next_word(const char **s, const char **ret_word, size_t *ret_len)
{
	size_t len = strcspn(*s, ",");

	if (**s == 0)
		return false;
	*ret_word = *s;
	*ret_len = len;
	*s += len + ((*s)[len] == ',');
	return true;
}

const char *handoff_value(const char *word, size_t len, const char *key, size_t *ret_len)
{
	size_t n = strlen(key);

	if (len <= n || memcmp(word, key, n) != 0 || word[n] != '=')
		return NULL;
	*ret_len = len - n - 1;
	return word + n + 1;
}

bool handoff_is_host(const uint8_t ip[16])
{
	if (ip_is_mapped(ip))
		return ip[12] != 0 && ip[12] < 224;
	return !ip_is_zero(ip) && ip[0] != 0xff;
}

uint32_t handoff_device_mtu(const char *device)
{
	int fd = device ? socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
	struct ifreq r = { 0 };
	uint32_t mtu = 0;

	if (fd < 0)
		return 0;
	snprintf(r.ifr_name, sizeof r.ifr_name, "%s", device);
	if (ioctl(fd, SIOCGIFMTU, &r) == 0 && r.ifr_mtu > 0)
		mtu = r.ifr_mtu < 65535 ? (uint32_t)r.ifr_mtu : 65535;
	close(fd);
	return mtu;
}

int handoff_keys_load(const struct handoff_keys_settings *s, bool needed,
		      struct channel_keys *ret_k, struct handoff_error *e)
{
	char why[250];
	int err;

	if (s->key_file && s->insecure)
		return handoff_wrong(e, "key-file and insecure-no-key: only one of them");
	if (s->key_file) {
		err = channel_keys_read(s->key_file, ret_k, why, sizeof why);
		if (err)
			handoff_wrong(e, "key-file %s", why);
		return err;
	}
	if (s->insecure)
		return channel_keys_insecure(ret_k);
	if (needed)
		return handoff_wrong(e, "key-file FILE is missing: whoever reaches the channel "
					"could give away connections "
					"(insecure-no-key accepts that)");
	memset(ret_k, 0, sizeof *ret_k);
	return 0;
}

const char *handoff_keys_changed(const struct channel_keys *was, const struct channel_keys *is)
{
	return channel_keys_same(was, is) ? NULL : "the keys have changed, and are read anew";
}
