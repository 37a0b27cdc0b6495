/* Answers of stored that fail, and those that come when their command is over. */
#include "protocols/imap/imap.h"
#include "tests/wire/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static const struct imap_conf imap_conf = { .mechs = 7, .append_max = 1 << 20 };

/* Between the core and its store: the `spoil`-th body from here on has that status. */
struct spoiler {
	struct fake_store store; /* first */
	struct fake_store *real;
	unsigned spoil;
	uint32_t status;
	union ipc_any spoiled;
};

static bool on_open(struct fake_store *s, unsigned user)
{
	struct fake_store *real = ((struct spoiler *)s)->real;

	return real->open(real, user);
}

static void on_send(struct fake_store *s, enum ipc_type type, const void *msg)
{
	struct fake_store *real = ((struct spoiler *)s)->real;

	real->send(real, type, msg);
}

static const union ipc_any *on_next(
    struct fake_store *s, bool wait, enum ipc_type *ret_type, bool *ret_gone)
{
	struct spoiler *sp = (struct spoiler *)s;
	const union ipc_any *m = sp->real->next(sp->real, wait, ret_type, ret_gone);

	if (m == NULL || *ret_type != IPC_body_data || sp->spoil == 0 || --sp->spoil > 0)
		return m;
	sp->spoiled = *m;
	sp->spoiled.body_data.status = sp->status;
	sp->spoiled.body_data.last = 1;
	return &sp->spoiled;
}

static void deliver(struct world *w, char letter)
{
	struct buf body = BUF_INIT(1 << 20);

	buf_printf(&body, "Subject: %c\r\n\r\n", letter);
	for (unsigned i = 0; i < 40000; i++)
		buf_putc(&body, (uint8_t)letter);
	buf_puts(&body, "\r\n");
	world_deliver(w, 1, buf_slice(&body));
	buf_fini(&body);
}

static void has(struct slice text, const char *part)
{
	if (memmem(text.p, text.n, part, strlen(part)) == NULL)
		fail_msg("'%s' is not there", part);
}

static void a_search_that_fails_takes_nothing_from_what_follows(void **state)
{
	struct spoiler sp = { .store = { on_open, on_send, on_next }, .status = IPC_ST_TRYLATER };
	struct world w;
	struct fake *f;

	world_init(&w, "mem");
	for (char c = 'a'; c <= 'f'; c++)
		deliver(&w, c);
	sp.real = world_store(&w);
	f = fake_new(&(struct fake_conf){
	    .core = &imap_core, .core_conf = &imap_conf, .plain_login = true, .store = &sp.store });
	fake_input(f, SLICE("a LOGIN u1 gatehouse\r\nb SELECT INBOX\r\n"));
	for (unsigned i = 0; i < 20; i++) {
		fake_output_reset(f);
		sp.spoil = 2;
		fake_input(f, SLICE("c SEARCH BODY xyz\r\nd FETCH 6 BODY.PEEK[TEXT]<0.4>\r\n"));
		has(fake_output(f), "c NO [UNAVAILABLE]");
		has(fake_output(f), "* 6 FETCH (BODY[TEXT]<0> {4}\r\nffff)\r\nd OK ");
	}
	fake_free(&f);
	world_fini(&w);
}

/* One message has no facts and cannot be read: the others are found all the same. */
static void a_damaged_message_has_no_text(void **state)
{
	struct spoiler sp = { .store = { on_open, on_send, on_next }, .status = IPC_ST_CORRUPT };
	struct world w;
	struct fake *f;

	world_init(&w, "mem");
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(
		    rig_put(&w.rig, 1, SLICE("Subject: x\r\n\r\nhere it is\r\n")), IPC_ST_OK);
	sp.real = world_store(&w);
	f = fake_new(&(struct fake_conf){
	    .core = &imap_core, .core_conf = &imap_conf, .plain_login = true, .store = &sp.store });
	fake_input(f, SLICE("a LOGIN u1 gatehouse\r\nb SELECT INBOX\r\n"));
	fake_output_reset(f);
	sp.spoil = 1;
	fake_input(f, SLICE("c SEARCH BODY here\r\n"));
	has(fake_output(f), "* SEARCH 2 3\r\nc OK ");
	fake_free(&f);
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_search_that_fails_takes_nothing_from_what_follows),
		cmocka_unit_test(a_damaged_message_has_no_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
