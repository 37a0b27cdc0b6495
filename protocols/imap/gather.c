/*
 * gather - a command from its first line to its last, literals in it as they came.
 *
 * A literal is let in only when its size is acceptable, before a byte of it is read (RFC 3501 7.5,
 * RFC 7888 4). What cannot be taken is read over, if the client sends it unasked, so that it is
 * never taken for commands.
 */
#include "protocols/imap/imap-private.h"

static size_t line_max(const struct imap *s)
{
	return s->state == IMAP_START ? IMAP_LOGIN_LINE_MAX : IMAP_LINE_MAX;
}

static uint64_t literal_max(const struct imap *s)
{
	return s->state == IMAP_START ? IMAP_LOGIN_LITERAL_MAX : IMAP_LITERAL_MAX;
}

static uint64_t command_max(const struct imap *s)
{
	return s->state == IMAP_START ? IMAP_LOGIN_COMMAND_MAX : IMAP_COMMAND_MAX;
}

void imap_gather_reset(struct imap *s)
{
	struct imap_gather *g = &s->gather;

	if (g->text.cap > FRONT_READ_FIRST)
		buf_fini(&g->text);
	buf_reset(&g->text);
	g->text.max = IMAP_COMMAND_MAX + 1024;
	g->literal_left = g->skip_left = g->skipped = 0;
	g->refused = NULL;
}

enum { LITERAL, NO_LITERAL, WRONG_LITERAL };

/* "{12}", "{12+}" or "~{12}" at the end of a line. */
int imap_literal_find(struct slice line, struct imap_literal *ret)
{
	size_t end = line.n, at;
	bool sync = true;

	if (end < 3 || line.p[end - 1] != '}')
		return NO_LITERAL;
	end--;
	if (line.p[end - 1] == '+') {
		sync = false;
		end--;
	}
	at = end;
	while (at > 0 && ascii_digit(line.p[at - 1]))
		at--;
	if (at == 0 || at == end || line.p[at - 1] != '{')
		return NO_LITERAL;
	if (slice_u64(slice_part(line, at, end - at), INT64_MAX, &ret->size) != 0)
		return sync ? NO_LITERAL : WRONG_LITERAL;
	at--;
	ret->sync = sync;
	ret->binary = at > 0 && line.p[at - 1] == '~';
	ret->at = at - ret->binary;
	return LITERAL;
}

/* The tag of what was gathered, if it has one. */
static struct slice tag_of(struct imap *s)
{
	struct slice text = buf_slice(&s->gather.text);
	struct parse p = { .begin = text.p, .p = text.p, .end = text.p + text.n };
	struct slice tag = text.n > 0 ? parse_tag(&p) : SLICE("");

	return parse_ok(&p) && tag.n > 0 && parse_peek(&p) == ' ' ? tag : SLICE("*");
}

static void refuse(struct imap *s, const char *text)
{
	s->tag = tag_of(s);
	s->cmd = imap_cmd_find(SLICE("NOOP")); /* a command like any other ends here */
	imap_done(s, IMAP_BAD, "TOOBIG", text);
}

/* The command takes its literal by itself: true. */
static bool handed_over(struct imap *s, const struct imap_literal *l)
{
	struct slice text = buf_slice(&s->gather.text);
	struct slice rest = text, name;
	const struct imap_cmd *c;

	/* Only looked at here; what is wrong with the command is said when it is complete. */
	slice_take(&rest, ' ');
	name = slice_take(&rest, ' ');
	c = imap_cmd_find(name);
	if (c == NULL || c->on_literal == NULL || (c->states & s->state) == 0 ||
	    slice_eq(tag_of(s), SLICE("*")))
		return false; /* a wrong command's literal is read over all the same */
	c = imap_command_begin(s, &s->cursor);
	return c == NULL || c->on_literal(s, &s->cursor, l);
}

/* After a line that ends in a literal. True when the command is over or somebody else's. */
static bool literal_begin(struct imap *s, struct slice line, struct imap_literal *l)
{
	struct imap_gather *g = &s->gather;

	l->at += g->text.n;
	if (g->refused == NULL) {
		if (g->text.n + line.n + 2 > command_max(s))
			g->refused = "the command is too large";
		else
			buf_put(&g->text, line);
	}
	if (g->refused == NULL && handed_over(s, l))
		return true;
	s->cmd = NULL;
	if (g->refused == NULL &&
	    (l->size > literal_max(s) || g->text.n + 2 + l->size > command_max(s)))
		g->refused = "the literal is too large";
	if (g->refused != NULL && l->sync) {
		refuse(s, g->refused); /* without a "+" it does not come */
		return true;
	}
	if (g->refused != NULL) {
		g->skip_left = l->size;
		g->skipped += l->size;
		if (l->size > IMAP_SKIP_MAX || g->skipped > IMAP_SKIP_MAX)
			imap_bye(s, "the literal is too large");
		return s->state == IMAP_ENDED;
	}
	buf_put(&g->text, SLICE("\r\n"));
	g->literal_left = l->size;
	if (l->sync) {
		struct writer w = imap_writer(s);

		write_continue(&w, "go on");
	}
	return false;
}

static bool on_line(struct imap *s, struct slice line)
{
	struct imap_gather *g = &s->gather;
	struct imap_literal l = { 0 };

	switch (imap_literal_find(line, &l)) {
	case LITERAL:
		return literal_begin(s, line, &l);
	case WRONG_LITERAL:
		imap_bye(s, "not the size of a literal");
		return true;
	default:
		break;
	}
	if (g->refused == NULL && g->text.n + line.n > command_max(s))
		g->refused = "the command is too large";
	if (g->refused != NULL) {
		refuse(s, g->refused);
		return true;
	}
	buf_put(&g->text, line);
	if (g->text.overflow)
		imap_bye(s, "not enough memory");
	else
		imap_command(s);
	return true;
}

/* Without the text of a line nobody knows whether a literal follows it. */
static void line_wrong(struct imap *s, enum line_answer a)
{
	imap_bye(s, a == LINE_BARE   ? "a line must end with CR LF"
		    : a == LINE_LONG ? "the line is too long"
				     : "a NUL in a command");
}

static size_t literal_feed(struct imap *s, struct slice in)
{
	struct imap_gather *g = &s->gather;
	uint64_t *left = g->skip_left > 0 ? &g->skip_left : &g->literal_left;
	struct slice part = slice_part(in, 0, *left < in.n ? (size_t)*left : in.n);

	if (left == &g->literal_left && buf_put(&g->text, part) != 0)
		imap_bye(s, "not enough memory");
	*left -= part.n;
	return part.n;
}

size_t imap_gather_feed(struct imap *s, struct slice in)
{
	struct imap_gather *g = &s->gather;
	size_t used = 0;

	while (s->state != IMAP_ENDED && used < in.n) {
		struct slice rest = slice_from(in, used), line = SLICE_NONE;
		enum line_answer a;
		size_t n;

		if (g->skip_left > 0 || g->literal_left > 0) {
			used += literal_feed(s, rest);
			continue;
		}
		a = line_take(&g->lines, rest, line_max(s), &line, &n);
		used += n;
		if (a == LINE_MORE)
			break;
		if (a != LINE_OK)
			line_wrong(s, a);
		else if (on_line(s, line))
			break;
	}
	return used;
}
