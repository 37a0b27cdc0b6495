#include "common/front/line.h"

/* No end of line in sight: keeps the bytes, or forgets them when the line is too long already. */
static size_t line_wait(struct line_reader *r, struct slice in, size_t max)
{
	size_t keep;

	r->seen = in.n;
	if (!r->skipping && in.n < max)
		return 0;
	r->skipping = true;
	keep = in.n > 0 && in.p[in.n - 1] == '\r';
	r->seen = keep;
	return in.n - keep;
}

enum line_answer line_take(
    struct line_reader *r, struct slice in, size_t max, struct slice *ret_line, size_t *ret_used)
{
	const uint8_t *lf = NULL;
	bool was_long = r->skipping;
	size_t n;

	if (in.n > r->seen)
		lf = memchr(in.p + r->seen, '\n', in.n - r->seen);
	if (lf == NULL) {
		*ret_used = line_wait(r, in, max);
		return LINE_MORE;
	}
	n = (size_t)(lf - in.p);
	*r = (struct line_reader){ 0 };
	*ret_used = n + 1;
	if (n == 0 || in.p[n - 1] != '\r' || memchr(in.p, '\r', n - 1) != NULL)
		return LINE_BARE;
	if (was_long || n + 1 > max)
		return LINE_LONG;
	if (memchr(in.p, '\0', n) != NULL)
		return LINE_NUL;
	*ret_line = slice_of(in.p, n - 1);
	return LINE_OK;
}
