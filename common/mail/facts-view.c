#include "common/mail/facts-private.h"
#include "common/mail/param.h"

void facts_put_text(struct buf *b, struct slice s)
{
	wire_put_u16(b, (uint16_t)s.n);
	buf_put(b, slice_part(s, 0, UINT16_MAX));
}

/* Never NULL when it is there, so that an empty text differs from none. */
struct slice facts_get_text(struct wire_reader *r)
{
	struct slice s = wire_get_raw(r, wire_get_u16(r));

	return s.p != NULL ? s : SLICE("");
}

void facts_put_number(struct buf *b, uint64_t v)
{
	while (v > 0x7f) {
		wire_put_u8(b, (uint8_t)(v | 0x80));
		v >>= 7;
	}
	wire_put_u8(b, (uint8_t)v);
}

uint64_t facts_get_number(struct wire_reader *r)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 63; shift += 7) {
		uint8_t c = wire_get_u8(r);

		v |= (uint64_t)(c & 0x7f) << shift;
		if (c < 0x80)
			return v;
	}
	r->bad = true;
	return 0;
}

/* A mask and a text for each of its bits, into `text`, which has nothing yet and room for n. */
static void get_texts(struct wire_reader *r, struct slice *text, unsigned n)
{
	unsigned mask = wire_get_u16(r);

	if (mask >> n != 0)
		r->bad = true;
	for (; mask != 0 && !r->bad; mask &= mask - 1)
		text[__builtin_ctz(mask)] = facts_get_text(r);
}

void facts_get_fields(struct wire_reader *r, struct slice field[FACTS_FIELD_COUNT])
{
	get_texts(r, field, FACTS_FIELD_COUNT);
}

static void get_part(struct wire_reader *r, struct facts_part *p)
{
	*p = (struct facts_part){ 0 };
	p->depth = wire_get_u8(r);
	p->kind = wire_get_u8(r);
	p->flags = wire_get_u8(r);
	p->header_start = facts_get_number(r);
	p->body_start = p->header_start + facts_get_number(r);
	p->end = p->body_start + facts_get_number(r);
	p->header_lines = facts_get_number(r);
	p->body_lines = facts_get_number(r);
	get_texts(r, p->text, MIME_FIELD_COUNT);
	facts_get_fields(r, p->field);
}

int facts_part_next(struct slice *parts, struct facts_part *ret_part)
{
	struct wire_reader r = wire_reader(*parts);

	if (parts->n == 0)
		return FACTS_LAST;
	get_part(&r, ret_part);
	if (r.bad)
		return FACTS_LAST;
	*parts = slice_of(r.p, wire_left(&r));
	return 0;
}

int facts_ref_next(struct slice *refs, struct slice *ret_id)
{
	struct wire_reader r = wire_reader(*refs);

	if (refs->n == 0)
		return FACTS_LAST;
	*ret_id = facts_get_text(&r);
	if (r.bad)
		return FACTS_LAST;
	*refs = slice_of(r.p, wire_left(&r));
	return 0;
}

/* The open parts while the list is walked: what a child must fit into. */
struct ancestor {
	uint8_t kind;
	unsigned children;
	uint64_t next, end; /* where the next child may start, and where all must have ended */
};

static bool params_ok(struct slice list)
{
	struct mime_param p;
	int r;

	while ((r = mime_param_next(&list, &p)) == 0)
		;
	return r == PARAM_DONE;
}

static bool part_fits(const struct facts_part *p, struct ancestor *up, uint64_t size)
{
	if (p->kind > MIME_MESSAGE || p->body_start < p->header_start || p->end < p->body_start ||
	    p->end > size || p->header_lines > size || p->body_lines > size)
		return false;
	if (!params_ok(p->text[MIME_PARAMS]) || !params_ok(p->text[MIME_DISPOSITION_PARAMS]))
		return false;
	if (p->text[MIME_TYPE].p == NULL || p->text[MIME_SUBTYPE].p == NULL)
		return false;
	if (up == NULL)
		return p->header_start == 0 && p->end == size;
	if (up->kind == MIME_LEAF || (up->kind == MIME_MESSAGE && up->children > 0))
		return false;
	if (p->header_start < up->next || p->end > up->end)
		return false;
	up->children++;
	up->next = p->end;
	return true;
}

