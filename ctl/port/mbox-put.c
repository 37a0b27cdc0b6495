/* mbox-put - a message of the store as a part of an mbox. */
#include "ctl/port/mbox-text.h"

#include <stdio.h>
#include <time.h>

static void put_letters(
    struct buf *out, const char *name, const char *letters, uint32_t flags, const uint32_t *of)
{
	buf_puts(out, name);
	for (size_t i = 0; letters[i] != '\0'; i++)
		if (of[i] == 0 || (flags & of[i]) != 0)
			buf_putc(out, (uint8_t)letters[i]);
	buf_putc(out, '\n');
}

/* The fields stand first, where a reader takes them for ours and leaves the message's own. */
void mbox_put_begin(
    struct buf *out, enum mbox_variant v, const struct mbox_put *m, size_t *ret_length)
{
	static const uint32_t status[] = { IPC_FLAG_SEEN, 0 };
	static const uint32_t xstatus[] = { IPC_FLAG_ANSWERED, IPC_FLAG_FLAGGED, IPC_FLAG_DELETED,
		IPC_FLAG_DRAFT };
	time_t when = (time_t)m->date_s;
	char date[64];
	struct tm tm;

	/* asctime() with the UTC of RFC 4155, whatever the locale. */
	if (gmtime_r(&when, &tm) == NULL || asctime_r(&tm, date) == NULL)
		strcpy(date, "Thu Jan  1 00:00:00 1970\n");
	buf_puts(out, "From MAILER-DAEMON ");
	buf_puts(out, date);
	if (m->uidvalidity != 0)
		buf_printf(out, "X-IMAPbase: %u %u\n", m->uidvalidity, m->uidlast);
	*ret_length = 0;
	if (v == MBOX_CL || v == MBOX_CL2) {
		buf_puts(out, "Content-Length: ");
		*ret_length = out->n;
		buf_printf(out, "%*s\n", MBOX_LENGTH_DIGITS, "");
	}
	put_letters(out, "Status: ", "RO", m->flags, status);
	put_letters(out, "X-Status: ", "AFDT", m->flags, xstatus);
	if (m->keywords.n > 0)
		buf_printf(out, "X-Keywords: %.*s\n", SLICE_FMT(m->keywords));
	buf_printf(out, "X-UID: %u\n", m->uid);
}

static const char from[] = "From ";

struct mbox_pack mbox_pack(enum mbox_variant v)
{
	return (struct mbox_pack){ .variant = v, .fresh = true, .last = '\n' };
}

uint64_t mbox_pack_body(const struct mbox_pack *p)
{
	return p->body > 0 ? p->made - p->body : 0;
}

/* The header ends at the first empty line, for us as for every reader. */
static void put(struct mbox_pack *p, struct buf *out, uint8_t c)
{
	buf_putc(out, c);
	p->made++;
	if (c == '\n' && p->last == '\n' && p->body == 0)
		p->body = p->made;
	p->last = c;
}

/* The letters that waited are not a "From ", or are one that is quoted by now. */
static void put_match(struct mbox_pack *p, struct buf *out)
{
	for (unsigned i = 0; i < p->match; i++)
		put(p, out, (uint8_t)from[i]);
	p->match = 0;
	p->fresh = false;
}

static void feed_byte(struct mbox_pack *p, uint8_t c, struct buf *out)
{
	if (p->fresh && c == (uint8_t)from[p->match]) {
		bool each = p->variant == MBOX_RD || p->variant == MBOX_CL;

		if (++p->match < 5)
			return;
		/* Any '>' before it is out already: one more of them reads the same at either end.
		 */
		if (each || (p->variant == MBOX_O && !p->any))
			put(p, out, '>');
		put_match(p, out);
		return;
	}
	if (p->fresh && p->match == 0 && c == '>') {
		p->any = true;
		put(p, out, c);
		return;
	}
	put_match(p, out);
	put(p, out, c);
	if (c == '\n') {
		p->fresh = true;
		p->any = false;
	}
}

void mbox_pack_feed(struct mbox_pack *p, struct slice in, struct buf *out)
{
	for (size_t i = 0; i < in.n; i++) {
		uint8_t c = in.p[i];

		if (p->cr && c != '\n')
			feed_byte(p, '\r', out);
		p->cr = c == '\r';
		if (!p->cr)
			feed_byte(p, c, out);
	}
}

void mbox_pack_end(struct mbox_pack *p, struct buf *out)
{
	if (p->cr)
		feed_byte(p, '\r', out);
	p->cr = false;
	put_match(p, out);
}

void mbox_put_end(const struct mbox_pack *p, struct buf *out)
{
	if (p->last != '\n')
		buf_putc(out, '\n');
	buf_putc(out, '\n');
}
