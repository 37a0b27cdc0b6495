/*
 * quota-mail - the message that tells a user, in the INBOX, that QuotaAlert is passed: once a day
 * at most. The day of the last one is a row of the INBOX, in the same batch as the message.
 *
 * It is stored where the quota has no room for it, too: who is not told does not make room.
 */
#include "stored/store-private.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/wire.h"

#include <stdlib.h>
#include <time.h>
#include <xxhash.h>

enum { DAY_BYTES = 8, TEXT_MAX = 2000 };

struct warning {
	struct txn txn; /* first: see on_stored() */
	struct account *account;
	struct mbox *inbox; /* pinned */
	struct engine_body *body;
	struct msg_rec rec;
	struct quota_use used;
	uint32_t uid, day, last_day;
	int rc;
	bool held;
};

static void finish(struct warning *w)
{
	struct account *a = w->account;

	if (w->body != NULL)
		engine_body_free(&w->body);
	if (w->held)
		change_release(w->inbox);
	w->inbox->pins--;
	a->warning = false;
	free(w);
	tree_reap(a);
	account_unref(a);
}

static void on_stored(struct txn *t, int status)
{
	struct warning *w = (struct warning *)t;
	const struct msg_rec *rec = &w->rec;
	struct cols_row row = { .uid = w->uid,
		.size = rec->size,
		.modseq = rec->modseq,
		.id = rec->id,
		.sum = rec->sum,
		.date = rec->date,
		.saved = rec->saved };

	if (status == IPC_ST_OK && engine_body_loc_in(w->body, w->inbox->group, &row.loc) != ENGINE_OK) {
		account_forget(w->account);
	} else if (status == IPC_ST_OK) {
		mbox_add(w->inbox, NULL, 0, &row, 1);
		parse_want(w->inbox, row.uid, &row.loc, row.size);
	}
	finish(w);
}

static bool rows(struct warning *w)
{
	struct mbox_head *h = &w->txn.head;
	struct rec_key msg = key_u32(REC_MSG, h->uidnext), day = key_kind(REC_WARNED);
	static uint8_t val[RECORD_MSG_MAX];
	uint8_t day_val[DAY_BYTES] = { RECORD_VERSION };

	w->uid = h->uidnext++;
	h->exists++;
	h->unseen++;
	h->bytes += w->rec.size;
	w->rec.modseq = h->modseq = ++w->account->modseq;
	w->rec.id = store_id(w->account->st);
	wire_store_u32(day_val + 4, w->day);
	return w->rec.id != 0 &&
	       engine_put_body(w->txn.batch, key_slice(&msg), slice_of(val, msg_pack(&w->rec, val)),
		   w->body) == 0 &&
	       engine_put(w->txn.batch, key_slice(&day), slice_of(day_val, DAY_BYTES)) == 0;
}

static void store(struct warning *w)
{
	struct txn *t = &w->txn;
	int r = w->inbox->pend.uidnext < STORE_UID_MAX ? txn_begin(w->inbox, t, on_stored)
						       : IPC_ST_TOOBIG;

	if (r == IPC_ST_OK && !rows(w)) {
		txn_abort(t);
		r = IPC_ST_TRYLATER;
	}
	if (r == IPC_ST_OK)
		r = txn_commit(w->account->st, &t, 1);
	if (r != IPC_ST_OK)
		finish(w);
}

static void on_ended(void *arg, int rc)
{
	struct warning *w = arg;

	w->account->st->in_flight--;
	if (rc == ENGINE_OK)
		store(w);
	else
		finish(w);
}

