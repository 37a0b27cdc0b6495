#include "common/mail/address.h"
#include "common/mail/facts-private.h"
#include "common/mail/header.h"
#include "common/mail/param.h"
#include "common/mail/preview.h"
#include "common/mail/subject.h"
#include "common/mail/thread.h"
#include "common/mail/utf8.h"
#include "common/mail/word.h"

#include <errno.h>
#include <stdlib.h>

const char *const facts_field_name[FACTS_FIELD_COUNT] = { "Date", "Subject", "From", "Sender",
	"Reply-To", "To", "Cc", "Bcc", "In-Reply-To", "Message-ID" };

/* Envelopes of messages inside the message: packed fields, one run after another. */
struct inner {
	uint16_t part;
	uint32_t at, n;
};

#define INNER_MAX (FACTS_MAX / 64)

/* A text part whose start is kept for the preview. */
struct sample {
	bool chosen;
	unsigned part;
	struct buf raw;
};

struct facts_maker {
	struct mime *mime;
	struct trace trace;
	uint32_t flags;
	size_t field_max, blob_max;
	struct buf envelope, keys, thread; /* contents of those sections */
	struct buf header; /* the message's, behind its version, while it is not too long */
	bool header_seen, header_over;
	struct buf inner_text;
	struct inner inner[INNER_MAX];
	unsigned inner_n;
	struct sample plain, html;
	bool has_date;
	struct mail_date date;
	bool oom;
};

/* ---- one header section -------------------------------------------------------------------------
 */

/* Field values of an envelope by position; the first of several counts. */
static void find_fields(struct slice header, struct slice value[FACTS_FIELD_COUNT])
{
	struct header_iter it = header_iter(header);
	struct header_field f;

	for (unsigned i = 0; i < FACTS_FIELD_COUNT; i++)
		value[i] = SLICE_NONE;
	while (header_next(&it, &f) == 0) {
		for (unsigned i = 0; i < FACTS_FIELD_COUNT; i++)
			if (value[i].p == NULL && slice_ieq(f.name, slice_str(facts_field_name[i])))
				value[i] = f.value;
	}
}

/*
 * Packs the fields. What does not fit `field_max` is left out altogether: half an address list
 * is worse than none when the flag sends the reader to the header anyway. True when all fitted.
 */
static bool put_fields(
    const struct slice value[FACTS_FIELD_COUNT], size_t field_max, struct buf *out)
{
	struct buf text = BUF_INIT(field_max);
	size_t mask_at = out->n;
	uint16_t mask = 0;
	bool whole = true;

	wire_put_u16(out, 0);
	for (unsigned i = 0; i < FACTS_FIELD_COUNT; i++) {
		size_t before = out->n;

		if (value[i].p == NULL)
			continue;
		buf_reset(&text);
		if (header_unfold(value[i], &text) == 0)
			facts_put_text(out, buf_slice(&text));
		if (text.overflow || out->overflow) {
			buf_trunc(out, before);
			out->overflow = false;
			whole = false;
			continue;
		}
		mask |= (uint16_t)(1u << i);
	}
	if (out->n >= mask_at + 2) {
		out->p[mask_at] = (uint8_t)mask;
		out->p[mask_at + 1] = (uint8_t)(mask >> 8);
	}
	buf_fini(&text);
	return whole;
}

/* Appends a text whose characters stay whole within FACTS_KEY_MAX. */
static void put_key(struct facts_maker *m, struct slice s)
{
	facts_put_text(&m->keys, utf8_cut(s, FACTS_KEY_MAX));
}

static void put_decoded(struct facts_maker *m, struct slice text)
{
	struct buf utf8 = BUF_INIT(FACTS_KEY_MAX), line = BUF_INIT(FACTS_KEY_MAX);

	word_decode(slice_part(text, 0, 4 * FACTS_KEY_MAX), &utf8);
	subject_squeeze(buf_slice(&utf8), &line);
	put_key(m, buf_slice(&line));
	buf_fini(&utf8);
	buf_fini(&line);
}

static void put_base_subject(struct facts_maker *m, struct slice value)
{
	struct buf line = BUF_INIT(HEADER_KEEP_MAX), utf8 = BUF_INIT(4 * FACTS_KEY_MAX);
	struct buf squeezed = BUF_INIT(4 * FACTS_KEY_MAX);
	struct slice base;
	bool reply;

	header_unfold(value, &line);
	word_decode(buf_slice(&line), &utf8);
	subject_squeeze(buf_slice(&utf8), &squeezed);
	base = subject_base(buf_slice(&squeezed), &reply);
	put_key(m, base);
	if (reply)
		m->flags |= FACTS_REPLY;
	buf_fini(&line);
	buf_fini(&utf8);
	buf_fini(&squeezed);
}

