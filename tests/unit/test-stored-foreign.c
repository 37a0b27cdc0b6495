/*
 * A session names mailboxes of other accounts, ~name/mailbox: routerd's word decides each time,
 * what is done is done there, and nobody else notices. On every engine: its spec is the argument.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/stored-look.h"

#include "common/base/wire.h"
#include "common/engine/engine.h"

#include <stdio.h>
#include <string.h>

enum { ADMIN = 7, THEIRS = 8, THIRD = 9, NOBODY = 5 };

static unsigned asked;
static uint64_t asked_by;

/* The administrator may use the others' mailboxes, and everybody his own. */
static void routerd(struct rig *r, const struct ipc_foreign_ask *m)
{
	struct ipc_foreign_is is = { .seq = m->seq, .status = IPC_DIR_DENIED };

	asked++;
	asked_by = m->who;
	if (slice_eq(m->name, SLICE("self")))
		is.account = m->who;
	else if (slice_eq(m->name, SLICE("their@example.test")))
		is.account = THEIRS;
	else if (slice_eq(m->name, SLICE("third")))
		is.account = THIRD;
	else if (slice_eq(m->name, SLICE("leaving")))
		is.account = NOBODY; /* stored does not have it any more */
	if (is.account == m->who || (is.account != 0 && m->who == ADMIN))
		is.status = IPC_DIR_OK;
	if (is.account != 0)
		is.name = SLICE("canonical@example.test");
	is.quota = r->quota;
	rig_send(r->routerd, IPC_foreign_is, &is);
}

static int setup(void **state)
{
	struct rig *r;

	rig_setup(state);
	r = *state;
	r->on_foreign = routerd;
	r->service = "imap";
	asked = 0;
	for (uint64_t id = ADMIN; id <= THIRD; id++)
		assert_int_equal(rig_account(r, id, IPC_account_make), IPC_ST_OK);
	return 0;
}

/* ---- questions ---- */

/* The next of this type; events and the like in front of it do not matter. */
static const union ipc_any *await(struct rig_client *s, enum ipc_type want)
{
	enum ipc_type type;
	const union ipc_any *m;

	do
		m = rig_next(s, 60000, &type, NULL);
	while (m != NULL && type != want);
	assert_non_null(m);
	return m;
}

static struct ipc_mbox_opened open_box(struct rig_client *s, const char *name, uint32_t flags)
{
	rig_send(
	    s, IPC_mbox_open, &(struct ipc_mbox_open){ ++s->rig->seq, slice_str(name), flags });
	return await(s, IPC_mbox_opened)->mbox_opened;
}

static int create(struct rig_client *s, const char *name)
{
	rig_send(
	    s, IPC_mbox_create, &(struct ipc_mbox_create){ ++s->rig->seq, slice_str(name), 0 });
	return (int)await(s, IPC_mbox_done)->mbox_done.status;
}

static int delete (struct rig_client *s, const char *name)
{
	rig_send(s, IPC_mbox_delete, &(struct ipc_mbox_delete){ ++s->rig->seq, slice_str(name) });
	return (int)await(s, IPC_mbox_done)->mbox_done.status;
}

static int rename_box(struct rig_client *s, const char *from, const char *to)
{
	rig_send(s, IPC_mbox_rename,
	    &(struct ipc_mbox_rename){ ++s->rig->seq, slice_str(from), slice_str(to) });
	return (int)await(s, IPC_mbox_done)->mbox_done.status;
}

static int subscribe(struct rig_client *s, const char *name)
{
	rig_send(s, IPC_mbox_subscribe,
	    &(struct ipc_mbox_subscribe){ ++s->rig->seq, slice_str(name), 1 });
	return (int)await(s, IPC_mbox_done)->mbox_done.status;
}

