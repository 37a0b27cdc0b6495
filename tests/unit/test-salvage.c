/*
 * What is left of a damaged store comes out of it: stores whose every byte is known are damaged at
 * random, and what the reader tells is compared with what was there.
 *
 * GH_SALVAGE_ROUNDS sets how many stores are damaged.
 */
#include "engine-help.h"

#include "tests/unit/salvage-world.h"

#include "common/base/log.h"
#include "common/engine/lmdb/scan.h"
#include "common/ipc/types.h"
#include "stored/salvage/maildir-name.h"
#include "stored/salvage/open.h"
#include "stored/salvage/verify.h"

enum { ROUNDS = 150, SEEN_MAX = 1000 };

/* ---- what the reader tells ---- */

struct seen {
	uint64_t mbox;
	uint32_t uid, flags;
	int64_t date;
	uint64_t sum;
	bool doubt;
	char name[40];
};

struct told {
	struct seen v[SEEN_MAX];
	size_t n;
	struct report rep;
};

static int on_end(void *arg, const struct sv_msg *m, bool whole)
{
	struct told *t = arg;

	if (!whole)
		return 0;
	assert_true(t->n < SEEN_MAX);
	t->v[t->n] =
	    (struct seen){ m->mbox->id, m->uid, m->flags, m->rec.date, m->rec.sum, m->doubt, "" };
	snprintf(t->v[t->n].name, sizeof(t->v[0].name), "%.*s", SLICE_FMT(m->mbox->name));
	t->n++;
	return 0;
}

static void look(const char *dir, struct told *t)
{
	const struct sink s = { .arg = t, .end = on_end };
	struct names names = { 0 };
	struct model m;
	struct raw *raw;
	int fd = open(dir, O_RDONLY | O_DIRECTORY);

	t->n = 0;
	report_init(&t->rep, "test", false, true);
	assert_int_equal(open_raw(fd, "store", NULL, model_keeps, &t->rep, &raw), 0);
	assert_int_equal(model_load(&m, raw, &names, &t->rep), 0);
	assert_int_equal(walk_messages(&m, &s, &t->rep), 0);
	model_fini(&m);
	raw_close(&raw);
	close(fd);
}

static const struct seen *seen_find(const struct told *t, const struct box *b, const struct msg *m)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].uid == m->uid && t->v[i].mbox == b->id)
			return &t->v[i];
	return NULL;
}

/* Where the last rows of each message are: the begins of their frames up to their bodies. */
struct span {
	const struct file *file; /* NULL: there is no such row */
	uint64_t off, n, frame;
};

static struct span msg_rows[BOXES][MESSAGES + 11], flag_rows[BOXES][MESSAGES + 11];

static void row_note(const struct file *x, const struct scan_item *item, struct slice group,
    const struct batch_op *op)
{
	struct span s = { x, item->off, FRAME_HEAD + frame_pad(item->h.rows_n), item->h.seq };
	uint64_t mbox;
	uint32_t uid;
	bool msg = op->kind == OP_PUT && key_get_u32(op->key, REC_MSG, &uid) == 0;

	if (!msg && (op->kind != OP_PUT || key_get_u32(op->key, REC_FLAGS, &uid) != 0))
		return;
	for (unsigned k = 0; k < BOXES && key_get_u64(group, 'm', &mbox) == 0; k++) {
		struct span *at = msg ? &msg_rows[k][uid] : &flag_rows[k][uid];

		if (world.boxes[k].id == mbox && uid <= MESSAGES + 10 && s.frame >= at->frame)
			*at = s;
	}
}

static void rows_note(const struct files *f)
{
	uint64_t id = store_id_of(f);

	memset(msg_rows, 0, sizeof(msg_rows));
	memset(flag_rows, 0, sizeof(flag_rows));
	for (size_t i = 0; i < f->n; i++) {
		const struct file *x = &f->v[i];
		struct scan s;
		struct scan_item item;

		if (strncmp(x->name, "log-", 4) != 0)
			continue;
		scan_init(&s, slice_of(x->was, x->n), id);
		while (scan_next(&s, &item)) {
			struct slice rows = item.rows;
			struct batch_reader b;
			struct batch_op op;

			while (!item.gap && batch_read_begin(&rows, &b))
				while (batch_read_op(&b, &op) > 0)
					row_note(x, &item, slice_from(b.prefix, 1), &op);
		}
	}
}

static bool span_same(const struct span *s)
{
	return s->file == NULL || file_same(s->file, s->off, s->n);
}

/* ---- judging ---- */

struct judged {
	uint64_t whole, saved, in_doubt, back;
};

