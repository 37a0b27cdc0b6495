/* The metrics door: the first half of the input are figures of processes, the second is a request.
 * Whatever they are, the answer is bounded, ends the connection and has no line that breaks the
 * text's form. */
#include "common/metrics/metrics.h"
#include "protocols/metrics/limits.h"
#include "protocols/metrics/metrics.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>

static bool asked;

static int on_send(struct front_port *p, enum front_peer to, enum ipc_type type, const void *msg)
{
	asked = true;
	return 0;
}

static void on_deadline(struct front_port *p, uint32_t ms)
{
}

static const struct front_port_ops ops = { on_send, on_deadline };

static void check_text(struct slice packed)
{
	struct buf out = BUF_INIT(METRICS_TEXT_MAX);
	struct slice rest, line;

	metrics_render(packed, &out);
	assert(!out.overflow);
	rest = buf_slice(&out);
	while (rest.n > 0) {
		line = slice_take(&rest, '\n');
		assert(slice_starts(line, SLICE("gatehouse_")) || slice_starts(line, SLICE("# ")));
	}
	assert(slice_eq(line, SLICE("# EOF")));
	buf_fini(&out);
}

static void check_request(struct slice in, size_t step)
{
	struct front_facts facts = { .host = SLICE("mail.example.test"), .peer = { .family = 4 } };
	struct front_port port = { .ops = &ops, .facts = &facts, .out = BUF_INIT(2 << 20) };
	void *core = metrics_core.start(&port, NULL);
	struct buf all = BUF_INIT(1 << 20);

	assert(core != NULL);
	asked = false;
	while (in.n > 0 && !port.want_close) {
		buf_put(&all, slice_part(in, 0, step));
		in = slice_from(in, step);
		buf_consume(&all, metrics_core.feed(core, buf_slice(&all)));
		assert(all.n <= METRICS_HEAD_MAX + step);
	}
	if (asked)
		metrics_core.on_msg(core, FRONT_COUNTS, IPC_count_end, &(union ipc_any){ 0 });
	else if (!port.want_close)
		metrics_core.on_event(core, FRONT_TIMEOUT);
	assert(port.want_close && slice_starts(buf_slice(&port.out), SLICE("HTTP/1.1 ")));
	metrics_core.free(core);
	buf_fini(&port.out);
	buf_fini(&all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = slice_of(data, n);
	struct slice request = slice_from(in, n / 2);

	check_text(slice_part(in, 0, n / 2 < METRICS_PACKED_MAX ? n / 2 : METRICS_PACKED_MAX));
	check_request(request, 1 + n % 7);
	check_request(in, 1 << 16);
	return 0;
}
