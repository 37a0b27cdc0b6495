/*
 * engine-writer - drives the store through a seeded plan, or checks what a crash left of it.
 *
 *   engine-writer write DIR ACKS SEED COUNT [SPEC]   appends "N\n" to ACKS when commit N is
 * acknowledged engine-writer resume DIR ACKS SEED COUNT [SPEC]  checks, then goes on with what is
 * not there engine-writer self  SPEC ACKS SEED COUNT         writes to a store of its own and
 * checks it at once engine-writer check DIR ACKS SEED COUNT [SPEC]   every acknowledged commit is
 * there; each group holds exactly a prefix of its batches, commits of two groups took effect in
 * both or in none
 *
 * SPEC is lmdb, or a store of shards (3*lmdb), over which the groups are spread; those whose shard
 * is not there yet (1*lmdb) wait, and a commit of two shards is two. That all shards are there is
 * acknowledged by a line behind the plan's end.
 */
#include "engine-writer.h"

#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COMPACT_EVERY = 20, IN_FLIGHT = 6, CHUNK = 64 * 1024, ANSWER_MS = 20000 };

struct writer w;

static unsigned flying;

void writer_turn(void)
{
	struct pollfd p = { .fd = engine_fd(w.store), .events = POLLIN };

	if (poll(&p, 1, ANSWER_MS) <= 0)
		errx(3, "the store does not answer");
	engine_dispatch(w.store, 0);
}

void writer_done(void *arg, int rc)
{
	struct answer *a = arg;

	*a = (struct answer){ true, rc };
}

int writer_await(struct answer *a)
{
	while (!a->done)
		writer_turn();
	return a->rc;
}

static void on_group(void *arg, int rc, struct engine_group *take_group)
{
	void **to = arg;

	if (rc != ENGINE_OK)
		errx(3, "group: %s", engine_rc_name(rc));
	*to = take_group;
}

/* Two groups stay together, where a store begins. */
static void spread(const char *spec)
{
	static const unsigned of_shards[PLAN_GROUPS] = { 0, 0, 1, 2 };

	w.may_grow = strchr(spec, '*') != NULL;
	if (w.may_grow)
		memcpy(w.shard, of_shards, sizeof(w.shard));
}

static void groups_open(void)
{
	for (unsigned g = 0; g < PLAN_GROUPS; g++) {
		unsigned shard = w.shard[g];
		char id[8];

		if (shard >= engine_shards(w.store))
			continue;
		if (engine_shard_away(w.store, shard) != NULL)
			errx(1, "the store does not open: %s (shard %u)",
			    engine_shard_away(w.store, shard), shard);
		snprintf(id, sizeof(id), "g%u", g);
		engine_group_open(w.store, slice_str(id), 0, ENGINE_CREATE | ENGINE_IN(shard),
		    on_group, &w.group[g]);
		while (w.group[g] == NULL)
			writer_turn();
	}
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
	spread(spec);
	rc = engine_open(spec, dir, &conf, &w.store);
	if (dir >= 0)
		close(dir);
	if (rc != ENGINE_OK)
		errx(1, "the store does not open: %s (%d)", engine_rc_name(rc), rc);
	groups_open();
}

static void store_close(void)
{
	for (unsigned g = 0; g < PLAN_GROUPS; g++)
		if (w.group[g] != NULL)
			engine_group_close(&w.group[g]);
	engine_close(&w.store);
}

/* ---- writing ---- */

struct flight {
	unsigned commit, body_of; /* body_of: the commit whose body it is */
	struct engine_body *body;
	const struct engine_group *body_in;
	unsigned parts; /* commits of the engine that it still is */
	bool done, failed;
};

