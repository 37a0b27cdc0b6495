/* What the IMAP core asks of stored and what it makes of the answers: where both meet. */
#include "common/base/wire.h"
#include "protocols/imap/imap.h"
#include "tests/wire/tap.h"
#include "tests/wire/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <unistd.h>

static const struct imap_conf imap_conf = { .mechs = 7, .append_max = 1 << 20 };

static struct fake *connect_to(struct fake_store *store)
{
	struct fake *f = fake_new(&(struct fake_conf){
	    .core = &imap_core, .core_conf = &imap_conf, .plain_login = true, .store = store });

	fake_input(f, SLICE("a LOGIN u1 gatehouse\r\n"));
	return f;
}

static struct slice ask(struct fake *f, const char *command)
{
	fake_output_reset(f);
	fake_input(f, slice_str(command));
	fake_input(f, SLICE("\r\n"));
	return fake_output(f);
}

static bool is_in(struct slice text, const char *part)
{
	return memmem(text.p, text.n, part, strlen(part)) != NULL;
}

static void has(struct slice text, const char *part)
{
	if (!is_in(text, part))
		fail_msg(
		    "'%s' is not in '%.*s'", part, (int)(text.n < 3000 ? text.n : 3000), text.p);
}

static void has_not(struct slice text, const char *part)
{
	if (is_in(text, part))
		fail_msg("'%s' is in '%.*s'", part, (int)(text.n < 3000 ? text.n : 3000), text.p);
}

/* Every second uid up to it are more ranges than one question to stored holds. */
enum { ODD_MAX = 14999 };

static void put_odd(struct buf *b)
{
	for (unsigned uid = 1; uid <= ODD_MAX; uid += 2)
		buf_printf(b, "%s%u", uid > 1 ? "," : "", uid);
}

/* ---- the quota ------------------------------------------------------------------------------- */

static void a_level_of_the_quota_names_its_kind(void **state)
{
	struct world w;
	struct fake *f;

	world_init(&w, "mem");
	w.rig.notice = 50;
	w.rig.messages_max = 4;
	rig_policy(&w.rig, 1);
	f = connect_to(world_store(&w));
	ask(f, "b SELECT INBOX");
	world_deliver(&w, 1, SLICE("Subject: x\r\n\r\nx"));
	has_not(ask(f, "c NOOP"), "quota");
	world_deliver(&w, 1, SLICE("Subject: x\r\n\r\nx"));
	has(ask(f, "d NOOP"), "* OK [ALERT] 50 % of the quota of messages is used\r\n");
	has_not(ask(f, "e NOOP"), "quota");
	for (unsigned i = 0; i < 2; i++)
		world_deliver(&w, 1, SLICE("Subject: x\r\n\r\nx"));
	has(ask(f, "f NOOP"), "* NO [OVERQUOTA] the quota of messages is used up\r\n");
	fake_free(&f);
	world_fini(&w);

	world_init(&w, "mem");
	w.rig.notice = 50;
	w.rig.quota = 40;
	rig_policy(&w.rig, 1);
	f = connect_to(world_store(&w));
	ask(f, "b SELECT INBOX");
	ask(f, "c APPEND INBOX {20+}\r\nSubject: 78901\r\n\r\n90");
	has(ask(f, "d NOOP"), "* OK [ALERT] 50 % of the quota of octets is used\r\n");
	ask(f, "e APPEND INBOX {20+}\r\nSubject: 78901\r\n\r\n90");
	has(ask(f, "f NOOP"), "* NO [OVERQUOTA] the quota of octets is used up\r\n");
	fake_free(&f);
	world_fini(&w);
}

/* ---- names ----------------------------------------------------------------------------------- */

enum { SUBSCRIBED = 400000, ROW_BYTES = 20 + 8, PAGE_ROWS = 2000 };

struct rows {
	uint32_t seq, at;
	bool asked;
	uint8_t page[PAGE_ROWS * ROW_BYTES];
	union ipc_any m;
};

static bool rows_asked(struct tap *t, enum ipc_type type, const union ipc_any *m)
{
	struct rows *r = t->arg;

	if (type != IPC_mbox_list)
		return false;
	r->seq = m->mbox_list.seq;
	r->at = 0;
	r->asked = true;
	return true;
}

/* "d/000000", "d/000001" ...: all subscribed, and no "d". */
static const union ipc_any *rows_come(struct tap *t, enum ipc_type *ret_type)
{
	struct rows *r = t->arg;
	uint8_t *p = r->page;

	if (!r->asked)
		return NULL;
	memset(r->page, 0, sizeof(r->page));
	for (unsigned i = 0; i < PAGE_ROWS; i++, p += ROW_BYTES) {
		char name[16];

		wire_store_u32(p + 8, IPC_ATTR_SUBSCRIBED);
		wire_store_u32(p + 16, 8);
		snprintf(name, sizeof(name), "d/%06u", r->at++);
		memcpy(p + 20, name, 8);
	}
	r->asked = r->at < SUBSCRIBED;
	*ret_type = IPC_mbox_list_rows;
	r->m.mbox_list_rows = (struct ipc_mbox_list_rows){
		.seq = r->seq, .more = r->asked, .rows = slice_of(r->page, sizeof(r->page))
	};
	return &r->m;
}