/* RFC 5256 3 (mailbox) and RFC 5957 3 (display) of the first address. */
static void put_address_keys(struct facts_maker *m, struct slice value, bool display)
{
	struct address_iter *it = malloc(sizeof(*it));
	struct buf line = BUF_INIT(2 * ADDRESS_TEXT_MAX + 1);
	struct address a = { 0 };
	int r;

	if (it == NULL) {
		m->oom = true;
		return;
	}
	address_init(it, value);
	while ((r = address_next(it, &a)) == 0 && a.kind != ADDRESS_MAILBOX)
		;
	if (r != 0)
		a = (struct address){ 0 };
	put_decoded(m, a.local);
	if (display && a.name.n > 0) {
		put_decoded(m, a.name);
	} else if (display) {
		buf_put(&line, a.local);
		if (a.domain.n > 0)
			buf_putc(&line, '@');
		buf_put(&line, a.domain);
		put_decoded(m, buf_slice(&line));
	}
	buf_fini(&line);
	free(it);
}

static void put_thread(struct facts_maker *m, struct slice header, const struct slice *value)
{
	struct slice refs = SLICE_NONE;

	header_find(header, SLICE("References"), &refs);
	if (thread_pack(value[FACTS_MESSAGE_ID], refs, value[FACTS_IN_REPLY_TO], &m->thread))
		m->flags |= FACTS_CUT_REFS;
}

static void read_message_header(struct facts_maker *m, struct slice header)
{
	struct slice value[FACTS_FIELD_COUNT];

	find_fields(header, value);
	if (!put_fields(value, m->field_max, &m->envelope))
		m->flags |= FACTS_CUT_ENVELOPE;
	m->has_date = mail_date_parse(value[FACTS_DATE], &m->date) == 0;
	put_base_subject(m, value[FACTS_SUBJECT]);
	put_address_keys(m, value[FACTS_FROM], true);
	put_address_keys(m, value[FACTS_TO], true);
	put_address_keys(m, value[FACTS_CC], false);
	put_thread(m, header, value);
}

static void read_inner_header(
    struct facts_maker *m, const struct mime *mime, unsigned part, struct slice header)
{
	struct slice value[FACTS_FIELD_COUNT];
	struct inner *in = &m->inner[m->inner_n];
	size_t before = m->inner_text.n;

	find_fields(header, value);
	if (m->inner_n == INNER_MAX || !put_fields(value, m->field_max, &m->inner_text)) {
		/* A part whose envelope is missing would be a lie: no structure then. */
		m->flags |= FACTS_NO_STRUCTURE;
		return;
	}
	*in = (struct inner){ (uint16_t)part, (uint32_t)before,
		(uint32_t)(m->inner_text.n - before) };
	m->inner_n++;
}

/* ---- what passes
 * ---------------------------------------------------------------------------------- */

static bool is_attached(const struct mime *mime, unsigned part)
{
	return slice_ieq(mime_part_text(mime, part, MIME_DISPOSITION), SLICE("attachment"));
}

static void choose_sample(struct facts_maker *m, const struct mime *mime, unsigned part)
{
	struct slice subtype = mime_part_text(mime, part, MIME_SUBTYPE);
	struct sample *s = NULL;

	if (mime_part(mime, part)->kind != MIME_LEAF || is_attached(mime, part) ||
	    !slice_ieq(mime_part_text(mime, part, MIME_TYPE), SLICE("text")))
		return;
	if (slice_ieq(subtype, SLICE("plain")))
		s = &m->plain;
	else if (slice_ieq(subtype, SLICE("html")))
		s = &m->html;
	if (s == NULL || s->chosen)
		return;
	s->chosen = true;
	s->part = part;
}

static void on_header(void *ctx, const struct mime *mime, unsigned part, struct slice header)
{
	struct facts_maker *m = ctx;
	const struct mime_part *p = mime_part(mime, part);
	bool inner =
	    p->parent != MIME_NO_PARENT && mime_part(mime, p->parent)->kind == MIME_MESSAGE;

	for (size_t i = 0; i < header.n && !(m->flags & FACTS_UTF8_HEADER); i++)
		if (header.p[i] >= 128)
			m->flags |= FACTS_UTF8_HEADER;
	if (part == 0) {
		m->header_seen = true;
		read_message_header(m, header);
		if (p->flags & MIME_CUT)
			m->flags |= FACTS_CUT_ENVELOPE;
	} else if (inner) {
		read_inner_header(m, mime, part, header);
	}
	choose_sample(m, mime, part);
}

static void on_body(void *ctx, const struct mime *mime, unsigned part, struct slice bytes)
{
	struct facts_maker *m = ctx;
	struct sample *s = NULL;

	if (m->plain.chosen && m->plain.part == part)
		s = &m->plain;
	else if (m->html.chosen && m->html.part == part)
		s = &m->html;
	if (s != NULL)
		buf_put(&s->raw, slice_part(bytes, 0, s->raw.max - s->raw.n));
}

