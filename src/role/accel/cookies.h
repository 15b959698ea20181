/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_ACCEL_COOKIES_H
#define SUT_ROLE_ACCEL_COOKIES_H
/*
 * cookies - TCP Fast Open cookies (RFC 7413) by client address, server address and port.
 *
 * A server gives a cookie to a client's address; data in that client's SYNs is taken only with it.  The box asks for it in the client's
 * name, with the SYN of a connection that it does not promise, and keeps it for those that it does.
 *
 * Owns:     a cache of four-way sets: a new cookie takes the place of the one not used for longest.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/time.h"
#include "core/quad.h"
#include "core/record.h"

#define COOKIE_MAX 16u /* bytes of a cookie (RFC 7413, 4.1.1) */
#define COOKIE_MIN 4u

struct cookie {
	struct flow_key who; /* src: client, dst and dport: server; sport 0 */
	uint8_t len; /* 0: the slot is free */
	uint8_t bytes[COOKIE_MAX];
	sut_time used_at;
};

struct cookies;

/* Bytes for a cache of at least n cookies. */
size_t cookies_need(uint32_t n);
struct cookies *cookies_init(void *block, uint32_t n, const uint8_t secret[16]);

/* The cookie for this client's key, or NULL. */
const struct cookie *cookies_find(struct cookies *c, const struct flow_key *client_key,
				  sut_time now);

/* Keeps a cookie of COOKIE_MIN to COOKIE_MAX bytes; false if its length is none that there is. */
bool cookies_put(struct cookies *c, const struct flow_key *client_key, const uint8_t *bytes,
		 size_t len, sut_time now);

void cookies_forget(struct cookies *c, const struct flow_key *client_key);

/* Slots, taken or not, for walks. */
uint32_t cookies_slots(const struct cookies *c);
const struct cookie *cookies_at(const struct cookies *c, uint32_t slot);

/* One cookie as a record (REC_ACCEL_COOKIE), and back: 0, or -EPROTO, -EINVAL. */
void cookie_save(const struct cookie *k, struct record *ret_r);
int cookies_restore(struct cookies *c, struct record_reader *rd, sut_time now);
#endif
