/*
 * fetch-items - what FETCH asks for (RFC 3501 6.4.5, RFC 3516, 7162, 8474, 8514, 8970), to a plan.
 */
#include "protocols/imap/fetch-private.h"

#include <stdlib.h>

/* Room for items at first, and for UID and MODSEQ that nobody named. */
enum { ITEMS_FIRST = 8, ITEMS_EXTRA = 2 };

/* Items that are one word. */
static const struct {
	const char *name;
	enum fetch_what what;
} words[] = {
	{ "FLAGS", FETCH_FLAGS },
	{ "UID", FETCH_UID },
	{ "INTERNALDATE", FETCH_DATE },
	{ "RFC822.SIZE", FETCH_SIZE },
	{ "ENVELOPE", FETCH_ENVELOPE },
	{ "BODYSTRUCTURE", FETCH_STRUCTURE },
	{ "BODY", FETCH_BODY },
	{ "MODSEQ", FETCH_MODSEQ },
	{ "EMAILID", FETCH_EMAILID },
	{ "THREADID", FETCH_THREADID },
	{ "SAVEDATE", FETCH_SAVEDATE },
	{ "PREVIEW", FETCH_PREVIEW },
};

/* RFC 3501 6.4.5: as BODY[], BODY.PEEK[HEADER], BODY[TEXT], under their own names. */
static const struct {
	const char *name;
	enum section_what what;
	bool peek;
} old[] = {
	{ "RFC822", SECTION_ALL, false },
	{ "RFC822.HEADER", SECTION_HEADER, true },
	{ "RFC822.TEXT", SECTION_TEXT, false },
};

/* Before '['. */
static const struct {
	const char *name;
	enum fetch_what what;
	bool peek;
} sections[] = {
	{ "BODY", FETCH_SECTION, false },
	{ "BODY.PEEK", FETCH_SECTION, true },
	{ "BINARY", FETCH_BINARY, false },
	{ "BINARY.PEEK", FETCH_BINARY, true },
	{ "BINARY.SIZE", FETCH_BINARY_SIZE, true },
};

static void plan_needs(struct fetch_plan *plan, const struct fetch_item *i)
{
	bool part = i->what >= FETCH_SECTION && section_wants_parts(&i->section);

	bool header = i->what == FETCH_SECTION && section_is_header(&i->section);

	plan->header |= header;
	plan->flags |= i->what == FETCH_FLAGS;
	plan->modseq |= i->what == FETCH_MODSEQ;
	plan->envelope |= i->what == FETCH_ENVELOPE;
	plan->parts |= i->what == FETCH_BODY || i->what == FETCH_STRUCTURE || part;
	plan->bodies |= i->what >= FETCH_SECTION;
	plan->facts |= i->what >= FETCH_ENVELOPE && !header &&
		       (i->what < FETCH_SECTION || part || i->section.what != SECTION_ALL);
}

/* NULL at the limit; then the cursor has an error. */
static struct fetch_item *item_add(struct parse *p, struct fetch_plan *plan, enum fetch_what what)
{
	struct fetch_item *i;

	if (plan->n == IMAP_ITEMS_MAX) {
		parse_fail(p, "too many items");
		return NULL;
	}
	if (plan->n == plan->room) {
		unsigned room = plan->room != 0 ? 4 * plan->room : ITEMS_FIRST;

		i = arena_alloc(p->arena, (room + ITEMS_EXTRA) * sizeof(*i));
		if (i == NULL) {
			parse_fail(p, "the command is too large");
			return NULL;
		}
		if (plan->n > 0)
			memcpy(i, plan->items, plan->n * sizeof(*i));
		plan->items = i;
		plan->room = room;
	}
	i = &plan->items[plan->n++];
	*i = (struct fetch_item){ .what = what };
	return i;
}

static void item_word(
    struct parse *p, struct fetch_plan *plan, enum fetch_what what, const char *label)
{
	struct fetch_item *i = item_add(p, plan, what);

