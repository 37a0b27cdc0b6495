/*
 * address - the address lists of From, To and the like (RFC 5322 3.4, obsolete forms of 4.4), one
 * entry after another.
 *
 * Every input gives a list: what cannot be an address is given as a mailbox without a domain or
 * passed over, never an error. Texts are unquoted, comments gone, encoded words left as they are
 * (word.h).
 */
#pragma once

#include "common/base/buf.h"
#include "common/mail/limits.h"

enum address_kind {
	ADDRESS_MAILBOX,
	ADDRESS_GROUP, /* begins a group: only `name` is set */
	ADDRESS_GROUP_END,
};

struct address {
	enum address_kind kind;
	struct slice name;   /* display name, or else a comment behind the address; may be empty */
	struct slice route;  /* "@a,@b" of an obsolete source route */
	struct slice local;  /* without quoting */
	struct slice domain; /* as written, without blanks; empty when the address has none */
};

struct address_iter {
	struct slice left;
	bool in_group;
	unsigned count;
	/* Texts of the current entry; the next call overwrites them. */
	uint8_t text[5][ADDRESS_TEXT_MAX];
	size_t n[5];
};

enum {
	ADDRESS_DONE = 1,
};

/* `value` is a field's value, folds and all. The iterator is some 5 KiB. */
void address_init(struct address_iter *it, struct slice value);

/*
 * The next entry: 0, or ADDRESS_DONE at the end (or after ADDRESS_COUNT_MAX). Its slices live until
 * the next call. A group that is not closed gets its ADDRESS_GROUP_END at the end.
 */
int address_next(struct address_iter *it, struct address *ret_address);

/* Appends name <local@domain> for a header, quoted where needed. */
void address_print(const struct address *a, struct buf *out);
