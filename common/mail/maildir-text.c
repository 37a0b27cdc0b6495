#include "common/mail/maildir-text.h"

#include "common/mail/utf7.h"
#include "common/mail/utf8.h"

/* ---- file names ---- */

static bool take_u32(struct slice *s, uint32_t *ret)
{
	size_t n = 0;
	uint64_t v;

	while (n < s->n && ascii_digit(s->p[n]))
		n++;
	if (n == 0 || n > 10 || slice_u64(slice_part(*s, 0, n), UINT32_MAX, &v) != 0)
		return false;
	*ret = (uint32_t)v;
	*s = slice_from(*s, n);
	return true;
}

/* "1700000000.U12V345.gatehouse,S=100" */
static void made_parse(struct slice base, struct maildir_name *ret)
{
	struct slice rest = base, time = slice_take(&rest, '.');
	uint32_t uid, uidvalidity;
	uint64_t t;

	if (slice_u64(time, INT64_MAX, &t) != 0 || !slice_starts(rest, SLICE("U")))
		return;
	rest = slice_from(rest, 1);
	if (!take_u32(&rest, &uid) || !slice_starts(rest, SLICE("V")))
		return;
	rest = slice_from(rest, 1);
	if (!take_u32(&rest, &uidvalidity) || !slice_starts(rest, SLICE(".gatehouse,S=")))
		return;
	ret->uid = uid;
	ret->uidvalidity = uidvalidity;
}

static const struct {
	char letter;
	uint32_t flag;
} letters[] = {
	{ 'D', IPC_FLAG_DRAFT },
	{ 'F', IPC_FLAG_FLAGGED },
	{ 'R', IPC_FLAG_ANSWERED },
	{ 'S', IPC_FLAG_SEEN },
	{ 'T', IPC_FLAG_DELETED },
};

void maildir_name_parse(struct slice file, struct maildir_name *ret)
{
	ptrdiff_t colon = slice_rfind(file, ':');
	struct slice info = colon >= 0 ? slice_from(file, (size_t)colon + 1) : SLICE_NONE;

	*ret = (struct maildir_name){ .base = file };
	if (slice_starts(info, SLICE("2,"))) {
		ret->base = slice_part(file, 0, (size_t)colon);
		info = slice_from(info, 2);
	} else {
		info = SLICE_NONE;
	}
	for (size_t i = 0; i < info.n; i++) {
		uint8_t c = info.p[i];

		if (c >= 'a' && c <= 'z')
			ret->letters |= 1u << (c - 'a');
		ret->passed |= c == 'P';
		for (size_t k = 0; k < sizeof(letters) / sizeof(letters[0]); k++)
			if (c == letters[k].letter)
				ret->flags |= letters[k].flag;
	}
	made_parse(ret->base, ret);
}

void maildir_name_put(struct buf *out, const struct maildir_made *m)
{
	buf_printf(out, "%lld.U%uV%u.gatehouse,S=%llu:2,",
	    (long long)(m->date_s > 0 ? m->date_s : 0), m->uid, m->uidvalidity,
	    (unsigned long long)m->size);
	for (size_t k = 0; k < sizeof(letters) / sizeof(letters[0]); k++)
		if ((m->flags & letters[k].flag) != 0)
			buf_putc(out, (uint8_t)letters[k].letter);
	for (unsigned k = 0; k < MAILDIR_LETTERS; k++)
		if ((m->letters & 1u << k) != 0)
			buf_putc(out, (uint8_t)('a' + k));
}

/* ---- dovecot-uidlist ---- */

static bool word_u32(struct slice word, uint32_t *ret)
{
	uint64_t v;

	if (slice_u64(word, UINT32_MAX, &v) != 0)
		return false;
	*ret = (uint32_t)v;
	return true;
}

/* "3 V1275660208 N25022 G..." or "1 1275660208 25022" */
int uidlist_begin(struct slice text, struct uidlist *ret)
{
	struct slice line = slice_take(&text, '\n'), version = slice_take(&line, ' ');

	*ret = (struct uidlist){ .rest = text };
	if (!word_u32(version, &ret->version) || (ret->version != 1 && ret->version != 3))
		return MAILDIR_BAD;
	for (unsigned i = 0; line.n > 0; i++) {
		struct slice word = slice_take(&line, ' ');
		uint8_t key = ret->version == 1 ? (i == 0 ? 'V' : 'N') : word.n > 0 ? word.p[0] : 0;

		if (ret->version == 3)
			word = slice_from(word, 1);
		if ((key == 'V' && !word_u32(word, &ret->uidvalidity)) ||
		    (key == 'N' && !word_u32(word, &ret->uidnext)))
			return MAILDIR_BAD;
	}
	return ret->uidvalidity != 0 ? 0 : MAILDIR_BAD;
}

