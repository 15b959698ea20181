/* SPDX-License-Identifier: MIT */
#include "app/channel_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>
#include <sys/stat.h>

#define FILE_MAX 4096u
#define CONTEXT "suturech" /* crypto_kdf_CONTEXTBYTES */

enum { KDF_ID = 1, KDF_HELLO, KDF_SESSION, KDF_HEADER };

static void derive(const uint8_t master[CHANNEL_KEY_LEN], struct channel_key *ret_k)
{
	uint8_t id[16];

	crypto_kdf_derive_from_key(id, sizeof id, KDF_ID, CONTEXT, master);
	memcpy(ret_k->id, id, sizeof ret_k->id);
	crypto_kdf_derive_from_key(ret_k->hello, sizeof ret_k->hello, KDF_HELLO, CONTEXT, master);
	crypto_kdf_derive_from_key(ret_k->session, sizeof ret_k->session, KDF_SESSION, CONTEXT,
				   master);
	crypto_kdf_derive_from_key(ret_k->header, sizeof ret_k->header, KDF_HEADER, CONTEXT,
				   master);
}

/* What is wrong with a line; NULL: nothing, and it is in *k. */
static const char *take_line(const char *line, size_t len, struct channel_keys *k)
{
	uint8_t master[CHANNEL_KEY_LEN] = { 0 };
	unsigned slot;
	size_t n = 0;

	if (len < 2 || (line[0] != '0' && line[0] != '1') || line[1] != ' ')
		return "expected a slot (0 or 1), a blank and a key";
	slot = (unsigned)(line[0] - '0');
	line += 2;
	len -= 2;
	if (len != 2u * CHANNEL_KEY_LEN ||
	    sodium_hex2bin(master, sizeof master, line, len, NULL, &n, NULL) != 0 ||
	    n != sizeof master)
		return "expected a key of 64 hexadecimal digits";
	if (sodium_is_zero(master, sizeof master))
		return "a key of zeroes is no key";
	if (k->valid >> slot & 1)
		return "this slot has a key already";
	if (!k->valid)
		k->first = (uint8_t)slot;
	derive(master, &k->slot[slot]);
	k->valid |= (uint8_t)(1u << slot);
	sodium_memzero(master, sizeof master);
	return NULL;
}

static size_t trimmed(const char *line, size_t len)
{
	while (len && (line[len - 1] == ' ' || line[len - 1] == '\t' || line[len - 1] == '\r'))
		len--;
	return len;
}

int channel_keys_parse(const char *text, size_t len, struct channel_keys *ret_k, char *ret_err,
		       size_t err_size)
{
	struct channel_keys k = { 0 };
	unsigned number = 0;

	if (sodium_init() < 0) {
		snprintf(ret_err, err_size, "libsodium cannot be used on this machine");
		return -ENOSYS;
	}
	while (len) {
		const char *end = memchr(text, '\n', len);
		size_t whole = end ? (size_t)(end - text) : len, n = trimmed(text, whole);
		const char *wrong = NULL;

		number++;
		if (n && text[0] != '#')
			wrong = take_line(text, n, &k);
		if (wrong) {
			snprintf(ret_err, err_size, "line %u: %s", number, wrong);
			channel_keys_forget(&k);
			return -EINVAL;
		}
		whole += end != NULL;
		text += whole;
		len -= whole;
	}
	if (!k.valid) {
		snprintf(ret_err, err_size, "there is no key in it");
		return -EINVAL;
	}
	*ret_k = k;
	channel_keys_forget(&k);
	return 0;
}

/* The whole file, which only its owner may read: bytes, or -errno with a sentence. */
static ssize_t read_file(const char *path, char ret_text[FILE_MAX], char *ret_err, size_t err_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) != 0) {
		n = -errno;
		snprintf(ret_err, err_size, "%s: %s", path, strerror((int)-n));
	} else if (!S_ISREG(st.st_mode)) {
		n = -EINVAL;
		snprintf(ret_err, err_size, "%s: not a file", path);
	} else if (st.st_mode & (S_IRWXG | S_IRWXO)) {
		n = -EPERM;
		snprintf(ret_err, err_size, "%s: others may read or write it: chmod 600 %s", path,
			 path);
	} else {
		n = read(fd, ret_text, FILE_MAX);
		if (n < 0) {
			n = -errno;
			snprintf(ret_err, err_size, "%s: %s", path, strerror((int)-n));
		} else if (n == FILE_MAX) {
			n = -EFBIG;
			snprintf(ret_err, err_size, "%s: too long for a file of keys", path);
		}
	}
	if (fd >= 0)
		close(fd);
	return n;
}

int channel_keys_read(const char *path, struct channel_keys *ret_k, char *ret_err, size_t err_size)
{
	char text[FILE_MAX] = { 0 }, why[200];
	ssize_t n = read_file(path, text, ret_err, err_size);
	int err;

	if (n < 0)
		return (int)n;
	err = channel_keys_parse(text, (size_t)n, ret_k, why, sizeof why);
	sodium_memzero(text, sizeof text);
	if (err)
		snprintf(ret_err, err_size, "%s: %s", path, why);
	return err;
}

int channel_keys_insecure(struct channel_keys *ret_k)
{
	static const uint8_t known[CHANNEL_KEY_LEN];
	struct channel_keys k = { .valid = 1, .insecure = true };

	if (sodium_init() < 0)
		return -ENOSYS;
	derive(known, &k.slot[0]);
	*ret_k = k;
	return 0;
}

int channel_keys_make(unsigned slot, char ret_line[80])
{
	uint8_t master[CHANNEL_KEY_LEN];
	char hex[2 * CHANNEL_KEY_LEN + 1];

	if (sodium_init() < 0)
		return -ENOSYS;
	randombytes_buf(master, sizeof master);
	sodium_bin2hex(hex, sizeof hex, master, sizeof master);
	snprintf(ret_line, 80, "%u %s", slot & 1, hex);
	sodium_memzero(master, sizeof master);
	sodium_memzero(hex, sizeof hex);
	return 0;
}

bool channel_keys_same(const struct channel_keys *a, const struct channel_keys *b)
{
	if (a->valid != b->valid || a->first != b->first)
		return false;
	for (unsigned i = 0; i < CHANNEL_KEYS; i++)
		if (a->valid >> i & 1u && memcmp(&a->slot[i], &b->slot[i], sizeof a->slot[i]) != 0)
			return false;
	return true;
}

void channel_keys_forget(struct channel_keys *k)
{
	sodium_memzero(k, sizeof *k);
}
