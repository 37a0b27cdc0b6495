/* Figures: counting, packing, the text made of them, and the requests that ask for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/wire.h"
#include "common/metrics/metrics.h"
#include "protocols/metrics/limits.h"
#include "protocols/metrics/metrics.h"

#include <stdio.h>
#include <string.h>

static void counts_are_kept_by_label(void **state)
{
	struct buf b = BUF_INIT(60000);
	struct metric_sample s;
	struct slice rest;
	int64_t ok = 0, bad = 0;
	size_t n = 0;

	metric_add(METRIC_logins, "pop3", "ok", 1);
	metric_add(METRIC_logins, "pop3", "credentials", 1);
	metric_add(METRIC_logins, "pop3", "ok", 2);
	metric_set(METRIC_sessions, "", "", 9);
	metric_clear(METRIC_sessions);
	metrics_pack(&b);
	for (rest = buf_slice(&b); metrics_unpack(&rest, &s); n++) {
		assert_true(slice_eq(s.name, SLICE("logins")));
		if (slice_eq(s.label[1], SLICE("ok")))
			ok = s.value;
		else
			bad = s.value;
	}
	assert_int_equal(n, 2);
	assert_int_equal(ok, 3);
	assert_int_equal(bad, 1);
	metric_clear(METRIC_logins);
	buf_fini(&b);
}

static void memory_is_bounded(void **state)
{
	struct buf b = BUF_INIT(METRICS_PACKED_MAX);
	char label[100];

	for (int i = 0; i < 2000; i++) {
		snprintf(label, sizeof(label), "a-label-that-is-as-long-as-one-may-be-%d", i);
		metric_add(METRIC_logins, label, label, 1);
	}
	metrics_pack(&b);
	assert_false(b.overflow);
	metric_clear(METRIC_logins);
	buf_fini(&b);
}

static void put(struct buf *b, const char *name, const char *l1, const char *l2, uint64_t v)
{
	wire_put_bytes(b, slice_str(name));
	wire_put_bytes(b, slice_str(l1));
	wire_put_bytes(b, slice_str(l2));
	wire_put_u64(b, v);
}

static void rendered_text(void **state)
{
	struct buf in = BUF_INIT(60000), out = BUF_INIT(60000);

	put(&in, "logins", "pop3", "ok", 4);
	put(&in, "unheard_of", "", "", 4);
	put(&in, "read_bytes", "", "", 70000000000);
	put(&in, "logins", "im\"a\\p\n", "ok", 1);
	put(&in, "logins", "pop3", "ok", 5);
	put(&in, "build", "1.2", "", 1);
	put(&in, "sessions", "", "", (uint64_t)-1);
	buf_puts(&in, "\x05\0\0");
	metrics_render(buf_slice(&in), &out);
	assert_string_equal(buf_cstr(&out),
	    "# TYPE gatehouse_build info\n"
	    "# HELP gatehouse_build the version that runs\n"
	    "gatehouse_build_info{version=\"1.2\"} 1\n"
	    "# TYPE gatehouse_logins counter\n"
	    "# HELP gatehouse_logins login attempts; result is ok or the reason as in "
	    "auth.refused\n"
	    "gatehouse_logins_total{service=\"pop3\",result=\"ok\"} 9\n"
	    "gatehouse_logins_total{service=\"im\\\"a\\\\p?\",result=\"ok\"} 1\n"
	    "# TYPE gatehouse_sessions gauge\n"
	    "# HELP gatehouse_sessions logged-in sessions\n"
	    "gatehouse_sessions -1\n"
	    "# TYPE gatehouse_read_bytes counter\n"
	    "# UNIT gatehouse_read_bytes bytes\n"
	    "# HELP gatehouse_read_bytes octets of bodies sent to sessions\n"
	    "gatehouse_read_bytes_total 70000000000\n"
	    "# EOF\n");
	buf_fini(&in);
	buf_fini(&out);
}

/* ---- requests ---- */

static struct {
	struct front_port port;
	struct front_facts facts;
	unsigned asked;
	bool away;
} rig;

static int on_send(struct front_port *p, enum front_peer to, enum ipc_type type, const void *msg)
{
	assert_int_equal(to, FRONT_COUNTS);
	assert_int_equal(type, IPC_count_ask);
	rig.asked++;
	return rig.away;
}

static void on_deadline(struct front_port *p, uint32_t ms)
{
}

static const struct front_port_ops port_ops = { on_send, on_deadline };

/* Status of the answer, with the figures given when asked for; 0: no answer yet. `step` bytes at a
 * time. */
