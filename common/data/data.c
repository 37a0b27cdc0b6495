#include "common/data/data.h"

#include "common/data/stamp.h"

const struct data *data_get(const struct data *d, const char *key)
{
	if (d == NULL || d->kind != DATA_DICT)
		return NULL;
	for (const struct data *v = d->first; v != NULL; v = v->next)
		if (slice_ieq(v->key, slice_str(key)))
			return v;
	return NULL;
}

void data_put_quoted(struct buf *b, struct slice s)
{
	buf_putc(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];

		if (c == '"' || c == '\\')
			buf_printf(b, "\\%c", c);
		else if (c == '\n')
			buf_puts(b, "\\e");
		else if (c == '\r')
			buf_puts(b, "\\r");
		else if (c < ' ' || c == 0x7f)
			buf_printf(b, "\\%03u", c);
		else
			buf_putc(b, c);
	}
	buf_putc(b, '"');
}

void data_put_string(struct buf *b, struct slice s)
{
	bool plain = s.n > 0;

	for (size_t i = 0; i < s.n && plain; i++)
		plain = ascii_alpha(s.p[i]) || ascii_digit(s.p[i]);
	if (plain)
		buf_put(b, s);
	else
		data_put_quoted(b, s);
}

void data_put_number(struct buf *b, uint64_t v)
{
	buf_putc(b, '#');
	buf_putu(b, v);
}

void data_put_stamp(struct buf *b, int64_t unix_s)
{
	buf_puts(b, "#T");
	stamp_put(b, unix_s);
}

void data_put_ip(struct buf *b, const struct addr *a)
{
	char text[ADDR_TEXT_MAX];

	buf_printf(b, "#I[%s]", addr_ip_text(a, text));
	if (a->port != 0)
		buf_printf(b, ":%u", a->port);
}

void data_put_block(struct buf *b, struct slice bytes)
{
	static const char set[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	buf_putc(b, '[');
	for (size_t i = 0; i < bytes.n; i += 3) {
		size_t n = bytes.n - i < 3 ? bytes.n - i : 3;
		uint32_t v = (uint32_t)bytes.p[i] << 16;

		if (n > 1)
			v |= (uint32_t)bytes.p[i + 1] << 8;
		if (n > 2)
			v |= bytes.p[i + 2];
		for (size_t k = 0; k < 4; k++)
			buf_putc(b, k <= n ? (uint8_t)set[v >> (18 - 6 * k) & 63] : '=');
	}
	buf_putc(b, ']');
}

void data_put(struct buf *b, const struct data *d)
{
	const char *sep = "";

	switch (d->kind) {
	case DATA_STRING:
		data_put_string(b, d->text);
		break;
	case DATA_ARRAY:
		buf_putc(b, '(');
		for (const struct data *v = d->first; v != NULL; v = v->next, sep = ",") {
			buf_puts(b, sep);
			data_put(b, v);
		}
		buf_putc(b, ')');
		break;
	case DATA_DICT:
		buf_putc(b, '{');
		for (const struct data *v = d->first; v != NULL; v = v->next) {
			data_put_string(b, v->key);
			buf_putc(b, '=');
			data_put(b, v);
			buf_putc(b, ';');
		}
		buf_putc(b, '}');
		break;
	case DATA_BLOCK:
		data_put_block(b, d->text);
		break;
	case DATA_NUMBER:
		buf_printf(b, "#%lld", (long long)d->number);
		break;
	case DATA_STAMP:
		data_put_stamp(b, d->number);
		break;
	case DATA_IP:
		data_put_ip(b, &d->addr);
		break;
	case DATA_XML:
		buf_put(b, d->text);
		break;
	case DATA_NULL:
		buf_puts(b, "#NULL#");
		break;
	}
}

void data_put_item(struct buf *b, bool *first, struct slice s)
{
	if (!*first)
		buf_putc(b, ',');
	*first = false;
	data_put_string(b, s);
}

void data_put_pair(struct buf *b, const char *key, struct slice s)
{
	data_put_string(b, slice_str(key));
	buf_putc(b, '=');
	data_put_string(b, s);
	buf_putc(b, ';');
}
