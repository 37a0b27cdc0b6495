/*
 * import-again - a batch of which the last run did not hear the end: is it in the store?
 *
 * A look that does not find it is not the last word: what a killed program had sent may still be on
 * its way through the store. But it has its uids, and the store takes these once: either the batch
 * that comes next has them, and then the old one is refused; or it is refused itself, and by
 * then the old one can be seen.
 */
#include "ctl/port/import.h"

#include <stdlib.h>

/* A batch is stored as one: each of its messages that is found speaks for all. */
static int look(struct import *im, uint32_t *ret_uidnext, bool *ret_stored)
{
	struct link *l = &im->port.link;
	struct suspect *g = &im->suspect;
	struct ipc_mbox_open open = { .name = g->box, .flags = IPC_MBOX_READONLY };
	struct ipc_mbox_close shut = { 0 };
	int r = 0;

	*ret_stored = false;
	*ret_uidnext = 0;
	if (link_ask(l, IPC_mbox_open, &open, IPC_mbox_opened) != 0)
		return IMPORT_BROKEN;
	if (l->m.mbox_opened.status != IPC_ST_OK)
		return 0;
	shut.mbox = l->m.mbox_opened.mbox;
	*ret_uidnext = l->m.mbox_opened.uidnext;
	if (l->m.mbox_opened.uidvalidity == g->uidvalidity)
		for (size_t i = 0; r == 0 && i < g->n && !*ret_stored; i++)
			r = link_body_is(l, shut.mbox, g->want[i].uid, g->want[i].hash, ret_stored);
	if (r != 0 || link_ask(l, IPC_mbox_close, &shut, IPC_store_done) != 0)
		return IMPORT_BROKEN;
	return 0;
}

void suspect_forget(struct suspect *g)
{
	for (size_t i = 0; i < g->n; i++)
		free((void *)g->want[i].key.p);
	free(g->want);
	free((void *)g->box.p);
	*g = (struct suspect){ 0 };
}

/* It was stored after all: written down like any other. */
static int suspect_stored(struct import *im)
{
	struct suspect *g = &im->suspect;
	int r = 0;

	state_box(&im->state, g->box, g->uidvalidity);
	for (size_t i = 0; r == 0 && i < g->n; i++)
		r = state_add(&im->state, g->want[i].uid, g->want[i].hash, g->want[i].key);
	suspect_forget(g);
	return r != 0 || state_decide(&im->state, true) != 0 ? IMPORT_BROKEN : 0;
}

int import_suspect(struct import *im, bool *ret_stored)
{
	struct suspect *g = &im->suspect;
	uint32_t uidnext;

	*ret_stored = false;
	if (g->n == 0)
		return 0;
	if (look(im, &uidnext, ret_stored) != 0)
		return IMPORT_BROKEN;
	if (*ret_stored)
		return suspect_stored(im);
	/* Somebody else's messages have its uids: the store will refuse it. */
	if (uidnext > g->want[0].uid)
		suspect_forget(g);
	return 0;
}

int import_again(struct import *im)
{
	struct state *s = &im->state;
	bool stored;

	if (s->n_want == 0)
		return 0;
	im->suspect = (struct suspect){ .box = port_dup(s->box), .uidvalidity = s->uidvalidity };
	state_give(s, &im->suspect.want, &im->suspect.n);
	return import_suspect(im, &stored);
}
