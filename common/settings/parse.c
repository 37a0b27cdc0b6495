/* parse - one value from the admin data format to its packed form. */
#include "common/base/addr_range.h"
#include "common/base/wire.h"
#include "common/data/data.h"
#include "common/settings/settings.h"

#include <stdio.h>

struct input {
	const struct setting_row *row;
	struct buf *out;
};

/* A word or number as text; false for anything else. */
static bool scalar(const struct data *d, struct slice *ret)
{
	if (d == NULL || (d->kind != DATA_STRING && d->kind != DATA_NUMBER))
		return false;
	*ret = d->text;
	return true;
}

/* Digits with an optional unit, one of the letters in `units`, worth factors[i]; at most `max`. */
static bool scaled(
    struct slice s, const char *units, const uint64_t *factors, uint64_t max, uint64_t *ret)
{
	uint64_t factor = 1;
	const char *at;

	if (s.n > 1 && !ascii_digit(s.p[s.n - 1])) {
		at = strchr(units, ascii_lower(s.p[s.n - 1]));
		if (at == NULL || *at == '\0')
			return false;
		factor = factors[at - units];
		s.n--;
	}
	if (slice_u64(s, max / factor, ret) != 0)
		return false;
	*ret *= factor;
	return true;
}

static bool size_of(struct slice s, uint64_t max, uint64_t *ret)
{
	static const uint64_t factors[] = { 1 << 10, 1 << 20, 1 << 30, (uint64_t)1 << 40 };

	if (slice_ieq(s, SLICE("unlimited"))) {
		*ret = 0;
		return true;
	}
	return scaled(s, "kmgt", factors, max, ret);
}

static bool duration_of(struct slice s, uint64_t max, uint64_t *ret)
{
	static const uint64_t factors[] = { 1, 60, 3600, 86400, 604800 };

	return scaled(s, "smhdw", factors, max, ret);
}

/* Number of the word in "a|b c", in any case; -1 when it is none of them. */
static int word_index(const char *words, struct slice s)
{
	struct slice rest = slice_str(words);

	for (int i = 0; rest.n > 0; i++)
		if (slice_ieq(slice_take(&rest, '|'), s))
			return i;
	return -1;
}

static bool take_number(struct input *in, const struct data *d)
{
	const struct setting_row *row = in->row;
	uint64_t v = 0;
	struct slice s;
	bool good;
	int at;

	if (!scalar(d, &s))
		return false;
	switch (row->type) {
	case TYPE_YESNO:
		v = slice_ieq(s, SLICE("YES"));
		good = v == 1 || slice_ieq(s, SLICE("NO"));
		break;
	case TYPE_SIZE:
		good = size_of(s, row->max, &v);
		break;
	case TYPE_DURATION:
		good = duration_of(s, row->max, &v) && v >= row->min;
		break;
	case TYPE_CHOICE:
		at = word_index(row->words, s);
		good = at >= 0;
		v = good ? (uint64_t)at : 0;
		break;
	default:
		good = slice_u64(s, row->max, &v) == 0 && v >= row->min;
	}
	if (good)
		wire_put_u64(in->out, v);
	return good;
}

/* All, None, one word, or an array of words; its first element may be a number, which says nothing.
 */
static bool take_set(struct input *in, const struct data *d)
{
	const struct data *at = d->kind == DATA_ARRAY ? d->first : d;
	uint64_t bits = 0, ignored;
	struct slice s;
	int bit;

	if (d->kind == DATA_STRING && slice_ieq(d->text, SLICE("All"))) {
		wire_put_u64(in->out, UINT64_MAX);
		return true;
	}
	if (d->kind == DATA_STRING && slice_ieq(d->text, SLICE("None")))
		at = NULL;
	for (; at != NULL; at = d->kind == DATA_ARRAY ? at->next : NULL) {
		if (!scalar(at, &s))
			return false;
		if (d->kind == DATA_ARRAY && at == d->first &&
		    slice_u64(s, UINT64_MAX, &ignored) == 0)
			continue;
		bit = word_index(in->row->words, s);
		if (bit < 0)
			return false;
		bits |= (uint64_t)1 << bit;
	}
	wire_put_u64(in->out, bits);
	return true;
}

static bool text_good(struct slice s, size_t max, bool blanks)
{
	if (s.n > max)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < ' ' || s.p[i] == 0x7f || (s.p[i] == ' ' && !blanks))
			return false;
	return true;
}

static bool take_text(struct input *in, const struct data *d)
{
	struct slice s;

	if (!scalar(d, &s) || !text_good(s, in->row->max, in->row->type == TYPE_STRING))
		return false;
	buf_put(in->out, s);
	return true;
}

/* local@domain, in lower case; the local part may be '*'. */
static bool address_good(struct slice s, uint8_t *lower)
{
	ptrdiff_t at = slice_rfind(s, '@');

	if (at <= 0 || (size_t)at + 1 == s.n || slice_find(s, ',') >= 0)
		return false;
	for (size_t i = 0; i < s.n; i++)
		lower[i] = ascii_lower(s.p[i]);
	return true;
}

