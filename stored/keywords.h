/*
 * keywords - the names of a mailbox's keywords, each with its bit.
 *
 * Pure. A name keeps its bit and its first spelling for ever; names are the same in any case.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/slice.h"

#include <stdbool.h>

enum {
	KEYWORDS_MAX = 64,
	KEYWORD_BYTES_MAX = 255,
	/* all of them as mbox_opened tells them: u32 length + name */
	KEYWORDS_TEXT_MAX = 8192,
	KEYWORDS_RECORD_MAX = 4 + KEYWORDS_TEXT_MAX,
};

struct keywords {
	uint32_t n, n_text;
	uint8_t *text; /* owned; each: u8 length, name */
};

void keywords_fini(struct keywords *k);
/* 0 or -ENOMEM. */
int keywords_copy(struct keywords *to, const struct keywords *from)
    __attribute__((warn_unused_result));
struct slice keywords_at(const struct keywords *k, unsigned bit);
/* Its bit; KEYWORDS_MAX: none. */
unsigned keywords_find(const struct keywords *k, struct slice name);
/* Its old or new bit; KEYWORDS_MAX: there is no room for it, or it is no name. */
unsigned keywords_add(struct keywords *k, struct slice name);
/* Bits of names with a space between them; those without room and those that are no atoms are left
 * out, and *ret_all false. */
uint64_t keywords_add_all(struct keywords *k, struct slice names, bool *ret_all);

/* The names from `first` on as mbox_opened and mbox_keywords tell them. */
void keywords_tell(const struct keywords *k, unsigned first, struct buf *out);

/* As stored: the bytes of it into `out`. */
size_t keywords_pack(const struct keywords *k, uint8_t out[KEYWORDS_RECORD_MAX]);
/* 0, 1 (damaged or newer) or -ENOMEM. */
int keywords_unpack(struct slice v, struct keywords *ret);
