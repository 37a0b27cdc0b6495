/*
 * mbox-load - the columns of a mailbox from the store: names of keywords, runs of what is expunged
 * and can be restored, messages below UIDNEXT that are in none of these, then changed flags, then
 * leftovers of views.
 */
#include "stored/early.h"
#include "stored/store-private.h"

#include "common/base/log.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>

struct mbox_load {
	struct mbox *m;
	enum {
		LOAD_KEYWORDS,
		LOAD_RUNS,
		LOAD_GONE,
		LOAD_NEWEST,
		LOAD_NEWEST_FLAGS,
		LOAD_MSGS,
		LOAD_FLAGS,
		LOAD_DOOMED,
		LOAD_DONE
	} step;
	int rc;
	bool more;
	unsigned pages;
	uint32_t uidnext; /* when it began: later messages come as `late` */
	struct rec_key from, to;
	struct keywords names;
	struct cols_row *late; /* became durable meanwhile */
	size_t n_late;
	struct runs runs;
	struct uid_ranges lost; /* expunged: their rows are read over */
	struct mbox_head head;  /* when it began */
	struct early early;
	bool told_early;     /* whoever waits for it was poked */
	struct event *pause; /* before it goes on, or NULL; then: */
	LIST_ENTRY(mbox_load) pause_link;
};

/* The message is expunged. */
static bool is_lost(struct mbox_load *l, uint32_t uid)
{
	const struct uid_range *r = uid_ranges_at(&l->lost, uid);

	return r != NULL && r->first <= uid;
}

/* Where a scan goes on that would find `uid` next: behind the lost that begin there. */
static void load_skip(struct mbox_load *l, enum record_kind kind, uint32_t uid)
{
	if (is_lost(l, uid))
		l->from = key_u32(kind, uid_ranges_at(&l->lost, uid)->last + 1);
}

/* A batch that was under way may have added names meanwhile: they never go. */
static void names_take(struct mbox_load *l)
{
	struct keywords old = l->m->keywords;

	if (l->names.n <= old.n)
		return;
	l->m->keywords = l->names;
	l->names = old;
}

static void load_begin_step(struct mbox_load *l)
{
	static const enum record_kind kinds[] = { REC_KEYWORDS, REC_RUN, REC_GONE, REC_MSG,
		REC_FLAGS, REC_MSG, REC_FLAGS, REC_DOOMED };

	if (l->step == LOAD_DONE)
		return;
	if (l->step == LOAD_RUNS && l->rc == ENGINE_OK)
		names_take(l);
	if (l->step == LOAD_NEWEST || l->step == LOAD_NEWEST_FLAGS) {
		l->from = key_u32(kinds[l->step], l->early.from);
		l->to = key_u32(kinds[l->step], l->early.to);
		return;
	}
	if (l->step == LOAD_MSGS && l->rc == ENGINE_OK && runs_ranges(&l->runs, &l->lost) != 0)
		l->rc = ENGINE_IO;
	l->lost.at = 0;
	l->from = key_kind(kinds[l->step]);
	l->to = key_kind_end(kinds[l->step]);
	if (l->step == LOAD_MSGS)
		l->to = key_u32(REC_MSG, l->uidnext);
	if (l->step == LOAD_MSGS || l->step == LOAD_FLAGS)
		load_skip(l, kinds[l->step], 1);
}

static int load_run(struct mbox_load *l, const struct engine_row *row)
{
	struct run_rec rec;

	if (run_unpack(row->key, row->val, &rec) != 0)
		return ENGINE_CORRUPT;
	return runs_add(&l->runs, &rec) == 0 ? ENGINE_OK : ENGINE_IO;
}

int mbox_load_row(struct cols *c, struct keysets *sets, uint32_t uid, const struct msg_rec *rec,
    const struct engine_loc *loc)
{
	struct cols_row row = { .uid = uid,
		.flags = rec->flags,
		.size = rec->size,
		.modseq = rec->modseq,
		.id = rec->id,
		.sum = rec->sum,
		.thread = rec->thread,
		.date = rec->date,
		.saved = rec->saved,
		.loc = *loc };

	if (keysets_word(sets, rec->keywords, &row.keywords) != 0)
		return ENGINE_IO;
	return cols_append(c, &row) == 0 ? ENGINE_OK : ENGINE_IO;
}

