#include "protocols/smtp/dot.h"

/* A CR that is not the last byte of [at, end): bare, wherever it stands. */
static bool has_cr(struct slice in, size_t at, size_t end)
{
	return end > at && memchr(in.p + at, '\r', end - at) != NULL;
}

/* One line, or what there is of it, from `at`: where it ends. A CR at the end of `in` waits. */
static size_t line_end(struct dot *d, struct slice in, size_t at)
{
	const uint8_t *lf = memchr(in.p + at, '\n', in.n - at);
	size_t end = lf != NULL ? (size_t)(lf - in.p) : in.n;

	if (lf == NULL) {
		end -= in.p[end - 1] == '\r';
		d->bare |= has_cr(in, at, end);
		d->inside |= end > at;
		return end;
	}
	if (end == at || in.p[end - 1] != '\r') {
		d->bare = true;
		d->inside = true;
	} else {
		d->bare |= has_cr(in, at, end - 1);
		d->inside = false;
	}
	return end + 1;
}

bool dot_next(struct dot *d, struct slice in, struct slice *ret_run, size_t *ret_used)
{
	size_t start = 0, at = 0, end;

	*ret_run = SLICE_NONE;
	*ret_used = 0;
	if (in.n > 0 && !d->inside && in.p[0] == '.') {
		if (in.n == 1 || (in.n == 2 && in.p[1] == '\r'))
			return false;
		if (in.p[1] == '\r' && in.p[2] == '\n') {
			*ret_used = 3;
			return true;
		}
		d->inside = true;
		start = at = 1;
	}
	while (at < in.n && (d->inside || in.p[at] != '.')) {
		end = line_end(d, in, at);
		if (end == at)
			break;
		at = end;
	}
	*ret_run = slice_part(in, start, at - start);
	*ret_used = at;
	return false;
}

void strict_feed(struct strict *t, struct slice in)
{
	const uint8_t *p = in.p, *end = in.p + in.n;

	if (in.n == 0)
		return;
	if (t->cr && *p != '\n')
		t->bare = true;
	for (const uint8_t *lf = p; (lf = memchr(lf, '\n', (size_t)(end - lf))) != NULL; lf++)
		t->bare |= lf == p ? !t->cr : lf[-1] != '\r';
	for (const uint8_t *cr = p; (cr = memchr(cr, '\r', (size_t)(end - cr))) != NULL; cr++)
		t->bare |= cr + 1 < end && cr[1] != '\n';
	t->ended = end[-1] == '\n' && (in.n > 1 ? end[-2] == '\r' : t->cr);
	t->cr = end[-1] == '\r';
}
