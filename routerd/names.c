#include "routerd/names.h"

#include "routerd/limits.h"

static bool dots_right(struct slice s)
{
	return s.n > 0 && s.p[0] != '.' && s.p[s.n - 1] != '.';
}

bool name_valid(struct slice name)
{
	if (name.n > NAME_MAX_BYTES || !dots_right(name))
		return false;
	for (size_t i = 0; i < name.n; i++) {
		uint8_t c = name.p[i];

		if (!ascii_alpha(c) && !ascii_digit(c) && c != '_' && c != '-' && c != '.')
			return false;
	}
	return true;
}

static bool label_valid(struct slice label)
{
	for (size_t i = 0; i < label.n; i++)
		if (!ascii_alpha(label.p[i]) && !ascii_digit(label.p[i]) && label.p[i] != '-')
			return false;
	return label.n > 0 && label.n <= LABEL_MAX_BYTES && label.p[0] != '-' &&
	       label.p[label.n - 1] != '-';
}

bool domain_valid(struct slice domain)
{
	if (domain.n > DOMAIN_MAX_BYTES || !dots_right(domain))
		return false;
	while (domain.n > 0)
		if (!label_valid(slice_take(&domain, '.')))
			return false;
	return true;
}

static int split_path(struct slice text, struct address *ret)
{
	ptrdiff_t colon = slice_find(text, ':');
	struct slice first;
	ptrdiff_t comma;

	if (colon < 0)
		return 1;
	first = slice_part(text, 1, (size_t)colon - 1);
	comma = slice_find(first, ',');
	if (comma < 0) {
		*ret = (struct address){ slice_from(text, (size_t)colon + 1), first };
	} else {
		/* <@a,@b:c@d>: to a, with the rest as the path to follow there. */
		*ret = (struct address){ slice_from(text, (size_t)comma + 2),
			slice_part(first, 0, (size_t)comma) };
	}
	return ret->local.n == 0 || ret->domain.n == 0;
}

int address_split(struct slice text, struct address *ret)
{
	ptrdiff_t at, bang;

	text = slice_trim(text);
	if (text.n == 0 || text.n > ADDRESS_MAX_BYTES)
		return 1;
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] <= ' ' || text.p[i] == 0x7f)
			return 1;
	if (text.p[0] == '@')
		return split_path(text, ret);
	at = slice_rfind(text, '@');
	bang = slice_find(text, '!');
	if (at < 0 && bang > 0) {
		*ret = (struct address){ slice_from(text, (size_t)bang + 1),
			slice_part(text, 0, (size_t)bang) };
		return ret->local.n == 0;
	}
	if (at < 0)
		at = slice_rfind(text, '%');
	if (at < 0) {
		*ret = (struct address){ text, SLICE_NONE };
		return 0;
	}
	*ret =
	    (struct address){ slice_part(text, 0, (size_t)at), slice_from(text, (size_t)at + 1) };
	return ret->local.n == 0;
}

int put_full_address(struct buf *b, struct slice text, struct slice home)
{
	struct address a;

	text = slice_trim(text);
	if (address_split(text, &a) != 0)
		return 1;
	buf_put(b, text);
	if (a.domain.n == 0) {
		buf_putc(b, '@');
		buf_put(b, home);
	}
	return b->overflow;
}

struct slice name_lower(struct slice name, uint8_t *out)
{
	for (size_t i = 0; i < name.n; i++)
		out[i] = ascii_lower(name.p[i]);
	return slice_of(out, name.n);
}

void put_lower(struct buf *b, struct slice s)
{
	uint8_t *p = buf_room(b, s.n);

	if (p == NULL)
		return;
	for (size_t i = 0; i < s.n; i++)
		p[i] = ascii_lower(s.p[i]);
	buf_wrote(b, s.n);
}
