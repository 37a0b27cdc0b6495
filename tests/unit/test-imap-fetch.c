/* FETCH before a real store: what has no facts, what is large, and a client that does not read. */
#include "common/base/wire.h"
#include "common/mail/limits.h"
#include "protocols/imap/imap.h"
#include "protocols/imap/limits.h"
#include "tests/wire/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

static const struct imap_conf imap_conf = { .mechs = 7, .append_max = 1 << 20 };

struct fetch_test {
	struct world world;
	struct fake *fake;
};

static void begin(struct fetch_test *t)
{
	world_init(&t->world, "mem");
}

static void select_inbox(struct fetch_test *t)
{
	t->fake = fake_new(&(struct fake_conf){ .core = &imap_core,
	    .core_conf = &imap_conf,
	    .plain_login = true,
	    .store = world_store(&t->world) });
	fake_input(t->fake, SLICE("a LOGIN u1 gatehouse\r\nb SELECT INBOX\r\n"));
	fake_output_reset(t->fake);
}

static struct slice ask(struct fetch_test *t, const char *command)
{
	fake_output_reset(t->fake);
	fake_input(t->fake, slice_str(command));
	fake_input(t->fake, SLICE("\r\n"));
	return fake_output(t->fake);
}

static void end(struct fetch_test *t)
{
	fake_free(&t->fake);
	world_fini(&t->world);
}

static void has(struct slice text, const char *part)
{
	if (memmem(text.p, text.n, part, strlen(part)) == NULL)
		fail_msg(
		    "'%s' is not in '%.*s'", part, (int)(text.n < 3000 ? text.n : 3000), text.p);
}

/* ---- facts ----------------------------------------------------------------------------------- */

#define MULTI "Content-Type: multipart/mixed; boundary=x\r\n\r\n"

static void messages_without_facts_are_read_for_them(void **state)
{
	struct fetch_test t;
	struct slice out;

	begin(&t);
	world_deliver(&t.world, 1, SLICE("Subject: with\r\n\r\nx"));
	assert_int_equal(rig_put(&t.world.rig, 1,
			     SLICE("Subject: without\r\n" MULTI
				   "--x\r\n\r\none\r\n--x\r\n\r\ntwo\r\n--x--\r\n")),
	    IPC_ST_OK);
	assert_int_equal(rig_put(&t.world.rig, 1, SLICE("Subject: again\r\n\r\nthree")), IPC_ST_OK);
	select_inbox(&t);
	out = ask(
	    &t, "c FETCH 1:3 (ENVELOPE BODY.PEEK[2] BODY.PEEK[HEADER.FIELDS (SUBJECT)] PREVIEW)");
	has(out, "* 1 FETCH (ENVELOPE (NIL \"with\"");
	has(out, "* 2 FETCH (ENVELOPE (NIL \"without\" NIL NIL NIL NIL NIL NIL NIL NIL) BODY[2] "
		 "{3}\r\ntwo "
		 "BODY[HEADER.FIELDS (SUBJECT)] {20}\r\nSubject: without\r\n\r\n PREVIEW \"one\")");
	has(out, "* 3 FETCH (ENVELOPE (NIL \"again\"");
	has(out, "c OK ");
	out = ask(&t, "d FETCH 1:3 (BODY)");
	has(out, "* 2 FETCH (BODY ((\"text\" \"plain\"");
	has(out, "d OK ");
	out = ask(&t, "e FETCH 1:3 PREVIEW (LAZY)");
	has(out, "* 1 FETCH (PREVIEW \"x\")\r\n* 2 FETCH (PREVIEW NIL)\r\n* 3 FETCH (PREVIEW "
		 "NIL)\r\ne OK ");
	out = ask(&t, "f FETCH 2 (RFC822.SIZE BODY.PEEK[]<0.8>)");
	has(out, "BODY[]<0> {8}\r\nSubject:)");
	end(&t);
}

