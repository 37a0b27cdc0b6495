#include "store-shared.h"

#include "common/mail/facts.h"

#include <err.h>

void shared_fini(struct shared *s)
{
	loans_fini(&s->loans);
}

void shared_begin(struct shared *s, struct raw *raw, const struct sv_mbox *b)
{
	struct rec_key group = key_group_mbox(b->id), from = key_kind(REC_LOANS);
	struct raw_row row;
	uint32_t uid;

	loans_fini(&s->loans);
	if (!b->has_head || !b->head.loans)
		return;
	for (bool any = raw_seek(raw, key_slice(&group), key_slice(&from), &row);
	     any && slice_eq(row.group, key_slice(&group)) && row.key.p[0] == REC_LOANS;
	     any = raw_next(raw, &row, &row))
		if (key_get_u32(row.key, REC_LOANS, &uid) == 0 &&
		    loans_unpack(&s->loans, uid, row.val) < 0)
			errx(3, "out of memory");
}

static bool is_there(struct raw *raw, const struct rec_key *group)
{
	struct raw_row row;

	return raw_seek(raw, key_slice(group), SLICE_NONE, &row) &&
	       slice_eq(row.group, key_slice(group));
}

/* As the server reads them: its own rows only where no loan has the message, or the lender has
 * gone. */
static bool lender(struct shared *s, struct raw *raw, const struct sv_msg *m,
    struct rec_key *ret_group, uint32_t *ret_uid)
{
	const struct loan *one = loans_at(&s->loans, m->uid);
	struct rec_key group;

	*ret_group = key_group_mbox(m->mbox->id);
	*ret_uid = m->uid;
	if (one == NULL || one->first > m->uid)
		return false;
	group = key_group_mbox(one->mbox);
	if (!is_there(raw, &group))
		return false;
	*ret_group = group;
	*ret_uid = one->there + (m->uid - one->first);
	return true;
}

/* What a front-end would make of these bytes. */
static struct facts_maker *made_of(struct slice bytes, struct buf *facts)
{
	struct facts_maker *k = facts_maker_new();

	if (k == NULL)
		errx(3, "out of memory");
	facts_maker_feed(k, bytes);
	if (facts_maker_finish(k, facts) != 0)
		errx(3, "out of memory");
	return k;
}

const char *shared_look(
    struct shared *s, struct raw *raw, const struct sv_msg *m, struct slice bytes)
{
	struct buf facts = BUF_INIT(1 << 20);
	struct facts_maker *k = made_of(bytes, &facts);
	struct rec_key group, key;
	struct raw_row row;
	uint32_t uid;
	bool lent = lender(s, raw, m, &group, &uid), any;
	const char *why = NULL;

	key = key_u32(REC_HEADER, uid);
	any = raw_get(raw, key_slice(&group), key_slice(&key), &row);
	if (any && !slice_eq(row.val, facts_maker_header(k)))
		why = "its kept header is not its own";
	for (int source = FACTS_FRONT_END; source <= FACTS_PARSED; source++) {
		key = key_facts(uid, (enum facts_source)source);
		if (!raw_get(raw, key_slice(&group), key_slice(&key), &row))
			continue;
		any = true;
		if (!slice_eq(row.val, buf_slice(&facts)))
			why = "its facts are not its own";
	}
	s->none += !any;
	s->lent += any && lent;
	s->own += any && !lent;
	facts_maker_free(&k);
	buf_fini(&facts);
	return why;
}