static struct facts_maker *maker_new(size_t field_max, size_t envelope_max, size_t blob_max)
{
	struct facts_maker *m = calloc(1, sizeof(*m));
	struct mime_sink sink = { m, on_header, on_body };

	if (m == NULL)
		return NULL;
	m->field_max = field_max;
	m->blob_max = blob_max;
	buf_init(&m->envelope, envelope_max);
	buf_init(&m->keys, FACTS_KEY_COUNT * (FACTS_KEY_MAX + 2));
	buf_init(&m->thread, FACTS_REFS_MAX);
	buf_init(&m->header, 1 + FACTS_HEADER_MAX + 1);
	m->header_over = buf_putc(&m->header, FACTS_HEADER_VERSION) != 0;
	buf_init(&m->inner_text, blob_max);
	buf_init(&m->plain.raw, FACTS_PREVIEW_PLAIN);
	buf_init(&m->html.raw, FACTS_PREVIEW_HTML);
	m->mime = mime_new(&sink);
	if (m->mime == NULL)
		facts_maker_free(&m);
	return m;
}

struct facts_maker *facts_maker_new(void)
{
	return maker_new(FACTS_FIELD_MAX, FACTS_ENVELOPE_MAX, FACTS_MAX);
}

struct facts_maker *facts_maker_new_wide(void)
{
	return maker_new(FACTS_WIDE_FIELD_MAX, FACTS_WIDE_ENVELOPE_MAX, FACTS_WIDE_MAX);
}

void facts_maker_free(struct facts_maker **m)
{
	if (*m == NULL)
		return;
	mime_free(&(*m)->mime);
	buf_fini(&(*m)->envelope);
	buf_fini(&(*m)->keys);
	buf_fini(&(*m)->thread);
	buf_fini(&(*m)->header);
	buf_fini(&(*m)->inner_text);
	buf_fini(&(*m)->plain.raw);
	buf_fini(&(*m)->html.raw);
	free(*m);
	*m = NULL;
}

/* `bytes` were just read: those of them that are of the header. */
static void header_keep(struct facts_maker *m, struct slice bytes)
{
	size_t kept = m->header.n - 1;

	m->header_over = m->header_seen;
	if (m->header_seen)
		bytes = slice_part(bytes, 0, mime_part(m->mime, 0)->body_start - kept);
	/* Without memory as if it were too long: it is read from the message. */
	if (buf_put(&m->header, slice_part(bytes, 0, m->header.max - m->header.n)) != 0 ||
	    m->header.n == m->header.max) {
		m->header_over = true;
		buf_trunc(&m->header, 1);
	}
}

void facts_maker_feed(struct facts_maker *m, struct slice bytes)
{
	trace_feed(&m->trace, bytes);
	mime_feed(m->mime, bytes);
	if (!m->header_over)
		header_keep(m, bytes);
}

struct slice facts_maker_header(const struct facts_maker *m)
{
	return buf_slice(&m->header);
}

unsigned facts_maker_received(const struct facts_maker *m, bool *ret_final)
{
	*ret_final = m->trace.done;
	return m->trace.received;
}

/* ---- the blob
 * -------------------------------------------------------------------------------------- */

/*
 * A leaf that a person would save: said to be an attachment, or named and no text. A signature and
 * what a page shows inside itself (it has an id) are not.
 */
static bool is_attachment(const struct mime *mime, unsigned i)
{
	struct slice type = mime_part_text(mime, i, MIME_TYPE);
	struct slice subtype = mime_part_text(mime, i, MIME_SUBTYPE);
	struct mime_param p;

	if (is_attached(mime, i))
		return true;
	if (mime_part(mime, i)->kind != MIME_LEAF || slice_ieq(type, SLICE("text")) ||
	    mime_part_text(mime, i, MIME_ID).n > 0)
		return false;
	if (slice_ieq(subtype, SLICE("pgp-signature")) ||
	    slice_ieq(subtype, SLICE("pkcs7-signature")) ||
	    slice_ieq(subtype, SLICE("x-pkcs7-signature")))
		return false;
	return mime_param_find(mime_part_text(mime, i, MIME_PARAMS), SLICE("name"), &p) ||
	       mime_param_find(
		   mime_part_text(mime, i, MIME_DISPOSITION_PARAMS), SLICE("filename"), &p);
}

