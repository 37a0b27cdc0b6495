/*
 * A store into one with another number of shards: every row and byte of what the server can reach,
 * what was under way carried out, and messages that are damaged left out and not counted.
 */
#include "tests/unit/engine-help.h"

#include "common/base/wire.h"
#include "common/engine/raw.h"
#include "common/ipc/types.h"
#include "stored/backup/spread.h"
#include "stored/salvage/sync.h"

enum {
	HERE = 7,  /* in shard 0, with two mailboxes, the second deleted */
	THERE = 8, /* in shard 1, in the middle of a move */
	MADE = 9,  /* its root, in shard 2, is in an intent still */
	GONE = 10, /* its root, in shard 1, is to go by an intent */
	BIG = 2 << 20
};

struct world {
	struct engine *e;
	struct report rep;
	char dir[64], to[64];
};

/* ---- a store ---- */

static struct engine_group *group(struct world *w, unsigned shard, struct rec_key id)
{
	struct engine_group *g;

	assert_int_equal(sync_group_in(w->e, shard, key_slice(&id), &g), 0);
	return g;
}

static void row_put(struct engine_batch *b, struct rec_key key, const void *p, size_t n)
{
	assert_int_equal(engine_put(b, key_slice(&key), slice_of(p, n)), 0);
}

static void hand_in(struct world *w, struct engine_batch *b, struct engine_group *g)
{
	assert_int_equal(sync_commit(w->e, &b), 0);
	engine_group_close(&g);
}

/* "name-0 name-1 ..." up to so many octets: found again in the files. */
static void text_of(const char *name, uint8_t *p, size_t n)
{
	char word[40];

	for (size_t at = 0, i = 0; at < n; i++) {
		size_t len = (size_t)snprintf(word, sizeof(word), "%s-%zu ", name, i);

		len = len < n - at ? len : n - at;
		memcpy(p + at, word, len);
		at += len;
	}
}

static struct engine_body *body(struct world *w, const char *name, size_t n)
{
	struct waiting room = { 0 }, ready = { 0 };
	struct engine_body *b = engine_body_begin(w->e, n, sync_done, &room);
	uint8_t *p = malloc(n);
	int rc;

	assert_true(b != NULL && p != NULL);
	text_of(name, p, n);
	for (size_t at = 0; at < n;) {
		size_t part = n - at < 100000 ? n - at : 100000;

		rc = engine_body_append(b, slice_of(p + at, part));
		if (rc == ENGINE_AGAIN)
			rc = sync_wait(w->e, &room);
		else
			at += part;
		assert_int_equal(rc, 0);
	}
	free(p);
	rc = engine_body_end(b, sync_done, &ready);
	assert_int_equal(rc == ENGINE_AGAIN ? sync_wait(w->e, &ready) : rc, 0);
	return b;
}

static void msg(struct engine_batch *b, uint32_t uid, struct engine_body *body)
{
	const struct msg_rec rec = { .size = engine_body_bytes(body), .id = uid, .modseq = 5 };
	struct rec_key key = key_u32(REC_MSG, uid), facts = key_facts(uid, FACTS_FRONT_END);
	static uint8_t val[RECORD_MSG_MAX];

	assert_int_equal(
	    engine_put_body(b, key_slice(&key), slice_of(val, msg_pack(&rec, val)), body), 0);
	row_put(b, facts, "facts", 5);
}

static void head(struct engine_batch *b, const struct mbox_head *h)
{
	uint8_t val[RECORD_HEAD_BYTES];

	head_pack(h, val);
	row_put(b, key_kind(REC_HEAD), val, sizeof(val));
}

static void root(struct engine_batch *b, uint64_t account, uint64_t mbox, uint64_t lost)
{
	uint8_t val[RECORD_ROOT_BYTES], name[64];
	const struct mbox_rec rec = { .uidvalidity = 1, .name = SLICE("INBOX") };
	const struct lost_rec was = { .mbox = { .uidvalidity = 2, .name = SLICE("Old") },
		.when = 1 };

	root_pack(&(struct root_rec){ .account = account, .next_uidvalidity = 3 }, val);
	row_put(b, key_kind(REC_HEAD), val, sizeof(val));
	row_put(b, key_u64(REC_MBOX, mbox), name, mbox_pack(&rec, name));
	if (lost != 0)
		row_put(b, key_u64(REC_LOST, lost), name, lost_pack(&was, name));
}

