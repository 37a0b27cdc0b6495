/*
 * fetch-private - FETCH, shared by its files.
 *
 * A plan says what the client wants of each message. Rows come page by page; what can be said from
 * a row alone is written at once. Everything else goes through a ring of slots, one per message, in
 * the order of the answer: a slot gets its facts (several slots in one question), then its bodies
 * are asked for, slot after slot and item after item. stored answers in the order of asking, so
 * what comes next from it is always what is to be written next: nothing of a body is held, but what
 * has to be counted or decoded first and is small.
 */
#pragma once

#include "common/mail/address.h"
#include "protocols/imap/imap-private.h"
#include "protocols/imap/scan.h"
#include "protocols/imap/section.h"
#include "protocols/imap/sift.h"
#include "protocols/imap/vanished.h"

/* ---- what is wanted: fetch-items.c -------------------------------------------------------------
 */

enum fetch_what {
	FETCH_UID,
	FETCH_FLAGS,
	FETCH_DATE,
	FETCH_SIZE,
	FETCH_MODSEQ,
	FETCH_EMAILID,
	FETCH_THREADID,
	FETCH_SAVEDATE,
	FETCH_ENVELOPE, /* from here on facts are needed */
	FETCH_BODY,
	FETCH_STRUCTURE,
	FETCH_PREVIEW,
	FETCH_SECTION, /* from here on octets of the message */
	FETCH_BINARY,
	FETCH_BINARY_SIZE,
};

struct fetch_item {
	enum fetch_what what;
	struct slice label; /* its name in the response */
	struct section section;
	struct sift_names names;
	uint64_t from, count; /* <from.count>; count 0: everything */
};

struct fetch_plan {
	struct fetch_item *items;
	unsigned n, room;
	bool facts;    /* some item needs them */
	bool header;   /* some item is of the message's own header */
	bool preview;  /* PREVIEW, and not LAZY */
	bool envelope; /* the envelope in the facts must be whole */
	bool parts;    /* the structure in the facts must be there */
	bool bodies;   /* octets are read */
	bool seen;     /* \Seen is set by it (RFC 3501 6.4.5) */
	bool flags, modseq;
	uint64_t since; /* CHANGEDSINCE, 0: none */
	bool vanished;
};

/* Items and modifiers, from behind the set. Errors are the cursor's. The plan lives in its arena.
 */
void fetch_plan_parse(struct parse *p, bool uid, struct fetch_plan *ret_plan);

/* ---- the job ------------------------------------------------------------------------------------
 */

enum fetch_slot_state {
	FETCH_NEW,    /* facts are not asked for */
	FETCH_WAITS,  /* for facts */
	FETCH_PARSES, /* there are none of use: the message is read to make them */
	FETCH_READY,
	FETCH_BROKEN, /* ready as far as the row goes */
	FETCH_GONE,   /* nothing is said of it */
};

struct fetch_slot {
	/* First what is looked at in all slots, for each answer. */
	enum fetch_slot_state state;
	uint32_t seq;
	uint32_t facts_seq, header_seq; /* of the questions that it waits for; 0: none */
	struct slice header;            /* in `kept`; p is NULL: it must be read */
	struct imap_row row;
	struct buf blob, kept;
	struct facts_view view; /* of the blob; without facts only the size */
};

enum fetch_ask_kind {
	FETCH_NIL,    /* nothing is read: NIL */
	FETCH_EMPTY,  /* nothing is read: "" */
	FETCH_NUMBER, /* nothing is read: `len` is the answer */
	FETCH_HEADER, /* nothing is read: it is of the header that is kept */
	FETCH_OMIT,   /* nothing can be said */
	FETCH_STREAM, /* what comes is a literal, as it is */
	FETCH_HOLD,   /* what comes is sifted, held, and written when its length is known */
	FETCH_COUNT,  /* too much to hold: what comes is counted, FETCH_SIFT follows */
	FETCH_SIFT,   /* what comes is sifted into a literal whose length is known */
	FETCH_DROP,   /* what comes is not wanted any more */
	FETCH_PARSE,  /* no item: the message is read for its facts */
};

/* What an item of a slot needs of the message, in the order of writing. */
struct fetch_ask {
	enum fetch_ask_kind kind;
	enum sift_how how;
	uint32_t seq;  /* of the question; 0: none */
	unsigned item; /* in the plan */
	uint64_t off, len, got;
};

