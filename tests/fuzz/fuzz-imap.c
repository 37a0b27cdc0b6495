/*
 * An IMAP client that sends anything, in pieces, to a core before a real store on the memory
 * engine: the first byte chooses what the connection is like (bit 4: it has logged in and selected
 * the INBOX), a byte 0xff in the input is a pause (0xff t: the deadline passes; s: stop or go on
 * reading; d: a message is delivered; l: stored is lost).
 */
#include "protocols/imap/imap.h"
#include "tests/fuzz/fuzz.h"
#include "tests/wire/world.h"

static void act(struct world *w, struct fake *f, uint8_t what, bool *stopped)
{
	if (what == 't')
		fake_timeout(f);
	else if (what == 's')
		fake_stop_reading(f, *stopped = !*stopped);
	else if (what == 'l')
		fake_lose(f, FRONT_SESSION);
	else if (what == 'd')
		world_deliver(w, 1, SLICE("Subject: fresh\r\n\r\ntext\r\n"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct imap_conf conf = { .mechs = 7, .append_max = 4096 };
	struct slice in = slice_of(data, n);
	uint8_t kind = n > 0 ? data[0] : 0;
	bool stopped = false;
	struct world w;
	struct fake *f;

	world_init(&w, "mem");
	world_deliver(&w, 1, SLICE("Subject: one\r\nFrom: a@example.org\r\n\r\nfirst\r\n"));
	world_deliver(&w, 1, slice_from(in, n / 2));
	f = fake_new(&(struct fake_conf){ .core = &imap_core,
	    .core_conf = &conf,
	    .tls_offered = (kind & 1) != 0,
	    .plain_login = (kind & 2) == 0 || (kind & 4) != 0,
	    .store = world_store(&w) });
	if ((kind & 4) != 0)
		fake_input(f, SLICE("b1 LOGIN u1 gatehouse\r\nb2 SELECT INBOX\r\n"));
	in = slice_from(in, 1);
	while (in.n > 0 && !fake_closed(f)) {
		fake_input(f, slice_take(&in, 0xff));
		if (in.n > 0)
			act(&w, f, in.p[0], &stopped);
	}
	fake_free(&f);
	world_fini(&w);
	return 0;
}
