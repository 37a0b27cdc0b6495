#include "protocols/imap/match.h"

/* What is below INBOX is so in any case of its letters, as CREATE and SELECT have it. */
#define INBOX_TREE SLICE("INBOX/")

/* Which places of the pattern the name read so far may have led to. */
struct places {
	uint8_t at[MATCH_PATTERN_MAX + 1];
	size_t first, last; /* none outside */
};

static void mark(struct places *s, struct slice pattern, size_t i)
{
	/* From a place that is marked the wildcards behind it are, too. */
	for (; !s->at[i]; i++) {
		if (s->last < s->first) {
			s->first = s->last = i;
		} else {
			s->first = i < s->first ? i : s->first;
			s->last = i > s->last ? i : s->last;
		}
		s->at[i] = 1;
		/* A wildcard may stand for nothing. */
		if (i == pattern.n || (pattern.p[i] != '*' && pattern.p[i] != '%'))
			return;
	}
}

static bool step(
    struct places *now, struct places *next, struct slice pattern, uint8_t c, bool fold)
{
	memset(next->at, 0, pattern.n + 1);
	next->first = 1;
	next->last = 0;
	for (size_t i = now->first; i <= now->last && i < pattern.n; i++) {
		uint8_t k = pattern.p[i];

		if (!now->at[i])
			continue;
		if (k == '*' || (k == '%' && c != '/'))
			mark(next, pattern, i);
		else if (k != '%' && (k == c || (fold && ascii_lower(k) == ascii_lower(c))))
			mark(next, pattern, i + 1);
	}
	return next->first <= next->last;
}

static bool in_inbox(struct slice name)
{
	return slice_ieq(name, SLICE("INBOX")) || slice_istarts(name, INBOX_TREE);
}

bool match_name(struct slice pattern, struct slice name)
{
	struct places a, b, *now = &a, *next = &b;
	size_t fold = in_inbox(name) ? sizeof("INBOX") - 1 : 0;

	if (pattern.n > MATCH_PATTERN_MAX)
		return false;
	memset(a.at, 0, pattern.n + 1);
	a.first = 1;
	a.last = 0;
	mark(now, pattern, 0);
	for (size_t i = 0; i < name.n; i++) {
		struct places *t = now;

		if (!step(now, next, pattern, name.p[i], i < fold))
			return false;
		now = next;
		next = t;
	}
	return now->at[pattern.n] != 0;
}

struct slice match_prefix(struct slice pattern)
{
	size_t n = 0;

	while (n < pattern.n && pattern.p[n] != '*' && pattern.p[n] != '%')
		n++;
	pattern.n = n;
	/* It could be INBOX in other letters. */
	if (n <= 5 && slice_ieq(pattern, slice_part(INBOX_TREE, 0, n)))
		pattern.n = 0;
	return slice_istarts(pattern, INBOX_TREE) ? INBOX_TREE : pattern;
}
