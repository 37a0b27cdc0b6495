/*
 * conf - the configuration: what an administrator wrote, checked, and the slice each process gets.
 *
 * Every option is a row of options.def. A value that is in a struct conf has passed the checks of
 * its row, so readers need none; and a process can only read options whose row names it as a
 * receiver (anything else is a bug and ends it).
 */
#pragma once

#include "common/base/addr_range.h"
#include "common/base/buf.h"

enum conf_key {
#define OPT(name, ...)            CONF_##name,
#define SECTION(name, upper, ...) CONF_SECTION_##upper,
#include "common/conf/options.def"
#undef OPT
#undef SECTION
	CONF_KEYS
};

enum conf_type {
	CONF_T_SECTION,
	CONF_T_STRING,
	CONF_T_NAME,
	CONF_T_PATH,
	CONF_T_NUMBER,
	CONF_T_BOOL,
	CONF_T_DURATION,
	CONF_T_SIZE,
	CONF_T_NETS,
	CONF_T_WORD,
	CONF_T_WORDLIST,
	CONF_T_MODE,
};

enum conf_change { CONF_CHANGE_NEW, CONF_CHANGE_RESTART, CONF_CHANGE_START };

struct conf_row {
	const char *name;
	enum conf_type type;
	const char *def;
	uint64_t min, max;     /* RANGE; max alone for LEN */
	const char *words;     /* WORDS */
	const char *receivers; /* program names, separated by spaces */
	enum conf_change change;
	const char *text;
};

extern const struct conf_row conf_rows[CONF_KEYS];

/* text is the canonical form; num holds numbers, ms, bytes, modes, 0/1 and a word's index. */
struct conf_value {
	char *text;
	uint64_t num;
	unsigned line; /* 0: the default */
};

struct conf_section {
	enum conf_key kind; /* CONF_SECTION_x, or CONF_KEYS for the top of the file */
	char *name;         /* the word after it; NULL at the top */
	unsigned line;
	struct conf_value v[CONF_KEYS]; /* those of its kind are used */
};

struct conf {
	const char *who; /* the program whose slice this is; NULL: everything */
	struct conf_section top;
	struct conf_section *sections;
	size_t n_sections;
};

/* One item of a NETS text. */
struct conf_net {
	struct addr addr;        /* the first */
	unsigned bits;           /* of it that count, where it is a network: 0..32 or 0..128 */
	struct addr_range range; /* all of them */
	bool single;             /* one address, no network and no range */
	bool except;             /* with '!': these not */
};

/* All defaults. `who` must outlive the conf; NULL for the whole. 0 or -ENOMEM. */
int conf_init(struct conf *c, const char *who);
void conf_fini(struct conf *c);

/*
 * Reads a configuration file. Every error found becomes a line "FILE:LINE: what is wrong" in
 * `errors`, the nearest known key named where a key is unknown. Pure: opens nothing, resolves
 * nothing. 0, CONF_BAD with at least one error, or -ENOMEM. `c` has been initialised, and is whole
 * only after 0.
 */
enum { CONF_BAD = 1 };
int conf_parse(struct conf *c, const char *file, struct slice text, struct buf *errors);

/* The checks that need more than one value: 0 or CONF_BAD. Part of conf_parse for a whole conf. */
int conf_check(const struct conf *c, const char *file, struct buf *errors);

/* The whole conf as bytes, and back with every bound checked again: 0, CONF_BAD, or -ENOMEM. */
void conf_pack(const struct conf *c, struct buf *out);
int conf_unpack(struct conf *c, struct slice packed);

/* What `who` receives, as `key = value` lines that conf_parse reads in that process. */
void conf_slice_for(const struct conf *c, const char *who, struct buf *out);

/* Is `who` a word of the row's receivers? */
bool conf_receives(enum conf_key k, const char *who);

/* --- reading; the type must be the row's --- */
uint64_t conf_get_u64(const struct conf *c, enum conf_key k); /* NUMBER DURATION SIZE MODE */
bool conf_get_bool(const struct conf *c, enum conf_key k);
const char *conf_get_str(const struct conf *c, enum conf_key k); /* any type's text */
bool conf_is_word(const struct conf *c, enum conf_key k, const char *word);
bool conf_has_word(const struct conf *c, enum conf_key k, const char *word); /* WORDLIST */

/* The same for a section. */
uint64_t conf_section_u64(const struct conf_section *s, enum conf_key k);
const char *conf_section_str(const struct conf_section *s, enum conf_key k);

/*
 * The next network of a NETS text: true and *ret, with the text moved on. The text comes from a
 * conf or a message; false at its end and where it is malformed.
 */
bool conf_next_net(struct slice *text, struct conf_net *ret);
bool conf_net_holds(const struct conf_net *net, const struct addr *a);
/* Is the address in one of the networks of this text, and in none with '!'? */
bool conf_nets_hold(struct slice text, const struct addr *a);
