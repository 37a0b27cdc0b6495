#include "protocols/imap/search-text.h"

#include "common/mail/charset.h"
#include "common/mail/header.h"
#include "common/mail/param.h"

#include <stdlib.h>

enum {
	RAW_HIGH = 64 * 1024,   /* undone at once */
	RAW_MAX = 1024 * 1024,  /* a line longer than this may hide a match */
	TEXT_HIGH = 128 * 1024, /* the same, decoded */
};

/* ---- what is read ---- */

static bool leaf_searched(struct slice type, bool plain_default)
{
	return plain_default || slice_ieq(type, SLICE("text")) || slice_ieq(type, SLICE("message"));
}

/* RFC 2045 6.4: a part in an encoding that nobody knows is not text. */
static bool encoding_known(struct slice name)
{
	static const char *const known[] = { "7bit", "8bit", "binary", "base64",
		"quoted-printable" };

	if (name.p == NULL || name.n == 0)
		return true;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (slice_ieq(name, slice_str(known[i])))
			return true;
	return false;
}

static const struct charset *charset_of(struct slice params)
{
	struct mime_param p;

	return mime_param_find(params, SLICE("charset"), &p) ? charset_find(p.value) : NULL;
}

static void range_add(struct search_ranges *l, struct search_range r)
{
	if (r.end > r.start)
		l->v[l->n++] = r;
}

/* Of a part, from facts or from a structure. */
struct leaf {
	uint8_t kind, flags;
	uint64_t start, end;
	struct slice type, encoding, params;
};

static void leaf_add(struct search_ranges *l, const struct leaf *p)
{
	bool leaf = p->kind == MIME_LEAF || (p->kind == MIME_MESSAGE && (p->flags & MIME_OPAQUE));
	bool plain = (p->flags & MIME_TYPE_DEFAULT) && !slice_ieq(p->type, SLICE("message"));

	if (!leaf || !leaf_searched(p->type, plain) || !encoding_known(p->encoding))
		return;
	range_add(l, (struct search_range){ p->start, p->end, SEARCH_RANGE_LEAF,
			 p->kind == MIME_LEAF ? transfer_find(p->encoding) : TRANSFER_PLAIN,
			 charset_of(p->params) });
}

static void header_add(struct search_ranges *l, bool main, uint64_t start, uint64_t end)
{
	range_add(l, (struct search_range){ start, end,
			 main ? SEARCH_RANGE_MAIN : SEARCH_RANGE_HEADER, TRANSFER_PLAIN, NULL });
}

bool search_ranges_make(const struct facts_view *facts, uint64_t size, bool header, bool text,
    struct search_ranges *ret_ranges)
{
	struct slice parts = facts->parts;
	struct facts_part part;
	bool first = true;

	*ret_ranges = (struct search_ranges){ 0 };
	if (text && (facts->flags & FACTS_NO_STRUCTURE))
		return false;
	ret_ranges->v = calloc(2 * facts->part_count + 1, sizeof(*ret_ranges->v));
	if (ret_ranges->v == NULL)
		return false;
	if (header || text)
		header_add(ret_ranges, true, 0, facts->body_start);
	while (text && facts_part_next(&parts, &part) == 0) {
		if (!first)
			header_add(ret_ranges, false, part.header_start, part.body_start);
		first = false;
		leaf_add(ret_ranges,
		    &(struct leaf){ part.kind, part.flags, part.body_start, part.end,
			part.text[MIME_TYPE], part.text[MIME_ENCODING], part.text[MIME_PARAMS] });
	}
	return true;
}

bool search_ranges_parsed(const struct mime *m, bool text, struct search_ranges *ret_ranges)
{
	unsigned n = text ? mime_count(m) : 1;

	*ret_ranges = (struct search_ranges){ .v = calloc(2 * n + 1, sizeof(*ret_ranges->v)) };
	if (ret_ranges->v == NULL)
		return false;
	for (unsigned i = 0; i < n; i++) {
		const struct mime_part *p = mime_part(m, i);

		header_add(ret_ranges, i == 0, p->header_start, p->body_start);
		if (text)
			leaf_add(ret_ranges, &(struct leaf){ p->kind, p->flags, p->body_start,
						 p->end, mime_part_text(m, i, MIME_TYPE),
						 mime_part_text(m, i, MIME_ENCODING),
						 mime_part_text(m, i, MIME_PARAMS) });
	}
	return true;
}

/* ---- a header ---- */

static void header_feed(struct search_text *t, struct slice bytes)
{
	buf_put(&t->header, slice_part(bytes, 0, HEADER_KEEP_MAX - t->header.n));
}

static void header_end(struct search_text *t, bool main)
{
	if (main)
		search_match_header(t->keys, t->msg, buf_slice(&t->header));
	search_match_text_header(t->keys, buf_slice(&t->header));
	buf_reset(&t->header);
}

/* ---- a leaf ---- */

static size_t last_line(struct slice s)
{
	ptrdiff_t at = slice_rfind(s, '\n');

	return at < 0 ? 0 : (size_t)at + 1;
}

/* Octets up to the end of the last whole group of four. */
static size_t last_group(struct slice s)
{
	unsigned in_group = 0;
	size_t at = 0;

	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];

		if (c == '=')
			in_group = 0;
		else if (ascii_alpha(c) || ascii_digit(c) || c == '+' || c == '/')
			in_group = (in_group + 1) % 4;
		if (in_group == 0)
			at = i + 1;
	}
	return at;
}

