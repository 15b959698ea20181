/* SPDX-License-Identifier: MIT */
#include "port/capture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pcap/pcap.h>

#include "proto/checksum.h"

struct capture {
	pcap_t *pcap;
	char file[256];
	char error[PCAP_ERRBUF_SIZE +
		   300]; /* stays once it is set: libpcap would call a cut file ended next time */
};

static int check_link(pcap_t *pcap, const char *file, char *ret_err, size_t err_size)
{
	int link = pcap_datalink(pcap);
	const char *name = pcap_datalink_val_to_name(link);

	if (link == DLT_EN10MB)
		return 0;
	snprintf(ret_err, err_size,
		 "%s: link type %s: only captures of Ethernet frames can be read (capture on one "
		 "interface, not on 'any')",
		 file, name ? name : "unknown");
	return -EPROTONOSUPPORT;
}

int capture_open(const char *file, struct capture **ret_c, char *ret_err, size_t err_size)
{
	char why[PCAP_ERRBUF_SIZE];
	struct capture *c;
	pcap_t *pcap;
	int err;

	pcap = pcap_open_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, why);
	if (!pcap) {
		/* libpcap names the file itself where it could not open it */
		if (strncmp(why, file, strlen(file)) == 0)
			snprintf(ret_err, err_size, "%s", why);
		else
			snprintf(ret_err, err_size, "%s: %s", file, why);
		return -EIO;
	}
	err = check_link(pcap, file, ret_err, err_size);
	c = err ? NULL : calloc(1, sizeof *c);
	if (!c) {
		pcap_close(pcap);
		if (!err)
			snprintf(ret_err, err_size, "%s: out of memory", file);
		return err ? err : -ENOMEM;
	}
	c->pcap = pcap;
	snprintf(c->file, sizeof c->file, "%s", file);
	*ret_c = c;
	return 0;
}

int capture_next(struct capture *c, struct capture_frame *ret_f)
{
	struct pcap_pkthdr *h;
	const u_char *bytes;
	int got;

	if (*c->error)
		return -EIO;
	got = pcap_next_ex(c->pcap, &h, &bytes);
	if (got == PCAP_ERROR_BREAK)
		return 0;
	if (got != 1) {
		snprintf(c->error, sizeof c->error, "%s: %s", c->file, pcap_geterr(c->pcap));
		return -EIO;
	}
	*ret_f = (struct capture_frame){
		/* with nanosecond precision tv_usec holds nanoseconds */
		.at = (sut_time)h->ts.tv_sec * 1000000000u + (sut_time)h->ts.tv_usec,
		.bytes = bytes,
		.len = h->caplen,
		.wire_len = h->len,
	};
	return 1;
}

const char *capture_error(const struct capture *c)
{
	return c->error;
}

void capture_close(struct capture *c)
{
	pcap_close(c->pcap);
	free(c);
}

#define SNAPLEN 262144

struct capture_writer {
	pcap_t *pcap;
	pcap_dumper_t *dump;
	char file[256];
	uint8_t frame[PACKET_MAX];
};

int capture_create(const char *file, struct capture_writer **ret_w, char *ret_err, size_t err_size)
{
	struct capture_writer *w = calloc(1, sizeof *w);

	if (!w) {
		snprintf(ret_err, err_size, "%s: out of memory", file);
		return -ENOMEM;
	}
	snprintf(w->file, sizeof w->file, "%s", file);
	w->pcap = pcap_open_dead_with_tstamp_precision(DLT_EN10MB, SNAPLEN,
						       PCAP_TSTAMP_PRECISION_NANO);
	w->dump = w->pcap ? pcap_dump_open(w->pcap, file) : NULL;
	if (!w->dump) {
		snprintf(ret_err, err_size, "%s", w->pcap ? pcap_geterr(w->pcap) : "out of memory");
		if (w->pcap)
			pcap_close(w->pcap);
		free(w);
		return -EIO;
	}
	*ret_w = w;
	return 0;
}

/* The frame in one piece, its checksum finished. */
static uint32_t gather(struct capture_writer *w, const struct packet *p)
{
	struct packet whole = { .head = w->frame, .off = p->off };
	uint32_t body = p->body_len;

	if (p->head_len > PACKET_MAX)
		return 0;
	if (body > PACKET_MAX - p->head_len)
		body = PACKET_MAX - p->head_len;
	memcpy(w->frame, p->head, p->head_len);
	if (body)
		memcpy(w->frame + p->head_len, p->body, body);
	whole.head_len = p->head_len + body;
	if (whole.off.csum == CSUM_PARTIAL)
		csum_finish(&whole);
	return whole.head_len;
}

void capture_write(struct capture_writer *w, const struct packet *p, sut_time at)
{
	struct pcap_pkthdr h = {
		.ts.tv_sec = (time_t)(at / 1000000000u),
		.ts.tv_usec = (suseconds_t)(at % 1000000000u),
		.caplen = gather(w, p),
		.len = packet_len(p),
	};

	pcap_dump((u_char *)w->dump, &h, w->frame);
}

int capture_flush(struct capture_writer *w)
{
	if (pcap_dump_flush(w->dump) != 0)
		return -errno;
	return ferror(pcap_dump_file(w->dump)) ? -EIO : 0; /* an earlier write failed */
}

int capture_finish(struct capture_writer *w, char *ret_err, size_t err_size)
{
	int err = capture_flush(w);

	if (err)
		snprintf(ret_err, err_size, "%s: %s", w->file, strerror(-err));
	pcap_dump_close(w->dump);
	pcap_close(w->pcap);
	free(w);
	return err;
}
