#include "authd/workers/serve.h"

#include "authd/workers/password.h"
#include "common/base/secret.h"
#include "common/ipc/chan.h"

#include <unistd.h>

enum { PEER_WAIT_MS = 10000, CLIENT_WAIT_MS = 70000 };

static void no_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
}

static void no_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
}

static const struct ipc_ops waiting_ops = { no_msg, no_gone, NULL };

/* The next message, which must be of `want`; messages of this channel carry no descriptors. */
static bool expect(struct ipc_chan *c, int timeout_ms, enum ipc_type want, union ipc_any *m)
{
	int fds[IPC_FDS_MAX];
	enum ipc_type type;

	return ipc_recv_wait(c, timeout_ms, &type, m, fds) == 0 && type == want;
}

static bool port_name(
    void *ctx, struct slice authcid, struct slice authzid, struct dialogue_secret *ret)
{
	struct ipc_work_name m = { .authcid = authcid, .authzid = authzid };
	union ipc_any reply;

	if (ipc_send(ctx, IPC_work_name, &m, NULL) != 0 ||
	    !expect(ctx, PEER_WAIT_MS, IPC_work_secret, &reply))
		return false;
	ret->known =
	    reply.work_secret.known && reply.work_secret.stored.n + reply.work_secret.tagged.n > 0;
	ret->hand_over = reply.work_secret.hand_over != 0;
	return buf_put(&ret->stored, reply.work_secret.stored) == 0 &&
	       buf_put(&ret->tagged, reply.work_secret.tagged) == 0;
}

static bool port_challenge(void *ctx, struct slice data, struct buf *ret)
{
	struct ipc_work_challenge m = { .data = data };
	union ipc_any reply;

	if (ipc_send(ctx, IPC_work_challenge, &m, NULL) != 0 ||
	    !expect(ctx, CLIENT_WAIT_MS, IPC_work_response, &reply))
		return false;
	return buf_put(ret, reply.work_response.data) == 0;
}

static void run_dialogue(
    const struct gsasl_warm *warm, struct ipc_chan *c, const struct ipc_work_start *start)
{
	const struct dialogue_port port = { c, port_name, port_challenge };
	uint8_t copy[8192 + 32 + 32 + 255];
	struct dialogue_last last = { .words = BUF_INIT(8192),
		.password = BUF_INIT(PASSWORD_MAX_BYTES),
		.tag = BUF_INIT(PASSWORD_TAG_BYTES) };
	struct buf in = BUF_INIT(sizeof(copy));
	struct ipc_work_start own = *start;
	struct ipc_work_done done;

	/* The message lives in the receive buffer, which the dialogue uses again: keep a copy. */
	buf_put(&in, start->initial);
	buf_put(&in, start->mech);
	buf_put(&in, start->service);
	buf_put(&in, start->host);
	memcpy(copy, in.p != NULL ? in.p : copy, in.n);
	own.initial = slice_of(copy, start->initial.n);
	own.mech = slice_of(copy + own.initial.n, start->mech.n);
	own.service = slice_of(own.mech.p + own.mech.n, start->service.n);
	own.host = slice_of(own.service.p + own.service.n, start->host.n);
	done = (struct ipc_work_done){ .status = dialogue_run(warm, &own, &port, &last) };
	done.data = buf_slice(&last.words);
	if (done.status == IPC_AUTH_OK)
		done.tag = buf_slice(&last.tag);
	/* One that is longer than any may be is wrong everywhere. */
	if (done.status == IPC_AUTH_BAD)
		done.password = buf_slice(&last.password);
	ipc_send(c, IPC_work_done, &done, NULL);
	secret_wipe(copy, sizeof(copy));
	if (last.password.p != NULL)
		secret_wipe(last.password.p, last.password.cap);
	if (in.p != NULL)
		secret_wipe(in.p, in.cap);
	buf_fini(&in);
	buf_fini(&last.words);
	buf_fini(&last.password);
	buf_fini(&last.tag);
}

static void run_hash(struct ipc_chan *c, const struct ipc_work_hash *m)
{
	struct buf out = BUF_INIT(STORED_MAX_BYTES);
	struct ipc_work_hashed done = { .status = IPC_AUTH_OK };

	if (password_store(m->scheme, m->password, &out) != PASSWORD_OK)
		done.status = IPC_AUTH_NOMECH;
	else
		done.stored = buf_slice(&out);
	ipc_send(c, IPC_work_hashed, &done, NULL);
	if (out.p != NULL)
		secret_wipe(out.p, out.cap);
	buf_fini(&out);
}

void worker_serve(const struct gsasl_warm *warm, int take_fd)
{
	struct ipc_chan *c = ipc_chan_new(NULL, take_fd, IPC_CH_WORK, false, &waiting_ops, NULL);
	int fds[IPC_FDS_MAX];
	enum ipc_type type;
	union ipc_any m;

	if (c == NULL)
		return;
	if (ipc_recv_wait(c, PEER_WAIT_MS, &type, &m, fds) == 0) {
		if (type == IPC_work_start)
			run_dialogue(warm, c, &m.work_start);
		else if (type == IPC_work_hash)
			run_hash(c, &m.work_hash);
	}
	ipc_chan_free(&c);
}
