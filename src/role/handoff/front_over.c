/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <assert.h>

#include "role/handoff/front_inside.h"

/*
 * Theory of operation
 *
 * Goal: the connection goes to a back end with every byte that the client was told had arrived, exactly one host ever answers, and every wait ends.
 *
 *             request whole          ready              way laid, bytes sent        acknowledged
 *   READING ────────────────► ASKED ───────► READY ─────────────────────► REPLAY ───────────────► THERE ─► CLOSING ─► LINGER ─► (free)
 *      │                        │ refused, or no answer                      │ in time: no             FIN      both, or gone
 *      │ 4xx, 503               ▼                                            ▼
 *   ANSWERED ◄── nobody ── the next rung, ◄── nothing came of it ──────── RETRACT ── silence ─► reset
 *                          another back end
 *
 *   state     in the stack   the client's packets   waits for                        at most, then
 *   READING   yes            the stack              the head of its request          head_timeout: 408, or closed
 *   ANSWERED  yes            the stack              the client's FIN                 5 s: let go
 *   ASKED     no             data kept, else dropped ready; the splice's SYN-ACK     confirm_timeout: next rung
 *   READY     no             data kept, else dropped room in the outbox              the next call
 *   REPLAY    no             forwarded              word that all bytes are there    confirm_timeout: RETRACT; 60 s if the back end was heard of: reset
 *   RETRACT   no             dropped, counted       word that nothing is there       10 s: reset
 *   THERE     no             forwarded              a FIN, a RST, the agent          idle_timeout: forgotten
 *   CLOSING   no             forwarded              the other FIN                    idle_timeout: forgotten
 *   LINGER    no             forwarded              -                                linger: forgotten; sooner for want of room, if nobody lacks anything
 *
 * The stack lets go at ASKED, silently, so no number moves any more while the agent is asked.  What the client sends meanwhile is kept where there
 * is room, else dropped: it is not acknowledged, so the client sends it again; the hand-off is found by its quad before the stack is asked, so
 * nothing is reset.  The way is laid before the bytes are sent (what comes in between is forwarded first), and the bytes stay here until the back end has acknowledged them: the
 * client's copy may be gone.  Once the client has acknowledged anything of the back end's the connection never goes elsewhere.
 *
 * A connection that comes back from REPLAY may have left something half made at the back end.  So its agent is told to forget it, and has to say
 * that nothing is there (gone, unknown) before anybody else answers; if the agent stays silent the client is reset: two hosts must not answer.
 * Each attempt has an id of its own, so what is still under way about the last one means nothing.
 *
 * A probe is a hand-off of nothing, with our own address as client, that ends with a reset as soon as it is THERE.
 */

#define AGAIN SUT_MS(200)
#define REPLAY_FIRST SUT_MS(20) /* then twice as long each time */
#define REPLAY_DOUBLINGS 5

#define SETTLE_LAST SUT_MS(1000) /* who lives for that long gets a way in the kernel */
#define PROBE_LINGER SUT_MS(1000)
#define LAST_WORDS SUT_MS(1000) /* who lacks the last ACK asks for it within this time */

static bool is_probe(const struct hand *h)
{
	return h->flags & HF_PROBE;
}

void over_count(struct front *f, struct hand *h, bool on)
{
	if (h->backend == NONE || is_probe(h) || on == !!(h->flags & HF_COUNTED))
		return;
	f->cfg.routes.conns[h->backend] += on ? 1u : UINT32_MAX;
	hand_face(f, h)->conns += on ? 1u : UINT32_MAX;
	h->flags ^= HF_COUNTED;
}

/* The agent is told once; if that is lost it forgets by itself, or is told when it speaks of it. */
static void tell_forget(struct front *f, struct hand *h)
{
	struct hand_msg m = { .kind = HAND_FORGET, .id = h->id };

	if ((h->flags & HF_TOLD) && h->backend != NONE)
		front_tell_agent(f, h->backend, &m);
}

/* The host's answers, if it has it after all, must reach nobody. */
static void tell_retract(struct front *f, struct hand *h)
{
	struct hand_msg m = { .kind = HAND_MUTE, .id = h->id };

	if (!(h->flags & HF_KNOWN))
		rung_announce(f, h); /* or it could not know what is meant */
	front_tell_agent(f, h->backend, &m);
	tell_forget(f, h);
}

