#include "common/mail/fold.h"

#include "common/mail/utf8.h"

#include <string.h>
#include <unicase.h>
#include <uninorm.h>

/* Decompositions in decompositions; the longest in Unicode 14 is 18 characters in all. */
enum { STACK_MAX = 4 * UC_DECOMPOSITION_MAX_LENGTH };

/* RFC 5051 2 takes decompositions from the data file, which has none for Hangul syllables. */
static bool is_hangul(uint32_t c)
{
	return c >= 0xac00 && c <= 0xd7a3;
}

static void fold_char(uint32_t c, struct buf *out)
{
	ucs4_t stack[STACK_MAX] = { uc_totitle(c) }, part[UC_DECOMPOSITION_MAX_LENGTH];
	int n = 1, tag;

	while (n > 0) {
		ucs4_t top = stack[--n];
		int k = is_hangul(top) ? -1 : uc_decomposition(top, &tag, part);

		if (k <= 0 || n + k > STACK_MAX) {
			utf8_put(out, top);
			continue;
		}
		while (k > 0)
			stack[n++] = part[--k];
	}
}

void fold_text(struct slice utf8, struct buf *out)
{
	while (utf8.n > 0 && !out->overflow) {
		uint32_t c = UTF8_REPLACEMENT;
		size_t plain = 0;
		unsigned n;
		uint8_t *room;

		while (plain < utf8.n && utf8.p[plain] < 0x80)
			plain++;
		room = plain > 0 ? buf_room(out, plain) : NULL;
		if (plain > 0 && room == NULL)
			return;
		for (size_t i = 0; i < plain; i++)
			room[i] = ascii_upper(utf8.p[i]);
		if (plain > 0)
			buf_wrote(out, plain);
		utf8 = slice_from(utf8, plain);
		if (utf8.n == 0)
			return;
		n = utf8_get(utf8, &c);
		fold_char(n > 0 ? c : UTF8_REPLACEMENT, out);
		utf8 = slice_from(utf8, n > 0 ? n : 1);
	}
}

/* ---- finding ---- */

void finder_init(struct finder *f, struct finder_word *words, size_t n)
{
	*f = (struct finder){ .words = words, .n = n };
	for (size_t i = 0; i < n; i++)
		if (words[i].folded.n > f->longest)
			f->longest = words[i].folded.n;
	/* A character grows at most 18-fold; the end of the piece before stays in front. */
	buf_init(&f->held, f->longest + (size_t)FINDER_PIECE * 20);
	finder_reset(f);
}

void finder_reset(struct finder *f)
{
	buf_reset(&f->held);
	f->left = 0;
	for (size_t i = 0; i < f->n; i++) {
		f->words[i].found = f->words[i].folded.n == 0;
		f->left += !f->words[i].found;
	}
}

void finder_fini(struct finder *f)
{
	buf_fini(&f->held);
}

static void piece(struct finder *f, struct slice utf8)
{
	fold_text(utf8, &f->held);
	for (size_t i = 0; i < f->n; i++) {
		struct finder_word *w = &f->words[i];

		if (w->found || w->folded.n > f->held.n)
			continue;
		w->found = memmem(f->held.p, f->held.n, w->folded.p, w->folded.n) != NULL;
		f->left -= w->found;
	}
	if (f->held.n >= f->longest)
		buf_consume(&f->held, f->held.n - (f->longest - 1));
}

void finder_feed(struct finder *f, struct slice utf8)
{
	while (utf8.n > 0 && f->left > 0) {
		struct slice head = utf8_cut(utf8, FINDER_PIECE);

		if (head.n == 0)
			head = slice_part(utf8, 0, FINDER_PIECE);
		piece(f, head);
		utf8 = slice_from(utf8, head.n);
	}
}

void finder_break(struct finder *f)
{
	buf_reset(&f->held);
}