/* Everything that was told was there once, and what is told without doubt is right. */
static void judge_told(const struct told *t, struct judged *j)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct seen *s = &t->v[i];
		const struct msg *m = NULL;

		for (unsigned k = 0; k < BOXES; k++)
			if (world.boxes[k].id == s->mbox && s->uid <= world.boxes[k].n &&
			    s->uid > 0)
				m = &world.boxes[k].msgs[s->uid - 1];
		j->in_doubt += s->doubt;
		if (s->doubt)
			continue;
		if (m == NULL)
			fail_msg("mailbox %llu uid %u was never there", (unsigned long long)s->mbox,
			    s->uid);
		assert_int_equal(s->sum, m->sum);
		assert_int_equal(s->date, m->date);
		if (m->gone && t->rep.notes == 0)
			fail_msg("uid %u was expunged", s->uid);
		j->back += m->gone;
	}
}

static void judge_kept(
    const struct files *f, const struct told *t, struct judged *j, unsigned round)
{
	if (!some_header_same(f))
		return;
	for (unsigned k = 0; k < BOXES; k++)
		for (unsigned i = 0; i < world.boxes[k].n; i++) {
			const struct box *b = &world.boxes[k];
			const struct msg *m = &b->msgs[i];
			const struct seen *s = seen_find(t, b, m);

			if (m->gone || !body_same(f, m))
				continue;
			if (!span_same(&msg_rows[k][m->uid]) || !span_same(&flag_rows[k][m->uid]))
				continue;
			j->whole++;
			if (s == NULL && getenv("GH_SALVAGE_KEEP") != NULL)
				assert_int_equal(system("rm -rf ../kept; cp -r damaged ../kept; cp "
							"-r closed ../kept/was"),
				    0);
			if (s == NULL)
				fail_msg("round %u: %s uid %u is whole and was not saved", round,
				    b->name, m->uid);
			j->saved++;
			if (!s->doubt)
				assert_int_equal(s->flags, m->flags);
			assert_int_equal(s->date, m->date);
		}
}

static void damage_rounds(const char *dir, unsigned rounds)
{
	static struct files f;
	static struct told t;
	struct judged j = { 0 };

	files_load(&f, dir);
	rows_note(&f);
	for (unsigned i = 0; i < rounds; i++) {
		files_damage(&f);
		look("damaged", &t);
		judge_told(&t, &j);
		judge_kept(&f, &t, &j, i);
	}
	files_free(&f);
	fprintf(stderr,
	    "# %s: %u stores, %llu whole messages, all saved; in doubt %llu, expunged and "
	    "back %llu\n",
	    dir, rounds, (unsigned long long)j.whole, (unsigned long long)j.in_doubt,
	    (unsigned long long)j.back);
}

static unsigned rounds_wanted(void)
{
	const char *s = getenv("GH_SALVAGE_ROUNDS");

	return s != NULL ? (unsigned)strtoul(s, NULL, 10) : ROUNDS;
}

/* ---- cases ---- */

static unsigned alive(void)
{
	unsigned n = 0;

	for (unsigned k = 0; k < BOXES; k++)
		for (unsigned i = 0; i < world.boxes[k].n; i++)
			n += !world.boxes[k].msgs[i].gone;
	return n;
}

static void expect_all(const char *dir)
{
	static struct told t;

	look(dir, &t);
	assert_int_equal(t.rep.lost, 0);
	assert_int_equal(t.rep.doubts, 0);
	assert_int_equal(t.n, alive());
	for (unsigned k = 0; k < BOXES; k++)
		for (unsigned i = 0; i < world.boxes[k].n; i++) {
			const struct msg *m = &world.boxes[k].msgs[i];
			const struct seen *s = seen_find(&t, &world.boxes[k], m);

			assert_int_equal(s == NULL, m->gone);
			if (s == NULL)
				continue;
			assert_string_equal(s->name, world.boxes[k].name);
			assert_int_equal(s->flags, m->flags);
			assert_int_equal(s->date, m->date);
		}
}

static void test_whole(void **state)
{
	static struct told t;

	expect_all("closed");
	expect_all("torn");
	look("closed", &t);
	assert_int_equal(t.rep.notes, 0); /* the index says what the log says */
}

static void test_without_index(void **state)
{
	assert_int_equal(system("rm -rf damaged; cp -r closed damaged; rm damaged/data.mdb"), 0);
	expect_all("damaged");
}

/* The first segment is gone: what it had is known by the index, and its bodies are lost. */
static void test_without_segment(void **state)
{
	static struct told t;

	assert_int_equal(
	    system("rm -rf damaged; cp -r closed damaged; rm damaged/log-00000001"), 0);
	look("damaged", &t);
	assert_true(t.rep.notes > 0);
	assert_true(t.rep.lost > 0);
	assert_int_equal(t.n + t.rep.lost, alive());
}

