/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_CHANNEL_KEYS_H
#define SUT_APP_CHANNEL_KEYS_H
/*
 * channel_keys - the master keys that front ends and agents share, from a file, and what is derived of them.
 *
 *	# comment
 *	0 64 hexadecimal digits
 *	1 64 hexadecimal digits
 *
 * A line is a slot (0 or 1) and a key of 32 bytes.  Both are valid; who begins a session uses the first in the file.  So a key is
 * changed without a gap: add the new one in the free slot, in second place, everywhere; put it in first place at the front ends; take the old
 * one out everywhere.  Each step is a change of the file and a reload.
 *
 * Owns:     nothing.  Does not: keep a file open, or write one.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHANNEL_KEYS 2u
#define CHANNEL_KEY_LEN 32u

struct channel_key {
	uint8_t id[4]; /* names the key in datagrams; says nothing of it */
	uint8_t hello[CHANNEL_KEY_LEN]; /* seals how sessions begin */
	uint8_t session[CHANNEL_KEY_LEN]; /* what the keys of sessions are made from */
	uint8_t header[16]; /* of the MAC of in-band headers (core/way.h) */
};

struct channel_keys {
	struct channel_key slot[CHANNEL_KEYS];
	uint8_t valid; /* a bit per slot */
	uint8_t first; /* the slot that sessions are begun with */
	bool insecure; /* the key is known to everybody: --insecure-no-key */
};

/*
 * Reads the file: 0; -EPERM where others than its owner may read or write it; -EINVAL, or another -errno; with a sentence in ret_err that
 * names file and line, and never shows a key.  Nothing is written then.
 */
int channel_keys_read(const char *path, struct channel_keys *ret_k, char *ret_err, size_t err_size);

/* The text of such a file. */
int channel_keys_parse(const char *text, size_t len, struct channel_keys *ret_k, char *ret_err,
		       size_t err_size);

/* One key that everybody knows: nothing is authenticated.  0; -ENOSYS. */
int channel_keys_insecure(struct channel_keys *ret_k);

/* A line for a key file, with a new random key: ret_line has room for 80 bytes.  0 or -errno. */
int channel_keys_make(unsigned slot, char ret_line[80]);

/* Are they the same keys, in the same slots, and begun with in the same order? */
bool channel_keys_same(const struct channel_keys *a, const struct channel_keys *b);

/* Overwrites all keys. */
void channel_keys_forget(struct channel_keys *k);
#endif
