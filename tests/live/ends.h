/* SPDX-License-Identifier: MIT */
/*
 * ends - sockets of the test's own peers: connected, listening, read and written whole.
 *
 * Owns: what is asked of every socket of this process (ends_ask).  Does not: know what is said over them.
 */
#ifndef TESTS_LIVE_ENDS_H
#define TESTS_LIVE_ENDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Says on standard error that something failed, and errno's text.  Returns 1, an exit code. */
int ends_fail(const char *what);

/* Milliseconds of a clock that only goes on. */
double ends_now_ms(void);

/*
 * What sockets made from now on are to be: "--mptcp" (Multipath TCP), "--md5=ADDRESS" (segments to and from that address signed, RFC 2385),
 * "--fastopen" (clients send their first bytes in the SYN where they may), "--user-timeout=MS" (the kernel gives up when data is not acknowledged
 * for so long), "--keepalive=S" (it probes a peer that was silent for so long, twice).  False if the word is none of these.
 */
bool ends_ask(const char *word);

/* Writes or reads all n bytes.  ends_read returns how many there were before the end of the stream. */
bool ends_write(int fd, const void *p, size_t n);
size_t ends_read(int fd, void *p, size_t n);

/* A connected socket, or -1 and errno; host is a numeric address, sport "" leaves the source port to the kernel. */
int ends_connect(const char *host, const char *port, const char *sport);

/*
 * Listens on both families, says "ready" on standard output, and hands each connection to a child that runs serve().
 * Returns only if it cannot listen, with an exit code.
 */
int ends_serve(const char *port, int (*serve)(int fd));

#endif