/* Minutes, if each subscription looked at those before it. */
static void many_subscriptions_below_one_name_are_listed_in_one_pass(void **state)
{
	static struct rows rows;
	struct world w;
	struct tap t;
	struct fake *f;

	world_init(&w, "mem");
	f = connect_to(tap_init(&t, world_store(&w)));
	t.on_send = rows_asked;
	t.on_next = rows_come;
	t.arg = &rows;
	alarm(30);
	assert_true(slice_eq(
	    ask(f, "b LSUB \"\" %"), SLICE("* LSUB (\\Noselect) \"/\" d\r\nb OK done\r\n")));
	assert_true(slice_eq(ask(f, "c LIST (SUBSCRIBED RECURSIVEMATCH) \"\" %"),
	    SLICE("* LIST (\\NonExistent \\HasChildren) \"/\" d (\"CHILDINFO\" "
		  "(\"SUBSCRIBED\"))\r\nc OK done\r\n")));
	alarm(0);
	fake_free(&f);
	world_fini(&w);
}

/* ---- VANISHED -------------------------------------------------------------------------------- */

/* 14999 to 15001 are gone, and whatever is asked about: these come, as far as they were asked for.
 */
struct gone {
	uint32_t seq;
	bool asked;
	uint8_t pair[8];
	union ipc_any m;
};

static bool gone_asked(struct tap *t, enum ipc_type type, const union ipc_any *m)
{
	struct gone *g = t->arg;
	uint32_t first = UINT32_MAX, last = 0;

	if (type != IPC_gone_get)
		return false;
	for (size_t i = 0; i < m->gone_get.uids.n; i += 8) {
		uint32_t a = wire_load_u32(m->gone_get.uids.p + i);
		uint32_t b = wire_load_u32(m->gone_get.uids.p + i + 4);

		if (b < ODD_MAX - 1 || a > ODD_MAX + 1)
			continue;
		first = a < first ? a : first;
		last = b > last ? b : last;
	}
	first = first < ODD_MAX - 1 ? ODD_MAX - 1 : first;
	last = last > ODD_MAX + 1 ? ODD_MAX + 1 : last;
	g->seq = m->gone_get.seq;
	g->asked = true;
	wire_store_u32(g->pair, first);
	wire_store_u32(g->pair + 4, last);
	g->m.gone_are.uids = first <= last ? slice_of(g->pair, 8) : SLICE_NONE;
	return true;
}

static const union ipc_any *gone_comes(struct tap *t, enum ipc_type *ret_type)
{
	struct gone *g = t->arg;

	if (!g->asked)
		return NULL;
	g->asked = false;
	g->m.gone_are.seq = g->seq;
	*ret_type = IPC_gone_are;
	return &g->m;
}

static void a_set_of_many_uids_is_asked_about_whole(void **state)
{
	struct buf command = BUF_INIT(65000);
	struct gone gone = { 0 };
	struct world w;
	struct tap t;
	struct fake *f;

	world_init(&w, "mem");
	world_deliver(&w, 1, SLICE("Subject: x\r\n\r\nx"));
	f = connect_to(tap_init(&t, world_store(&w)));
	t.on_send = gone_asked;
	t.on_next = gone_comes;
	t.arg = &gone;
	ask(f, "b ENABLE QRESYNC");
	ask(f, "c SELECT INBOX");
	buf_puts(&command, "d UID FETCH ");
	put_odd(&command);
	buf_puts(&command, " (UID) (CHANGEDSINCE 1000 VANISHED)");
	assert_false(command.overflow);
	assert_true(
	    slice_starts(ask(f, buf_cstr(&command)), SLICE("* VANISHED (EARLIER) 14999\r\nd OK ")));
	assert_int_equal(t.sent[IPC_gone_get], 1);
	/* An empty set is no question: to stored it would mean every uid. */
	ask(f, "e UID SEARCH RETURN (SAVE) UID 77");
	assert_true(slice_starts(
	    ask(f, "g UID FETCH $ (UID) (CHANGEDSINCE 1000 VANISHED)"), SLICE("g OK ")));
	assert_int_equal(t.sent[IPC_gone_get], 1);
	fake_free(&f);
	world_fini(&w);
	buf_fini(&command);
}

/* ---- COPY and MOVE --------------------------------------------------------------------------- */

struct second {
	uint32_t seq;
	bool asked;
	union ipc_any m;
};

/* The second portion finds no mailbox any more. */
static bool second_copy(struct tap *t, enum ipc_type type, const union ipc_any *m)
{
	struct second *s = t->arg;

	if (type != IPC_msg_copy || t->sent[IPC_msg_copy] != 2)
		return false;
	s->seq = m->msg_copy.seq;
	s->asked = true;
	return true;
}