/* Octets of the leaf as text: whole lines, so that no character is cut. */
static void text_go(struct search_text *t, bool last)
{
	struct slice text = buf_slice(&t->octets);
	size_t n = last ? text.n : last_line(text);

	if (n == 0 && text.n >= TEXT_HIGH)
		n = text.n;
	if (n == 0)
		return;
	buf_reset(&t->utf8);
	charset_to_utf8(t->charset, slice_part(text, 0, n), &t->utf8);
	finder_feed(&t->finder, buf_slice(&t->utf8));
	buf_consume(&t->octets, n);
}

static void raw_go(struct search_text *t, bool last)
{
	struct slice raw = buf_slice(&t->raw);
	size_t n = raw.n;

	if (!last && t->transfer == TRANSFER_BASE64)
		n = last_group(raw);
	else if (!last)
		n = last_line(raw);
	if (n == 0 && raw.n >= RAW_MAX)
		n = raw.n;
	transfer_decode(t->transfer, slice_part(raw, 0, n), &t->octets);
	buf_consume(&t->raw, n);
	text_go(t, last);
}

static void leaf_begin(struct search_text *t, enum transfer how, const struct charset *c)
{
	t->in_leaf = true;
	t->transfer = how;
	t->charset = c;
	buf_reset(&t->raw);
	buf_reset(&t->octets);
	finder_break(&t->finder);
}

static void leaf_feed(struct search_text *t, struct slice bytes)
{
	while (bytes.n > 0 && t->finder.left > 0) {
		struct slice head = slice_part(bytes, 0, RAW_HIGH);

		buf_put(&t->raw, head);
		if (t->raw.n >= RAW_HIGH)
			raw_go(t, false);
		bytes = slice_from(bytes, head.n);
	}
}

static void leaf_end(struct search_text *t)
{
	if (t->in_leaf && t->finder.left > 0)
		raw_go(t, true);
	t->in_leaf = false;
}

/* ---- a message ---- */

bool search_text_init(struct search_text *t, struct search_keys *keys)
{
	*t = (struct search_text){ .keys = keys };
	buf_init(&t->header, HEADER_KEEP_MAX);
	buf_init(&t->raw, RAW_MAX + RAW_HIGH);
	buf_init(&t->octets, RAW_MAX + RAW_HIGH + TEXT_HIGH);
	buf_init(&t->utf8, 4 * (RAW_MAX + RAW_HIGH + TEXT_HIGH));
	t->n_words = keys->n_bodies + keys->n_texts;
	t->words = calloc(t->n_words + 1, sizeof(*t->words));
	if (t->words == NULL)
		return false;
	for (unsigned i = 0; i < keys->n_bodies; i++)
		t->words[i].folded = keys->bodies[i]->word.folded;
	for (unsigned i = 0; i < keys->n_texts; i++)
		t->words[keys->n_bodies + i].folded = keys->texts[i]->word.folded;
	finder_init(&t->finder, t->words, t->n_words);
	return true;
}

void search_text_fini(struct search_text *t)
{
	finder_fini(&t->finder);
	buf_fini(&t->header);
	buf_fini(&t->raw);
	buf_fini(&t->octets);
	buf_fini(&t->utf8);
	free(t->words);
	*t = (struct search_text){ 0 };
}

void search_text_begin(
    struct search_text *t, struct search_msg *msg, const struct search_ranges *ranges)
{
	t->msg = msg;
	t->ranges = *ranges;
	t->at = 0;
	t->in_leaf = false;
	buf_reset(&t->header);
	search_keys_reset(t->keys);
	finder_reset(&t->finder);
}

static void range_feed(
    struct search_text *t, const struct search_range *r, uint64_t off, struct slice bytes)
{
	bool leaf = r->kind == SEARCH_RANGE_LEAF;

	if (leaf && off == r->start)
		leaf_begin(t, r->transfer, r->charset);
	if (leaf)
		leaf_feed(t, bytes);
	else
		header_feed(t, bytes);
	if (off + bytes.n < r->end)
		return;
	if (leaf)
		leaf_end(t);
	else
		header_end(t, r->kind == SEARCH_RANGE_MAIN);
	t->at++;
}

void search_text_feed(struct search_text *t, uint64_t off, struct slice bytes)
{
	while (bytes.n > 0 && t->at < t->ranges.n) {
		const struct search_range *r = &t->ranges.v[t->at];
		struct slice part;

		if (off < r->start) {
			bytes = slice_from(bytes, r->start - off);
			off = r->start;
			continue;
		}
		part = slice_part(bytes, 0, r->end - off);
		range_feed(t, r, off, part);
		off += part.n;
		bytes = slice_from(bytes, part.n);
	}
}

void search_text_end(struct search_text *t)
{
	if (!t->msg->header_known)
		header_end(t, true); /* not even a header */
	for (unsigned i = 0; i < t->keys->n_bodies; i++)
		t->keys->bodies[i]->word.found = t->words[i].found;
	for (unsigned i = 0; i < t->keys->n_texts; i++)
		t->keys->texts[i]->word.found = t->words[t->keys->n_bodies + i].found;
	t->msg->text_known = true;
}
