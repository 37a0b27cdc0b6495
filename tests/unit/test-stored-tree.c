/*
 * The names of an account: mailboxes, directories, subscriptions, by messages of a session. The
 * same cases on every engine.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/stored-rig.h"

#include "common/base/wire.h"

#include <string.h>

enum { ACCOUNT = 7 };

static struct rig_client *session(struct rig *r)
{
	static uint64_t sid = 100;
	int status;
	struct rig_client *s = rig_session(r, ACCOUNT, ++sid, &status);

	assert_non_null(s);
	return s;
}

static int done(struct rig_client *s)
{
	return (int)rig_wait(s, IPC_mbox_done)->mbox_done.status;
}

static int create_as(struct rig_client *s, const char *name, uint32_t attrs)
{
	rig_send(s, IPC_mbox_create, &(struct ipc_mbox_create){ 1, slice_str(name), attrs });
	return done(s);
}

static int create(struct rig_client *s, const char *name)
{
	return create_as(s, name, 0);
}

static int drop(struct rig_client *s, const char *name)
{
	rig_send(s, IPC_mbox_delete, &(struct ipc_mbox_delete){ 2, slice_str(name) });
	return done(s);
}

static int move(struct rig_client *s, const char *from, const char *to)
{
	rig_send(
	    s, IPC_mbox_rename, &(struct ipc_mbox_rename){ 3, slice_str(from), slice_str(to) });
	return done(s);
}

static int subscribe(struct rig_client *s, const char *name, bool on)
{
	rig_send(s, IPC_mbox_subscribe, &(struct ipc_mbox_subscribe){ 4, slice_str(name), on });
	return done(s);
}

/* "INBOX a/ a/b+ c! ": directories end in '/', subscriptions in '+', others' absence in '!'. */
static void list_is(struct rig_client *s, const char *prefix, const char *want)
{
	struct buf b = BUF_INIT(1 << 20);
	bool more = true;

	rig_send(s, IPC_mbox_list, &(struct ipc_mbox_list){ 5, slice_str(prefix) });
	while (more) {
		const struct ipc_mbox_list_rows *m =
		    &rig_wait(s, IPC_mbox_list_rows)->mbox_list_rows;
		struct slice rows = m->rows;

		assert_int_equal(m->status, IPC_ST_OK);
		more = m->more;
		while (rows.n > 0) {
			uint32_t attrs = wire_load_u32(rows.p + 8), n = wire_load_u32(rows.p + 16);

			buf_put(&b, slice_part(rows, 20, n));
			if (attrs & IPC_ATTR_NOSELECT)
				buf_putc(&b, '/');
			if (attrs & IPC_ATTR_SUBSCRIBED)
				buf_putc(&b, '+');
			if (attrs & IPC_ATTR_NONEXISTENT)
				buf_putc(&b, '!');
			if (attrs & IPC_ATTR_SENT)
				buf_putc(&b, 'S');
			buf_putc(&b, ' ');
			rows = slice_from(rows, 20 + n);
		}
	}
	buf_putc(&b, 0);
	assert_string_equal(b.p, want);
	buf_fini(&b);
}

static struct ipc_mbox_status_is status_of(struct rig_client *s, const char *name, uint32_t want)
{
	rig_send(s, IPC_mbox_status, &(struct ipc_mbox_status){ 6, slice_str(name), want });
	return rig_wait(s, IPC_mbox_status_is)->mbox_status_is;
}

static void names_are_made_with_their_parents(void **state)
{
	struct rig_client *s = session(*state);

	list_is(s, "", "INBOX ");
	assert_int_equal(create(s, "a/b/c"), IPC_ST_OK);
	assert_int_equal(create(s, "a b"), IPC_ST_OK);
	assert_int_equal(create_as(s, "Sent", IPC_ATTR_SENT), IPC_ST_OK);
	list_is(s, "", "INBOX SentS a/ a/b/ a/b/c a b ");
	assert_int_equal(create(s, "a/b"), IPC_ST_OK);
	list_is(s, "", "INBOX SentS a/ a/b a/b/c a b ");
	list_is(s, "a/", "a/b a/b/c ");
	assert_int_equal(create(s, "a/b"), IPC_ST_EXISTS);
	assert_int_equal(create(s, "inbox"), IPC_ST_EXISTS);
	assert_int_equal(create_as(s, "dir", IPC_ATTR_NOSELECT), IPC_ST_OK);
	assert_int_equal(create_as(s, "dir", IPC_ATTR_NOSELECT), IPC_ST_EXISTS);
	assert_int_equal((int)rig_open(s, "dir", 0).status, IPC_ST_CANNOT);
	assert_int_equal((int)rig_open(s, "nobody", 0).status, IPC_ST_NOTFOUND);
	assert_int_equal((int)rig_open(s, "a/b", 0).status, IPC_ST_OK);
}

