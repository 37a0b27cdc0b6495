#include "ctl/port/unpack.h"

struct unpack unpack_lines(struct slice in)
{
	return (struct unpack){ .in = in };
}

struct unpack unpack_exact(struct slice in)
{
	return (struct unpack){ .in = in, .exact = true };
}

void unpack_rewind(struct unpack *u)
{
	u->at = 0;
	u->next_skip = 0;
	u->within = u->owes_lf = false;
	u->last = 0;
}

bool unpack_is_from(struct slice line, size_t least, size_t most)
{
	size_t n = 0;

	while (n < line.n && line.p[n] == '>' && n <= most)
		n++;
	return n >= least && n <= most && slice_starts(slice_from(line, n), SLICE("From "));
}

/* At the start of a line: what is left out, and a '>' that was added. */
static void line_start(struct unpack *u)
{
	while (u->next_skip < u->n_skip && u->skip[u->next_skip].at <= u->at) {
		if (u->skip[u->next_skip].end > u->at)
			u->at = u->skip[u->next_skip].end;
		u->next_skip++;
	}
	if (u->quoting != UNPACK_AS_IS &&
	    unpack_is_from(slice_from(u->in, u->at), 1, u->quoting == UNPACK_ONE ? 1 : SIZE_MAX))
		u->at++;
}

/* The rest of the line as far as there is room; *ret_lf: its end is behind that. */
static size_t copy_line(struct unpack *u, uint8_t *out, size_t room, bool *ret_lf)
{
	size_t left = u->in.n - u->at, n = left < room ? left : room;
	const uint8_t *from = u->in.p + u->at, *lf = memchr(from, '\n', n);

	*ret_lf = lf != NULL;
	if (lf != NULL)
		n = (size_t)(lf - from);
	if (n > 0) {
		memcpy(out, from, n);
		u->at += n;
		u->last = out[n - 1];
	}
	return n;
}

size_t unpack_next(struct unpack *u, uint8_t *out, size_t room)
{
	size_t n = 0;

	while (n < room) {
		bool lf;

		if (u->owes_lf) {
			out[n++] = '\n';
			u->owes_lf = false;
			continue;
		}
		if (!u->within && u->at < u->in.n)
			line_start(u);
		if (u->at >= u->in.n)
			break;
		u->within = true;
		n += copy_line(u, out + n, room - n, &lf);
		if (!lf)
			continue;
		out[n++] = u->exact || u->last == '\r' ? '\n' : '\r';
		u->owes_lf = out[n - 1] == '\r';
		u->at++;
		u->within = false;
		u->last = 0;
	}
	return n;
}