static struct ipc_mbox_status_is status(struct rig_client *s, const char *name, uint32_t want)
{
	rig_send(
	    s, IPC_mbox_status, &(struct ipc_mbox_status){ ++s->rig->seq, slice_str(name), want });
	return await(s, IPC_mbox_status_is)->mbox_status_is;
}

static struct ipc_quota_is quota(struct rig_client *s, const char *name)
{
	rig_send(s, IPC_quota_get, &(struct ipc_quota_get){ ++s->rig->seq, slice_str(name) });
	return await(s, IPC_quota_is)->quota_is;
}

/* Of the first message. */
static int seen(struct rig_client *s, uint32_t mbox)
{
	rig_send(s, IPC_flags_store,
	    &(struct ipc_flags_store){ .seq = ++s->rig->seq,
		.mbox = mbox,
		.op = IPC_FLAGS_ADD,
		.flags = IPC_FLAG_SEEN,
		.unchanged_since = UINT64_MAX,
		.uids = SLICE("\1\0\0\0\1\0\0\0") });
	return (int)await(s, IPC_store_done)->store_done.status;
}

static int expunge(struct rig_client *s, uint32_t mbox)
{
	rig_send(s, IPC_msg_expunge,
	    &(struct ipc_msg_expunge){ ++s->rig->seq, mbox, 0, SLICE("\1\0\0\0\1\0\0\0") });
	return (int)await(s, IPC_store_done)->store_done.status;
}

static struct ipc_copy_done copy(struct rig_client *s, uint32_t mbox, bool move, const char *to)
{
	rig_send(s, IPC_msg_copy,
	    &(struct ipc_msg_copy){
		++s->rig->seq, mbox, move, slice_str(to), SLICE("\1\0\0\0\377\377\377\377") });
	return await(s, IPC_copy_done)->copy_done;
}

static struct ipc_append_done append(struct rig_client *s, const char *name, const char *text)
{
	return put_pieces(s, name,
	    &(struct piece){ IPC_FLAG_FLAGGED, "colour", 1000, slice_str(text), SLICE_NONE }, 1);
}

/* "name attrs\n" of each row. */
static const char *list(struct rig_client *s, const char *prefix)
{
	static char text[4096];
	struct ipc_mbox_list_rows rows;
	struct wire_reader r;
	size_t n = 0;

	text[0] = '\0';
	rig_send(s, IPC_mbox_list, &(struct ipc_mbox_list){ ++s->rig->seq, slice_str(prefix) });
	rows = await(s, IPC_mbox_list_rows)->mbox_list_rows;
	assert_int_equal(rows.status, IPC_ST_OK);
	assert_int_equal(rows.more, 0);
	r = wire_reader(rows.rows);
	while (wire_left(&r) > 0) {
		uint32_t attrs;
		struct slice name;

		(void)wire_get_u64(&r);
		attrs = wire_get_u32(&r);
		(void)wire_get_u32(&r);
		name = wire_get_bytes(&r, 1024);
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%.*s%s%s\n", SLICE_FMT(name),
		    (attrs & IPC_ATTR_SUBSCRIBED) != 0 ? " subscribed" : "",
		    (attrs & IPC_ATTR_NONEXISTENT) != 0 ? " none" : "");
	}
	assert_false(r.bad);
	return text;
}

static uint64_t lost(struct rig_client *s)
{
	rig_send(s, IPC_lost_ask,
	    &(struct ipc_lost_ask){
		.seq = ++s->rig->seq, .what = IPC_LOST_COUNT, .until = INT64_MAX });
	return await(s, IPC_lost_done)->lost_done.count;
}

static struct rig_client *session(struct rig *r, uint64_t account)
{
	static uint64_t sid = 100;
	struct rig_client *s = rig_session(r, account, ++sid, NULL);

	assert_non_null(s);
	return s;
}

/* ---- cases ---- */