static void names_that_cannot_be_are_refused(void **state)
{
	static const char *const bad[] = { "", "/", "/a", "a/", "a//b", "a\r", "\x7f", "a\tb",
		"\xff", "a\xc0\x80", "\xc3", "\xed\xa0\x80", "\xe0\x80\xaf", "\xf4\x90\x80\x80" };
	static const char *const good[] = { "\xc3\xa9", "\xe2\x82\xac/\xf0\x9f\x98\x80",
		"\xf4\x8f\xbf\xbf" };
	struct rig_client *s = session(*state);
	char deep[300], longest[1026];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(create(s, bad[i]), IPC_ST_CANNOT);
		assert_int_equal(drop(s, bad[i]), IPC_ST_NOTFOUND);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(create(s, good[i]), IPC_ST_OK);
	for (size_t i = 0; i < 130; i += 2)
		memcpy(deep + i, "x/", 2);
	deep[127] = 0;
	assert_int_equal(create(s, deep), IPC_ST_OK); /* 64 levels */
	deep[127] = '/';
	deep[129] = 0;
	assert_int_equal(create(s, deep), IPC_ST_CANNOT);
	memset(longest, 'n', sizeof(longest));
	longest[1024] = 0;
	assert_int_equal(create(s, longest), IPC_ST_OK);
	assert_int_equal(move(s, longest, "short"), IPC_ST_OK);
	assert_int_equal(create(s, "short/child"), IPC_ST_OK);
	/* The child's new name would be too long: nothing is renamed. */
	assert_int_equal(move(s, "short", longest), IPC_ST_LIMIT);
	list_is(s, "short", "short short/child ");
}

static void inbox_is_always_there(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = session(r);
	struct ipc_mbox_opened old = rig_open(s, "InBoX", IPC_MBOX_EVENTS), now;

	assert_int_equal(rig_put(r, ACCOUNT, SLICE("Subject: one\r\n\r\n")), IPC_ST_OK);
	(void)rig_wait(s, IPC_mbox_event);
	assert_int_equal(drop(s, "inbox"), IPC_ST_CANNOT);
	assert_int_equal(create(s, "inbox/child"), IPC_ST_OK);
	rig_send(
	    s, IPC_mbox_rename, &(struct ipc_mbox_rename){ 3, SLICE("INBOX"), SLICE("old/1") });
	/* Whoever waits for new mail there must look for it elsewhere. */
	assert_int_equal(rig_wait(s, IPC_mbox_gone)->mbox_gone.mbox, old.mbox);
	assert_int_equal(done(s), IPC_ST_OK);
	list_is(s, "", "INBOX INBOX/child old/ old/1 ");
	now = rig_open(s, "INBOX", 0);
	assert_int_equal(now.exists, 0);
	assert_true(now.uidvalidity != old.uidvalidity);
	now = rig_open(s, "old/1", 0);
	assert_int_equal(now.exists, 1);
	assert_int_equal(now.uidvalidity, old.uidvalidity);
	assert_int_equal(rig_put(r, ACCOUNT, SLICE("Subject: two\r\n\r\n")), IPC_ST_OK);
	assert_int_equal(status_of(s, "inbox", 0).messages, 1);
	assert_int_equal(status_of(s, "old/1", 0).messages, 1);
}

