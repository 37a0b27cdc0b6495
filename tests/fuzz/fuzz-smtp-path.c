/* A path that parses prints as one that parses to the same; nothing is longer than RFC 5321 says.
 */
#include "common/mail/smtp_path.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>

static void same_again(const struct smtp_path *p)
{
	struct buf out = BUF_INIT(2048);
	struct smtp_path q;
	struct slice rest;
	int r;

	smtp_path_print(p, &out);
	assert(!out.overflow);
	r = smtp_path_parse(buf_slice(&out), &q, &rest);
	/* Quoting that was not needed, or was needed only in part, may print longer than 256. */
	assert(r == 0 || (r == SMTP_PATH_LONG && out.n > SMTP_PATH_MAX));
	if (r == 0) {
		assert(rest.n == 0 && q.kind == p->kind && q.utf8 == p->utf8);
		assert(slice_eq(smtp_path_local(p), smtp_path_local(&q)));
		assert(slice_eq(smtp_path_domain(p), smtp_path_domain(&q)));
	}
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = slice_of(data, n), rest = SLICE_NONE;
	struct smtp_path p;

	if (smtp_path_parse(in, &p, &rest) == 0) {
		assert(rest.p >= data && rest.p + rest.n == data + n && rest.p[-1] == '>');
		same_again(&p);
	}
	if (smtp_path_parse_address(in, &p) == 0) {
		assert(p.kind != SMTP_PATH_NULL && p.kind != SMTP_PATH_LOCAL);
		same_again(&p);
	}
	return 0;
}
