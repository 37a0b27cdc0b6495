#include "stored/salvage/verify.h"

#include "common/base/clock.h"
#include "common/base/wire.h"

#include <time.h>

struct pace {
	struct report *rep;
	uint64_t bytes_per_s, bytes;
	int64_t begin_ms;
};

/* What was read before its time is waited for. */
static int on_bytes(void *arg, struct slice s)
{
	struct pace *p = arg;
	int64_t ahead_ms;

	p->bytes += s.n;
	if (p->bytes_per_s == 0)
		return 0;
	ahead_ms = (int64_t)(p->bytes * 1000 / p->bytes_per_s) - (clock_mono_ms() - p->begin_ms);
	if (ahead_ms > 10)
		nanosleep(&(struct timespec){ ahead_ms / 1000, ahead_ms % 1000 * 1000000 }, NULL);
	return 0;
}

static void differs(
    struct report *rep, const struct sv_mbox *b, const char *what, uint64_t says, uint64_t is)
{
	struct place at = model_place(b, 0);

	if (says != is)
		report_item(rep, VERDICT_NOTE, &at, "its header says %llu %s, there are %llu",
		    (unsigned long long)says, what, (unsigned long long)is);
}

/* Messages that are lost explain a difference of their own. */
static int check_head(void *arg, struct sv_mbox *b)
{
	struct report *rep = ((struct pace *)arg)->rep;
	const struct mbox_head *h = &b->head;
	struct place at = model_place(b, 0);

	if (!b->has_head)
		return 0;
	differs(rep, b, "messages", h->exists, b->messages + b->lost);
	if (b->lost == 0) {
		differs(rep, b, "unseen messages", h->unseen, b->unseen);
		differs(rep, b, "octets", h->bytes, b->bytes);
	}
	differs(rep, b, "messages that can be restored", h->lost, b->n_expunged);
	if (b->uid_max >= h->uidnext)
		report_item(rep, VERDICT_NOTE, &at, "uid %u is there, and the next is to be %u",
		    b->uid_max, h->uidnext);
	if (b->modseq > h->modseq)
		report_item(rep, VERDICT_NOTE, &at, "a change is newer than its header");
	if (h->account != b->account->id)
		report_item(rep, VERDICT_NOTE, &at, "its header names another account");
	differs(rep, b, "keywords", h->keywords, b->keywords.n);
	return 0;
}

/* Flags of messages that are not there. */
static void check_flags(struct model *m, struct report *rep)
{
	struct rec_key first = key_group_mbox(0);
	struct raw_row row, msg;
	uint32_t uid;

	for (bool any = raw_seek(m->raw, key_slice(&first), SLICE_NONE, &row);
	     any && row.group.p[0] == 'm'; any = raw_next(m->raw, &row, &row)) {
		struct rec_key k;
		struct sv_mbox *b;

		if (key_get_u32(row.key, REC_FLAGS, &uid) != 0)
			continue;
		k = key_u32(REC_MSG, uid);
		if (raw_get(m->raw, row.group, key_slice(&k), &msg))
			continue;
		b = row.group.n == 9 ? idmap_get(&m->mbox_by_id, wire_load_u64be(row.group.p + 1))
				     : NULL;
		if (b != NULL) {
			struct place at = model_place(b, uid);

			report_item(rep, VERDICT_LOST, &at, "it has flags, and no row of its own");
			b->lost++;
		}
	}
}

/* Accounts that the store lists have a root, and the other way round. */
static void check_accounts(struct model *m, struct report *rep)
{
	struct rec_key group = key_group_store(), from = key_kind(REC_ACCOUNT);
	struct raw_row row;
	uint64_t id;

	for (bool any = raw_seek(m->raw, key_slice(&group), key_slice(&from), &row);
	     any && slice_eq(row.group, key_slice(&group)) && row.key.p[0] == REC_ACCOUNT;
	     any = raw_next(m->raw, &row, &row)) {
		struct sv_account *a;

		if (key_get_u64(row.key, REC_ACCOUNT, &id) != 0)
			continue;
		a = idmap_get(&m->by_id, id);
		if (a == NULL)
			report_item(rep, VERDICT_NOTE, &(struct place){ 0 },
			    "account %llu has no mailboxes left", (unsigned long long)id);
	}
	for (size_t i = 0; i < m->n; i++) {
		const struct sv_account *a = m->accounts[i];
		struct rec_key k = key_u64(REC_ACCOUNT, a->id);
		struct place at = { .account = a->name };

		if (!raw_get(m->raw, key_slice(&group), key_slice(&k), &row))
			report_item(rep, VERDICT_NOTE, &at, "the store does not list it");
		else if (!a->has_root)
			report_item(rep, VERDICT_NOTE, &at, "its own row is lost");
	}
}

int verify_store(struct model *m, unsigned mib_per_s, struct report *rep)
{
	struct pace p = { rep, (uint64_t)mib_per_s << 20, 0, clock_mono_ms() };
	const struct sink s = {
		.arg = &p, .expunged = true, .bytes = on_bytes, .mbox_end = check_head
	};

	check_accounts(m, rep);
	check_flags(m, rep);
	return walk_messages(m, &s, rep);
}