static void what_was_cut_from_facts_is_read(void **state)
{
	struct buf to = BUF_INIT(1 << 20), many = BUF_INIT(1 << 20);
	struct fetch_test t;
	struct slice out;

	begin(&t);
	buf_puts(&to, "To: ");
	for (unsigned i = 0; i < 500; i++)
		buf_printf(&to, "%sa%u@b.example", i > 0 ? ", " : "", i);
	buf_puts(&to, "\r\n\r\n");
	buf_puts(&many, MULTI);
	for (unsigned i = 0; i < 900; i++)
		buf_printf(
		    &many, "--x\r\nContent-Description: this is number %u\r\n\r\n%u\r\n", i, i);
	buf_puts(&many, "--x--\r\n");
	world_deliver(&t.world, 1, buf_slice(&to));
	world_deliver(&t.world, 1, buf_slice(&many));
	select_inbox(&t);
	out = ask(&t, "c FETCH 1:2 (ENVELOPE BODYSTRUCTURE BODY.PEEK[900] BODY.PEEK[901])");
	has(out, "(NIL NIL \"a0\" \"b.example\")(NIL NIL \"a1\" \"b.example\")");
	has(out, "(NIL NIL \"a499\" \"b.example\")) NIL");
	has(out, "\"this is number 899\"");
	has(out, "BODY[900] {3}\r\n899 BODY[901] NIL)\r\nc OK ");
	end(&t);
	buf_fini(&to);
	buf_fini(&many);
}

/* ---- large messages -------------------------------------------------------------------------- */

/* Lines of 76 letters of base64: three octets for four. */
static void put_base64(struct buf *b, size_t lines)
{
	for (size_t i = 0; i < lines; i++) {
		for (unsigned k = 0; k < 19; k++)
			buf_puts(b, k == 7 ? "AAEC" : "SGVs");
		buf_puts(b, "\r\n");
	}
}

static void a_slow_reader_costs_one_window(void **state)
{
	struct buf message = BUF_INIT(16 << 20);
	struct fetch_test t;
	struct slice out;

	begin(&t);
	buf_puts(&message, "Subject: large\r\nContent-Transfer-Encoding: base64\r\n\r\n");
	put_base64(&message, 50000);
	world_deliver(&t.world, 1, buf_slice(&message));
	select_inbox(&t);
	fake_stop_reading(t.fake, true);
	ask(&t, "c FETCH 1 (BODY.PEEK[] BINARY.SIZE[1] BODY.PEEK[TEXT]<3000000.5>)");
	assert_true(fake_output_peak(t.fake) <= (128 << 10) + IPC_WINDOW_BYTES + (64 << 10));
	fake_stop_reading(t.fake, false);
	out = fake_output(t.fake);
	has(slice_part(out, 0, 100), "* 1 FETCH (BODY[] {3900053}\r\nSubject: large");
	assert_memory_equal(out.p + 29, message.p, message.n);
	has(slice_from(out, message.n), " BINARY.SIZE[1] 2850000 BODY[TEXT]<3000000> {5}\r\n");
	has(slice_from(out, message.n), "c OK ");
	assert_true(fake_output_peak(t.fake) <= (128 << 10) + IPC_WINDOW_BYTES + (64 << 10));
	end(&t);
	buf_fini(&message);
}

static void what_is_too_large_to_hold_is_read_twice(void **state)
{
	struct buf message = BUF_INIT(16 << 20);
	struct fetch_test t;
	struct slice out;

	begin(&t);
	buf_puts(&message, "Content-Transfer-Encoding: base64\r\nX-Long: ");
	for (unsigned i = 0; i < 20000; i++)
		buf_puts(&message, "word\r\n word ");
	buf_puts(&message, "\r\nSubject: here\r\n\r\n");
	put_base64(&message, 10000);
	world_deliver(&t.world, 1, buf_slice(&message));
	select_inbox(&t);
	out = ask(&t, "c FETCH 1 (BINARY.PEEK[1] UID BODY.PEEK[HEADER.FIELDS (SUBJECT)] "
		      "BODY.PEEK[HEADER.FIELDS (X-NONE)]<5.5> BINARY.PEEK[1]<569999.3>)");
	has(slice_part(out, 0, 50), "* 1 FETCH (BINARY[1] ~{570000}\r\nHel");
	has(slice_from(out, 570000),
	    " UID 1 BODY[HEADER.FIELDS (SUBJECT)] {17}\r\nSubject: here\r\n\r\n BODY[HEADER.FIELDS "
	    "(X-NONE)]<5> {0}\r\n BINARY[1]<569999> {1}\r\nl)\r\nc OK ");
	end(&t);
	buf_fini(&message);
}

