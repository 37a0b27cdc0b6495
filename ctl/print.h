/*
 * print - answers for people (tables) and for programs (JSON, RFC 8259).
 */
#pragma once

#include "common/data/data.h"

/* A value as JSON and a line end. Numbers are numbers, blocks are base64-less text escaped. */
void print_json(const struct data *d);

/* One column of a table: heading and the dictionary's key. */
struct column {
	const char *heading, *key;
	bool right; /* numbers stand at the right */
};

/* An array of dictionaries as a table; nothing but the heading when it is empty. */
void print_table(const struct data *rows, const struct column *columns, size_t n);

/* A dictionary, one key a line; an array, one item a line; else the text. */
void print_plain(const struct data *d);

/* A string for people: bytes that could steer a terminal are shown as \ooo. */
void print_text(struct slice s);
