/*
 * search-keys - the grammar of search-key (RFC 3501 9, RFC 5032, RFC 7162 3.1.5, RFC 8474 6,
 * RFC 8514).
 */
#include "protocols/imap/search-keys.h"

#include "common/mail/utf8.h"
#include "protocols/imap/imap-private.h"

enum arg { ARG_NONE, ARG_FLAGS, ARG_STRING, ARG_DATE, ARG_NUMBER, ARG_KEYWORD, ARG_OBJECT };

static const struct key_word {
	const char *name;
	enum search_kind kind;
	enum arg arg;
	uint32_t a, b; /* flags: mask, want; dates: cmp; strings: field; keyword: 1 = not;
			  object: its letter */
} words[] = {
	{ "ALL", SEARCH_ALL, ARG_NONE, 0, 0 },
	{ "SAVEDATESUPPORTED", SEARCH_ALL, ARG_NONE, 0, 0 },
	{ "ANSWERED", SEARCH_FLAGS, ARG_FLAGS, IPC_FLAG_ANSWERED, IPC_FLAG_ANSWERED },
	{ "UNANSWERED", SEARCH_FLAGS, ARG_FLAGS, IPC_FLAG_ANSWERED, 0 },
	{ "DELETED", SEARCH_FLAGS, ARG_FLAGS, IPC_FLAG_DELETED, IPC_FLAG_DELETED },
	{ "UNDELETED", SEARCH_FLAGS, ARG_FLAGS, IPC_FLAG_DELETED, 0 },
	{ "DRAFT", SEARCH_FLAGS, ARG_FLAGS, IPC_FLAG_DRAFT, IPC_FLAG_DRAFT },
	{ "UNDRAFT", SEARCH_FLAGS, ARG_FLAGS, IPC_FLAG_DRAFT, 0 },
	{ "FLAGGED", SEARCH_FLAGS, ARG_FLAGS, IPC_FLAG_FLAGGED, IPC_FLAG_FLAGGED },
	{ "UNFLAGGED", SEARCH_FLAGS, ARG_FLAGS, IPC_FLAG_FLAGGED, 0 },
	{ "SEEN", SEARCH_FLAGS, ARG_FLAGS, IPC_FLAG_SEEN, IPC_FLAG_SEEN },
	{ "UNSEEN", SEARCH_FLAGS, ARG_FLAGS, IPC_FLAG_SEEN, 0 },
	{ "RECENT", SEARCH_RECENT, ARG_NONE, 0, 0 },
	{ "KEYWORD", SEARCH_KEYWORD, ARG_KEYWORD, 0, 0 },
	{ "UNKEYWORD", SEARCH_KEYWORD, ARG_KEYWORD, 1, 0 },
	{ "LARGER", SEARCH_LARGER, ARG_NUMBER, 0, 0 },
	{ "SMALLER", SEARCH_SMALLER, ARG_NUMBER, 0, 0 },
	{ "OLDER", SEARCH_OLDER, ARG_NUMBER, 1, 0 },
	{ "YOUNGER", SEARCH_YOUNGER, ARG_NUMBER, 1, 0 },
	{ "BEFORE", SEARCH_INTERNAL, ARG_DATE, SEARCH_BEFORE, 0 },
	{ "ON", SEARCH_INTERNAL, ARG_DATE, SEARCH_ON, 0 },
	{ "SINCE", SEARCH_INTERNAL, ARG_DATE, SEARCH_SINCE, 0 },
	{ "SENTBEFORE", SEARCH_SENT, ARG_DATE, SEARCH_BEFORE, 0 },
	{ "SENTON", SEARCH_SENT, ARG_DATE, SEARCH_ON, 0 },
	{ "SENTSINCE", SEARCH_SENT, ARG_DATE, SEARCH_SINCE, 0 },
	{ "SAVEDBEFORE", SEARCH_SAVED, ARG_DATE, SEARCH_BEFORE, 0 },
	{ "SAVEDON", SEARCH_SAVED, ARG_DATE, SEARCH_ON, 0 },
	{ "SAVEDSINCE", SEARCH_SAVED, ARG_DATE, SEARCH_SINCE, 0 },
	{ "SUBJECT", SEARCH_FIELD, ARG_STRING, FACTS_SUBJECT, 0 },
	{ "FROM", SEARCH_FIELD, ARG_STRING, FACTS_FROM, 0 },
	{ "TO", SEARCH_FIELD, ARG_STRING, FACTS_TO, 0 },
	{ "CC", SEARCH_FIELD, ARG_STRING, FACTS_CC, 0 },
	{ "BCC", SEARCH_FIELD, ARG_STRING, FACTS_BCC, 0 },
	{ "BODY", SEARCH_BODY, ARG_STRING, 0, 0 },
	{ "TEXT", SEARCH_TEXT, ARG_STRING, 0, 0 },
	{ "EMAILID", SEARCH_EMAILID, ARG_OBJECT, 'E', 0 },
	{ "THREADID", SEARCH_THREADID, ARG_OBJECT, 'T', 0 },
};

