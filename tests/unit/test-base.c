/* common/base: the pieces that everything else trusts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/addr.h"
#include "common/base/arena.h"
#include "common/base/checked.h"
#include "common/base/log.h"
#include "common/base/secret.h"
#include "common/base/wire.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static void slices_compare_and_split(void **state)
{
	struct slice s = SLICE("a=b=c");
	uint64_t v = 7;

	assert_true(slice_eq(slice_take(&s, '='), SLICE("a")));
	assert_true(slice_eq(s, SLICE("b=c")));
	assert_true(slice_eq(slice_take(&s, '!'), SLICE("b=c")));
	assert_int_equal(s.n, 0);
	assert_true(slice_ieq(SLICE("InBox"), SLICE("INBOX")));
	assert_false(slice_ieq(SLICE("\xe9"), SLICE("\xc9")));
	assert_true(slice_cmp(SLICE("ab"), SLICE("abc")) < 0);
	assert_int_equal(slice_u64(SLICE("18446744073709551615"), UINT64_MAX, &v), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(slice_u64(SLICE("18446744073709551616"), UINT64_MAX, &v), 1);
	assert_int_equal(slice_u64(SLICE("-1"), UINT64_MAX, &v), 1);
	assert_int_equal(slice_u64(SLICE(""), UINT64_MAX, &v), 1);
	assert_int_equal(slice_u64(SLICE("11"), 10, &v), 1);
	assert_true(slice_eq(slice_trim(SLICE(" \tx y\t")), SLICE("x y")));
	assert_int_equal(slice_part(SLICE("abc"), 9, 2).n, 0);
}

static void buf_never_passes_its_maximum(void **state)
{
	struct buf b = BUF_INIT(5);

	assert_int_equal(buf_puts(&b, "abcd"), 0);
	assert_int_equal(buf_puts(&b, "ef"), 1);
	assert_true(b.overflow);
	assert_true(slice_eq(buf_slice(&b), SLICE("abcd")));
	assert_int_equal(buf_putc(&b, 'e'), 0);
	assert_null(buf_cstr(&b));
	buf_consume(&b, 2);
	assert_true(slice_eq(buf_slice(&b), SLICE("cde")));
	assert_string_equal(buf_cstr(&b), "cde");
	buf_reset(&b);
	assert_false(b.overflow);
	assert_int_equal(buf_printf(&b, "%s", "123456"), 1);
	assert_int_equal(b.n, 0);
	assert_int_equal(buf_printf(&b, "%s", "12345"), 0);
	assert_int_equal(b.n, 5);
	buf_fini(&b);
}

static void arena_is_bounded_and_reusable(void **state)
{
	struct arena a;

	arena_init(&a, 10000);
	assert_null(arena_alloc(&a, 10001));
	assert_non_null(arena_alloc(&a, 100));
	assert_non_null(arena_alloc(&a, 4096));
	assert_null(arena_alloc(&a, 4096));
	arena_reset(&a);
	assert_true(a.held <= 4096);
	for (int i = 0; i < 100; i++) {
		assert_string_equal(arena_cstr(&a, SLICE("hello")), "hello");
		arena_reset(&a);
	}
	assert_true(slice_eq(arena_copy(&a, SLICE("xy")), SLICE("xy")));
	arena_fini(&a);
	assert_int_equal(a.held, 0);
}

static void wire_reader_stops_at_its_end(void **state)
{
	struct buf b = BUF_INIT(100);
	struct wire_reader r;

	wire_put_u16(&b, 0x1234);
	wire_put_u64(&b, 0x1122334455667788);
	wire_put_bytes(&b, SLICE("hi"));
	r = wire_reader(buf_slice(&b));
	assert_int_equal(wire_get_u16(&r), 0x1234);
	assert_true(wire_get_u64(&r) == 0x1122334455667788);
	assert_true(slice_eq(wire_get_bytes(&r, 2), SLICE("hi")));
	assert_true(wire_done(&r));
	assert_int_equal(wire_get_u8(&r), 0);
	assert_true(r.bad);
	r = wire_reader(buf_slice(&b));
	wire_get_raw(&r, 10);
	assert_int_equal(wire_get_bytes(&r, 1).n, 0);
	assert_true(r.bad);
	buf_fini(&b);
}

static void addresses_survive_packing(void **state)
{
	static const char *const texts[] = { "192.0.2.7", "2001:db8::1", "::1" };
	char out[ADDR_TEXT_MAX];
	struct addr a, b;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct buf p = BUF_INIT(ADDR_PACKED_MAX);

		assert_int_equal(addr_parse_ip(slice_str(texts[i]), &a), 0);
		a.port = 110;
		addr_pack(&a, &p);
		assert_false(p.overflow);
		assert_int_equal(addr_unpack(buf_slice(&p), &b), 0);
		assert_true(addr_same_ip(&a, &b));
		assert_int_equal(b.port, 110);
		assert_string_equal(addr_ip_text(&b, out), texts[i]);
		assert_int_equal(addr_unpack(slice_part(buf_slice(&p), 0, p.n - 1), &b), 1);
		buf_fini(&p);
	}
	assert_int_equal(addr_parse_ip(SLICE("::ffff:192.0.2.7"), &b), 0);
	assert_string_equal(addr_ip_text(&b, out), "192.0.2.7");
	assert_int_equal(addr_parse_ip(SLICE("192.0.2"), &b), 1);
	assert_int_equal(addr_parse_ip(SLICE("host"), &b), 1);
}

static void log_values_cannot_forge_a_line(void **state)
{
	char got[512] = { 0 };
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	log_init(sv[0], true, LOG_INFO);
	log_set_sid(5);
	log_ev(LOG_NOTICE, "proc.stop", kv_s("name", "x\nerror y=\"z\""), kv_u("why", 3));
	assert_true(recv(sv[1], got, sizeof(got) - 1, MSG_DONTWAIT) > 9);
	assert_int_equal(got[0], LOG_NOTICE);
	assert_int_equal(got[1], 5);
	assert_string_equal(got + 9, "proc.stop name=\"x\\x0aerror y=\\\"z\\\"\" why=3");
	log_ev(LOG_DEBUG, "proc.stop");
	assert_int_equal(recv(sv[1], got, sizeof(got), MSG_DONTWAIT), -1);
	log_init(STDERR_FILENO, false, LOG_INFO);
	close(sv[0]);
	close(sv[1]);
}

static void secrets_compare_whole(void **state)
{
	struct secret s;

	assert_true(secret_eq(SLICE("abc"), SLICE("abc")));
	assert_false(secret_eq(SLICE("abc"), SLICE("abd")));
	assert_false(secret_eq(SLICE("abc"), SLICE("ab")));
	assert_false(secret_eq(SLICE("abc"), SLICE("")));
	assert_false(secret_eq(SLICE(""), SLICE("a")));
	assert_true(secret_eq(SLICE(""), SLICE("")));
	assert_int_equal(secret_init(&s, SLICE("key")), 0);
	assert_true(slice_eq(secret_slice(&s), SLICE("key")));
	secret_fini(&s);
	assert_null(s.p);
}

static void checked_sums_refuse_to_wrap(void **state)
{
	size_t r;

	assert_true(add_overflows(SIZE_MAX, 1, &r));
	assert_true(mul_overflows(SIZE_MAX / 2, 3, &r));
	assert_false(add_overflows(1, 2, &r));
	assert_int_equal(r, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slices_compare_and_split),
		cmocka_unit_test(buf_never_passes_its_maximum),
		cmocka_unit_test(arena_is_bounded_and_reusable),
		cmocka_unit_test(wire_reader_stops_at_its_end),
		cmocka_unit_test(addresses_survive_packing),
		cmocka_unit_test(log_values_cannot_forge_a_line),
		cmocka_unit_test(secrets_compare_whole),
		cmocka_unit_test(checked_sums_refuse_to_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
