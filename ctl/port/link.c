#include "ctl/port/link.h"

#include "common/base/io.h"

#include <errno.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdlib.h>

enum { CREDIT_STEP = 64 << 10, DATA_MAX = 61440 };

/* ---- its life ---- */

static void on_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
}

static void on_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
}

static int lost(struct link *l, const char *why)
{
	if (l->chan != NULL)
		fprintf(stderr,
		    "gatehousectl: %s\n  run the same command again: it goes on where it was\n",
		    why);
	ipc_chan_free(&l->chan);
	return 1;
}

/* Both ends say their schema: what is of another build does not get as far as a question. */
static int greet(const struct ctl *c, struct link *l)
{
	union ipc_any m;
	enum ipc_type type;
	int fds[IPC_FDS_MAX];
	int r = ipc_chan_hello(l->chan, IPC_ROLE_NONE, 0, IPC_ROLE_STORED, IPC_IN_RUN);

	/* The hello is taken by the channel itself; a wait of no time returns after it. */
	if (r == 0)
		r = ipc_recv_wait(l->chan, 0, &type, &m, fds);
	if (ipc_chan_state(l->chan) == IPC_IN_RUN)
		return CTL_DONE;
	ipc_chan_free(&l->chan);
	return ctl_refuse(c,
	    "this program is not of the running server's version; restart the server "
	    "after an upgrade, and use the gatehousectl that came with it");
}

int link_open(struct ctl *c, const char *account, struct link *ret_l)
{
	static const struct ipc_ops ops = { .on_msg = on_msg, .on_gone = on_gone };
	const struct data *name, *id;
	struct reply r;
	struct buf b;
	int status, fd;

	*ret_l = (struct link){ .window = IPC_WINDOW_BYTES };
	line_start(&b, "OpenSession");
	line_word(&b, account);
	status = ctl_ask(c, &b, &r);
	if (status != CTL_DONE)
		return status;
	fd = c->client.passed;
	c->client.passed = -1;
	name = r.data != NULL ? data_get(r.data, "Account") : NULL;
	id = r.data != NULL ? data_get(r.data, "AccountID") : NULL;
	if (fd < 0 || name == NULL || id == NULL) {
		fd_close(&fd);
		return ctl_refuse(c, "the server's answer has no session");
	}
	snprintf(ret_l->name, sizeof(ret_l->name), "%.*s", SLICE_FMT(name->text));
	ret_l->account = (uint64_t)id->number;
	ret_l->chan = ipc_chan_new(NULL, fd, IPC_CH_SESSION, false, &ops, NULL);
	if (ret_l->chan == NULL)
		return ctl_refuse(c, "out of memory");
	return greet(c, ret_l);
}

void link_close(struct link *l)
{
	ipc_chan_free(&l->chan);
}

/* ---- messages ---- */

/* The channel's queue is for those with a loop: here each packet waits for its room. */
int link_chan_send(struct ipc_chan *c, enum ipc_type type, const void *msg, int *take_fds)
{
	struct pollfd pfd = { .fd = ipc_chan_fd(c), .events = POLLOUT };

	while (poll(&pfd, 1, -1) < 0 && errno == EINTR)
		;
	return ipc_send(c, type, msg, take_fds) != 0 || ipc_chan_queued(c) != 0;
}

int link_send(struct link *l, enum ipc_type type, const void *msg)
{
	if (l->chan == NULL)
		return 1;
	if (link_chan_send(l->chan, type, msg, NULL) == 0)
		return 0;
	return lost(l, "the store went away");
}

static const char *bye_text(uint32_t why)
{
	switch (why) {
	case IPC_BYE_STOP:
		return "the server stops";
	case IPC_BYE_KICKED:
		return "an administrator ended the session";
	case IPC_BYE_IDENTITY:
		return "the account's password, rights or state changed";
	case IPC_BYE_PROTOCOL:
		return "the store refused a message of this program";
	default:
		return "the store ended the session";
	}
}

int link_wait(struct link *l, enum ipc_type type)
{
	int fds[IPC_FDS_MAX];

	while (l->chan != NULL) {
		if (ipc_recv_wait(l->chan, -1, &l->type, &l->m, fds) != 0)
			return lost(l, "the store went away");
		if (l->type == IPC_session_bye)
			return lost(l, bye_text(l->m.session_bye.why));
		if (l->type == IPC_append_credit)
			l->window += l->m.append_credit.bytes;
		if (l->type == type)
			return 0;
	}
	return 1;
}

int link_ask(struct link *l, enum ipc_type type, void *msg, enum ipc_type answer)
{
	uint32_t seq = ++l->seq;

	memcpy(msg, &seq, sizeof(seq));
	return link_send(l, type, msg) != 0 || link_wait(l, answer) != 0;
}

int link_read(struct link *l, size_t n)
{
	struct ipc_session_credit c;

	l->used += n;
	if (l->used < CREDIT_STEP)
		return 0;
	c.bytes = (uint32_t)l->used;
	l->used = 0;
	return link_send(l, IPC_session_credit, &c);
}

int link_scan(struct link *l, uint32_t mbox, uint64_t since,
    void (*on_rows)(void *arg, struct slice rows), void *arg, unsigned *ret_pages,
    uint32_t *ret_status)
{
	struct ipc_mbox_scan q = { .mbox = mbox, .since = since };

	*ret_pages = 0;
	do {
		if (link_ask(l, IPC_mbox_scan, &q, IPC_mbox_rows) != 0)
			return 1;
		*ret_status = l->m.mbox_rows.status;
		if (*ret_status != IPC_ST_OK)
			return 0;
		on_rows(arg, l->m.mbox_rows.rows);
		q.from_uid = l->m.mbox_rows.next_uid;
		(*ret_pages)++;
	} while (l->m.mbox_rows.more);
	return 0;
}

int link_body_is(
    struct link *l, uint32_t mbox, uint32_t uid, const uint8_t hash[32], bool *ret_same)
{
	struct ipc_body_get q = { .mbox = mbox, .uid = uid };
	uint8_t got[32];
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
	EVP_DigestFinal_ex(md, got, NULL);
	EVP_MD_CTX_free(md);
	*ret_same = r == 0 && good && memcmp(got, hash, sizeof(got)) == 0;
	return r;
}

int link_append_data(struct link *l, struct slice data)
{
	while (data.n > 0) {
		struct ipc_append_data m = { slice_part(data, 0, DATA_MAX) };

		while (l->window < m.data.n)
			if (link_wait(l, IPC_append_credit) != 0)
				return 1;
		if (link_send(l, IPC_append_data, &m) != 0)
			return 1;
		l->window -= m.data.n;
		data = slice_from(data, m.data.n);
	}
	return 0;
}

const char *link_status_text(uint32_t status)
{
	static const char *const texts[] = {
		[IPC_ST_OK] = "done",
		[IPC_ST_NOTFOUND] = "it is not there",
		[IPC_ST_DENIED] = "not allowed",
		[IPC_ST_EXISTS] = "it exists",
		[IPC_ST_OVERQUOTA] = "the account's quota is used up",
		[IPC_ST_FULL] = "the disk is full",
		[IPC_ST_TRYLATER] = "the store cannot do it now",
		[IPC_ST_CORRUPT] = "it is damaged in the store",
		[IPC_ST_TOOBIG] = "it is too large",
		[IPC_ST_BAD] = "the store does not understand it",
		[IPC_ST_LIMIT] = "it is beyond the store's limits",
		[IPC_ST_CANNOT] = "it cannot have this name",
	};

	return status < sizeof(texts) / sizeof(texts[0]) && texts[status] != NULL ? texts[status]
										  : "unknown";
}
