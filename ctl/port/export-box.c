/* export-box - a mailbox at one moment: its view's messages with the flags of one answer. */
#include "ctl/port/export.h"

#include "common/base/wire.h"

#include <stdlib.h>

enum { ROUNDS = 50 };

static void row_put(struct export *e, size_t at, const uint8_t *p, struct slice sets)
{
	struct keyset set = keyset_of(wire_load_u64(p + 8), sets);

	e->row[at] = (struct export_row){ .uid = wire_load_u32(p),
		.flags = wire_load_u32(p + 4),
		.keywords = { set.bits, set.more.n > 0 ? port_dup(set.more) : SLICE_NONE },
		.size = wire_load_u64(p + 16),
		.date_s = (int64_t)wire_load_u64(p + 24),
		.thread = wire_load_u64(p + 56) };
}

static int by_uid(const void *a, const void *b)
{
	const struct export_row *x = a, *y = b;

	return x->uid < y->uid ? -1 : x->uid > y->uid;
}

static void rows_new(struct export *e, struct slice rows, struct slice sets)
{
	size_t n = rows.n / IPC_ROW_BYTES;
	struct export_row *v = reallocarray(e->row, e->n_row + n + 1, sizeof(*v));

	if (v == NULL)
		abort();
	e->row = v;
	for (size_t i = 0; i < n; i++)
		row_put(e, e->n_row++, rows.p + i * IPC_ROW_BYTES, sets);
}

static void rows_changed(struct export *e, struct slice rows, struct slice sets)
{
	for (size_t i = 0; i + IPC_ROW_BYTES <= rows.n; i += IPC_ROW_BYTES) {
		struct export_row key = { .uid = wire_load_u32(rows.p + i) };
		struct export_row *hit =
		    e->n_row > 0 ? bsearch(&key, e->row, e->n_row, sizeof(*hit), by_uid) : NULL;

		if (hit == NULL)
			continue;
		free((void *)hit->keywords.more.p);
		row_put(e, (size_t)(hit - e->row), rows.p + i, sets);
	}
}

/* The highest modseq of some rows. */
static uint64_t modseq_of(struct slice rows)
{
	uint64_t max = 0;

	for (size_t i = 0; i + IPC_ROW_BYTES <= rows.n; i += IPC_ROW_BYTES) {
		uint64_t m = wire_load_u64(rows.p + i + 40);

		max = m > max ? m : max;
	}
	return max;
}

struct passing {
	struct export *e;
	uint64_t modseq;
	bool fresh;
};

static void on_rows(void *arg, struct slice rows)
{
	struct passing *p = arg;
	struct slice sets = p->e->port.link.m.mbox_rows.sets;
	uint64_t m = modseq_of(rows);

	if (p->fresh)
		rows_new(p->e, rows, sets);
	else
		rows_changed(p->e, rows, sets);
	p->modseq = m > p->modseq ? m : p->modseq;
}

/* One pass over the view. *ret_pages: answers it took; *modseq grows. 0, 1: told, or -1. */
static int pass(struct export *e, uint32_t mbox, uint64_t since, bool fresh, unsigned *ret_pages,
    uint64_t *modseq)
{
	struct passing p = { e, *modseq, fresh };
	uint32_t status;

	if (link_scan(&e->port.link, mbox, since, on_rows, &p, ret_pages, &status) != 0)
		return -1;
	*modseq = p.modseq;
	if (status != IPC_ST_OK)
		port_left(&e->port, e->name, SLICE_NONE, link_status_text(status));
	return status != IPC_ST_OK;
}

/*
 * The view keeps its messages; flags that others change meanwhile are asked for again until one
 * answer has all that changed: that is the moment.
 */
static int rows_of(struct export *e, uint32_t mbox)
{
	uint64_t modseq = 0, since;
	unsigned pages;
	int r = pass(e, mbox, 0, true, &pages, &modseq);

	for (int i = 0; r == 0 && pages > 1 && i < ROUNDS; i++) {
		since = modseq;
		r = pass(e, mbox, since, false, &pages, &modseq);
	}
	return r;
}

static void keywords_of(struct export *e, struct slice packed)
{
	struct wire_reader r = wire_reader(packed);

	e->keywords = calloc(IPC_KEYWORDS_MAX, sizeof(*e->keywords));
	if (e->keywords == NULL)
		abort();
	while (wire_left(&r) > 0 && e->n_keywords < IPC_KEYWORDS_MAX) {
		struct slice name = wire_get_bytes(&r, UINT32_MAX);

		if (!r.bad)
			e->keywords[e->n_keywords++] = port_dup(name);
	}
}

static int body(struct export *e, uint32_t mbox, const struct export_row *row)
{
	struct link *l = &e->port.link;
	struct ipc_body_get q = { .mbox = mbox, .uid = row->uid };
	uint32_t status = IPC_ST_OK;
	bool last = false;
	char what[40];
	int r = e->ops->open(e, row);

	if (r == 0 && link_ask(l, IPC_body_get, &q, IPC_body_data) != 0)
		r = -1;
	while (r == 0 && !last) {
		struct slice data = l->m.body_data.data;

		status = l->m.body_data.status;
		last = l->m.body_data.last != 0 || status != IPC_ST_OK;
		if (status == IPC_ST_OK)
			r = e->ops->data(e, data);
		if (link_read(l, data.n) != 0)
			r = -1;
		if (r == 0 && !last && link_wait(l, IPC_body_data) != 0)
			r = -1;
	}
	if (e->ops->close(e, row, r == 0 && status == IPC_ST_OK) != 0)
		r = -1;
	if (r == 0 && status != IPC_ST_OK) {
		snprintf(what, sizeof(what), "uid %u", row->uid);
		port_left(&e->port, e->name, slice_str(what), link_status_text(status));
		return 0;
	}
	e->port.moved += r == 0;
	e->port.bytes += r == 0 ? row->size : 0;
	return r;
}

static int bodies(struct export *e, uint32_t mbox)
{
	int r = e->ops->begin(e);

	for (size_t i = 0; r == 0 && i < e->n_row; i++) {
		if (e->ops->has(e, &e->row[i]))
			e->port.already++;
		else
			r = body(e, mbox, &e->row[i]);
		port_step(&e->port, i + 1, e->n_row);
	}
	return r == 0 ? e->ops->end(e) : r;
}

/* The mailbox of e->name. */
int export_look(struct export *e)
{
	struct link *l = &e->port.link;
	struct ipc_mbox_open open = { .name = e->name, .flags = IPC_MBOX_READONLY };
	struct ipc_mbox_close shut = { 0 };
	int r;

	if (link_ask(l, IPC_mbox_open, &open, IPC_mbox_opened) != 0)
		return -1;
	if (l->m.mbox_opened.status != IPC_ST_OK) {
		port_left(&e->port, e->name, SLICE_NONE, link_status_text(l->m.mbox_opened.status));
		return 1;
	}
	shut.mbox = l->m.mbox_opened.mbox;
	e->uidvalidity = l->m.mbox_opened.uidvalidity;
	e->uidnext = l->m.mbox_opened.uidnext;
	keywords_of(e, l->m.mbox_opened.keywords);
	r = rows_of(e, shut.mbox);
	if (r == 0 && e->port.ctl->dry_run) {
		e->port.moved += e->n_row;
		for (size_t i = 0; i < e->n_row; i++)
			e->port.bytes += e->row[i].size;
	} else if (r == 0) {
		r = bodies(e, shut.mbox);
	}
	if (r >= 0 && link_ask(l, IPC_mbox_close, &shut, IPC_store_done) != 0)
		r = -1;
	return r;
}