static int request(const char *text, size_t n, size_t step, bool tcp)
{
	struct slice in = slice_of(text, n);
	struct buf all = BUF_INIT(100000), parts = BUF_INIT(1000);
	union ipc_any m = { 0 };
	int status = 0;
	void *core;

	memset(&rig, 0, sizeof(rig));
	rig.facts.host = SLICE("mail.example.test");
	rig.facts.peer.family = tcp ? 4 : 1;
	rig.port =
	    (struct front_port){ .ops = &port_ops, .facts = &rig.facts, .out = BUF_INIT(1 << 20) };
	core = metrics_core.start(&rig.port, NULL);
	while (in.n > 0 && !rig.port.want_close) {
		buf_put(&all, slice_part(in, 0, step));
		in = slice_from(in, step);
		buf_consume(&all, metrics_core.feed(core, buf_slice(&all)));
	}
	if (rig.asked > 0) {
		put(&parts, "domains", "", "", 3);
		m.count_part.packed = buf_slice(&parts);
		metrics_core.on_msg(core, FRONT_COUNTS, IPC_count_part, &m);
		assert_int_equal(rig.port.out.n, 0);
		metrics_core.on_msg(core, FRONT_COUNTS, IPC_count_end, &m);
	}
	if (rig.port.out.n > 0) {
		assert_true(rig.port.want_close);
		sscanf(buf_cstr(&rig.port.out), "HTTP/1.1 %d", &status);
	}
	metrics_core.free(core);
	buf_fini(&rig.port.out);
	buf_fini(&all);
	buf_fini(&parts);
	return status;
}

static const struct {
	const char *text;
	int status;
	bool tcp;
} requests[] = {
	{ "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 200 },
	{ "\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 200 },
	{ "GET /metrics?a=b HTTP/1.1\r\nHost:\r\nAccept: */*\r\n\r\n", 200 },
	{ "GET http://x/metrics HTTP/1.1\r\nHost: x\r\n\r\n", 200 },
	{ "GET /metrics HTTP/1.0\r\n\r\n", 200 },
	{ "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 200 },
	{ "GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 200 },
	{ "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:9611\r\n\r\n", 200, true },
	{ "GET /metrics HTTP/1.1\r\nHost: [::1]:9611\r\n\r\n", 200, true },
	{ "GET /metrics HTTP/1.1\r\nHost: LocalHost:1\r\n\r\n", 200, true },
	{ "GET /metrics HTTP/1.1\r\nHost: mail.example.test\r\n\r\n", 200, true },
	{ "GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421, true },
	{ "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1.evil.example\r\n\r\n", 421, true },
	{ "GET /metrics HTTP/1.1\r\nHost: [evil]\r\n\r\n", 421, true },
	{ "GET /metrics HTTP/1.1\r\n\r\n", 400 },
	{ "GET /metrics HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400 },
	{ "GET /metrics HTTP/1.1\r\nHost : x\r\n\r\n", 400 },
	{ "GET /metrics HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400 },
	{ "GET /metrics HTTP/1.1\nHost: x\n\n", 400 },
	{ "GET /metrics HTTP/1.1\r\nHost: x\rA: b\r\n\r\n", 400 },
	{ "GET  /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 400 },
	{ "GET /metrics HTTP/1.1 \r\nHost: x\r\n\r\n", 400 },
	{ "GET /metrics\r\n\r\n", 400 },
	{ "GET /metrics http/1.1\r\n\r\n", 400 },
	{ "G@T /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 400 },
	{ "GET /metrics HTTP/2.0\r\nHost: x\r\n\r\n", 505 },
	{ "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 404 },
	{ "GET /metricsX HTTP/1.1\r\nHost: x\r\n\r\n", 404 },
	{ "GET /metrics/../metrics HTTP/1.1\r\nHost: x\r\n\r\n", 404 },
	{ "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde", 405 },
	{ "get /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 405 },
	{ "GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde", 413 },
	{ "GET /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", 413 },
	{ "GET /metrics HTTP/1.1\r\nHost: x\r\n", 0 },
};

static void requests_are_read_strictly(void **state)
{
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		for (size_t step = 1; step < 1000; step *= 30) {
			int got = request(
			    requests[i].text, strlen(requests[i].text), step, requests[i].tcp);

			if (got != requests[i].status ||
			    (rig.asked != 0) != (requests[i].status == 200))
				fail_msg("%s: %d, asked %u", requests[i].text, got, rig.asked);
		}
}

static void requests_have_limits(void **state)
{
	struct buf b = BUF_INIT(100000);

	buf_puts(&b, "GET /metrics HTTP/1.1\r\nHost: x\r\nX: ");
	while (b.n < METRICS_LINE_MAX * 2)
		buf_putc(&b, 'x');
	assert_int_equal(request((char *)b.p, b.n, 100, false), 0);
	buf_puts(&b, "\r\n");
	assert_int_equal(request((char *)b.p, b.n, 100, false), 431);
	buf_reset(&b);
	buf_puts(&b, "GET /metrics HTTP/1.1\r\n");
	for (int i = 0; i < METRICS_HEADERS_MAX + 1; i++)
		buf_puts(&b, "A: b\r\n");
	assert_int_equal(request((char *)b.p, b.n, 100, false), 400);
	buf_reset(&b);
	while (b.n < METRICS_HEAD_MAX + 10)
		buf_puts(&b, "\r\n");
	assert_int_equal(request((char *)b.p, b.n, 100, false), 431);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_are_kept_by_label),
		cmocka_unit_test(memory_is_bounded),
		cmocka_unit_test(rendered_text),
		cmocka_unit_test(requests_are_read_strictly),
		cmocka_unit_test(requests_have_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