static const union ipc_any *second_fails(struct tap *t, enum ipc_type *ret_type)
{
	struct second *s = t->arg;

	if (!s->asked)
		return NULL;
	s->asked = false;
	s->m.copy_done = (struct ipc_copy_done){ .seq = s->seq, .status = IPC_ST_NOTFOUND };
	*ret_type = IPC_copy_done;
	return &s->m;
}

static void more_ranges_than_a_question_holds_are_moved_and_not_copied(void **state)
{
	struct buf command = BUF_INIT(65000);
	struct second second = { 0 };
	struct world w;
	struct tap t;
	struct fake *f;

	world_init(&w, "mem");
	f = connect_to(tap_init(&t, world_store(&w)));
	ask(f, "b CREATE there");
	ask(f, "c SELECT INBOX");
	for (unsigned i = 0; i < 15; i++) {
		buf_reset(&command);
		buf_puts(&command, "d APPEND INBOX");
		for (unsigned k = 0; k < 1000; k++)
			buf_puts(&command, " {1+}\r\nx");
		has(ask(f, buf_cstr(&command)), "d OK ");
	}
	buf_reset(&command);
	buf_puts(&command, "e UID SEARCH RETURN (SAVE) UID ");
	put_odd(&command);
	assert_false(command.overflow);
	has(ask(f, buf_cstr(&command)), "e OK ");
	has(ask(f, "f UID COPY $ there"), "f NO [LIMIT] ");
	has(ask(f, "g STATUS there (MESSAGES)"), "(MESSAGES 0)");
	t.on_send = second_copy;
	t.on_next = second_fails;
	t.arg = &second;
	has(ask(f, "h UID MOVE $ there"), "* OK [COPYUID ");
	has(fake_output(f), "h NO [TRYCREATE] ");
	has(ask(f, "i STATUS there (MESSAGES)"), "(MESSAGES 7168)");
	assert_int_equal(t.sent[IPC_msg_copy], 2);
	has(ask(f, "h UID MOVE $ there"), "h OK ");
	has(ask(f, "i STATUS there (MESSAGES)"), "(MESSAGES 7500)");
	has(ask(f, "j UID SEARCH RETURN (COUNT MIN MAX) ALL"), " MIN 2 MAX 15000 COUNT 7500\r\n");
	fake_free(&f);
	world_fini(&w);
	buf_fini(&command);
}

/* ---- a mailbox that goes --------------------------------------------------------------------- */

struct held {
	bool wanted;
	uint32_t seq;
	char name[16];
};

static bool delete_held(struct tap *t, enum ipc_type type, const union ipc_any *m)
{
	struct held *h = t->arg;

	if (type != IPC_mbox_delete || !h->wanted)
		return false;
	h->seq = m->mbox_delete.seq;
	assert_true(m->mbox_delete.name.n < sizeof(h->name));
	memcpy(h->name, m->mbox_delete.name.p, m->mbox_delete.name.n);
	t->held = true;
	return true;
}

static void let_go(struct tap *t, struct fake *f)
{
	struct held *h = t->arg;
	union ipc_any m = { .mbox_delete = { h->seq, slice_str(h->name) } };

	t->held = h->wanted = false;
	t->real->send(t->real, IPC_mbox_delete, &m);
	fake_run(f);
}

/* While this session deletes "other", somebody deletes what it has selected. */
static void a_mailbox_that_somebody_deletes_ends_the_session(void **state)
{
	struct held held = { .wanted = true };
	struct world w;
	struct tap t;
	struct fake *f, *g;

	world_init(&w, "mem");
	f = connect_to(tap_init(&t, world_store(&w)));
	g = connect_to(world_store(&w));
	t.on_send = delete_held;
	t.arg = &held;
	ask(f, "b CREATE mine");
	ask(f, "c CREATE other");
	ask(f, "d SELECT mine");
	has_not(ask(f, "e DELETE other"), "e ");
	assert_true(t.held);
	has(ask(g, "b DELETE mine"), "b OK ");
	fake_run(f);
	has(fake_output(f), "* BYE ");
	assert_true(fake_closed(f));
	fake_free(&f);

	/* Its own goes without a word. */
	held = (struct held){ .wanted = true };
	f = connect_to(tap_init(&t, world_store(&w)));
	t.on_send = delete_held;
	t.arg = &held;
	ask(f, "d SELECT other");
	ask(f, "e DELETE other");
	let_go(&t, f);
	has(fake_output(f), "e OK ");
	assert_false(fake_closed(f));
	has(ask(f, "h FETCH 1 (UID)"), "h BAD select a mailbox first");
	fake_free(&f);
	fake_free(&g);
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_level_of_the_quota_names_its_kind),
		cmocka_unit_test(many_subscriptions_below_one_name_are_listed_in_one_pass),
		cmocka_unit_test(a_set_of_many_uids_is_asked_about_whole),
		cmocka_unit_test(more_ranges_than_a_question_holds_are_moved_and_not_copied),
		cmocka_unit_test(a_mailbox_that_somebody_deletes_ends_the_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