static void everything_is_done_there(void **state)
{
	struct rig *r = *state;
	struct rig_client *me = session(r, ADMIN), *they = session(r, THEIRS);
	struct ipc_mbox_opened mine, theirs;

	assert_int_equal(rig_put(r, THEIRS, SLICE("a letter")), IPC_ST_OK);
	mine = open_box(me, "~their@example.test/inbox", IPC_MBOX_EVENTS);
	assert_int_equal(mine.status, IPC_ST_OK);
	assert_int_equal(asked_by, ADMIN);
	assert_int_equal(mine.exists, 1);
	theirs = open_box(they, "INBOX", IPC_MBOX_EVENTS);
	assert_int_equal(mine.id, theirs.id);
	look_body(me, mine.mbox, 1, SLICE("a letter"));
	assert_int_equal(seen(me, mine.mbox), IPC_ST_OK);
	assert_int_equal(await(they, IPC_mbox_event)->mbox_event.mbox, theirs.mbox);
	assert_int_equal(append(me, "~their@example.test/INBOX", "appended").status, IPC_ST_OK);
	assert_int_equal(await(they, IPC_mbox_event)->mbox_event.mbox, theirs.mbox);
	assert_int_equal(status(they, "INBOX", 0).messages, 2);
	assert_int_equal(status(me, "INBOX", 0).messages, 0);
	assert_int_equal(expunge(me, mine.mbox), IPC_ST_OK);
	assert_int_equal(status(me, "~their@example.test/INBOX", 3).messages, 1);
	assert_int_equal(lost(they), 1);
	assert_int_equal(rig_put(r, THEIRS, SLICE("another")), IPC_ST_OK);
	assert_int_equal(open_box(me, "~their@example.test/INBOX", 0).exists, 2);
}

static void names_are_made_and_listed_there(void **state)
{
	struct rig *r = *state;
	struct rig_client *me = session(r, ADMIN), *they = session(r, THEIRS);

	assert_int_equal(create(me, "~their@example.test/A/B"), IPC_ST_OK);
	assert_int_equal(create(me, "~their@example.test/A/B"), IPC_ST_EXISTS);
	assert_int_equal(create(me, "mine"), IPC_ST_OK);
	assert_string_equal(list(they, ""), "A\nA/B\nINBOX\n");
	assert_string_equal(list(me, ""), "INBOX\nmine\n");
	assert_string_equal(
	    list(me, "~their@example.test/A"), "~their@example.test/A\n~their@example.test/A/B\n");
	/* One subscribes to it for oneself. */
	assert_int_equal(subscribe(me, "~their@example.test/A/B"), IPC_ST_OK);
	assert_int_equal(subscribe(me, "~their@example.test/gone"), IPC_ST_OK);
	assert_int_equal(subscribe(they, "A"), IPC_ST_OK);
	assert_string_equal(list(me, "~their@example.test/"),
	    "~their@example.test/A\n~their@example.test/A/B subscribed\n"
	    "~their@example.test/INBOX\n~their@example.test/gone subscribed none\n");
	assert_string_equal(list(me, "~their"), "~their@example.test/A/B subscribed none\n"
						"~their@example.test/gone subscribed none\n");
	assert_int_equal(
	    rename_box(me, "~their@example.test/A/B", "~their@example.test/C"), IPC_ST_OK);
	assert_int_equal(rename_box(me, "~their@example.test/C", "C"), IPC_ST_CANNOT);
	assert_int_equal(rename_box(me, "mine", "~their@example.test/C2"), IPC_ST_CANNOT);
	assert_int_equal(rename_box(me, "~third/INBOX", "~their@example.test/C2"), IPC_ST_CANNOT);
	assert_string_equal(list(they, ""), "A subscribed\nC\nINBOX\n");
	assert_int_equal(delete (me, "~their@example.test/C"), IPC_ST_OK);
	assert_int_equal(delete (me, "~their@example.test/INBOX"), IPC_ST_CANNOT);
	assert_int_equal(delete (me, "~their@example.test/C"), IPC_ST_NOTFOUND);
	assert_string_equal(list(they, ""), "A subscribed\nINBOX\n");
}