static void make_here(struct world *w)
{
	struct engine_group *g = group(w, 0, key_group_root(HERE));
	struct engine_batch *b = engine_batch_new(g);
	struct engine_body *one = body(w, "one", 9000), *two = body(w, "two", 9000);
	struct engine_body *big = body(w, "big", BIG), *old = body(w, "old", 9000);
	const struct flags_rec seen = { .flags = IPC_FLAG_SEEN, .modseq = 6 };
	const struct run_rec run = { .modseq = 7, .first = 1, .last = 2, .n = 2, .bytes = 18000 };
	uint8_t val[RECORD_FLAGS_MAX], lost[RECORD_RUN_BYTES];

	root(b, HERE, 71, 72);
	hand_in(w, b, g);
	g = group(w, 0, key_group_mbox(71));
	b = engine_batch_new(g);
	msg(b, 1, one);
	msg(b, 2, two);
	msg(b, 3, one); /* a copy */
	msg(b, 4, big);
	row_put(b, key_u32(REC_FLAGS, 2), val, flags_pack(&seen, val));
	head(
	    b, &(struct mbox_head){
		   .uidnext = 5, .exists = 4, .unseen = 3, .bytes = 27000 + BIG, .account = HERE });
	hand_in(w, b, g);
	g = group(w, 0, key_group_mbox(72));
	b = engine_batch_new(g);
	msg(b, 1, old);
	msg(b, 2, one);
	run_pack(&run, lost);
	row_put(b, key_run(run.modseq, run.first), lost, sizeof(lost));
	head(b,
	    &(struct mbox_head){ .uidnext = 3, .lost = 2, .lost_bytes = 18000, .account = HERE });
	hand_in(w, b, g);
	engine_body_free(&one);
	engine_body_free(&two);
	engine_body_free(&big);
	engine_body_free(&old);
}

static void make_there(struct world *w)
{
	const struct cross_rec rec = {
		.id = 900, .from = 81, .account = HERE, .to = 71, .uids = SLICE("\1\0\0\0\1\0\0\0")
	};
	struct engine_group *g = group(w, 1, key_group_root(THERE));
	struct engine_batch *b = engine_batch_new(g);
	struct engine_body *body_8 = body(w, "eight", 100);
	struct rec_key doomed = key_u32(REC_DOOMED, 9);
	uint8_t val[RECORD_CROSS_BYTES + 8];

	root(b, THERE, 81, 0);
	row_put(b, key_kind(REC_CROSS), val, cross_pack(&rec, val));
	hand_in(w, b, g);
	g = group(w, 1, key_group_mbox(81));
	b = engine_batch_new(g);
	msg(b, 1, body_8);
	assert_int_equal(engine_put_body(b, key_slice(&doomed), SLICE("\1"), body_8), 0);
	head(b, &(struct mbox_head){
		    .uidnext = 10, .exists = 1, .unseen = 1, .bytes = 100, .account = THERE });
	hand_in(w, b, g);
	g = group(w, 1, key_group_threads(THERE));
	b = engine_batch_new(g);
	row_put(b, key_thread(1, 77), "thread", 6);
	hand_in(w, b, g);
	engine_body_free(&body_8);
}

/* Of one group, as stored/commit.c writes it; nobody carried it out. */
static void intent(struct world *w, struct engine_batch *all, uint64_t account, uint64_t id,
    unsigned shard, struct engine_batch *part)
{
	struct rec_key key = key_u64(REC_INTENT, account);
	struct intent_rec rec = { .id = id, .n = 1 };
	uint8_t val[RECORD_INTENT_MAX];
	uint32_t rows = 0;

	assert_int_equal(engine_note(all, key_slice(&key), &rows, part), 0);
	rec.to[0].group = key_group_root(account);
	rec.to[0].shard = shard;
	rec.to[0].rows = rows;
	row_put(all, key, val, intent_pack(&rec, val));
	engine_batch_free(&part);
}

static void account_put(struct engine_batch *b, uint64_t account, unsigned shard)
{
	uint8_t val[4];

	wire_store_u32(val, shard);
	row_put(b, key_u64(REC_ACCOUNT, account), val, sizeof(val));
}

