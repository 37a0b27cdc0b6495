/* import - mail from files or another server into an account. */
#include "ctl/port/import.h"

#include <stdlib.h>

/* ---- the mailbox ---- */

/* Makes it when it is not there; gives it the source's uidvalidity when it is new. */
static int box_make(struct import *im)
{
	struct link *l = &im->port.link;
	struct ipc_mbox_create make = { .name = im->box->name };
	struct ipc_mbox_place place = { .name = im->box->name,
		.uidvalidity = im->box->uidvalidity };
	uint32_t status, placed = IPC_ST_OK;
	bool stored;
	int r;

	if (link_ask(l, IPC_mbox_create, &make, IPC_mbox_done) != 0)
		return IMPORT_BROKEN;
	status = l->m.mbox_done.status;
	if (status != IPC_ST_OK && status != IPC_ST_EXISTS) {
		port_left(&im->port, im->box->name, SLICE_NONE, link_status_text(status));
		return IMPORT_SKIP;
	}
	if (place.uidvalidity != 0 && link_ask(l, IPC_mbox_place, &place, IPC_mbox_done) != 0)
		return IMPORT_BROKEN;
	if (place.uidvalidity != 0)
		placed = l->m.mbox_done.status;
	r = batch_look(im);
	if (r == IMPORT_OK && im->suspect.n > 0 && slice_eq(im->suspect.box, im->box->name) &&
	    im->uidnext > im->suspect.want[0].uid)
		r = import_suspect(im, &stored);
	im->keep = r == IMPORT_OK && place.uidvalidity != 0 && im->uidvalidity == place.uidvalidity;
	if (r == IMPORT_OK && place.uidvalidity != 0 && !im->keep)
		port_note(&im->port, "%.*s: uids are new: %s", SLICE_FMT(im->box->name),
		    placed == IPC_ST_EXISTS ? "another mailbox here has its uidvalidity"
					    : "the mailbox was in use before");
	return r;
}

/*
 * The reader died of a message or of a mailbox: that is told, and another one goes on behind it.
 * What is in the batch is in memory: a message that is not kept ends its batch.
 */
static int crashed(struct import *im, struct slice what, bool open)
{
	int r;

	port_left(&im->port, im->box->name, what, far_why(&im->far));
	r = far_again(&im->far);
	if (r == FAR_OK && open)
		r = far_box_open(&im->far, (size_t)(im->box - im->far.box));
	if (r == FAR_CRASHED)
		fprintf(stderr, "gatehousectl: %s\n", far_why(&im->far));
	return r == FAR_OK ? IMPORT_SKIP : IMPORT_BROKEN;
}

/* One message of the source. IMPORT_SKIP: not this one. */
static int take(struct import *im, struct far_item *i, bool *ret_crashed)
{
	struct batch_item *b = &im->batch[im->n_batch];
	bool dry = im->port.ctl->dry_run, there;
	bool skip = ctl_opt(im->port.ctl, "skip-present") != NULL;
	int r;

	*ret_crashed = false;
	if (state_has(&im->state, i->key)) {
		im->port.already++;
		return IMPORT_SKIP;
	}
	r = dry && !skip && im->far.job.url != NULL ? FAR_OK : far_load(&im->far, i, !dry || skip);
	if (r == FAR_CRASHED) {
		*ret_crashed = true;
		return crashed(im, i->key, true);
	}
	if (r != FAR_OK)
		return r == FAR_LOST ? IMPORT_BROKEN : IMPORT_SKIP;
	r = skip ? present_look(im, i, &there) : IMPORT_OK;
	if (r != IMPORT_OK)
		return r;
	if (skip && there) {
		im->port.already++;
		return IMPORT_SKIP;
	}
	if (dry) {
		im->port.moved++;
		im->port.bytes += i->size;
		return IMPORT_SKIP;
	}
	*b = (struct batch_item){ .item = *i };
	*i = (struct far_item){ 0 };
	im->n_batch++;
	im->batch_bytes += b->item.size;
	return IMPORT_OK;
}

/* A message that is not kept is the last one that was loaded: it is stored before the next. */
static bool batch_full(const struct import *im)
{
	return im->n_batch == BATCH_MSGS || im->batch_bytes >= BATCH_BYTES ||
	       !im->batch[im->n_batch - 1].item.kept;
}

static int box_fill(struct import *im)
{
	uint64_t seen = 0, skip = 0;
	int r = IMPORT_OK;

	while (r != IMPORT_BROKEN) {
		struct far_item item = { 0 };
		bool crash;
		int n = far_next(&im->far, skip, &item);

		if (n == FAR_CRASHED) {
			r = batch_store(im);
			return r == IMPORT_OK ? crashed(im, SLICE("the rest of it"), false) : r;
		}
		if (n != FAR_OK)
			return n == FAR_LOST ? IMPORT_BROKEN : batch_store(im);
		seen++;
		r = take(im, &item, &crash);
		far_item_fini(&item);
		skip = crash ? seen : 0;
		if (r == IMPORT_OK && batch_full(im))
			r = batch_store(im);
		port_step(&im->port, seen, im->box->n);
	}
	return r;
}

