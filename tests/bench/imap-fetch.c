/*
 * imap-fetch - one FETCH of many messages by the IMAP core before a real store on the memory
 * engine, all in one process: for callgrind, and to compare before and after a change.
 *
 *     imap-fetch MESSAGES TURNS ITEMS [ENGINE]       imap-fetch 2000 5 "(ENVELOPE)" lmdb
 *     imap-fetch MESSAGES TURNS SELECT [ENGINE]      as many first ones after starts; at most 15
 */
#include "common/base/clock.h"
#include "protocols/imap/imap.h"
#include "tests/wire/world.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct imap_conf imap_conf = { .mechs = 7, .append_max = 1 << 20 };

/* Some 5 KiB: a header of a kilobyte, text and HTML. */
static void make(unsigned i, struct buf *out)
{
	buf_reset(out);
	buf_printf(out,
	    "Received: from mx%u.relay.example ([192.0.2.%u])\r\n\tby mail.example.test with "
	    "ESMTPS id %x\r\n"
	    "\tfor <u1@example.test>; Tue, 3 Mar 2026 10:11:12 +0100\r\n"
	    "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=sender.example; s=mail;\r\n"
	    "\tbh=frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=;\r\n\tb=%064x%064x\r\n"
	    "From: \"Some Name\" <user%u@sender.example>\r\nTo: U One <u1@example.test>\r\n"
	    "Subject: about number %u of many\r\nDate: Tue, 3 Mar 2026 10:11:12 +0100\r\n"
	    "Message-ID: <%x.%u@sender.example>\r\nX-Spam-Status: No, score=-1.9\r\nMIME-Version: "
	    "1.0\r\n"
	    "Content-Type: multipart/alternative; boundary=\"part-%x\"\r\n\r\n--part-%x\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "
	    "quoted-printable\r\n\r\n",
	    i % 9, i % 250, i, i, i, i, i, i, i, i, i);
	for (unsigned k = 0; k < 20; k++)
		buf_puts(out, "A line of text like many others, with some words in it.\r\n");
	buf_printf(out, "--part-%x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n", i);
	for (unsigned k = 0; k < 45; k++)
		buf_puts(out, "<p>A line of markup like many others, with <b>some</b> words.\r\n");
	buf_printf(out, "--part-%x--\r\n", i);
}

static struct fake *login(struct world *w)
{
	struct fake *f = fake_new(&(struct fake_conf){ .core = &imap_core,
	    .core_conf = &imap_conf,
	    .plain_login = true,
	    .store = world_store(w) });

	fake_input(f, SLICE("a LOGIN u1 gatehouse\r\n"));
	return f;
}

static void selects(struct world *w, unsigned turns)
{
	int64_t least_ns = INT64_MAX;

	for (unsigned i = 0; i < turns; i++) {
		int64_t began_ns;
		struct fake *f;

		rig_restart(&w->rig);
		f = login(w);
		began_ns = clock_mono_ns();
		fake_input(f, SLICE("b SELECT INBOX\r\n"));
		began_ns = clock_mono_ns() - began_ns;
		least_ns = began_ns < least_ns ? began_ns : least_ns;
		fake_free(&f);
	}
	printf("SELECT after a start, the fastest: %.2f ms\n", (double)least_ns / 1e6);
}

int main(int argc, char **argv)
{
	unsigned messages = argc == 4 || argc == 5 ? (unsigned)atoi(argv[1]) : 0, turns;
	struct buf body = BUF_INIT(1 << 16), command = BUF_INIT(4096);
	struct world w;
	struct fake *f;
	int64_t began_ns;
	size_t octets = 0;

	if (messages == 0)
		errx(2, "usage: imap-fetch MESSAGES TURNS ITEMS [ENGINE]");
	turns = (unsigned)atoi(argv[2]);
	world_init(&w, argc == 5 ? argv[4] : "mem");
	w.rig.compress = 0; /* as it is at first */
	for (unsigned i = 0; i < messages; i++) {
		make(i, &body);
		world_deliver(&w, 1, buf_slice(&body));
	}
	if (strcmp(argv[3], "SELECT") == 0) {
		selects(&w, turns);
		return 0;
	}
	f = login(&w);
	fake_input(f, SLICE("b SELECT INBOX\r\n"));
	buf_printf(&command, "c FETCH 1:* %s\r\n", argv[3]);
	began_ns = clock_mono_ns();
	for (unsigned i = 0; i < turns; i++) {
		fake_output_reset(f);
		fake_input(f, buf_slice(&command));
		octets += fake_output(f).n;
	}
	printf("%s: %.2f us and %zu octets a message\n", argv[3],
	    (double)(clock_mono_ns() - began_ns) / 1000 / turns / messages,
	    octets / turns / messages);
	fake_free(&f);
	world_fini(&w);
	buf_fini(&body);
	buf_fini(&command);
	return 0;
}
