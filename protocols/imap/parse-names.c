/*
 * parse-names - tokens with a meaning: names of mailboxes, flags, dates.
 */
#include "protocols/imap/parse.h"

#include "common/ipc/types.h"
#include "common/mail/date.h"
#include "common/mail/utf8.h"
#include "protocols/imap/limits.h"
#include "common/mail/utf7.h"

/* ---- mailboxes ------------------------------------------------------------------------------ */

/* What the client wrote as UTF-8 in the arena; p is NULL when it is no name. */
static struct slice name_decode(struct parse *p, struct slice raw)
{
	struct buf out = BUF_INIT(IMAP_MBOX_MAX);
	bool ascii = true, bad;
	struct slice name = SLICE_NONE;

	for (size_t i = 0; i < raw.n; i++) {
		if (raw.p[i] < ' ' || raw.p[i] == 0x7f)
			return SLICE_NONE;
		ascii &= raw.p[i] < 0x80;
	}
	/* RFC 6855 3: who enabled it writes UTF-8, in which "&" is a letter like others. */
	if (p->utf8)
		bad = buf_put(&out, raw) != 0 || (!ascii && !utf8_valid(raw));
	else
		bad = utf7_decode(raw, &out) != 0 || out.overflow;
	if (!bad)
		name = out.n > 0 ? arena_copy(p->arena, buf_slice(&out)) : SLICE("");
	buf_fini(&out);
	return name;
}

struct slice parse_mailbox_dir(struct parse *p, bool *ret_dir)
{
	struct slice raw = parse_astring(p), name;

	*ret_dir = false;
	if (!parse_ok(p))
		return SLICE("");
	name = name_decode(p, raw);
	if (name.p == NULL) {
		parse_refuse(p, "not a mailbox name");
		return SLICE("");
	}
	if (name.n > 1 && name.p[name.n - 1] == '/') {
		*ret_dir = true;
		name.n--;
	}
	return slice_ieq(name, SLICE("INBOX")) ? SLICE("INBOX") : name;
}

struct slice parse_mailbox(struct parse *p)
{
	bool dir;
	struct slice name = parse_mailbox_dir(p, &dir);

	if (dir)
		parse_refuse(p, "a mailbox name does not end with the separator");
	return name;
}

/* RFC 6855 3: what a name must not have, though UTF-8 can. Of those that are there none is hidden.
 */
static bool is_new_name(struct slice name)
{
	uint32_t c;

	for (unsigned n; name.n > 0; name = slice_from(name, n)) {
		n = utf8_get(name, &c);
		if (n == 0 || (c >= 0x80 && c < 0xa0) || c == 0x2028 || c == 0x2029)
			return false;
	}
	return true;
}

struct slice parse_mailbox_new(struct parse *p, bool *ret_dir)
{
	struct slice name = ret_dir != NULL ? parse_mailbox_dir(p, ret_dir) : parse_mailbox(p);

	if (parse_ok(p) && !is_new_name(name))
		parse_refuse(p, "not a mailbox name");
	return name;
}

struct slice parse_list_mailbox(struct parse *p)
{
	uint8_t c = parse_peek(p);
	struct slice raw = c == '"' || c == '{'
			       ? parse_string(p)
			       : parse_chars(p, parse_list_char, "a pattern is missing");

	return parse_ok(p) ? name_decode(p, raw) : SLICE("");
}

