/* put - packed values as text, and what a value may be. */
#include "common/base/wire.h"
#include "common/data/data.h"
#include "common/settings/settings.h"

/* With the largest unit that leaves a whole number. */
static void put_scaled(struct buf *b, uint64_t v, const char *units, const uint64_t *factors)
{
	size_t n = strlen(units);

	while (v > 0 && n-- > 0) {
		if (v % factors[n] != 0)
			continue;
		buf_printf(b, "%llu%c", (unsigned long long)(v / factors[n]), units[n]);
		return;
	}
	buf_putu(b, v);
}

static void put_size(struct buf *b, uint64_t v)
{
	static const uint64_t factors[] = { 1 << 10, 1 << 20, 1 << 30, (uint64_t)1 << 40 };

	if (v == 0)
		buf_puts(b, "unlimited");
	else
		put_scaled(b, v, "KMGT", factors);
}

static void put_duration(struct buf *b, uint64_t v)
{
	static const uint64_t factors[] = { 1, 60, 3600, 86400 };

	put_scaled(b, v, "smhd", factors);
}

static struct slice word(const char *words, uint64_t at)
{
	struct slice rest = slice_str(words);

	while (at-- > 0)
		slice_take(&rest, '|');
	return slice_take(&rest, '|');
}

static unsigned words_count(const char *words)
{
	unsigned n = 1;

	for (const char *p = words; *p != '\0'; p++)
		n += *p == '|';
	return n;
}

/* The number in front is how many words there were when it was written. */
static void put_set(struct buf *b, const char *words, uint64_t bits)
{
	unsigned n = words_count(words);

	if (bits == UINT64_MAX) {
		buf_puts(b, "All");
		return;
	}
	buf_printf(b, "(%u", n);
	for (unsigned i = 0; i < n; i++) {
		if ((bits >> i & 1) == 0)
			continue;
		buf_putc(b, ',');
		data_put_string(b, word(words, i));
	}
	buf_putc(b, ')');
}

static void put_list(struct buf *b, struct slice packed)
{
	struct slice item;
	bool first = true;

	buf_putc(b, '(');
	while (setting_next(&packed, &item))
		data_put_item(b, &first, item);
	buf_putc(b, ')');
}

static void put_pairs(struct buf *b, struct slice packed)
{
	struct slice key, item;

	buf_putc(b, '{');
	while (setting_next(&packed, &key) && setting_next(&packed, &item)) {
		data_put_string(b, key);
		buf_putc(b, '=');
		data_put_string(b, item);
		buf_putc(b, ';');
	}
	buf_putc(b, '}');
}

void setting_put(struct buf *b, enum setting s, struct slice packed)
{
	const struct setting_row *row = &setting_rows[s];

	switch (row->type) {
	case TYPE_YESNO:
		buf_puts(b, setting_number(packed) != 0 ? "YES" : "NO");
		break;
	case TYPE_SIZE:
		put_size(b, setting_number(packed));
		break;
	case TYPE_DURATION:
		put_duration(b, setting_number(packed));
		break;
	case TYPE_CHOICE:
		data_put_string(b, word(row->words, setting_number(packed)));
		break;
	case TYPE_SET:
		put_set(b, row->words, setting_number(packed));
		break;
	case TYPE_STRING:
	case TYPE_ADDRESS:
		data_put_string(b, packed);
		break;
	case TYPE_ADDRESSES:
	case TYPE_NETS:
	case TYPE_LIST:
		put_list(b, packed);
		break;
	case TYPE_PAIRS:
		put_pairs(b, packed);
		break;
	case TYPE_DICT:
		buf_put(b, packed);
		break;
	case TYPE_FLOW:
		buf_printf(b, "(%llu,", (unsigned long long)setting_number(packed));
		put_duration(b, setting_period_s(packed));
		buf_putc(b, ')');
		break;
	default:
		buf_putu(b, setting_number(packed));
	}
}

static void put_words(struct buf *b, const char *words)
{
	struct slice rest = slice_str(words);
	const char *sep = "";

	while (rest.n > 0) {
		buf_puts(b, sep);
		buf_put(b, slice_take(&rest, '|'));
		sep = ", ";
	}
}

void setting_put_type(struct buf *b, enum setting s)
{
	const struct setting_row *row = &setting_rows[s];
	unsigned long long min = row->min, max = row->max;

	switch (row->type) {
	case TYPE_YESNO:
		buf_puts(b, "YES or NO");
		break;
	case TYPE_SIZE:
		buf_puts(b, "a number of bytes, also with K, M, G or T behind it, or unlimited");
		break;
	case TYPE_DURATION:
		buf_puts(b, "a number with s, m, h, d or w behind it, at most ");
		put_duration(b, row->max);
		break;
	case TYPE_CHOICE:
		buf_puts(b, "one of: ");
		put_words(b, row->words);
		break;
	case TYPE_SET:
		buf_puts(b, "All, or an array of: ");
		put_words(b, row->words);
		break;
	case TYPE_STRING:
		buf_printf(b, "one line of at most %llu bytes", max);
		break;
	case TYPE_ADDRESS:
		buf_printf(b, "an address of at most %llu bytes", max);
		break;
	case TYPE_ADDRESSES:
		buf_printf(b, "an array of at most %llu addresses or *@domain", min);
		break;
	case TYPE_NETS:
		buf_printf(b,
		    "an array of at most %llu IP addresses, address-address or address/bits", min);
		break;
	case TYPE_LIST:
		buf_printf(
		    b, "an array of at most %llu names, each of at most %llu bytes", min, max);
		break;
	case TYPE_PAIRS:
		buf_printf(
		    b, "a dictionary of at most %llu names, each of at most %llu bytes", min, max);
		break;
	case TYPE_DICT:
		buf_printf(b, "a dictionary of at most %llu keys and %llu bytes", min, max);
		break;
	case TYPE_FLOW:
		buf_printf(b, "(count, period) with a count of %llu to %llu", min, max);
		break;
	default:
		buf_printf(b, "a number, %llu to %llu", min, max);
	}
}
