#include "engine-plan.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t mix(uint64_t z)
{
	z += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static uint64_t draw(const struct plan *p, unsigned commit, unsigned what)
{
	return mix(p->seed ^ mix((uint64_t)commit << 16 | what));
}

size_t plan_value(const struct plan *p, unsigned val, uint8_t out[128])
{
	size_t n = draw(p, val, 1) % 120;

	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)draw(p, val, (unsigned)(2 + i));
	return n;
}

size_t plan_body_bytes(const struct plan *p, unsigned commit)
{
	uint64_t r = draw(p, commit, 200);

	if (commit % 41 == 40)
		return 1100000 + r % 300000;
	return r % 7 == 0 ? r % 64 : r % 24000;
}

bool plan_packs(unsigned commit)
{
	return commit % 2 != 0;
}

void plan_body_fill(const struct plan *p, unsigned commit, size_t off, uint8_t *out, size_t n)
{
	uint64_t key = draw(p, commit, 201);

	for (size_t i = 0; i < n; i += 8) {
		uint64_t at = (off + i) / 8;
		/* What is packed repeats itself, but for each third chunk or so. */
		uint64_t word = mix(key + (plan_packs(commit) && at / 8192 % 3 < 2 ? at % 29 : at));

		memcpy(out + i, &word, n - i < 8 ? n - i : 8);
	}
}

static size_t model_place(const struct model *m, const char *key)
{
	size_t at = 0;

	while (at < m->n && strcmp(m->row[at].key, key) < 0)
		at++;
	return at;
}

static bool model_has(const struct model *m, size_t at, const char *key)
{
	return at < m->n && strcmp(m->row[at].key, key) == 0;
}

static void model_remove(struct model *m, size_t from, size_t to)
{
	memmove(m->row + from, m->row + to, (m->n - to) * sizeof(*m->row));
	m->n -= to - from;
}

static void model_step(struct model *m, const struct plan_step *s)
{
	size_t at = model_place(m, s->key);

	switch (s->what) {
	case PLAN_DEL:
		if (model_has(m, at, s->key))
			model_remove(m, at, at + 1);
		return;
	case PLAN_DEL_RANGE:
		model_remove(m, at, s->to[0] == '\0' ? m->n : model_place(m, s->to));
		return;
	case PLAN_PUT:
	case PLAN_BODY:
	case PLAN_REF:
		break;
	}
	if (!model_has(m, at, s->key)) {
		m->row = realloc(m->row, (m->n + 1) * sizeof(*m->row));
		if (m->row == NULL)
			errx(2, "out of memory");
		memmove(m->row + at + 1, m->row + at, (m->n - at) * sizeof(*m->row));
		m->n++;
	}
	m->row[at] =
	    (struct model_row){ .val = s->val, .body = s->body, .has_body = s->what != PLAN_PUT };
	memcpy(m->row[at].key, s->key, PLAN_KEY);
}

void model_apply(struct model *m, const struct plan_batch *b)
{
	for (unsigned i = 0; i < b->n; i++)
		model_step(m, &b->step[i]);
}

static struct plan_step *add(struct plan_batch *b, enum plan_what what, unsigned val)
{
	struct plan_step *s = &b->step[b->n++];

	*s = (struct plan_step){ .what = what, .val = val };
	return s;
}

/* A body that some row still refers to once commits before `i` are done; its commit, or -1. */
static int living_body(const struct model m[PLAN_GROUPS], unsigned i)
{
	for (unsigned g = 0; g < PLAN_GROUPS; g++)
		for (size_t r = 0; r < m[g].n; r++)
			if (m[g].row[r].has_body && m[g].row[r].body + PLAN_LAG <= i &&
			    (m[g].row[r].body + i) % 5 == 0)
				return (int)m[g].row[r].body;
	return -1;
}

static void plan_one(const struct plan *p, const struct model m[PLAN_GROUPS], unsigned i)
{
	struct plan_commit *c = &p->commit[i];
	struct plan_batch *b = &c->batch[0];
	struct plan_step *s;
	int body;

	c->batches = i % 6 == 5 ? 2 : 1;
	b->group = (unsigned)(draw(p, i, 0) % PLAN_GROUPS);
	s = add(b, i % 3 != 2 ? PLAN_BODY : PLAN_PUT, i);
	s->body = i;
	snprintf(s->key, PLAN_KEY, "m%06u", i);
	s = add(b, PLAN_PUT, i + 1000000);
	snprintf(s->key, PLAN_KEY, "f%02u", i % 16);
	if (i % 4 == 3) {
		s = add(b, PLAN_DEL, 0);
		snprintf(s->key, PLAN_KEY, "m%06u", i - 3);
	} else if (i % 37 == 36) {
		s = add(b, PLAN_DEL_RANGE, 0);
		snprintf(s->key, PLAN_KEY, "m000000");
		snprintf(s->to, PLAN_KEY, "m%06u", i - 20);
	}
	if (c->batches == 1)
		return;
	c->batch[1].group = (b->group + 1) % PLAN_GROUPS;
	b = &c->batch[1];
	body = living_body(m, i);
	s = add(b, body >= 0 ? PLAN_REF : PLAN_PUT, i + 2000000);
	s->body = body >= 0 ? (unsigned)body : 0;
	snprintf(s->key, PLAN_KEY, "r%06u", i);
}

void plan_init(struct plan *p, uint64_t seed, unsigned count)
{
	struct model m[PLAN_GROUPS] = { { NULL, 0 } };

	*p = (struct plan){ .seed = seed, .count = count };
	p->commit = calloc(count, sizeof(*p->commit));
	if (p->commit == NULL)
		errx(2, "out of memory");
	for (unsigned i = 0; i < count; i++) {
		plan_one(p, m, i);
		for (unsigned b = 0; b < p->commit[i].batches; b++)
			model_apply(&m[p->commit[i].batch[b].group], &p->commit[i].batch[b]);
	}
	for (unsigned g = 0; g < PLAN_GROUPS; g++)
		free(m[g].row);
}