static void trees_are_renamed_at_once(void **state)
{
	struct rig_client *s = session(*state);

	assert_int_equal(create(s, "a/b/c"), IPC_ST_OK);
	assert_int_equal(create(s, "a/d"), IPC_ST_OK);
	assert_int_equal(create(s, "ab"), IPC_ST_OK);
	assert_int_equal(create(s, "x"), IPC_ST_OK);
	assert_int_equal(move(s, "a", "a/z"), IPC_ST_CANNOT);
	assert_int_equal(move(s, "a", "x"), IPC_ST_EXISTS);
	assert_int_equal(move(s, "none", "y"), IPC_ST_NOTFOUND);
	assert_int_equal(move(s, "a", "INBOX"), IPC_ST_EXISTS);
	assert_int_equal(move(s, "a", "p/q"), IPC_ST_OK);
	list_is(s, "", "INBOX ab p/ p/q/ p/q/b/ p/q/b/c p/q/d x ");
	assert_int_equal(move(s, "p/q/b/c", "c"), IPC_ST_OK);
	list_is(s, "", "INBOX ab c p/ p/q/ p/q/b/ p/q/d x ");
	rig_restart(*state);
	s = session(*state);
	list_is(s, "", "INBOX ab c p/ p/q/ p/q/b/ p/q/d x ");
}

static void deleting_leaves_the_children(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = session(r), *other = session(r);
	const union ipc_any *m;
	struct ipc_mbox_opened o;

	assert_int_equal(create(s, "a/b"), IPC_ST_OK);
	assert_int_equal(create(s, "a"), IPC_ST_OK);
	o = rig_open(other, "a", IPC_MBOX_EVENTS);
	assert_int_equal(o.status, IPC_ST_OK);
	assert_int_equal(drop(s, "a"), IPC_ST_OK);
	m = rig_wait(other, IPC_mbox_gone);
	assert_int_equal(m->mbox_gone.mbox, o.mbox);
	assert_int_equal(m->mbox_gone.own, 0);
	list_is(s, "", "INBOX a/ a/b ");
	assert_int_equal(drop(s, "a"), IPC_ST_CANNOT);
	assert_int_equal(create(s, "a"), IPC_ST_OK);
	assert_true(rig_open(s, "a", 0).uidvalidity > o.uidvalidity);
	assert_int_equal(drop(s, "a/b"), IPC_ST_OK);
	rig_send(s, IPC_mbox_delete, &(struct ipc_mbox_delete){ 2, SLICE("a") });
	assert_int_equal(rig_wait(s, IPC_mbox_gone)->mbox_gone.own, 1); /* its own view of it */
	assert_int_equal(done(s), IPC_ST_OK);
	assert_int_equal(drop(s, "a"), IPC_ST_NOTFOUND);
	list_is(s, "", "INBOX ");
	rig_restart(r);
	s = session(r);
	list_is(s, "", "INBOX ");
}

static void subscriptions_need_no_mailbox(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = session(r);

	assert_int_equal(subscribe(s, "gone/x", true), IPC_ST_OK);
	assert_int_equal(subscribe(s, "gone/x", true), IPC_ST_OK);
	assert_int_equal(subscribe(s, "inbox", true), IPC_ST_OK);
	assert_int_equal(subscribe(s, "never", false), IPC_ST_OK);
	assert_int_equal(create(s, "m"), IPC_ST_OK);
	assert_int_equal(subscribe(s, "m", true), IPC_ST_OK);
	assert_int_equal(drop(s, "m"), IPC_ST_OK);
	list_is(s, "", "INBOX+ gone/x+! m+! ");
	rig_restart(r);
	s = session(r);
	list_is(s, "", "INBOX+ gone/x+! m+! ");
	assert_int_equal(subscribe(s, "gone/x", false), IPC_ST_OK);
	list_is(s, "", "INBOX+ m+! ");
}

static void many_names_come_in_pieces(void **state)
{
	struct rig_client *s = session(*state);
	struct buf want = BUF_INIT(1 << 20);
	char name[200];

	buf_puts(&want, "INBOX ");
	for (int i = 0; i < 800; i++) {
		snprintf(name, sizeof(name), "long/%0150d", i);
		assert_int_equal(create(s, name), IPC_ST_OK);
		if (i == 0)
			buf_puts(&want, "long/ ");
		buf_puts(&want, name);
		buf_putc(&want, ' ');
	}
	buf_putc(&want, 0);
	list_is(s, "", (const char *)want.p);
	buf_fini(&want);
}

