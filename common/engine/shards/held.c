#include "common/engine/shards/held.h"

#include "common/engine/shards/twin.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

enum { HELD_RUNNING = 4 };

struct held {
	TAILQ_ENTRY(held) link;
	struct commit *c;
	enum { HELD_WAITS, HELD_RUNS, HELD_READY } state;
	unsigned batch, patch;          /* the next to look at */
	const struct engine_body *twin; /* waited for */
};

struct held_commits {
	TAILQ_HEAD(, held) list; /* as they were handed in */
	unsigned running;
	uint64_t scan;
	bool turning, again;
};

int held_init(struct engine *e)
{
	e->held = calloc(1, sizeof(*e->held));
	if (e->held == NULL)
		return -ENOMEM;
	TAILQ_INIT(&e->held->list);
	return 0;
}

static bool needs_twins(const struct commit *c)
{
	for (unsigned i = 0; i < c->n; i++)
		for (unsigned k = 0; k < c->b[i]->n_patches; k++)
			if (twin_unready(c->b[i]->patches[k].body))
				return true;
	return false;
}

static bool is_behind(const struct commit *c)
{
	for (unsigned i = 0; i < c->n; i++)
		if (c->b[i]->core->held > 0)
			return true;
	return false;
}

/* The next body that it lacks, begun; or all are there, or one cannot come. */
static void look_on(struct engine *e, struct held *h)
{
	struct commit *c = h->c;

	h->twin = NULL;
	for (; c->rc == 0 && h->batch < c->n; h->batch++, h->patch = 0)
		for (; c->rc == 0 && h->patch < c->b[h->batch]->n_patches; h->patch++) {
			struct engine_body *b = c->b[h->batch]->patches[h->patch].body;

			if (!twin_unready(b))
				continue;
			if (b->failed != 0) {
				c->rc = b->failed;
				continue;
			}
			h->twin = b;
			twin_start(b);
			return;
		}
	h->state = HELD_READY;
	e->held->running--;
}

static void let_go(struct engine *e, struct held *h)
{
	TAILQ_REMOVE(&e->held->list, h, link);
	for (unsigned i = 0; i < h->c->n; i++)
		h->c->b[i]->core->held--;
	/* With an answer already, a commit only takes its turn. */
	e->ops->commit(e, h->c);
	free(h);
}

static void turn_once(struct engine *e)
{
	struct held_commits *q = e->held;
	uint64_t scan = ++q->scan;
	struct held *h, *next;

	for (h = TAILQ_FIRST(&q->list); h != NULL; h = next) {
		bool blocked = false;

		next = TAILQ_NEXT(h, link);
		if (h->state == HELD_WAITS && q->running < HELD_RUNNING) {
			h->state = HELD_RUNS;
			q->running++;
		}
		if (h->state == HELD_RUNS && h->twin == NULL)
			look_on(e, h);
		for (unsigned i = 0; i < h->c->n; i++)
			blocked |= h->c->b[i]->core->held_scan == scan;
		if (h->state == HELD_READY && !blocked) {
			let_go(e, h);
			continue;
		}
		for (unsigned i = 0; i < h->c->n; i++)
			h->c->b[i]->core->held_scan = scan;
	}
}

/* A body that comes at once is told of from within. */
static void turn(struct engine *e)
{
	struct held_commits *q = e->held;

	q->again = true;
	if (q->turning)
		return;
	q->turning = true;
	while (q->again) {
		q->again = false;
		turn_once(e);
	}
	q->turning = false;
}

bool held_take(struct engine *e, struct commit *c)
{
	bool needs = c->rc == 0 && needs_twins(c);
	struct held *h;

	if (!needs && (TAILQ_EMPTY(&e->held->list) || !is_behind(c)))
		return false;
	h = calloc(1, sizeof(*h));
	assert(h != NULL);
	h->c = c;
	h->state = needs ? HELD_WAITS : HELD_READY;
	for (unsigned i = 0; i < c->n; i++)
		c->b[i]->core->held++;
	TAILQ_INSERT_TAIL(&e->held->list, h, link);
	turn(e);
	return true;
}

void held_go_on(struct engine *e, const struct engine_body *b)
{
	struct held *h;

	if (e->closing)
		return;
	TAILQ_FOREACH(h, &e->held->list, link)
	if (h->state == HELD_RUNS && h->twin == b)
		h->twin = NULL;
	turn(e);
}

/* The shards close one by one: nothing of one may be held by what still runs in another. */
static void sources_drop(const struct commit *c)
{
	for (unsigned i = 0; i < c->n; i++)
		for (unsigned k = 0; k < c->b[i]->n_patches; k++)
			twin_source_drop(c->b[i]->patches[k].body);
}

void held_fini(struct engine *e)
{
	struct held *h;

	if (e->held == NULL)
		return;
	while ((h = TAILQ_FIRST(&e->held->list)) != NULL) {
		TAILQ_REMOVE(&e->held->list, h, link);
		sources_drop(h->c);
		h->c->rc = ENGINE_CANCELLED;
		commit_done_run(e, &h->c->d);
		free(h);
	}
	free(e->held);
	e->held = NULL;
}
