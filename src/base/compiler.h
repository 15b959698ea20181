/* SPDX-License-Identifier: MIT */
#ifndef SUT_BASE_COMPILER_H
#define SUT_BASE_COMPILER_H
/* compiler - the only place where GNU extensions are named. */

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define prefetch(p) __builtin_prefetch(p)
#define prefetch_write(p) __builtin_prefetch((p), 1)

#define SUT_INLINE static inline __attribute__((always_inline))
#define SUT_NOINLINE __attribute__((noinline))
#define SUT_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define SUT_FALLTHROUGH __attribute__((fallthrough))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#endif