struct reader {
	struct imap *s;
	struct parse *p;
	struct search_keys *keys;
	bool ascii;    /* CHARSET US-ASCII */
	bool answered; /* the command was, by imap_resolve() */
	unsigned depth;
};

static struct search_key *key_new(struct reader *r, enum search_kind kind)
{
	struct search_key *k = arena_alloc(r->p->arena, sizeof(*k));

	if (k == NULL || ++r->keys->n > IMAP_SEARCH_KEYS_MAX) {
		parse_fail(r->p, "too many search keys");
		return NULL;
	}
	k->kind = kind;
	k->made = r->keys->made;
	r->keys->made = k;
	return k;
}

static struct search_key *key_not(struct reader *r, struct search_key *a)
{
	struct search_key *k = a != NULL ? key_new(r, SEARCH_NOT) : NULL;

	if (k != NULL)
		k->a = a;
	return k;
}

/* A string of the client's, folded. */
static void read_string(struct reader *r, struct search_key *k)
{
	struct slice text = parse_astring(r->p);
	struct buf folded = BUF_INIT(IMAP_COMMAND_MAX * 20u);

	if (!parse_ok(r->p))
		return;
	for (size_t i = 0; r->ascii && i < text.n; i++)
		if (text.p[i] >= 0x80)
			parse_fail(r->p, "a byte above 127 in US-ASCII");
	if (!utf8_valid(text))
		parse_fail(r->p, "the string is not UTF-8");
	fold_text(text, &folded);
	k->word.folded = arena_copy(r->p->arena, buf_slice(&folded));
	if (folded.overflow || (folded.n > 0 && k->word.folded.p == NULL))
		parse_fail(r->p, "the string is too long");
	buf_fini(&folded);
}

static struct search_key *read_key(struct reader *r);

/*
 * A number that does not exist finds nothing, rather than that the search fails: clients ask an
 * empty mailbox for 1:*, too (RFC 9051 9 only says "should" of BAD).
 */
static void numbers_clip(struct set *set, uint32_t count)
{
	size_t n = 0;

	for (size_t i = 0; i < set->n; i++) {
		struct set_range x = set->r[i];

		if (x.last == UINT32_MAX && x.first > count)
			x.first = count; /* "*" is the last message, and ranges have no order */
		if (x.last > count)
			x.last = count;
		if (x.first != 0 && x.first <= x.last)
			set->r[n++] = x;
	}
	set->n = n;
}

static struct search_key *read_set(struct reader *r, bool uid)
{
	struct search_key *k = key_new(r, SEARCH_SET);
	struct set set = { 0 };
	bool saved = false, was = r->s->uid;

	if (k == NULL)
		return NULL;
	parse_set(r->p, &set, &saved);
	if (!uid && !saved)
		numbers_clip(&set, r->s->view.count);
	if (parse_ok(r->p) && (uid || saved || set.n > 0)) {
		r->s->uid = uid;
		r->answered = imap_resolve(r->s, &set, saved, &k->set) != 0;
		r->s->uid = was;
		if (r->answered)
			parse_fail(r->p, "set");
	}
	set_fini(&set);
	return k;
}

/* RFC 7162 3.1.5: [SP "entry" SP type] SP n */
static struct search_key *read_modseq(struct reader *r)
{
	struct search_key *k = key_new(r, SEARCH_MODSEQ);

	if (k == NULL)
		return NULL;
	parse_sp(r->p);
	if (parse_peek(r->p) == '"') {
		(void)parse_string(r->p);
		parse_sp(r->p);
		if (!parse_try_word(r->p, "priv") && !parse_try_word(r->p, "shared") &&
		    !parse_try_word(r->p, "all"))
			parse_fail(r->p, "priv, shared or all");
		parse_sp(r->p);
	}
	k->n = parse_number64(r->p);
	r->keys->modseq = true;
	return k;
}

