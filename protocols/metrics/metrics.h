/*
 * metrics - the figures of the suite as OpenMetrics text, over the least HTTP/1.1 that a scraper
 * needs.
 *
 * A pure core (common/front/port.h). One request, one answer, then the connection is closed. It may
 * read figures and nothing else: its only channel leads to its acceptor, and knows one question.
 */
#pragma once

#include "common/front/port.h"

extern const struct front_core metrics_core;

/*
 * Pure: the OpenMetrics exposition of `packed` (metrics_pack() of several processes, one after the
 * other), ended by "# EOF". What is malformed, or of no row of metrics.def, is left out.
 */
void metrics_render(struct slice packed, struct buf *out);