static void ask_state(struct front *f, struct hand *h)
{
	struct hand_msg m = { .kind = HAND_ASK, .id = h->id };

	if ((h->flags & HF_TOLD) && h->backend != NONE)
		front_tell_agent(f, h->backend, &m);
}

/* It is this back end's no more. */
static void leave(struct front *f, struct hand *h)
{
	way_lift(f, h);
	if (!is_probe(h))
		hand_key_del(f, h, BACK);
	over_count(f, h, false);
	if (h->backend != NONE && hand_face(f, h)->probe == hand_index(f, h))
		hand_face(f, h)->probe = NONE;
	h->backend = NONE;
	h->flags &= (uint16_t) ~(HF_TOLD | HF_SPLICED | HF_KNOWN);
}

void over_end(struct front *f, struct hand *h, const char *why)
{
	save_journal_end(f, h);
	tell_forget(f, h);
	leave(f, h);
	if (h->conn != 0)
		(void)stack_close(f->stack, h->conn, f->now);
	h->conn = 0;
	hand_set_state(f, h, FR_FREE, why);
	hand_free(f, h);
}

/* Nobody waits for an answer: the client is gone. */
void over_forget(struct front *f, struct hand *h)
{
	if (h->rung == RUNG_SPLICE && h->backend != NONE)
		rung_reset(f, h);
	over_end(f, h, "the client is gone");
}

/* --- forth */

void over_begin(struct front *f, struct hand *h, uint32_t b, enum front_rung r)
{
	hand_renew(f, h);
	h->backend = b;
	h->rung = (uint8_t)r;
	h->acked = h->base;
	h->fins_acked = 0;
	h->has_ended = false;
	over_count(f, h, true);
	hand_set_state(f, h, FR_ASKED, rung_name(r));
	rung_ask(f, h);
}

void over_ready(struct front *f, struct hand *h)
{
	if (h->state != FR_READY)
		hand_set_state(f, h, FR_READY, "they are ready");
	if (!front_room(f, 32)) {
		hand_arm(f, h, f->now);
		return;
	}
	way_lay(f, h);
	hand_set_state(f, h, FR_REPLAY, "its way is laid");
	rung_replay(f, h);
}

static enum event handed(const struct hand *h)
{
	switch ((enum front_rung)h->rung) {
	case RUNG_ADOPT:
		return EV_HANDED_ADOPT;
	case RUNG_SHIFT:
		return EV_HANDED_SHIFT;
	case RUNG_SPLICE:
	case RUNG_NONE:
		break;
	}
	return EV_HANDED_SPLICE;
}

/* Its way stays a moment, for the reset. */
static void probe_done(struct front *f, struct hand *h, bool ok, const char *why)
{
	ladder_probed(f, h, ok, why);
	if (!(h->flags & HF_LAID)) {
		over_end(f, h, why);
		return;
	}
	rung_reset(f, h);
	hand_set_state(f, h, FR_LINGER, ok ? "probed" : why);
	hand_arm(f, h, f->now + PROBE_LINGER);
}

void over_there(struct front *f, struct hand *h)
{
	if (is_probe(h)) {
		probe_done(f, h, true, "");
		return;
	}
	hand_cells_give(f, h);
	count_event(&f->env, handed(h));
	hand_set_state(f, h, FR_THERE, "the back end has all of it");
	way_settle(f, h);
	save_journal(f, h);
	if (f->cfg.settle_after != 0)
		hand_arm(f, h, f->now + SETTLE_LAST);
	over_fin(f, h, h->d.fin_in ? HF_FIN_CLIENT : 0);
	if (h->flags & HF_CLIENT_RST) { /* that was before there was anything to reset */
		rung_reset(f, h);
		over_gone(f, h, "the client has reset it");
	}
}

/* --- and back */

static void next_rung(struct front *f, struct hand *h, enum front_rung failed)
{
	uint32_t b = h->backend;
	enum front_rung r = RUNG_NONE;

	assert(b < ROUTE_BACKENDS);
	if (hand_face(f, h)->up)
		r = ladder_rung(f, b, h, failed + 1);
	leave(f, h);
	if (h->flags & HF_CLIENT_RST) {
		over_end(f, h, "the client is gone");
		return;
	}
	if (r != RUNG_NONE) {
		over_begin(f, h, b, r);
		return;
	}
	count_event(&f->env, EV_HAND_MOVED);
	h->tried |= UINT64_C(1) << b;
	read_choose(f, h);
}

