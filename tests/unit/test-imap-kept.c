/*
 * What is kept of a message when it comes answers ENVELOPE, BODYSTRUCTURE, PREVIEW and any choice
 * of header fields: no body is opened for them, whichever way the message came to its mailbox.
 */
#include "common/mail/limits.h"
#include "protocols/imap/imap.h"
#include "tests/wire/tap.h"
#include "tests/wire/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>

static const struct imap_conf imap_conf = { .mechs = 7, .append_max = 1 << 20 };

/* A copy of MESSAGES shares what is kept (docs/store.md), one of FEW has its own. */
enum { MESSAGES = 70, FEW = 20, CHOICES = 25 };

static const char *const fields[] = { "From", "To", "Subject", "Date", "Message-ID",
	"X-Spam-Status", "List-Id", "Received", "X-Number", "Content-Type", "X-Long",
	"Nobody-Has-This" };

struct kept_test {
	struct world world;
	struct tap tap;
	struct fake *fake;
	uint32_t seed;
	unsigned n; /* messages in the mailbox */
};

static uint32_t draw(struct kept_test *t, uint32_t below)
{
	t->seed = t->seed * 1664525 + 1013904223;
	return (t->seed >> 8) % below;
}

static void has(struct slice text, const char *part)
{
	if (memmem(text.p, text.n, part, strlen(part)) == NULL)
		fail_msg(
		    "'%s' is not in '%.*s'", part, (int)(text.n < 3000 ? text.n : 3000), text.p);
}

static struct slice ask(struct kept_test *t, const char *command)
{
	fake_output_reset(t->fake);
	fake_input(t->fake, slice_str(command));
	fake_input(t->fake, SLICE("\r\n"));
	return fake_output(t->fake);
}

static unsigned bodies_opened(const struct kept_test *t)
{
	return t->tap.sent[IPC_body_get] + t->tap.sent[IPC_parts_get];
}

/* Its header has `header` octets at least; every other one has parts, one of them a message. */
static void put_message(struct buf *b, unsigned i, size_t header)
{
	buf_printf(b,
	    "Received: from a by b; Sun, 1 Nov 2026 10:00:%02u +0000\r\nFrom: A <a%u@a.example>\r\n"
	    "To: b@b.example,\r\n c@c.example\r\nSubject: number %u\r\n",
	    i % 60, i, i);
	buf_printf(b, "Message-ID: <%u@a.example>\r\nX-Number: %u\r\n", i, i);
	while (b->n < header)
		buf_puts(b, "X-Long: 0123456789abcdef0123456789abcdef\r\n");
	if (i % 2 == 0) {
		buf_puts(b, "\r\nsome text\r\n");
		return;
	}
	buf_puts(b, "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\none\r\n--x\r\n"
		    "Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ntwo\r\n--x--\r\n");
}

static void begin(struct kept_test *t)
{
	*t = (struct kept_test){ .seed = 20261122, .n = MESSAGES };
	world_init(&t->world, "mem");
	t->fake = fake_new(&(struct fake_conf){ .core = &imap_core,
	    .core_conf = &imap_conf,
	    .plain_login = true,
	    .store = tap_init(&t->tap, world_store(&t->world)) });
	ask(t, "a LOGIN u1 gatehouse");
}

static void end(struct kept_test *t)
{
	fake_free(&t->fake);
	world_fini(&t->world);
}

/* ---- the check ---- */

static void all_answered(struct kept_test *t, const char *command, const char *each)
{
	struct slice out = ask(t, command);
	struct buf line = BUF_INIT(200);

	for (unsigned i = 1; i <= t->n; i++) {
		buf_reset(&line);
		buf_printf(&line, "* %u FETCH (%s", i, each);
		has(out, buf_cstr(&line));
	}
	has(out, "\r\nf OK ");
	buf_fini(&line);
	if (bodies_opened(t) != 0)
		fail_msg("%u bodies were opened for %s", bodies_opened(t), command);
}

static void choose_fields(struct kept_test *t, struct buf *command)
{
	unsigned n = 1 + draw(t, 5);

	buf_reset(command);
	buf_printf(
	    command, "f FETCH 1:* (BODY.PEEK[HEADER.FIELDS%s (", draw(t, 3) == 0 ? ".NOT" : "");
	for (unsigned i = 0; i < n; i++)
		buf_printf(command, "%s%s", i > 0 ? " " : "",
		    fields[draw(t, sizeof(fields) / sizeof(fields[0]))]);
	buf_puts(command, ")]");
	if (draw(t, 4) == 0)
		buf_puts(command, "<0.100>");
	if (draw(t, 3) == 0)
		buf_puts(command, " BODY.PEEK[HEADER] ENVELOPE");
	buf_puts(command, ")");
}