/* ---- damage ----------------------------------------------------------------------------------
 */

/* A store whose answers are spoiled on their way: of pieces the first, of a body from the n-th on.
 */
struct damage {
	struct fake_store store; /* first */
	struct fake_store *real;
	bool pieces;
	unsigned body_after; /* 0: never */
	uint32_t status;
	union ipc_any spoiled;
	uint8_t data[61440];
};

static bool damage_open(struct fake_store *s, unsigned user)
{
	struct damage *d = (struct damage *)s;

	return d->real->open(d->real, user);
}

static void damage_send(struct fake_store *s, enum ipc_type type, const void *msg)
{
	struct damage *d = (struct damage *)s;

	d->real->send(d->real, type, msg);
}

static const union ipc_any *damage_next(
    struct fake_store *s, bool wait, enum ipc_type *ret_type, bool *ret_gone)
{
	struct damage *d = (struct damage *)s;
	const union ipc_any *m = d->real->next(d->real, wait, ret_type, ret_gone);

	if (m != NULL && *ret_type == IPC_parts_are && d->pieces) {
		struct slice rest =
		    slice_from(m->parts_are.data, 12 + wire_load_u32(m->parts_are.data.p + 8));

		d->pieces = false;
		memset(d->data, 0, 12);
		wire_store_u32(d->data, d->status);
		memcpy(d->data + 12, rest.p, rest.n);
		d->spoiled = *m;
		d->spoiled.parts_are.data = slice_of(d->data, 12 + rest.n);
		return &d->spoiled;
	}
	if (m != NULL && *ret_type == IPC_body_data && d->body_after > 0 && --d->body_after == 0) {
		d->spoiled = *m;
		d->spoiled.body_data.status = d->status;
		d->spoiled.body_data.last = 1;
		d->spoiled.body_data.data = SLICE_NONE;
		return &d->spoiled;
	}
	return m;
}

static struct damage *select_damaged(struct fetch_test *t, uint32_t status)
{
	struct damage *d = calloc(1, sizeof(*d));

	*d = (struct damage){ .store = { damage_open, damage_send, damage_next },
		.real = world_store(&t->world),
		.status = status };
	t->fake = fake_new(&(struct fake_conf){
	    .core = &imap_core, .core_conf = &imap_conf, .plain_login = true, .store = &d->store });
	fake_input(t->fake, SLICE("a LOGIN u1 gatehouse\r\nb SELECT INBOX\r\n"));
	return d;
}

