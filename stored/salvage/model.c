#include "stored/salvage/model.h"

#include "common/base/wire.h"

#include <errno.h>
#include <stdlib.h>

bool model_keeps(void *arg, struct slice group, struct slice key)
{
	if (group.p[0] != 'm')
		return true;
	return key.p[0] == REC_HEAD || key.p[0] == REC_MSG || key.p[0] == REC_FLAGS ||
	       key.p[0] == REC_KEYWORDS || key.p[0] == REC_RUN;
}

static bool slice_keep(struct slice s, struct slice *ret)
{
	uint8_t *p = malloc(s.n + 1);

	if (p == NULL)
		return false;
	memcpy(p, s.p, s.n);
	*ret = slice_of(p, s.n);
	return true;
}

static int array_room(void **v, size_t n)
{
	void *p;

	if ((n & (n - 1)) != 0) /* it doubles at powers of two */
		return 0;
	p = realloc(*v, (n == 0 ? 1 : 2 * n) * sizeof(void *));
	if (p == NULL)
		return -ENOMEM;
	*v = p;
	return 0;
}

/* The account of this id, made when it is met first. */
static struct sv_account *account_get(struct model *m, const struct names *names, uint64_t id)
{
	struct sv_account *a = idmap_get(&m->by_id, id);
	char made_up[40];

	if (a != NULL)
		return a;
	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return NULL;
	a->id = id;
	a->named = names_get(names, id);
	if (id == 0)
		snprintf(made_up, sizeof(made_up), "unknown");
	else
		snprintf(made_up, sizeof(made_up), "account-%llu", (unsigned long long)id);
	if (!slice_keep(slice_str(a->named != NULL ? a->named->full : made_up), &a->name) ||
	    array_room((void **)&m->accounts, m->n) != 0 || idmap_add(&m->by_id, id, a) != 0) {
		free((void *)(uintptr_t)a->name.p);
		free(a);
		return NULL;
	}
	m->accounts[m->n++] = a;
	return a;
}

static struct sv_mbox *mbox_add(
    struct model *m, struct sv_account *a, uint64_t id, struct slice name)
{
	struct sv_mbox *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return NULL;
	b->id = id;
	b->account = a;
	if (!slice_keep(name, &b->name) || array_room((void **)&a->mboxes, a->n) != 0 ||
	    idmap_add(&m->mbox_by_id, id, b) != 0) {
		free((void *)(uintptr_t)b->name.p);
		free(b);
		return NULL;
	}
	a->mboxes[a->n++] = b;
	return b;
}

uint32_t sv_mbox_validity(const struct sv_mbox *b)
{
	uint32_t v = b->named ? b->rec.uidvalidity : b->head.uidvalidity;

	return v != 0 ? v : 1;
}

struct place model_place(const struct sv_mbox *m, uint32_t uid)
{
	return (struct place){ m->account->name, m->name, m->id, uid };
}

/* ---- root groups ---- */

static bool group_id(struct slice group, uint8_t kind, uint64_t *ret_id)
{
	if (group.n != 9 || group.p[0] != kind)
		return false;
	*ret_id = wire_load_u64be(group.p + 1);
	return true;
}

static int root_mbox(
    struct model *m, struct sv_account *a, const struct raw_row *row, struct report *rep)
{
	struct place at = { .account = a->name };
	bool deleted = row->key.p[0] == REC_LOST;
	struct lost_rec rec = { 0 };
	struct sv_mbox *b;
	uint64_t id;

	if (key_get_u64(row->key, deleted ? REC_LOST : REC_MBOX, &id) != 0 || id == 0 ||
	    (deleted ? lost_unpack(row->val, &rec) : mbox_unpack(row->val, &rec.mbox)) != 0) {
		report_item(rep, VERDICT_NOTE, &at, "the row of a mailbox's name is damaged");
		return 0;
	}
	if (idmap_get(&m->mbox_by_id, id) != NULL) {
		report_item(
		    rep, VERDICT_NOTE, &at, "mailbox %llu has two names", (unsigned long long)id);
		return 0;
	}
	b = mbox_add(m, a, id, rec.mbox.name);
	if (b == NULL)
		return -ENOMEM;
	b->rec = rec.mbox;
	b->deleted = deleted;
	b->named = true;
	b->doubt = row->doubt;
	return 0;
}

static int root_row(
    struct model *m, struct sv_account *a, const struct raw_row *row, struct report *rep)
{
	struct place at = { .account = a->name };
	struct slice name;

	switch (row->key.p[0]) {
	case REC_HEAD:
		a->has_root = root_unpack(row->val, &a->root) == 0 && a->root.account == a->id;
		if (!a->has_root)
			report_item(rep, VERDICT_NOTE, &at, "the account's own row is damaged");
		return 0;
	case REC_MBOX:
	case REC_LOST:
		return root_mbox(m, a, row, rep);
	case REC_DIR:
	case REC_SUB:
		if (name_unpack(row->val, &name) != 0)
			report_item(rep, VERDICT_NOTE, &at, "a name's row is damaged");
		return 0;
	}
	return 0;
}

static int roots_load(struct model *m, const struct names *names, struct report *rep)
{
	struct rec_key first = key_group_root(0);
	struct raw_row row;
	uint64_t id;
	int rc = 0;

	for (bool any = raw_seek(m->raw, key_slice(&first), SLICE_NONE, &row);
	     any && rc == 0 && group_id(row.group, 'r', &id); any = raw_next(m->raw, &row, &row)) {
		struct sv_account *a = account_get(m, names, id);

		rc = a == NULL ? -ENOMEM : root_row(m, a, &row, rep);
	}
	return rc;
}

/* ---- mailboxes ---- */

