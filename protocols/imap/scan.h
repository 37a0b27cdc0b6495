/*
 * scan - rows of messages from stored, page by page: uids, flags, dates, sizes.
 *
 * One page is on its way at a time; the caller asks for the next when it wants it.
 */
#pragma once

#include "common/base/keyset.h"
#include "common/ipc/types.h"
#include "protocols/imap/set.h"

struct imap;

struct imap_scan {
	const struct set *uids; /* normalised, kept by the caller; never empty */
	uint64_t since;         /* only those with a higher modseq */
	uint32_t mask, want;    /* only those with (flags & mask) == want */
	size_t from, to;        /* ranges of this request */
	uint32_t from_uid, seq;
	bool over; /* nothing more to ask for */
};

struct imap_row {
	uint32_t uid, flags;
	struct keyset keywords; /* in the page's sets */
	uint64_t size;
	int64_t date, saved;
	uint64_t modseq, id, thread; /* thread 0: not known yet */
};

/* Asks for the next page: 0, or 1 when stored is gone. */
int imap_scan_ask(struct imap *s, struct imap_scan *sc);
/* The page has come (its seq is the scan's): where the next begins. */
void imap_scan_page(struct imap_scan *sc, const struct ipc_mbox_rows *m);

static inline size_t imap_rows_count(struct slice rows)
{
	return rows.n / IPC_ROW_BYTES;
}
struct imap_row imap_row_at(struct slice rows, size_t i, struct slice sets);