static int hex_value(uint8_t c)
{
	c = ascii_lower(c);
	return ascii_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Nothing that is not as uidlist_put() writes it. */
static uint64_t thread_of(struct slice word)
{
	uint64_t v = 0;

	if (word.n != 17 || word.p[0] != 'T')
		return 0;
	for (size_t i = 1; i < word.n; i++) {
		if (hex_value(word.p[i]) < 0)
			return 0;
		v = v << 4 | (uint64_t)hex_value(word.p[i]);
	}
	return v;
}

int uidlist_next(struct uidlist *l, struct uidlist_line *ret)
{
	while (l->rest.n > 0) {
		struct slice line = slice_take(&l->rest, '\n'), uid = slice_take(&line, ' ');
		ptrdiff_t colon = 0;
		struct maildir_name name;

		/* Between uid and name stand fields of which none begins with a colon. */
		ret->thread = 0;
		if (l->version == 3) {
			while (line.n > 0 && line.p[0] != ':') {
				uint64_t thread = thread_of(slice_take(&line, ' '));

				ret->thread = thread != 0 ? thread : ret->thread;
			}
			colon = line.n > 0 ? 1 : -1;
		}
		if (!word_u32(uid, &ret->uid) || ret->uid == 0 || colon < 0 ||
		    line.n <= (size_t)colon) {
			l->bad++;
			continue;
		}
		maildir_name_parse(slice_from(line, (size_t)colon), &name);
		ret->base = name.base;
		return 0;
	}
	return MAILDIR_END;
}

void uidlist_put_head(struct buf *out, uint32_t uidvalidity, uint32_t uidnext)
{
	buf_printf(out, "3 V%u N%u\n", uidvalidity, uidnext);
}

void uidlist_put(struct buf *out, const struct uidlist_line *line)
{
	buf_printf(out, "%u ", line->uid);
	if (line->thread != 0)
		buf_printf(out, "T%016llx ", (unsigned long long)line->thread);
	buf_putc(out, ':');
	buf_put(out, line->base);
	buf_putc(out, '\n');
}

/* ---- dovecot-keywords ---- */

void maildir_keywords_parse(struct slice text, struct slice ret[MAILDIR_LETTERS])
{
	for (unsigned i = 0; i < MAILDIR_LETTERS; i++)
		ret[i] = SLICE_NONE;
	while (text.n > 0) {
		struct slice line = slice_take(&text, '\n'), number = slice_take(&line, ' ');
		uint32_t i;

		if (word_u32(number, &i) && i < MAILDIR_LETTERS && line.n > 0)
			ret[i] = line;
	}
}

/* ---- folders ---- */

/* One level: UTF-7 (or UTF-8, which Dovecot can be told to use), then its escapes. */
static int level_decode(struct slice level, struct buf *out)
{
	struct buf b = BUF_INIT(4096);
	size_t before = out->n;
	int r = level.n == 0;

	if (r == 0 && utf7_decode(level, &b) != 0) {
		r = !utf8_valid(level);
		buf_put(&b, level);
	}
	for (size_t i = 0; r == 0 && i < b.n; i++) {
		int high = i + 2 < b.n ? hex_value(b.p[i + 1]) : -1;
		int low = i + 2 < b.n ? hex_value(b.p[i + 2]) : -1;
		uint8_t c = b.p[i];

		if (c == '\\' && high >= 0 && low >= 0) {
			c = (uint8_t)(high << 4 | low);
			i += 2;
		}
		r = c < 0x20 || c == 0x7f || c == '/';
		buf_putc(out, c);
	}
	r = r != 0 || b.overflow || out->overflow ||
	    !utf8_valid(slice_from(buf_slice(out), before));
	buf_fini(&b);
	return r ? MAILDIR_BAD : 0;
}

int maildir_folder_decode(struct slice name, uint8_t sep, struct buf *out)
{
	size_t before = out->n;
	bool first = true;

	if (name.n == 0 || name.p[name.n - 1] == sep)
		return MAILDIR_BAD;
	while (name.n > 0) {
		struct slice level = slice_take(&name, sep);

		if (!first)
			buf_putc(out, '/');
		first = false;
		if (level_decode(level, out) != 0) {
			buf_trunc(out, before);
			return MAILDIR_BAD;
		}
	}
	return 0;
}

static void level_encode(struct slice level, struct buf *out)
{
	struct buf b = BUF_INIT(4096);

	for (size_t i = 0; i < level.n; i++) {
		uint8_t c = level.p[i];

		if (c == '.' || c == '\\' || (c == '~' && i == 0))
			buf_printf(&b, "\\%02x", c);
		else
			buf_putc(&b, c);
	}
	utf7_encode(buf_slice(&b), out);
	buf_fini(&b);
}

void maildir_folder_encode(struct slice utf8, struct buf *out)
{
	for (bool first = true; utf8.n > 0; first = false) {
		if (!first)
			buf_putc(out, '.');
		level_encode(slice_take(&utf8, '/'), out);
	}
}

/* ---- subscriptions ---- */

void subs_begin(struct slice text, uint8_t sep, struct subs *ret)
{
	*ret = (struct subs){ .rest = text, .version = 1, .sep = sep };
	if (slice_starts(text, SLICE("V\t2\n"))) {
		ret->version = 2;
		ret->sep = '\t';
		ret->rest = slice_from(text, 4);
	}
}

int subs_next(struct subs *s, struct buf *out, struct slice *ret_raw)
{
	while (s->rest.n > 0) {
		struct slice line = slice_take(&s->rest, '\n');

		if (line.n == 0)
			continue;
		*ret_raw = line;
		return maildir_folder_decode(line, s->sep, out) == 0 ? 0 : -1;
	}
	return MAILDIR_END;
}

void subs_put_head(struct buf *out)
{
	buf_puts(out, "V\t2\n\n");
}

void subs_put(struct buf *out, struct slice utf8)
{
	for (bool first = true; utf8.n > 0; first = false) {
		if (!first)
			buf_putc(out, '\t');
		level_encode(slice_take(&utf8, '/'), out);
	}
	buf_putc(out, '\n');
}
