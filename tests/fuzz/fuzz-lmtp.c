/*
 * An LMTP client that sends anything, in pieces: the first byte chooses what the connection is
 * like, a byte 0xff in the input is a pause (0xff a: one held answer comes; 0xff t: the deadline
 * passes). Whatever is stored ends its lines with CR LF and nothing else.
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
	else if (what == 's')
		fake_event(f, FRONT_STOPPING);
}

static void check_line_ends(struct slice m)
{
	for (size_t i = 0; i < m.n; i++) {
		assert(m.p[i] != '\n' || (i > 0 && m.p[i - 1] == '\r'));
		assert(m.p[i] != '\r' || (i + 1 < m.n && m.p[i + 1] == '\n'));
	}
	assert(slice_starts(m, SLICE("Return-Path: <")) && m.p[m.n - 1] == '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct smtp_conf conf = { .size_max = 4000, .rcpts_max = 6, .hops_max = 3 };
	struct slice in = slice_of(data, n);
	uint8_t kind = n > 0 ? data[0] : 0;
	struct fake *f = fake_new(&(struct fake_conf){ .core = &smtp_core,
	    .core_conf = &conf,
	    .lmtp = true,
	    .tls_offered = (kind & 1) != 0,
	    .hold = (kind & 2) != 0 });

	in = slice_from(in, 1);
	while (in.n > 0 && !fake_closed(f)) {
		fake_input(f, slice_take(&in, 0xff));
		if (in.n > 0)
			act(f, in.p[0]);
	}
	while (fake_answer(f))
		;
	for (unsigned u = 1; u <= 3; u++)
		for (unsigned i = 0; i < fake_mail_count(f, u); i++)
			check_line_ends(fake_mail_get(f, u, i));
	fake_free(&f);
	return 0;
}
