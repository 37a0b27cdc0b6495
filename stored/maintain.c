#include "stored/maintain.h"

#include "common/base/log.h"
#include "common/metrics/metrics.h"

#include <errno.h>
#include <stdlib.h>

enum { ITEMS_MAX = 10000, NAME_MAX_BYTES = 200 };

/* Found by the scrub that runs, or by the last one. */
struct item {
	enum engine_damage_kind kind;
	unsigned shard;
	uint64_t account, mbox, no, off; /* 0: it is in none, or that is damaged, too */
	uint32_t uid;
	char mailbox[NAME_MAX_BYTES + 1];
};

/* Each shard is looked after by itself. */
struct shard_upkeep {
	struct store *st;
	unsigned shard;
	struct upkeep *upkeep; /* NULL: it is away */
	unsigned scrub;        /* of which scrub its items are: its number */
};

struct maintain {
	struct upkeep_conf conf;
	struct shard_upkeep of[STORE_SHARDS_MAX];
	unsigned compact_ends, scrub_ends; /* as told when nothing was going on */
	struct item *items;
	size_t n, cap;
};

static struct engine *shard_engine(const struct store *st, unsigned shard)
{
	return engine_shard(store_engine(st), shard);
}

/* ---- what a scrub finds ---- */

/* One item on its way into the list: its mailbox's header names the account, whose row names the
 * mailbox. */
struct naming {
	struct store *st;
	struct item item;
};

static const char *kind_name(enum engine_damage_kind k)
{
	static const char *const names[] = { [ENGINE_DAMAGED_BODY] = "body",
		[ENGINE_DAMAGED_ROW] = "row",
		[ENGINE_DAMAGED_LOG] = "log" };

	return names[k];
}

static void item_add(struct store *st, const struct item *it)
{
	struct maintain *m = st->maintain;
	size_t cap = m->cap == 0 ? 16 : 2 * m->cap;
	struct item *v;

	log_ev(LOG_ERR, "stored.damaged", kv_s("what", kind_name(it->kind)),
	    kv_u("account", it->account), kv_u("mbox", it->mbox), kv_u("uid", it->uid),
	    kv_s("name", it->mailbox));
	if (m->n == ITEMS_MAX)
		return;
	if (m->n == m->cap) {
		v = reallocarray(m->items, cap, sizeof(*v));
		if (v == NULL)
			return;
		m->items = v;
		m->cap = cap;
	}
	m->items[m->n++] = *it;
}

static void naming_end(struct naming *q)
{
	q->st->in_flight--;
	item_add(q->st, &q->item);
	free(q);
}

static void take_name(struct naming *q, struct slice name)
{
	size_t n = name.n < NAME_MAX_BYTES ? name.n : NAME_MAX_BYTES;

	for (size_t i = 0; i < n; i++)
		q->item.mailbox[i] = name.p[i] < ' ' ? '?' : (char)name.p[i];
	q->item.mailbox[n] = '\0';
}

static void on_lost_name(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct naming *q = arg;
	struct lost_rec rec;

	if (rc == ENGINE_OK && n == 1 && lost_unpack(rows[0].val, &rec) == 0)
		take_name(q, rec.mbox.name);
	naming_end(q);
}

static void on_name(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct naming *q = arg;
	struct rec_key group = key_group_root(q->item.account);
	struct rec_key key = key_u64(REC_LOST, q->item.mbox);
	struct mbox_rec rec;

	if (rc == ENGINE_OK && n == 1 && mbox_unpack(rows[0].val, &rec) == 0) {
		take_name(q, rec.name);
		naming_end(q);
	} else {
		engine_peek(shard_engine(q->st, q->item.shard), key_slice(&group), key_slice(&key),
		    on_lost_name, q);
	}
}

static void on_head(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct naming *q = arg;
	struct rec_key key = key_u64(REC_MBOX, q->item.mbox), group;
	struct mbox_head head;

	if (rc != ENGINE_OK || n != 1 || head_unpack(rows[0].val, &head) != 0) {
		naming_end(q);
		return;
	}
	q->item.account = head.account;
	group = key_group_root(head.account);
	engine_peek(
	    shard_engine(q->st, q->item.shard), key_slice(&group), key_slice(&key), on_name, q);
}

