/*
 * keywords - the names of a mailbox's keywords, each with its number.
 *
 * Pure. A name keeps its number and its first spelling for ever; names are the same in any case.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/keyset.h"
#include "common/base/slice.h"

#include <stdbool.h>

enum {
	KEYWORDS_MAX = KEYSET_NUMBERS_MAX,
	KEYWORD_BYTES_MAX = 255,
	/* all of them as mbox_opened tells them: u32 length + name */
	KEYWORDS_TEXT_MAX = 61440,
	/* they are stored in rows of so many */
	KEYWORDS_ROW_NAMES = 64,
	KEYWORDS_RECORD_MAX = 4 + KEYWORDS_ROW_NAMES * (1 + KEYWORD_BYTES_MAX),
};

struct keywords {
	uint32_t n, n_text;
	uint8_t *text;  /* owned; each: u8 length, name */
	uint32_t *at;   /* where each begins */
	uint16_t *slot; /* hash table: number + 1 */
	uint32_t n_slots;
};

void keywords_fini(struct keywords *k);
/* 0 or -ENOMEM. */
int keywords_copy(struct keywords *to, const struct keywords *from)
    __attribute__((warn_unused_result));
struct slice keywords_at(const struct keywords *k, unsigned number);
/* Its number; KEYWORDS_MAX: none. */
unsigned keywords_find(const struct keywords *k, struct slice name);
/* Its old or new number; KEYWORDS_MAX: there is no room for it, or it is no name. */
unsigned keywords_add(struct keywords *k, struct slice name);
/* Names with a space between them, into `ret_set`; those without room and those that are no atoms
 * are left out: then false. */
bool keywords_add_all(struct keywords *k, struct slice names, struct keyset_map *ret_set);

/* The names from `first` on as mbox_opened and mbox_keywords tell them. */
void keywords_tell(const struct keywords *k, unsigned first, struct buf *out);

/* Row `row` as stored, with the names from row * KEYWORDS_ROW_NAMES on: its bytes, into `out`. */
size_t keywords_pack(const struct keywords *k, unsigned row, uint8_t out[KEYWORDS_RECORD_MAX]);
static inline unsigned keywords_rows(const struct keywords *k)
{
	return (k->n + KEYWORDS_ROW_NAMES - 1) / KEYWORDS_ROW_NAMES;
}
/* The next row's names join the others: 0, 1 (damaged or newer, and `k` as it was, or empty) or
 * -ENOMEM. */
int keywords_unpack(struct slice v, struct keywords *k);
