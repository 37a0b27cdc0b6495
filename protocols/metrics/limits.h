/* limits - what one reader of figures may cost. */
#pragma once

enum {
	METRICS_LINE_MAX = 4096,  /* the request line, or a header line, with CR LF */
	METRICS_HEAD_MAX = 16384, /* all of them */
	METRICS_HEADERS_MAX = 64,
	METRICS_REQUEST_MS = 10000,  /* for the request */
	METRICS_ANSWER_MS = 10000,   /* for the figures */
	METRICS_PARTS_MAX = 1 << 20, /* bytes of all processes' figures */
	METRICS_ROW_SAMPLES_MAX = 400,
	METRICS_TEXT_MAX = 1 << 20,
};
