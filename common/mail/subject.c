#include "common/mail/subject.h"

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct slice skip_blanks(struct slice s)
{
	while (s.n > 0 && is_blank(s.p[0]))
		s = slice_from(s, 1);
	return s;
}

static struct slice cut_blanks(struct slice s)
{
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

/* subj-blob = "[" *BLOBCHAR "]" *WSP at the start: what follows it, or nothing changed. */
static bool skip_blob(struct slice *s)
{
	size_t i = 1;

	if (s->n == 0 || s->p[0] != '[')
		return false;
	while (i < s->n && s->p[i] != '[' && s->p[i] != ']')
		i++;
	if (i == s->n || s->p[i] != ']')
		return false;
	*s = skip_blanks(slice_from(*s, i + 1));
	return true;
}

/* subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":" */
static bool skip_refwd(struct slice *s)
{
	struct slice t = *s;

	if (slice_istarts(t, SLICE("re")) || slice_istarts(t, SLICE("fw")))
		t = slice_from(t, slice_istarts(t, SLICE("fwd")) ? 3 : 2);
	else
		return false;
	t = skip_blanks(t);
	skip_blob(&t);
	if (t.n == 0 || t.p[0] != ':')
		return false;
	*s = skip_blanks(slice_from(t, 1));
	return true;
}

/* subj-trailer = "(fwd)" / WSP (step 2) */
static struct slice cut_trailers(struct slice s, bool *reply)
{
	s = cut_blanks(s);
	while (s.n >= 5 && slice_ieq(slice_from(s, s.n - 5), SLICE("(fwd)"))) {
		s.n -= 5;
		s = cut_blanks(s);
		*reply = true;
	}
	return s;
}

/*
 * Steps 3 to 5. The blobs before a "re:" go with it; a run of blobs without one goes as long as
 * something is left, which is looked at once per run: the whole stays linear.
 */
static struct slice cut_leaders(struct slice s, bool *reply)
{
	for (;;) {
		struct slice t = s, last = s;

		while (last = t, skip_blob(&t))
			;
		if (skip_refwd(&t)) {
			s = t;
			*reply = true;
			continue;
		}
		/* Only blobs: all but the last go. */
		if (t.n > 0)
			return t;
		t = s;
		for (;;) {
			last = t;
			if (!skip_blob(&t) || t.n == 0)
				return last;
		}
	}
}

struct slice subject_base(struct slice decoded, bool *ret_reply)
{
	struct slice s = decoded;

	*ret_reply = false;
	for (;;) {
		s = cut_trailers(s, ret_reply);
		s = cut_leaders(skip_blanks(s), ret_reply);
		/* Step 6: "[fwd:" subject "]" */
		if (!slice_istarts(s, SLICE("[fwd:")) || s.p[s.n - 1] != ']')
			return s;
		s = slice_part(s, 5, s.n - 6);
		*ret_reply = true;
	}
}

void subject_squeeze(struct slice text, struct buf *out)
{
	bool gap = false;

	for (size_t i = 0; i < text.n && !out->overflow; i++) {
		if (is_blank(text.p[i])) {
			gap = out->n > 0;
			continue;
		}
		if (gap)
			buf_putc(out, ' ');
		gap = false;
		buf_putc(out, text.p[i]);
	}
}
