/*
 * Appends, copies, moves, keywords, flags, expunges, restores and purges at random between two
 * mailboxes while the engine's commits are answered FULL, IO or UNKNOWN. After each of them both
 * mailboxes, and what is lost of them, are as they were or as they were to be, and never between;
 * when it was acknowledged, as they were to be. A uid never changes what it names, and a message
 * that was moved or restored is in exactly one place. The account's figures are the sums of what is
 * there.
 */
#include "ops-world.h"

/* The answer: its status; other messages in front of it do not matter. */
static int answer(struct world *w, enum ipc_type want)
{
	enum ipc_type type;
	const union ipc_any *m;
	/* A move or a restore has several steps where the engine has no atom over groups. */
	bool steps = want == IPC_copy_done || want == IPC_lost_done;

	if (program != NULL && want != IPC_append_ready && rnd(w, steps ? 2 : 5) == 0) {
		rig_spin(&w->rig, (int)rnd(w, 3));
		rig_kill(&w->rig);
		w->s = NULL;
		w->killed = true;
		return IPC_ST_TRYLATER;
	}
	do {
		m = rig_next(w->s, 10000, &type, NULL);
		if (m == NULL || type == IPC_session_bye)
			return IPC_ST_TRYLATER;
	} while (type != want);
	if (type == IPC_copy_done)
		return (int)m->copy_done.status;
	if (type == IPC_append_done)
		return (int)m->append_done.status;
	if (type == IPC_append_ready)
		return (int)m->append_ready.status;
	if (type == IPC_lost_done)
		return (int)m->lost_done.status;
	if (type == IPC_undelete_done)
		return (int)m->undelete_done.status;
	return type == IPC_keyword_made ? (int)m->keyword_made.status : (int)m->store_done.status;
}

static const char *names_text(struct world *w, uint32_t names)
{
	static char text[200];

	text[0] = 0;
	for (unsigned i = 0; i < NAMES; i++)
		if (names >> i & 1)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%c%u",
			    text[0] != 0 ? " " : "", rnd(w, 2) ? 'k' : 'K', i);
	return text;
}

static bool step_append(struct world *w)
{
	static uint8_t body[100000];
	unsigned b = rnd(w, BOXES), n = 1 + rnd(w, 4);
	struct box *t = &w->then[b];
	uint8_t thread[16];

	for (unsigned i = 0; i < n; i++)
		t->v[t->n++] = (struct msg){ .flags = rnd(w, 32),
			.size = ++w->size,
			.names = rnd(w, 3) ? 0 : rnd(w, 1 << NAMES) & rnd(w, 1 << NAMES) };
	rig_send(w->s, IPC_append_begin, &(struct ipc_append_begin){ 1, slice_str(boxes[b]) });
	if (answer(w, IPC_append_ready) != IPC_ST_OK)
		return false;
	for (unsigned i = 0; i < n; i++) {
		struct msg *m = &t->v[t->n - n + i];
		struct ipc_append_msg a = { m->flags, slice_str(names_text(w, m->names)), 1, 0 };

		rig_send(w->s, IPC_append_msg, &a);
		rig_append_bytes(w->s, slice_of(body, body_make(m->size, body)));
		wire_store_u64(thread, rnd(w, 20));
		wire_store_u64(thread + 8, 1 + rnd(w, 20));
		rig_send(w->s, IPC_append_end,
		    &(struct ipc_append_end){ SLICE("facts"), slice_of(thread, 8 * rnd(w, 3)) });
	}
	rig_send(w->s, IPC_append_commit, &(struct ipc_append_commit){ 2 });
	return answer(w, IPC_append_done) == IPC_ST_OK;
}

/* A range of messages: first and last uid. */
static void range(struct world *w, unsigned b, size_t *ret_from, size_t *ret_to, uint8_t pair[8])
{
	size_t from = rnd(w, (uint32_t)w->now[b].n), to = from + 1 + rnd(w, 12);

	*ret_from = from;
	*ret_to = to = to < w->now[b].n ? to : w->now[b].n;
	wire_store_u32(pair, w->now[b].v[from].uid);
	wire_store_u32(pair + 4, w->now[b].v[to - 1].uid);
}

static void then_gone(struct world *w, unsigned b, size_t from, size_t to)
{
	struct box *t = &w->then[b];

	memmove(&t->v[from], &t->v[to], (t->n - to) * sizeof(t->v[0]));
	t->n -= to - from;
}

static bool step_copy(struct world *w, bool move)
{
	unsigned b = rnd(w, BOXES), other = rnd(w, BOXES);
	uint8_t pair[8];
	size_t from, to;

	range(w, b, &from, &to, pair);
	for (size_t i = from; i < to; i++) {
		struct msg m = w->now[b].v[i];

		m.uid = 0;
		w->then[other].v[w->then[other].n++] = m;
	}
	if (move)
		then_gone(w, b, from, to);
	rig_send(w->s, IPC_msg_copy,
	    &(struct ipc_msg_copy){
		1, w->mbox[b], move, slice_str(boxes[other]), slice_of(pair, 8) });
	return answer(w, IPC_copy_done) == IPC_ST_OK;
}