void over_failed(struct front *f, struct hand *h, const char *why)
{
	bool sent = h->state == FR_REPLAY;

	count_event(&f->env, EV_RUNG_FAILED);
	if (is_probe(h)) {
		probe_done(f, h, false, why);
		return;
	}
	if (h->rung == RUNG_SPLICE && sent)
		rung_reset(f, h);
	if (sent && (h->flags & HF_TOLD)) {
		tell_retract(f, h);
		way_lift(f, h);
		hand_set_state(f, h, FR_RETRACT, why);
		return;
	}
	tell_forget(f, h);
	next_rung(f, h, (enum front_rung)h->rung);
}

/* --- the end */

void over_gone(struct front *f, struct hand *h, const char *why)
{
	if (h->state != FR_THERE && h->state != FR_CLOSING)
		return;
	over_count(f, h, false);
	hand_set_state(f, h, FR_LINGER, why);
	way_retire(f, h);
}

void over_fin(struct front *f, struct hand *h, unsigned fins)
{
	const unsigned both = HF_FIN_CLIENT | HF_FIN_BACK;

	h->flags |= (uint16_t)(fins & both);
	if ((h->flags & both) == both)
		over_gone(f, h, "both sides have closed");
	else if ((h->flags & both) && h->state == FR_THERE)
		hand_set_state(f, h, FR_CLOSING, "a side has closed");
}

/*
 * Both FINs alone do not end it: what lies before them may be lost, and its ACKs, and what is sent again of it, come by here.  Of a splice we see
 * the ACKs of both; of others the agent knows what its host's TCP has.
 */
bool over_may_go(const struct front *f, const struct hand *h)
{
	const unsigned both = HF_FIN_CLIENT | HF_FIN_BACK;
	sut_time last = h->heard > h->since ? h->heard : h->since;

	if (h->state != FR_LINGER)
		return false;
	return is_probe(h) ||
	       ((h->has_ended || h->fins_acked == both) && f->now - last >= LAST_WORDS);
}

/* --- time */

/* How long the next copy waits: what is lost on a link goes again soon, what a host does not take goes seldom. */
static sut_time patience(const struct hand *h)
{
	return REPLAY_FIRST << (h->sends < REPLAY_DOUBLINGS ? h->sends : REPLAY_DOUBLINGS);
}

static void asked_expired(struct front *f, struct hand *h)
{
	sut_time wait;

	if (f->now - h->since >= f->cfg.confirm_timeout) {
		ladder_unanswered(f, h, "no answer came in time");
		over_failed(f, h, "no answer came in time");
		return;
	}
	h->sends++;
	wait = patience(h);
	if (wait > h->since + f->cfg.confirm_timeout - f->now)
		wait = h->since + f->cfg.confirm_timeout - f->now;
	hand_arm(f, h, f->now + wait);
	rung_ask(f, h);
}

static void replay_expired(struct front *f, struct hand *h)
{
	sut_time most = h->flags & HF_ANSWERED ? REPLAY_LAST : f->cfg.confirm_timeout;
	sut_time wait = patience(h);
	bool taken = h->rung == RUNG_SPLICE || (h->flags & HF_KNOWN);

	/* Nothing had to be brought, its host is there, nobody has refused it, and our ACK went out time and again: there is nothing to wait for. */
	if (h->end == h->base && h->rung != RUNG_ADOPT && taken && !is_probe(h) &&
	    f->now - h->since >= f->cfg.confirm_timeout) {
		over_there(f, h);
		return;
	}
	if (f->now - h->since >= most && !(h->flags & HF_ANSWERED)) {
		ladder_failed(f, h, "the connection did not appear");
		over_failed(f, h, "the connection did not appear");
		return;
	}
	if (f->now - h->since >=
	    most) { /* nobody else may answer it, and who may does not take it */
		if (h->flags & HF_TOLD)
			tell_retract(f, h);
		else
			rung_reset(f, h);
		over_lost(f, h);
		return;
	}
	if (!front_room(f, 32)) {
		hand_arm(f, h, f->now);
		return;
	}
	if (wait > h->since + most - f->now)
		wait = h->since + most - f->now;
	hand_arm(f, h, f->now + wait);
	count_event(&f->env, EV_REPLAYED_AGAIN);
	rung_replay(f, h);
	ask_state(f, h);
}

void over_lost(struct front *f, struct hand *h)
{
	leave(f, h);
	read_refuse(f, h, REFUSE_RESET);
}

