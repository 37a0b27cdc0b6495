/* import-batch - messages into the store: a few at a time, written down before and decided after.
 */
#include "ctl/port/import.h"

#include <stdlib.h>
#include <unistd.h>

enum { TRIES = 20 };

int batch_look(struct import *im)
{
	struct link *l = &im->port.link;
	struct ipc_mbox_status q = { .name = im->box->name };

	if (link_ask(l, IPC_mbox_status, &q, IPC_mbox_status_is) != 0)
		return IMPORT_BROKEN;
	if (l->m.mbox_status_is.status != IPC_ST_OK) {
		port_left(&im->port, im->box->name, SLICE_NONE,
		    link_status_text(l->m.mbox_status_is.status));
		return IMPORT_SKIP;
	}
	im->uidvalidity = l->m.mbox_status_is.uidvalidity;
	im->uidnext = l->m.mbox_status_is.uidnext;
	return IMPORT_OK;
}

/* ---- one append ---- */

static int put_bytes(void *link, struct slice data)
{
	return link_append_data(link, data);
}

static int send_one(struct import *im, struct batch_item *b)
{
	struct link *l = &im->port.link;
	struct ipc_append_place place = { b->uid, b->item.thread };
	struct ipc_append_end end = { .thread = b->item.ids };
	struct ipc_append_msg m = { .flags = b->item.flags,
		.keywords = b->item.keywords,
		.date = b->item.date_s,
		.size_hint = b->item.size };

	if (link_send(l, IPC_append_place, &place) != 0 || link_send(l, IPC_append_msg, &m) != 0)
		return 1;
	if ((b->item.kept ? link_append_data(l, buf_slice(&b->item.text))
			  : far_bytes(&im->far, put_bytes, l)) != 0)
		return 1;
	return link_send(l, IPC_append_end, &end);
}

/* 0 with the store's status, or IMPORT_BROKEN. `uidnext`: 0, or the mailbox's next. */
static int append(
    struct import *im, struct batch_item *v, size_t n, uint32_t uidnext, uint32_t *ret_status)
{
	struct link *l = &im->port.link;
	struct ipc_append_begin begin = { .name = im->box->name };
	struct ipc_append_place place = { .uid = uidnext };
	struct ipc_append_commit commit = { 0 };

	if (link_ask(l, IPC_append_begin, &begin, IPC_append_ready) != 0)
		return IMPORT_BROKEN;
	*ret_status = l->m.append_ready.status;
	if (*ret_status != IPC_ST_OK)
		return 0;
	l->window = IPC_WINDOW_BYTES;
	for (size_t i = 0; i < n; i++)
		if (send_one(im, &v[i]) != 0)
			return IMPORT_BROKEN;
	if (uidnext != 0 && link_send(l, IPC_append_place, &place) != 0)
		return IMPORT_BROKEN;
	if (link_ask(l, IPC_append_commit, &commit, IPC_append_done) != 0)
		return IMPORT_BROKEN;
	*ret_status = l->m.append_done.status;
	return 0;
}

int batch_uidnext(struct import *im, uint32_t uidnext)
{
	uint32_t status;

	if (uidnext <= im->uidnext)
		return IMPORT_OK;
	if (append(im, NULL, 0, uidnext, &status) != 0)
		return IMPORT_BROKEN;
	if (status != IPC_ST_OK)
		port_note(&im->port, "%.*s: its next uid is not the source's: %s",
		    SLICE_FMT(im->box->name), link_status_text(status));
	return IMPORT_OK;
}

/* ---- a batch ---- */

/* The uids of the source where they are kept and still free, else the next ones. */
static uint32_t plan(struct import *im, struct batch_item *v, size_t n)
{
	uint32_t next = im->uidnext;

	for (size_t i = 0; i < n; i++) {
		uint32_t own = im->keep ? v[i].item.uid : 0;

		if (im->keep && own == 0 && next < im->box->uidnext)
			next = im->box->uidnext;
		v[i].uid = own >= next ? own : next;
		next = v[i].uid + 1;
	}
	return next;
}