static void quotas_are_the_owners(void **state)
{
	struct rig *r = *state;
	struct rig_client *me = session(r, ADMIN);
	struct ipc_mbox_opened box;

	r->quota = 100;
	assert_int_equal(
	    append(me, "INBOX", "0123456789012345678901234567890123456789").status, IPC_ST_OK);
	assert_int_equal(quota(me, "~their@example.test").bytes_max, 100);
	assert_int_equal(quota(me, "~their@example.test/INBOX").bytes, 0);
	box = open_box(me, "INBOX", IPC_MBOX_EVENTS);
	assert_int_equal(copy(me, box.mbox, false, "~their@example.test/INBOX").status, IPC_ST_OK);
	assert_int_equal(copy(me, box.mbox, false, "~their@example.test/INBOX").status, IPC_ST_OK);
	assert_int_equal(
	    copy(me, box.mbox, false, "~their@example.test/INBOX").status, IPC_ST_OVERQUOTA);
	assert_int_equal(
	    append(me, "~their@example.test/INBOX", "0123456789012345678901234567890123456789")
		.status,
	    IPC_ST_OVERQUOTA);
	assert_int_equal(
	    copy(me, box.mbox, true, "~their@example.test/INBOX").status, IPC_ST_OVERQUOTA);
	assert_int_equal(quota(me, "~their@example.test").bytes, 80);
	assert_int_equal(quota(me, "").bytes, 40);
}

/* To another account, and back; what is taken away can be restored where it was. */
static void messages_cross(void **state)
{
	struct rig *r = *state;
	struct rig_client *me = session(r, ADMIN), *they = session(r, THEIRS);
	struct ipc_mbox_opened here, there;
	struct ipc_copy_done d;
	uint8_t rows[IPC_ROW_BYTES * 8];
	size_t n;

	assert_int_equal(append(me, "INBOX", "one").status, IPC_ST_OK);
	assert_int_equal(append(me, "INBOX", "two").status, IPC_ST_OK);
	here = open_box(me, "INBOX", IPC_MBOX_EVENTS);
	d = copy(me, here.mbox, false, "~their@example.test/INBOX");
	assert_int_equal(d.status, IPC_ST_OK);
	there = open_box(me, "~their@example.test/INBOX", IPC_MBOX_EVENTS);
	assert_int_equal(there.exists, 2);
	assert_int_equal(there.uidvalidity, d.uidvalidity);
	look_body(me, there.mbox, 2, SLICE("two"));
	assert_int_equal(rig_scan(me, there.mbox, 1, rows, 8, &n), IPC_ST_OK);
	assert_int_equal(wire_load_u32(rows + 4) & IPC_FLAG_FLAGGED, IPC_FLAG_FLAGGED);
	assert_int_equal(wire_load_u64(rows + 8), 1);  /* "colour" */
	assert_int_equal(wire_load_u64(rows + 56), 0); /* of no thread here yet */
	d = copy(me, there.mbox, true, "INBOX");
	assert_int_equal(d.status, IPC_ST_OK);
	assert_int_equal(status(they, "INBOX", 0).messages, 0);
	assert_int_equal(status(me, "INBOX", 0).messages, 4);
	assert_int_equal(lost(they), 2);
	assert_int_equal(lost(me), 0);
	d = copy(me, here.mbox, true, "~third/INBOX");
	assert_int_equal(d.status, IPC_ST_OK);
	assert_int_equal(status(me, "~third/INBOX", 0).messages, 4);
	/* From one account of others into the other. */
	d = copy(me, open_box(me, "~third/INBOX", 0).mbox, false, "~their@example.test/INBOX");
	assert_int_equal(d.status, IPC_ST_OK);
	assert_int_equal(status(they, "INBOX", 0).messages, 4);
	rig_restart(r);
	me = session(r, ADMIN);
	assert_int_equal(status(me, "~their@example.test/INBOX", 0).messages, 4);
	there = open_box(me, "~their@example.test/INBOX", 0);
	look_body(me, there.mbox, 3, SLICE("one"));
}