static struct search_key *read_header(struct reader *r)
{
	struct search_key *k = key_new(r, SEARCH_HEADER);

	if (k == NULL)
		return NULL;
	parse_sp(r->p);
	k->name = parse_astring(r->p);
	parse_sp(r->p);
	read_string(r, k);
	return k;
}

static struct search_key *read_or(struct reader *r)
{
	struct search_key *k = key_new(r, SEARCH_OR);

	if (k == NULL)
		return NULL;
	parse_sp(r->p);
	k->a = read_key(r);
	parse_sp(r->p);
	k->b = read_key(r);
	return k->a != NULL && k->b != NULL ? k : NULL;
}

/* NEW and OLD are RECENT with something. */
static struct search_key *read_recent(struct reader *r, bool is_new)
{
	struct search_key *recent = key_new(r, SEARCH_RECENT), *unseen, *both;

	if (!is_new)
		return key_not(r, recent);
	unseen = key_new(r, SEARCH_FLAGS);
	both = key_new(r, SEARCH_AND);
	if (recent == NULL || unseen == NULL || both == NULL)
		return NULL;
	unseen->mask = IPC_FLAG_SEEN;
	recent->next = unseen;
	both->a = recent;
	return both;
}

static struct search_key *read_list(struct reader *r)
{
	struct search_key *k = key_new(r, SEARCH_AND), **tail;

	if (k == NULL)
		return NULL;
	tail = &k->a;
	do {
		*tail = read_key(r);
		if (*tail == NULL)
			return NULL;
		tail = &(*tail)->next;
	} while (parse_try(r->p, ' '));
	return k;
}

static void read_arg(struct reader *r, struct search_key *k, const struct key_word *w)
{
	if (w->arg != ARG_NONE && w->arg != ARG_FLAGS)
		parse_sp(r->p);
	switch (w->arg) {
	case ARG_FLAGS:
		k->mask = w->a;
		k->want = w->b;
		break;
	case ARG_STRING:
		k->field = (enum facts_field)w->a;
		read_string(r, k);
		break;
	case ARG_DATE:
		k->cmp = (enum search_cmp)w->a;
		k->day = parse_date(r->p);
		break;
	case ARG_NUMBER:
		k->n = w->a ? parse_nz_number(r->p) : parse_number64(r->p);
		break;
	case ARG_KEYWORD:
		k->bit = view_keyword(&r->s->view, parse_atom(r->p));
		break;
	case ARG_OBJECT:
		k->known = parse_object_id(r->p, (char)w->a, &k->n);
		break;
	default:
		break;
	}
}

static struct search_key *read_word(struct reader *r, struct slice name)
{
	struct search_key *k;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		const struct key_word *w = &words[i];

		if (!slice_ieq(name, slice_str(w->name)))
			continue;
		k = key_new(r, w->kind);
		if (k == NULL)
			return NULL;
		read_arg(r, k, w);
		r->keys->sent |= w->kind == SEARCH_SENT;
		return w->arg == ARG_KEYWORD && w->a ? key_not(r, k) : k;
	}
	parse_fail(r->p, "no such search key");
	return NULL;
}

static struct search_key *read_named(struct reader *r)
{
	struct slice name = parse_word(r->p);

	if (slice_ieq(name, SLICE("NOT"))) {
		parse_sp(r->p);
		return key_not(r, read_key(r));
	}
	if (slice_ieq(name, SLICE("OR")))
		return read_or(r);
	if (slice_ieq(name, SLICE("NEW")) || slice_ieq(name, SLICE("OLD")))
		return read_recent(r, slice_ieq(name, SLICE("NEW")));
	if (slice_ieq(name, SLICE("HEADER")))
		return read_header(r);
	if (slice_ieq(name, SLICE("MODSEQ")))
		return read_modseq(r);
	if (slice_ieq(name, SLICE("UID"))) {
		parse_sp(r->p);
		return read_set(r, true);
	}
	return read_word(r, name);
}

static struct search_key *read_key(struct reader *r)
{
	struct search_key *k;
	uint8_t c = parse_peek(r->p);

	if (!parse_ok(r->p))
		return NULL;
	if (++r->depth > IMAP_DEPTH_MAX) {
		parse_fail(r->p, "search keys are nested too deeply");
		return NULL;
	}
	if (parse_try(r->p, '(')) {
		k = read_list(r);
		parse_char(r->p, ')');
	} else if (ascii_digit(c) || c == '*' || c == '$') {
		k = read_set(r, false);
	} else {
		k = read_named(r);
	}
	r->depth--;
	return k;
}