static bool put_item(struct input *in, struct slice s)
{
	uint8_t lower[1024];
	char net_text[ADDR_RANGE_TEXT_MAX];
	struct addr_range net;

	if (s.n == 0 || !text_good(s, in->row->max, in->row->type != TYPE_ADDRESSES))
		return false;
	if (in->row->type == TYPE_ADDRESSES) {
		if (s.n > sizeof(lower) || !address_good(s, lower))
			return false;
		s = slice_of(lower, s.n);
	}
	if (in->row->type == TYPE_NETS) {
		if (addr_range_parse(s, &net) != 0)
			return false;
		s = slice_str(addr_range_text(&net, net_text));
	}
	wire_put_u16(in->out, (uint16_t)s.n);
	buf_put(in->out, s);
	return true;
}

static bool take_list(struct input *in, const struct data *d)
{
	uint64_t n = 0;
	struct slice s;

	if (d->kind == DATA_STRING)
		return put_item(in, d->text);
	if (d->kind != DATA_ARRAY)
		return false;
	for (const struct data *v = d->first; v != NULL; v = v->next)
		if (++n > in->row->min || !scalar(v, &s) || !put_item(in, s))
			return false;
	return true;
}

static bool take_pairs(struct input *in, const struct data *d)
{
	uint64_t n = 0;
	struct slice s;

	/* An empty array is what some clients send for an empty dictionary. */
	if (d->kind == DATA_ARRAY && d->first == NULL)
		return true;
	if (d->kind != DATA_DICT)
		return false;
	for (const struct data *v = d->first; v != NULL; v = v->next)
		if (++n > in->row->min || !scalar(v, &s) || !put_item(in, v->key) ||
		    !put_item(in, s))
			return false;
	return true;
}

static bool has_key(const struct data *until, const struct data *d)
{
	for (const struct data *v = d->first; v != until; v = v->next)
		if (slice_ieq(v->key, until->key))
			return true;
	return false;
}

static bool take_dict(struct input *in, const struct data *d)
{
	size_t before = in->out->n;
	uint64_t n = 0;

	if (d->kind == DATA_ARRAY && d->first == NULL) {
		buf_puts(in->out, "{}");
		return true;
	}
	if (d->kind != DATA_DICT)
		return false;
	for (const struct data *v = d->first; v != NULL; v = v->next)
		if (++n > in->row->min || v->key.n == 0 || has_key(v, d))
			return false;
	data_put(in->out, d);
	return in->out->n - before <= in->row->max;
}

static bool take_flow(struct input *in, const struct data *d)
{
	struct slice count, period;
	uint64_t n, s;

	if (d->kind != DATA_ARRAY || !scalar(d->first, &count) ||
	    !scalar(d->first->next, &period) || d->first->next->next != NULL)
		return false;
	if (slice_u64(count, in->row->max, &n) != 0 || n < in->row->min ||
	    !duration_of(period, 86400 * 366, &s) || s == 0)
		return false;
	wire_put_u64(in->out, n);
	wire_put_u64(in->out, s);
	return true;
}

static bool take(struct input *in, const struct data *d)
{
	switch (in->row->type) {
	case TYPE_SET:
		return take_set(in, d);
	case TYPE_STRING:
	case TYPE_ADDRESS:
		return take_text(in, d);
	case TYPE_ADDRESSES:
	case TYPE_NETS:
	case TYPE_LIST:
		return take_list(in, d);
	case TYPE_PAIRS:
		return take_pairs(in, d);
	case TYPE_DICT:
		return take_dict(in, d);
	case TYPE_FLOW:
		return take_flow(in, d);
	default:
		return take_number(in, d);
	}
}

static const char *what_it_is(enum setting s)
{
	static char text[700];
	struct buf b = BUF_INIT(sizeof(text) - 1);

	buf_printf(&b, "%s is ", setting_rows[s].name);
	setting_put_type(&b, s);
	snprintf(text, sizeof(text), "%.*s", SLICE_FMT(buf_slice(&b)));
	buf_fini(&b);
	return text;
}

int setting_parse(enum setting s, struct slice text, struct buf *ret, const char **ret_why)
{
	struct buf packed = BUF_INIT(SETTING_PACKED_MAX);
	struct input in = { &setting_rows[s], &packed };
	struct arena mem;
	struct data *d = NULL;
	bool good = false;

	*ret_why = "the value of the setting is too long";
	arena_init(&mem, 1 << 20);
	if (text.n <= SETTING_TEXT_MAX) {
		d = data_parse(&mem, &text, ret_why);
		data_skip_blanks(&text);
	}
	if (d != NULL) {
		*ret_why = what_it_is(s);
		good = text.n == 0 && take(&in, d) && !packed.overflow;
	}
	if (good)
		buf_put(ret, buf_slice(&packed));
	buf_fini(&packed);
	arena_fini(&mem);
	return good && !ret->overflow ? 0 : 1;
}
