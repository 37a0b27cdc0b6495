#include "tests/unit/imap-rebuild.h"

#include "common/mail/header.h"
#include "common/mail/param.h"
#include "protocols/imap/section.h"

struct rebuild {
	struct slice message;
	const struct facts_view *v;
	unsigned parts;
	const char *wrong;
};

static void fail(struct rebuild *b, const char *why)
{
	if (b->wrong == NULL)
		b->wrong = why;
}

static bool find(
    struct rebuild *b, struct section s, enum section_what what, struct section_range *ret)
{
	s.what = what;
	if (section_find(&s, b->v, ret) != 0)
		return false;
	if (ret->start > ret->end || ret->end > b->message.n)
		fail(b, "a range is not inside the message");
	return b->wrong == NULL;
}

static struct slice octets(const struct rebuild *b, uint64_t start, uint64_t end)
{
	return slice_part(b->message, start, end - start);
}

/* Between two parts stands a line "--boundary..." and the line end before it. */
static void check_gap(struct rebuild *b, struct slice gap, struct slice boundary)
{
	struct buf want = BUF_INIT(600);
	struct slice at = gap;
	bool found = false;

	buf_puts(&want, "--");
	buf_put(&want, boundary);
	while (at.n > 0 && !found) {
		found = slice_starts(at, buf_slice(&want));
		slice_take(&at, '\n');
	}
	/* The delimiter's line is the last of the gap. */
	if (!found || at.n > 0)
		fail(b, "something else than a delimiter is between two parts");
	buf_fini(&want);
}

static void read_boundary(struct slice header, struct buf *out)
{
	struct buf packed = BUF_INIT(MIME_PARAMS_MAX), line = BUF_INIT(1 << 20);
	struct header_iter it = header_iter(header);
	struct header_field f;
	struct mime_param p;

	while (header_next(&it, &f) == 0) {
		struct slice type, subtype, rest;

		if (!slice_ieq(f.name, SLICE("Content-Type")))
			continue;
		header_unfold(f.value, &line);
		if (mime_type(buf_slice(&line), &type, &subtype, &rest))
			mime_params_pack(rest, &packed);
		if (mime_param_find(buf_slice(&packed), SLICE("boundary"), &p))
			buf_put(out, slice_trim(p.value));
		break;
	}
	buf_fini(&packed);
	buf_fini(&line);
}

static void check_body(
    struct rebuild *b, struct section s, uint64_t start, uint64_t end, struct slice header);

/* The part that `s` names: its header and body are [from, ...). Where it ended. */
static uint64_t check_part(struct rebuild *b, struct section s, uint64_t from)
{
	struct section_range mime, body;

	if (!find(b, s, SECTION_MIME, &mime) || !find(b, s, SECTION_ALL, &body)) {
		fail(b, "a part has no MIME or no body");
		return from;
	}
	b->parts++;
	if (mime.end != body.start)
		fail(b, "a part's body does not follow its header");
	check_body(b, s, body.start, body.end, octets(b, mime.start, mime.end));
	return body.end;
}

/* Parts 1, 2, 3 ... of a multipart's body. */
static void check_multipart(
    struct rebuild *b, struct section s, uint64_t start, uint64_t end, struct slice boundary)
{
	struct section_range mime;
	uint64_t at = start;

	s.depth++;
	for (uint32_t i = 1; b->wrong == NULL; i++) {
		s.path[s.depth - 1] = i;
		if (!find(b, s, SECTION_MIME, &mime))
			return; /* what is left is the end: closing delimiter, epilogue */
		if (i == 1 && mime.start == mime.end && mime.start == start)
			return; /* no part was there: shown as text */
		if (mime.start < at || mime.end > end)
			fail(b, "parts are not in order");
		check_gap(b, octets(b, at, mime.start), boundary);
		at = check_part(b, s, mime.start);
		if (at > end)
			fail(b, "a part is longer than its parent");
	}
}

/* Whatever has parts: by the header, not by the facts. */
static void check_body(
    struct rebuild *b, struct section s, uint64_t start, uint64_t end, struct slice header)
{
	struct section_range h, t;
	struct buf boundary = BUF_INIT(MIME_PARAMS_MAX);

	if (find(b, s, SECTION_HEADER, &h) && find(b, s, SECTION_TEXT, &t)) {
		/* A message inside. */
		struct section first = s;
		struct section_range body;

		if (h.start != start || h.end != t.start || t.end != end)
			fail(b, "HEADER and TEXT are not the part");
		read_boundary(octets(b, h.start, h.end), &boundary);
		first.path[first.depth++] = 1;
		if (!find(b, first, SECTION_ALL, &body))
			fail(b, "a message inside has no part 1");
		else if (body.start != t.start || body.end != t.end)
			check_multipart(b, s, t.start, t.end, buf_slice(&boundary));
		else
			check_body(b, first, t.start, t.end, octets(b, h.start, h.end));
	} else if (b->wrong == NULL && s.depth < MIME_DEPTH_MAX) {
		read_boundary(header, &boundary);
		if (boundary.n > 0)
			check_multipart(b, s, start, end, buf_slice(&boundary));
	}
	buf_fini(&boundary);
}

const char *imap_rebuild(struct slice message, unsigned *ret_parts)
{
	struct facts_maker *m = facts_maker_new_wide();
	struct buf blob = BUF_INIT(FACTS_WIDE_MAX), boundary = BUF_INIT(MIME_PARAMS_MAX);
	struct facts_view v;
	struct rebuild b = { .message = message, .v = &v };
	struct section root = { 0 }, one = { .path = { 1 }, .depth = 1 };
	struct section_range header, text, all, body;

	facts_maker_feed(m, message);
	if (facts_maker_finish(m, &blob) != 0 || facts_view(buf_slice(&blob), message.n, &v) != 0)
		fail(&b, "no facts");
	if (find(&b, root, SECTION_HEADER, &header) && find(&b, root, SECTION_TEXT, &text) &&
	    find(&b, root, SECTION_ALL, &all)) {
		if (header.start != 0 || header.end != text.start || text.end != message.n ||
		    all.start != 0 || all.end != message.n)
			fail(&b, "HEADER and TEXT are not the message");
		read_boundary(octets(&b, 0, header.end), &boundary);
		if (!find(&b, one, SECTION_ALL, &body))
			fail(&b, "no part 1");
		else if (body.start == text.start && body.end == text.end)
			check_part(&b, one, 0);
		else
			check_multipart(&b, root, text.start, text.end, buf_slice(&boundary));
	}
	facts_maker_free(&m);
	buf_fini(&blob);
	buf_fini(&boundary);
	*ret_parts = b.parts;
	return b.wrong;
}
