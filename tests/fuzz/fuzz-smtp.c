/*
 * An SMTP client that sends anything, in pieces: the first byte chooses what the connection is like
 * (1 STARTTLS, 2 held answers, 4 submission, 8 passwords without TLS), a byte 0xff in the input is
 * a pause (see fuzz-lmtp.c). Whatever is stored ends its lines with CR LF and nothing else and
 * came, in submission, from the login's own address; whatever is answered is replies.
 */
#include "protocols/smtp/smtp.h"
#include "tests/fuzz/fuzz.h"
#include "tests/wire/fake.h"

#include <assert.h>

static void act(struct fake *f, uint8_t what)
{
	if (what == 't')
		fake_timeout(f);
	else if (what == 'a')
		fake_answer(f);
	else if (what == 'p')
		fake_lose(f, FRONT_POST);
	else if (what == 'r')
		fake_lose(f, FRONT_RCPT);
	else if (what == 'l')
		fake_lose(f, FRONT_AUTH);
	else if (what == 's')
		fake_event(f, FRONT_STOPPING);
}

static void check_message(struct slice m, bool submission)
{
	for (size_t i = 0; i < m.n; i++) {
		assert(m.p[i] != '\n' || (i > 0 && m.p[i - 1] == '\r'));
		assert(m.p[i] != '\r' || (i + 1 < m.n && m.p[i + 1] == '\n'));
	}
	assert(slice_starts(m, SLICE("Return-Path: <")) && m.p[m.n - 1] == '\n');
	if (submission)
		assert(slice_starts(m, SLICE("Return-Path: <>")) ||
		       slice_istarts(m, SLICE("Return-Path: <u1")) ||
		       slice_istarts(m, SLICE("Return-Path: <\"u1")));
}

/* Lines of three digits and a blank or '-', each ended by CR LF. */
static void check_replies(struct slice out)
{
	while (out.n > 0) {
		struct slice line = slice_take(&out, '\n');

		assert(line.n >= 5 && line.p[line.n - 1] == '\r');
		assert(
		    line.p[0] >= '2' && line.p[0] <= '5' && line.p[1] <= '9' && line.p[2] <= '9');
		assert(line.p[3] == ' ' || line.p[3] == '-');
		assert(
		    memchr(line.p, '\r', line.n - 1) == NULL && memchr(line.p, 0, line.n) == NULL);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct smtp_conf conf = { .size_max = 4000,
		.rcpts_max = 6,
		.hops_max = 3,
		.mechs = SASL_PLAIN | SASL_LOGIN | SASL_SCRAM_SHA_256 };
	struct slice in = slice_of(data, n);
	uint8_t kind = n > 0 ? data[0] : 0;
	struct fake *f = fake_new(&(struct fake_conf){ .core = &smtp_core,
	    .core_conf = &conf,
	    .tls_offered = (kind & 1) != 0,
	    .hold = (kind & 2) != 0,
	    .submission = (kind & 4) != 0,
	    .plain_login = (kind & 8) != 0 });

	in = slice_from(in, 1);
	while (in.n > 0 && !fake_closed(f)) {
		fake_input(f, slice_take(&in, 0xff));
		if (in.n > 0)
			act(f, in.p[0]);
	}
	while (fake_answer(f))
		;
	check_replies(fake_output(f));
	for (unsigned u = 1; u <= 3; u++)
		for (unsigned i = 0; i < fake_mail_count(f, u); i++)
			check_message(fake_mail_get(f, u, i), (kind & 4) != 0);
	fake_free(&f);
	return 0;
}