/* Sums of what went wrong, for the tagged reply. */
enum {
	FETCH_LOST = 1, /* a message was expunged, its body is gone */
	FETCH_DAMAGED = 2,
	FETCH_LATER = 4,
	FETCH_UNKNOWN_CTE = 8,
};

struct fetch {
	struct imap_job job;
	struct fetch_plan plan;
	struct set uids;
	unsigned wrong; /* FETCH_LOST ... */

	/* rows */
	struct imap_scan scan;
	bool scanning; /* a page is on its way */
	struct buf rows, sets;
	size_t rows_at;           /* octets done */
	struct vanished vanished; /* comes first */

	/* the ring of slots; as many as there are messages, if they are few */
	struct fetch_slot *slot;
	unsigned slot_cap, slot_head, slot_n;
	unsigned slot_asked; /* slots from the head on whose facts are asked for */
	unsigned slot_here;  /* of them, those whose facts have come, if they come in order */
	bool headerless;     /* of many in a row no header was kept: facts are asked for, too */
	bool parsing;        /* the slot at the head is read for its facts */
	struct facts_maker *maker;

	/* the ring of asks */
	struct fetch_ask *ask;
	unsigned ask_cap, ask_head, ask_n;
	unsigned ask_slot, ask_item; /* next to be asked for: slots from the head on, item */
	uint64_t on_way;             /* octets asked for and not here */
	struct buf pieces;           /* questions that are put together into one */
	uint32_t pieces_seq;
	struct buf inbox; /* answers that came while the output was full */
	size_t inbox_at;

	/* writing the message at the head */
	bool begun, any; /* "* n FETCH (" is out; something is in it */
	unsigned item;
	struct writer w;
	struct sift sift;
	bool sifting;
	uint64_t sift_n; /* what COUNT found */
	bool sift_nul;
	struct buf hold;
	struct address_iter addresses;

	/* \Seen */
	struct set seen; /* told to the client, not yet stored */
	uint32_t seen_n;
	unsigned seen_wait; /* stores not answered */
};

/* fetch-write.c: "* n FETCH (" and the items that need no body. */
void fetch_write_begin(struct fetch *f, uint32_t seq);
void fetch_write_row_item(struct fetch *f, const struct fetch_item *i, const struct imap_row *r);
void fetch_write_facts_item(
    struct fetch *f, const struct fetch_item *i, const struct fetch_slot *t);
void fetch_write_end(struct fetch *f, const struct imap_row *r);

/* fetch-slot.c: the ring. */
static inline struct fetch_slot *fetch_slot_at(struct fetch *f, unsigned i)
{
	return &f->slot[(f->slot_head + i) % f->slot_cap];
}
void fetch_slots_fill(struct fetch *f);
void fetch_slots_ask(struct fetch *f);
void fetch_slot_pop(struct fetch *f);
void fetch_slot_fini(struct fetch_slot *t);
void fetch_on_facts(struct fetch *f, const struct ipc_facts_are *m);
/* The message whose facts are to be made comes. */
void fetch_parse_data(struct fetch *f, const struct ipc_body_data *m);

/* fetch-ask.c: asking for octets of messages. */
static inline struct fetch_ask *fetch_ask_at(struct fetch *f, unsigned i)
{
	return &f->ask[(f->ask_head + i) % f->ask_cap];
}
void fetch_bodies_ask(struct fetch *f);
/* Which of the octets of a FETCH_SECTION are told. */
static inline enum sift_how fetch_sieve(const struct fetch_item *i)
{
	return i->section.what == SECTION_FIELDS       ? SIFT_FIELDS
	       : i->section.what == SECTION_FIELDS_NOT ? SIFT_FIELDS_NOT
						       : SIFT_ALL;
}

/* fetch-body.c: octets that come. */
/* Writes what can be written: false when it waits. */
bool fetch_write_go(struct fetch *f);
void fetch_on_body(struct fetch *f, const struct ipc_body_data *m);
void fetch_on_pieces(struct fetch *f, const struct ipc_parts_are *m);
void fetch_inbox_go(struct fetch *f);

/* fetch-seen.c */
void fetch_seen_add(struct fetch *f, const struct imap_row *r);
void fetch_seen_store(struct fetch *f);
void fetch_on_stored(struct fetch *f, const struct ipc_store_done *m);
/* The flags of a row as the client is to know them, \Seen included when this command sets it. */
uint32_t fetch_seen_flags(const struct fetch *f, const struct imap_row *r, bool *ret_told);