static int load_msg(struct mbox_load *l, const struct engine_row *row)
{
	struct msg_rec rec;
	uint32_t uid;

	if (key_get_u32(row->key, REC_MSG, &uid) != 0)
		return ENGINE_CORRUPT;
	if (is_lost(l, uid))
		return ENGINE_OK;
	if (!row->has_loc || msg_unpack(row->val, &rec) != 0)
		return ENGINE_CORRUPT;
	return mbox_load_row(&l->m->cols, &l->m->sets, uid, &rec, &row->loc);
}

static int load_keywords(struct mbox_load *l, const struct engine_row *row)
{
	int r = keywords_unpack(row->val, &l->names);

	return r == 0 ? ENGINE_OK : r > 0 ? ENGINE_CORRUPT : ENGINE_IO;
}

static int load_flags(struct mbox_load *l, const struct engine_row *row)
{
	struct cols *c = &l->m->cols;
	struct flags_rec rec;
	uint32_t uid;
	size_t i;

	if (key_get_u32(row->key, REC_FLAGS, &uid) != 0)
		return ENGINE_CORRUPT;
	if (is_lost(l, uid))
		return ENGINE_OK;
	if (flags_unpack(row->val, &rec) != 0)
		return ENGINE_CORRUPT;
	i = cols_lower(c, uid);
	if (i == c->n || c->uid[i] != uid)
		return ENGINE_OK;
	c->flags[i] = rec.flags;
	c->modseq[i] = rec.modseq;
	return keysets_word(&l->m->sets, rec.keywords, &c->keywords[i]) == 0 ? ENGINE_OK
									     : ENGINE_IO;
}

/* Of the newest messages: what is told early. */
static void load_newest(struct mbox_load *l, const struct engine_row *row)
{
	bool changed = l->step == LOAD_NEWEST_FLAGS;
	struct flags_rec flags;
	struct msg_rec msg;
	uint32_t uid;

	/* A damaged row is found out when all are loaded. */
	if (key_get_u32(row->key, changed ? REC_FLAGS : REC_MSG, &uid) == 0 &&
	    (changed ? flags_unpack(row->val, &flags) : msg_unpack(row->val, &msg)) == 0)
		early_flags(&l->early, uid, changed ? flags.flags : msg.flags, changed);
}

static void load_after(struct mbox_load *l, struct slice key)
{
	uint32_t uid;

	l->from = key_after(key);
	if (l->step == LOAD_MSGS && key_get_u32(key, REC_MSG, &uid) == 0)
		load_skip(l, REC_MSG, uid + 1);
	if (l->step == LOAD_FLAGS && key_get_u32(key, REC_FLAGS, &uid) == 0)
		load_skip(l, REC_FLAGS, uid + 1);
}

static void on_rows(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct mbox_load *l = arg;

	l->rc = rc;
	l->more = more && n > 0;
	for (size_t i = 0; l->rc == ENGINE_OK && i < n; i++) {
		if (l->step == LOAD_KEYWORDS)
			l->rc = load_keywords(l, &rows[i]);
		else if (l->step == LOAD_RUNS)
			l->rc = load_run(l, &rows[i]);
		else if (l->step == LOAD_GONE)
			early_gone(&l->early, rows[i].key, rows[i].val);
		else if (l->step == LOAD_NEWEST || l->step == LOAD_NEWEST_FLAGS)
			load_newest(l, &rows[i]);
		else if (l->step == LOAD_MSGS)
			l->rc = load_msg(l, &rows[i]);
		else if (l->step == LOAD_FLAGS)
			l->rc = load_flags(l, &rows[i]);
		else
			l->m->doomed_rows = true;
	}
	if (l->rc == ENGINE_OK && l->more)
		load_after(l, rows[n - 1].key);
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
	keywords_fini(&l->names);
	runs_fini(&l->runs);
	uid_ranges_fini(&l->lost);
	early_fini(&l->early);
	free(l);
	if (m->cols_state == COLS_READY && m->doomed_rows)
		change_undoom(m, NULL, 0);
	m->doomed_rows = false;
	load_poke(m);
	m->load_failed = false;
	a->st->in_flight--;
	account_unref(a);
}

/* A step is over. What comes next depends on what can be told early, and whether it is. */
static void load_next_step(struct mbox_load *l)
{
	if (l->step == LOAD_GONE)
		early_settle(&l->early);
	if (l->step == LOAD_NEWEST_FLAGS)
		early_window_end(&l->early, &l->head);
	if (l->step == LOAD_RUNS && !early_wanted(&l->head))
		l->step = LOAD_MSGS;
	else if (l->step == LOAD_GONE || l->step == LOAD_NEWEST_FLAGS)
		l->step = early_window(&l->early, &l->head) ? LOAD_NEWEST : LOAD_MSGS;
	else
		l->step++;
	load_begin_step(l);
}