/* Two accounts copy into each other at once, and within themselves: nobody waits for ever. */
static void copies_that_cross_do_not_block(void **state)
{
	enum { EACH = 30 };
	static const char *const to[2][3] = {
		{ "~their@example.test/INBOX", "B", "~third/INBOX" },
		{ "~self/B", "INBOX", "~third/INBOX" },
	};
	struct rig *r = *state;
	struct rig_client *s[2] = { session(r, ADMIN), session(r, ADMIN) };
	struct ipc_mbox_opened from[2][2];

	for (int i = 0; i < 2; i++)
		assert_int_equal(
		    append(s[0], i == 0 ? "INBOX" : "~their@example.test/INBOX", "x").status,
		    IPC_ST_OK);
	put_mailbox(s[0], "B");
	assert_int_equal(append(s[0], "B", "x").status, IPC_ST_OK);
	for (int i = 0; i < 2; i++) {
		from[i][0] = open_box(s[i], i == 0 ? "INBOX" : "~their@example.test/INBOX", 0);
		from[i][1] = open_box(s[i], "B", 0);
	}
	for (int k = 0; k < EACH; k++)
		for (int i = 0; i < 2; i++)
			rig_send(s[i], IPC_msg_copy,
			    &(struct ipc_msg_copy){ 1000 + (uint32_t)k, from[i][k % 2].mbox, 0,
				slice_str(to[i][k % 3]), SLICE("\1\0\0\0\1\0\0\0") });
	for (int i = 0; i < 2; i++)
		for (int k = 0; k < EACH; k++)
			assert_int_equal(await(s[i], IPC_copy_done)->copy_done.status, IPC_ST_OK);
}

static void refused(struct rig_client *s, const char *owner, struct ipc_mbox_opened *own)
{
	char box[64], other[64];

	snprintf(box, sizeof(box), "~%s/INBOX", owner);
	snprintf(other, sizeof(other), "~%s/New", owner);
	assert_int_equal(open_box(s, box, 0).status, IPC_ST_NOTFOUND);
	assert_int_equal(status(s, box, 3).status, IPC_ST_NOTFOUND);
	assert_int_equal(quota(s, box).status, IPC_ST_NOTFOUND);
	assert_int_equal(delete (s, box), IPC_ST_NOTFOUND);
	assert_int_equal(rename_box(s, box, other), IPC_ST_NOTFOUND);
	assert_int_equal(create(s, other), IPC_ST_DENIED);
	assert_int_equal(append(s, box, "text").status, IPC_ST_DENIED);
	assert_int_equal(copy(s, own->mbox, false, box).status, IPC_ST_DENIED);
	assert_int_equal(copy(s, own->mbox, true, box).status, IPC_ST_DENIED);
	snprintf(other, sizeof(other), "~%s/", owner);
	assert_string_equal(list(s, other), "");
	assert_int_equal(subscribe(s, box), IPC_ST_OK);
	snprintf(other, sizeof(other), "~%s/INBOX subscribed none\n", owner);
	box[strlen(box) - 5] = '\0';
	assert_string_equal(list(s, box), other);
}

/* Who may not is told the same about accounts that exist and that do not. */
static void a_name_is_no_right(void **state)
{
	static const char *const owners[] = { "their@example.test", "nobody", "third", "",
		"leaving", "~", "..", "INBOX" };
	struct rig *r = *state;
	struct rig_client *s = session(r, THIRD);
	struct ipc_mbox_opened own;

	assert_int_equal(rig_put(r, THIRD, SLICE("x")), IPC_ST_OK);
	assert_int_equal(rig_put(r, THEIRS, SLICE("x")), IPC_ST_OK);
	own = open_box(s, "INBOX", 0);
	for (size_t i = 0; i < sizeof(owners) / sizeof(owners[0]); i++)
		if (strcmp(owners[i], "third") != 0)
			refused(s, owners[i], &own);
	assert_int_equal(asked_by, THIRD);
	/* An account that stored has not is as one that routerd has not. */
	refused(session(r, ADMIN), "leaving", &(struct ipc_mbox_opened){ .mbox = 0 });
	assert_int_equal(status(session(r, THEIRS), "INBOX", 0).messages, 1);
}