	if (i == NULL)
		return;
	i->label = slice_str(label);
	plan_needs(plan, i);
}

/* ---- sections ---- */

/* " (name name)": the choice of header fields. They are also put into the label. */
static void names_parse(struct parse *p, struct fetch_item *i, struct writer *label)
{
	struct slice *name = arena_alloc(p->arena, IMAP_NAMES_MAX * sizeof(*name));
	unsigned n = 0;

	parse_sp(p);
	parse_char(p, '(');
	write_open(label);
	if (name == NULL)
		parse_fail(p, "the command is too large");
	do {
		struct slice s = parse_astring(p);

		if (n == IMAP_NAMES_MAX)
			parse_fail(p, "too many names of fields");
		if (!parse_ok(p))
			return;
		write_astring(label, s);
		name[n++] = s;
		i->names.lengths |= 1ull << (s.n < 63 ? s.n : 63);
		i->names.firsts |= s.n > 0 ? sift_first(s.p[0]) : 0;
	} while (parse_try(p, ' '));
	parse_char(p, ')');
	write_close(label);
	i->names.name = name;
	i->names.n = n;
}

/* "<12.34>", of which the answer repeats the first. */
static void partial_parse(struct parse *p, struct fetch_item *i, struct buf *label)
{
	if (!parse_try(p, '<'))
		return;
	i->from = parse_number64(p);
	parse_char(p, '.');
	i->count = parse_number64(p);
	if (parse_ok(p) && i->count == 0)
		parse_fail(p, "a number above zero is missing");
	parse_char(p, '>');
	buf_putc(label, '<');
	buf_putu(label, i->from);
	buf_putc(label, '>');
}

static const char *label_name(enum fetch_what what)
{
	return what == FETCH_SECTION ? "BODY[" : what == FETCH_BINARY ? "BINARY[" : "BINARY.SIZE[";
}

/* Behind "BODY" and the like: "[1.2.HEADER.FIELDS (a b)]<0.9>". */
static void item_section(struct parse *p, struct fetch_plan *plan, enum fetch_what what, bool peek)
{
	struct buf label = BUF_INIT(IMAP_COMMAND_MAX);
	struct writer w = writer(&label, false);
	struct fetch_item *i = item_add(p, plan, what);
	struct slice text = SLICE("");

	if (i == NULL)
		return;
	parse_char(p, '[');
	if (parse_peek(p) != ']')
		text = parse_word(p);
	if (parse_ok(p) && !section_parse(text, what != FETCH_SECTION, &i->section))
		parse_fail(p, "no such section");
	write_made(&w, slice_str(label_name(what)));
	section_put(&i->section, &label);
	if (i->section.what >= SECTION_FIELDS)
		names_parse(p, i, &w);
	parse_char(p, ']');
	buf_putc(&label, ']');
	if (what != FETCH_BINARY_SIZE)
		partial_parse(p, i, &label);
	i->label = arena_copy(p->arena, buf_slice(&label));
	if (label.overflow || i->label.p == NULL)
		parse_fail(p, "the command is too large");
	buf_fini(&label);
	plan->seen |= !peek;
	plan_needs(plan, i);
}

/* ---- items ---- */

static bool old_item(struct parse *p, struct fetch_plan *plan, struct slice word)
{
	for (size_t k = 0; k < sizeof(old) / sizeof(old[0]); k++) {
		struct fetch_item *i;

		if (!slice_ieq(word, slice_str(old[k].name)))
			continue;
		i = item_add(p, plan, FETCH_SECTION);
		if (i != NULL) {
			i->label = slice_str(old[k].name);
			i->section.what = old[k].what;
			plan->seen |= !old[k].peek;
			plan_needs(plan, i);
		}
		return true;
	}
	return false;
}

/* RFC 8970 3: "PREVIEW" [" (" modifier *(" " modifier) ")"]. */
static void preview_parse(struct parse *p, struct fetch_plan *plan)
{
	const uint8_t *before = p->p;

	if (!parse_try(p, ' ') || !parse_try(p, '(')) {
		p->p = before;
		plan->preview = true;
		return;
	}
	if (!parse_try_word(p, "LAZY"))
		parse_fail(p, "no such modifier");
	parse_char(p, ')');
}

