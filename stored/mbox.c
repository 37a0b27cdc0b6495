/*
 * mbox - a mailbox in memory: its header always, its columns once somebody looks inside.
 */
#include "stored/store-private.h"

#include "common/base/log.h"

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
	if (m->group != NULL)
		engine_group_close(&m->group);
	free((void *)m->name.p);
	free(m);
}

/* ---- loading: names of keywords, messages below UIDNEXT, then changed flags, then leftovers of
 * views ---- */

struct mbox_load {
	struct mbox *m;
	enum { LOAD_KEYWORDS, LOAD_MSGS, LOAD_FLAGS, LOAD_DOOMED, LOAD_DONE } step;
	int rc;
	bool more;
	unsigned pages;
	uint32_t uidnext; /* when it began: later messages come as `late` */
	struct rec_key from, to;
	struct cols_row *late; /* became durable meanwhile */
	size_t n_late;
};

static void load_begin_step(struct mbox_load *l)
{
	static const enum record_kind kinds[] = { REC_KEYWORDS, REC_MSG, REC_FLAGS, REC_DOOMED };

	if (l->step == LOAD_DONE)
		return;
	l->from = key_kind(kinds[l->step]);
	l->to = key_kind_end(kinds[l->step]);
	if (l->step == LOAD_MSGS)
		l->to = key_u32(REC_MSG, l->uidnext);
}

static int load_msg(struct mbox_load *l, const struct engine_row *row)
{
	struct msg_rec rec;
	uint32_t uid;

	if (key_get_u32(row->key, REC_MSG, &uid) != 0 || msg_unpack(row->val, &rec) != 0)
		return ENGINE_CORRUPT;
	if (!row->has_loc)
		return ENGINE_CORRUPT;
	return cols_append(&l->m->cols, &(struct cols_row){ .uid = uid,
					    .flags = rec.flags,
					    .keywords = rec.keywords,
					    .size = rec.size,
					    .modseq = rec.modseq,
					    .id = rec.id,
					    .sum = rec.sum,
					    .date = rec.date,
					    .saved = rec.saved,
					    .loc = row->loc }) == 0
		   ? ENGINE_OK
		   : ENGINE_IO;
}

/* A batch that was under way may have added names meanwhile: they never go. */
static int load_keywords(struct mbox_load *l, const struct engine_row *row)
{
	struct keywords k;
	int r = keywords_unpack(row->val, &k);

	if (r != 0)
		return r > 0 ? ENGINE_CORRUPT : ENGINE_IO;
	if (k.n > l->m->keywords.n) {
		keywords_fini(&l->m->keywords);
		l->m->keywords = k;
	} else {
		keywords_fini(&k);
	}
	return ENGINE_OK;
}

static int load_flags(struct mbox_load *l, const struct engine_row *row)
{
	struct cols *c = &l->m->cols;
	struct flags_rec rec;
	uint32_t uid;
	size_t i;

	if (key_get_u32(row->key, REC_FLAGS, &uid) != 0 || flags_unpack(row->val, &rec) != 0)
		return ENGINE_CORRUPT;
	i = cols_lower(c, uid);
	if (i < c->n && c->uid[i] == uid) {
		c->flags[i] = rec.flags;
		c->keywords[i] = rec.keywords;
		c->modseq[i] = rec.modseq;
	}
	return ENGINE_OK;
}

static void on_rows(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct mbox_load *l = arg;

	l->rc = rc;
	l->more = more && n > 0;
	for (size_t i = 0; l->rc == ENGINE_OK && i < n; i++) {
		if (l->step == LOAD_KEYWORDS)
			l->rc = load_keywords(l, &rows[i]);
		else if (l->step == LOAD_MSGS)
			l->rc = load_msg(l, &rows[i]);
		else if (l->step == LOAD_FLAGS)
			l->rc = load_flags(l, &rows[i]);
		else
			l->m->doomed_rows = true;
	}
	if (l->rc == ENGINE_OK && l->more) {
		assert(rows[n - 1].key.n < RECORD_KEY_MAX);
		l->from = (struct rec_key){ .n = (uint8_t)(rows[n - 1].key.n + 1) };
		memcpy(l->from.p, rows[n - 1].key.p, rows[n - 1].key.n);
	}
}

static void load_poke(struct mbox *m)
{
	struct view *v, *next;

	/* A session that ends here keeps its views until the sweep, so that the list stays. */
	for (v = LIST_FIRST(&m->views); v != NULL; v = next) {
		next = LIST_NEXT(v, link);
		if (v->lagging)
			feed_catch_up(v);
		session_pump(v->session);
	}
	session_pump_all(m->account); /* STATUS looks inside without a view */
	change_next(m);
}

