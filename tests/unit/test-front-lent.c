/* common/front: what a core lends goes out in its place, whatever the client takes at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/io.h"
#include "common/front/conn.h"
#include "common/front/lent.h"
#include "common/front/limits.h"
#include "common/ipc/chan.h"
#include "common/ipc/codec.h"

#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- a core that answers with what it is sent, in pieces, with some words of its own ---- */

static struct front_port *port; /* of the one connection */
static struct buf said;         /* all that the client must read */
static unsigned pieces, lent;
static size_t most;

static unsigned draw(unsigned n)
{
	static uint64_t x = 88172645463325252ull;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (unsigned)(x % n);
}

static void *start(struct front_port *p, const void *conf)
{
	port = p;
	return p;
}

static void stop(void *core)
{
	port = NULL;
}

/* Octets of no message: they are copied, or nobody would find them. */
static bool feeds;

static size_t feed(void *core, struct slice in)
{
	static uint8_t passing[2 * FRONT_LEND_MIN];

	memset(passing, 'p', sizeof(passing));
	if (feeds) {
		front_lend(port, slice_of(passing, sizeof(passing)));
		buf_put(&said, slice_of(passing, sizeof(passing)));
	}
	memset(passing, 'x', sizeof(passing));
	feeds = false;
	return in.n;
}

static void own_words(void)
{
	static const char words[] = "* 12 FETCH (UID 1234567 BODY[] {1234}";
	struct slice s = slice_of(words, draw(sizeof(words)));

	buf_put(&port->out, s);
	buf_put(&said, s);
}

static void on_msg(void *core, enum front_peer from, enum ipc_type type, const union ipc_any *m)
{
	struct slice left = m->parts_are.data;

	while (left.n > 0) {
		size_t n = 1 + draw(draw(3) == 0 ? 20000 : 1500);

		own_words();
		front_lend(port, slice_part(left, 0, n));
		buf_put(&said, slice_part(left, 0, n));
		left = slice_from(left, n);
		pieces++;
	}
	own_words();
	feeds = draw(3) == 0;
	lent += port->n_lent;
	most = front_pending(port) > most ? front_pending(port) : most;
}

static void on_nothing(void *core, enum front_peer peer)
{
}

static void on_event(void *core, enum front_event event)
{
}

static const struct front_core lender = {
	.start = start,
	.free = stop,
	.feed = feed,
	.on_msg = on_msg,
	.on_gone = on_nothing,
	.on_event = on_event,
};

/* ---- the rig ---- */

static const struct front_door door = { .service = "lender", .core = &lender };

static void on_end(struct front_env *env, uint64_t sid)
{
}

static void send_parts(int fd, size_t n)
{
	static uint8_t bytes[61440];
	struct ipc_parts_are m = { .data = slice_of(bytes, n) };
	struct buf packet = BUF_INIT(IPC_PACKET_MAX);

	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)draw(256);
	assert_int_equal(ipc_encode(IPC_parts_are, &m, &packet), 0);
	assert_int_equal(write(fd, packet.p, packet.n), packet.n);
	buf_fini(&packet);
}

/* Reads up to so many octets and compares them with what was said. */
static void hear(int fd, size_t n, size_t *io_heard)
{
	static uint8_t bytes[1 << 20];
	ssize_t got = read(fd, bytes, n < sizeof(bytes) ? n : sizeof(bytes));

	if (got <= 0)
		return;
	assert_true(*io_heard + (size_t)got <= said.n);
	assert_memory_equal(bytes, said.p + *io_heard, (size_t)got);
	*io_heard += (size_t)got;
}

static void lent_octets_go_out_in_their_place(void **state)
{
	struct front_env env = { .base = event_base_new(), .door = &door, .log_level = -1 };
	struct front_bundle b = { .sid = 7, .client = -1, .sign = -1, .log = -1 };
	int client[2], stored[2], small = 8192;
	size_t heard = 0;

	env.on_end = on_end;
	buf_init(&said, 256 << 20);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, client), 0);
	assert_int_equal(setsockopt(client[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	assert_int_equal(ipc_pair(stored), 0);
	for (int i = 0; i < FRONT_PEERS; i++)
		b.ends[i] = -1;
	b.client = client[0];
	b.ends[FRONT_SESSION] = stored[0];
	assert_true(front_conn_start(&env, &b));
	for (int i = 0; i < 1500; i++) {
		bool quick = i % 100 < 50; /* the client reads all there is, or little at a time */

		if (front_pending(port) < FRONT_OUT_HIGH)
			send_parts(stored[1], 1 + draw(draw(2) == 0 ? 61440 : 3000));
		event_base_loop(env.base, EVLOOP_NONBLOCK);
		hear(client[1], quick ? 1 << 20 : 1 + draw(40000), &heard);
		for (int k = 0; quick && front_pending(port) > 0; k++) {
			assert_true(k < 100000);
			event_base_loop(env.base, EVLOOP_NONBLOCK);
			hear(client[1], 1 << 20, &heard);
		}
	}
	while (heard < said.n) {
		event_base_loop(env.base, EVLOOP_NONBLOCK);
		hear(client[1], 1 << 20, &heard);
	}
	assert_int_equal(front_pending(port), 0);
	assert_true(lent > 500 && lent < pieces); /* small ones are copied, and those of the slow */
	assert_true(most < FRONT_OUT_HIGH + 3 * 61440);
	front_env_stop(&env);
	fd_close(&client[1]);
	while (env.conns != NULL)
		event_base_loop(env.base, EVLOOP_ONCE);
	fd_close(&stored[1]);
	event_base_free(env.base);
	buf_fini(&said);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lent_octets_go_out_in_their_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