/* ---- flags ---------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	uint32_t bit;
} system_flags[] = {
	{ "Seen", IPC_FLAG_SEEN },
	{ "Answered", IPC_FLAG_ANSWERED },
	{ "Flagged", IPC_FLAG_FLAGGED },
	{ "Deleted", IPC_FLAG_DELETED },
	{ "Draft", IPC_FLAG_DRAFT },
};

static uint8_t *keywords_room(struct parse *p, struct parse_flags *f, size_t n)
{
	size_t room = f->room == 0 ? 128 : f->room;
	uint8_t *to = (uint8_t *)f->keywords.p;

	while (room < f->keywords.n + n)
		room *= 2;
	if (room == f->room)
		return to;
	to = arena_alloc(p->arena, room);
	if (to == NULL)
		return NULL;
	if (f->keywords.n > 0)
		memcpy(to, f->keywords.p, f->keywords.n);
	f->room = room;
	return to;
}

/* A name that comes twice is the same keyword for whoever takes them. */
static void keyword_add(struct parse *p, struct parse_flags *f, struct slice name)
{
	uint8_t *to;

	if (name.n > IMAP_KEYWORD_MAX || f->n_keywords == IMAP_FLAGS_MAX ||
	    f->keywords.n + 1 + name.n > IMAP_KEYWORDS_MAX) {
		parse_refuse(p, "too many keywords, or one that is too long");
		return;
	}
	to = keywords_room(p, f, 1 + name.n);
	if (to == NULL) {
		parse_fail(p, "the command is too large");
		return;
	}
	if (f->keywords.n > 0)
		to[f->keywords.n++] = ' ';
	memcpy(to + f->keywords.n, name.p, name.n);
	f->keywords = slice_of(to, f->keywords.n + name.n);
	f->n_keywords++;
}

void parse_flag(struct parse *p, struct parse_flags *f)
{
	bool system = parse_try(p, '\\');
	struct slice name = parse_atom(p);

	if (!parse_ok(p))
		return;
	if (!system) {
		keyword_add(p, f, name);
		return;
	}
	for (size_t i = 0; i < sizeof(system_flags) / sizeof(system_flags[0]); i++) {
		if (!slice_ieq(name, slice_str(system_flags[i].name)))
			continue;
		f->flags |= system_flags[i].bit;
		return;
	}
	parse_fail(p, "no such system flag");
}

void parse_flag_list(struct parse *p, bool bare, struct parse_flags *ret_flags)
{
	bool list = parse_try(p, '(');

	*ret_flags = (struct parse_flags){ 0 };
	if (!list && !bare)
		parse_fail(p, "a list of flags is missing");
	if (list && parse_try(p, ')'))
		return;
	do
		parse_flag(p, ret_flags);
	while (parse_try(p, ' '));
	if (list)
		parse_char(p, ')');
}

/* ---- dates ---------------------------------------------------------------------------------- */

int64_t parse_date_time(struct parse *p)
{
	struct mail_date d;
	const uint8_t *from = p->p;

	if (parse_try(p, '"')) {
		struct slice rest = slice_of(p->p, (size_t)(p->end - p->p)),
			     text = slice_take(&rest, '"');

		if (rest.p != NULL && rest.p > text.p + text.n &&
		    mail_date_parse_internal(text, &d) == 0) {
			p->p = rest.p;
			return d.unix_s;
		}
	}
	if (parse_ok(p))
		p->p = from;
	parse_fail(p, "not a date and time");
	return 0;
}

/* date-text of RFC 3501 9: "1-Feb-1994". */
int32_t parse_date(struct parse *p)
{
	static const char months[] = "janfebmaraprmayjunjulaugsepoctnovdec";
	static const uint8_t lengths[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool quote = parse_try(p, '"');
	uint32_t day = parse_nz_number(p), year;
	uint8_t name[3] = { 0 };
	unsigned month = 0;

	parse_char(p, '-');
	for (int i = 0; i < 3; i++) {
		name[i] = ascii_lower(parse_peek(p));
		if (parse_ok(p) && p->p < p->end)
			p->p++;
	}
	while (month < 12 && memcmp(months + 3 * month, name, 3) != 0)
		month++;
	parse_char(p, '-');
	year = parse_number(p);
	if (quote)
		parse_char(p, '"');
	if (month == 12 || day > lengths[month] || year == 0 || year > 9999 ||
	    (month == 1 && day == 29 && (year % 4 != 0 || (year % 100 == 0 && year % 400 != 0))))
		parse_fail(p, "not a date");
	if (!parse_ok(p))
		return 0;
	return (int32_t)mail_date_days((int)year, (int)month + 1, (int)day);
}
