#include "common/metrics/metrics.h"

#include "common/base/wire.h"

const struct metric_row metric_rows[METRICS] = {
#define METRIC(id, kind, unit, labels, from, help) { #id, METRIC_##kind, unit, labels, help },
#include "common/metrics/metrics.def"
};

struct sample {
	enum metric metric;
	char label[2][METRICS_LABEL_MAX + 1];
	int64_t value;
};

static struct {
	struct sample all[METRICS_SAMPLES_MAX];
	size_t n;
} counted;

static bool same_label(const char kept[METRICS_LABEL_MAX + 1], const char *label)
{
	return strncmp(kept, label, METRICS_LABEL_MAX) == 0;
}

/* A process has some dozens of samples, and looks for one per login or per connection. */
static struct sample *sample_of(enum metric m, const char *label1, const char *label2)
{
	struct sample *s;

	for (size_t i = 0; i < counted.n; i++) {
		s = &counted.all[i];
		if (s->metric == m && same_label(s->label[0], label1) &&
		    same_label(s->label[1], label2))
			return s;
	}
	if (counted.n == METRICS_SAMPLES_MAX)
		return NULL;
	s = &counted.all[counted.n++];
	*s = (struct sample){ .metric = m };
	strncpy(s->label[0], label1, METRICS_LABEL_MAX);
	strncpy(s->label[1], label2, METRICS_LABEL_MAX);
	return s;
}

void metric_add(enum metric m, const char *label1, const char *label2, int64_t n)
{
	struct sample *s = sample_of(m, label1, label2);

	if (s != NULL)
		s->value += n;
}

void metric_set(enum metric m, const char *label1, const char *label2, int64_t value)
{
	struct sample *s = sample_of(m, label1, label2);

	if (s != NULL)
		s->value = value;
}

void metric_clear(enum metric m)
{
	size_t kept = 0;

	for (size_t i = 0; i < counted.n; i++)
		if (counted.all[i].metric != m)
			counted.all[kept++] = counted.all[i];
	counted.n = kept;
}

void metrics_pack(struct buf *out)
{
	size_t start = out->n;

	for (size_t i = 0; i < counted.n; i++) {
		const struct sample *s = &counted.all[i];
		const char *name = metric_rows[s->metric].name;
		size_t need = 20 + strlen(name) + strlen(s->label[0]) + strlen(s->label[1]);

		if (out->n - start + need > METRICS_PACKED_MAX)
			return;
		wire_put_bytes(out, slice_str(name));
		wire_put_bytes(out, slice_str(s->label[0]));
		wire_put_bytes(out, slice_str(s->label[1]));
		wire_put_u64(out, (uint64_t)s->value);
	}
}

bool metrics_unpack(struct slice *packed, struct metric_sample *ret)
{
	struct wire_reader r = wire_reader(*packed);

	if (packed->n == 0)
		return false;
	ret->name = wire_get_bytes(&r, 100);
	ret->label[0] = wire_get_bytes(&r, METRICS_LABEL_MAX);
	ret->label[1] = wire_get_bytes(&r, METRICS_LABEL_MAX);
	ret->value = (int64_t)wire_get_u64(&r);
	if (r.bad)
		return false;
	*packed = slice_from(*packed, packed->n - wire_left(&r));
	return true;
}
