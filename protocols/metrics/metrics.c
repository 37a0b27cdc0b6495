#include "protocols/metrics/metrics.h"

#include "common/front/line.h"
#include "protocols/metrics/limits.h"

#include <stdlib.h>

enum state {
	READ_REQUEST, /* the first line */
	READ_HEADERS,
	ASKED, /* the acceptor collects */
	DONE,
};

struct metrics {
	struct front_port *port;
	struct line_reader lines;
	enum state state;
	size_t head, headers, hosts;
	bool old, head_only; /* HTTP/1.0; HEAD */
	const char *error;   /* status line of the answer, once it is known */
	const char *more;    /* and a header of it */
	struct buf parts;
};

/* ---- the answer ---- */

static void answer(struct metrics *h, const char *status, struct slice body, const char *type)
{
	struct buf *out = &h->port->out;

	buf_printf(out,
	    "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
	    "Cache-Control: no-store\r\n%sConnection: close\r\n\r\n",
	    status, type, body.n, h->more != NULL ? h->more : "");
	if (!h->head_only)
		buf_put(out, body);
	h->state = DONE;
	h->port->busy = false;
	h->port->want_close = true;
}

static void answer_error(struct metrics *h, const char *status)
{
	struct buf body = BUF_INIT(200);

	buf_printf(&body, "%s\n", status);
	answer(h, status, buf_slice(&body), "text/plain; charset=utf-8");
	buf_fini(&body);
}

static void answer_figures(struct metrics *h)
{
	struct buf text = BUF_INIT(METRICS_TEXT_MAX);

	metrics_render(buf_slice(&h->parts), &text);
	if (text.overflow || h->parts.overflow)
		answer_error(h, "503 Service Unavailable");
	else
		answer(h, "200 OK", buf_slice(&text),
		    "application/openmetrics-text; version=1.0.0; charset=utf-8");
	buf_fini(&text);
}

/* ---- the request, RFC 9112 ---- */

/* The first error stands; it is answered when the head has ended. */
static void wrong(struct metrics *h, const char *status)
{
	if (h->error == NULL)
		h->error = status;
}

static bool is_token(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_alpha(s.p[i]) && !ascii_digit(s.p[i]) &&
		    memchr("!#$%&'*+-.^_`|~", s.p[i], 15) == NULL)
			return false;
	return s.n > 0;
}

/* Origin form, or the absolute form that a proxy sends (3.2.2); a query is nothing to us. */
static bool is_ours(struct slice target)
{
	if (slice_istarts(target, SLICE("http://"))) {
		target = slice_from(target, 7);
		slice_take(&target, '/');
		return slice_eq(slice_take(&target, '?'), SLICE("metrics"));
	}
	return slice_eq(slice_take(&target, '?'), SLICE("/metrics"));
}

static void on_request(struct metrics *h, struct slice line)
{
	struct slice method = slice_take(&line, ' '), target = slice_take(&line, ' ');

	if (!is_token(method) || target.n == 0 || line.n != 8 ||
	    !slice_starts(line, SLICE("HTTP/")) || !ascii_digit(line.p[5]) || line.p[6] != '.' ||
	    !ascii_digit(line.p[7])) {
		answer_error(h, "400 Bad Request");
		return;
	}
	h->state = READ_HEADERS;
	h->old = line.p[7] == '0';
	h->head_only = slice_eq(method, SLICE("HEAD"));
	if (line.p[5] != '1') {
		wrong(h, "505 HTTP Version Not Supported");
	} else if (!is_ours(target)) {
		wrong(h, "404 Not Found");
	} else if (!h->head_only && !slice_eq(method, SLICE("GET"))) {
		h->more = "Allow: GET, HEAD\r\n";
		wrong(h, "405 Method Not Allowed");
	}
}

/*
 * Only names that cannot be somebody else's: a page in a browser that resolved its own name to
 * loopback is not to read the figures. Over a Unix socket the name says nothing.
 */
static bool host_right(const struct metrics *h, struct slice value)
{
	struct slice name = value;
	struct addr a;
	ptrdiff_t end;

	if (h->port->facts->peer.family == 1)
		return true;
	if (value.n > 0 && value.p[0] == '[') {
		end = slice_find(value, ']');
		return end > 0 && addr_parse_ip(slice_part(value, 1, (size_t)end - 1), &a) == 0;
	}
	name = slice_take(&value, ':');
	return slice_ieq(name, SLICE("localhost")) || slice_ieq(name, h->port->facts->host) ||
	       addr_parse_ip(name, &a) == 0;
}