static void then_lost(struct world *w, unsigned b, const struct msg *m)
{
	struct box *t = &w->then[b];
	size_t at = t->n_lost;

	while (at > 0 && t->lost[at - 1].uid > m->uid)
		at--;
	memmove(&t->lost[at + 1], &t->lost[at], (t->n_lost - at) * sizeof(t->lost[0]));
	t->lost[at] = *m;
	t->n_lost++;
}

/* All or some of what is lost of a mailbox. */
static bool step_restore(struct world *w)
{
	unsigned b = rnd(w, BOXES);
	struct box *t = &w->then[b];
	const struct box *now = &w->now[b];
	size_t from = 0, to = now->n_lost;
	struct slice uids = SLICE_NONE;
	uint8_t pair[8];

	if (to > 0 && rnd(w, 2)) {
		from = rnd(w, (uint32_t)to);
		to = from + 1 + rnd(w, (uint32_t)(to - from));
		wire_store_u32(pair, now->lost[from].uid);
		wire_store_u32(pair + 4, now->lost[to - 1].uid);
		uids = slice_of(pair, 8);
	}
	for (size_t i = from; i < to; i++) {
		struct msg m = now->lost[i];

		m.uid = 0;
		m.names = w->names[b][now->lost[i].uid];
		m.flags &= ~(uint32_t)IPC_FLAG_DELETED;
		t->v[t->n++] = m;
	}
	memmove(&t->lost[from], &t->lost[to], (t->n_lost - to) * sizeof(t->lost[0]));
	t->n_lost -= to - from;
	rig_send(w->s, IPC_lost_ask,
	    &(struct ipc_lost_ask){ .seq = 1,
		.what = IPC_LOST_RESTORE,
		.name = slice_str(boxes[b]),
		.until = INT64_MAX,
		.uids = uids });
	return answer(w, IPC_lost_done) == IPC_ST_OK;
}

static bool step_purge(struct world *w)
{
	unsigned b = rnd(w, BOXES);
	struct rig_client *ad, *s = w->s;
	bool done;

	w->then[b].n_lost = 0;
	ad = rig_admin(&w->rig, IPC_RIGHT_MASTER, 0);
	rig_send(ad, IPC_undelete_ask,
	    &(struct ipc_undelete_ask){ .seq = 1,
		.what = IPC_LOST_PURGE,
		.account = ACCOUNT,
		.name = slice_str(boxes[b]),
		.until = INT64_MAX });
	w->s = ad;
	done = answer(w, IPC_undelete_done) == IPC_ST_OK;
	if (w->killed)
		return false;
	rig_client_close(ad);
	w->s = s;
	return done;
}

static bool step_expunge(struct world *w)
{
	unsigned b = rnd(w, BOXES);
	uint8_t pair[8];
	size_t from, to;

	range(w, b, &from, &to, pair);
	for (size_t i = from; i < to; i++)
		then_lost(w, b, &w->now[b].v[i]);
	then_gone(w, b, from, to);
	rig_send(w->s, IPC_msg_expunge,
	    &(struct ipc_msg_expunge){ 1, w->mbox[b], 0, slice_of(pair, 8) });
	return answer(w, IPC_store_done) == IPC_ST_OK;
}

static bool step_flags(struct world *w)
{
	unsigned b = rnd(w, BOXES);
	uint32_t names = 1u << rnd(w, NAMES), flags = 1u << rnd(w, 5);
	struct ipc_flags_store q = { .seq = 1, .op = IPC_FLAGS_ADD, .unchanged_since = UINT64_MAX };
	uint8_t pair[8];
	size_t from, to;
	uint8_t more[2];
	enum ipc_type type;
	const union ipc_any *m;

	range(w, b, &from, &to, pair);
	rig_send(w->s, IPC_keyword_make,
	    &(struct ipc_keyword_make){ 1, w->mbox[b], slice_str(names_text(w, names)) });
	m = rig_next(w->s, 10000, &type, NULL);
	if (m == NULL || type != IPC_keyword_made || m->keyword_made.status != IPC_ST_OK)
		return false;
	q.keywords = m->keyword_made.bits;
	q.more = slice_of(more, m->keyword_made.more.n);
	assert_true((q.keywords != 0) == (q.more.n == 0) && q.more.n <= 2);
	if (q.more.n > 0)
		memcpy(more, m->keyword_made.more.p, 2);
	for (size_t i = from; i < to; i++) {
		w->then[b].v[i].flags |= flags;
		w->then[b].v[i].names |= names;
	}
	q.mbox = w->mbox[b];
	q.flags = flags;
	q.uids = slice_of(pair, 8);
	rig_send(w->s, IPC_flags_store, &q);
	return answer(w, IPC_store_done) == IPC_ST_OK;
}

