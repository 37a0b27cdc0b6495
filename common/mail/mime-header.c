#include "common/mail/header.h"
#include "common/mail/mime-private.h"
#include "common/mail/param.h"

bool mime_header_wanted(struct slice name)
{
	/* None is longer than HEADER_WANTED_MAX. */
	static const char *const wanted[] = { "Date", "Subject", "From", "Sender", "Reply-To", "To",
		"Cc", "Bcc", "In-Reply-To", "Message-ID", "References", "Content-Type",
		"Content-Transfer-Encoding", "Content-Disposition", "Content-ID",
		"Content-Description", "Content-Language", "Content-Location", "Content-MD5" };

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (slice_ieq(name, slice_str(wanted[i])))
			return true;
	return false;
}

/* Adds a text to the row; what does not fit any more is left out and flagged. */
static void set_text(struct mime_part *part, enum mime_field f, struct slice s, struct buf *text)
{
	if (s.n > 0 && buf_put(text, s) != 0) {
		text->overflow = false;
		part->flags |= MIME_CUT;
		return;
	}
	part->text[f] = (struct mime_text){ (uint32_t)(text->n - s.n), (uint32_t)s.n, true };
}

static void set_params(
    struct mime_part *part, enum mime_field f, struct slice rest, struct buf *text)
{
	struct buf list = BUF_INIT(MIME_PARAMS_MAX);

	if (mime_params_pack(rest, &list))
		part->flags |= MIME_CUT;
	if (list.n > 0)
		set_text(part, f, buf_slice(&list), text);
	buf_fini(&list);
}

static void set_unfolded(
    struct mime_part *part, enum mime_field f, struct slice value, struct buf *text)
{
	struct buf line = BUF_INIT(MIME_FIELD_MAX);

	if (value.n > MIME_FIELD_MAX) {
		value.n = MIME_FIELD_MAX;
		part->flags |= MIME_CUT;
	}
	header_unfold(value, &line);
	set_text(part, f, buf_slice(&line), text);
	buf_fini(&line);
}

static void set_token(
    struct mime_part *part, enum mime_field f, struct slice token, struct buf *text)
{
	if (token.n == 0)
		return;
	if (token.n > MIME_TOKEN_MAX)
		part->flags |= MIME_CUT;
	set_text(part, f, slice_part(token, 0, MIME_TOKEN_MAX), text);
}

static void read_type(struct mime_part *part, struct slice value, struct buf *text)
{
	struct slice type, subtype, rest;

	if (!mime_type(value, &type, &subtype, &rest))
		return;
	part->flags &= (uint8_t)~MIME_TYPE_DEFAULT;
	set_text(part, MIME_TYPE, type, text);
	set_text(part, MIME_SUBTYPE, subtype, text);
	set_params(part, MIME_PARAMS, rest, text);
}

static void read_disposition(struct mime_part *part, struct slice value, struct buf *text)
{
	struct slice rest, token = mime_token(value, &rest);

	set_token(part, MIME_DISPOSITION, token, text);
	if (part->text[MIME_DISPOSITION].there)
		set_params(part, MIME_DISPOSITION_PARAMS, rest, text);
}

static void read_encoding(struct mime_part *part, struct slice value, struct buf *text)
{
	struct slice rest;

	set_token(part, MIME_ENCODING, mime_token(value, &rest), text);
}

static void read_field(
    struct mime_part *part, const struct header_field *f, bool *seen_type, struct buf *text)
{
	static const struct {
		const char *name;
		enum mime_field field;
	} plain[] = {
		{ "Content-ID", MIME_ID },
		{ "Content-Description", MIME_DESCRIPTION },
		{ "Content-Language", MIME_LANGUAGE },
		{ "Content-Location", MIME_LOCATION },
		{ "Content-MD5", MIME_MD5 },
	};

	if (!slice_istarts(f->name, SLICE("Content-")))
		return;
	/* The first of two fields counts, everywhere in this library. */
	if (slice_ieq(f->name, SLICE("Content-Type"))) {
		if (!*seen_type)
			read_type(part, f->value, text);
		*seen_type = true;
		return;
	}
	if (slice_ieq(f->name, SLICE("Content-Transfer-Encoding")) &&
	    !part->text[MIME_ENCODING].there)
		read_encoding(part, f->value, text);
	if (slice_ieq(f->name, SLICE("Content-Disposition")) && !part->text[MIME_DISPOSITION].there)
		read_disposition(part, f->value, text);
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (slice_ieq(f->name, slice_str(plain[i].name)) &&
		    !part->text[plain[i].field].there)
			set_unfolded(part, plain[i].field, f->value, text);
}

static struct slice text_of(const struct mime_part *part, enum mime_field f, const struct buf *text)
{
	return slice_part(buf_slice(text), part->text[f].at, part->text[f].n);
}

/*
 * RFC 2046 5.1.1: one to seventy characters, the last no blank (mail gateways cut blanks at the end
 * of a line). Longer ones are taken up to MIME_BOUNDARY_MAX.
 */
static void find_boundary(
    const struct mime_part *part, const struct buf *text, uint8_t *ret_boundary, size_t *ret_n)
{
	struct mime_param p;
	struct slice b;

	if (!mime_param_find(text_of(part, MIME_PARAMS, text), SLICE("boundary"), &p))
		return;
	b = p.value;
	while (b.n > 0 && (b.p[b.n - 1] == ' ' || b.p[b.n - 1] == '\t'))
		b.n--;
	if (b.n == 0 || b.n > MIME_BOUNDARY_MAX)
		return;
	memcpy(ret_boundary, b.p, b.n);
	*ret_n = b.n;
}

void mime_header_read(struct mime_part *part, struct slice header, bool in_digest, struct buf *text,
    uint8_t *ret_boundary, size_t *ret_boundary_n)
{
	struct header_iter it = header_iter(header);
	struct header_field f;
	bool seen_type = false;
	struct slice type, subtype;

	*ret_boundary_n = 0;
	part->flags |= MIME_TYPE_DEFAULT;
	while (header_next(&it, &f) == 0)
		read_field(part, &f, &seen_type, text);
	if (part->flags & MIME_TYPE_DEFAULT) {
		/* RFC 2046 5.1.5: in a digest it is a message, but only when nothing was said. */
		bool message = in_digest && !seen_type;

		set_text(part, MIME_TYPE, message ? SLICE("message") : SLICE("text"), text);
		set_text(part, MIME_SUBTYPE, message ? SLICE("rfc822") : SLICE("plain"), text);
	}
	type = text_of(part, MIME_TYPE, text);
	subtype = text_of(part, MIME_SUBTYPE, text);
	if (slice_ieq(type, SLICE("multipart"))) {
		part->kind = MIME_MULTIPART;
		find_boundary(part, text, ret_boundary, ret_boundary_n);
	} else if (slice_ieq(type, SLICE("message")) &&
		   (slice_ieq(subtype, SLICE("rfc822")) || slice_ieq(subtype, SLICE("global")))) {
		part->kind = MIME_MESSAGE;
	}
}
