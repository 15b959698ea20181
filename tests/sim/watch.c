/* SPDX-License-Identifier: MIT */
#include "watch.h"

#include <stdio.h>

#include "proto/checksum.h"
#include "proto/tcp.h"

#define FRAME_MOST 1518u /* an Ethernet frame with a tag, of 1500 bytes of IP */

void watch_init(struct watch *w, uint32_t client_isn, uint32_t server_isn)
{
	*w = (struct watch){ .client_isn = client_isn, .server_isn = server_isn };
}

/*
 * How much ack covers of a stream with this ISN: 0 for nothing, 1 for the SYN; old strays count as
 * negative.
 */
static int64_t covered(uint32_t ack, uint32_t isn)
{
	return (int32_t)(ack - isn);
}

void watch_in(struct watch *w, bool from_client, const struct view *v)
{
	int64_t *high = from_client ? &w->client_ack : &w->server_ack;
	uint32_t isn = from_client ? w->near_isn : w->client_isn;

	if (!(v->flags & TCP_ACK) || (from_client && !w->near_known))
		return;
	if (covered(v->ack, isn) > *high)
		*high = covered(v->ack, isn);
}

static const char *out_client(struct watch *w, const struct view *v, char *ret_text, unsigned size)
{
	int64_t most = w->server_ack > 1 ? w->server_ack : 1;

	if ((v->flags & TCP_SYN) && w->near_known && v->seq != w->near_isn) {
		snprintf(ret_text, size, "was %u, is %u", w->near_isn, v->seq);
		return "the ISN that the client sees changed";
	}
	if (v->flags & TCP_SYN) {
		w->near_known = true;
		w->near_isn = v->seq;
	}
	if ((v->flags & TCP_ACK) && covered(v->ack, w->client_isn) > most) {
		snprintf(ret_text, size, "acknowledges %lld, the server %lld",
			 (long long)covered(v->ack, w->client_isn), (long long)w->server_ack);
		return "the client's bytes were acknowledged before the server did";
	}
	return NULL;
}

static const char *out_server(struct watch *w, const struct view *v, char *ret_text, unsigned size)
{
	if ((v->flags & TCP_SYN) && v->seq != w->client_isn) {
		snprintf(ret_text, size, "was %u, is %u", w->client_isn, v->seq);
		return "the client's ISN changed on its way";
	}
	if ((v->flags & TCP_ACK) && covered(v->ack, w->server_isn) > w->client_ack) {
		snprintf(ret_text, size, "acknowledges %lld, the client %lld",
			 (long long)covered(v->ack, w->server_isn), (long long)w->client_ack);
		return "the server's bytes were acknowledged before the client did";
	}
	return NULL;
}

const char *watch_out(struct watch *w, bool to_client, const struct packet *p, const struct view *v,
		      char *ret_text, unsigned size)
{
	ret_text[0] = '\0';
	if (!csum_ip_ok(p, v))
		return "IPv4 header checksum";
	if (!csum_tcp_ok(p, v))
		return "TCP checksum";
	if (packet_len(p) > FRAME_MOST) {
		snprintf(ret_text, size, "%u bytes", packet_len(p));
		return "frame longer than the link carries";
	}
	return to_client ? out_client(w, v, ret_text, size) : out_server(w, v, ret_text, size);
}
