#include "common/mail/header.h"
#include "common/mail/limits.h"

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* Offset after the line that starts at `at`. */
static size_t line_after(struct slice s, size_t at)
{
	const uint8_t *lf = at < s.n ? memchr(s.p + at, '\n', s.n - at) : NULL;

	return lf != NULL ? (size_t)(lf - s.p) + 1 : s.n;
}

/* The line without its end. */
static struct slice line_text(struct slice s, size_t from, size_t to)
{
	struct slice l = slice_part(s, from, to - from);

	if (l.n > 0 && l.p[l.n - 1] == '\n') {
		l.n--;
		if (l.n > 0 && l.p[l.n - 1] == '\r')
			l.n--;
	}
	return l;
}

/* RFC 5322 3.6.8 ftext, then blanks (4.5), then the colon. */
static bool field_split(struct slice line, struct slice *ret_name, size_t *ret_value_at)
{
	size_t i = 0, n;

	while (i < line.n && line.p[i] > 32 && line.p[i] < 127 && line.p[i] != ':')
		i++;
	n = i;
	while (i < line.n && is_blank(line.p[i]))
		i++;
	if (n == 0 || n > HEADER_NAME_MAX || i == line.n || line.p[i] != ':')
		return false;
	*ret_name = slice_part(line, 0, n);
	*ret_value_at = i + 1;
	return true;
}

int header_next(struct header_iter *it, struct header_field *ret_field)
{
	struct slice s = it->block;

	while (it->at < s.n) {
		size_t start = it->at, end = line_after(s, start), value_at;
		struct slice line = line_text(s, start, end), name;

		/* An unfinished last line without a byte of text is not possible: at < n. */
		if (line.n == 0) {
			it->at = end;
			return HEADER_DONE;
		}
		while (end < s.n && is_blank(s.p[end]))
			end = line_after(s, end);
		it->at = end;
		if (is_blank(line.p[0]) || !field_split(line, &name, &value_at))
			continue;
		ret_field->name = name;
		ret_field->value = line_text(s, start + value_at, end);
		ret_field->start = start;
		ret_field->end = end;
		return 0;
	}
	return HEADER_DONE;
}

size_t header_section_size(struct slice message)
{
	struct header_iter it = header_iter(message);
	struct header_field f;

	while (header_next(&it, &f) == 0)
		;
	return it.at;
}

bool header_find(struct slice block, struct slice name, struct slice *ret_value)
{
	struct header_iter it = header_iter(block);
	struct header_field f;

	while (header_next(&it, &f) == 0) {
		if (slice_ieq(f.name, name)) {
			*ret_value = f.value;
			return true;
		}
	}
	return false;
}

static bool is_space(uint8_t c)
{
	return is_blank(c) || c == '\r' || c == '\n';
}

int header_unfold(struct slice value, struct buf *out)
{
	uint8_t *to;
	size_t n = 0;

	while (value.n > 0 && is_space(value.p[0]))
		value = slice_from(value, 1);
	while (value.n > 0 && is_space(value.p[value.n - 1]))
		value.n--;
	if (value.n == 0)
		return 0;
	to = buf_room(out, value.n);
	if (to == NULL)
		return 1;
	for (size_t i = 0; i < value.n; i++) {
		uint8_t c = value.p[i];

		if (c == '\0')
			continue;
		if (c == '\r' && value.p[i + 1] == '\n') /* the last byte is no space */
			continue;
		if (c == '\n' && is_blank(value.p[i + 1]))
			continue;
		to[n++] = c == '\r' || c == '\n' ? ' ' : c;
	}
	buf_wrote(out, n);
	return 0;
}

/* The name being compared; its end is followed by blanks or the colon. */
static const char received[] = "received";

enum {
	LINE_START,
	LINE_CR,    /* CR was the first byte */
	LINE_NAME,  /* `match` letters agree */
	LINE_BLANK, /* the name is complete, blanks before the colon */
	LINE_REST,
};

static void trace_step(struct trace *t, uint8_t c)
{
	if (c == '\n') {
		if (t->at_line == LINE_START || t->at_line == LINE_CR)
			t->done = true;
		t->at_line = LINE_START;
		t->match = 0;
		return;
	}
	if (t->at_line == LINE_START && c == '\r') {
		t->at_line = LINE_CR;
		return;
	}
	if (t->at_line == LINE_START || t->at_line == LINE_NAME) {
		if (t->match < sizeof(received) - 1) {
			if (ascii_lower(c) == (uint8_t)received[t->match]) {
				t->match++;
				t->at_line = LINE_NAME;
				return;
			}
			t->at_line = LINE_REST;
			return;
		}
		t->at_line = LINE_BLANK;
	}
	if (t->at_line != LINE_BLANK) {
		t->at_line = LINE_REST;
		return;
	}
	if (is_blank(c))
		return;
	if (c == ':')
		t->received++;
	t->at_line = LINE_REST;
}

void trace_feed(struct trace *t, struct slice bytes)
{
	size_t i = 0;

	while (i < bytes.n && !t->done) {
		if (t->at_line == LINE_REST) {
			const uint8_t *lf = memchr(bytes.p + i, '\n', bytes.n - i);

			if (lf == NULL)
				return;
			i = (size_t)(lf - bytes.p);
		}
		trace_step(t, bytes.p[i++]);
	}
}
