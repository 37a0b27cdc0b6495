/* import-again - a batch of which the last run did not hear the end: is it in the store? */
#include "ctl/port/import.h"

#include "common/base/wire.h"

#include <openssl/evp.h>
#include <stdlib.h>

/* The body's hash; false when the store cannot give it. */
static int body_is(struct import *im, uint32_t mbox, const struct state_want *w, bool *ret_same)
{
	struct link *l = &im->port.link;
	struct ipc_body_get q = { .mbox = mbox, .uid = w->uid };
	uint8_t hash[STATE_HASH_BYTES];
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool last = false, good = true;
	int r = link_ask(l, IPC_body_get, &q, IPC_body_data);

	if (md == NULL || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1)
		abort();
	while (r == 0 && !last) {
		struct slice data = l->m.body_data.data;

		good = good && l->m.body_data.status == IPC_ST_OK;
		last = l->m.body_data.last != 0 || l->m.body_data.status != IPC_ST_OK;
		EVP_DigestUpdate(md, data.p, data.n);
		r = link_read(l, data.n);
		if (r == 0 && !last)
			r = link_wait(l, IPC_body_data);
	}
	EVP_DigestFinal_ex(md, hash, NULL);
	EVP_MD_CTX_free(md);
	*ret_same = r == 0 && good && memcmp(hash, w->hash, sizeof(hash)) == 0;
	return r;
}

/* A batch is stored as one: each of its messages that is found speaks for all. */
static int look(struct import *im, uint32_t mbox, bool *ret_stored)
{
	struct state *s = &im->state;
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->n_want && !*ret_stored; i++)
		r = body_is(im, mbox, &s->want[i], ret_stored);
	return r;
}

int import_again(struct import *im)
{
	struct link *l = &im->port.link;
	struct state *s = &im->state;
	struct ipc_mbox_open open = { .name = s->box, .flags = IPC_MBOX_READONLY };
	struct ipc_mbox_close shut = { 0 };
	bool stored = false;

	if (s->n_want == 0)
		return 0;
	if (link_ask(l, IPC_mbox_open, &open, IPC_mbox_opened) != 0)
		return IMPORT_BROKEN;
	if (l->m.mbox_opened.status == IPC_ST_OK) {
		shut.mbox = l->m.mbox_opened.mbox;
		if (l->m.mbox_opened.uidvalidity == s->uidvalidity &&
		    look(im, shut.mbox, &stored) != 0)
			return IMPORT_BROKEN;
		if (link_ask(l, IPC_mbox_close, &shut, IPC_store_done) != 0)
			return IMPORT_BROKEN;
	}
	return state_decide(s, stored) != 0 ? IMPORT_BROKEN : 0;
}
