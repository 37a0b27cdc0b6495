/* BODY and BODYSTRUCTURE: facts parts, in the order of the message, to nested lists. */
#include "common/mail/param.h"
#include "protocols/imap/envelope.h"

struct walk {
	struct writer *w;
	struct slice parts; /* behind `next` */
	struct facts_part next;
	bool have; /* `next` is one */
	bool extended;
	struct address_iter *it;
};

static void advance(struct walk *k)
{
	k->have = facts_part_next(&k->parts, &k->next) == 0;
}

/* RFC 2231 3, for values whose pieces were not kept: name*=utf-8''value. */
static void put_extended_param(struct writer *w, const struct mime_param *p)
{
	static const char hex[] = "0123456789ABCDEF";
	struct buf name = BUF_INIT(UINT8_MAX + 1), value = BUF_INIT(3 * UINT16_MAX + 7);

	buf_put(&name, p->name);
	buf_putc(&name, '*');
	buf_put(&value, SLICE("utf-8''"));
	for (size_t i = 0; i < p->value.n; i++) {
		uint8_t c = p->value.p[i];

		if (ascii_digit(c) || ascii_alpha(c) || c == '.' || c == '-' || c == '_') {
			buf_putc(&value, c);
			continue;
		}
		buf_putc(&value, '%');
		buf_putc(&value, (uint8_t)hex[c >> 4]);
		buf_putc(&value, (uint8_t)hex[c & 15]);
	}
	write_string(w, buf_slice(&name));
	write_string(w, buf_slice(&value));
	buf_fini(&name);
	buf_fini(&value);
}

static void put_params(struct writer *w, struct slice list)
{
	struct mime_param p;
	bool any = false;

	while (mime_param_next(&list, &p) == 0) {
		if (p.flags & PARAM_JOINED)
			continue; /* its pieces follow */
		if (!any)
			write_open(w);
		any = true;
		if (p.flags & PARAM_EXTENDED) {
			put_extended_param(w, &p);
		} else {
			write_string(w, p.name.n > 0 ? p.name : SLICE(""));
			write_string(w, p.value.n > 0 ? p.value : SLICE(""));
		}
	}
	if (any)
		write_close(w);
	else
		write_nil(w);
}

/* body-fld-dsp: ("attachment" ("filename" "x")) or NIL. */
static void put_disposition(struct writer *w, const struct facts_part *p)
{
	if (p->text[MIME_DISPOSITION].n == 0) {
		write_nil(w);
		return;
	}
	write_open(w);
	write_string(w, p->text[MIME_DISPOSITION]);
	put_params(w, p->text[MIME_DISPOSITION_PARAMS]);
	write_close(w);
}

/* body-fld-lang: NIL, one tag, or a list of them (RFC 3282: tags with commas, perhaps comments). */
static void put_language(struct writer *w, struct slice value)
{
	unsigned count = 0;
	struct slice left = value, tag, rest;

	while (left.n > 0)
		count += mime_token(slice_take(&left, ','), &rest).n > 0;
	if (count == 0) {
		write_nil(w);
		return;
	}
	if (count > 1)
		write_open(w);
	while (value.n > 0) {
		tag = mime_token(slice_take(&value, ','), &rest);
		if (tag.n > 0)
			write_string(w, tag);
	}
	if (count > 1)
		write_close(w);
}

static void put_tail(struct writer *w, const struct facts_part *p)
{
	put_disposition(w, p);
	put_language(w, p->text[MIME_LANGUAGE]);
	write_string(w, p->text[MIME_LOCATION]);
}

/* Octets [start, end) as a part of text/plain, where a list wants a part and there is none. */
static void put_plain(struct writer *w, uint64_t octets, uint64_t lines, bool extended)
{
	write_open(w);
	write_made(w, SLICE("\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\""));
	write_number(w, octets);
	write_number(w, lines);
	if (extended)
		write_made(w, SLICE("NIL NIL NIL NIL"));
	write_close(w);
}

static bool is(struct slice text, const char *word)
{
	return slice_ieq(text, slice_str(word));
}

/* RFC 3501 knows message/rfc822 alone; message/global came with RFC 6532 and RFC 6855. */
static bool shows_message(const struct walk *k, const struct facts_part *p)
{
	return p->kind == MIME_MESSAGE && (k->w->utf8 || is(p->text[MIME_SUBTYPE], "rfc822"));
}

static void put_part(struct walk *k);

/* Everything below `depth` that nobody shows. */
static void skip_children(struct walk *k, unsigned depth)
{
	while (k->have && k->next.depth > depth)
		advance(k);
}

static void put_multipart(struct walk *k, const struct facts_part *p)
{
	struct writer *w = k->w;

	if (!k->have || k->next.depth <= p->depth)
		put_plain(w, p->end - p->body_start, p->body_lines, k->extended);
	while (k->have && k->next.depth > p->depth) {
		put_part(k);
		w->gap = WRITE_NO_GAP; /* RFC 3501 9: 1*body */
	}
	w->gap = WRITE_GAP;
	write_string(w, p->text[MIME_SUBTYPE]);
	if (!k->extended)
		return;
	put_params(w, p->text[MIME_PARAMS]);
	put_tail(w, p);
}

/* The message inside: its envelope and structure. */
static void put_inside(struct walk *k, const struct facts_part *p)
{
	struct writer *w = k->w;

	if (k->have && k->next.depth > p->depth) {
		envelope_write(w, k->next.field, k->it);
		put_part(k);
		skip_children(k, p->depth);
		return;
	}
	write_made(w, SLICE("(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"));
	put_plain(w, p->end - p->body_start, p->body_lines, k->extended);
}

static void put_leaf(struct walk *k, const struct facts_part *p)
{
	struct writer *w = k->w;
	bool message = shows_message(k, p);

	write_string(w, p->text[MIME_TYPE]);
	write_string(w, p->text[MIME_SUBTYPE]);
	/* RFC 2045 5.2 */
	if ((p->flags & MIME_TYPE_DEFAULT) && is(p->text[MIME_TYPE], "text"))
		write_made(w, SLICE("(\"charset\" \"us-ascii\")"));
	else
		put_params(w, p->text[MIME_PARAMS]);
	write_string(w, p->text[MIME_ID]);
	write_string(w, p->text[MIME_DESCRIPTION]);
	write_string(w, p->text[MIME_ENCODING].n > 0 ? p->text[MIME_ENCODING] : SLICE("7bit"));
	write_number(w, p->end - p->body_start);
	if (message)
		put_inside(k, p);
	if (message || is(p->text[MIME_TYPE], "text"))
		write_number(w, p->body_lines);
	skip_children(k, p->depth);
	if (!k->extended)
		return;
	write_string(w, p->text[MIME_MD5]);
	put_tail(w, p);
}

/* The part in `next` with all below it. Parts are nested as deep as MIME_DEPTH_MAX. */
static void put_part(struct walk *k)
{
	struct facts_part p = k->next;

	advance(k);
	write_open(k->w);
	if (p.kind == MIME_MULTIPART)
		put_multipart(k, &p);
	else
		put_leaf(k, &p);
	write_close(k->w);
}

void structure_write(
    struct writer *w, const struct facts_view *v, bool extended, struct address_iter *it)
{
	struct walk k = { .w = w, .parts = v->parts, .extended = extended, .it = it };

	advance(&k);
	if (k.have)
		put_part(&k);
	else
		put_plain(w, v->size - v->body_start, 0, extended);
}
