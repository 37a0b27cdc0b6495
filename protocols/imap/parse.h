/*
 * parse - a cursor over one gathered command: the tokens of RFC 3501 9 and RFC 4466.
 *
 * The text is the command without its final CR LF; a literal is in it as "{3}CRLFabc", as it came.
 * Every function either takes the token, or sets `error` (a text for a BAD, once: the first error
 * stays) and leaves a value that does no harm. After an error every function takes nothing, so
 * that a command may read all its arguments and look once at the end: parse_end().
 */
#pragma once

#include "common/base/arena.h"
#include "protocols/imap/set.h"

struct parse {
	const uint8_t *begin, *p, *end;
	const char *error;
	bool refused;    /* the grammar is right, the meaning is not: NO [CANNOT], not BAD */
	size_t error_at; /* offset of the error in the command */
	struct arena
	    *arena; /* of the command: what cannot be borrowed from the text is copied here */
	bool utf8;  /* UTF8=ACCEPT is on: names are UTF-8 */
};

/* Sets the error, unless there is one. Always false. */
bool parse_fail(struct parse *p, const char *text);
/* The same for what is well-formed but cannot be (a mailbox name): NO instead of BAD. */
bool parse_refuse(struct parse *p, const char *text);
/* Nothing left and no error. */
bool parse_end(struct parse *p);
static inline bool parse_ok(const struct parse *p)
{
	return p->error == NULL;
}

/* The next byte, 0 at the end or after an error; nothing is taken. */
uint8_t parse_peek(const struct parse *p);
/* Takes exactly this byte if it is next: whether it was. */
bool parse_try(struct parse *p, uint8_t c);
/* The same, but it must be there. */
bool parse_char(struct parse *p, uint8_t c);
static inline bool parse_sp(struct parse *p)
{
	return parse_char(p, ' ');
}
/* Takes this word if it is next, in any case, and the token ends behind it: whether it did. */
bool parse_try_word(struct parse *p, const char *word);

/* Tokens. Slices point into the command or its arena and live until the command's end. */
struct slice parse_tag(struct parse *p);     /* 1*<ASTRING-CHAR except +> */
struct slice parse_atom(struct parse *p);    /* 1*ATOM-CHAR */
struct slice parse_word(struct parse *p);    /* letters, digits, - . = : names of commands, keys */
struct slice parse_astring(struct parse *p); /* atom with ], or string */
struct slice parse_string(struct parse *p);  /* quoted or literal */
/* String or NIL: then p is NULL and n 0. */
struct slice parse_nstring(struct parse *p);
/* A literal ("{n}", "{n+}", "~{n}" when `binary`), as it is in the text. */
struct slice parse_literal(struct parse *p, bool binary);
uint32_t parse_number(struct parse *p);   /* 0..4294967295 */
uint64_t parse_number64(struct parse *p); /* 0..2^63-1, RFC 7162, RFC 9051 number64 */
uint32_t parse_nz_number(struct parse *p);

/*
 * sequence-set of RFC 3501 with "$" of RFC 5182 ("$" alone: ret_saved, the set is empty). "*" is
 * UINT32_MAX in the result, and "5:3" is 3:5; not normalised. The set must be empty at first; the
 * caller owns it in any case.
 */
void parse_set(struct parse *p, struct set *ret_set, bool *ret_saved);
/* uid-set without "*" and "$" (RFC 4315, RFC 7162 known-uids); ascending or not. */
void parse_uid_set(struct parse *p, struct set *ret_set);

/* A mailbox name: UTF-8 as messages carry it, INBOX as such, without a "/" at the end. */
struct slice parse_mailbox(struct parse *p);
/* The same; `*ret_dir` when it ended with "/" (CREATE). */
struct slice parse_mailbox_dir(struct parse *p, bool *ret_dir);
/* The same of one that is to be made, which RFC 6855 3 allows less; `ret_dir` NULL: as
 * parse_mailbox. */
struct slice parse_mailbox_new(struct parse *p, bool *ret_dir);
/* list-mailbox: a pattern, UTF-8, wildcards kept; p is NULL when no name can match it. */
struct slice parse_list_mailbox(struct parse *p);

/* Flags: system flags as IPC_FLAG_ bits, keywords as names with a space between them. */
struct parse_flags {
	uint32_t flags;
	struct slice keywords; /* in the arena */
	unsigned n_keywords;
	size_t room; /* of the arena, for them */
};
/* One flag; \Recent is an error. Adds to `*f`. */
void parse_flag(struct parse *p, struct parse_flags *f);
/* "(" [flag *(SP flag)] ")"; with `bare` also flags without parentheses (STORE). */
void parse_flag_list(struct parse *p, bool bare, struct parse_flags *ret_flags);

/* Dates: seconds since 1970. */
int64_t parse_date_time(struct parse *p); /* "21-Nov-1997 09:55:06 -0600" with its quotes */
/* date of SEARCH, quoted or not: days since 1970. */
int32_t parse_date(struct parse *p);

/* Characters of a class, at least one. */
struct slice parse_chars(struct parse *p, bool (*is)(uint8_t), const char *missing);
bool parse_list_char(uint8_t c);