static void item_parse(struct parse *p, struct fetch_plan *plan)
{
	struct slice word = parse_word(p);

	if (!parse_ok(p))
		return;
	if (parse_peek(p) == '[') {
		for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
			if (slice_ieq(word, slice_str(sections[i].name))) {
				item_section(p, plan, sections[i].what, sections[i].peek);
				return;
			}
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!slice_ieq(word, slice_str(words[i].name)))
			continue;
		item_word(p, plan, words[i].what, words[i].name);
		if (words[i].what == FETCH_PREVIEW)
			preview_parse(p, plan);
		return;
	}
	if (!old_item(p, plan, word))
		parse_fail(p, "no such item");
}

/* ALL, FAST, FULL: alone, never in a list (RFC 3501 6.4.5). */
static bool macro_parse(struct parse *p, struct fetch_plan *plan)
{
	bool all = parse_try_word(p, "ALL"), full = !all && parse_try_word(p, "FULL");

	if (!all && !full && !parse_try_word(p, "FAST"))
		return false;
	item_word(p, plan, FETCH_FLAGS, "FLAGS");
	item_word(p, plan, FETCH_DATE, "INTERNALDATE");
	item_word(p, plan, FETCH_SIZE, "RFC822.SIZE");
	if (all || full)
		item_word(p, plan, FETCH_ENVELOPE, "ENVELOPE");
	if (full)
		item_word(p, plan, FETCH_BODY, "BODY");
	return true;
}

/* RFC 7162 3.1.4, 3.2.6. */
static void modifiers_parse(struct parse *p, struct fetch_plan *plan)
{
	if (!parse_try(p, ' '))
		return;
	parse_char(p, '(');
	do {
		if (parse_try_word(p, "CHANGEDSINCE")) {
			parse_sp(p);
			plan->since = parse_number64(p);
			if (parse_ok(p) && plan->since == 0)
				parse_fail(p, "a number above zero is missing");
		} else if (parse_try_word(p, "VANISHED")) {
			plan->vanished = true;
		} else {
			parse_fail(p, "no such modifier");
		}
	} while (parse_try(p, ' '));
	parse_char(p, ')');
}

static bool has(const struct fetch_plan *plan, enum fetch_what what)
{
	for (unsigned i = 0; i < plan->n; i++)
		if (plan->items[i].what == what)
			return true;
	return false;
}

/* UID first, where UID FETCH says it unasked (RFC 3501 6.4.8). */
static void uid_first(struct fetch_plan *plan)
{
	struct fetch_item first = { .what = FETCH_UID, .label = SLICE("UID") };

	memmove(plan->items + 1, plan->items, plan->n * sizeof(plan->items[0]));
	plan->items[0] = first;
	plan->n++;
}

void fetch_plan_parse(struct parse *p, bool uid, struct fetch_plan *ret_plan)
{
	struct fetch_plan plan = { 0 };

	parse_sp(p);
	if (macro_parse(p, &plan)) {
		/* nothing else may come */
	} else if (parse_try(p, '(')) {
		do
			item_parse(p, &plan);
		while (parse_try(p, ' '));
		parse_char(p, ')');
	} else {
		item_parse(p, &plan);
	}
	modifiers_parse(p, &plan);
	if (plan.vanished && (!uid || plan.since == 0))
		parse_fail(p, "VANISHED wants UID FETCH and CHANGEDSINCE");
	if (!parse_end(p))
		return;
	if (plan.since != 0 && !plan.modseq)
		plan.items[plan.n++] =
		    (struct fetch_item){ .what = FETCH_MODSEQ, .label = SLICE("MODSEQ") };
	plan.modseq |= plan.since != 0;
	if (uid && !has(&plan, FETCH_UID))
		uid_first(&plan);
	*ret_plan = plan;
}
