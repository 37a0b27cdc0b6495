/*
 * engine-writer - drives the store through a seeded plan, or checks what a crash left of it.
 *
 *   engine-writer write DIR ACKS SEED COUNT   appends "N\n" to ACKS when commit N is acknowledged
 *   engine-writer resume DIR ACKS SEED COUNT  checks, then goes on with what is not there
 *   engine-writer self  SPEC ACKS SEED COUNT  writes to a store of its own and checks it at once
 *   engine-writer check DIR ACKS SEED COUNT   every acknowledged commit is there; each group holds
 *                                             exactly a prefix of its batches, commits of two
 *                                             groups took effect in both or in none
 */
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/engine/engine.h"
#include "engine-plan.h"

enum { COMPACT_EVERY = 20, IN_FLIGHT = 6, CHUNK = 64 * 1024, ANSWER_MS = 20000 };

static struct engine *store;
static struct engine_group *group[PLAN_GROUPS];
static struct plan plan;
static unsigned flying;

/* Waits for answers; a store that says nothing for long is an error. */
static void turn(void)
{
	struct pollfd p = { .fd = engine_fd(store), .events = POLLIN };

	if (poll(&p, 1, ANSWER_MS) <= 0)
		errx(3, "the store does not answer");
	engine_dispatch(store, 0);
}

struct answer {
	bool done;
	int rc;
};

static void on_done(void *arg, int rc)
{
	struct answer *a = arg;

	*a = (struct answer){ true, rc };
}

static int await(struct answer *a)
{
	while (!a->done)
		turn();
	return a->rc;
}

static void on_group(void *arg, int rc, struct engine_group *take_group)
{
	void **to = arg;

	if (rc != ENGINE_OK)
		errx(3, "group: %s", engine_rc_name(rc));
	*to = take_group;
}

