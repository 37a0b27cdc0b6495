/*
 * facts-private - the layout of a facts blob, shared by maker and reader (docs/mail.md has the
 * picture).
 */
#pragma once

#include "common/base/wire.h"
#include "common/mail/facts.h"

/* 'F', version u8, maker u16, flags u32, size u64, body start u64, received u32, has date u8, date
 * i64, zone u16 */
#define FACTS_HEAD     39
#define FACTS_AT_FLAGS 4
#define FACTS_AT_SIZE  8
#define FACTS_MAGIC    'F'

/* In front of a header section that is kept; nothing follows where it was too long. */
#define FACTS_HEADER_VERSION 1

/* After the head: tag u8, length u32, octets. A reader passes over tags it does not know. */
enum {
	FACTS_TAG_ENVELOPE = 1, /* fields */
	FACTS_TAG_KEYS = 2,     /* FACTS_KEY_COUNT texts */
	FACTS_TAG_THREAD = 3,   /* message id, then the references: texts */
	FACTS_TAG_PREVIEW = 4,
	FACTS_TAG_PARTS = 5, /* part records, count u16 first */
};

/* A text is length u16 and octets. Fields are a mask u16 of those present and a text for each. */
void facts_put_text(struct buf *b, struct slice s);
struct slice facts_get_text(struct wire_reader *r);
/* Into fields of which none is set. */
void facts_get_fields(struct wire_reader *r, struct slice field[FACTS_FIELD_COUNT]);

/* Numbers in parts: seven bits an octet, lowest first, the top bit says that more follow. */
void facts_put_number(struct buf *b, uint64_t v);
uint64_t facts_get_number(struct wire_reader *r);
