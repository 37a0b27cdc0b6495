/* The text of a manifest. */
#include "stored/backup/backup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/*
 * manifest: lines. "gatehouse-backup 1"; "made SECONDS"; for each database
 * and each shard behind the store's first ("store/shard-1") "end NAME SEGMENT OFFSET FRAME"; for
 * each file "file NAME FILE BYTES SUM"; for each message that was damaged in the server "lost UID
 * MAILBOX-ID ACCOUNT<tab>MAILBOX<tab>WHY"; "whole SUM", the XXH3 of all lines before it.
 */
static const char first_line[] = "gatehouse-backup 1\n";

enum { LAST_LINE_BYTES = 6 + 16 + 1 };

static void last_line(struct slice lines, char ret[LAST_LINE_BYTES + 1])
{
	snprintf(ret, LAST_LINE_BYTES + 1, "whole %016llx\n",
	    (unsigned long long)XXH3_64bits(lines.p, lines.n));
}

void manifest_put(struct buf *b, const struct bfiles *files, const struct tail_end end[PARTS_MAX],
    int64_t made, struct slice lost)
{
	char last[LAST_LINE_BYTES + 1];

	buf_printf(b, "%smade %lld\n", first_line, (long long)made);
	for (unsigned i = 0; i < PARTS_MAX; i++)
		if (i < DBS || end[i].segment != 0 || end[i].off != 0 || end[i].frame != 0)
			buf_printf(b, "end %s %llu %llu %llu\n", db_names[i],
			    (unsigned long long)end[i].segment, (unsigned long long)end[i].off,
			    (unsigned long long)end[i].frame);
	for (size_t i = 0; i < files->n; i++)
		buf_printf(b, "file %s %s %llu %016llx\n", db_names[files->v[i].db],
		    files->v[i].name, (unsigned long long)files->v[i].bytes,
		    (unsigned long long)files->v[i].sum);
	buf_put(b, lost);
	last_line(buf_slice(b), last);
	buf_puts(b, last);
}

static int db_of(const char *name)
{
	for (int i = 0; i < PARTS_MAX; i++)
		if (strcmp(db_names[i], name) == 0)
			return i;
	return -1;
}

static bool is_identity(int db, const char *name)
{
	return (db == 0 || db >= DBS) && strcmp(name, "identity") == 0;
}

/* Whoever may write here may write anything; what is no file of a database is no manifest. */
static bool line_read(
    const char *line, struct bfiles *files, struct tail_end end[PARTS_MAX], int64_t *made)
{
	unsigned long long a, b, c;
	struct bfile f = { 0 };
	struct tail_file kind;
	char db[16];
	long long t;
	int i;

	if (sscanf(line, "made %lld", &t) == 1) {
		*made = t;
		return true;
	}
	if (sscanf(line, "end %15s %llu %llu %llu", db, &a, &b, &c) == 4 && (i = db_of(db)) >= 0) {
		end[i] = (struct tail_end){ a, b, c };
		return true;
	}
	if (sscanf(line, "file %15s %31s %llu %llx", db, f.name, &a, &b) != 4 ||
	    (i = db_of(db)) < 0 || (!tail_is_file(f.name, &kind) && !is_identity(i, f.name)))
		return false;
	f.db = (unsigned)i;
	f.bytes = a;
	f.sum = b;
	return bfiles_add(files, &f) == 0;
}

/* All lines are there, as they were written: what is before the last one, which says so. */
static bool is_whole(struct slice text, struct slice *ret_lines)
{
	char last[LAST_LINE_BYTES + 1];

	if (text.n < LAST_LINE_BYTES || !slice_starts(text, slice_str(first_line)))
		return false;
	*ret_lines = slice_part(text, 0, text.n - LAST_LINE_BYTES);
	last_line(*ret_lines, last);
	return ret_lines->n > 0 && ret_lines->p[ret_lines->n - 1] == '\n' &&
	       slice_eq(slice_from(text, ret_lines->n), slice_str(last));
}

bool manifest_parse(struct slice text, struct bfiles *ret_files, struct tail_end ret_end[PARTS_MAX],
    int64_t *ret_made, struct buf *ret_lost)
{
	struct slice rest = SLICE_NONE;
	bool good = is_whole(text, &rest);

	*ret_files = (struct bfiles){ 0 };
	if (good)
		(void)slice_take(&rest, '\n');
	while (good && rest.n > 0) {
		struct slice s = slice_take(&rest, '\n');
		char *line;

		if (slice_starts(s, SLICE("lost "))) {
			buf_put(ret_lost, s);
			buf_putc(ret_lost, '\n');
			continue;
		}
		line = strndup((const char *)s.p, s.n);
		good = line != NULL && line_read(line, ret_files, ret_end, ret_made);
		free(line);
	}
	if (!good)
		bfiles_fini(ret_files);
	return good;
}
