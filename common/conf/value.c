/*
 * value - one option's text, checked by its row and brought into its canonical form.
 */
#include "common/conf/conf-private.h"

#include "common/base/checked.h"
#include "common/conf/limits.h"

#include <errno.h>

struct unit {
	const char *word;
	uint64_t factor;
};

static const struct unit duration_units[] = {
	{ "ms", 1 },
	{ "s", 1000 },
	{ "m", 60 * 1000 },
	{ "h", 3600 * 1000 },
	{ "d", 86400 * 1000 },
	{ NULL, 0 },
};

static const struct unit size_units[] = {
	{ "", 1 },
	{ "B", 1 },
	{ "K", 1024 },
	{ "M", 1024 * 1024 },
	{ "G", 1024 * 1024 * 1024 },
	{ NULL, 0 },
};

static int bad(struct buf *why, const char *what)
{
	buf_puts(why, what);
	return CONF_BAD;
}

/* Digits, then one of the units: 0 or CONF_BAD. A bare 0 needs no unit. */
static int parse_scaled(struct slice text, const struct unit *units, uint64_t *ret)
{
	size_t digits = 0;
	struct slice unit;
	uint64_t n;

	while (digits < text.n && ascii_digit(text.p[digits]))
		digits++;
	unit = slice_from(text, digits);
	if (digits == 0 || slice_u64(slice_part(text, 0, digits), UINT64_MAX, &n) != 0)
		return CONF_BAD;
	if (n == 0 && unit.n == 0) {
		*ret = 0;
		return 0;
	}
	for (; units->word != NULL; units++)
		if (slice_eq(unit, slice_str(units->word)))
			return __builtin_mul_overflow(n, units->factor, ret) ? CONF_BAD : 0;
	return CONF_BAD;
}

static int parse_octal(struct slice text, uint64_t *ret)
{
	uint64_t n = 0;

	if (text.n == 0 || text.n > 5)
		return CONF_BAD;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '7')
			return CONF_BAD;
		n = n * 8 + (uint64_t)(text.p[i] - '0');
	}
	*ret = n;
	return 0;
}

static int check_range(const struct conf_row *row, uint64_t n, struct buf *why)
{
	if (n >= row->min && n <= row->max)
		return 0;
	buf_printf(why, "must be from %llu to %llu", (unsigned long long)row->min,
	    (unsigned long long)row->max);
	if (row->type == CONF_T_DURATION)
		buf_puts(why, " ms");
	return CONF_BAD;
}

static int set_number(const struct conf_row *row, struct slice text, struct buf *out,
    uint64_t *ret_num, struct buf *why)
{
	int r;

	switch (row->type) {
	case CONF_T_DURATION:
		if (parse_scaled(text, duration_units, ret_num) != 0)
			return bad(why, "is not a duration such as 250ms, 30s, 10m, 2h or 1d");
		break;
	case CONF_T_SIZE:
		if (parse_scaled(text, size_units, ret_num) != 0)
			return bad(why, "is not a size such as 1000, 64K, 10M or 2G");
		break;
	case CONF_T_MODE:
		if (parse_octal(text, ret_num) != 0)
			return bad(why, "is not an octal file mode such as 0660");
		break;
	default:
		if (slice_u64(text, UINT64_MAX, ret_num) != 0)
			return bad(why, "is not a number");
	}
	r = check_range(row, *ret_num, why);
	if (r == 0)
		buf_printf(
		    out, row->type == CONF_T_MODE ? "0%llo" : "%llu", (unsigned long long)*ret_num);
	if (row->type == CONF_T_DURATION && *ret_num != 0)
		buf_puts(out, "ms");
	return r;
}

static int set_bool(struct slice text, struct buf *out, uint64_t *ret_num, struct buf *why)
{
	if (!slice_eq(text, SLICE("yes")) && !slice_eq(text, SLICE("no")))
		return bad(why, "must be yes or no");
	*ret_num = slice_eq(text, SLICE("yes"));
	return buf_put(out, text);
}

/* Index of `word` in `list`, ASCII case ignored; the list's own spelling is returned. */
static int word_find(const char *list, struct slice word, struct slice *ret_spelling)
{
	struct slice rest = slice_str(list);

	for (int i = 0; rest.n > 0; i++) {
		struct slice w = slice_take(&rest, ' ');

		if (slice_ieq(w, word)) {
			*ret_spelling = w;
			return i;
		}
	}
	return -1;
}

static int set_word(const struct conf_row *row, struct slice text, struct buf *out,
    uint64_t *ret_num, struct buf *why)
{
	struct slice w;
	int i = word_find(row->words, text, &w);

	if (i < 0) {
		buf_printf(why, "must be one of: %s", row->words);
		return CONF_BAD;
	}
	*ret_num = (uint64_t)i;
	return buf_put(out, w);
}

static bool is_gap(uint8_t c)
{
	return c == ' ' || c == '\t' || c == ',';
}

static struct slice take_item(struct slice *rest)
{
	size_t a = 0, b;

	while (a < rest->n && is_gap(rest->p[a]))
		a++;
	for (b = a; b < rest->n && !is_gap(rest->p[b]); b++)
		;
	struct slice item = slice_part(*rest, a, b - a);
	*rest = slice_from(*rest, b);
	return item;
}

