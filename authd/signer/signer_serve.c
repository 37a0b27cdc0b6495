#include "authd/signer/signer_serve.h"

#include "authd/signer/signer_core.h"
#include "common/base/log.h"
#include "common/ipc/chan.h"
#include "common/metrics/metrics.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>

struct peer {
	struct signer_serve *serve;
	struct peer *next, **prev;
	struct ipc_chan *chan;
	uint64_t sid; /* of the connection, for the log */
	struct signer_channel channel;
};

struct signer_serve {
	struct event_base *base;
	struct signer_keys *keys, *old_keys;
	struct event *ev_old;
	struct peer *peers;
	size_t n_peers;
};

static void peer_free(struct peer *peer)
{
	ipc_chan_free(&peer->chan);
	*peer->prev = peer->next;
	if (peer->next != NULL)
		peer->next->prev = peer->prev;
	peer->serve->n_peers--;
	free(peer);
}

static void on_peer_gone(void *arg, struct ipc_chan *chan, enum ipc_gone why)
{
	peer_free(arg);
}

static struct peer *peer_new(
    struct signer_serve *serve, int take_fd, enum ipc_ch kind, const struct ipc_ops *ops)
{
	struct peer *peer = calloc(1, sizeof(*peer));

	if (peer == NULL) {
		close(take_fd);
		return NULL;
	}
	peer->chan = ipc_chan_new(serve->base, take_fd, kind, true, ops, peer);
	if (peer->chan == NULL) {
		free(peer);
		return NULL;
	}
	peer->serve = serve;
	peer->next = serve->peers;
	peer->prev = &serve->peers;
	if (peer->next != NULL)
		peer->next->prev = &peer->next;
	serve->peers = peer;
	serve->n_peers++;
	return peer;
}

/* The old keys only where the new ones do not know the name. */
static const struct signer_keys *keys_for(const struct signer_serve *serve, struct slice ref)
{
	if (serve->old_keys != NULL && ref.n == TLS_KEY_REF_BYTES &&
	    signer_keys_find(serve->keys, ref.p) == NULL)
		return serve->old_keys;
	return serve->keys;
}

static void on_ask(
    void *arg, struct ipc_chan *chan, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct peer *peer = arg;
	uint8_t sig[TLS_SIG_BYTES];
	struct ipc_sign_reply reply;
	enum signer_answer answer;

	if (type != IPC_sign_ask)
		return;
	answer = signer_core_answer(
	    keys_for(peer->serve, m->sign_ask.key), &peer->channel, &m->sign_ask, sig, &reply);
	metric_add(METRIC_signatures, reply.status == SIGNER_SIGNED ? "ok" : "refused", "", 1);
	if (reply.status != SIGNER_SIGNED) {
		log_set_sid(peer->sid);
		log_ev(LOG_NOTICE, "sign.refused", kv_s("why", signer_status_text(reply.status)),
		    kv_u("scheme", m->sign_ask.alg));
		log_set_sid(0);
	}
	/* A peer that does not read its answers is not waited for: the queue is one reply long. */
	if (ipc_send(chan, IPC_sign_reply, &reply, NULL) != 0 || answer == SIGNER_ANSWER_CLOSE)
		peer_free(peer);
}

static const struct ipc_ops ask_ops = { .on_msg = on_ask, .on_gone = on_peer_gone };

static void on_attach(
    void *arg, struct ipc_chan *chan, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct signer_serve *serve = ((struct peer *)arg)->serve;
	struct peer *peer;

	if (type == IPC_sign_attach && !ipc_chan_owns_sid(chan, m->sign_attach.sid)) {
		ipc_chan_refuse(chan, type, "another acceptor's connection");
		return;
	}
	if (type != IPC_sign_attach || serve->n_peers >= SIGNER_CHANNELS)
		return; /* the descriptor is closed after us; its connection sees the end */
	peer = peer_new(serve, fds[0], IPC_CH_SIGN, &ask_ops);
	fds[0] = -1;
	if (peer == NULL)
		return;
	peer->sid = m->sign_attach.sid;
	ipc_chan_set_queue_max(peer->chan, SIGNER_QUEUE_BYTES);
	signer_channel_init(&peer->channel);
}

static const struct ipc_ops attach_ops = { .on_msg = on_attach, .on_gone = on_peer_gone };

static void on_old_keys_due(evutil_socket_t fd, short what, void *arg)
{
	signer_keys_free(&((struct signer_serve *)arg)->old_keys);
}

int signer_serve_new(
    struct event_base *base, struct signer_keys *take_keys, struct signer_serve **ret_serve)
{
	struct signer_serve *serve = calloc(1, sizeof(*serve));

	if (serve == NULL)
		return -ENOMEM;
	serve->ev_old = event_new(base, -1, 0, on_old_keys_due, serve);
	if (serve->ev_old == NULL) {
		free(serve);
		return -ENOMEM;
	}
	serve->base = base;
	serve->keys = take_keys;
	*ret_serve = serve;
	return 0;
}

void signer_serve_set_keys(struct signer_serve *serve, struct signer_keys *take_keys)
{
	const struct timeval wait = { .tv_sec = SIGNER_OLD_KEYS_MS / 1000 };

	signer_keys_free(&serve->old_keys);
	serve->old_keys = serve->keys;
	serve->keys = take_keys;
	/* Without a timer they would stay for ever. */
	if (event_add(serve->ev_old, &wait) != 0)
		signer_keys_free(&serve->old_keys);
}

void signer_serve_free(struct signer_serve **serve)
{
	struct signer_serve *s = *serve;

	if (s == NULL)
		return;
	while (s->peers != NULL)
		peer_free(s->peers);
	event_free(s->ev_old);
	signer_keys_free(&s->keys);
	signer_keys_free(&s->old_keys);
	free(s);
	*serve = NULL;
}

int signer_serve_attach(
    struct signer_serve *serve, int take_fd, enum ipc_role role, uint64_t told, uint64_t instance)
{
	struct peer *peer = peer_new(serve, take_fd, IPC_CH_ATTACH_SIGN, &attach_ops);

	if (peer == NULL)
		return -ENOMEM;
	ipc_chan_expect_instance(peer->chan, told);
	ipc_chan_hello(peer->chan, IPC_ROLE_SIGNER, instance, role, IPC_IN_RUN);
	return 0;
}

size_t signer_serve_count(const struct signer_serve *serve)
{
	return serve->n_peers;
}