/* The id of a group that is a mailbox ('m') or of an account ('r', 'c'). */
static uint64_t group_number(struct slice group, char kind)
{
	struct rec_key k = { .n = 9 };
	uint64_t id;

	if (group.n != 9 || group.p[0] != kind)
		return 0;
	memcpy(k.p, group.p, 9);
	return key_get_u64(key_slice(&k), (enum record_kind)kind, &id) == 0 ? id : 0;
}

static uint32_t key_uid(struct slice key)
{
	static const enum record_kind kinds[] = { REC_MSG, REC_FLAGS, REC_DOOMED };
	uint32_t uid;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (key_get_u32(key, kinds[i], &uid) == 0)
			return uid;
	return 0;
}

/* A scrub begins: what the one before found is no news. */
static void items_forget(struct maintain *m, unsigned shard)
{
	size_t to = 0;

	for (size_t i = 0; i < m->n; i++)
		if (m->items[i].shard != shard)
			m->items[to++] = m->items[i];
	m->n = to;
}

static void on_found(void *arg, const struct engine_damage *d)
{
	struct shard_upkeep *of = arg;
	struct store *st = of->st;
	struct rec_key head = key_kind(REC_HEAD), group;
	struct naming *q = calloc(1, sizeof(*q));
	struct upkeep_state us;

	if (q == NULL)
		return;
	upkeep_state(of->upkeep, &us);
	if (of->scrub != us.scrub_ends + 1) {
		of->scrub = us.scrub_ends + 1;
		items_forget(st->maintain, of->shard);
	}
	q->st = st;
	q->item = (struct item){ .kind = d->kind,
		.shard = of->shard,
		.account =
		    group_number(d->group, d->group.n > 0 && d->group.p[0] == 'c' ? 'c' : 'r'),
		.mbox = group_number(d->group, 'm'),
		.no = d->no,
		.off = d->off,
		.uid = key_uid(d->key) };
	st->in_flight++;
	if (q->item.mbox == 0) {
		naming_end(q);
		return;
	}
	group = key_group_mbox(q->item.mbox);
	engine_peek(shard_engine(st, of->shard), key_slice(&group), key_slice(&head), on_head, q);
}

/* ---- what operators ask ---- */

static void line(struct buf *b, const char *name, uint64_t value)
{
	buf_printf(b, "%s %llu\n", name, (unsigned long long)value);
}

static void last_lines(struct buf *b, const char *what, const struct upkeep_last *l)
{
	buf_printf(b, "%s-began %lld\n%s-ended %lld\n%s-result %s\n", what, (long long)l->began_s,
	    what, (long long)l->ended_s, what, l->ended_s == 0 ? "none" : engine_rc_name(l->rc));
}

static const char *chore_word(const struct engine_stats *e)
{
	switch (e->chore) {
	case ENGINE_CHORE_COMPACT:
		return "compact";
	case ENGINE_CHORE_SCRUB:
		return "scrub";
	case ENGINE_CHORE_MEASURE:
		return "measure";
	default:
		return "none";
	}
}

static void last_add(struct upkeep_last *to, const struct upkeep_last *l)
{
	if (l->rc != ENGINE_OK)
		to->rc = l->rc;
	if (l->began_s != 0 && (to->began_s == 0 || l->began_s < to->began_s))
		to->began_s = l->began_s;
	if (l->ended_s > to->ended_s)
		to->ended_s = l->ended_s;
}

/* Of all shards as of one; a chore that was asked for has ended when it has in all of them. */
static void state_of(struct maintain *m, struct upkeep_state *ret)
{
	bool compacts = false, scrubs = false;

	*ret = (struct upkeep_state){ 0 };
	for (unsigned k = 0; k < STORE_SHARDS_MAX; k++) {
		struct upkeep_state s;

		if (m->of[k].upkeep == NULL)
			continue;
		upkeep_state(m->of[k].upkeep, &s);
		compacts |= s.compact_asked || s.runs == UPKEEP_COMPACT;
		scrubs |= s.scrub_asked || upkeep_scrubs(m->of[k].upkeep);
		ret->compact_asked |= s.compact_asked;
		ret->scrub_asked |= s.scrub_asked;
		ret->compact_ends += s.compact_ends;
		ret->scrub_ends += s.scrub_ends;
		last_add(&ret->compact, &s.compact);
		last_add(&ret->scrub, &s.scrub);
	}
	if (!compacts)
		m->compact_ends = ret->compact_ends;
	if (!scrubs)
		m->scrub_ends = ret->scrub_ends;
	ret->compact_ends = m->compact_ends;
	ret->scrub_ends = m->scrub_ends;
}

