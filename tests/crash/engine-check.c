/* engine-writer check: what a store holds, compared with the plan. */
#include "engine-writer.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 64 * 1024 };

static struct model model[PLAN_GROUPS];
static unsigned reached[PLAN_GROUPS]; /* batches the model has applied */

/*
 * Of commits; more than all of them: as many shards. A line that a death cut short and the next one
 * behind it are no number of either; to a store of one shard nothing says how many it has.
 */
static bool *read_acks(const char *path, unsigned *ret_shards)
{
	bool *acked = calloc(w.plan.count, sizeof(*acked));
	FILE *f = fopen(path, "re");
	unsigned i;

	if (acked == NULL || f == NULL)
		err(2, "%s", path);
	*ret_shards = 1;
	while (fscanf(f, "%u", &i) == 1)
		if (i < w.plan.count)
			acked[i] = true;
		else if (w.may_grow && i - w.plan.count <= ENGINE_SHARDS_MAX)
			*ret_shards = i - w.plan.count;
	fclose(f);
	return acked;
}

static uint64_t seq_of(unsigned g)
{
	return w.group[g] == NULL ? 0 : engine_group_seq(w.group[g]);
}

/* Replays the plan up to what each group says it holds; acknowledged commits must be in. */
static int apply_plan(const bool *acked)
{
	for (unsigned i = 0; i < w.plan.count; i++) {
		const struct plan_commit *c = &w.plan.commit[i];
		unsigned in = 0;

		w.held[i] = 0;
		for (unsigned b = 0; b < c->batches; b++) {
			unsigned g = c->batch[b].group;

			if (reached[g] >= seq_of(g))
				continue;
			model_apply(&model[g], &c->batch[b]);
			reached[g]++;
			in++;
			w.held[i] |= (uint8_t)(1 << b);
		}
		if (acked[i] && in != c->batches) {
			printf("commit %u was acknowledged and is not there\n", i);
			return 1;
		}
		if (in != 0 && in != c->batches && writer_is_atom(c)) {
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
	size_t size = plan_body_bytes(&w.plan, commit);

	if (engine_loc_bytes(loc) != size)
		return 1;
	for (size_t at = 0; at < size; at += d.n) {
		d.a.done = false;
		engine_body_read(w.store, loc, at, CHUNK, on_data, &d);
		if (writer_await(&d.a) != ENGINE_OK || d.n == 0 || d.n > CHUNK || d.n > size - at)
			return 1;
		plan_body_fill(&w.plan, commit, at & ~(size_t)7, want, d.n + (at & 7));
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
		    !slice_eq(
			rows[i].val, slice_of(bytes, plan_value(&w.plan, want->val, bytes)))) {
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
		engine_scan(w.group[g], start, SLICE_NONE, 0, on_rows, &s);
		if (writer_await(&s.a) != ENGINE_OK) {
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
		w.locs[s.body[i].commit] = s.body[i].loc;
	}
	return 0;
}

int writer_check(const char *acks)
{
	unsigned shards;
	int bad = apply_plan(read_acks(acks, &shards));

	if (bad == 0 && engine_shards(w.store) < shards) {
		printf(
		    "%u shards were counted, and %u are there\n", shards, engine_shards(w.store));
		bad = 1;
	}
	for (unsigned g = 0; g < PLAN_GROUPS && bad == 0; g++) {
		if (reached[g] != seq_of(g)) {
			printf("group %u counts more batches than were ever made\n", g);
			bad = 1;
		}
		if (bad == 0 && w.group[g] != NULL)
			bad = check_group(g);
	}
	return bad;
}
