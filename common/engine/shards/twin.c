#include "common/engine/shards/twin.h"

#include "common/engine/shards/held.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum { IN_MEMORY_MAX = 16 << 20 }; /* of finished twins of one shard; more go to files */

struct twin {
	struct engine_body *of; /* an upload that must stay until it is read; NULL: a durable one */
	struct engine *from;
	struct engine_loc loc; /* there */
	enum { TWIN_WAITS, TWIN_RUNS, TWIN_OVER } state;
	uint64_t at;
	size_t counted; /* of twins_bytes */
};

/* ---- one that waits for its bytes ---- */

void twin_source_drop(struct engine_body *b)
{
	if (b->twin == NULL || b->twin->of == NULL)
		return;
	body_unref(b->twin->of);
	b->twin->of = NULL;
}

static void copy_on(struct engine_body *b);

static void over(struct engine_body *b, int rc)
{
	struct twin *t = b->twin;

	t->state = TWIN_OVER;
	if (rc != 0)
		b->failed = rc;
	else if (b->spill == NULL)
		b->e->twins_bytes += t->counted = b->size;
	b->ready = rc == 0;
	twin_source_drop(b);
	held_go_on(b->e, b);
}

static void on_end(void *arg, int rc)
{
	over(arg, rc);
}

static void finish(struct engine_body *b)
{
	int rc = 0;

	if (b->spill == NULL && b->e->twins_bytes + b->size > IN_MEMORY_MAX &&
	    b->size >= ENGINE_BODY_CHUNK / 4)
		rc = b->e->ops->spill(b->e, b, false);
	if (rc == 0)
		rc = engine_body_end(b, on_end, b);
	if (rc != ENGINE_AGAIN)
		over(b, rc);
}

static void on_piece(void *arg, int rc, struct slice data)
{
	struct engine_body *b = arg;

	if (rc == 0 && data.n == 0)
		rc = ENGINE_CORRUPT;
	if (rc == 0)
		rc = engine_body_append(b, data);
	if (rc == ENGINE_AGAIN)
		return; /* the same piece is read again when there is room */
	if (rc != 0) {
		over(b, rc);
		return;
	}
	b->twin->at += data.n;
	copy_on(b);
}

static void on_room(void *arg, int rc)
{
	struct engine_body *b = arg;

	if (rc == 0)
		copy_on(b);
	else
		over(b, rc);
}

static void copy_on(struct engine_body *b)
{
	struct twin *t = b->twin;

	if (t->at < engine_loc_bytes(&t->loc))
		engine_body_read(t->from, &t->loc, t->at, ENGINE_BODY_READ_MAX, on_piece, b);
	else
		finish(b);
}

void twin_start(struct engine_body *b)
{
	if (b->twin->state != TWIN_WAITS)
		return;
	b->twin->state = TWIN_RUNS;
	copy_on(b);
}

bool twin_unready(const struct engine_body *b)
{
	return b->twin != NULL && !b->ready;
}

static int of_place(struct engine *from, struct engine *to, const struct engine_loc *loc,
    struct engine_body **ret_body)
{
	struct engine_body *b = engine_body_begin(to, engine_loc_bytes(loc), on_room, NULL);

	if (b == NULL)
		return -ENOMEM;
	b->room_arg = b;
	b->twin = calloc(1, sizeof(*b->twin));
	if (b->twin == NULL) {
		engine_body_free(&b);
		return -ENOMEM;
	}
	*b->twin = (struct twin){ .from = from, .loc = *loc };
	if (engine_loc_packed(loc))
		engine_body_pack(b);
	*ret_body = b;
	return 0;
}

int twin_of_place(struct engine *to, const struct engine_loc *loc, struct engine_body **ret_body)
{
	struct loc_parts p;

	loc_decode(loc, &p);
	if (p.shard >= to->whole->n_parts)
		return -EINVAL;
	return of_place(to->whole->parts[p.shard], to, loc, ret_body);
}

/* ---- one that is copied at once ---- */