static void state_text(const struct store *st, struct buf *b)
{
	struct upkeep_state s;
	struct engine_stats e;

	state_of(st->maintain, &s);
	engine_stats(store_engine(st), &e);
	line(b, "health", store_health(st));
	line(b, "file-bytes", e.file_bytes);
	line(b, "live-bytes", e.live_bytes);
	line(b, "dead-bytes", e.file_bytes > e.live_bytes ? e.file_bytes - e.live_bytes : 0);
	line(b, "undelete-bytes", st->lost_bytes);
	line(b, "body-bytes", e.live_bodies_bytes);
	line(b, "body-raw-bytes", e.body_raw_bytes);
	line(b, "body-stored-bytes", e.body_stored_bytes);
	line(b, "rows", e.rows);
	line(b, "segments", e.segments);
	line(b, "body-files", e.body_files);
	line(b, "index-bytes", e.index_bytes);
	line(b, "index-reader-lag", e.reader_lag);
	buf_printf(b, "running %s\n", chore_word(&e));
	line(b, "done-bytes", e.chore_done);
	line(b, "total-bytes", e.chore_total);
	line(b, "compact-waits", s.compact_asked);
	line(b, "compact-ends", s.compact_ends);
	last_lines(b, "compact", &s.compact);
	line(b, "compactions", e.compactions);
	line(b, "compactions-failed", e.compactions_failed);
	line(b, "moved-bytes", e.moved_bytes);
	line(b, "dropped-files", e.dropped_files);
	line(b, "scrub-waits", s.scrub_asked);
	line(b, "scrub-ends", s.scrub_ends);
	last_lines(b, "scrub", &s.scrub);
	line(b, "scrubbed", (uint64_t)e.scrubbed_s);
	line(b, "scrub-bytes", e.scrub_bytes);
	line(b, "damaged-bodies", e.damaged_bodies);
	line(b, "damaged-rows", e.damaged_rows);
	line(b, "damaged-frames", e.damaged_frames);
	line(b, "shards", st->n_shards);
	line(b, "shards-away", shards_away(st));
	shards_text(st, b);
}

static void items_text(const struct maintain *m, size_t from, struct buf *b)
{
	enum { LINE_MAX_BYTES = 400 };

	for (size_t i = from; i < m->n && b->n + LINE_MAX_BYTES < b->max; i++) {
		const struct item *it = &m->items[i];

		buf_printf(b, "%s %llu %llu %lu %llu %llu %s\n", kind_name(it->kind),
		    (unsigned long long)it->account, (unsigned long long)it->mbox,
		    (unsigned long)it->uid, (unsigned long long)it->no, (unsigned long long)it->off,
		    it->mailbox);
	}
}

static void tell_asked(const struct peer *p, const char *verb, bool begun)
{
	log_ev(LOG_NOTICE | LOG_AUDIT, "admin.change", kv_sid("sid", p->sid), kv_s("who", p->who),
	    kv_s("verb", verb), kv_s("object", "store"),
	    kv_s("result", begun ? "ok" : "runs-already"));
}

static int chore_ask(struct peer *p, uint32_t what)
{
	bool scrub = what == IPC_UPKEEP_SCRUB;
	bool begun = false;

	for (unsigned k = 0; k < STORE_SHARDS_MAX; k++)
		if (p->st->maintain->of[k].upkeep != NULL)
			begun |= upkeep_ask(
			    p->st->maintain->of[k].upkeep, scrub ? UPKEEP_SCRUB : UPKEEP_COMPACT);
	tell_asked(p, scrub ? "store_scrub" : "store_compact", begun);
	return begun ? IPC_ST_OK : IPC_ST_EXISTS;
}

