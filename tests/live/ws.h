/* SPDX-License-Identifier: MIT */
/*
 * ws - a WebSocket end (RFC 6455) small enough for a test: upgrade, text and binary frames, masks, ping, pong, close.
 *
 * Does not: fragments of messages, extensions, subprotocols.
 */
#ifndef TESTS_LIVE_WS_H
#define TESTS_LIVE_WS_H

/* Serves one accepted connection: upgrades it, gives back each message, answers pings.  Returns an exit code. */
int ws_echo(int fd);

/* Sends count messages of growing length over a connected socket, with pings between them, and compares what comes back.  Exit code. */
int ws_talk(int fd, int count);

#endif
