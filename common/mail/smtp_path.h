/*
 * smtp_path - the reverse-path and forward-path of MAIL and RCPT (RFC 5321 4.1.2, RFC 6531 3.3).
 *
 * A path that was parsed holds the mailbox by value: the local part without its quoting, the domain
 * as written. A source route is accepted and dropped (RFC 5321 F.2). The lengths of 4.5.3.1 hold.
 */
#pragma once

#include "common/base/buf.h"
#include "common/mail/limits.h"

enum smtp_path_answer {
	SMTP_PATH_SYNTAX = 1, /* 501 5.1.3 / 5.1.7 */
	SMTP_PATH_LONG,       /* a part is longer than 4.5.3.1 allows */
};

enum smtp_path_kind {
	SMTP_PATH_NULL,    /* <> */
	SMTP_PATH_LOCAL,   /* <Postmaster>: a local part alone */
	SMTP_PATH_DOMAIN,  /* local@domain */
	SMTP_PATH_LITERAL, /* local@[...]; the domain is kept with its brackets */
};

struct smtp_path {
	enum smtp_path_kind kind;
	bool utf8; /* a byte above 127 somewhere: needs SMTPUTF8 */
	uint8_t local_n, domain_n;
	uint8_t local[SMTP_LOCAL_MAX];
	uint8_t domain[SMTP_DOMAIN_MAX];
};

/*
 * Reads a path from the start of `in` (which is what follows "FROM:" or "TO:"; blanks before '<'
 * are passed over). ret_rest is what follows '>': parameters, still with the blank before them. The
 * null path is accepted here, and a local part without domain; whoever may not have them looks at
 * `kind`.
 */
int smtp_path_parse(struct slice in, struct smtp_path *ret_path, struct slice *ret_rest);

/* The same for an address without brackets, all of `in`: local@domain, as a configuration has it.
 */
int smtp_path_parse_address(struct slice in, struct smtp_path *ret_path);

/* Appends <local@domain>, quoted where RFC 5321 4.1.2 wants it; the null path gives <>. */
void smtp_path_print(const struct smtp_path *path, struct buf *out);

/* The same without brackets. */
void smtp_path_print_address(const struct smtp_path *path, struct buf *out);

static inline struct slice smtp_path_local(const struct smtp_path *p)
{
	return slice_of(p->local, p->local_n);
}

static inline struct slice smtp_path_domain(const struct smtp_path *p)
{
	return slice_of(p->domain, p->domain_n);
}