static void retract_expired(struct front *f, struct hand *h)
{
	if (f->now - h->since >= CONFIRM_LAST) {
		over_lost(f, h);
		return;
	}
	hand_arm(f, h, f->now + AGAIN);
	tell_retract(f, h);
}

/* A quiet one: is it still there? */
static void look_after(struct front *f, struct hand *h)
{
	sut_time quiet = f->now - h->heard;
	bool lost = found_lost(f, h), closing = h->state == FR_CLOSING;

	if (quiet >= f->cfg.idle_timeout) {
		count_event(&f->env, EV_FLOWS_IDLE);
		over_end(f, h, "idle");
		return;
	}
	/* Nobody speaks of the back end's FIN any more. */
	if (!(h->flags & HF_TOLD) && h->rung != RUNG_SPLICE && quiet >= f->cfg.linger &&
	    ((h->flags & HF_FIN_CLIENT) || lost)) {
		over_end(f, h, "closed");
		return;
	}
	if (h->flags & HF_FOUND) {
		found_look(f, h);
		return;
	}
	hand_arm(f, h, f->now + LOOK_AFTER);
	if (!lost && (h->flags & HF_RESTORED))
		way_again(f, h);
	if (!(h->flags & HF_RESTORED))
		way_outside(f, h);
	way_look(f, h);
	if (quiet >= LOOK_AFTER || lost || (closing && quiet >= f->cfg.linger))
		ask_state(f, h);
}

/* Its way stays for a minute behind the last packet, of which a data plane elsewhere has to be asked. */
static void linger_expired(struct front *f, struct hand *h)
{
	sut_time end = h->heard + f->cfg.linger;

	if (is_probe(h) || (f->now >= end && (!(h->flags & HF_BPF) || h->sends > 0))) {
		over_end(f, h, "lingered");
		return;
	}
	if (f->now < end) {
		h->sends = 0;
		hand_arm(f, h, end);
		return;
	}
	h->sends = 1;
	hand_arm(f, h, f->now + AGAIN);
	way_look(f, h);
}

void over_expired(struct front *f, struct hand *h)
{
	switch ((enum front_state)h->state) {
	case FR_READING:
	case FR_ANSWERED:
		read_expired(f, h);
		return;
	case FR_ASKED:
		asked_expired(f, h);
		return;
	case FR_READY:
		over_ready(f, h);
		return;
	case FR_REPLAY:
		replay_expired(f, h);
		return;
	case FR_RETRACT:
		retract_expired(f, h);
		return;
	case FR_THERE:
	case FR_CLOSING:
		look_after(f, h);
		return;
	case FR_LINGER:
		linger_expired(f, h);
		return;
	case FR_FREE:
	case FRONT_STATE_COUNT:
		break;
	}
}

/* --- what agents say */

static unsigned fins_of(const struct hand_msg *m)
{
	return (m->fin_in ? HF_FIN_CLIENT : 0u) | (m->fin_out ? HF_FIN_BACK : 0u);
}

/* Its agent was started anew: the connection lives without it, and nobody tells of its other end. */
static void unknown(struct front *f, struct hand *h)
{
	h->flags &= (uint16_t)~HF_TOLD;
	if (h->state == FR_CLOSING && f->cfg.linger < LOOK_AFTER)
		hand_arm(f, h, f->now + f->cfg.linger);
}

/* Its TCP has let it go: did it have everything, or is there nobody who could send it? */
static void note_ended(struct hand *h, const struct hand_msg *m)
{
	if (m->rst || (m->fin_in && m->fin_out))
		h->has_ended = true;
}

/* Nothing of it is there. */
static void state_gone(struct front *f, struct hand *h, const struct hand_msg *m)
{
	switch ((enum front_state)h->state) {
	case FR_RETRACT:
		if (m->acked || m->rst) /* its host had it, and may have answered */
			over_lost(f, h);
		else if (m->state == HAND_UNKNOWN) /* of what it found it knows no ids */
			h->flags &= (uint16_t)~HF_KNOWN;
		else
			next_rung(f, h, (enum front_rung)h->rung);
		return;
	case FR_REPLAY:
		if (m->state == HAND_UNKNOWN) { /* what it was told is lost */
			rung_announce(f, h);
			return;
		}
		if (m->acked || (h->flags & HF_ANSWERED)) { /* answered, and gone already */
			over_there(f, h);
			over_gone(f, h, "the back end's TCP has let it go");
		} else {
			over_failed(f, h, "the back end's TCP has let it go");
		}
		return;
	case FR_THERE:
	case FR_CLOSING:
		if (m->state == HAND_GONE)
			over_gone(f, h, "the back end's TCP has let it go");
		else
			unknown(f, h);
		return;
	case FR_LINGER:
		if (is_probe(h))
			over_end(f, h, "reset");
		return;
	case FR_FREE:
	case FR_READING:
	case FR_ANSWERED:
	case FR_ASKED:
	case FR_READY:
	case FRONT_STATE_COUNT:
		return;
	}
}