static void test_damaged(void **state)
{
	int out = dup(1), null = open("/dev/null", O_WRONLY);

	/* The report's lines are for people. */
	fflush(stdout);
	if (getenv("GH_SALVAGE_TALK") == NULL)
		dup2(null, 1);
	damage_rounds("closed", rounds_wanted() / 2);
	damage_rounds("torn", rounds_wanted() / 2);
	fflush(stdout);
	dup2(out, 1);
	close(out);
	close(null);
}

/* The end of a log while another writes it, over the ends of segments. */
static void test_tail(void **state)
{
	static const struct engine_conf small = { .segment_bytes = 64 << 10 };
	struct tail_end before, now;
	struct engine *e;
	struct engine_group *g;
	struct tail *t;
	int fd;

	assert_int_equal(mkdir("tail", 0700), 0);
	e = store_open("lmdb", "tail", &small);
	g = group_open(e, "g", ENGINE_CREATE, 0);
	assert_int_equal(put(e, g, "first", "row"), 0);
	fd = open("tail", O_RDONLY | O_DIRECTORY);
	assert_int_equal(tail_open(fd, &t), 0);
	assert_int_equal(tail_read(t, &before), 0);
	assert_int_equal(before.frame, 2);
	for (unsigned i = 0; i < 40; i++) {
		struct engine_batch *b = engine_batch_new(g);
		struct engine_body *body = body_make(e, 9000, i);

		assert_int_equal(engine_put_body(b, SLICE("body"), SLICE("x"), body), 0);
		assert_int_equal(commit(e, b), 0);
		engine_body_free(&body);
		assert_int_equal(tail_read(t, &now), 0);
		assert_int_equal(now.frame, before.frame + 1);
		assert_true(now.segment > before.segment ||
			    (now.segment == before.segment && now.off > before.off));
		before = now;
	}
	assert_true(now.segment >= 5);
	assert_int_equal(tail_read(t, &now), 0);
	assert_memory_equal(&now, &before, sizeof(now));
	tail_close(&t);
	close(fd);
	engine_group_close(&g);
	engine_close(&e);
}

/* Only what lies before the end counts, and nobody is locked out. */
static void test_until(void **state)
{
	struct raw_conf conf = { 0 };
	struct raw_stats all, part;
	struct tail_end until = { 0, 0, 0 };
	struct raw *raw;
	int fd = open("closed", O_RDONLY | O_DIRECTORY);

	assert_int_equal(raw_open(fd, &conf, &raw), 0);
	raw_stats(raw, &all);
	raw_close(&raw);
	conf.until = &until;
	until.segment = 1;
	until.off = SEG_HEAD;
	assert_int_equal(raw_open(fd, &conf, &raw), 0);
	raw_stats(raw, &part);
	raw_close(&raw);
	assert_true(part.last_frame > 0 && part.last_frame < all.last_frame);
	close(fd);
}

static void test_busy(void **state)
{
	struct told t;
	struct raw *raw;
	struct engine *e = store_open("lmdb", "closed", NULL);
	int fd = open("closed", O_RDONLY | O_DIRECTORY);

	report_init(&t.rep, "test", false, true);
	assert_int_equal(open_raw(fd, "store", NULL, model_keeps, &t.rep, &raw), ENGINE_BUSY);
	engine_close(&e);
	assert_int_equal(open_raw(fd, "store", NULL, model_keeps, &t.rep, &raw), 0);
	raw_close(&raw);
	close(fd);
}

static void test_names(void **state)
{
	static const struct {
		const char *name, *folder;
	} cases[] = {
		{ "INBOX", "" },
		{ "Sent", ".Sent" },
		{ "Work/2024", ".Work.2024" },
		{ "a.b", ".a\\2eb" },
		{ "Tr\xc3\xbc"
		  "b",
		    ".Tr&APw-b" },
		{ "..", ".\\2e\\2e" },
		{ "x\ny", ".x&AAo-y" },
	};
	char to[256], long_name[400];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		maildir_folder(slice_str(cases[i].name), 5, to, sizeof(to));
		assert_string_equal(to, cases[i].folder);
	}
	memset(long_name, 'x', sizeof(long_name));
	maildir_folder(slice_of(long_name, sizeof(long_name)), 5, to, sizeof(to));
	assert_string_equal(to, ".long-5");
	maildir_account(SLICE("../a b@x"), to, sizeof(to));
	assert_string_equal(to, "_._a_b@x");
}

static int setup(void **state)
{
	static char dir[64];

	log_init(2, false, LOG_CRIT);
	dir_make(dir);
	*state = dir;
	if (chdir(dir) != 0)
		return -1;
	world_make();
	return 0;
}

static int teardown(void **state)
{
	if (chdir("..") != 0)
		return -1;
	dir_remove(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_without_index),
		cmocka_unit_test(test_without_segment),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_tail),
		cmocka_unit_test(test_until),
		cmocka_unit_test(test_busy),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
