#include "protocols/metrics/metrics.h"

#include "common/metrics/metrics.h"
#include "protocols/metrics/limits.h"

#include <inttypes.h>

struct rows {
	struct metric_sample s[METRICS_ROW_SAMPLES_MAX];
	size_t n;
};

static bool same_labels(const struct metric_sample *a, const struct metric_sample *b)
{
	return slice_eq(a->label[0], b->label[0]) && slice_eq(a->label[1], b->label[1]);
}

/* The samples of one row; those with the same labels, from several processes, are one. */
static void collect(struct rows *to, const char *name, struct slice packed)
{
	struct metric_sample s;
	size_t i;

	to->n = 0;
	while (metrics_unpack(&packed, &s)) {
		if (!slice_eq(s.name, slice_str(name)))
			continue;
		for (i = 0; i < to->n && !same_labels(&to->s[i], &s); i++)
			;
		if (i < to->n)
			to->s[i].value = (int64_t)((uint64_t)to->s[i].value + (uint64_t)s.value);
		else if (to->n < METRICS_ROW_SAMPLES_MAX)
			to->s[to->n++] = s;
	}
}

/* Words of ours; whoever sends something else cannot break out of the quotes. */
static void put_value(struct buf *out, struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_putc(out, '\\');
		buf_putc(out, s.p[i] >= ' ' && s.p[i] < 0x7f ? s.p[i] : '?');
	}
}

static void put_labels(struct buf *out, struct slice names, const struct metric_sample *s)
{
	for (int i = 0; i < 2 && names.n > 0; i++) {
		buf_puts(out, i == 0 ? "{" : ",");
		buf_put(out, slice_take(&names, ' '));
		buf_puts(out, "=\"");
		put_value(out, s->label[i]);
		buf_putc(out, '"');
		if (names.n == 0)
			buf_putc(out, '}');
	}
}

static void put_row(struct buf *out, const struct metric_row *row, const struct rows *samples)
{
	static const char *const types[] = { "counter", "gauge", "info" };
	static const char *const ends[] = { "_total", "", "_info" };

	if (samples->n == 0)
		return;
	buf_printf(out, "# TYPE gatehouse_%s %s\n", row->name, types[row->kind]);
	if (row->unit[0] != '\0')
		buf_printf(out, "# UNIT gatehouse_%s %s\n", row->name, row->unit);
	buf_printf(out, "# HELP gatehouse_%s %s\n", row->name, row->help);
	for (size_t i = 0; i < samples->n; i++) {
		buf_printf(out, "gatehouse_%s%s", row->name, ends[row->kind]);
		put_labels(out, slice_str(row->labels), &samples->s[i]);
		buf_printf(out, " %" PRId64 "\n", samples->s[i].value);
	}
}

void metrics_render(struct slice packed, struct buf *out)
{
	static struct rows rows; /* one thread, and too large for a stack */

	for (int i = 0; i < METRICS; i++) {
		collect(&rows, metric_rows[i].name, packed);
		put_row(out, &metric_rows[i], &rows);
	}
	buf_puts(out, "# EOF\n");
}