static int box_import(struct import *im)
{
	bool dry = im->port.ctl->dry_run;
	int n = far_box_open(&im->far, (size_t)(im->box - im->far.box)), r;

	im->moved = 0;
	if (n == FAR_CRASHED)
		return crashed(im, SLICE_NONE, false);
	r = n == FAR_OK ? IMPORT_OK : n == FAR_NOT ? IMPORT_SKIP : IMPORT_BROKEN;
	if (r == IMPORT_OK && !dry)
		r = box_make(im);
	if (r == IMPORT_OK)
		r = present_open(im);
	if (r == IMPORT_OK)
		r = box_fill(im);
	if (present_shut(im) != IMPORT_OK)
		r = IMPORT_BROKEN;
	if (r == IMPORT_OK && !dry && im->keep)
		r = batch_uidnext(im, im->box->uidnext);
	if (im->moved > 0)
		port_note(&im->port, "%.*s: %llu messages have new uids", SLICE_FMT(im->box->name),
		    (unsigned long long)im->moved);
	for (size_t i = 0; i < im->n_batch; i++)
		far_item_fini(&im->batch[i].item);
	im->n_batch = 0;
	im->batch_bytes = 0;
	far_box_shut(&im->far);
	return r;
}

/* ---- all of it ---- */

static int subscribe(struct import *im)
{
	for (size_t i = 0; i < im->far.n_sub; i++) {
		struct ipc_mbox_subscribe q = { .name = im->far.sub[i], .on = 1 };

		if (link_ask(&im->port.link, IPC_mbox_subscribe, &q, IPC_mbox_done) != 0)
			return IMPORT_BROKEN;
		if (im->port.link.m.mbox_done.status != IPC_ST_OK)
			port_left(&im->port, SLICE("subscription"), im->far.sub[i],
			    link_status_text(im->port.link.m.mbox_done.status));
	}
	return IMPORT_OK;
}

/* The source by one name, however it was typed. The caller frees. */
static char *source_name(const char *from)
{
	size_t n = strlen(from);
	char *real = far_is_url(from) ? NULL : realpath(from, NULL);

	while (n > 1 && from[n - 1] == '/')
		n--;
	return real != NULL ? real : strndup(from, n);
}

/* Beside the source, or where --state says. The caller frees. */
static char *state_path(const struct import *im, const char *source)
{
	const char *given = ctl_opt(im->port.ctl, "state");
	struct buf b = BUF_INIT(8192);

	if (given != NULL)
		return strdup(given);
	for (bool url = far_is_url(source); *source != '\0'; source++)
		buf_putc(&b, url && strchr("/:@", *source) != NULL ? '_' : (uint8_t)*source);
	buf_printf(&b, ".%s.import", im->port.link.name);
	if (buf_cstr(&b) == NULL)
		abort();
	return (char *)b.p;
}

static int run(struct import *im, const char *from)
{
	struct port *p = &im->port;
	char *source = source_name(from), *path = source != NULL ? state_path(im, source) : NULL;
	int r = path == NULL || state_open(path, slice_str(source), p->link.account,
				    p->ctl->dry_run, &im->state) != 0;

	free(path);
	free(source);
	if (r != 0)
		return ctl_refuse(p->ctl, "nothing was moved");
	r = far_known(&im->far, &im->state) == FAR_OK ? import_again(im) : IMPORT_BROKEN;
	for (size_t i = 0; r != IMPORT_BROKEN && i < im->far.n_box; i++) {
		im->box = &im->far.box[i];
		port_box(p, im->box->name, i + 1, im->far.n_box);
		r = box_import(im);
		p->n_boxes += r == IMPORT_OK;
	}
	if (r != IMPORT_BROKEN && !p->ctl->dry_run)
		r = subscribe(im);
	if (r != IMPORT_BROKEN && port_found_none(p))
		return ctl_refuse(p->ctl, "there is no such message in it");
	return port_end(p, p->ctl->dry_run ? "to be moved" : "moved", r == IMPORT_BROKEN);
}

int ctl_store_import(struct ctl *c)
{
	struct import *im = calloc(1, sizeof(*im));
	const char *from = c->argv[1];
	int status;

	if (im == NULL)
		abort();
	im->state.fd = -1;
	port_init(&im->port, c);
	/* The source first: what cannot be read at all leaves no trace of a session. */
	status = far_open(&im->port, from, &im->far);
	if (status == CTL_DONE)
		status = link_open(c, c->argv[0], &im->port.link);
	if (status == CTL_DONE)
		status = run(im, from);
	suspect_forget(&im->suspect);
	state_close(&im->state);
	far_close(&im->far);
	port_fini(&im->port);
	free(im);
	return status;
}
