/*
 * copy-back - which of the lost messages a restore brings back, and how they leave the lost.
 */
#include "stored/copy-private.h"

#include <stdlib.h>

struct back_load {
	struct copy *c;
	void (*fn)(struct copy *c, int status);
};

static void on_loaded(void *arg, int status)
{
	struct back_load *l = arg;
	struct copy *c = l->c;
	struct copy_back *b = c->back;
	void (*fn)(struct copy * c, int status) = l->fn;

	free(l);
	if (status == IPC_ST_OK)
		b->touched = calloc(b->box.runs.n + 1, sizeof(*b->touched));
	if (status == IPC_ST_OK &&
	    (b->touched == NULL || lost_choose(&b->box, &b->pick, &b->picks, &b->n_picks) != 0))
		status = IPC_ST_TRYLATER;
	fn(c, status);
}

void copy_back_load(struct copy *c, void (*fn)(struct copy *c, int status))
{
	struct back_load *l = malloc(sizeof(*l));

	if (l == NULL) {
		fn(c, IPC_ST_TRYLATER);
		return;
	}
	*l = (struct back_load){ c, fn };
	lost_load(c->from, &c->back->box, on_loaded, l);
}

int copy_back_collect(struct copy *c)
{
	struct copy_back *b = c->back;
	size_t n = b->n_picks - b->next;

	n = n < COPY_PORTION ? n : COPY_PORTION;
	if (c->all == NULL && n > 0) {
		c->all = calloc(n, sizeof(*c->all));
		if (c->all == NULL)
			return IPC_ST_TRYLATER;
	}
	c->rows = c->all;
	b->portion = b->next;
	b->next += n;
	c->n = n;
	c->next_uid = b->next < b->n_picks;
	for (size_t i = 0; i < n; i++) {
		c->rows[i] = cols_at(&b->box.cols, b->picks[b->portion + i]);
		/* Or the next expunge would have it again. */
		c->rows[i].flags &= ~(uint32_t)IPC_FLAG_DELETED;
	}
	return IPC_ST_OK;
}

/* The run has fewer messages now; one that has none is gone. */
static bool run_put(struct txn *t, const struct run_rec *run)
{
	struct rec_key key = key_run(run->modseq, run->first);
	uint8_t val[RECORD_RUN_BYTES];

	if (run->n == 0)
		return engine_del(t->batch, key_slice(&key)) == 0;
	run_pack(run, val);
	return engine_put(t->batch, key_slice(&key), slice_of(val, sizeof(val))) == 0;
}

/* Neighbours of one run go by one deletion: nothing that is there lies between them. */
static bool together(const struct copy_back *b, size_t k)
{
	const uint32_t *p = &b->picks[k];

	return k + 1 < b->next && p[1] == p[0] + 1 && b->box.owner[p[1]] == b->box.owner[p[0]];
}

bool copy_back_rows(struct copy *c, struct txn *t)
{
	struct copy_back *b = c->back;
	const struct cols *cols = &b->box.cols;
	size_t first = b->portion;
	bool good = true;

	for (size_t k = b->portion; good && k < b->next; k++) {
		uint32_t i = b->picks[k];
		struct run_rec *run = &b->box.runs.v[b->box.owner[i]];

		run->n--;
		run->bytes -= cols->size[i];
		b->touched[b->box.owner[i]] = true;
		t->head.lost--;
		t->head.lost_bytes -= cols->size[i];
		if (together(b, k))
			continue;
		good = mbox_del_rows(t->batch, cols->uid[b->picks[first]], cols->uid[i]);
		first = k + 1;
	}
	for (size_t r = 0; good && r < b->box.runs.n; r++) {
		if (b->touched[r])
			good = run_put(t, &b->box.runs.v[r]);
		b->touched[r] = false;
	}
	return good;
}

void copy_back_publish(struct copy *c)
{
	struct copy_back *b = c->back;

	b->n_done += c->n;
	for (size_t i = 0; i < c->n; i++)
		b->bytes_done += c->rows[i].size;
}

void copy_back_end(struct copy *c)
{
	struct copy_back *b = c->back;

	/* Nobody looks into a deleted mailbox otherwise. */
	if (c->from->deleted_s != 0 && c->from->cols_state == COLS_READY) {
		cols_fini(&c->from->cols);
		c->from->cols_state = COLS_NONE;
	}
	b->fn(b->arg, c->status, b->n_done, b->bytes_done);
}
