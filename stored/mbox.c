/*
 * mbox - a mailbox in memory: its header always, its columns once somebody looks inside.
 */
#include "stored/store-private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct mbox *mbox_new(struct account *a, uint64_t id, const struct mbox_rec *rec)
{
	struct mbox *m = calloc(1, sizeof(*m));
	uint8_t *name = malloc(rec->name.n);

	if (m == NULL || name == NULL) {
		free(m);
		free(name);
		return NULL;
	}
	memcpy(name, rec->name.p, rec->name.n);
	m->account = a;
	m->id = id;
	m->uidvalidity = rec->uidvalidity;
	m->attrs = rec->attrs;
	m->name = slice_of(name, rec->name.n);
	/* RFC 7162 7: a mod-sequence is positive, of an empty mailbox too; the first message has a
	 * higher one. */
	m->pub = (struct mbox_head){ .kind = rec->kind,
		.uidvalidity = rec->uidvalidity,
		.uidnext = 1,
		.modseq = 1,
		.account = a->id };
	if (a->modseq == 0)
		a->modseq = 1;
	m->recent_from = 1;
	m->pend = m->pub;
	TAILQ_INIT(&m->flight);
	TAILQ_INIT(&m->unknown);
	TAILQ_INIT(&m->changes);
	TAILQ_INIT(&m->opens);
	return m;
}

static void on_moved(
    void *arg, struct slice key, const struct engine_loc *from, const struct engine_loc *to)
{
	struct mbox *m = arg;
	uint32_t uid;

	if (key_get_u32(key, REC_MSG, &uid) != 0 && key_get_u32(key, REC_DOOMED, &uid) != 0)
		return;
	cols_moved(&m->cols, uid, from, to);
	if (m->on_moved != NULL)
		m->on_moved(m->moved_arg, uid, from, to);
	if (m->load != NULL)
		mbox_load_moved(m->load, uid, from, to);
}

void mbox_take_group(struct mbox *m, struct engine_group *take_group)
{
	m->group = take_group;
	engine_group_on_moved(take_group, on_moved, m);
}

void mbox_free(struct mbox **mp)
{
	struct mbox *m = *mp;

	*mp = NULL;
	if (m == NULL)
		return;
	assert(TAILQ_EMPTY(&m->flight) && TAILQ_EMPTY(&m->changes) && LIST_EMPTY(&m->views));
	assert(m->load == NULL);
	cols_fini(&m->cols);
	keywords_fini(&m->keywords);
	keysets_fini(&m->sets);
	loans_fini(&m->loans);
	if (m->group != NULL)
		engine_group_close(&m->group);
	free((void *)m->name.p);
	free(m);
}

void mbox_add(
    struct mbox *m, const struct session *by, uint32_t seq, const struct cols_row *rows, size_t n)
{
	struct feed_row *feed = calloc(n, sizeof(*feed));
	int r = feed == NULL ? -ENOMEM : 0;

	for (size_t i = 0; r == 0 && i < n && m->cols_state == COLS_READY; i++)
		r = cols_append(&m->cols, &rows[i]);
	if (r == 0 && m->cols_state == COLS_LOADING)
		r = mbox_load_late(m->load, rows, n);
	for (size_t i = 0; r == 0 && i < n; i++)
		feed[i] = (struct feed_row){ .what = IPC_EV_NEW,
			.uid = rows[i].uid,
			.flags = rows[i].flags,
			.seq = seq,
			.keywords = rows[i].keywords,
			.modseq = rows[i].modseq };
	if (r == 0)
		feed_tell(m, by, feed, n);
	else
		account_forget(m->account);
	free(feed);
}

bool mbox_del_rows(struct engine_batch *b, uint32_t first, uint32_t last)
{
	static const enum record_kind kinds[] = { REC_MSG, REC_FLAGS, REC_FACTS, REC_HEADER };
	bool good = true;

	for (size_t k = 0; good && k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		struct rec_key from = key_u32(kinds[k], first), to = key_u32(kinds[k], last + 1);

		good = engine_del_range(b, key_slice(&from), key_slice(&to)) == 0;
	}
	return good;
}

