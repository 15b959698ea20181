/* SPDX-License-Identifier: MIT */
#include "replica_world.h"

#include "proto/checksum.h"
#include "proto/tcp.h"

/*
 * Theory of operation
 *
 * The secondary's frames are judged where they leave the rewriter, before the failover too: their
 * bytes and acks must make sense in the primary's numbers, whether a client ever gets them or not.
 *
 * Of timestamps, the rewriter has seen what the clients have echoed before the failover, and what the
 * primary has sent where that is copied to it, its SYN behind the client's.  What it sends then begins there, and never goes
 * back.  (The primary's very last words it may not have seen: the clients drop a few segments then
 * until the clock has caught up.)
 */

#define FRAME_MOST 1518u

static void check_frame(struct pair_conn *c, const char *where, const struct packet *p,
			const struct view *v)
{
	if (!csum_ip_ok(p, v))
		run_broken(&c->world->run, "%s: IPv4 header checksum", where);
	if (!csum_tcp_ok(p, v))
		run_broken(&c->world->run, "%s: TCP checksum", where);
	if (packet_len(p) > FRAME_MOST)
		run_broken(&c->world->run, "%s: a frame of %u bytes", where, packet_len(p));
}

static void raise(struct pair_conn *c, uint32_t ts)
{
	if (!c->ts_known || (int32_t)(ts - c->ts_last) > 0)
		c->ts_last = ts;
	c->ts_known = true;
}

void pair_watch_seen(struct pair_conn *c, const struct packet *p, const struct view *v,
		     bool by_primary)
{
	struct tcp_options o;

	if (view_options(p, v, &o) != R_NONE || !(o.present & OPT_TS) || (v->flags & TCP_RST))
		return;
	if (c->world->site.failed_over)
		return;
	if (!by_primary && (v->flags & TCP_SYN))
		c->syn_seen = true;
	if (by_primary && (v->flags & TCP_SYN) && (c->syn_seen || c->plan->guest_opens))
		c->p_told = true;
	if (by_primary && c->p_told)
		raise(c, o.tsval);
	else if (!by_primary && (v->flags & (TCP_ACK | TCP_SYN)) == TCP_ACK)
		raise(c, o.tsecr);
}

static bool outside_knows(const struct pair_conn *c)
{
	return c->out.state >= PEER_SYN_RECEIVED && c->out.state <= PEER_DONE;
}

static void check_tsval(struct pair_conn *c, const struct packet *p, const struct view *v)
{
	struct tcp_options o;

	if (!c->ts_known || (v->flags & TCP_RST) || view_options(p, v, &o) != R_NONE ||
	    !(o.present & OPT_TS))
		return;
	if ((int32_t)(o.tsval - c->ts_last) < 0)
		run_broken(&c->world->run, "TSval %u goes back behind %u after the failover",
			   o.tsval, c->ts_last);
	else
		c->ts_last = o.tsval;
}

/* Bytes and ack, in the numbers that the outside knows. */
static void check_numbers(struct pair_conn *c, const struct packet *p, const struct view *v)
{
	const struct peer *s = &c->s;
	int64_t at = (int32_t)(v->seq - c->out.peer_isn - 1);
	int64_t ack = (int32_t)(v->ack - s->peer_isn - 1);

	if (at < -1 || at + v->payload_len + !!(v->flags & TCP_FIN) > s->max) {
		run_broken(&c->world->run, "secondary: bytes %lld to %lld, it has sent %u",
			   (long long)at, (long long)at + v->payload_len, s->max);
		return;
	}
	for (uint32_t i = 0; i < v->payload_len; i++)
		if (p->head[v->payload + i] !=
		    peer_byte(s->cfg.content, s->cfg.kind == PEER_CLIENT, (uint32_t)at + i)) {
			run_broken(&c->world->run, "secondary: byte %lld is another one's",
				   (long long)at + i);
			return;
		}
	if (ack > s->told)
		run_broken(&c->world->run, "secondary: acknowledges %lld of %u", (long long)ack,
			   s->told);
}

void pair_watch_far(struct pair_conn *c, const struct packet *p, const struct view *v)
{
	struct pair_world *w = c->world;

	if (w->run.opt.fates)
		return;
	check_frame(c, "rewriter's output", p, v);
	/* A SYN-ACK in its own numbers begins a clock of its own. */
	if ((v->flags & TCP_SYN) && v->seq == c->s.cfg.isn)
		c->ts_known = false;
	if (!outside_knows(c) || pair_gave_up(&w->site) || (v->flags & (TCP_SYN | TCP_RST)) ||
	    !(v->flags & TCP_ACK))
		return;
	if (c->s.state >= PEER_OPEN && c->s.state <= PEER_DONE)
		check_numbers(c, p, v);
	if (w->site.failed_over)
		check_tsval(c, p, v);
}

static void check_joint(struct pair_conn *c, const struct view *v)
{
	const struct peer *s = &c->s;
	int64_t end = (int32_t)(v->seq - c->p.cfg.isn - 1) + (int64_t)view_seg_len(v);
	int64_t ack = (int32_t)(v->ack - s->peer_isn - 1);

	if ((v->flags & TCP_SYN) && s->state < PEER_SYN_SENT)
		run_broken(&c->world->run, "released a SYN that the secondary has not sent");
	if ((v->flags & TCP_SYN) || s->state < PEER_SYN_RECEIVED)
		return;
	if ((v->payload_len || (v->flags & TCP_FIN)) && end > s->max)
		run_broken(&c->world->run, "released up to byte %lld, the secondary has sent %u",
			   (long long)end, s->max);
	if ((v->flags & (TCP_ACK | TCP_RST)) == TCP_ACK && ack > s->told)
		run_broken(&c->world->run, "acknowledged up to byte %lld, the secondary %u",
			   (long long)ack, s->told);
}

/* Before the failover the primary alone is heard, behind it the secondary. */
static void check_speaker(struct pair_conn *c, const struct packet *p)
{
	bool primary = p->head[11] == 0x02 + PAIR_P_MARK;

	if (primary && c->world->site.compare_failed_over)
		run_broken(&c->world->run, "the dead primary is heard");
	if (!primary && !c->world->site.turning && !c->world->site.compare_failed_over)
		run_broken(&c->world->run, "the secondary is heard beside the primary");
}

void pair_watch_down(struct pair_conn *c, const struct packet *p, const struct view *v)
{
	if (c->world->run.opt.fates)
		return;
	check_frame(c, "to the client", p, v);
	check_speaker(c, p);
	if (c->world->site.compare.ops && !c->world->site.compare_failed_over)
		check_joint(c, v);
}
