#include "protocols/smtp/fixup.h"

/* The name of a field, blanks before the colon allowed (RFC 5322 4.5.8); empty: none. */
static struct slice field_name(struct slice line)
{
	struct slice rest = line, name = slice_take(&rest, ':');

	if (name.n == line.n)
		return SLICE_NONE;
	while (name.n > 0 && (name.p[name.n - 1] == ' ' || name.p[name.n - 1] == '\t'))
		name.n--;
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] >= 0x7f)
			return SLICE_NONE;
	return name;
}

static void look_at_line(struct fixup *f, struct slice line)
{
	struct slice name;

	if (f->at > 0 && line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t'))
		return;
	name = field_name(line);
	f->ended = name.n == 0;
	f->date |= slice_ieq(name, SLICE("Date"));
	f->message_id |= slice_ieq(name, SLICE("Message-ID"));
}

bool fixup_look(struct fixup *f, struct slice head)
{
	const uint8_t *lf;

	while (!f->ended && head.n > f->seen &&
	       (lf = memchr(head.p + f->seen, '\n', head.n - f->seen)) != NULL) {
		size_t end = (size_t)(lf - head.p) + 1;

		look_at_line(f, slice_part(head, f->at, end - f->at));
		f->at = f->seen = end;
	}
	if (!f->ended)
		f->seen = head.n;
	return f->ended;
}
