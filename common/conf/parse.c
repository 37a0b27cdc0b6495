/*
 * parse - the text of a configuration file.
 *
 *     # remark
 *     key = value
 *     section NAME {
 *             key = value
 *     }
 *
 * One thing a line. A value goes to the end of its line; where it must hold a '#' or spaces at its
 * ends it is put in double quotes (no escapes: a value cannot hold a double quote). There are no
 * includes, variables or nested sections, so that the file can be read without opening anything.
 */
#include "common/conf/conf-private.h"

#include "common/conf/limits.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

struct parser {
	struct conf *conf;
	struct conf_section *in; /* NULL while inside a section that could not be made */
	bool inside;
	const char *file;
	unsigned line, n_errors;
	struct buf *errors;
	int fault; /* -ENOMEM */
};

static void complain(struct parser *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void complain(struct parser *p, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (p->n_errors++ > CONF_ERRORS_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (p->n_errors > CONF_ERRORS_MAX)
		buf_printf(p->errors, "%s:%u: and more errors\n", p->file, p->line);
	else
		buf_printf(p->errors, "%s:%u: %s\n", p->file, p->line, text);
}

static bool is_word_byte(uint8_t c)
{
	return ascii_alpha(c) || ascii_digit(c) || c == '_' || c == '-' || c == '.';
}

static struct slice take_word(struct slice *s)
{
	size_t n = 0;

	while (n < s->n && is_word_byte(s->p[n]))
		n++;
	struct slice word = slice_part(*s, 0, n);
	*s = slice_trim(slice_from(*s, n));
	return word;
}

/* Printable for a message: what the file held is quoted, never control bytes. */
static const char *shown(struct slice s, char out[CONF_WORD_MAX + 4])
{
	size_t n = s.n > CONF_WORD_MAX ? CONF_WORD_MAX : s.n;

	for (size_t i = 0; i < n; i++)
		out[i] = (char)(s.p[i] < ' ' || s.p[i] >= 0x7f ? '?' : s.p[i]);
	memcpy(out + n, s.n > n ? "..." : "", s.n > n ? 4 : 1);
	return out;
}

static enum conf_key find_row(struct slice word, enum conf_key section)
{
	for (int k = 0; k < CONF_KEYS; k++)
		if (conf_rows[k].type != CONF_T_SECTION && conf_section_of(k) == section &&
		    slice_eq(word, slice_str(conf_rows[k].name)))
			return (enum conf_key)k;
	return CONF_KEYS;
}

static enum conf_key find_section(struct slice word)
{
	for (int k = 0; k < CONF_KEYS; k++)
		if (conf_rows[k].type == CONF_T_SECTION &&
		    slice_eq(word, slice_str(conf_rows[k].name)))
			return (enum conf_key)k;
	return CONF_KEYS;
}

static void unknown_key(struct parser *p, struct slice key, enum conf_key section)
{
	char text[CONF_WORD_MAX + 4];
	const char *nearest = conf_nearest_key(key, section);
	const char *where = section == CONF_KEYS ? "" : " in this section";

	if (nearest != NULL)
		complain(p, "unknown key \"%s\"%s; the nearest is \"%s\"", shown(key, text), where,
		    nearest);
	else
		complain(p, "unknown key \"%s\"%s", shown(key, text), where);
}

/* The value without quotes and remark: 0, or CONF_BAD after a complaint. */
static int value_text(struct parser *p, struct slice *v)
{
	ptrdiff_t end;
	struct slice rest;

	if (v->n == 0 || v->p[0] != '"') {
		for (size_t i = 0; i < v->n; i++) {
			if (v->p[i] == '#' &&
			    (i == 0 || v->p[i - 1] == ' ' || v->p[i - 1] == '\t')) {
				*v = slice_trim(slice_part(*v, 0, i));
				break;
			}
		}
		return 0;
	}
	*v = slice_from(*v, 1);
	end = slice_find(*v, '"');
	if (end < 0) {
		complain(p, "a quoted value has no end");
		return CONF_BAD;
	}
	rest = slice_trim(slice_from(*v, (size_t)end + 1));
	*v = slice_part(*v, 0, (size_t)end);
	if (rest.n > 0 && rest.p[0] != '#') {
		complain(p, "text after the end of a quoted value");
		return CONF_BAD;
	}
	return 0;
}

static void on_setting(struct parser *p, struct slice key, struct slice text)
{
	struct conf_section *s = p->in;
	enum conf_key section = s != NULL ? s->kind : CONF_KEYS;
	struct buf why = BUF_INIT(512);
	enum conf_key k;
	int r;

	if (s == NULL) /* the section itself was refused: one complaint is enough */
		return;
	k = find_row(key, section);
	if (k == CONF_KEYS) {
		unknown_key(p, key, section);
		return;
	}
	if (s->v[k].line != 0) {
		complain(p, "%s is set a second time; the first is in line %u", conf_rows[k].name,
		    s->v[k].line);
		return;
	}
	if (value_text(p, &text) != 0)
		return;
	s->v[k].line = p->line;
	r = conf_value_set(&s->v[k], k, text, &why);
	if (r < 0)
		p->fault = r;
	if (r > 0)
		complain(p, "%s %s", conf_rows[k].name, buf_cstr(&why));
	buf_fini(&why);
}

static void on_section(struct parser *p, struct slice word, struct slice name)
{
	char text[CONF_WORD_MAX + 4];
	enum conf_key kind = find_section(word);
	struct conf_section *s;

	if (p->inside) {
		complain(p, "a section inside a section; is a \"}\" missing above?");
		return;
	}
	p->inside = true;
	p->in = NULL;
	if (kind == CONF_KEYS) {
		unknown_key(p, word, CONF_KEYS);
		return;
	}
	if (name.n == 0 || name.n > CONF_WORD_MAX) {
		complain(p, "section %s needs a name: %s NAME {", shown(word, text), text);
		return;
	}
	s = conf_section_add(p->conf, kind, name);
	if (s == NULL) {
		complain(p, "more than %d sections", CONF_SECTIONS_MAX);
		return;
	}
	s->line = p->line;
	p->in = s;
}

static void on_close(struct parser *p)
{
	if (!p->inside)
		complain(p, "a \"}\" without a section");
	p->inside = false;
	p->in = &p->conf->top;
}

static void on_line(struct parser *p, struct slice line)
{
	char text[CONF_WORD_MAX + 4];
	struct slice whole, word, name;

	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	line = whole = slice_trim(line);
	if (line.n == 0 || line.p[0] == '#')
		return;
	if (line.n > CONF_LINE_MAX) {
		complain(p, "the line is too long");
		return;
	}
	if (slice_eq(line, SLICE("}"))) {
		on_close(p);
		return;
	}
	word = take_word(&line);
	if (word.n > 0 && line.n > 0 && line.p[0] == '=') {
		on_setting(p, word, slice_trim(slice_from(line, 1)));
		return;
	}
	name = take_word(&line);
	if (word.n > 0 && slice_eq(line, SLICE("{"))) {
		on_section(p, word, name);
		return;
	}
	complain(p, "neither \"key = value\" nor \"section NAME {\": %s", shown(whole, text));
}

int conf_parse(struct conf *c, const char *file, struct slice text, struct buf *errors)
{
	struct parser p = { .conf = c, .in = &c->top, .file = file, .errors = errors };

	if (text.n > CONF_FILE_MAX) {
		complain(&p, "the file is larger than %d bytes", CONF_FILE_MAX);
		return CONF_BAD;
	}
	while (text.n > 0 && p.fault == 0) {
		struct slice line = slice_take(&text, '\n');

		p.line++;
		if (slice_find(line, 0) >= 0)
			complain(&p, "a NUL byte");
		else
			on_line(&p, line);
	}
	if (p.fault != 0)
		return p.fault;
	if (p.inside)
		complain(&p, "the last section has no \"}\"");
	/* Rules about several values would only echo errors already told. */
	if (p.n_errors == 0 && c->who == NULL)
		return conf_check(c, file, errors);
	return p.n_errors > 0 ? CONF_BAD : 0;
}
