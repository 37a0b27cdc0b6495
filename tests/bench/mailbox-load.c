/*
 * mailbox-load STORED [messages] [message bytes] - what one large mailbox costs: the program
 * itself, LMDB, a new store below TMPDIR, one session. One row per operation on all messages: time
 * until the answer, and stored's processor time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "stored/limits.h"
#include "tests/unit/stored-rig.h"

#include "common/base/clock.h"
#include "common/base/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ACCOUNT = 7, AT_ONCE = 1000, FACTS_BYTES = 500 };

struct mark {
	int64_t ns;
	double cpu;
};

static struct rig r;
static struct rig_client *s;
static uint32_t messages = 100000, events;

static double cpu_s(void)
{
	char path[64], text[512];
	unsigned long user = 0, sys = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", r.pid);
	f = fopen(path, "r");
	if (f == NULL || fgets(text, sizeof(text), f) == NULL ||
	    sscanf(strrchr(text, ')') + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
		&user, &sys) != 2)
		abort();
	fclose(f);
	return (double)(user + sys) / (double)sysconf(_SC_CLK_TCK);
}

static struct mark mark(void)
{
	return (struct mark){ clock_mono_ns(), cpu_s() };
}

static void report(const char *what, struct mark from)
{
	struct mark now = mark();

	printf("| %s | %.1f | %.0f |\n", what, (double)(now.ns - from.ns) / 1e6,
	    (now.cpu - from.cpu) * 1e3);
	fflush(stdout);
}

/* The next message that is no event. A million messages take their time on a busy disk. */
static const union ipc_any *next_of(struct rig_client *c, enum ipc_type want)
{
	enum { LONG_MS = 900000 };
	enum ipc_type type;
	const union ipc_any *m;

	do {
		m = rig_next(c, LONG_MS, &type, NULL);
		if (m == NULL)
			abort();
		if (type == IPC_mbox_event)
			events += (uint32_t)(m->mbox_event.rows.n / IPC_EVENT_BYTES);
	} while (type == IPC_mbox_event || type == IPC_append_credit);
	if (type != want)
		abort();
	return m;
}

static const union ipc_any *next(enum ipc_type want)
{
	return next_of(s, want);
}

static void append_all(size_t bytes)
{
	uint8_t *body = malloc(bytes), facts[FACTS_BYTES] = "facts";

	for (size_t i = 0; i < bytes; i++)
		body[i] = (uint8_t)(i % 72 == 71 ? '\n' : 'a' + i % 23);
	for (uint32_t done = 0; done < messages; done += AT_ONCE) {
		rig_send(s, IPC_append_begin, &(struct ipc_append_begin){ 1, SLICE("INBOX") });
		next(IPC_append_ready);
		for (uint32_t i = 0; i < AT_ONCE; i++) {
			rig_send(s, IPC_append_msg,
			    &(struct ipc_append_msg){ i % 2, SLICE("Work"), 5, bytes });
			rig_append_bytes(s, slice_of(body, bytes));
			rig_send(s, IPC_append_end,
			    &(struct ipc_append_end){
				slice_of(facts, sizeof(facts)), SLICE("a number") });
		}
		rig_send(s, IPC_append_commit, &(struct ipc_append_commit){ 2 });
		if (next(IPC_append_done)->append_done.status != IPC_ST_OK)
			abort();
	}
	free(body);
}

static uint32_t open_uids(const char *name, uint32_t flags)
{
	struct ipc_mbox_open o = { 1, slice_str(name), flags };
	uint32_t mbox;

	rig_send(s, IPC_mbox_open, &o);
	mbox = next(IPC_mbox_opened)->mbox_opened.mbox;
	rig_send(s, IPC_mbox_uids, &(struct ipc_mbox_uids){ 2, mbox });
	while (next(IPC_mbox_uids_are)->mbox_uids_are.more)
		;
	return mbox;
}

static void close_mbox(uint32_t mbox)
{
	rig_send(s, IPC_mbox_close, &(struct ipc_mbox_close){ 1, mbox });
	next(IPC_store_done);
}

/* Rows, the next page asked for while one is looked at. */
static size_t scan(uint32_t mbox, struct ipc_mbox_scan q)
{
	const struct ipc_mbox_rows *a;
	size_t n = 0;
	bool more;

	q.mbox = mbox;
	do {
		rig_send(s, IPC_mbox_scan, &q);
		a = &next(IPC_mbox_rows)->mbox_rows;
		n += a->rows.n / IPC_ROW_BYTES;
		q.from_uid = a->next_uid;
		more = a->more;
	} while (more);
	return n;
}

static size_t facts_all(uint32_t mbox)
{
	const struct ipc_facts_are *a;
	size_t n = 0;
	bool last;

	rig_send(s, IPC_facts_get,
	    &(struct ipc_facts_get){ 1, mbox, SLICE("\1\0\0\0\377\377\377\377") });
	do {
		struct ipc_session_credit c;

		a = &next(IPC_facts_are)->facts_are;
		c.bytes = (uint32_t)a->facts.n;
		n += a->facts.n;
		last = a->last;
		rig_send(s, IPC_session_credit, &c);
	} while (!last);
	return n;
}