static int set_wordlist(
    const struct conf_row *row, struct slice text, struct buf *out, struct buf *why)
{
	struct slice item, w;
	uint64_t seen = 0;

	while ((item = take_item(&text)).n > 0) {
		int i = word_find(row->words, item, &w);

		if (i < 0) {
			buf_printf(why, "\"%.*s\" is none of: %s", SLICE_FMT(item), row->words);
			return CONF_BAD;
		}
		if (seen >> i & 1)
			continue;
		seen |= UINT64_C(1) << i;
		if (out->n > 0)
			buf_putc(out, ' ');
		buf_put(out, w);
	}
	return 0;
}

/* 192.0.2.1  192.0.2.0/24  192.0.2.1-192.0.2.9, with '!' in front: not these. */
static int parse_net(struct slice item, struct conf_net *ret)
{
	struct slice host;
	uint64_t bits;

	ret->except = item.p[0] == '!';
	if (ret->except)
		item = slice_from(item, 1);
	if (addr_range_parse(item, &ret->range) != 0)
		return CONF_BAD;
	ret->single = memcmp(ret->range.from, ret->range.to, sizeof(ret->range.to)) == 0;
	host = slice_take(&item, slice_find(item, '-') >= 0 ? '-' : '/');
	if (addr_parse_ip(host, &ret->addr) != 0)
		return CONF_BAD;
	ret->bits = ret->addr.family == 4 ? 32 : 128;
	if (item.n > 0 && slice_u64(item, ret->bits, &bits) == 0)
		ret->bits = (unsigned)bits;
	return 0;
}

bool conf_next_net(struct slice *text, struct conf_net *ret)
{
	struct slice item = take_item(text);

	return item.n > 0 && parse_net(item, ret) == 0;
}

static int set_nets(struct slice text, struct buf *out, struct buf *why)
{
	struct slice item;
	struct conf_net net;
	bool some = false, taken_away = false;

	while ((item = take_item(&text)).n > 0) {
		if (parse_net(item, &net) != 0) {
			buf_printf(why, "\"%.*s\" is not an address, ADDRESS-ADDRESS or network",
			    SLICE_FMT(item));
			return CONF_BAD;
		}
		some |= !net.except;
		taken_away |= net.except;
		if (out->n > 0)
			buf_putc(out, ' ');
		buf_put(out, item);
	}
	return taken_away && !some ? bad(why, "takes addresses away, but lists none") : 0;
}

static bool is_name_byte(uint8_t c)
{
	return ascii_alpha(c) || ascii_digit(c) || c == '-' || c == '.' || c == '_' || c >= 0x80;
}

static int set_text(const struct conf_row *row, struct slice text, struct buf *out, struct buf *why)
{
	if (text.n > row->max) {
		buf_printf(why, "is longer than %llu bytes", (unsigned long long)row->max);
		return CONF_BAD;
	}
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < ' ' || text.p[i] == 0x7f)
			return bad(why, "holds a control character");
		if (text.p[i] == '"')
			return bad(why, "holds a double quote");
		if (row->type == CONF_T_NAME && !is_name_byte(text.p[i]))
			return bad(why, "is not a host or domain name");
	}
	if (row->type == CONF_T_PATH && text.n > 0 && text.p[0] != '/')
		return bad(why, "must be an absolute path");
	return buf_put(out, text);
}

static int set_any(const struct conf_row *row, struct slice text, struct buf *out,
    uint64_t *ret_num, struct buf *why)
{
	switch (row->type) {
	case CONF_T_NUMBER:
	case CONF_T_DURATION:
	case CONF_T_SIZE:
	case CONF_T_MODE:
		return set_number(row, text, out, ret_num, why);
	case CONF_T_BOOL:
		return set_bool(text, out, ret_num, why);
	case CONF_T_WORD:
		return set_word(row, text, out, ret_num, why);
	case CONF_T_WORDLIST:
		return set_wordlist(row, text, out, why);
	case CONF_T_NETS:
		return set_nets(text, out, why);
	default:
		return set_text(row, text, out, why);
	}
}

int conf_value_set(struct conf_value *v, enum conf_key k, struct slice text, struct buf *why)
{
	struct buf out = BUF_INIT(CONF_VALUE_MAX);
	uint64_t num = 0;
	char *s = NULL;
	int r;

	if (text.n >= CONF_VALUE_MAX)
		r = bad(why, "is too long");
	else
		r = set_any(&conf_rows[k], text, &out, &num, why);
	if (r == 0) {
		s = strndup(out.n > 0 ? (const char *)out.p : "", out.n);
		if (s == NULL || out.overflow)
			r = -ENOMEM;
	}
	buf_fini(&out);
	if (r != 0) {
		free(s);
		return r;
	}
	free(v->text);
	v->text = s;
	v->num = num;
	return 0;
}

bool conf_net_holds(const struct conf_net *net, const struct addr *a)
{
	unsigned whole = net->bits / 8, rest = net->bits % 8;

	if (a->family != net->addr.family)
		return false;
	if (memcmp(a->ip, net->addr.ip, whole) != 0)
		return false;
	return rest == 0 || (a->ip[whole] ^ net->addr.ip[whole]) >> (8 - rest) == 0;
}

bool conf_nets_hold(struct slice text, const struct addr *a)
{
	struct addr_range one;
	struct conf_net net;
	bool in = false;

	if (a->family != 4 && a->family != 6)
		return false;
	one = addr_range_one(a);
	while (conf_next_net(&text, &net)) {
		if (!addr_range_meets(&net.range, &one))
			continue;
		if (net.except)
			return false;
		in = true;
	}
	return in;
}