static void on_header(struct metrics *h, struct slice line)
{
	ptrdiff_t colon = slice_find(line, ':');
	struct slice name = slice_part(line, 0, colon > 0 ? (size_t)colon : 0), value;

	/* Also a folded line (5.2), which starts with a blank. */
	if (!is_token(name) || ++h->headers > METRICS_HEADERS_MAX) {
		answer_error(h, "400 Bad Request");
		return;
	}
	value = slice_trim(slice_from(line, (size_t)colon + 1));
	if (slice_ieq(name, SLICE("Host"))) {
		h->hosts++;
		if (!host_right(h, value))
			wrong(h, "421 Misdirected Request");
	} else if (slice_ieq(name, SLICE("Transfer-Encoding")) ||
		   (slice_ieq(name, SLICE("Content-Length")) && !slice_eq(value, SLICE("0")))) {
		wrong(h, "413 Content Too Large");
	}
}

static void on_head_end(struct metrics *h)
{
	if (h->hosts > 1 || (h->hosts == 0 && !h->old)) {
		answer_error(h, "400 Bad Request"); /* RFC 9112 3.2 */
		return;
	}
	if (h->error != NULL) {
		answer_error(h, h->error);
		return;
	}
	h->state = ASKED;
	h->port->busy = true;
	front_deadline(h->port, METRICS_ANSWER_MS);
	if (front_send(h->port, FRONT_COUNTS, IPC_count_ask, &(struct ipc_count_ask){}) != 0)
		answer_error(h, "503 Service Unavailable");
}

static size_t feed(void *core, struct slice in)
{
	struct metrics *h = core;
	size_t used = 0;

	while (h->state < ASKED) {
		struct slice line = SLICE_NONE;
		size_t n = 0;
		enum line_answer a = line_take(&h->lines, in, METRICS_LINE_MAX, &line, &n);

		in = slice_from(in, n);
		used += n;
		h->head += n;
		if (a == LINE_LONG || h->head + h->lines.seen > METRICS_HEAD_MAX)
			answer_error(h, "431 Request Header Fields Too Large");
		else if (a == LINE_BARE || a == LINE_NUL)
			answer_error(h, "400 Bad Request");
		else if (a == LINE_MORE)
			break;
		else if (h->state == READ_REQUEST && line.n > 0)
			on_request(h, line);
		else if (h->state == READ_HEADERS && line.n == 0)
			on_head_end(h);
		else if (h->state == READ_HEADERS)
			on_header(h, line);
		/* else: an empty line before the request is passed over (RFC 9112 2.2) */
	}
	/* What comes after the one request is not looked at. */
	return h->state >= ASKED ? used + in.n : used;
}

static void on_msg(void *core, enum front_peer from, enum ipc_type type, const union ipc_any *m)
{
	struct metrics *h = core;

	if (h->state != ASKED)
		return;
	if (type == IPC_count_part)
		buf_put(&h->parts, m->count_part.packed);
	else if (type == IPC_count_end)
		answer_figures(h);
}

static void on_gone(void *core, enum front_peer peer)
{
	struct metrics *h = core;

	if (h->state == ASKED)
		answer_error(h, "503 Service Unavailable");
}

static void on_event(void *core, enum front_event event)
{
	struct metrics *h = core;

	/* A stop waits for figures that are on their way. */
	if (h->state == DONE || (h->state == ASKED && event == FRONT_STOPPING))
		return;
	if (event == FRONT_STOPPING || h->state == ASKED)
		answer_error(h, "503 Service Unavailable");
	else
		answer_error(h, "408 Request Timeout");
}

static void *start(struct front_port *p, const void *conf)
{
	struct metrics *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	*h = (struct metrics){ .port = p, .parts = BUF_INIT(METRICS_PARTS_MAX) };
	front_deadline(p, METRICS_REQUEST_MS);
	return h;
}

static void metrics_free(void *core)
{
	struct metrics *h = core;

	buf_fini(&h->parts);
	free(h);
}

const struct front_core metrics_core = { .start = start,
	.free = metrics_free,
	.feed = feed,
	.on_msg = on_msg,
	.on_gone = on_gone,
	.on_event = on_event };
