#include "ctl/print.h"

#include <stdio.h>

static void json_string(struct slice s)
{
	putchar('"');
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < ' ' || c == 0x7f)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
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
	default:
		json_string(d->text);
	}
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
