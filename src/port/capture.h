/* SPDX-License-Identifier: MIT */
#ifndef SUT_PORT_CAPTURE_H
#define SUT_PORT_CAPTURE_H
/*
 * capture - capture files of Ethernet frames: pcap of either precision and pcapng to read, pcap with nanoseconds to write.
 *
 * The only user of libpcap.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/packet.h"
#include "base/time.h"

struct capture;
struct capture_writer;

struct capture_frame {
	sut_time at; /* nanoseconds since 1970 */
	const uint8_t *bytes; /* valid until the next call on the same capture */
	uint32_t len; /* bytes that are there */
	uint32_t wire_len; /* bytes that there were: more if the frame was cut */
};

/* Opens file ("-": standard input): 0, or -errno with a sentence in ret_err that names the file. */
int capture_open(const char *file, struct capture **ret_c, char *ret_err, size_t err_size);

/* The next frame: 1; 0 at the end; -EIO if the file is damaged or ends in mid-frame: see capture_error(). */
int capture_next(struct capture *c, struct capture_frame *ret_f);

/* What was wrong, with the file's name. */
const char *capture_error(const struct capture *c);

void capture_close(struct capture *c);

/* Creates or overwrites file ("-": standard output): 0, or -errno with a sentence in ret_err. */
int capture_create(const char *file, struct capture_writer **ret_w, char *ret_err, size_t err_size);

/* Adds p as of time at.  A partial checksum is finished on the way, so that a reader finds what a wire would have carried. */
void capture_write(struct capture_writer *w, const struct packet *p, sut_time at);

/* Writes out what is buffered: 0 or -errno. */
int capture_flush(struct capture_writer *w);

/* Ends the file: 0, or -errno with a sentence in ret_err if something could not be written (a full disk). */
int capture_finish(struct capture_writer *w, char *ret_err, size_t err_size);
#endif