static void make_all(struct world *w)
{
	struct engine_group *all = group(w, 0, key_group_store());
	struct engine_group *made = group(w, 2, key_group_root(MADE));
	struct engine_group *gone = group(w, 1, key_group_root(GONE));
	struct engine_batch *b = engine_batch_new(gone), *part;
	uint8_t ids[8];

	root(b, GONE, 101, 0);
	assert_int_equal(sync_commit(w->e, &b), 0);
	b = engine_batch_new(all);
	wire_store_u64(ids, 1000);
	row_put(b, key_kind(REC_IDS), ids, sizeof(ids));
	account_put(b, HERE, 0);
	account_put(b, THERE, 1);
	account_put(b, MADE, 2);
	part = engine_batch_new(made);
	root(part, MADE, 91, 0);
	intent(w, b, MADE, 500, 2, part);
	part = engine_batch_new(gone);
	assert_int_equal(engine_del_group(part), 0);
	intent(w, b, GONE, 501, 1, part);
	engine_group_close(&made);
	engine_group_close(&gone);
	hand_in(w, b, all);
}

static int setup(void **state)
{
	static struct world w;

	w = (struct world){ 0 };
	dir_make(w.dir);
	dir_make(w.to);
	w.e = store_open("3*lmdb", w.dir, NULL);
	make_here(&w);
	make_there(&w);
	make_all(&w);
	engine_close(&w.e);
	report_init(&w.rep, "test", false, true);
	*state = &w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	dir_remove(w->dir);
	dir_remove(w->to);
	return 0;
}

/* ---- what becomes of it ---- */