static void step(struct world *w, const struct engine_faults *f)
{
	uint32_t what = rnd(w, 10);
	const char *name = "an append";
	bool done;

	memcpy(w->then, w->now, sizeof(w->then));
	if (what < 4 || w->now[0].n == 0 || w->now[1].n == 0) {
		done = step_append(w);
	} else if (what == 4 && rnd(w, 2)) {
		bool purge = rnd(w, 4) == 0 || w->now[0].n_lost + w->now[1].n_lost > MSGS_MAX / 3;

		name = purge ? "a purge" : "a restore";
		done = purge ? step_purge(w) : step_restore(w);
	} else if (w->now[0].n + w->now[1].n > MSGS_MAX / 2 || what == 4) {
		name = "an expunge";
		done = step_expunge(w);
	} else if (what == 5) {
		name = "a change of flags";
		done = step_flags(w);
	} else {
		name = what < 8 ? "a copy" : "a move";
		done = step_copy(w, what >= 8);
	}

	close_views(w);
	settle(w, f, done, name);
}

static void bodies_check(struct world *w)
{
	static uint8_t want[100000];

	for (unsigned b = 0; b < BOXES; b++)
		for (size_t i = 0; i < w->now[b].n; i++) {
			const struct msg *m = &w->now[b].v[i];
			uint8_t *p = NULL;
			size_t n = 0;

			assert_int_equal(rig_body(w->s, w->mbox[b], m->uid, &p, &n), IPC_ST_OK);
			assert_true(
			    slice_eq(slice_of(p, n), slice_of(want, body_make(m->size, want))));
			free(p);
		}
}

/* Names that no message has, so that the others have numbers around the last bit and beyond. */
static void names_fill(struct world *w, unsigned b, unsigned n)
{
	uint32_t mbox = rig_open(w->s, boxes[b], 0).mbox;
	char text[64 * 4] = "";

	for (unsigned i = 0; i < n; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "x%u ", i);
	rig_send(w->s, IPC_keyword_make, &(struct ipc_keyword_make){ 1, mbox, slice_str(text) });
	assert_int_equal(rig_wait(w->s, IPC_keyword_made)->keyword_made.status, IPC_ST_OK);
	rig_send(w->s, IPC_mbox_close, &(struct ipc_mbox_close){ 1, mbox });
	rig_wait(w->s, IPC_store_done);
}

static void run(const struct engine_faults *faults, uint64_t seed)
{
	static struct world w;
	struct engine_faults f = *faults;

	w = (struct world){ .rnd = seed * 0x9e3779b97f4a7c15u + 1 };
	f.seed = seed;
	if (program != NULL)
		rig_init_process(&w.rig, program);
	else
		rig_init(&w.rig, spec);
	rig_account(&w.rig, ACCOUNT, IPC_account_make);
	assert_true(session_open(&w));
	rig_send(w.s, IPC_mbox_create, &(struct ipc_mbox_create){ 1, SLICE("There"), 0 });
	assert_int_equal(rig_wait(w.s, IPC_mbox_done)->mbox_done.status, IPC_ST_OK);
	names_fill(&w, 0, 58);
	names_fill(&w, 1, 64);
	settle(&w, &f, true, "nothing");
	for (int i = 0; i < STEPS; i++)
		step(&w, &f);
	faults_set(&w, &(struct engine_faults){ 0 });
	bodies_check(&w);
	assert_true(w.done > STEPS / 10);
	if (f.full + f.io + f.unknown > 0 || program != NULL)
		assert_true(w.failed > 0);
	rig_fini(&w.rig);
}

static void without_faults(void **state)
{
	run(&(struct engine_faults){ .again = 3 }, 1);
}

static void full(void **state)
{
	run(&(struct engine_faults){ .full = 3 }, 2);
	run(&(struct engine_faults){ .full = 3, .reorder = true }, 3);
}

static void errors_of_the_device(void **state)
{
	run(&(struct engine_faults){ .io = 4 }, 4);
	run(&(struct engine_faults){ .io = 5, .again = 2 }, 5);
}

static void unknown_outcomes(void **state)
{
	for (uint64_t seed = 10; seed < 40; seed++)
		run(&(struct engine_faults){ .unknown = 3, .reorder = seed % 2 }, seed);
}

static void everything_at_once(void **state)
{
	for (uint64_t seed = 50; seed < 90; seed++)
		run(
		    &(struct engine_faults){
			.unknown = 9, .io = 12, .full = 11, .again = 3, .reorder = true },
		    seed);
}

static void kill_9(void **state)
{
	run(&(struct engine_faults){ 0 }, 7);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest kills[] = { cmocka_unit_test(kill_9) };

	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_faults),
		cmocka_unit_test(full),
		cmocka_unit_test(errors_of_the_device),
		cmocka_unit_test(unknown_outcomes),
		cmocka_unit_test(everything_at_once),
	};

	if (argc > 1 && strncmp(argv[1], "mem", 3) == 0) {
		spec = argv[1];
	} else if (argc > 1) {
		program = argv[1];
		return cmocka_run_group_tests(kills, NULL, NULL);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
