#include "ctl/print.h"

#include <stdio.h>

/* Bytes of the UTF-8 character at the start of `s`; 0 when there is none (RFC 3629). */
static size_t utf8_length(struct slice s)
{
	static const struct {
		uint8_t first, last, low, high, n; /* of the first byte; of the second; in all */
	} forms[] = { { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 },
		{ 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 } };

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (s.p[0] < forms[i].first || s.p[0] > forms[i].last)
			continue;
		if (s.n < forms[i].n || s.p[1] < forms[i].low || s.p[1] > forms[i].high)
			return 0;
		for (size_t k = 2; k < forms[i].n; k++)
			if ((s.p[k] & 0xc0) != 0x80)
				return 0;
		return forms[i].n;
	}
	return 0;
}

static void json_string(struct slice s)
{
	putchar('"');
	while (s.n > 0) {
		uint8_t c = s.p[0];
		size_t n = c < 0x80 ? 1 : utf8_length(s);

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < ' ' || c == 0x7f)
			printf("\\u%04x", c);
		else if (n == 0)
			printf("\\ufffd");
		else
			fwrite(s.p, 1, n, stdout);
		s = slice_from(s, n > 0 ? n : 1);
	}
	putchar('"');
}

static void json_block(const struct data *d)
{
	struct buf b = BUF_INIT(64 << 20);

	data_put_block(&b, d->text);
	/* Without the brackets. */
	json_string(slice_part(buf_slice(&b), 1, b.n > 2 ? b.n - 2 : 0));
	buf_fini(&b);
}

static void json_value(const struct data *d)
{
	const char *sep = "";

	switch (d->kind) {
	case DATA_NULL:
		printf("null");
		break;
	case DATA_NUMBER:
		printf("%lld", (long long)d->number);
		break;
	case DATA_ARRAY:
		putchar('[');
		for (const struct data *v = d->first; v != NULL; v = v->next, sep = ", ") {
			printf("%s", sep);
			json_value(v);
		}
		putchar(']');
		break;
	case DATA_DICT:
		putchar('{');
		for (const struct data *v = d->first; v != NULL; v = v->next, sep = ", ") {
			printf("%s", sep);
			json_string(v->key);
			printf(": ");
			json_value(v);
		}
		putchar('}');
		break;
	case DATA_BLOCK:
		json_block(d);
		break;
	default:
		json_string(d->text);
	}
}

void print_json_member(const char *name, const struct data *d)
{
	printf("\"%s\": ", name);
	json_value(d);
}

void print_json_text(const char *name, struct slice s)
{
	printf("\"%s\": ", name);
	json_string(s);
}

void print_json_data(const char *name, struct slice text)
{
	struct arena mem;
	const char *why;
	struct data *d;

	arena_init(&mem, 64 << 20);
	d = text.n > 0 ? data_parse(&mem, &text, &why) : NULL;
	if (d != NULL)
		print_json_member(name, d);
	else
		printf("\"%s\": null", name);
	arena_fini(&mem);
}

void print_json_lines(struct slice text)
{
	const char *sep = "";

	putchar('[');
	while (text.n > 0) {
		struct slice line = slice_take(&text, '\n');

		if (line.n > 0 && line.p[0] == '#')
			continue;
		printf("%s\n", sep);
		json_string(line);
		sep = ",";
	}
	printf("]\n");
}

void print_json_refusal(struct slice text)
{
	printf("{\"done\": false, ");
	print_json_text("error", text);
	printf("}\n");
}

void print_json(const struct data *d)
{
	json_value(d);
	putchar('\n');
}

void print_text(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < ' ' || s.p[i] == 0x7f)
			printf("\\%03o", s.p[i]);
		else
			putchar(s.p[i]);
	}
}

static size_t text_width(struct slice s)
{
	size_t w = 0;

	/* Continuation bytes of UTF-8 take no column of their own. */
	for (size_t i = 0; i < s.n; i++)
		w += s.p[i] < ' ' || s.p[i] == 0x7f ? 4 : (s.p[i] & 0xc0) != 0x80;
	return w;
}

static struct slice cell(const struct data *row, const struct column *col)
{
	const struct data *v = data_get(row, col->key);

	return v != NULL ? v->text : SLICE_NONE;
}

static void put_cell(struct slice s, size_t width, bool right, bool last)
{
	size_t pad = width - text_width(s);

	if (right)
		printf("%*s", (int)pad, "");
	print_text(s);
	if (!right && !last)
		printf("%*s", (int)pad, "");
	if (!last)
		printf("  ");
}

void print_add(struct arena *mem, struct data *row, const char *key, const char *text)
{
	struct data *d = arena_alloc(mem, sizeof(*d));

	if (d == NULL)
		return;
	*d = (struct data){ .kind = DATA_STRING,
		.key = slice_str(key),
		.text = arena_copy(mem, slice_str(text)),
		.next = row->first };
	row->first = d;
}

void print_table(const struct data *rows, const struct column *columns, size_t n)
{
	size_t width[16] = { 0 };

	for (size_t i = 0; i < n; i++) {
		width[i] = strlen(columns[i].heading);
		for (const struct data *r = rows->first; r != NULL; r = r->next) {
			size_t w = text_width(cell(r, &columns[i]));

			if (w > width[i])
				width[i] = w;
		}
	}
	for (size_t i = 0; i < n; i++)
		put_cell(slice_str(columns[i].heading), width[i], columns[i].right, i + 1 == n);
	putchar('\n');
	for (const struct data *r = rows->first; r != NULL; r = r->next) {
		for (size_t i = 0; i < n; i++)
			put_cell(cell(r, &columns[i]), width[i], columns[i].right, i + 1 == n);
		putchar('\n');
	}
}

void print_plain(const struct data *d)
{
	size_t width = 0;

	if (d->kind != DATA_ARRAY && d->kind != DATA_DICT) {
		print_text(d->text);
		putchar('\n');
		return;
	}
	for (const struct data *v = d->first; v != NULL; v = v->next)
		if (v->key.n > width)
			width = v->key.n;
	for (const struct data *v = d->first; v != NULL; v = v->next) {
		if (d->kind == DATA_DICT)
			printf("%-*.*s  ", (int)width, SLICE_FMT(v->key));
		if (v->kind == DATA_ARRAY) {
			for (const struct data *i = v->first; i != NULL; i = i->next) {
				print_text(i->text);
				printf(i->next != NULL ? ", " : "");
			}
		} else {
			print_text(v->text);
		}
		putchar('\n');
	}
}
