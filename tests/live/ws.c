/* SPDX-License-Identifier: MIT */
#include "ws.h"

#include "ends.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_MAX 70000u

enum opcode { WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };

static uint8_t message[MESSAGE_MAX];

static uint32_t turn(uint32_t x, unsigned n)
{
	return x << n | x >> (32 - n);
}

/* One block of SHA-1 (FIPS 180-4, 6.1.2). */
static void sha1_block(uint32_t h[5], const uint8_t *p)
{
	uint32_t w[80], s[5];

	for (unsigned i = 0; i < 16; i++)
		w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 |
		       (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
	for (unsigned i = 16; i < 80; i++)
		w[i] = turn(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	memcpy(s, h, sizeof(s));
	for (unsigned i = 0; i < 80; i++) {
		uint32_t f, k, t;

		if (i < 20)
			f = (s[1] & s[2]) | (~s[1] & s[3]), k = 0x5a827999;
		else if (i < 40)
			f = s[1] ^ s[2] ^ s[3], k = 0x6ed9eba1;
		else if (i < 60)
			f = (s[1] & s[2]) | (s[1] & s[3]) | (s[2] & s[3]), k = 0x8f1bbcdc;
		else
			f = s[1] ^ s[2] ^ s[3], k = 0xca62c1d6;
		t = turn(s[0], 5) + f + s[4] + k + w[i];
		s[4] = s[3], s[3] = s[2], s[2] = turn(s[1], 30), s[1] = s[0], s[0] = t;
	}
	for (unsigned i = 0; i < 5; i++)
		h[i] += s[i];
}

/* The digest of a short text: two blocks at most. */
static void sha1(const char *text, uint8_t ret_digest[20])
{
	uint32_t h[5] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 };
	size_t n = strlen(text), blocks = n + 9 > 64 ? 2 : 1;
	uint8_t b[128] = { 0 };

	memcpy(b, text, n);
	b[n] = 0x80;
	b[64 * blocks - 2] = (uint8_t)(n >> 5);
	b[64 * blocks - 1] = (uint8_t)(n << 3);
	for (size_t i = 0; i < blocks; i++)
		sha1_block(h, b + 64 * i);
	for (unsigned i = 0; i < 20; i++)
		ret_digest[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

/* What a server answers to a key: base64 of the digest of key and the RFC's constant (RFC 6455, 4.2.2). */
static void accept_of(const char *key, char ret_text[29])
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint8_t d[21] = { 0 };
	char both[96];

	snprintf(both, sizeof(both), "%.40s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
	sha1(both, d);
	for (unsigned i = 0; i < 7; i++) {
		uint32_t v = (uint32_t)d[3 * i] << 16 | (uint32_t)d[3 * i + 1] << 8 | d[3 * i + 2];

		for (unsigned j = 0; j < 4; j++)
			ret_text[4 * i + j] = digits[v >> (18 - 6 * j) & 63];
	}
	ret_text[27] = '=';
	ret_text[28] = 0;
}

/* An HTTP head, byte by byte: what follows it belongs to the frames. */
static bool read_head(int fd, char *head, size_t room)
{
	size_t n = 0;

	while (n + 1 < room && ends_read(fd, head + n, 1) == 1) {
		head[++n] = 0;
		if (n >= 4 && memcmp(head + n - 4, "\r\n\r\n", 4) == 0)
			return true;
	}
	return false;
}

/* The value of a field as it is written here: "Name: value". */
static bool field(const char *head, const char *name, char *ret_value, size_t room)
{
	const char *at = strstr(head, name), *end = at ? strstr(at, "\r\n") : NULL;

	if (!end || (size_t)(end - at) - strlen(name) >= room)
		return false;
	at += strlen(name);
	memcpy(ret_value, at, (size_t)(end - at));
	ret_value[end - at] = 0;
	return true;
}

/* Clients mask what they send (RFC 6455, 5.3); mask 0 is a server's frame. */
static bool put_frame(int fd, enum opcode op, const uint8_t *p, size_t n, uint32_t mask)
{
	uint8_t *f = malloc(n + 14);
	size_t h = 2;
	bool ok;

	if (!f)
		return false;
	f[0] = (uint8_t)(0x80 | op);
	if (n < 126) {
		f[1] = (uint8_t)n;
	} else {
		unsigned bytes = n < 65536 ? 2 : 8;

		f[1] = bytes == 2 ? 126 : 127;
		for (unsigned i = 0; i < bytes; i++)
			f[h++] = (uint8_t)((uint64_t)n >> 8 * (bytes - 1 - i));
	}
	if (mask) {
		f[1] |= 0x80;
		memcpy(f + h, &mask, 4);
		h += 4;
	}
	for (size_t i = 0; i < n; i++)
		f[h + i] = (uint8_t)(p[i] ^ (mask ? f[h - 4 + i % 4] : 0));
	ok = ends_write(fd, f, h + n);
	free(f);
	return ok;
}

/* The next frame's opcode, or -1 at the end of the stream or for one that is too long; a frame that is not masked as it must be is an error. */
static int get_frame(int fd, uint8_t *p, size_t *ret_n, bool masked)
{
	uint8_t h[8], m[4] = { 0 };
	uint64_t n;
	int op;

	if (ends_read(fd, h, 2) != 2 || !(h[0] & 0x80) || masked != !!(h[1] & 0x80))
		return -1;
	op = h[0] & 15;
	n = h[1] & 127;
	if (n > 125) {
		size_t bytes = n == 126 ? 2 : 8;

		if (ends_read(fd, h, bytes) != bytes)
			return -1;
		n = 0;
		for (size_t i = 0; i < bytes; i++)
			n = n << 8 | h[i];
	}
	if (n > MESSAGE_MAX || (masked && ends_read(fd, m, 4) != 4) || ends_read(fd, p, n) != n)
		return -1;
	for (size_t i = 0; masked && i < n; i++)
		p[i] ^= m[i % 4];
	*ret_n = n;
	return op;
}

int ws_echo(int fd)
{
	char head[2048], key[64], answer[29], line[256];
	size_t n;
	int op;

	if (!read_head(fd, head, sizeof(head)) ||
	    !field(head, "Sec-WebSocket-Key: ", key, sizeof(key)))
		return 1;
	accept_of(key, answer);
	snprintf(line, sizeof(line),
		 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		 "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		 answer);
	if (!ends_write(fd, line, strlen(line)))
		return 1;
	while ((op = get_frame(fd, message, &n, true)) >= 0) {
		if (!put_frame(fd, op == WS_PING ? WS_PONG : (enum opcode)op, message, n, 0))
			return 1;
		if (op == WS_CLOSE)
			return 0;
	}
	return 1;
}

static int upgrade(int fd)
{
	static const char ask[] =
		"GET /echo HTTP/1.1\r\nHost: server.example.org\r\nUpgrade: websocket\r\n"
		"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
		"Sec-WebSocket-Version: 13\r\n\r\n";
	char head[2048], accept[64];

	if (!ends_write(fd, ask, sizeof(ask) - 1) || !read_head(fd, head, sizeof(head)))
		return ends_fail("no answer to the upgrade");
	/* The key and its answer are the RFC's own example (section 1.3). */
	if (strncmp(head, "HTTP/1.1 101 ", 13) != 0 ||
	    !field(head, "Sec-WebSocket-Accept: ", accept, sizeof(accept)) ||
	    strcmp(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") != 0) {
		fprintf(stderr, "peer: not upgraded: %s", head);
		return 1;
	}
	return 0;
}

/* Sends one frame and wants one back, of the opcode that answers it, with the same bytes. */
static bool there_and_back(int fd, enum opcode op, const uint8_t *p, size_t n)
{
	int want = op == WS_PING ? WS_PONG : (int)op, got;
	size_t back = 0;

	if (!put_frame(fd, op, p, n, 0x5a17c3e9u + (uint32_t)n))
		return ends_fail("cannot send"), false;
	got = get_frame(fd, message, &back, false);
	if (got == want && back == n && memcmp(message, p, n) == 0)
		return true;
	fprintf(stderr, "peer: sent opcode %d, %zu bytes: got opcode %d, %zu bytes\n", (int)op, n,
		got, back);
	return false;
}

int ws_talk(int fd, int count)
{
	static uint8_t bytes[MESSAGE_MAX];
	uint32_t x = 1;

	if (upgrade(fd) != 0)
		return 1;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)((x = x * 1664525u + 1013904223u) >> 24);
	for (int i = 0; i < count; i++) {
		/* 0, 125 to 127 and 65535 to 65537 bytes are where the length's form changes. */
		static const size_t edges[] = { 0, 1, 125, 126, 127, 65535, 65536, 65537 };
		size_t n = i < 8 ? edges[i] : (size_t)i * 997 % MESSAGE_MAX;

		if (!there_and_back(fd, i & 1 ? WS_TEXT : WS_BINARY, bytes, n))
			return 1;
		if (i % 5 == 0 && !there_and_back(fd, WS_PING, bytes, n % 126))
			return 1;
	}
	if (!there_and_back(fd, WS_CLOSE, (const uint8_t *)"\x03\xe8", 2))
		return 1;
	if (ends_read(fd, message, 1) != 0) {
		fprintf(stderr, "peer: bytes after the close\n");
		return 1;
	}
	return 0;
}