static void state_there(struct front *f, struct hand *h, const struct hand_msg *m)
{
	bool all = is_probe(h) || h->end == h->base || (m->acked && !num_before(m->ack, h->end));

	/* It is muted by now; nothing was sent yet: another life of the id. */
	if (h->state == FR_RETRACT || h->state < FR_REPLAY)
		return;
	h->flags |= HF_ANSWERED;
	h->heard = f->now;
	if (h->state == FR_REPLAY && all)
		over_there(f, h);
	/* A probe is over with that. */
	if (h->id == m->id && h->state >= FR_THERE)
		over_fin(f, h, fins_of(m));
}

static void take_state(struct front *f, struct hand *h, const struct hand_msg *m)
{
	if (m->state != HAND_UNKNOWN)
		h->flags |= HF_KNOWN;
	switch ((enum hand_state)m->state) {
	case HAND_THERE:
	case HAND_CLOSING:
		state_there(f, h, m);
		return;
	case HAND_GONE:
		note_ended(h, m);
		state_gone(f, h, m);
		return;
	case HAND_UNKNOWN:
		state_gone(f, h, m);
		return;
	case HAND_PENDING:
		return;
	}
}

static void is_ready(struct front *f, struct hand *h)
{
	h->flags |= HF_KNOWN;
	if (h->state == FR_ASKED)
		over_ready(f, h);
	else if (h->state == FR_REPLAY) /* what was in the way of the first copy is gone */
		hand_arm(f, h, f->now);
}

/*
 * Nothing of it is there: no way, or its host did not take it.  Where its agent was ready before, this may be an older line, late, and since then
 * bytes were sent: then it has to say so once more.
 */
static void refused(struct front *f, struct hand *h, const char *why)
{
	bool late = h->state != FR_ASKED && (h->flags & HF_KNOWN);
	bool replayed = h->state == FR_REPLAY && !(h->flags & HF_ANSWERED);

	if (h->state == FR_RETRACT && !late) {
		next_rung(f, h, (enum front_rung)h->rung);
		return;
	}
	if (h->state != FR_ASKED && !replayed)
		return;
	if (is_probe(h) || late) {
		over_failed(f, h, why);
		return;
	}
	count_event(&f->env, EV_RUNG_FAILED);
	tell_forget(f, h);
	next_rung(f, h, (enum front_rung)h->rung);
}

/* Is the agent that speaks, that of b, the one that was told of h?  Another back end may have taken its name over. */
static bool is_its_agent(const struct front *f, const struct hand *h, uint32_t b)
{
	if (h->backend == NONE || h->backend == b)
		return h->backend == b;
	return !f->backend[h->backend].deaf &&
	       strcmp(backend_cfg(f, h->backend)->name, backend_cfg(f, b)->name) == 0;
}

/* Agents still speak of what is over, since they are told to forget it, and say that they have. */
static bool is_late(const struct front *f, const struct hand_msg *m)
{
	bool told = m->kind == HAND_STATE || m->kind == HAND_READY || m->kind == HAND_REFUSED;

	return told && hand_was(f, m->id);
}

void over_message(struct front *f, uint32_t b, const struct hand_msg *m)
{
	struct hand *h;

	if (m->kind == HAND_HOST) {
		ladder_host(f, b, m);
		return;
	}
	if (is_late(f, m)) {
		count_event(&f->env, EV_LATE_LINES);
		return;
	}
	if (found_told(f, b, m))
		return;
	h = hand_by_id(f, m->id);
	if (h == NULL || !is_its_agent(f, h, b)) {
		count_drop(&f->env, R_MSG_UNKNOWN);
		return;
	}
	if (m->kind == HAND_STATE)
		take_state(f, h, m);
	else if (m->kind == HAND_READY)
		is_ready(f, h);
	else if (m->kind == HAND_REFUSED)
		refused(f, h, m->why[0] ? m->why : "refused");
}