static struct flight *flights;
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
	size_t left = plan_body_bytes(&w.plan, commit);
	struct answer room = { false, 0 }, ended = { false, 0 };
	struct engine_body *b = engine_body_begin(w.store, left, writer_done, &room);
	uint8_t chunk[CHUNK];
	size_t at = 0;
	int rc;

	if (b == NULL)
		errx(3, "no upload");
	if (plan_packs(commit))
		engine_body_pack(b);
	while (left > 0) {
		size_t n = left < CHUNK ? left : CHUNK;

		plan_body_fill(&w.plan, commit, at, chunk, n);
		room.done = false;
		rc = engine_body_append(b, slice_of(chunk, n));
		if (rc == ENGINE_AGAIN && writer_await(&room) == ENGINE_OK)
			continue;
		if (rc != ENGINE_OK)
			return upload_failed(b, rc);
		at += n;
		left -= n;
	}
	rc = engine_body_end(b, writer_done, &ended);
	if (rc == ENGINE_AGAIN)
		rc = writer_await(&ended);
	return rc == ENGINE_OK ? b : upload_failed(b, rc);
}

static void acknowledge(unsigned n)
{
	char line[16];
	int len = snprintf(line, sizeof(line), "%u\n", n);

	if (write(ack_fd, line, (size_t)len) != len)
		err(3, "ack");
}

static void on_commit(void *arg, int rc)
{
	struct flight *f = arg;

	flying--;
	if (rc == ENGINE_IO || rc == ENGINE_FULL || rc == ENGINE_CANCELLED)
		f->failed = put_off = true;
	else if (rc != ENGINE_OK)
		errx(3, "commit %u: %s", f->commit, engine_rc_name(rc));
	if (--f->parts > 0)
		return;
	f->done = true;
	if (!f->failed)
		acknowledge(f->commit);
	if (!f->failed && f->body != NULL &&
	    engine_body_loc_in(f->body, f->body_in, &w.locs[f->body_of]) != ENGINE_OK)
		errx(3, "commit %u: no place for its body", f->commit);
	engine_body_free(&f->body);
}

static int put_step(struct engine_batch *b, const struct plan_step *s, struct flight *f)
{
	struct slice key = slice_str(s->key);
	uint8_t bytes[128];
	struct slice val = slice_of(bytes, plan_value(&w.plan, s->val, bytes));

	switch (s->what) {
	case PLAN_PUT:
		return engine_put(b, key, val);
	case PLAN_DEL:
		return engine_del(b, key);
	case PLAN_DEL_RANGE:
		return engine_del_range(b, key, slice_str(s->to));
	case PLAN_REF:
		while (!flights[s->body].done)
			writer_turn();
		if (engine_loc_bytes(&w.locs[s->body]) > 0)
			return engine_put_ref(b, key, val, &w.locs[s->body]);
		break; /* the row that had it went before this writer began */
	case PLAN_BODY:
		break;
	}
	f->body = upload(s->body);
	f->body_of = s->body;
	return f->body == NULL ? ENGINE_IO : engine_put_body(b, key, val, f->body);
}

/* The batches of a commit that the store lacks and has a shard for; how many. */
static unsigned batches_make(unsigned i, struct flight *f, struct engine_batch *ret_batches[2])
{
	const struct plan_commit *c = &w.plan.commit[i];
	unsigned n = 0;

	for (unsigned b = 0; b < c->batches; b++) {
		const struct plan_batch *from = &c->batch[b];

		if ((w.held[i] >> b & 1) != 0 || w.group[from->group] == NULL)
			continue;
		ret_batches[n] = engine_batch_new(w.group[from->group]);
		if (ret_batches[n] == NULL)
			errx(3, "no batch");
		if (f->body == NULL)
			f->body_in = w.group[from->group];
		for (unsigned s = 0; s < from->n; s++) {
			int rc = put_step(ret_batches[n], &from->step[s], f);

			if (rc != ENGINE_OK && !put_off)
				errx(3, "commit %u step %u: %s", i, s, engine_rc_name(rc));
		}
		n++;
	}
	return n;
}