static int chunks_copy(struct engine_body *b, const struct engine_body *of)
{
	struct body_chunk **at = &b->first;

	for (const struct body_chunk *c = of->first; c != NULL; c = c->next) {
		*at = malloc(sizeof(*c) + c->n);
		if (*at == NULL)
			return -ENOMEM;
		**at = (struct body_chunk){ .n = c->n, .cap = c->n };
		memcpy((*at)->data, c->data, c->n);
		b->last = *at;
		at = &b->last->next;
	}
	return 0;
}

static int body_clone(
    struct engine *to, const struct engine_body *of, struct engine_body **ret_body)
{
	struct engine_body *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return -ENOMEM;
	*b = (struct engine_body){ .e = to,
		.refs = 1,
		.ended = true,
		.ready = true,
		.size = of->size,
		.pack = of->pack,
		.packed = of->packed,
		.stored = of->stored,
		.buffered = of->buffered,
		.n_sums = of->n_sums,
		.cap_sums = of->n_sums };
	b->sums = malloc((of->n_sums + 1) * sizeof(*b->sums));
	if (b->sums == NULL || chunks_copy(b, of) != 0) {
		body_unref(b);
		return -ENOMEM;
	}
	if (of->n_sums > 0)
		memcpy(b->sums, of->sums, of->n_sums * sizeof(*b->sums));
	*ret_body = b;
	return 0;
}

/* ---- which it is ---- */

/* In no shard yet, and nobody has it: it becomes this one's. */
static bool may_settle(const struct engine_body *b)
{
	return b->refs == 1 && b->ready && b->spill == NULL && !b->placed && b->twins == NULL &&
	       b->twin == NULL;
}

static int make(struct engine *to, struct engine_body *of, struct engine_body **ret_body)
{
	struct engine_loc loc;
	int r;

	if (of->twin != NULL && of->twin->state != TWIN_OVER) {
		r = of_place(of->twin->from, to, &of->twin->loc, ret_body);
		of = of->twin->of;
	} else if (!of->ready) {
		return -EINVAL;
	} else if (of->spill == NULL && of->first != NULL) {
		return body_clone(to, of, ret_body);
	} else {
		/* Not of->placed, which the committer may be setting. */
		if (of->spill != NULL)
			of->e->ops->spill_loc(of, &loc);
		else
			loc = of->loc;
		r = of_place(of->e, to, &loc, ret_body);
	}
	if (r == 0 && of != NULL) {
		of->refs++;
		(*ret_body)->twin->of = of;
	}
	return r;
}

int twin_of_body(struct engine *to, struct engine_body **io_body)
{
	struct engine_body *of = *io_body, *b;
	int r;

	if (to->whole == NULL || of->e->whole != to->whole)
		return -EINVAL;
	if (may_settle(of)) {
		of->e = to;
		of->refs++;
		return 0;
	}
	for (b = of->twins; b != NULL && b->e != to; b = b->next_twin)
		;
	if (b == NULL && of->twin != NULL && of->twin->of != NULL && of->twin->of->e == to)
		b = of->twin->of;
	if (b != NULL) {
		b->refs++;
	} else {
		if ((r = make(to, of, &b)) != 0)
			return r;
		/* Not behind another twin, which nobody lets go of. */
		if (of->twin == NULL) {
			b->next_twin = of->twins;
			of->twins = b;
			b->refs++;
		}
	}
	*io_body = b;
	return 0;
}

const struct engine_loc *twin_place(const struct engine_body *b, const struct engine *e)
{
	return b->twin != NULL && b->twin->of == NULL && b->twin->from == e ? &b->twin->loc : NULL;
}

const struct engine_loc *twin_was(const struct engine_body *b)
{
	return b->twin != NULL ? &b->twin->loc : NULL;
}

void twins_let_go(struct engine_body *b)
{
	struct engine_body *t;

	while ((t = b->twins) != NULL) {
		b->twins = t->next_twin;
		t->next_twin = NULL;
		body_unref(t);
	}
}

void twin_free(struct engine_body *b)
{
	if (b->twin == NULL)
		return;
	b->e->twins_bytes -= b->twin->counted;
	twin_source_drop(b);
	free(b->twin);
}
