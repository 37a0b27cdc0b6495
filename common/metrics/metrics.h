/*
 * metrics - the figures that a process counts about itself; master collects them, the metrics door
 * shows them.
 *
 * A process counts by the rows of metrics.def; a row may have a value for each pair of its labels'
 * values, METRICS_SAMPLES_MAX in all: what does not fit is not counted. Label values are words of
 * ours. One thread.
 */
#pragma once

#include "common/base/buf.h"

enum {
	METRICS_SAMPLES_MAX = 256,
	METRICS_LABEL_MAX = 40,    /* bytes of a label's value; longer ones are cut */
	METRICS_PACKED_MAX = 49152 /* of one process */
};

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_INFO };

enum metric {
#define METRIC(id, kind, unit, labels, from, help) METRIC_##id,
#include "common/metrics/metrics.def"
	METRICS
};

struct metric_row {
	const char *name; /* without the prefix */
	enum metric_kind kind;
	const char *unit, *labels, *help;
};

extern const struct metric_row metric_rows[METRICS];

/* More of it; less of a gauge with a negative n. Label values that the row does not have are "". */
void metric_add(enum metric m, const char *label1, const char *label2, int64_t n);
/* What it is now: gauges, and counters that are kept elsewhere. */
void metric_set(enum metric m, const char *label1, const char *label2, int64_t value);
/* All samples of a row go: for gauges that are counted anew. */
void metric_clear(enum metric m);

/*
 * For other processes: name, two label values (each u32 length + bytes), value (u64, two's
 * complement), one after the other. At most METRICS_PACKED_MAX bytes are appended.
 */
void metrics_pack(struct buf *out);

/* The next one of `packed`, which is advanced; false at its end or when the rest is malformed. */
struct metric_sample {
	struct slice name, label[2];
	int64_t value;
};
bool metrics_unpack(struct slice *packed, struct metric_sample *ret);