static void status_looks_inside_when_asked(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = session(r);
	struct ipc_mbox_status_is is;
	uint32_t mbox;

	for (int i = 0; i < 3; i++)
		assert_int_equal(rig_put(r, ACCOUNT, SLICE("0123456789")), IPC_ST_OK);
	mbox = rig_open(s, "INBOX", 0).mbox;
	assert_int_equal(rig_flags(s, mbox, 1, 2, IPC_FLAGS_ADD, IPC_FLAG_DELETED), IPC_ST_OK);
	assert_int_equal(rig_flags(s, mbox, 3, 3, IPC_FLAGS_ADD, IPC_FLAG_SEEN), IPC_ST_OK);
	rig_restart(r);
	s = session(r);
	is = status_of(s, "inbox", IPC_STATUS_DELETED);
	assert_int_equal(is.status, IPC_ST_OK);
	assert_int_equal(is.messages, 3);
	assert_int_equal(is.unseen, 2);
	assert_int_equal(is.bytes, 30);
	assert_int_equal(is.deleted, 2);
	assert_int_equal(is.deleted_bytes, 20);
	assert_int_equal(is.uidnext, 4);
	assert_true(is.modseq > 0);
	assert_int_equal(status_of(s, "nobody", 0).status, IPC_ST_NOTFOUND);
}

/* RFC 7162 7: a mod-sequence is never 0, and what comes later has a higher one. */
static void an_empty_mailbox_has_a_modseq(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = session(r);
	uint64_t before = rig_open(s, "INBOX", 0).modseq;

	assert_true(before > 0);
	assert_int_equal(rig_put(r, ACCOUNT, SLICE("x")), IPC_ST_OK);
	assert_true(rig_open(s, "INBOX", 0).modseq > before);
}

static void names_wait_for_each_other(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = session(r), *other = session(r);

	for (uint32_t i = 0; i < 200; i++) {
		struct rig_client *c = i % 2 == 0 ? s : other;

		rig_send(c, IPC_mbox_create, &(struct ipc_mbox_create){ i, SLICE("same"), 0 });
		rig_send(c, IPC_mbox_delete, &(struct ipc_mbox_delete){ i, SLICE("same") });
	}
	rig_client_close(other);
	for (uint32_t i = 0; i < 200; i++) {
		uint32_t status = rig_wait(s, IPC_mbox_done)->mbox_done.status;

		assert_true(
		    status == IPC_ST_OK || status == IPC_ST_EXISTS || status == IPC_ST_NOTFOUND);
	}
	rig_spin(r, 50);
	(void)drop(s, "same");
	list_is(s, "", "INBOX ");
}

/* What the account begins with besides INBOX; asked for twice, as after a crash. */
static void a_new_account_has_its_first_mailboxes(void **state)
{
	struct rig *r = *state;
	struct ipc_account_make m = { .account = 77,
		.mailboxes = SLICE("\6\0Drafts\5\0a/b/c\5\0inbox\3\0//x\3\0a/b"),
		.subscriptions = SLICE("\5\0INBOX\11\0~all/news") };

	for (int i = 0; i < 2; i++) {
		rig_send(r->routerd, IPC_account_make, &m);
		assert_int_equal(
		    rig_wait(r->routerd, IPC_account_done)->account_done.status, IPC_ST_OK);
	}
	list_is(rig_session(r, 77, 5, NULL), "", "Drafts INBOX+ a/ a/b a/b/c ~all/news+! ");
	/* What is cut off is left out. */
	m = (struct ipc_account_make){ .account = 78, .mailboxes = SLICE("\6\0Drafts\11\0cut") };
	rig_send(r->routerd, IPC_account_make, &m);
	assert_int_equal(rig_wait(r->routerd, IPC_account_done)->account_done.status, IPC_ST_OK);
	list_is(rig_session(r, 78, 6, NULL), "", "Drafts INBOX ");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_setup_account, rig_teardown)
		CASE(names_are_made_with_their_parents),
		CASE(names_that_cannot_be_are_refused),
		CASE(inbox_is_always_there),
		CASE(trees_are_renamed_at_once),
		CASE(deleting_leaves_the_children),
		CASE(subscriptions_need_no_mailbox),
		CASE(many_names_come_in_pieces),
		CASE(status_looks_inside_when_asked),
		CASE(an_empty_mailbox_has_a_modseq),
		CASE(names_wait_for_each_other),
		CASE(a_new_account_has_its_first_mailboxes),
	};

	if (argc > 1)
		rig_spec = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
