#include "stored/salvage/walk.h"

#include "common/ipc/types.h"

#include <xxhash.h>

struct walk {
	struct model *model;
	const struct sink *sink;
	struct report *rep;
	XXH3_state_t *sum;
	uint64_t seen; /* rows of messages */
};

static int on_bytes(void *arg, struct slice s)
{
	struct walk *w = arg;

	XXH3_64bits_update(w->sum, s.p, s.n);
	return w->sink->bytes != NULL ? w->sink->bytes(w->sink->arg, s) : 0;
}

static void flags_of(struct walk *w, struct sv_msg *m, struct slice group)
{
	struct rec_key k = key_u32(REC_FLAGS, m->uid);
	struct flags_rec f;
	struct raw_row row;

	m->flags = m->rec.flags;
	m->keywords = m->rec.keywords;
	m->modseq = m->rec.modseq;
	if (!raw_get(w->model->raw, group, key_slice(&k), &row))
		return;
	m->doubt |= row.doubt;
	if (flags_unpack(row.val, &f) != 0) {
		struct place at = model_place(m->mbox, m->uid);

		report_item(w->rep, VERDICT_DOUBT, &at,
		    "its flags are damaged; those it arrived with stand for them");
		return;
	}
	m->flags = f.flags;
	m->keywords = f.keywords;
	m->modseq = f.modseq;
}

static void count(struct sv_mbox *b, const struct sv_msg *m)
{
	if (m->expunged)
		return;
	b->messages++;
	b->unseen += (m->flags & IPC_FLAG_SEEN) == 0;
	b->bytes += m->rec.size;
	if (m->modseq > b->modseq)
		b->modseq = m->modseq;
}

static const char *body_fault(const struct walk *w, const struct sv_msg *m, int rc)
{
	/* The row has a sum of its own, for a table of sums that is damaged itself. */
	bool fits =
	    engine_loc_bytes(&m->loc) == m->rec.size && XXH3_64bits_digest(w->sum) == m->rec.sum;

	if (rc == ENGINE_NOTFOUND)
		return "its body is not there";
	if (rc == ENGINE_CORRUPT && !fits)
		return "its body is damaged";
	if (rc == 0 && engine_loc_bytes(&m->loc) != m->rec.size)
		return "its row and its body differ in size";
	if (rc == 0 && !fits)
		return "its row and its body have different sums";
	return NULL;
}

static int message(struct walk *w, struct sv_msg *m)
{
	const struct sink *s = w->sink;
	struct place at = model_place(m->mbox, m->uid);
	const char *why;
	int rc = s->begin != NULL ? s->begin(s->arg, m) : 0;

	if (rc != 0)
		return rc;
	XXH3_64bits_reset(w->sum);
	rc = raw_body(w->model->raw, &m->loc, on_bytes, w);
	if (rc < 0)
		return rc;
	why = body_fault(w, m, rc);
	if (why != NULL) {
		report_item(w->rep, VERDICT_LOST, &at, "%s", why);
		m->mbox->lost += !m->expunged;
	} else {
		w->rep->messages += !m->expunged;
		w->rep->bytes += m->expunged ? 0 : m->rec.size;
		count(m->mbox, m);
		if (m->doubt)
			report_item(w->rep, VERDICT_DOUBT, &at,
			    "its flags and dates may not be the last ones");
	}
	return s->end != NULL ? s->end(s->arg, m, why == NULL) : 0;
}

static int row_message(struct walk *w, struct sv_mbox *b, const struct raw_row *row)
{
	struct sv_msg m = { .mbox = b, .doubt = row->doubt || b->doubt, .loc = row->loc };
	struct place at = model_place(b, 0);

	const struct uid_range *e;

	w->seen++;
	report_progress(w->rep, "messages", w->seen, w->model->messages);
	if (key_get_u32(row->key, REC_MSG, &m.uid) != 0 || m.uid == 0) {
		report_item(w->rep, VERDICT_LOST, &at, "a message's row has no uid");
		return 0;
	}
	if (b->has_head && b->head.staged != 0 && m.uid >= b->head.staged)
		return 0; /* of a copy that did not come to its end */
	if (m.uid > b->uid_max)
		b->uid_max = m.uid;
	if (w->sink->uid != 0 && m.uid != w->sink->uid)
		return 0;
	at.uid = m.uid;
	if (!row->has_loc || msg_unpack(row->val, &m.rec) != 0) {
		report_item(w->rep, VERDICT_LOST, &at, "the message's row is damaged");
		b->lost++;
		return 0;
	}
	e = uid_ranges_at(&b->expunged, m.uid);
	m.expunged = e != NULL && e->first <= m.uid;
	b->n_expunged += m.expunged;
	w->rep->expunged += m.expunged;
	if (m.expunged && !w->sink->expunged)
		return 0;
	flags_of(w, &m, row->group);
	return message(w, &m);
}

static int mailbox(struct walk *w, struct sv_mbox *b)
{
	struct rec_key group = key_group_mbox(b->id), from = key_kind(REC_MSG);
	const struct sink *s = w->sink;
	struct raw_row row;
	int rc;

	if ((b->deleted && !s->expunged) ||
	    (s->account.n > 0 && !walk_is_account(b->account, s->account)) ||
	    (s->mailbox.n > 0 && !slice_eq(b->name, s->mailbox)))
		return 0;
	rc = s->mbox_begin != NULL ? s->mbox_begin(s->arg, b) : 0;
	for (bool any = raw_seek(w->model->raw, key_slice(&group), key_slice(&from), &row);
	     any && rc == 0 && slice_eq(row.group, key_slice(&group)) && row.key.p[0] == REC_MSG;
	     any = raw_next(w->model->raw, &row, &row))
		rc = row_message(w, b, &row);
	return rc == 0 && s->mbox_end != NULL ? s->mbox_end(s->arg, b) : rc;
}

bool walk_is_account(const struct sv_account *a, struct slice name)
{
	struct slice full = a->name;

	return slice_ieq(full, name) || slice_ieq(slice_take(&full, '@'), name);
}

int walk_messages(struct model *m, const struct sink *s, struct report *rep)
{
	struct walk w = { .model = m, .sink = s, .rep = rep, .sum = XXH3_createState() };
	int rc = w.sum == NULL ? -1 : 0;

	for (size_t i = 0; i < m->n && rc == 0; i++)
		for (size_t k = 0; k < m->accounts[i]->n && rc == 0; k++)
			rc = mailbox(&w, m->accounts[i]->mboxes[k]);
	XXH3_freeState(w.sum);
	return rc;
}