static void keywords_load(
    struct sv_mbox *b, struct raw *raw, struct slice group, struct report *rep)
{
	struct rec_key k = key_keywords(0);
	struct place at = model_place(b, 0);
	struct raw_row row;

	for (unsigned i = 1; raw_get(raw, group, key_slice(&k), &row); i++) {
		if (keywords_unpack(row.val, &b->keywords) != 0) {
			report_item(
			    rep, VERDICT_NOTE, &at, "the names of its keywords are damaged");
			return;
		}
		k = key_keywords(i);
	}
}

/* Keys of runs begin with their modseq: the oldest comes first. */
static int runs_load(struct sv_mbox *b, struct raw *raw, struct slice group, struct report *rep)
{
	struct rec_key from = key_kind(REC_RUN);
	struct place at = model_place(b, 0);
	struct runs runs = { 0 };
	struct raw_row row;
	struct run_rec run;
	int rc = 0;

	for (bool any = raw_seek(raw, group, key_slice(&from), &row);
	     any && rc == 0 && slice_eq(row.group, group) && row.key.p[0] == REC_RUN;
	     any = raw_next(raw, &row, &row)) {
		if (run_unpack(row.key, row.val, &run) == 0)
			rc = runs_add(&runs, &run);
		else
			report_item(rep, VERDICT_NOTE, &at,
			    "a row of expunges is damaged; those messages are back");
	}
	if (rc == 0)
		rc = runs_ranges(&runs, &b->expunged);
	runs_fini(&runs);
	return rc;
}

static struct sv_mbox *mbox_orphan(
    struct model *m, const struct names *names, uint64_t id, const struct mbox_head *h)
{
	struct sv_account *a = account_get(m, names, h != NULL ? h->account : 0);
	char made_up[40];

	snprintf(made_up, sizeof(made_up), "Lost-%llu", (unsigned long long)id);
	return a != NULL ? mbox_add(m, a, id, slice_str(made_up)) : NULL;
}

static int group_load(
    struct model *m, const struct names *names, struct slice group, uint64_t id, struct report *rep)
{
	struct sv_mbox *b = idmap_get(&m->mbox_by_id, id);
	struct rec_key k = key_kind(REC_HEAD);
	struct mbox_head h = { 0 };
	struct raw_row row;
	bool there = raw_get(m->raw, group, key_slice(&k), &row);
	bool good = there && head_unpack(row.val, &h) == 0;
	bool doubt = there && row.doubt;

	if (b == NULL)
		b = mbox_orphan(m, names, id, good ? &h : NULL);
	if (b == NULL)
		return -ENOMEM;
	b->has_head = good;
	b->head = h;
	b->doubt |= doubt;
	if (!b->named)
		report_item(rep, VERDICT_NOTE, &(struct place){ b->account->name, b->name, id, 0 },
		    "the mailbox's name is lost");
	if (!good)
		report_item(rep, VERDICT_NOTE, &(struct place){ b->account->name, b->name, id, 0 },
		    "the mailbox's header is %s", there ? "damaged" : "lost");
	keywords_load(b, m->raw, group, rep);
	return runs_load(b, m->raw, group, rep);
}

static int groups_load(struct model *m, const struct names *names, struct report *rep)
{
	struct rec_key first = key_group_mbox(0);
	struct raw_row row;
	uint64_t id, last = 0;
	int rc = 0;

	for (bool any = raw_seek(m->raw, key_slice(&first), SLICE_NONE, &row);
	     any && rc == 0 && group_id(row.group, 'm', &id); any = raw_next(m->raw, &row, &row)) {
		if (id != last)
			rc = group_load(m, names, row.group, id, rep);
		last = id;
		m->messages += row.key.p[0] == REC_MSG;
	}
	return rc;
}

static int by_name(const void *x, const void *y)
{
	const struct sv_account *a = *(struct sv_account *const *)x,
				*b = *(struct sv_account *const *)y;

	return slice_cmp(a->name, b->name);
}

int model_load(struct model *m, struct raw *raw, const struct names *names, struct report *rep)
{
	int rc;

	*m = (struct model){ .raw = raw };
	rc = roots_load(m, names, rep);
	if (rc == 0)
		rc = groups_load(m, names, rep);
	if (rc == 0 && m->n > 0)
		qsort(m->accounts, m->n, sizeof(*m->accounts), by_name);
	return rc;
}

void model_fini(struct model *m)
{
	for (size_t i = 0; i < m->n; i++) {
		struct sv_account *a = m->accounts[i];

		for (size_t k = 0; k < a->n; k++) {
			keywords_fini(&a->mboxes[k]->keywords);
			uid_ranges_fini(&a->mboxes[k]->expunged);
			free((void *)(uintptr_t)a->mboxes[k]->name.p);
			free(a->mboxes[k]);
		}
		free(a->mboxes);
		free((void *)(uintptr_t)a->name.p);
		free(a);
	}
	free(m->accounts);
	idmap_fini(&m->by_id);
	idmap_fini(&m->mbox_by_id);
	*m = (struct model){ 0 };
}

int model_each_name(
    const struct model *m, uint64_t account, enum record_kind k, model_name_fn *fn, void *arg)
{
	struct rec_key group = key_group_root(account), from = key_kind(k);
	struct raw_row row;
	struct slice name;
	uint64_t id;
	int rc = 0;

	for (bool any = raw_seek(m->raw, key_slice(&group), key_slice(&from), &row);
	     any && rc == 0 && slice_eq(row.group, key_slice(&group)) && row.key.p[0] == k;
	     any = raw_next(m->raw, &row, &row))
		if (key_get_u64(row.key, k, &id) == 0 && name_unpack(row.val, &name) == 0)
			rc = fn(arg, id, name);
	return rc;
}