static void damage_of_a_message_is_its_own(void **state)
{
	static const struct {
		uint32_t status;
		const char *reply;
	} cases[] = {
		{ IPC_ST_CORRUPT, "c NO [CORRUPTION]" },
		{ IPC_ST_NOTFOUND, "c NO [EXPUNGEISSUED]" },
		{ IPC_ST_TRYLATER, "c NO [UNAVAILABLE]" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fetch_test t;
		struct damage *d;
		struct slice out;

		begin(&t);
		t.world.no_headers = true;
		world_deliver(&t.world, 1, SLICE("Subject: one\r\n\r\nfirst"));
		world_deliver(&t.world, 1, SLICE("Subject: two\r\n\r\nsecond"));
		d = select_damaged(&t, cases[i].status);
		d->pieces = true;
		out = ask(&t, "c FETCH 1:2 (UID BODY.PEEK[TEXT] RFC822.SIZE)");
		has(out, "* 1 FETCH (UID 1 BODY[TEXT] NIL RFC822.SIZE 21)\r\n"
			 "* 2 FETCH (UID 2 BODY[TEXT] {6}\r\nsecond RFC822.SIZE 22)\r\n");
		has(out, cases[i].reply);
		d->pieces = true;
		out = ask(&t, "c FETCH 1:2 (BODY.PEEK[HEADER.FIELDS (SUBJECT)])");
		has(out, "* 1 FETCH (BODY[HEADER.FIELDS (SUBJECT)] NIL)\r\n* 2 FETCH "
			 "(BODY[HEADER.FIELDS (SUBJECT)] {16}\r\nSubject: two\r\n\r\n)\r\n");
		has(out, cases[i].reply);
		has(ask(&t, "d FETCH 1 BODY.PEEK[TEXT]"), "{5}\r\nfirst)\r\nd OK ");
		end(&t);
		free(d);
	}
}

static void half_a_literal_ends_the_connection(void **state)
{
	struct buf message = BUF_INIT(1 << 20);
	struct fetch_test t;
	struct damage *d;
	struct slice out;

	begin(&t);
	buf_puts(&message, "Subject: large\r\n\r\n");
	put_base64(&message, 3000);
	world_deliver(&t.world, 1, buf_slice(&message));
	d = select_damaged(&t, IPC_ST_CORRUPT);
	/* At its beginning there is still an answer to give. */
	d->body_after = 1;
	out = ask(&t, "c FETCH 1 (BODY.PEEK[] UID)");
	has(out, "* 1 FETCH (BODY[] NIL UID 1)\r\nc NO [CORRUPTION]");
	assert_false(fake_closed(t.fake));
	fake_free(&t.fake);
	free(d);
	d = select_damaged(&t, IPC_ST_CORRUPT);
	fake_output_reset(t.fake);
	d->body_after = 2;
	out = ask(&t, "c FETCH 1 (BODY.PEEK[] UID)");
	has(slice_part(out, 0, 60), "* 1 FETCH (BODY[] {234018}\r\nSubject: large");
	assert_true(fake_closed(t.fake));
	assert_null(memmem(out.p, out.n, "BYE", 3));
	end(&t);
	free(d);
	buf_fini(&message);
}

/* ---- many messages ----------------------------------------------------------------------------
 */

static unsigned count(struct slice text, const char *part)
{
	unsigned n = 0;
	const uint8_t *p;

	while ((p = memmem(text.p, text.n, part, strlen(part))) != NULL) {
		n++;
		text = slice_from(text, (size_t)(p - text.p) + 1);
	}
	return n;
}

static void many_messages_come_in_order(void **state)
{
	struct buf body = BUF_INIT(1 << 16);
	struct fetch_test t;
	struct slice out;

	begin(&t);
	for (unsigned i = 1; i <= 2500; i++) {
		buf_reset(&body);
		buf_printf(&body, "Subject: number %u\r\n\r\n", i);
		for (unsigned k = 0; k < i % 50; k++)
			buf_puts(&body, "a line of text, and another one\r\n");
		if (i % 100 != 0)
			world_deliver(&t.world, 1, buf_slice(&body));
		else
			assert_int_equal(rig_put(&t.world.rig, 1, buf_slice(&body)), IPC_ST_OK);
	}
	select_inbox(&t);
	out = ask(&t, "c FETCH 1:* FLAGS");
	assert_int_equal(count(out, " FETCH (FLAGS (\\Recent))\r\n"), 2500);
	has(out, "* 2500 FETCH (FLAGS (\\Recent))\r\nc OK ");
	fake_stop_reading(t.fake, true);
	ask(&t, "d FETCH 1:* (ENVELOPE BODY.PEEK[TEXT] BODY.PEEK[HEADER.FIELDS (SUBJECT)])");
	assert_true(fake_output_peak(t.fake) <= (128 << 10) + IPC_WINDOW_BYTES + (64 << 10));
	fake_stop_reading(t.fake, false);
	out = fake_output(t.fake);
	for (unsigned i = 1; i <= 2500; i++) {
		char want[64];
		const uint8_t *at;

		snprintf(want, sizeof(want), "* %u FETCH (ENVELOPE (NIL \"number %u\"", i, i);
		at = memmem(out.p, out.n, want, strlen(want));
		if (at == NULL)
			fail_msg("%s is missing or too early", want);
		out = slice_from(out, (size_t)(at - out.p) + 1);
		snprintf(want, sizeof(want), "\r\nSubject: number %u\r\n\r\n)\r\n", i);
		assert_non_null(memmem(out.p, out.n, want, strlen(want)));
	}
	has(out, "d OK ");
	/* \Seen of all is stored in several portions, and told once. */
	out = ask(&t, "e UID FETCH 1:* BODY[TEXT]<0.1>");
	assert_int_equal(count(out, "FLAGS (\\Seen \\Recent)"), 2500);
	out = ask(&t, "f FETCH 1:* FLAGS");
	assert_int_equal(count(out, " FETCH (FLAGS (\\Seen \\Recent))\r\n"), 2500);
	end(&t);
	buf_fini(&body);
}

/* Kept, too long to be kept, from before headers were kept, and mixed in every way. */
static void headers_are_the_same_kept_or_read(void **state)
{
	enum { N = 150 };
	struct buf message = BUF_INIT(1 << 16), line = BUF_INIT(1 << 16);
	struct fetch_test t;

	begin(&t);
	for (unsigned i = 0; i < N; i++) {
		buf_reset(&message);
		buf_printf(&message, "Subject: number %u\r\nX-Long: ", i);
		for (unsigned k = 0; i % 7 == 3 && k < 2000; k++)
			buf_puts(&message, "long line\r\n ");
		buf_puts(&message, "end\r\n\r\nbody");
		/* More than one question's worth of each kind, then one by one. */
		t.world.no_headers = i < 80 ? i < 50 : i % 3 == 0;
		world_deliver(&t.world, 1, buf_slice(&message));
	}
	select_inbox(&t);
	for (int envelope = 0; envelope < 2; envelope++) {
		struct slice out = ask(&t,
		    envelope ? "c FETCH 1:* (ENVELOPE BODY.PEEK[HEADER.FIELDS (SUBJECT)])"
			     : "c FETCH 1:* (BODY.PEEK[HEADER]<2.7> BODY.PEEK[HEADER.FIELDS.NOT "
			       "(X-LONG)])");

		for (unsigned i = 0; i < N; i++) {
			size_t n = i < 10 ? 21 : i < 100 ? 22 : 23;

			buf_reset(&line);
			buf_printf(&line,
			    envelope ? "BODY[HEADER.FIELDS (SUBJECT)] {%zu}\r\nSubject: number "
				       "%u\r\n\r\n)"
				     : "(BODY[HEADER]<2> {7}\r\nbject:  BODY[HEADER.FIELDS.NOT "
				       "(X-LONG)] "
				       "{%zu}\r\nSubject: number %u\r\n\r\n)",
			    n, i);
			has(out, buf_cstr(&line));
		}
		has(out, "c OK");
	}
	end(&t);
	buf_fini(&message);
	buf_fini(&line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_without_facts_are_read_for_them),
		cmocka_unit_test(what_was_cut_from_facts_is_read),
		cmocka_unit_test(a_slow_reader_costs_one_window),
		cmocka_unit_test(what_is_too_large_to_hold_is_read_twice),
		cmocka_unit_test(damage_of_a_message_is_its_own),
		cmocka_unit_test(half_a_literal_ends_the_connection),
		cmocka_unit_test(many_messages_come_in_order),
		cmocka_unit_test(headers_are_the_same_kept_or_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