bool mbox_put_keywords(struct txn *t, const struct keywords *k, unsigned known)
{
	static uint8_t val[KEYWORDS_RECORD_MAX];
	bool good = true;

	t->head.keywords = k->n;
	for (unsigned row = known / KEYWORDS_ROW_NAMES; good && row < keywords_rows(k); row++) {
		struct rec_key key = key_keywords(row);

		good = engine_put(t->batch, key_slice(&key),
			   slice_of(val, keywords_pack(k, row, val))) == 0;
	}
	return good;
}

void mbox_take_keywords(struct mbox *m, struct keywords *take)
{
	keywords_fini(&m->keywords);
	m->keywords = *take;
	*take = (struct keywords){ 0 };
	feed_keywords(m);
}

/* What a copy left that came to nothing. */
bool mbox_del_staged(struct engine_batch *b, struct mbox_head *h)
{
	static const enum record_kind kinds[] = { REC_MSG, REC_FLAGS, REC_FACTS, REC_HEADER,
		REC_LOANS };
	bool good = true;

	for (size_t k = 0; good && k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		struct rec_key from = key_u32(kinds[k], h->staged), to = key_kind_end(kinds[k]);

		good = engine_del_range(b, key_slice(&from), key_slice(&to)) == 0;
	}
	h->staged = 0;
	return good;
}

/* 0 or -ENOMEM. */
static int set_take(struct keysets *to, const struct keysets *from, uint64_t *word)
{
	return keysets_word(to, keysets_get(from, *word), word);
}

void mbox_sweep_sets(struct mbox *m)
{
	struct keysets sets = { 0 };
	struct cols *c = &m->cols;
	uint64_t *words;
	int r = 0;

	if (!keysets_is_bloated(&m->sets) || m->cols_state == COLS_LOADING ||
	    !TAILQ_EMPTY(&m->flight) || !TAILQ_EMPTY(&m->unknown))
		return;
	words = calloc(c->n + c->n_dead + 1, sizeof(*words));
	for (size_t i = 0; words != NULL && r == 0 && i < c->n; i++) {
		words[i] = c->keywords[i];
		r = set_take(&sets, &m->sets, &words[i]);
	}
	for (size_t i = 0; words != NULL && r == 0 && i < c->n_dead; i++) {
		words[c->n + i] = c->dead[i].row.keywords;
		r = set_take(&sets, &m->sets, &words[c->n + i]);
	}
	if (words == NULL || r != 0) {
		keysets_fini(&sets);
		free(words);
		return;
	}
	for (size_t i = 0; i < c->n; i++)
		c->keywords[i] = words[i];
	for (size_t i = 0; i < c->n_dead; i++)
		c->dead[i].row.keywords = words[c->n + i];
	free(words);
	keysets_fini(&m->sets);
	m->sets = sets;
	m->sets.swept = sets.n_bytes;
}

uint64_t mbox_tell_modseq(struct mbox *m)
{
	if (m->account->modseq == 0)
		m->account->modseq = 1;
	return m->pub.modseq > 0 ? m->pub.modseq : 1;
}

static bool needed_by_any(void *arg, const struct cols_dead *d)
{
	struct mbox *m = arg;
	struct view *v;

	LIST_FOREACH(v, &m->views, link)
	if (view_needs_dead(v, d))
		return true;
	return false;
}

void mbox_sweep(struct mbox *m)
{
	static uint32_t uids[CHANGE_ROWS_MAX];

	while (m->cols.n_dead > 0) {
		size_t n = cols_sweep(&m->cols, needed_by_any, m, uids, CHANGE_ROWS_MAX);

		if (n == 0)
			return;
		m->account->n_dead -= n;
		if (m->doomed)
			change_undoom(m, uids, n);
	}
	if (!m->change_running)
		m->doomed = false;
}
