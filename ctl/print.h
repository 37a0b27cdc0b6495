/*
 * print - answers for people (tables) and for programs (JSON, RFC 8259).
 */
#pragma once

#include "common/data/data.h"

/* A value as JSON and a line end. Numbers are numbers, #NULL# is null, blocks are base64, the
 * others are strings as the protocol has them. Bytes that are no UTF-8 come as U+FFFD. */
void print_json(const struct data *d);
/* "name": value, for objects of ours. */
void print_json_member(const char *name, const struct data *d);
void print_json_text(const char *name, struct slice s);
/* The same of a value in the data format; null when `text` is empty. */
void print_json_data(const char *name, struct slice text);
/* The lines of a text as an array, but for remarks (#). */
void print_json_lines(struct slice text);
/* {"done": false, "error": text} */
void print_json_refusal(struct slice text);

/* One column of a table: heading and the dictionary's key. */
struct column {
	const char *heading, *key;
	bool right; /* numbers stand at the right */
};

/* A word of a table's row that the server does not send; owned by `mem`, as the row is. */
void print_add(struct arena *mem, struct data *row, const char *key, const char *text);

/* An array of dictionaries as a table; nothing but the heading when it is empty. */
void print_table(const struct data *rows, const struct column *columns, size_t n);

/* A dictionary, one key a line; an array, one item a line; else the text. */
void print_plain(const struct data *d);

/* A string for people: bytes that could steer a terminal are shown as \ooo. */
void print_text(struct slice s);