static uint64_t spread(struct world *w, unsigned shards)
{
	int from = open(w->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int to = open(w->to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t left_out = 0;

	assert_int_equal(spread_store(from, to, shards, &w->rep, &left_out), 0);
	close(from);
	close(to);
	return left_out;
}

static struct raw *raw_of(const char *path)
{
	const struct raw_conf conf = { 0 };
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct raw *r;

	assert_int_equal(raw_open(fd, &conf, &r), 0);
	close(fd);
	return r;
}

static bool look_up(struct raw *r, struct rec_key group, struct rec_key key, struct raw_row *ret)
{
	return raw_get(r, key_slice(&group), key_slice(&key), ret);
}

struct bytes {
	uint8_t *p;
	size_t n;
};

static int take(void *arg, struct slice s)
{
	struct bytes *b = arg;

	b->p = realloc(b->p, b->n + s.n);
	assert_non_null(b->p);
	memcpy(b->p + b->n, s.p, s.n);
	b->n += s.n;
	return 0;
}

static bool same_bytes(
    struct raw *a, const struct engine_loc *x, struct raw *b, const struct engine_loc *y)
{
	struct bytes at_a = { 0 }, at_b = { 0 };
	bool same;

	assert_int_equal(raw_body(a, x, take, &at_a), 0);
	assert_int_equal(raw_body(b, y, take, &at_b), 0);
	same = at_a.n == at_b.n && memcmp(at_a.p, at_b.p, at_a.n) == 0;
	free(at_a.p);
	free(at_b.p);
	return same;
}

/* Rows of the store's group for intents and accounts, and those for views, are looked at apart. */
static bool is_special(const struct raw_row *row)
{
	uint8_t kind = row->key.p[0];

	return (row->group.n == 1 && (kind == REC_ACCOUNT || kind == REC_INTENT)) ||
	       kind == REC_DOOMED;
}

/* Every row of one is in the other, with the same value and bytes: how many. */
static unsigned rows_are_in(struct raw *a, struct raw *b, uint64_t but)
{
	struct rec_key none = key_group_root(but);
	struct raw_row row, other;
	unsigned n = 0;

	for (bool any = raw_seek(a, SLICE_NONE, SLICE_NONE, &row); any;
	     any = raw_next(a, &row, &row)) {
		if (is_special(&row) || slice_eq(row.group, key_slice(&none)))
			continue;
		assert_true(raw_get(b, row.group, row.key, &other));
		assert_true(slice_eq(row.val, other.val));
		assert_int_equal(row.has_loc, other.has_loc);
		if (row.has_loc)
			assert_true(same_bytes(a, &row.loc, b, &other.loc));
		n++;
	}
	return n;
}

/* Each account's groups are where its row says. */
static void accounts_are_whole(struct raw *r, unsigned shards)
{
	static const struct {
		uint64_t account, mbox;
	} all[] = { { HERE, 71 }, { HERE, 72 }, { THERE, 81 }, { MADE, 0 } };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct raw_row row, part;
		unsigned shard;

		assert_true(
		    look_up(r, key_group_store(), key_u64(REC_ACCOUNT, all[i].account), &row));
		shard = wire_load_u32(row.val.p);
		assert_true(shard < shards);
		assert_true(look_up(r, key_group_root(all[i].account), key_kind(REC_HEAD), &part));
		assert_int_equal(part.shard, shard);
		if (all[i].mbox == 0)
			continue;
		assert_true(look_up(r, key_group_mbox(all[i].mbox), key_kind(REC_HEAD), &part));
		assert_int_equal(part.shard, shard);
	}
}

static void everything_is_there(struct world *w, unsigned shards)
{
	struct raw *a, *b;
	struct raw_row one, copy;

	assert_int_equal(spread(w, shards), 0);
	a = raw_of(w->dir);
	b = raw_of(w->to);
	assert_int_equal(raw_shards(b), shards);
	accounts_are_whole(b, shards);
	assert_int_equal(rows_are_in(a, b, GONE), rows_are_in(b, a, GONE));
	/* Intents were carried out, one by one. */
	assert_true(look_up(b, key_group_root(MADE), key_u64(REC_MBOX, 91), &one));
	assert_false(look_up(b, key_group_root(GONE), key_kind(REC_HEAD), &one));
	assert_false(look_up(b, key_group_store(), key_u64(REC_INTENT, MADE), &one));
	assert_false(look_up(b, key_group_store(), key_u64(REC_INTENT, GONE), &one));
	assert_false(look_up(b, key_group_mbox(81), key_u32(REC_DOOMED, 9), &one));
	/* What shares a body shares it still. */
	assert_true(look_up(b, key_group_mbox(71), key_u32(REC_MSG, 1), &one));
	assert_true(look_up(b, key_group_mbox(71), key_u32(REC_MSG, 3), &copy));
	assert_memory_equal(&one.loc, &copy.loc, sizeof(one.loc));
	assert_true(look_up(b, key_group_mbox(72), key_u32(REC_MSG, 2), &copy));
	assert_memory_equal(&one.loc, &copy.loc, sizeof(one.loc));
	raw_close(&a);
	raw_close(&b);
}

static void into_one(void **state)
{
	everything_is_there(*state, 1);
}

static void into_two(void **state)
{
	everything_is_there(*state, 2);
}

static void into_sixteen(void **state)
{
	everything_is_there(*state, 16);
}

/* ---- damage ---- */

/* A bit of what follows these words in the segment of version 3. */
static void damage(struct world *w, const char *words)
{
	char path[100];
	struct bytes b = { 0 };
	uint8_t part[4096], *at;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/log-00000001", w->dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	while ((n = read(fd, part, sizeof(part))) > 0)
		(void)take(&b, slice_of(part, (size_t)n));
	at = memmem(b.p, b.n, words, strlen(words));
	assert_non_null(at);
	at[0] ^= 1;
	assert_int_equal(pwrite(fd, at, 1, at - b.p), 1);
	close(fd);
	free(b.p);
}

static void what_is_damaged_is_left_out(void **state)
{
	struct world *w = *state;
	struct mbox_head h;
	struct run_rec run;
	struct raw_row row;
	struct raw *r;

	damage(w, "two-5 ");
	damage(w, "old-5 ");
	assert_int_equal(spread(w, 2), 2);
	r = raw_of(w->to);
	assert_false(look_up(r, key_group_mbox(71), key_u32(REC_MSG, 2), &row));
	assert_false(look_up(r, key_group_mbox(71), key_u32(REC_FLAGS, 2), &row));
	assert_true(look_up(r, key_group_mbox(71), key_u32(REC_MSG, 4), &row));
	assert_true(look_up(r, key_group_mbox(71), key_kind(REC_HEAD), &row));
	assert_int_equal(head_unpack(row.val, &h), 0);
	assert_int_equal(h.exists, 3);
	assert_int_equal(h.unseen, 3);
	assert_int_equal(h.bytes, 18000 + BIG);
	assert_int_equal(h.uidnext, 5);
	assert_true(look_up(r, key_group_mbox(72), key_kind(REC_HEAD), &row));
	assert_int_equal(head_unpack(row.val, &h), 0);
	assert_int_equal(h.lost, 1);
	assert_int_equal(h.lost_bytes, 9000);
	assert_true(look_up(r, key_group_mbox(72), key_run(7, 1), &row));
	assert_int_equal(run_unpack(row.key, row.val, &run), 0);
	assert_int_equal(run.n, 1);
	assert_int_equal(run.bytes, 9000);
	raw_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		CASE(into_one),
		CASE(into_two),
		CASE(into_sixteen),
		CASE(what_is_damaged_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