void maintain_ask(struct peer *p, const struct ipc_upkeep_ask *q)
{
	struct ipc_stat_reply r = { .seq = q->seq, .status = IPC_ST_OK };
	struct buf b = BUF_INIT(60000);

	switch (q->what) {
	case IPC_UPKEEP_STATE:
		break;
	case IPC_UPKEEP_DAMAGED:
		r.count = (uint32_t)p->st->maintain->n;
		items_text(p->st->maintain, q->from, &b);
		break;
	case IPC_UPKEEP_COMPACT:
	case IPC_UPKEEP_SCRUB:
		r.status = p->st->refused ? IPC_ST_TRYLATER : (uint32_t)chore_ask(p, q->what);
		break;
	default:
		r.status = IPC_ST_BAD;
	}
	if (q->what != IPC_UPKEEP_DAMAGED)
		state_text(p->st, &b);
	r.text = buf_slice(&b);
	if (p->chan != NULL)
		(void)ipc_send(p->chan, IPC_stat_reply, &r, NULL);
	buf_fini(&b);
}

/* ---- life ---- */

void maintain_hint(struct store *st, unsigned shard, uint64_t bytes)
{
	if (st->maintain != NULL && st->maintain->of[shard].upkeep != NULL)
		upkeep_hint(st->maintain->of[shard].upkeep, bytes);
}

void maintain_count(const struct store *st)
{
	struct engine_stats e;

	engine_stats(store_engine(st), &e);
	metric_set(METRIC_store_compactions, "ok", "", (int64_t)e.compactions);
	metric_set(METRIC_store_compactions, "failed", "", (int64_t)e.compactions_failed);
	metric_set(METRIC_store_moved_bytes, "", "", (int64_t)e.moved_bytes);
	metric_set(METRIC_store_file_bytes, "", "", (int64_t)e.file_bytes);
	metric_set(METRIC_store_dead_bytes, "", "",
	    e.file_bytes > e.live_bytes ? (int64_t)(e.file_bytes - e.live_bytes) : 0);
	metric_set(METRIC_store_body_bytes, "raw", "", (int64_t)e.body_raw_bytes);
	metric_set(METRIC_store_body_bytes, "stored", "", (int64_t)e.body_stored_bytes);
	metric_set(METRIC_store_scrubs, "", "", (int64_t)e.scrubs);
	metric_set(METRIC_store_scrub_bytes, "", "", (int64_t)e.scrub_bytes);
	metric_set(METRIC_store_damaged, "body", "", (int64_t)e.damaged_bodies);
	metric_set(METRIC_store_damaged, "row", "", (int64_t)e.damaged_rows);
	metric_set(METRIC_store_damaged, "log", "", (int64_t)e.damaged_frames);
}

static int upkeeps_make(struct store *st)
{
	int r = 0;

	for (unsigned k = 0; r == 0 && k < st->n_shards; k++) {
		struct shard_upkeep *of = &st->maintain->of[k];

		of->st = st;
		of->shard = k;
		if (of->upkeep == NULL && engine_shard_away(store_engine(st), k) == NULL)
			r = upkeep_new(st->base, shard_engine(st, k), &st->maintain->conf, on_found,
			    of, &of->upkeep);
	}
	return r;
}

void maintain_tick(struct store *st)
{
	(void)upkeeps_make(st); /* without memory: the next time */
}

int maintain_init(struct store *st, const struct upkeep_conf *conf)
{
	int r;

	st->maintain = calloc(1, sizeof(*st->maintain));
	if (st->maintain == NULL)
		return -ENOMEM;
	st->maintain->conf = *conf;
	r = upkeeps_make(st);
	if (r != 0)
		maintain_fini(st);
	return r;
}

void maintain_fini(struct store *st)
{
	if (st->maintain == NULL)
		return;
	for (unsigned k = 0; k < STORE_SHARDS_MAX; k++)
		upkeep_free(&st->maintain->of[k].upkeep);
	free(st->maintain->items);
	free(st->maintain);
	st->maintain = NULL;
}
