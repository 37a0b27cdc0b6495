/*
 * A POP3 client that sends anything, in pieces: the first byte chooses what the connection is like,
 * a byte 0xff in the input is a pause (0xff t: the deadline passes; 0xff s: stop or go on reading).
 */
#include "protocols/pop3/pop3.h"
#include "tests/fuzz/fuzz.h"
#include "tests/wire/fake.h"

static void act(struct fake *f, uint8_t what, bool *stopped)
{
	if (what == 't')
		fake_timeout(f);
	else if (what == 's')
		fake_stop_reading(f, *stopped = !*stopped);
	else if (what == 'l')
		fake_lose(f, FRONT_SESSION);
	else if (what == 'd')
		fake_remove(f, 1, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct pop3_conf all = { .mechs = 15 };
	struct slice in = slice_of(data, n);
	uint8_t kind = n > 0 ? data[0] : 0;
	bool stopped = false;
	struct fake *f = fake_new(&(struct fake_conf){ .core = &pop3_core,
	    .core_conf = &all,
	    .tls_offered = (kind & 1) != 0,
	    .plain_login = (kind & 2) == 0 });

	fake_mail(f, 1, SLICE("Subject: one\r\n\r\n.first\r\n.\r\n"));
	fake_mail(f, 1, slice_from(in, n / 2));
	fake_mail(f, 1, SLICE(""));
	in = slice_from(in, 1);
	while (in.n > 0 && !fake_closed(f)) {
		fake_input(f, slice_take(&in, 0xff));
		if (in.n > 0)
			act(f, in.p[0], &stopped);
	}
	fake_free(&f);
	return 0;
}