static int write_down(struct import *im, const struct batch_item *v, size_t n)
{
	int r = 0;

	state_box(&im->state, im->box->name, im->uidvalidity);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = state_add(&im->state, v[i].uid, v[i].item.hash, v[i].item.key);
	return r != 0 || state_sync(&im->state) != 0 ? IMPORT_BROKEN : 0;
}

static void count(struct import *im, const struct batch_item *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		im->port.moved++;
		im->port.bytes += v[i].item.size;
		im->moved += im->keep && v[i].item.uid != 0 && v[i].uid != v[i].item.uid;
	}
}

/* Once, as one commit. 0 with the status, or IMPORT_BROKEN. */
static int store(struct import *im, struct batch_item *v, size_t n, uint32_t *ret_status)
{
	uint32_t next = plan(im, v, n);

	if (write_down(im, v, n) != 0 || append(im, v, n, 0, ret_status) != 0 ||
	    state_decide(&im->state, *ret_status == IPC_ST_OK) != 0)
		return IMPORT_BROKEN;
	if (*ret_status == IPC_ST_OK) {
		im->uidnext = next;
		count(im, v, n);
	}
	return 0;
}

/* Those that turned out to be there. */
static size_t drop_done(struct import *im, struct batch_item *v, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		if (state_has(&im->state, v[i].item.key)) {
			im->port.already++;
			far_item_fini(&v[i].item);
		} else {
			v[kept++] = v[i];
		}
	}
	return kept;
}

/* Again while somebody else's mail takes the uids, or the store is busy. */
static int store_patiently(struct import *im, struct batch_item *v, size_t *n, uint32_t *ret_status)
{
	*ret_status = IPC_ST_OK;
	for (int i = 0; i<TRIES && * n> 0; i++) {
		int r = store(im, v, *n, ret_status);
		bool stored;

		if (r != 0 || (*ret_status != IPC_ST_EXISTS && *ret_status != IPC_ST_TRYLATER))
			return r;
		if (*ret_status == IPC_ST_TRYLATER)
			usleep(100000u * (unsigned)(i + 1));
		if (import_suspect(im, &stored) != 0 || batch_look(im) != IMPORT_OK)
			return IMPORT_BROKEN;
		*n = drop_done(im, v, *n);
		if (*n == 0)
			*ret_status = IPC_ST_OK;
	}
	return 0;
}

/* What one message cannot be, the others of its batch still can. */
static bool of_one(uint32_t status)
{
	return status == IPC_ST_OVERQUOTA || status == IPC_ST_TOOBIG || status == IPC_ST_LIMIT ||
	       status == IPC_ST_BAD || status == IPC_ST_CORRUPT;
}

static int store_each(struct import *im)
{
	for (size_t i = 0; i < im->n_batch; i++) {
		struct batch_item *b = &im->batch[i];
		size_t one = 1;
		uint32_t status;

		if (store_patiently(im, b, &one, &status) != 0)
			return IMPORT_BROKEN;
		if (of_one(status)) {
			port_left(&im->port, im->box->name, b->item.key, link_status_text(status));
		} else if (status != IPC_ST_OK) {
			fprintf(stderr, "gatehousectl: %s\n", link_status_text(status));
			return IMPORT_BROKEN;
		}
	}
	return IMPORT_OK;
}

int batch_store(struct import *im)
{
	uint32_t status = IPC_ST_OK;
	int r = IMPORT_OK;

	if (im->n_batch > 0)
		r = store_patiently(im, im->batch, &im->n_batch, &status);
	if (r == IMPORT_OK && of_one(status)) {
		r = store_each(im);
	} else if (r == IMPORT_OK && status != IPC_ST_OK) {
		fprintf(stderr,
		    "gatehousectl: %s; run the same command again: it goes on where it was\n",
		    link_status_text(status));
		r = IMPORT_BROKEN;
	}
	for (size_t i = 0; i < im->n_batch; i++)
		far_item_fini(&im->batch[i].item);
	im->n_batch = 0;
	im->batch_bytes = 0;
	return r;
}
