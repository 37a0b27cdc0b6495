/* Passwords: every stored form is made, checked, and refused when it makes no sense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "authd/workers/password.h"

#include <string.h>

static void every_scheme_makes_what_it_checks(void **state)
{
	static const char *const schemes[] = { "plain", "yescrypt", "sha512crypt", "bcrypt",
		"scram-sha-256" };
	static const char *const starts[] = { "{PLAIN}", "{CRYPT}$y$", "{CRYPT}$6$", "{CRYPT}$2b$",
		"{SCRAM-SHA-256}4096:" };

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		struct buf one = BUF_INIT(STORED_MAX_BYTES), two = BUF_INIT(STORED_MAX_BYTES);

		assert_int_equal(
		    password_store(slice_str(schemes[i]), SLICE("pass w\xc3\xb6rd"), &one),
		    PASSWORD_OK);
		assert_int_equal(
		    password_store(slice_str(schemes[i]), SLICE("pass w\xc3\xb6rd"), &two),
		    PASSWORD_OK);
		assert_true(slice_starts(buf_slice(&one), slice_str(starts[i])));
		if (i > 0) /* salted */
			assert_false(slice_eq(buf_slice(&one), buf_slice(&two)));
		assert_int_equal(
		    password_verify(buf_slice(&one), SLICE("pass w\xc3\xb6rd")), PASSWORD_OK);
		assert_int_equal(
		    password_verify(buf_slice(&one), SLICE("pass word")), PASSWORD_WRONG);
		assert_int_equal(password_verify(buf_slice(&one), SLICE("")), PASSWORD_WRONG);
		assert_int_equal(
		    password_verify(buf_slice(&one), slice_of("pass w\xc3\xb6rd\0", 11)),
		    PASSWORD_WRONG);
		buf_fini(&one);
		buf_fini(&two);
	}
}

static void known_hashes_of_others_fit(void **state)
{
	/* crypt(5)'s published SHA-512 test vector, and RFC 7677 section 3's user/pencil. */
	static const char *const sha =
	    "{CRYPT}$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJ"
	    "uesI68u4OTLiBFdcbYEdFCoEOfaS35inz1";
	static const char *const scram = "{SCRAM-SHA-256}4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
					 "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
					 "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

	assert_int_equal(password_verify(slice_str(sha), SLICE("Hello world!")), PASSWORD_OK);
	assert_int_equal(password_verify(slice_str(scram), SLICE("pencil")), PASSWORD_OK);
	assert_int_equal(password_verify(slice_str(scram), SLICE("pencils")), PASSWORD_WRONG);
}

static void nonsense_is_unusable(void **state)
{
	static const char *const bad[] = { "", "{PLAIN}", "{MD5}x", "{CRYPT}*", "{CRYPT}$zz$x",
		"{SCRAM-SHA-256}", "{SCRAM-SHA-256}0:YQ==$YQ==:YQ==",
		"{SCRAM-SHA-256}4096:$YQ==:YQ==", "{SCRAM-SHA-256}4096:!$YQ==:YQ==",
		"{SCRAM-SHA-256}99999999999:YQ==$YQ==:YQ==", "gatehouse" };
	struct buf out = BUF_INIT(STORED_MAX_BYTES);
	char longer[80];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (password_verify(slice_str(bad[i]), SLICE("x")) != PASSWORD_UNUSABLE)
			fail_msg("%s", bad[i]);
	memset(longer, 'a', sizeof(longer));
	assert_int_equal(password_store(SLICE("md5"), SLICE("x"), &out), PASSWORD_UNUSABLE);
	assert_int_equal(password_store(SLICE("plain"), SLICE(""), &out), PASSWORD_UNUSABLE);
	assert_int_equal(
	    password_store(SLICE("plain"), slice_of("a\0b", 3), &out), PASSWORD_UNUSABLE);
	assert_int_equal(
	    password_store(SLICE("bcrypt"), slice_of(longer, 73), &out), PASSWORD_UNUSABLE);
	assert_int_equal(out.n, 0);
	assert_int_equal(password_verify_nobody(SLICE("x")), PASSWORD_WRONG);
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_scheme_makes_what_it_checks),
		cmocka_unit_test(known_hashes_of_others_fit),
		cmocka_unit_test(nonsense_is_unusable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
