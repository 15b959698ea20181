/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "core/fields.h"
#include "core/flow_row.h"
#include "role/handoff/back_inside.h"

#define ANSWER_MAX (OUTBOX_SLOT - PACKET_HEADROOM)
#define WORD_SHOWN 40

static void answer(struct back_turn *t, const struct fields_text *a)
{
	struct packet *p = outbox_make(t->out, BACK_CONTROL, (uint32_t)a->n);

	if (p)
		memcpy(p->head, a->s, a->n);
	else
		count_drop(t->b->env, R_OUTBOX_FULL);
}

static void status(struct back_turn *t, struct fields_text *a)
{
	const struct back *b = t->b;
	char line[HAND_MSG_MAX];
	struct hand_msg m;
	size_t n;

	back_host(b, &m);
	n = hand_msg_write(&m, line);
	fields_put(a, "ok %u hand-offs%s\n%.*s", (unsigned)b->count,
		   b->draining ? ", draining" : "", (int)n, line);
	for (uint32_t i = 0; i < b->fronts; i++)
		fields_put(a, "\nfront %s hand-offs=%u", b->front[i].name,
			   (unsigned)b->front[i].hands);
}

static void drain(struct back_turn *t, struct fields_text *a, bool on)
{
	struct back *b = t->b;

	if (b->draining != on)
		for (uint32_t i = 0; i < b->fronts; i++)
			b->front[i].owes_host = true;
	b->draining = on;
	fields_put(a, on ? "ok draining: %u hand-offs" : "ok not draining: %u hand-offs",
		   (unsigned)b->count);
}

static void unknown(struct fields_text *a, const struct packet *p)
{
	char word[WORD_SHOWN + 1];
	uint32_t n = p->head_len < WORD_SHOWN ? p->head_len : WORD_SHOWN;

	for (uint32_t i = 0; i < n; i++)
		word[i] = (char)(p->head[i] >= ' ' && p->head[i] < 0x7f ? p->head[i] : '?');
	word[n] = '\0';
	fields_put(a,
		   "error this is an agent, of one back end: it knows status, drain and drain off "
		   "(suture handoff status, suture drain, suture drain --off), not '%s'",
		   word);
}

void back_control(struct back_turn *t, const struct packet *p)
{
	struct word line = { (const char *)p->head, p->head_len };
	char text[ANSWER_MAX];
	struct fields_text a = { text, 0, sizeof text, false };

	if (word_is(&line, "status"))
		status(t, &a);
	else if (word_is(&line, "drain"))
		drain(t, &a, true);
	else if (word_is(&line, "drain off"))
		drain(t, &a, false);
	else
		unknown(&a, p);
	answer(t, &a);
}

static const char *state_of(const struct back_hand *h)
{
	switch ((enum hand_state)h->state) {
	case HAND_PENDING:
		return "PENDING";
	case HAND_THERE:
		return "THERE";
	case HAND_CLOSING:
		return "CLOSING";
	case HAND_UNKNOWN:
	case HAND_GONE:
		break;
	}
	return h->refused ? "REFUSED" : "GONE";
}

bool back_list(const void *role, uint32_t *cursor, sut_time now, struct flow_row *ret_row)
{
	static const char *const modes[] = { "adopt", "shift", "in-band" };
	const struct back *b = role;
	const struct back_hand *h = NULL;

	while (!h && *cursor < b->fresh) {
		h = back_hand_at(b, (*cursor)++);
		if (!h->used)
			h = NULL;
	}
	if (!h)
		return false;
	*ret_row = (struct flow_row){
		.key = { .where = 0x00ffffffu },
		.mode = modes[h->kind],
		.state = state_of(h),
		.shifted = h->learnt || h->kind == BACK_ADOPT,
		.clocked = h->learnt,
		.shift = { 0, h->learnt ? 0u - h->shift : 0 },
		.clock = { 0, h->learnt ? 0u - h->clock : 0 },
		.uncounted = true,
		.age_ns = now > h->since ? now - h->since : 0,
	};
	memcpy(ret_row->key.src, h->in.src, 16);
	memcpy(ret_row->key.dst, h->in.dst, 16);
	memcpy(&ret_row->key.sport, &h->in.sport, 2);
	memcpy(&ret_row->key.dport, &h->in.dport, 2);
	return true;
}