static void flags_all(uint32_t mbox, uint32_t flags)
{
	rig_send(s, IPC_flags_store,
	    &(struct ipc_flags_store){ .seq = 5,
		.mbox = mbox,
		.op = IPC_FLAGS_ADD,
		.flags = flags,
		.unchanged_since = UINT64_MAX,
		.uids = SLICE("\1\0\0\0\377\377\377\377") });
	if (next(IPC_store_done)->store_done.status != IPC_ST_OK)
		abort();
}

static void copy_all(uint32_t mbox, const char *to, bool move)
{
	const struct ipc_copy_done *d;
	size_t n = 0;

	rig_send(s, IPC_msg_copy,
	    &(struct ipc_msg_copy){
		6, mbox, move, slice_str(to), SLICE("\1\0\0\0\377\377\377\377") });
	do {
		d = &next(IPC_copy_done)->copy_done;
		if (d->status != IPC_ST_OK)
			abort();
		for (size_t i = 0; i < d->uids.n; i += 12)
			n += wire_load_u32(d->uids.p + i + 8);
	} while (d->more);
	if (n != messages)
		abort();
}

static void expunge_all(uint32_t mbox)
{
	rig_send(s, IPC_msg_expunge,
	    &(struct ipc_msg_expunge){ 7, mbox, 0, SLICE("\1\0\0\0\377\377\377\377") });
	if (next(IPC_store_done)->store_done.count != messages)
		abort();
}

/* What was expunged: listed, brought back, expunged again and purged. */
static void restore_all(void)
{
	struct rig_client *ad = rig_admin(&r, IPC_RIGHT_MASTER, 0);
	struct ipc_undelete_ask q = {
		.what = IPC_LOST_COUNT, .account = ACCOUNT, .until = INT64_MAX
	};
	static const char *const words[] = { [IPC_LOST_COUNT] = "count the lost",
		[IPC_LOST_RESTORE] = "restore",
		[IPC_LOST_PURGE] = "purge" };

	if (r.undelete_s == 0)
		return;
	for (q.what = IPC_LOST_COUNT; q.what <= IPC_LOST_PURGE; q.what++) {
		struct mark m = mark();

		rig_send(ad, IPC_undelete_ask, &q);
		if (next_of(ad, IPC_undelete_done)->undelete_done.count != messages)
			abort();
		report(words[q.what], m);
		/* One that is not told keeps them; of too many no session may. */
		if (q.what == IPC_LOST_RESTORE)
			expunge_all(
			    open_uids("There", messages > LOST_DEAD_MAX ? IPC_MBOX_EVENTS : 0));
	}
}

static void changes(uint32_t mbox)
{
	struct mark m = mark();

	flags_all(mbox, IPC_FLAG_FLAGGED);
	report("flags of all", m);
	m = mark();
	copy_all(mbox, "There", false);
	report("copy", m);
	m = mark();
	copy_all(mbox, "Elsewhere", true);
	report("move", m);
	close_mbox(mbox);
	mbox = open_uids("There", IPC_MBOX_EVENTS);
	m = mark();
	expunge_all(mbox);
	report("expunge", m);
	close_mbox(mbox);
	restore_all();
}

static void listings(void)
{
	struct mark m = mark();
	uint32_t mbox = open_uids("INBOX", IPC_MBOX_EVENTS);

	report("open and uids, after a start", m);
	close_mbox(mbox);
	m = mark();
	for (int i = 0; i < 100; i++)
		close_mbox(open_uids("INBOX", IPC_MBOX_EVENTS));
	report("open and uids, 100 times", m);
	mbox = open_uids("INBOX", IPC_MBOX_EVENTS);
	m = mark();
	if (scan(mbox, (struct ipc_mbox_scan){ 1 }) != messages)
		abort();
	report("rows", m);
	m = mark();
	for (int i = 0; i < 100; i++)
		scan(mbox, (struct ipc_mbox_scan){ .since = UINT64_MAX });
	report("rows changed since (none), 100 times", m);
	m = mark();
	facts_all(mbox);
	report("facts", m);
	changes(mbox);
}

static void mailbox(const char *name)
{
	rig_send(s, IPC_mbox_create, &(struct ipc_mbox_create){ 1, slice_str(name), 0 });
	next(IPC_mbox_done);
}

int main(int argc, char **argv)
{
	size_t bytes = argc > 3 ? (size_t)atol(argv[3]) : 2048;
	struct mark m;

	if (argc < 2)
		return 2;
	if (argc > 2)
		messages = (uint32_t)atoi(argv[2]) / AT_ONCE * AT_ONCE;
	rig_init_process(&r, argv[1]);
	rig_account(&r, ACCOUNT, IPC_account_make);
	s = rig_session(&r, ACCOUNT, 1, NULL);
	mailbox("There");
	mailbox("Elsewhere");
	printf("%u messages of %zu bytes\n\n| what | ms | stored's CPU ms |\n|---|---|---|\n",
	    messages, bytes);
	m = mark();
	append_all(bytes);
	report("append", m);
	rig_spin(&r, 6000); /* a checkpoint: the log is not read again */
	rig_restart(&r);
	s = rig_session(&r, ACCOUNT, 2, NULL);
	listings();
	rig_fini(&r);
	return 0;
}