static void text_put(const struct warning *w, struct buf *out)
{
	const struct account *a = w->account;
	time_t now = (time_t)w->rec.date;
	char date[40];
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &tm);
	buf_printf(out,
	    "From: Mail storage <postmaster@localhost>\r\n"
	    "Subject: Your mail storage is filling up\r\n"
	    "Date: %s\r\n"
	    "Message-ID: <quota.%llx.%llx@localhost>\r\n"
	    "Auto-Submitted: auto-generated\r\n"
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=us-ascii\r\n"
	    "\r\n",
	    date, (unsigned long long)a->id, (unsigned long long)w->rec.date);
	if (a->quota_kind == IPC_QUOTA_MESSAGES)
		buf_printf(out,
		    "You have %llu of the %llu messages that your account may have.\r\n",
		    (unsigned long long)w->used.messages,
		    (unsigned long long)a->policy.messages_max);
	else
		buf_printf(out,
		    "Your messages take %llu of the %llu octets that your account may have.\r\n",
		    (unsigned long long)w->used.octets, (unsigned long long)a->quota);
	buf_puts(out,
	    "When nothing is left, new mail for you is put off and in the end sent back.\r\n"
	    "\r\n"
	    "Delete what you do not need any more, or ask your administrator for more room.\r\n");
}

static void write_it(struct warning *w)
{
	struct engine *e = store_engine(w->account->st);
	struct buf text = BUF_INIT(TEXT_MAX);
	int rc = ENGINE_IO;

	w->rec.date = w->rec.saved = clock_wall_s();
	text_put(w, &text);
	w->rec.size = text.n;
	w->rec.sum = XXH3_64bits(text.p, text.n);
	w->body = text.overflow ? NULL : engine_body_begin(e, text.n, NULL, NULL);
	if (w->body != NULL && w->account->root != NULL)
		engine_body_near(w->body, w->account->root);
	if (w->body != NULL)
		rc = engine_body_append(w->body, buf_slice(&text));
	if (rc == ENGINE_OK)
		rc = engine_body_end(w->body, on_ended, w);
	buf_fini(&text);
	if (rc == ENGINE_AGAIN)
		w->account->st->in_flight++;
	else if (rc == ENGINE_OK)
		store(w);
	else
		finish(w);
}

/* ---- was there one today? ---- */

static void on_row(void *arg, int rc, const struct engine_row *r, size_t n, bool more)
{
	struct warning *w = arg;

	w->rc = rc;
	if (rc == ENGINE_OK && n == 1 && r->val.n == DAY_BYTES && r->val.p[0] == RECORD_VERSION)
		w->last_day = wire_load_u32(r->val.p + 4);
}

static void looked(struct warning *w)
{
	if ((w->rc == ENGINE_OK || w->rc == ENGINE_NOTFOUND) && w->last_day != w->day)
		write_it(w);
	else
		finish(w);
}

static void on_row_later(void *arg, int rc, const struct engine_row *r, size_t n, bool more)
{
	struct warning *w = arg;

	on_row(w, rc, r, n, more);
	w->account->st->in_flight--;
	looked(w);
}

static void on_held(void *arg, int status)
{
	struct warning *w = arg;
	struct rec_key key = key_kind(REC_WARNED);
	int r;

	w->held = status == IPC_ST_OK;
	if (!w->held) {
		finish(w);
		return;
	}
	r = engine_get_now(w->inbox->group, key_slice(&key), on_row, w);
	if (r == ENGINE_AGAIN) {
		w->account->st->in_flight++;
		engine_get(w->inbox->group, key_slice(&key), on_row_later, w);
		return;
	}
	if (r != ENGINE_OK)
		w->rc = r;
	looked(w);
}

void quota_warn(struct account *a, const struct quota_use *used)
{
	struct warning *w = a->warning || a->inbox == NULL ? NULL : calloc(1, sizeof(*w));

	if (w == NULL)
		return;
	*w = (struct warning){ .account = a,
		.inbox = a->inbox,
		.used = *used,
		.day = (uint32_t)(clock_wall_s() / 86400) };
	a->warning = true;
	account_ref(a);
	w->inbox->pins++;
	change_hold(w->inbox, false, on_held, w);
}
