#include "stored/salvage/stat.h"

#include <errno.h>
#include <stdlib.h>

struct places {
	struct engine_loc *v;
	size_t n, cap;
};

static int place_add(struct places *p, const struct engine_loc *loc)
{
	if (p->n == p->cap) {
		size_t cap = p->cap == 0 ? 1024 : 2 * p->cap;
		struct engine_loc *v = realloc(p->v, cap * sizeof(*v));

		if (v == NULL)
			return -ENOMEM;
		p->v = v;
		p->cap = cap;
	}
	p->v[p->n++] = *loc;
	return 0;
}

static int by_place(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct engine_loc));
}

/* What bodies take in the files; one that several rows share counts once. */
static uint64_t live_bytes(struct places *p, uint64_t *ret_bodies, uint64_t *ret_raw)
{
	uint64_t bytes = 0;

	*ret_bodies = *ret_raw = 0;
	if (p->n > 0)
		qsort(p->v, p->n, sizeof(*p->v), by_place);
	for (size_t i = 0; i < p->n; i++) {
		if (i > 0 && by_place(&p->v[i - 1], &p->v[i]) == 0)
			continue;
		bytes += engine_loc_stored(&p->v[i]);
		*ret_raw += engine_loc_bytes(&p->v[i]);
		++*ret_bodies;
	}
	return bytes;
}

static void count_message(
    struct model *m, const struct raw_row *row, uint64_t mbox, struct report *rep)
{
	struct sv_mbox *b = idmap_get(&m->mbox_by_id, mbox);
	const struct uid_range *e;
	struct msg_rec rec;
	uint32_t uid;

	if (b == NULL || b->deleted || msg_unpack(row->val, &rec) != 0 ||
	    key_get_u32(row->key, REC_MSG, &uid) != 0)
		return;
	if (b->has_head && b->head.staged != 0 && uid >= b->head.staged)
		return;
	e = uid_ranges_at(&b->expunged, uid);
	if (e != NULL && e->first <= uid) {
		rep->expunged++;
		return;
	}
	b->messages++;
	b->bytes += rec.size;
	rep->messages++;
	rep->bytes += rec.size;
}

static void say_accounts(const struct model *m, const struct report *rep)
{
	if (!rep->json)
		printf("\n%10s %14s  %s\n", "messages", "bytes", "account");
	else
		printf(", \"accounts\": [");
	for (size_t i = 0; i < m->n; i++) {
		const struct sv_account *a = m->accounts[i];
		unsigned long long messages = 0, bytes = 0;

		for (size_t k = 0; k < a->n; k++) {
			messages += a->mboxes[k]->messages;
			bytes += a->mboxes[k]->bytes;
		}
		if (!rep->json) {
			printf("%10llu %14llu  %.*s\n", messages, bytes, SLICE_FMT(a->name));
			continue;
		}
		printf("%s{", i > 0 ? ", " : "");
		json_member(stdout, "account", a->name);
		printf(", \"mailboxes\": %zu, \"messages\": %llu, \"bytes\": %llu}", a->n, messages,
		    bytes);
	}
	if (rep->json)
		printf("]");
}

static void say_shards(const struct model *m, struct report *rep)
{
	static const char *const names[] = { "log-bytes", "body-file-bytes", "index-bytes",
		"rows" };
	struct raw_stats s;
	char name[40];

	if (raw_shards(m->raw) < 2)
		return;
	for (unsigned i = 0; i < raw_shards(m->raw); i++) {
		const uint64_t *const v[] = { &s.log_bytes, &s.body_file_bytes, &s.index_bytes,
			&s.rows };

		if (!raw_shard_stats(m->raw, i, &s))
			continue;
		for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
			snprintf(name, sizeof(name), "shard-%u-%s", i, names[k]);
			report_figure(rep, name, *v[k]);
		}
	}
}

int stat_store(struct model *m, struct report *rep)
{
	struct places p = { 0 };
	struct raw_row row;
	struct raw_stats s;
	uint64_t bodies, live, raw, mbox, files;
	int rc = 0;

	raw_stats(m->raw, &s);
	for (bool any = raw_seek(m->raw, SLICE_NONE, SLICE_NONE, &row); any && rc == 0;
	     any = raw_next(m->raw, &row, &row)) {
		if (!row.has_loc)
			continue;
		rc = place_add(&p, &row.loc);
		if (key_get_u64(row.group, 'm', &mbox) == 0 && row.key.p[0] == REC_MSG)
			count_message(m, &row, mbox, rep);
	}
	live = live_bytes(&p, &bodies, &raw);
	free(p.v);
	files = s.log_bytes + s.body_file_bytes;
	report_figure(rep, "segments", s.segments);
	report_figure(rep, "log-bytes", s.log_bytes);
	report_figure(rep, "body-files", s.body_files);
	report_figure(rep, "body-file-bytes", s.body_file_bytes);
	report_figure(rep, "index-bytes", s.index_bytes);
	report_figure(rep, "rows", s.rows);
	report_figure(rep, "bodies", bodies);
	report_figure(rep, "raw-body-bytes", raw);
	report_figure(rep, "live-body-bytes", live);
	report_figure(rep, "other-bytes", files > live ? files - live : 0);
	say_shards(m, rep);
	say_accounts(m, rep);
	return rc;
}
