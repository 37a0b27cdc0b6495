#include "common/base/arena.h"

#include <stdlib.h>

enum { ARENA_BLOCK_BYTES = 4096 };

struct arena_block {
	struct arena_block *next;
	size_t used, cap;
	_Alignas(max_align_t) uint8_t data[];
};

void arena_init(struct arena *a, size_t max)
{
	*a = (struct arena){ .max = max };
}

static void blocks_free(struct arena *a, struct arena_block *b)
{
	while (b != NULL) {
		struct arena_block *next = b->next;

		a->held -= b->cap;
		free(b);
		b = next;
	}
}

void arena_fini(struct arena *a)
{
	blocks_free(a, a->head);
	a->head = NULL;
}

void arena_reset(struct arena *a)
{
	if (a->head == NULL)
		return;
	blocks_free(a, a->head->next);
	a->head->next = NULL;
	a->head->used = 0;
	if (a->head->cap > ARENA_BLOCK_BYTES)
		arena_fini(a);
}

static struct arena_block *block_new(struct arena *a, size_t n)
{
	size_t cap = n > ARENA_BLOCK_BYTES ? n : ARENA_BLOCK_BYTES;
	struct arena_block *b;

	if (cap > a->max || a->held > a->max - cap)
		return NULL;
	b = malloc(sizeof(*b) + cap);
	if (b == NULL)
		return NULL;
	*b = (struct arena_block){ .next = a->head, .cap = cap };
	a->head = b;
	a->held += cap;
	return b;
}

void *arena_alloc(struct arena *a, size_t n)
{
	const size_t align = _Alignof(max_align_t);
	struct arena_block *b = a->head;
	void *p;

	if (n > a->max)
		return NULL;
	n = (n + align - 1) / align * align;
	if (b == NULL || n > b->cap - b->used)
		b = block_new(a, n);
	if (b == NULL)
		return NULL;
	p = b->data + b->used;
	b->used += n;
	return memset(p, 0, n);
}

struct slice arena_copy(struct arena *a, struct slice s)
{
	uint8_t *p = arena_alloc(a, s.n > 0 ? s.n : 1);

	if (p == NULL)
		return SLICE_NONE;
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return slice_of(p, s.n);
}

char *arena_cstr(struct arena *a, struct slice s)
{
	char *p;

	if (s.n == SIZE_MAX)
		return NULL;
	p = arena_alloc(a, s.n + 1);
	if (p != NULL && s.n > 0)
		memcpy(p, s.p, s.n);
	return p;
}