static void put_part(const struct facts_maker *m, unsigned i, struct slice fields, struct buf *out)
{
	const struct mime_part *p = mime_part(m->mime, i);
	uint16_t mask = 0;

	wire_put_u8(out, p->depth);
	wire_put_u8(out, p->kind);
	wire_put_u8(out, p->flags);
	facts_put_number(out, p->header_start);
	facts_put_number(out, p->body_start - p->header_start);
	facts_put_number(out, p->end - p->body_start);
	facts_put_number(out, p->header_lines);
	facts_put_number(out, p->body_lines);
	for (unsigned f = 0; f < MIME_FIELD_COUNT; f++)
		mask |= (uint16_t)((unsigned)p->text[f].there << f);
	wire_put_u16(out, mask);
	for (unsigned f = 0; f < MIME_FIELD_COUNT; f++)
		if (p->text[f].there)
			facts_put_text(out, mime_part_text(m->mime, i, f));
	buf_put(out, fields);
}

/* False when it is not to be, or does not fit. */
static bool put_parts(struct facts_maker *m, struct buf *out)
{
	unsigned inner = 0;

	if (m->flags & FACTS_NO_STRUCTURE)
		return false;
	wire_put_u16(out, (uint16_t)mime_count(m->mime));
	for (unsigned i = 0; i < mime_count(m->mime) && !out->overflow; i++) {
		const struct mime_part *p = mime_part(m->mime, i);
		struct slice fields = SLICE("\0\0");

		/* A type that did not fit the texts: too much of everything in this message. */
		if (!p->text[MIME_TYPE].there || !p->text[MIME_SUBTYPE].there)
			return false;
		if (inner < m->inner_n && m->inner[inner].part == i) {
			fields = slice_part(
			    buf_slice(&m->inner_text), m->inner[inner].at, m->inner[inner].n);
			inner++;
		}
		put_part(m, i, fields, out);
	}
	return !out->overflow;
}

static void put_section(struct buf *out, uint8_t tag, struct slice s)
{
	wire_put_u8(out, tag);
	wire_put_bytes(out, s);
}

static void put_head(const struct facts_maker *m, struct buf *out)
{
	wire_put_u8(out, FACTS_MAGIC);
	wire_put_u8(out, FACTS_VERSION);
	wire_put_u16(out, FACTS_MAKER);
	wire_put_u32(out, m->flags);
	wire_put_u64(out, mime_size(m->mime));
	wire_put_u64(out, mime_part(m->mime, 0)->body_start);
	wire_put_u32(out, m->trace.received);
	wire_put_u8(out, m->has_date);
	wire_put_u64(out, m->has_date ? (uint64_t)m->date.unix_s : 0);
	wire_put_u16(out, m->has_date ? (uint16_t)m->date.zone_min : 0);
}

static void put_preview(struct facts_maker *m, struct buf *out)
{
	bool html = !m->plain.chosen || m->plain.raw.n == 0;
	struct sample *s = html && m->html.chosen ? &m->html : &m->plain;
	struct buf text = BUF_INIT(4 * FACTS_PREVIEW_CHARS);
	struct mime_param charset = { 0 };

	if (s->chosen) {
		mime_param_find(
		    mime_part_text(m->mime, s->part, MIME_PARAMS), SLICE("charset"), &charset);
		preview_make(buf_slice(&s->raw),
		    transfer_find(mime_part_text(m->mime, s->part, MIME_ENCODING)), charset.value,
		    s == &m->html, &text);
	}
	put_section(out, FACTS_TAG_PREVIEW, buf_slice(&text));
	buf_fini(&text);
}

int facts_maker_finish(struct facts_maker *m, struct buf *out)
{
	struct buf blob = BUF_INIT(m->blob_max), parts = BUF_INIT(m->blob_max);
	size_t before;
	int r = 0;

	mime_finish(m->mime);
	for (unsigned i = 0; i < mime_count(m->mime); i++)
		if (is_attachment(m->mime, i))
			m->flags |= FACTS_ATTACHMENT;
	put_head(m, &blob);
	put_section(&blob, FACTS_TAG_ENVELOPE, buf_slice(&m->envelope));
	put_section(&blob, FACTS_TAG_KEYS, buf_slice(&m->keys));
	put_section(&blob, FACTS_TAG_THREAD, buf_slice(&m->thread));
	put_preview(m, &blob);
	if (blob.overflow || m->oom)
		r = -ENOMEM;
	before = blob.n;
	if (r == 0 && put_parts(m, &parts))
		put_section(&blob, FACTS_TAG_PARTS, buf_slice(&parts));
	if (r == 0 && (blob.overflow || blob.n == before)) {
		buf_trunc(&blob, before);
		wire_store_u32(blob.p + FACTS_AT_FLAGS, m->flags | FACTS_NO_STRUCTURE);
	}
	if (r == 0 && buf_put(out, buf_slice(&blob)) != 0)
		r = -ENOMEM;
	buf_fini(&blob);
	buf_fini(&parts);
	return r;
}