/* No other door names mailboxes of others, whoever is in it. */
static void a_session_of_another_door_asks_nobody(void **state)
{
	struct rig *r = *state;
	struct rig_client *s;

	r->service = "pop3";
	s = session(r, ADMIN);
	assert_int_equal(open_box(s, "~their@example.test/INBOX", 0).status, IPC_ST_NOTFOUND);
	assert_int_equal(create(s, "~their@example.test/New"), IPC_ST_DENIED);
	assert_int_equal(asked, 0);
}

/* The own account by its name is the own account. */
static void oneself_is_no_stranger(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = session(r, THIRD);

	assert_int_equal(append(s, "~self/INBOX", "text").status, IPC_ST_OK);
	assert_int_equal(open_box(s, "INBOX", 0).exists, 1);
	/* A name that begins with "~" from times when that meant nothing. */
	assert_int_equal(create(s, "~self/~old"), IPC_ST_OK);
	assert_int_equal(create(s, "~old"), IPC_ST_DENIED);
	assert_int_equal(open_box(s, "~self/~old", 0).status, IPC_ST_OK);
	assert_int_equal(open_box(s, "~self", 0).status, IPC_ST_NOTFOUND);
	assert_int_equal(rename_box(s, "~self/~old", "~self/new"), IPC_ST_OK);
	assert_string_equal(list(s, ""), "INBOX\nnew\n");
}

static void change_identity(struct rig *r, uint64_t account)
{
	rig_send(r->routerd, IPC_account_changed, &(struct ipc_account_changed){ account, 0 });
}

/* Suspended, moved, deleted: whoever has a mailbox of it open goes; who only was there does not. */
static void the_owners_end_is_the_guests(void **state)
{
	struct rig *r = *state;
	struct rig_client *in = session(r, ADMIN), *was = session(r, ADMIN),
			  *own = session(r, ADMIN);

	assert_int_equal(open_box(in, "~their@example.test/INBOX", 0).status, IPC_ST_OK);
	assert_int_equal(status(was, "~their@example.test/INBOX", 0).status, IPC_ST_OK);
	change_identity(r, THEIRS);
	assert_int_equal(await(in, IPC_session_bye)->session_bye.why, IPC_BYE_IDENTITY);
	assert_int_equal(status(was, "~their@example.test/INBOX", 0).status, IPC_ST_OK);
	in = session(r, ADMIN);
	assert_int_equal(open_box(in, "~their@example.test/INBOX", 0).status, IPC_ST_OK);
	assert_int_equal(rig_account(r, THEIRS, IPC_account_drop), IPC_ST_OK);
	assert_int_equal(await(in, IPC_session_bye)->session_bye.why, IPC_BYE_IDENTITY);
	assert_int_equal(status(was, "~their@example.test/INBOX", 0).status, IPC_ST_NOTFOUND);
	assert_int_equal(status(own, "INBOX", 0).status, IPC_ST_OK);
	/* And with the right goes the session, as with any other of its rights. */
	assert_int_equal(open_box(was, "~third/INBOX", 0).status, IPC_ST_OK);
	change_identity(r, ADMIN);
	assert_int_equal(await(was, IPC_session_bye)->session_bye.why, IPC_BYE_IDENTITY);
}

static void silence(struct rig *r, const struct ipc_foreign_ask *m)
{
	asked++;
}

static uint32_t put_off;