/* ---- the keys of a kind ---- */

static void collect(struct search_keys *keys, struct search_key *k, bool count)
{
	struct search_key ***list = NULL;
	unsigned *n = NULL;

	for (; k != NULL; k = k->next) {
		switch (k->kind) {
		case SEARCH_FIELD:
			list = &keys->fields, n = &keys->n_fields;
			break;
		case SEARCH_HEADER:
			list = &keys->headers, n = &keys->n_headers;
			break;
		case SEARCH_BODY:
			list = &keys->bodies, n = &keys->n_bodies;
			break;
		case SEARCH_TEXT:
			list = &keys->texts, n = &keys->n_texts;
			break;
		case SEARCH_SET:
			list = &keys->sets, n = &keys->n_sets;
			break;
		default:
			n = NULL;
			collect(keys, k->a, count);
			if (k->kind == SEARCH_OR)
				collect(keys, k->b, count);
			break;
		}
		if (n == NULL)
			continue;
		if (!count)
			(*list)[*n] = k;
		(*n)++;
	}
}

static bool collect_all(struct search_keys *keys, struct arena *a)
{
	struct search_key ***lists[] = { &keys->fields, &keys->headers, &keys->bodies, &keys->texts,
		&keys->sets };
	unsigned *counts[] = { &keys->n_fields, &keys->n_headers, &keys->n_bodies, &keys->n_texts,
		&keys->n_sets };

	collect(keys, keys->root.a, true);
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		*lists[i] = arena_alloc(a, (*counts[i] + 1) * sizeof(struct search_key *));
		if (*lists[i] == NULL)
			return false;
		*counts[i] = 0;
	}
	collect(keys, keys->root.a, false);
	return true;
}

static bool read_charset(struct reader *r)
{
	struct slice name = parse_astring(r->p);

	r->ascii = slice_ieq(name, SLICE("US-ASCII"));
	if (!parse_ok(r->p) || r->ascii || slice_ieq(name, SLICE("UTF-8")))
		return true;
	imap_done(r->s, IMAP_NO, "BADCHARSET (US-ASCII UTF-8)", "this charset is not known");
	return false;
}

bool search_keys_parse(
    struct imap *s, struct parse *p, bool need_charset, struct search_keys *ret_keys)
{
	struct reader r = { .s = s, .p = p, .keys = ret_keys };
	struct search_key **tail = &ret_keys->root.a;

	*ret_keys =
	    (struct search_keys){ .root = { .kind = SEARCH_AND }, .now_s = s->port->wall_s };
	if (need_charset || parse_try_word(p, "CHARSET")) {
		if (!need_charset && s->utf8)
			parse_fail(p, "no CHARSET after ENABLE UTF8=ACCEPT");
		if (!need_charset)
			parse_sp(p);
		if (!read_charset(&r))
			return false;
		parse_sp(p);
	}
	do {
		*tail = read_key(&r);
		if (*tail == NULL)
			break;
		tail = &(*tail)->next;
	} while (parse_try(p, ' '));
	if (parse_end(p) && collect_all(ret_keys, p->arena))
		return true;
	if (!r.answered)
		imap_bad(s, p);
	return false;
}

void search_keys_fini(struct search_keys *k)
{
	for (struct search_key *x = k->made; x != NULL; x = x->made)
		set_fini(&x->set);
	k->made = NULL;
}

void search_keys_narrow(const struct search_keys *k, uint32_t *ret_mask, uint32_t *ret_want,
    uint64_t *ret_since, const struct set **ret_uids)
{
	*ret_mask = *ret_want = 0;
	*ret_since = 0;
	*ret_uids = NULL;
	for (const struct search_key *x = k->root.a; x != NULL; x = x->next) {
		if (x->kind == SEARCH_FLAGS && (*ret_mask & x->mask) == 0) {
			*ret_mask |= x->mask;
			*ret_want |= x->want;
		} else if (x->kind == SEARCH_MODSEQ && x->n > 0 && x->n - 1 > *ret_since) {
			*ret_since = x->n - 1;
		} else if (x->kind == SEARCH_SET && *ret_uids == NULL) {
			*ret_uids = &x->set;
		}
	}
}
