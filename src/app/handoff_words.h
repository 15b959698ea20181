/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_HANDOFF_WORDS_H
#define SUT_APP_HANDOFF_WORDS_H
/*
 * handoff_words - what flags of `suture handoff` say beyond a number: names, keys=values, who has which key.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/channel_keys.h"
#include "app/options.h"
#include "base/compiler.h"

/* Where a sentence about what is wrong goes. */
struct handoff_error {
	char text[300];
	const char *blamed; /* the setting that was being read; NULL: none in particular */
};

/* Writes the sentence, and returns -EINVAL. */
int handoff_wrong(struct handoff_error *e, const char *fmt, ...) SUT_PRINTF(2, 3);

/* Letters, digits, '.', '_' and '-', at most 31 of them, and not only digits. */
bool handoff_is_name(const char *s, size_t len);

/* Takes "NAME=" off the front of *s and copies NAME (32 bytes with its zero): 0, or -EINVAL. */
int handoff_take_name(const char **s, char ret_name[32]);

/* Takes the next word of a list with commas: false at its end. */
bool handoff_next_word(const char **s, const char **ret_word, size_t *ret_len);

/* The value of a word "key=value", with its length; NULL: the word has another key. */
const char *handoff_value(const char *word, size_t len, const char *key, size_t *ret_len);

/* May one host have this address?  Not where it is none, or that of many. */
bool handoff_is_host(const uint8_t ip[16]);

/* Bytes of an IP packet that this device carries, at most 65535; 0: there is no such device, or its name is NULL. */
uint32_t handoff_device_mtu(const char *device);

/* Where maps are pinned unless told otherwise. */
#define HANDOFF_PINS_FRONT "/sys/fs/bpf/suture-front"
#define HANDOFF_PINS_BACK "/sys/fs/bpf/suture-back"

/* Who may speak: in both commands. */
struct handoff_keys_settings {
	const char *key_file;
	bool insecure;
};

extern const struct option_desc handoff_keys_table[];

/* Reads the keys: 0, or -errno with a sentence.  needed: neither flag is an error. */
int handoff_keys_load(const struct handoff_keys_settings *s, bool needed,
		      struct channel_keys *ret_k, struct handoff_error *e);

/* What a reload says of keys; NULL: nothing, they are the same. */
const char *handoff_keys_changed(const struct channel_keys *was, const struct channel_keys *is);
#endif
