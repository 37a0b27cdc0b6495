/*
 * import-present - is a message in its mailbox already, from wherever it came?
 *
 * The mailbox's rows are read once; only a message of the same size and internal date is looked at,
 * byte for byte by its hash. What is stored meanwhile, by this import or others, is not seen: the
 * same message twice in a source is two messages.
 */
#include "ctl/port/import.h"

#include "common/base/wire.h"

#include <stdlib.h>

struct present {
	uint64_t size;
	int64_t date_s;
	uint32_t uid; /* 0: a message of the source has taken it */
};

static int by_size_and_date(const void *a, const void *b)
{
	const struct present *x = a, *y = b;

	if (x->size != y->size)
		return x->size < y->size ? -1 : 1;
	return x->date_s < y->date_s ? -1 : x->date_s > y->date_s;
}

static void on_rows(void *arg, struct slice rows)
{
	struct import *im = arg;

	for (; rows.n >= IPC_ROW_BYTES; rows = slice_from(rows, IPC_ROW_BYTES)) {
		struct present *v = im->present;

		if ((im->n_present & (im->n_present - 1)) == 0)
			v = reallocarray(v, im->n_present > 0 ? im->n_present * 2 : 1, sizeof(*v));
		if (v == NULL)
			abort();
		im->present = v;
		v[im->n_present++] = (struct present){ .uid = wire_load_u32(rows.p),
			.size = wire_load_u64(rows.p + 16),
			.date_s = (int64_t)wire_load_u64(rows.p + 24) };
	}
}

int present_open(struct import *im)
{
	struct link *l = &im->port.link;
	struct ipc_mbox_open open = { .name = im->box->name, .flags = IPC_MBOX_READONLY };
	uint32_t status;
	unsigned pages;

	if (ctl_opt(im->port.ctl, "skip-present") == NULL)
		return IMPORT_OK;
	if (link_ask(l, IPC_mbox_open, &open, IPC_mbox_opened) != 0)
		return IMPORT_BROKEN;
	if (l->m.mbox_opened.status != IPC_ST_OK)
		return IMPORT_OK; /* a mailbox that is not there has no messages */
	im->present_mbox = l->m.mbox_opened.mbox;
	im->present_is_open = true;
	if (link_scan(l, im->present_mbox, 0, on_rows, im, &pages, &status) != 0)
		return IMPORT_BROKEN;
	if (im->n_present > 0)
		qsort(im->present, im->n_present, sizeof(*im->present), by_size_and_date);
	return IMPORT_OK;
}

int present_look(struct import *im, const struct far_item *i, bool *ret_there)
{
	struct present key = { .size = i->size, .date_s = i->date_s };
	struct present *at = im->n_present > 0 ? bsearch(&key, im->present, im->n_present,
						     sizeof(key), by_size_and_date)
					       : NULL;

	*ret_there = false;
	while (at != NULL && at > im->present && by_size_and_date(at - 1, &key) == 0)
		at--;
	for (; at != NULL && at < im->present + im->n_present && by_size_and_date(at, &key) == 0;
	     at++) {
		if (at->uid == 0)
			continue;
		if (link_body_is(&im->port.link, im->present_mbox, at->uid, i->hash, ret_there) !=
		    0)
			return IMPORT_BROKEN;
		if (*ret_there) {
			at->uid = 0;
			return IMPORT_OK;
		}
	}
	return IMPORT_OK;
}

int present_shut(struct import *im)
{
	struct ipc_mbox_close shut = { .mbox = im->present_mbox };
	bool was = im->present_is_open;

	free(im->present);
	im->present = NULL;
	im->n_present = 0;
	im->present_is_open = false;
	if (!was || im->port.link.chan == NULL)
		return IMPORT_OK;
	return link_ask(&im->port.link, IPC_mbox_close, &shut, IPC_store_done) == 0 ? IMPORT_OK
										    : IMPORT_BROKEN;
}
