/*
 * nearest - the key that was probably meant.
 */
#include "common/conf/conf-private.h"

#include "common/conf/limits.h"

/* Edits between two short words: insert, delete, replace. Both are at most CONF_WORD_MAX long. */
static unsigned edits_between(struct slice a, struct slice b)
{
	unsigned row[CONF_WORD_MAX + 1];

	for (size_t j = 0; j <= b.n; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= a.n; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b.n; j++) {
			unsigned same = diagonal + (ascii_lower(a.p[i - 1]) != b.p[j - 1]);
			unsigned one = 1 + (row[j] < row[j - 1] ? row[j] : row[j - 1]);

			diagonal = row[j];
			row[j] = same < one ? same : one;
		}
	}
	return row[b.n];
}

const char *conf_nearest_key(struct slice word, enum conf_key section)
{
	const char *best = NULL;
	unsigned best_edits = CONF_WORD_MAX;

	if (word.n > CONF_WORD_MAX)
		return NULL;
	for (int k = 0; k < CONF_KEYS; k++) {
		struct slice name = slice_str(conf_rows[k].name);
		unsigned e;

		if (conf_rows[k].type == CONF_T_SECTION ? section != CONF_KEYS
							: conf_section_of(k) != section)
			continue;
		e = edits_between(word, name);
		/* More than half of it different is another word. */
		if (e > (word.n > name.n ? word.n : name.n) / 2)
			continue;
		if (e < best_edits) {
			best = conf_rows[k].name;
			best_edits = e;
		}
	}
	return best;
}
