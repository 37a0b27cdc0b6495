/*
 * pack - a conf as bytes (out of the process that parsed it) and as the slice of one program.
 *
 * Packed: u32 version, the top, u32 number of sections, each u32 kind, name, line and its values;
 * values are u32 key, u32 line, text, ended by CONF_KEYS. Defaults are left out.
 */
#include "common/conf/conf-private.h"

#include "common/base/wire.h"
#include "common/conf/limits.h"

#include <errno.h>

enum { PACK_VERSION = 0x67680001 };

static void pack_values(const struct conf_section *s, struct buf *out)
{
	for (uint32_t k = 0; k < CONF_KEYS; k++) {
		if (s->v[k].line == 0)
			continue;
		wire_put_u32(out, k);
		wire_put_u32(out, s->v[k].line);
		wire_put_bytes(out, slice_str(s->v[k].text));
	}
	wire_put_u32(out, CONF_KEYS);
}

void conf_pack(const struct conf *c, struct buf *out)
{
	wire_put_u32(out, PACK_VERSION);
	pack_values(&c->top, out);
	wire_put_u32(out, (uint32_t)c->n_sections);
	for (size_t i = 0; i < c->n_sections; i++) {
		wire_put_u32(out, c->sections[i].kind);
		wire_put_u32(out, c->sections[i].line);
		wire_put_bytes(out, slice_str(c->sections[i].name));
		pack_values(&c->sections[i], out);
	}
}

static int unpack_values(struct wire_reader *r, struct conf_section *s)
{
	struct buf why = BUF_INIT(512);
	int ret = 0;

	while (ret == 0) {
		uint32_t k = wire_get_u32(r);
		uint32_t line;
		struct slice text;

		if (r->bad || k >= CONF_KEYS)
			break;
		line = wire_get_u32(r);
		text = wire_get_bytes(r, CONF_VALUE_MAX);
		if (r->bad || line == 0 || s->v[k].line != 0 || conf_section_of(k) != s->kind ||
		    conf_rows[k].type == CONF_T_SECTION) {
			r->bad = true;
			break;
		}
		ret = conf_value_set(&s->v[k], k, text, &why);
		s->v[k].line = line;
	}
	buf_fini(&why);
	return r->bad ? CONF_BAD : ret;
}

static int unpack_section(struct wire_reader *r, struct conf *c)
{
	uint32_t kind = wire_get_u32(r);
	uint32_t line = wire_get_u32(r);
	struct slice name = wire_get_bytes(r, CONF_WORD_MAX);
	struct conf_section *s;

	if (r->bad || kind >= CONF_KEYS || conf_rows[kind].type != CONF_T_SECTION || name.n == 0 ||
	    slice_find(name, 0) >= 0)
		return CONF_BAD;
	s = conf_section_add(c, kind, name);
	if (s == NULL)
		return -ENOMEM;
	s->line = line;
	return unpack_values(r, s);
}

int conf_unpack(struct conf *c, struct slice packed)
{
	struct wire_reader r = wire_reader(packed);
	struct buf errors = BUF_INIT(CONF_ERRORS_BYTES);
	uint32_t n;
	int ret;

	if (wire_get_u32(&r) != PACK_VERSION)
		return CONF_BAD;
	ret = unpack_values(&r, &c->top);
	n = wire_get_u32(&r);
	if (n > CONF_SECTIONS_MAX)
		return CONF_BAD;
	for (uint32_t i = 0; i < n && ret == 0; i++)
		ret = unpack_section(&r, c);
	if (ret == 0 && !wire_done(&r))
		ret = CONF_BAD;
	if (ret == 0)
		ret = conf_check(c, "", &errors);
	buf_fini(&errors);
	return ret;
}

void conf_slice_for(const struct conf *c, const char *who, struct buf *out)
{
	for (int k = 0; k < CONF_KEYS; k++) {
		if (conf_section_of(k) != CONF_KEYS || !conf_receives(k, who))
			continue;
		buf_printf(out, "%s = \"%s\"\n", conf_rows[k].name, c->top.v[k].text);
	}
}
