/* common/front: counting connections, and the driver around a real core on real sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/io.h"
#include "common/base/log.h"
#include "common/front/conn.h"
#include "common/front/counts.h"
#include "common/front/limits.h"
#include "common/ipc/chan.h"
#include "protocols/pop3/pop3.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct addr ip(const char *text)
{
	struct addr a = { 0 };

	assert_int_equal(addr_parse_ip(slice_str(text), &a), 0);
	return a;
}

static void connections_are_counted_by_address(void **state)
{
	struct counts *c = counts_new();
	struct addr a = ip("192.0.2.1"), b = ip("192.0.2.2");
	struct addr x = ip("2001:db8::1"), y = ip("2001:db8::2"), z = ip("2001:db8:0:1::1");

	for (uint64_t k = 1; k <= 3000; k++)
		assert_int_equal(counts_add(c, k, k % 3 == 0 ? &b : &a), 0);
	assert_int_equal(counts_total(c), 3000);
	assert_int_equal(counts_of(c, &a), 2000);
	assert_int_equal(counts_of(c, &b), 1000);
	for (uint64_t k = 1; k <= 3000; k += 2)
		assert_true(counts_remove(c, k));
	assert_false(counts_remove(c, 1));
	assert_int_equal(counts_of(c, &a), 1000);
	assert_int_equal(counts_of(c, &b), 500);
	assert_int_equal(counts_add(c, 5001, &x), 0);
	assert_int_equal(counts_add(c, 5002, &y), 0);
	assert_int_equal(counts_of(c, &x), 2); /* one subscriber */
	assert_int_equal(counts_of(c, &z), 0);
	counts_free(&c);
	assert_null(c);
}

struct rig {
	struct front_env env;
	struct event_base *base;
	int client, authd;
	unsigned ended;
};

static void on_end(struct front_env *env, uint64_t sid)
{
	struct rig *r = (struct rig *)((char *)env - offsetof(struct rig, env));

	r->ended++;
	event_base_loopbreak(r->base);
}

static const struct front_door door = {
	.service = "pop3", .core = &pop3_core, .peers = 1 << FRONT_AUTH
};

static void rig_open(struct rig *r, uint32_t flags)
{
	struct front_bundle b = { .sid = 7, .flags = flags, .client = -1, .sign = -1, .log = -1 };
	struct pop3_conf conf = { .mechs = SASL_PLAIN, .login_ms = 200 };
	int sv[2], ends[2];

	*r = (struct rig){ .base = event_base_new() };
	r->env = (struct front_env){ .base = r->base,
		.door = &door,
		.host = SLICE("h"),
		.log_level = -1,
		.on_end = on_end };
	memcpy(r->env.core_conf, &conf, sizeof(conf));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	assert_int_equal(ipc_pair(ends), 0);
	for (int i = 0; i < FRONT_PEERS; i++)
		b.ends[i] = -1;
	b.client = sv[0];
	b.ends[FRONT_AUTH] = ends[0];
	r->client = sv[1];
	r->authd = ends[1];
	assert_true(front_conn_start(&r->env, &b));
}

static void rig_close(struct rig *r)
{
	fd_close(&r->client);
	fd_close(&r->authd);
	event_base_free(r->base);
}

static void turn(struct rig *r, int ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	event_base_loopexit(r->base, &tv);
	event_base_dispatch(r->base);
}

static void say(struct rig *r, const char *text)
{
	assert_int_equal(io_write_all(r->client, slice_str(text)), 0);
	turn(r, 20);
}

static const char *hear(struct rig *r)
{
	static char text[4096];
	ssize_t n = read(r->client, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void a_connection_lives_and_ends(void **state)
{
	struct rig r;

	rig_open(&r, FRONT_BUNDLE_PLAIN_LOGIN);
	assert_non_null(strstr(hear(&r), "+OK h POP3 ready"));
	say(&r, "CAPA\r\nNOOP\r\n");
	assert_non_null(strstr(hear(&r), "USER\r\nSASL PLAIN\r\n.\r\n-ERR log in first"));
	say(&r, "QUIT\r\n");
	assert_string_equal(hear(&r), "+OK good-bye\r\n");
	assert_int_equal(r.ended, 1);
	assert_null(r.env.conns);
	rig_close(&r);
}

static void a_client_that_closes_is_let_go(void **state)
{
	struct rig r;

	rig_open(&r, 0);
	shutdown(r.client, SHUT_WR);
	turn(&r, 50);
	assert_int_equal(r.ended, 1);
	rig_close(&r);
}

static void half_closed_clients_get_their_answers(void **state)
{
	struct rig r;

	rig_open(&r, 0);
	hear(&r);
	assert_int_equal(io_write_all(r.client, SLICE("CAPA\r\nQUIT\r\n")), 0);
	shutdown(r.client, SHUT_WR);
	turn(&r, 50);
	assert_non_null(strstr(hear(&r), ".\r\n+OK good-bye\r\n"));
	assert_int_equal(r.ended, 1);
	rig_close(&r);
}

static void a_deadline_ends_a_silent_client(void **state)
{
	struct rig r;

	rig_open(&r, 0);
	turn(&r, 100);
	assert_int_equal(r.ended, 0);
	turn(&r, 400);
	assert_int_equal(r.ended, 1);
	rig_close(&r);
}

static void text_with_stls_is_never_read(void **state)
{
	struct rig r;

	rig_open(&r, FRONT_BUNDLE_TLS_OFFERED);
	hear(&r);
	say(&r, "STLS\r\nCAPA\r\n");
	assert_string_equal(hear(&r), "+OK begin TLS\r\n");
	assert_int_equal(r.ended, 1);
	rig_close(&r);
}

static void a_login_reaches_authd_and_its_death_is_told(void **state)
{
	struct rig r;
	uint8_t packet[IPC_PACKET_MAX];
	enum ipc_type type;
	union ipc_any m;
	ssize_t n;

	rig_open(&r, FRONT_BUNDLE_PLAIN_LOGIN);
	hear(&r);
	say(&r, "USER u1\r\nPASS secret\r\n");
	n = read(r.authd, packet, sizeof(packet));
	assert_true(n > 0);
	assert_int_equal(ipc_decode(slice_of(packet, (size_t)n), &type, &m), 0);
	assert_int_equal(type, IPC_auth_start);
	assert_true(slice_eq(m.auth_start.initial, SLICE("\0u1\0secret")));
	fd_close(&r.authd);
	turn(&r, 50);
	assert_non_null(strstr(hear(&r), "-ERR [SYS/TEMP]"));
	assert_int_equal(r.ended, 1);
	rig_close(&r);
}

static void a_stop_reaches_every_connection(void **state)
{
	struct rig r;

	rig_open(&r, 0);
	hear(&r);
	front_env_stop(&r.env);
	turn(&r, 50);
	assert_non_null(strstr(hear(&r), "-ERR [SYS/TEMP] the server is stopping"));
	assert_int_equal(r.ended, 1);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connections_are_counted_by_address),
		cmocka_unit_test(a_connection_lives_and_ends),
		cmocka_unit_test(a_client_that_closes_is_let_go),
		cmocka_unit_test(half_closed_clients_get_their_answers),
		cmocka_unit_test(a_deadline_ends_a_silent_client),
		cmocka_unit_test(text_with_stls_is_never_read),
		cmocka_unit_test(a_login_reaches_authd_and_its_death_is_told),
		cmocka_unit_test(a_stop_reaches_every_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