static void load_end(struct mbox_load *l)
{
	struct mbox *m = l->m;
	struct account *a = m->account;

	for (size_t i = 0; l->rc == ENGINE_OK && i < l->n_late; i++)
		if (cols_append(&m->cols, &l->late[i]) != 0)
			l->rc = ENGINE_IO;
	if (l->rc == ENGINE_OK && (m->cols.n != m->pub.exists || m->keywords.n < m->pub.keywords))
		l->rc = ENGINE_CORRUPT;
	m->load = NULL;
	m->cols_state = l->rc == ENGINE_OK ? COLS_READY : COLS_NONE;
	if (l->rc != ENGINE_OK && m->state != MBOX_GOING)
		log_ev(LOG_ERR, "stored.engine", kv_s("what", "mailbox"), kv_u("mbox", m->id),
		    kv_s("why", engine_rc_name(l->rc)));
	if (l->rc != ENGINE_OK) {
		cols_fini(&m->cols);
		m->load_failed = true;
	}
	free(l->late);
	free(l);
	if (m->cols_state == COLS_READY && m->doomed_rows)
		change_undoom(m, NULL, 0);
	m->doomed_rows = false;
	load_poke(m);
	m->load_failed = false;
	a->st->in_flight--;
	account_unref(a);
}

static void load_steps(struct mbox_load *l);

static void on_rows_later(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	on_rows(arg, rc, rows, n, more);
	load_steps(arg);
}

/* On entry in the middle, an answer has arrived. */
static void load_steps(struct mbox_load *l)
{
	for (;;) {
		int r;

		if (l->rc == ENGINE_OK && l->m->group == NULL)
			l->rc = ENGINE_IO; /* it is being opened again */
		if (l->rc != ENGINE_OK)
			break;
		if (!l->more) {
			l->step++;
			load_begin_step(l);
		}
		if (l->step == LOAD_DONE)
			break;
		/* A large mailbox is not read in one go: others get their turn. */
		r = ++l->pages % LOAD_PAGES_MAX == 0
			? ENGINE_AGAIN
			: engine_scan_now(
			      l->m->group, key_slice(&l->from), key_slice(&l->to), 0, on_rows, l);
		if (r == ENGINE_AGAIN) {
			engine_scan(l->m->group, key_slice(&l->from), key_slice(&l->to), 0,
			    on_rows_later, l);
			return;
		}
		if (r != ENGINE_OK)
			l->rc = r;
	}
	load_end(l);
}

void mbox_load(struct mbox *m)
{
	struct mbox_load *l;

	if (m->cols_state != COLS_NONE)
		return;
	l = calloc(1, sizeof(*l));
	m->account->st->in_flight++;
	account_ref(m->account);
	m->cols_state = COLS_LOADING;
	if (l == NULL)
		abort();
	l->m = m;
	l->uidnext = m->pub.uidnext;
	m->load = l;
	if (m->group == NULL || m->state != MBOX_READY) {
		l->rc = ENGINE_IO;
		load_end(l);
		return;
	}
	/* The first turn begins with a step of its own. */
	l->more = true;
	load_begin_step(l);
	load_steps(l);
}

/* Rows that became durable while the columns are being loaded. */
static int late_add(struct mbox_load *l, const struct cols_row *rows, size_t n)
{
	struct cols_row *late = reallocarray(l->late, l->n_late + n, sizeof(*late));

	if (late == NULL)
		return -ENOMEM;
	l->late = late;
	memcpy(late + l->n_late, rows, n * sizeof(*late));
	l->n_late += n;
	return 0;
}

void mbox_add(
    struct mbox *m, const struct session *by, uint32_t seq, const struct cols_row *rows, size_t n)
{
	struct feed_row *feed = calloc(n, sizeof(*feed));
	int r = feed == NULL ? -ENOMEM : 0;

	for (size_t i = 0; r == 0 && i < n && m->cols_state == COLS_READY; i++)
		r = cols_append(&m->cols, &rows[i]);
	if (r == 0 && m->cols_state == COLS_LOADING)
		r = late_add(m->load, rows, n);
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

bool mbox_put_keywords(struct txn *t, const struct keywords *k)
{
	static uint8_t val[KEYWORDS_RECORD_MAX];
	struct rec_key key = key_kind(REC_KEYWORDS);

	t->head.keywords = k->n;
	return engine_put(t->batch, key_slice(&key), slice_of(val, keywords_pack(k, val))) == 0;
}

void mbox_take_keywords(struct mbox *m, struct keywords *take)
{
	keywords_fini(&m->keywords);
	m->keywords = *take;
	*take = (struct keywords){ 0 };
	feed_keywords(m);
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
		change_undoom(m, uids, n);
	}
}