static void load_steps(struct mbox_load *l);

static void on_rows_later(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	on_rows(arg, rc, rows, n, more);
	load_steps(arg);
}

static void scan_later(struct mbox_load *l)
{
	engine_scan(l->m->group, key_slice(&l->from), key_slice(&l->to), 0, on_rows_later, l);
}

static void pause_end(struct mbox_load *l)
{
	LIST_REMOVE(l, pause_link);
	event_free(l->pause);
	l->pause = NULL;
	if (l->m->group != NULL) {
		scan_later(l);
		return;
	}
	l->rc = ENGINE_IO; /* it is being opened again */
	load_end(l);
}

static void on_pause(evutil_socket_t fd, short what, void *arg)
{
	pause_end(arg);
}

/*
 * What was told early is on its way through other processes: the rest waits for a moment, and for
 * nobody who asks for it, so that they have the processor. False: it is not to wait.
 */
static bool pause_begin(struct mbox_load *l)
{
	struct store *st = l->m->account->st;
	struct timeval tv = { 0, LOAD_PAUSE_MS * 1000 };
	uint32_t unseen;

	if (st->stopping || !early_known(&l->early, &l->head, UINT32_MAX, &unseen))
		return false;
	l->pause = evtimer_new(st->base, on_pause, l);
	if (l->pause != NULL && evtimer_add(l->pause, &tv) == 0) {
		LIST_INSERT_HEAD(&st->paused, l, pause_link);
		return true;
	}
	if (l->pause != NULL)
		event_free(l->pause);
	l->pause = NULL;
	return false;
}

/* On entry in the middle, an answer has arrived. */
static void load_steps(struct mbox_load *l)
{
	for (;;) {
		bool early;
		int r;

		if (l->rc == ENGINE_OK && l->m->group == NULL)
			l->rc = ENGINE_IO; /* it is being opened again */
		if (l->rc != ENGINE_OK)
			break;
		if (!l->more)
			load_next_step(l);
		if (l->rc != ENGINE_OK || l->step == LOAD_DONE)
			break;
		early = l->step == LOAD_MSGS && !l->told_early && early_wanted(&l->head);
		l->told_early |= early;
		if (early)
			load_poke(l->m);
		if (early && pause_begin(l))
			return;
		/* A large mailbox is not read in one go: others get their turn. */
		r = early || ++l->pages % LOAD_PAGES_MAX == 0
			? ENGINE_AGAIN
			: engine_scan_now(
			      l->m->group, key_slice(&l->from), key_slice(&l->to), 0, on_rows, l);
		if (r == ENGINE_AGAIN) {
			scan_later(l);
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

	if (m->cols_state == COLS_LOADING && m->load != NULL && m->load->pause != NULL)
		pause_end(m->load);
	if (m->cols_state != COLS_NONE)
		return;
	l = calloc(1, sizeof(*l));
	m->account->st->in_flight++;
	account_ref(m->account);
	m->cols_state = COLS_LOADING;
	if (l == NULL)
		abort();
	l->m = m;
	l->uidnext = mbox_end(&m->pub);
	l->head = m->pub;
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

void mbox_load_hurry(struct store *st)
{
	struct mbox_load *l;

	while ((l = LIST_FIRST(&st->paused)) != NULL)
		pause_end(l);
}

const struct uid_ranges *mbox_load_early(
    const struct mbox_load *l, const struct mbox_head *h, uint32_t limit, uint32_t *ret_unseen)
{
	return early_known(&l->early, h, limit, ret_unseen) ? &l->early.holes : NULL;
}

bool mbox_load_names(struct mbox *m)
{
	return m->keywords.n >= m->pub.keywords;
}

int mbox_load_late(struct mbox_load *l, const struct cols_row *rows, size_t n)
{
	struct cols_row *late = reallocarray(l->late, l->n_late + n, sizeof(*late));

	if (late == NULL)
		return -ENOMEM;
	l->late = late;
	memcpy(late + l->n_late, rows, n * sizeof(*late));
	l->n_late += n;
	return 0;
}

void mbox_load_moved(
    struct mbox_load *l, uint32_t uid, const struct engine_loc *from, const struct engine_loc *to)
{
	for (size_t i = 0; i < l->n_late; i++)
		if (l->late[i].uid == uid && memcmp(&l->late[i].loc, from, sizeof(*from)) == 0)
			l->late[i].loc = *to;
}