/* `path` is NULL for a store without a directory. */
static void store_open(const char *spec, const char *path)
{
	/* Small bounds, so that a short run changes segments and checkpoints. */
	struct engine_conf conf = { .readers = 1,
		.segment_bytes = 512u << 10,
		.overlay_bytes = 64u << 10,
		.log_max_bytes = 8u << 20,
		.checkpoint_ms = 40,
		.map_bytes = 8u << 20 };
	int dir = -1;
	int rc;

	if (path != NULL && (dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		err(2, "%s", path);
	rc = engine_open(spec, dir, &conf, &store);
	if (dir >= 0)
		close(dir);
	if (rc != ENGINE_OK)
		errx(1, "the store does not open: %s (%d)", engine_rc_name(rc), rc);
	for (unsigned g = 0; g < PLAN_GROUPS; g++) {
		char id[8];

		snprintf(id, sizeof(id), "g%u", g);
		engine_group_open(store, slice_str(id), 0, ENGINE_CREATE, on_group, &group[g]);
	}
	for (unsigned g = 0; g < PLAN_GROUPS; g++)
		while (group[g] == NULL)
			turn();
}

static void store_close(void)
{
	for (unsigned g = 0; g < PLAN_GROUPS; g++)
		engine_group_close(&group[g]);
	engine_close(&store);
}

/* ---- writing ---- */

struct flight {
	unsigned commit, body_of; /* body_of: the commit whose body it is */
	struct engine_body *body;
	bool done;
};

static struct flight *flights;
static bool *held;              /* by commit: it was there when the store was opened */
static struct engine_loc *locs; /* by commit, once acknowledged */
static int ack_fd = -1;
static bool put_off; /* a commit was answered "not stored": no further ones */

static struct engine_body *upload_failed(struct engine_body *b, int rc)
{
	if (rc != ENGINE_IO && rc != ENGINE_FULL)
		errx(3, "upload: %s", engine_rc_name(rc));
	put_off = true;
	engine_body_free(&b);
	return NULL;
}

/* NULL: it is put off. */
static struct engine_body *upload(unsigned commit)
{
	size_t left = plan_body_bytes(&plan, commit);
	struct answer room = { false, 0 }, ended = { false, 0 };
	struct engine_body *b = engine_body_begin(store, left, on_done, &room);
	uint8_t chunk[CHUNK];
	size_t at = 0;
	int rc;

	if (b == NULL)
		errx(3, "no upload");
	if (plan_packs(commit))
		engine_body_pack(b);
	while (left > 0) {
		size_t n = left < CHUNK ? left : CHUNK;

		plan_body_fill(&plan, commit, at, chunk, n);
		room.done = false;
		rc = engine_body_append(b, slice_of(chunk, n));
		if (rc == ENGINE_AGAIN && await(&room) == ENGINE_OK)
			continue;
		if (rc != ENGINE_OK)
			return upload_failed(b, rc);
		at += n;
		left -= n;
	}
	rc = engine_body_end(b, on_done, &ended);
	if (rc == ENGINE_AGAIN)
		rc = await(&ended);
	return rc == ENGINE_OK ? b : upload_failed(b, rc);
}

static void on_commit(void *arg, int rc)
{
	struct flight *f = arg;
	char line[16];
	int n;

	f->done = true;
	flying--;
	if (rc == ENGINE_IO || rc == ENGINE_FULL || rc == ENGINE_CANCELLED) {
		put_off = true;
		engine_body_free(&f->body);
		return;
	}
	if (rc != ENGINE_OK)
		errx(3, "commit %u: %s", f->commit, engine_rc_name(rc));
	n = snprintf(line, sizeof(line), "%u\n", f->commit);
	if (write(ack_fd, line, (size_t)n) != n)
		err(3, "ack");
	if (f->body != NULL) {
		if (engine_body_loc(f->body, &locs[f->body_of]) != ENGINE_OK)
			errx(3, "commit %u: no place for its body", f->commit);
		engine_body_free(&f->body);
	}
}

static int put_step(struct engine_batch *b, const struct plan_step *s, struct flight *f)
{
	struct slice key = slice_str(s->key);
	uint8_t bytes[128];
	struct slice val = slice_of(bytes, plan_value(&plan, s->val, bytes));

	switch (s->what) {
	case PLAN_PUT:
		return engine_put(b, key, val);
	case PLAN_DEL:
		return engine_del(b, key);
	case PLAN_DEL_RANGE:
		return engine_del_range(b, key, slice_str(s->to));
	case PLAN_REF:
		while (!flights[s->body].done)
			turn();
		if (engine_loc_bytes(&locs[s->body]) > 0)
			return engine_put_ref(b, key, val, &locs[s->body]);
		break; /* the row that had it went before this writer began */
	case PLAN_BODY:
		break;
	}
	f->body = upload(s->body);
	f->body_of = s->body;
	return f->body == NULL ? ENGINE_IO : engine_put_body(b, key, val, f->body);
}

static void write_commit(unsigned i)
{
	const struct plan_commit *c = &plan.commit[i];
	struct flight *f = &flights[i];
	struct engine_batch *batches[2];

	f->commit = i;
	for (unsigned b = 0; b < c->batches; b++) {
		batches[b] = engine_batch_new(group[c->batch[b].group]);
		if (batches[b] == NULL)
			errx(3, "no batch");
		for (unsigned s = 0; s < c->batch[b].n; s++) {
			int rc = put_step(batches[b], &c->batch[b].step[s], f);

			if (rc != ENGINE_OK && !put_off)
				errx(3, "commit %u step %u: %s", i, s, engine_rc_name(rc));
		}
	}
	/* What went wrong meanwhile cancels nothing that is handed in now. */
	if (put_off) {
		for (unsigned b = 0; b < c->batches; b++)
			engine_batch_free(&batches[b]);
		engine_body_free(&f->body);
		return;
	}
	flying++;
	engine_commit(store, batches, c->batches, on_commit, f);
}

/* Compactions go on beside the commits; what moves is kept track of, as every user must. */
static struct answer compacted = { true, ENGINE_OK };

static void on_moved(
    void *arg, struct slice key, const struct engine_loc *from, const struct engine_loc *to)
{
	for (unsigned i = 0; i < plan.count; i++)
		if (memcmp(&locs[i], from, sizeof(*from)) == 0)
			locs[i] = *to;
}

static void compact(bool now)
{
	if (!now || !compacted.done)
		return;
	if (compacted.rc != ENGINE_OK)
		put_off = true;
	compacted.done = false;
	engine_compact(store, NULL, on_done, &compacted);
}

/* All commits but those that the store holds already; until one is put off. */
static void run_write(const char *acks, bool goes_on)
{
	ack_fd = open(acks, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (ack_fd < 0)
		err(2, "%s", acks);
	for (unsigned g = 0; g < PLAN_GROUPS; g++)
		engine_group_on_moved(group[g], on_moved, NULL);
	/* On what a crash left, before anything else comes to it. */
	compact(goes_on);
	for (unsigned i = 0; i < plan.count; i++) {
		if (held[i])
			continue;
		while (flying >= IN_FLIGHT)
			turn();
		if (put_off)
			break;
		write_commit(i);
		compact(i % COMPACT_EVERY == COMPACT_EVERY - 1);
	}
	while (flying > 0)
		turn();
	if (await(&compacted) != ENGINE_OK)
		put_off = true;
	if (put_off)
		warnx("put off; compaction: %s", engine_rc_name(compacted.rc));
}

/* ---- checking ---- */

static struct model model[PLAN_GROUPS];
static unsigned reached[PLAN_GROUPS]; /* batches the model has applied */

static bool *read_acks(const char *path)
{
	bool *acked = calloc(plan.count, sizeof(*acked));
	FILE *f = fopen(path, "re");
	unsigned i;

	if (acked == NULL || f == NULL)
		err(2, "%s", path);
	while (fscanf(f, "%u", &i) == 1)
		if (i < plan.count)
			acked[i] = true;
	fclose(f);
	return acked;
}

/* Replays the plan up to what each group says it holds; acknowledged commits must be in. */
static int apply_plan(const bool *acked)
{
	for (unsigned i = 0; i < plan.count; i++) {
		const struct plan_commit *c = &plan.commit[i];
		unsigned in = 0;

		for (unsigned b = 0; b < c->batches; b++) {
			unsigned g = c->batch[b].group;

			if (reached[g] >= engine_group_seq(group[g]))
				continue;
			model_apply(&model[g], &c->batch[b]);
			reached[g]++;
			in++;
		}
		held[i] = in == c->batches;
		flights[i].done = held[i];
		if (acked[i] && in != c->batches) {
			printf("commit %u was acknowledged and is not there\n", i);
			return 1;
		}
		if (in != 0 && in != c->batches && engine_limits(store)->commit_atomic) {
			printf("commit %u took effect in one group only\n", i);
			return 1;
		}
	}
	return 0;
}

struct data {
	struct answer a;
	size_t n;
	uint8_t bytes[1 << 20];
};

static void on_data(void *arg, int rc, struct slice got)
{
	struct data *d = arg;

	d->a = (struct answer){ true, rc };
	d->n = got.n;
	if (rc == ENGINE_OK && got.n <= sizeof(d->bytes))
		memcpy(d->bytes, got.p, got.n);
}

static int check_body(unsigned commit, const struct engine_loc *loc)
{
	static struct data d;
	static uint8_t want[1 << 20];
	size_t size = plan_body_bytes(&plan, commit);

	if (engine_loc_bytes(loc) != size)
		return 1;
	for (size_t at = 0; at < size; at += d.n) {
		d.a.done = false;
		engine_body_read(store, loc, at, CHUNK, on_data, &d);
		if (await(&d.a) != ENGINE_OK || d.n == 0 || d.n > CHUNK || d.n > size - at)
			return 1;
		plan_body_fill(&plan, commit, at & ~(size_t)7, want, d.n + (at & 7));
		if (memcmp(want + (at & 7), d.bytes, d.n) != 0)
			return 1;
	}
	return 0;
}

struct scan {
	struct answer a;
	unsigned group;
	size_t at, bodies;
	bool more, bad;
	struct {
		unsigned commit;
		struct engine_loc loc;
	} body[4096];
};

static void on_rows(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct scan *s = arg;
	const struct model *m = &model[s->group];
	uint8_t bytes[128];

	for (size_t i = 0; rc == ENGINE_OK && i < n; i++, s->at++) {
		const struct model_row *want = &m->row[s->at];

		if (s->at >= m->n || !slice_eq(rows[i].key, slice_str(want->key)) ||
		    rows[i].has_loc != want->has_body ||
		    !slice_eq(rows[i].val, slice_of(bytes, plan_value(&plan, want->val, bytes)))) {
			printf("group %u row %zu is %.*s, not as planned\n", s->group, s->at,
			    SLICE_FMT(rows[i].key));
			s->bad = true;
			break;
		}
		if (want->has_body && s->bodies < 4096) {
			s->body[s->bodies].commit = want->body;
			s->body[s->bodies++].loc = rows[i].loc;
		}
	}
	s->more = more;
	s->a = (struct answer){ true, rc };
}

static int check_group(unsigned g)
{
	static struct scan s;

	s = (struct scan){ .group = g, .more = true };
	while (s.more && !s.bad) {
		char from[PLAN_KEY + 1] = "";
		struct slice start = slice_str(from);

		if (s.at > 0) {
			/* The key after the last one, in bytewise order: the same and a NUL. */
			memcpy(from, model[g].row[s.at - 1].key, PLAN_KEY);
			start.n = strlen(from) + 1;
		}
		s.a.done = false;
		engine_scan(group[g], start, SLICE_NONE, 0, on_rows, &s);
		if (await(&s.a) != ENGINE_OK) {
			printf("group %u: scan says %s\n", g, engine_rc_name(s.a.rc));
			return 1;
		}
	}
	if (s.bad)
		return 1;
	if (s.at != model[g].n) {
		printf("group %u has %zu rows of %zu\n", g, s.at, model[g].n);
		return 1;
	}
	for (size_t i = 0; i < s.bodies; i++) {
		if (check_body(s.body[i].commit, &s.body[i].loc) != 0) {
			printf("group %u: the body of commit %u differs\n", g, s.body[i].commit);
			return 1;
		}
		locs[s.body[i].commit] = s.body[i].loc;
	}
	return 0;
}

static int run_check(const char *acks)
{
	int bad = apply_plan(read_acks(acks));

	for (unsigned g = 0; g < PLAN_GROUPS && bad == 0; g++) {
		if (reached[g] != engine_group_seq(group[g])) {
			printf("group %u counts more batches than were ever made\n", g);
			bad = 1;
		}
		if (bad == 0)
			bad = check_group(g);
	}
	return bad;
}

int main(int argc, char **argv)
{
	bool goes_on;
	int bad;

	if (argc != 6)
		errx(2, "usage: engine-writer write|resume|check|self DIR ACKS SEED COUNT");
	plan_init(&plan, strtoull(argv[4], NULL, 10), (unsigned)strtoul(argv[5], NULL, 10));
	flights = calloc(plan.count, sizeof(*flights));
	locs = calloc(plan.count, sizeof(*locs));
	held = calloc(plan.count, sizeof(*held));
	if (flights == NULL || locs == NULL || held == NULL)
		errx(2, "out of memory");
	if (strcmp(argv[1], "self") == 0) {
		store_open(argv[2], NULL);
		run_write(argv[3], false);
		return run_check(argv[3]);
	}
	store_open("lmdb", argv[2]);
	if (strcmp(argv[1], "check") == 0) {
		bad = run_check(argv[3]);
		store_close();
		return bad;
	}
	goes_on = strcmp(argv[1], "resume") == 0;
	if (goes_on && run_check(argv[3]) != 0)
		return 1;
	run_write(argv[3], goes_on);
	/* No engine_close(): its checkpoint is not what a power cut leaves. */
	_exit(put_off ? 4 : 0);
}
