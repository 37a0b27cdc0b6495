/*
 * lines - the line protocol of helpers that know passwords (docs/external.md), both directions.
 * Pure.
 *
 * Invariant: whatever a name or a password holds, a question is one line of printable ASCII with
 * the words it should have; and an answer is taken whole or not at all.
 */
#pragma once

#include "authd/external/limits.h"
#include "common/base/buf.h"

enum line_status {
	LINE_OK,
	LINE_NO,      /* the name is known, the password is wrong */
	LINE_UNKNOWN, /* of this name it knows nothing */
	LINE_LATER,   /* it cannot say now */
};

struct line_answer {
	uint64_t number;
	enum line_status status;
	/* of OK */
	bool check, create; /* to HELLO: what it can do */
	bool keep;
	uint64_t quota_bytes; /* 0: not told */
	uint8_t real_name[REAL_NAME_BYTES];
	size_t real_name_n;
};

/*
 * Questions, with the line end. Nothing is written, and 1 returned, when it does not fit. `why` of
 * a creation is what wants the account: "login" or "mail"; without a password one is not asked for.
 */
int line_put_hello(struct buf *out, uint64_t number);
int line_put_check(struct buf *out, uint64_t number, struct slice name, struct slice service,
    struct slice peer, struct slice password);
int line_put_create(
    struct buf *out, uint64_t number, struct slice name, struct slice why, struct slice password);

/* An answer, without the line end: 0, or 1 when it is none. */
int line_read(struct slice line, struct line_answer *ret);

/* ---- the helper's side ---- */

enum line_verb { LINE_HELLO, LINE_CHECK, LINE_CREATE };

/* C strings: a question with a NUL in it is none. */
struct line_question {
	uint64_t number;
	enum line_verb verb;
	char name[NAME_BYTES + 1], service[33], peer[65], password[PASSWORD_BYTES + 1];
};

int line_read_question(struct slice line, struct line_question *ret);
int line_put_answer(struct buf *out, uint64_t number, enum line_status status, const char *facts);
