/* The numbers by which the store finds a message's thread. */
#include "common/mail/threadid.h"

#include "common/base/wire.h"
#include "common/mail/facts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include <xxhash.h>

static size_t pack(const char *header, uint8_t out[THREADID_BYTES_MAX])
{
	struct facts_maker *m = facts_maker_new();
	struct buf facts = BUF_INIT(FACTS_MAX);
	size_t n;

	facts_maker_feed(m, slice_str(header));
	facts_maker_feed(m, SLICE("\r\ntext\r\n"));
	assert_int_equal(facts_maker_finish(m, &facts), 0);
	n = threadid_pack(buf_slice(&facts), out);
	/* Whoever cuts facts gives none. */
	for (size_t i = 0; i < facts.n; i += 7)
		assert_int_equal(
		    threadid_pack(slice_part(buf_slice(&facts), 0, i), (uint8_t[48]){ 0 }) % 8, 0);
	facts_maker_free(&m);
	buf_fini(&facts);
	return n;
}

static const struct {
	const char *header;
	const char *ids[THREADID_NUMBERS_MAX + 1];
} cases[] = {
	{ "Subject: x\r\n", { "" } },
	{ "Message-ID: <a@x>\r\n", { "a@x" } },
	{ "Message-ID: <a@x>\r\nIn-Reply-To: <b@x> <c@x>\r\n", { "a@x", "b@x" } },
	{ "Message-ID: <\"a\"@x>\r\nIn-Reply-To: your mail of Monday\r\n", { "a@x" } },
	{ "In-Reply-To: <b@x>\r\n", { "", "b@x" } },
	{ "Message-ID: <a@x>\r\nReferences: <b@x>\r\n <c@x>\r\nIn-Reply-To: <d@x>\r\n",
	    { "a@x", "b@x", "c@x" } },
	{ "Message-ID: <a@x>\r\n"
	  "References: <1@x> <2@x> <3@x> <4@x> <5@x> <6@x> <7@x>\r\n",
	    { "a@x", "1@x", "4@x", "5@x", "6@x", "7@x" } },
};

static void numbers_are_of_these_ids(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t got[THREADID_BYTES_MAX];
		size_t n = pack(cases[i].header, got), k = 0;

		for (; cases[i].ids[k] != NULL; k++) {
			const char *id = cases[i].ids[k];
			uint64_t want = *id != 0 ? XXH3_64bits(id, strlen(id)) : 0;

			if (n < 8 * (k + 1) || wire_load_u64(got + 8 * k) != want)
				fail_msg("%s: number %zu", cases[i].header, k);
		}
		assert_int_equal(n, 8 * k);
	}
}

/* Clients keep what comes of it. */
static void a_number_never_changes(void **state)
{
	uint8_t got[THREADID_BYTES_MAX];

	assert_int_equal(pack("Message-ID: <a@example.test>\r\n", got), 8);
	assert_true(wire_load_u64(got) == 0x81697372c8dc6e80u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_of_these_ids),
		cmocka_unit_test(a_number_never_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