static void write_commit(unsigned i)
{
	const struct plan_commit *c = &w.plan.commit[i];
	struct flight *f = &flights[i];
	struct engine_batch *batches[2];
	unsigned n;

	f->commit = i;
	n = batches_make(i, f, batches);
	/* What went wrong meanwhile cancels nothing that is handed in now. */
	if (put_off) {
		for (unsigned b = 0; b < n; b++)
			engine_batch_free(&batches[b]);
		engine_body_free(&f->body);
		return;
	}
	f->parts = writer_is_atom(c) && n > 0 ? 1 : n;
	f->done = n == 0;
	for (unsigned b = 0; b < c->batches; b++)
		f->failed |= w.group[c->batch[b].group] == NULL; /* half of it, or less */
	for (unsigned b = 0; b < f->parts; b++) {
		flying++;
		engine_commit(w.store, batches + b, n / f->parts, on_commit, f);
	}
}

/* Compactions go on beside the commits; what moves is kept track of, as every user must. */
static struct answer compacted = { true, ENGINE_OK };

static void on_moved(
    void *arg, struct slice key, const struct engine_loc *from, const struct engine_loc *to)
{
	for (unsigned i = 0; i < w.plan.count; i++)
		if (memcmp(&w.locs[i], from, sizeof(*from)) == 0)
			w.locs[i] = *to;
}

static void compact(bool now)
{
	if (!now || !compacted.done)
		return;
	if (compacted.rc != ENGINE_OK)
		put_off = true;
	compacted.done = false;
	engine_compact(w.store, NULL, writer_done, &compacted);
}

/* All commits but those that the store holds already; until one is put off. */
static void run_write(const char *acks, bool goes_on)
{
	ack_fd = open(acks, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (ack_fd < 0)
		err(2, "%s", acks);
	for (unsigned g = 0; g < PLAN_GROUPS; g++)
		if (w.group[g] != NULL)
			engine_group_on_moved(w.group[g], on_moved, NULL);
	if (engine_shards(w.store) > 1)
		acknowledge(writer_shards_ack(engine_shards(w.store)));
	/* On what a crash left, before anything else comes to it. */
	compact(goes_on);
	for (unsigned i = 0; i < w.plan.count; i++) {
		flights[i].done = w.held[i] == (1 << w.plan.commit[i].batches) - 1;
		if (flights[i].done)
			continue;
		while (flying >= IN_FLIGHT)
			writer_turn();
		if (put_off)
			break;
		write_commit(i);
		compact(i % COMPACT_EVERY == COMPACT_EVERY - 1);
	}
	while (flying > 0)
		writer_turn();
	if (writer_await(&compacted) != ENGINE_OK)
		put_off = true;
	if (put_off)
		warnx("put off; compaction: %s", engine_rc_name(compacted.rc));
}

int main(int argc, char **argv)
{
	const char *spec = argc == 7 ? argv[6] : "lmdb";
	bool goes_on;
	int bad;

	if (argc != 6 && argc != 7)
		errx(2, "usage: engine-writer write|resume|check|self DIR ACKS SEED COUNT [SPEC]");
	plan_init(&w.plan, strtoull(argv[4], NULL, 10), (unsigned)strtoul(argv[5], NULL, 10));
	flights = calloc(w.plan.count, sizeof(*flights));
	w.locs = calloc(w.plan.count, sizeof(*w.locs));
	w.held = calloc(w.plan.count, sizeof(*w.held));
	if (flights == NULL || w.locs == NULL || w.held == NULL)
		errx(2, "out of memory");
	if (strcmp(argv[1], "self") == 0) {
		store_open(argv[2], NULL);
		run_write(argv[3], false);
		return writer_check(argv[3]);
	}
	store_open(spec, argv[2]);
	if (strcmp(argv[1], "check") == 0) {
		bad = writer_check(argv[3]);
		store_close();
		return bad;
	}
	goes_on = strcmp(argv[1], "resume") == 0;
	if (goes_on && writer_check(argv[3]) != 0)
		return 1;
	run_write(argv[3], goes_on);
	/* No engine_close(): its checkpoint is not what a power cut leaves. */
	_exit(put_off || engine_shards(w.store) < strtoul(spec, NULL, 10) ? 4 : 0);
}