static bool parts_ok(struct slice parts, unsigned count, uint64_t size)
{
	struct ancestor chain[MIME_DEPTH_MAX];
	struct wire_reader r = wire_reader(parts);
	unsigned open = 0;

	if (count == 0 || count > MIME_PARTS_MAX)
		return false;
	for (unsigned i = 0; i < count; i++) {
		struct facts_part p;

		get_part(&r, &p);
		if (r.bad || p.depth >= MIME_DEPTH_MAX || p.depth > open ||
		    (p.depth == 0) != (i == 0))
			return false;
		if (!part_fits(&p, p.depth > 0 ? &chain[p.depth - 1] : NULL, size))
			return false;
		chain[p.depth] = (struct ancestor){ p.kind, 0, p.body_start, p.end };
		open = p.depth + 1u;
	}
	return wire_done(&r);
}

static bool refs_ok(struct slice refs)
{
	struct wire_reader r = wire_reader(refs);

	while (!r.bad && wire_left(&r) > 0)
		facts_get_text(&r);
	return !r.bad;
}

static void read_parts(struct slice in, struct facts_view *v, struct wire_reader *blob)
{
	struct wire_reader r = wire_reader(in);

	v->part_count = wire_get_u16(&r);
	v->parts = slice_of(r.p, wire_left(&r));
	if (r.bad || !parts_ok(v->parts, v->part_count, v->size))
		blob->bad = true;
}

static void read_section(
    unsigned tag, struct slice in, struct facts_view *v, struct wire_reader *blob)
{
	struct wire_reader r = wire_reader(in);

	switch (tag) {
	case FACTS_TAG_ENVELOPE:
		facts_get_fields(&r, v->field);
		blob->bad |= !wire_done(&r);
		return;
	case FACTS_TAG_KEYS:
		for (unsigned i = 0; i < FACTS_KEY_COUNT; i++)
			v->key[i] = facts_get_text(&r);
		blob->bad |= !wire_done(&r);
		return;
	case FACTS_TAG_THREAD:
		v->message_id = facts_get_text(&r);
		v->refs = slice_of(r.p, wire_left(&r));
		blob->bad |= r.bad || !refs_ok(v->refs);
		return;
	case FACTS_TAG_PREVIEW:
		v->preview = in;
		return;
	case FACTS_TAG_PARTS:
		read_parts(in, v, blob);
		return;
	default:
		return;
	}
}

static void read_head(struct wire_reader *r, struct facts_view *v)
{
	v->maker = wire_get_u16(r);
	v->flags = wire_get_u32(r);
	v->size = wire_get_u64(r);
	v->body_start = wire_get_u64(r);
	v->received = wire_get_u32(r);
	v->has_date = wire_get_u8(r) != 0;
	v->date.unix_s = (int64_t)wire_get_u64(r);
	v->date.zone_min = (int16_t)wire_get_u16(r);
}

int facts_header(struct slice kept, uint64_t size, struct slice *ret_header)
{
	if (kept.n == 0 || kept.n - 1 > size || kept.n - 1 > FACTS_HEADER_MAX)
		return FACTS_BAD;
	if (kept.p[0] != FACTS_HEADER_VERSION)
		return FACTS_OTHER;
	if (kept.n == 1 && size > 0)
		return FACTS_LONG;
	*ret_header = slice_from(kept, 1);
	return 0;
}

static int view(struct slice blob, uint64_t size, bool flat, struct facts_view *ret_view)
{
	struct facts_view v = { 0 };
	struct wire_reader r = wire_reader(blob);
	unsigned magic = wire_get_u8(&r), version = wire_get_u8(&r), last = 0;

	if (r.bad || blob.n > FACTS_WIDE_MAX || magic != FACTS_MAGIC)
		return FACTS_BAD;
	if (version != FACTS_VERSION)
		return FACTS_OTHER;
	read_head(&r, &v);
	if (r.bad || v.size != size || v.body_start > size)
		return FACTS_BAD;
	while (!r.bad && wire_left(&r) > 0) {
		unsigned tag = wire_get_u8(&r);
		struct slice in = wire_get_bytes(&r, FACTS_WIDE_MAX);

		/* Each at most once: they are in the order of their tags. */
		if (tag <= last)
			r.bad = true;
		last = tag;
		if (!r.bad && !(flat && tag == FACTS_TAG_PARTS))
			read_section(tag, in, &v, &r);
	}
	if (r.bad || (!flat && (v.part_count == 0) != ((v.flags & FACTS_NO_STRUCTURE) != 0)))
		return FACTS_BAD;
	*ret_view = v;
	return 0;
}

int facts_view(struct slice blob, uint64_t size, struct facts_view *ret_view)
{
	return view(blob, size, false, ret_view);
}

int facts_view_flat(struct slice blob, uint64_t size, struct facts_view *ret_view)
{
	return view(blob, size, true, ret_view);
}