static void later(struct rig *r, const struct ipc_foreign_ask *m)
{
	asked++;
	put_off = m->seq;
}

/* A question about another account is no reason: its answer comes when the owner has gone. */
static void who_waits_for_another_stays(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = session(r, ADMIN);

	assert_int_equal(status(s, "~their@example.test/INBOX", 0).status, IPC_ST_OK);
	r->on_foreign = later;
	rig_send(s, IPC_mbox_status, &(struct ipc_mbox_status){ 1, SLICE("~third/INBOX"), 0 });
	while (asked < 2)
		rig_spin(r, 1);
	change_identity(r, THEIRS);
	assert_int_equal(rig_account(r, THEIRS, IPC_account_drop), IPC_ST_OK);
	rig_send(r->routerd, IPC_foreign_is,
	    &(struct ipc_foreign_is){
		.seq = put_off, .status = IPC_DIR_OK, .account = THIRD, .name = SLICE("third") });
	assert_int_equal(await(s, IPC_mbox_status_is)->mbox_status_is.status, IPC_ST_OK);
	r->on_foreign = routerd;
	assert_int_equal(open_box(s, "~third/INBOX", 0).status, IPC_ST_OK);
}

/* Whoever waits for routerd is told when it goes; who went meanwhile is not missed. */
static void routerd_goes_away(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = session(r, ADMIN), *gone = session(r, ADMIN);

	r->on_foreign = silence;
	for (int i = 0; i < 3; i++) {
		rig_send(
		    s, IPC_mbox_status, &(struct ipc_mbox_status){ 1, SLICE("~third/INBOX"), 0 });
		rig_send(
		    gone, IPC_append_begin, &(struct ipc_append_begin){ 1, SLICE("~third/INBOX") });
	}
	while (asked < 6)
		rig_spin(r, 1);
	rig_client_close(gone);
	rig_spin(r, 20);
	rig_client_close(r->routerd);
	for (int i = 0; i < 3; i++)
		assert_int_equal(
		    await(s, IPC_mbox_status_is)->mbox_status_is.status, IPC_ST_TRYLATER);
	assert_int_equal(open_box(s, "~third/INBOX", 0).status, IPC_ST_TRYLATER);
	assert_int_equal(status(s, "INBOX", 0).status, IPC_ST_OK);
	r->routerd = rig_attach(r, IPC_CH_ROUTE_STORE);
	r->on_foreign = routerd;
	assert_int_equal(open_box(s, "~third/INBOX", 0).status, IPC_ST_OK);
	/* It answers what nobody asked. */
	rig_send(r->routerd, IPC_foreign_is, &(struct ipc_foreign_is){ .seq = 77, .account = 8 });
	assert_int_equal(status(s, "INBOX", 0).status, IPC_ST_OK);
}

/* A session keeps some accounts in memory, not all that it ever named. */
static void many_accounts(void **state)
{
	struct rig *r = *state;
	struct rig_client *s = session(r, ADMIN);

	assert_int_equal(open_box(s, "~third/INBOX", 0).status, IPC_ST_OK);
	for (int i = 0; i < 100; i++)
		assert_int_equal(
		    status(s, i % 2 == 0 ? "~their@example.test/INBOX" : "~third/INBOX", 3).status,
		    IPC_ST_OK);
	assert_int_equal(asked, 101);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, rig_teardown)
		CASE(everything_is_done_there),
		CASE(names_are_made_and_listed_there),
		CASE(quotas_are_the_owners),
		CASE(messages_cross),
		CASE(copies_that_cross_do_not_block),
		CASE(a_name_is_no_right),
		CASE(a_session_of_another_door_asks_nobody),
		CASE(oneself_is_no_stranger),
		CASE(the_owners_end_is_the_guests),
		CASE(who_waits_for_another_stays),
		CASE(routerd_goes_away),
		CASE(many_accounts),
	};

	if (argc > 1)
		rig_spec = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
