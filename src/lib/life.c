/* SPDX-License-Identifier: MIT */
#include "lib/inside.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>

#include "base/reason.h"

_Static_assert(SUT_HEADROOM == PACKET_HEADROOM, "the header says so");
_Static_assert(SUT_IOVS == STACK_SLICES + 1, "headers, and each slice");
_Static_assert((int)SUT_CSUM_UNKNOWN == CSUM_UNKNOWN && (int)SUT_CSUM_COMPLETE == CSUM_COMPLETE &&
		       (int)SUT_CSUM_PARTIAL == CSUM_PARTIAL,
	       "the same numbers");

const char *sut_version(void)
{
	return SUT_VERSION;
}

/* --- the world, where the caller gives none */

static uint64_t clock_default(void *ctx)
{
	struct timespec t;

	(void)ctx;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t random_default(void *ctx)
{
	uint64_t v = 0;

	(void)ctx;
	/* Cannot fail or be cut short for 8 bytes once the system has given any, which sut_stack_new() has seen. */
	while (getrandom(&v, sizeof v, 0) != (ssize_t)sizeof v)
		;
	return v;
}

/* --- what the pure stack calls */

static uint64_t env_random(void *ctx)
{
	const struct sut_stack *s = ctx;

	return s->random(s->ctx);
}

static void env_trace(void *ctx, sut_time now, conn_id id, const char *from, const char *to,
		      const char *why)
{
	const struct sut_stack *s = ctx;

	s->trace(s->ctx, now, id, from, to, why);
}

static void env_release(void *ctx, uint64_t cookie)
{
	const struct sut_stack *s = ctx;

	s->release(s->ctx, cookie);
}

static int env_emit(void *ctx, const struct stack_out *p)
{
	struct sut_stack *s = ctx;
	struct sut_packet out = {
		.iov = s->iov,
		.iovs = 1 + p->n,
		.len = p->head_len + p->payload_len,
		.off = { .csum = p->off.csum,
			 .gso_type = p->off.gso_type,
			 .gso_size = p->off.gso_size,
			 .hdr_len = p->off.hdr_len,
			 .csum_start = p->off.csum_start,
			 .csum_offset = p->off.csum_offset },
	};

	s->iov[0] = (struct iovec){ p->head, p->head_len };
	for (uint32_t i = 0; i < p->n; i++)
		s->iov[1 + i] = (struct iovec){ (void *)(uintptr_t)p->slice[i].bytes,
						p->slice[i].len };
	return s->output(s->ctx, &out);
}

/* --- life */

/* The caller's secret, or one that nobody has. */
static int secret_of(const struct sut_stack_config *c, uint8_t ret_secret[16])
{
	ssize_t n;

	if (c->secret != NULL) {
		memcpy(ret_secret, c->secret, 16);
		return 0;
	}
	n = getrandom(ret_secret, 16, 0);
	return n == 16 ? 0 : n < 0 ? -errno : -EIO;
}

/* Bytes of struct sut_stack, so that the block behind it is aligned. */
static size_t front(void)
{
	return (sizeof(struct sut_stack) + 63) / 64 * 64;
}

int sut_stack_new(const struct sut_stack_config *config, struct sut_stack **ret_s, char *ret_error)
{
	struct sut_stack_config full, *c = &full;
	struct stack_config pure;
	struct stack_env env = { .random = env_random, .emit = env_emit };
	char error[SUT_ERROR_TEXT];
	struct sut_stack *s;
	size_t size;
	int e;

	if (ret_error == NULL)
		ret_error = error;
	e = lib_read(config, c, ret_error);
	if (e < 0)
		return e;
	e = lib_configure(c, front(), &pure, ret_error);
	if (e < 0)
		return e;
	e = secret_of(c, env.secret);
	if (e < 0)
		return e;
	size = front() + stack_need(&pure, error);
	s = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		 -1, 0);
	if (s == MAP_FAILED)
		return -ENOMEM;
	s->mapped = size;
	s->output = c->output;
	s->clock = c->clock != NULL ? c->clock : clock_default;
	s->random = c->random != NULL ? c->random : random_default;
	s->trace = c->trace;
	s->release = c->release;
	s->ctx = c->ctx;
	env.trace = s->trace != NULL ? env_trace : NULL;
	env.release = s->release != NULL ? env_release : NULL;
	env.ctx = s;
	s->pure = stack_init((uint8_t *)s + front(), &pure, &env, stack_now(s));
	*ret_s = s;
	return 0;
}

void sut_stack_free(struct sut_stack *s)
{
	if (s != NULL)
		munmap(s, s->mapped);
}

/* --- packets */

int sut_stack_input(struct sut_stack *s, const void *packet, size_t len,
		    const struct sut_offload *off)
{
	struct packet p = { .head = (uint8_t *)(uintptr_t)packet, .head_len = (uint32_t)len };
	enum reason why;
	struct view v;

	if (off != NULL)
		p.off = (struct offload){ .csum = off->csum,
					  .gso_type = off->gso_type,
					  .gso_size = off->gso_size,
					  .hdr_len = off->hdr_len,
					  .csum_start = off->csum_start,
					  .csum_offset = off->csum_offset };
	why = len > PACKET_MAX ? R_TOO_LONG : view_parse_ip(&p, &v);
	if (why == R_NONE)
		why = stack_input(s->pure, &p, &v, stack_now(s));
	if (why == R_NONE)
		return 0;
	s->dropped = why;
	return -EINVAL;
}

const char *sut_stack_dropped(const struct sut_stack *s)
{
	return s->dropped == R_NONE ? "" : reason_label(s->dropped);
}

void sut_stack_flush(struct sut_stack *s)
{
	stack_flush(s->pure, stack_now(s));
}

/* --- time */

void sut_stack_run(struct sut_stack *s)
{
	stack_expire(s->pure, stack_now(s));
}

uint64_t sut_stack_deadline(const struct sut_stack *s)
{
	return stack_deadline(s->pure);
}

int sut_stack_timeout(const struct sut_stack *s)
{
	uint64_t at = stack_deadline(s->pure), now = stack_now(s), ms;

	if (stack_has_events(s->pure))
		return 0;
	if (at == SUT_NEVER)
		return -1;
	if (at <= now)
		return 0;
	ms = (at - now + 999999) / 1000000;
	return ms > INT_MAX ? INT_MAX : (int)ms;
}
