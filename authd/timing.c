/*
 * timing - how long logins take to their account, for the figures: what the password's check does
 * not count for.
 */
#include "authd/dialogue-private.h"

#include "common/base/clock.h"
#include "common/metrics/metrics.h"

static void count(const char *step, int64_t ns)
{
	static const struct {
		int64_t ns;
		const char *ms;
	} rows[] = { { 50000, "0.05" }, { 100000, "0.1" }, { 200000, "0.2" }, { 500000, "0.5" },
		{ 1000000, "1" }, { 2000000, "2" }, { 5000000, "5" }, { 10000000, "10" } };
	const char *within = "more";

	for (size_t i = sizeof(rows) / sizeof(rows[0]); i > 0 && ns <= rows[i - 1].ns; i--)
		within = rows[i - 1].ms;
	metric_add(METRIC_login_steps, step, within, 1);
}

void timing_heard(struct dialogue *d)
{
	d->heard_ns = clock_mono_ns();
}

void timing_asked(struct dialogue *d)
{
	d->asked_ns = clock_mono_ns();
}

void timing_routed(struct dialogue *d)
{
	int64_t now = clock_mono_ns();

	count("ask", now - d->asked_ns);
	if (d->heard_ns != 0)
		count("name", now - d->heard_ns);
	d->heard_ns = 0;
}