static void nothing_is_opened_in(struct kept_test *t, const char *select)
{
	struct buf command = BUF_INIT(1000);

	has(ask(t, select), " OK ");
	memset(t->tap.sent, 0, sizeof(t->tap.sent));
	all_answered(t, "f FETCH 1:* (ENVELOPE)", "ENVELOPE (NIL \"number ");
	all_answered(t, "f FETCH 1:* (BODYSTRUCTURE)", "BODYSTRUCTURE (");
	all_answered(t, "f FETCH 1:* (BODY)", "BODY (");
	all_answered(t, "f FETCH 1:* (PREVIEW)", "PREVIEW \"");
	all_answered(t, "f FETCH 1:* FULL", "FLAGS (");
	all_answered(t, "f FETCH 1:* (RFC822.HEADER)", "RFC822.HEADER {");
	for (unsigned i = 0; i < CHOICES; i++) {
		choose_fields(t, &command);
		all_answered(t, buf_cstr(&command), "BODY[HEADER.FIELDS");
	}
	/* The count counts. */
	has(ask(t, "f FETCH 1:2 (BODY.PEEK[1])"), "f OK ");
	assert_true(bodies_opened(t) > 0);
	buf_fini(&command);
}

/* Of every length up to that which is kept. */
static size_t header_length(unsigned i)
{
	return i * (FACTS_HEADER_MAX - 200) / (MESSAGES - 1);
}

static void delivered(struct kept_test *t)
{
	for (unsigned i = 0; i < MESSAGES; i++) {
		struct buf b = BUF_INIT(100000);

		put_message(&b, i, header_length(i));
		world_deliver(&t->world, 1, buf_slice(&b));
		buf_fini(&b);
	}
}

static void appended(struct kept_test *t, const char *mailbox)
{
	struct buf command = BUF_INIT(2 << 20);

	buf_printf(&command, "f APPEND %s", mailbox);
	for (unsigned i = 0; i < MESSAGES; i++) {
		struct buf b = BUF_INIT(100000);

		put_message(&b, i, header_length(i));
		buf_printf(&command, " {%zu+}\r\n", b.n);
		buf_put(&command, buf_slice(&b));
		buf_fini(&b);
	}
	has(ask(t, buf_cstr(&command)), "f OK ");
	buf_fini(&command);
}

static void no_body_is_opened_for_what_is_kept(void **state)
{
	struct kept_test t;

	begin(&t);
	ask(&t, "c CREATE appended");
	ask(&t, "c CREATE copied");
	ask(&t, "c CREATE again");
	ask(&t, "c CREATE few");
	ask(&t, "c CREATE moved");
	delivered(&t);
	appended(&t, "appended");
	nothing_is_opened_in(&t, "s SELECT INBOX");
	has(ask(&t, "f COPY 1:* copied"), "f OK ");
	has(ask(&t, "f COPY 1:20 few"), "f OK ");
	nothing_is_opened_in(&t, "s SELECT appended");
	nothing_is_opened_in(&t, "s SELECT copied");
	/* A copy of a copy, and the first one moved away from under it. */
	has(ask(&t, "f COPY 1:* again"), "f OK ");
	has(ask(&t, "f MOVE 1:* moved"), "f OK ");
	nothing_is_opened_in(&t, "s SELECT moved");
	nothing_is_opened_in(&t, "s SELECT again");
	/* The copies are left alone. */
	ask(&t, "s SELECT INBOX");
	has(ask(&t, "f STORE 1:* +FLAGS.SILENT (\\Deleted)"), "f OK ");
	has(ask(&t, "f EXPUNGE"), "f OK ");
	nothing_is_opened_in(&t, "s SELECT again");
	nothing_is_opened_in(&t, "s SELECT moved");
	t.n = FEW;
	nothing_is_opened_in(&t, "s SELECT few");
	end(&t);
}

/* docs/imap-fetch.md: a longer header is read from the body, once for each that asks. */
static void a_long_header_is_read(void **state)
{
	struct buf b = BUF_INIT(100000);
	struct kept_test t;

	begin(&t);
	put_message(&b, 0, FACTS_HEADER_MAX + 1);
	world_deliver(&t.world, 1, buf_slice(&b));
	ask(&t, "s SELECT INBOX");
	has(ask(&t, "f FETCH 1 (ENVELOPE BODYSTRUCTURE)"), "f OK ");
	assert_int_equal(bodies_opened(&t), 0);
	has(ask(&t, "f FETCH 1 (BODY.PEEK[HEADER.FIELDS (X-NUMBER)])"), "X-Number: 0\r\n\r\n)");
	assert_int_equal(bodies_opened(&t), 1);
	end(&t);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_body_is_opened_for_what_is_kept),
		cmocka_unit_test(a_long_header_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
