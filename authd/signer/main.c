/*
 * signer - holds the private keys of TLS and signs handshakes with them, nothing else.
 *
 * Holds:    the keys, read once from descriptors that master opened; channels to acceptors, and one
 *           to each of their connections.
 * May:      read and write held descriptors, receive descriptors.
 * May not:  open a path, make a socket, fork, exec, be traced or dumped.
 * Trusts:   master, logd.  Distrusts: every acceptor and connection: a text that no TLS server
 * would sign is refused, and a connection gets SIGNER_SIGNATURES signatures and no more. If taken:
 * the intruder has the private keys: replace them and their certificates.
 */
#include "authd/signer/signer_serve.h"
#include "common/base/log.h"
#include "common/proc/proc.h"

#include <errno.h>
#include <stdio.h>
#include <openssl/rand.h>

/* All keys that master gave, or none: 0 or -errno after proc_fail. */
static int keys_read(struct proc *p, struct signer_keys **ret_keys)
{
	struct signer_keys *keys;
	uint8_t ref[TLS_KEY_REF_BYTES];
	size_t n;
	const struct proc_key *given = proc_keys(p, &n);
	int r = signer_keys_new(&keys);

	for (size_t i = 0; r == 0 && i < n; i++) {
		char why[512];

		if (given[i].what != IPC_KEY_PRIVATE)
			continue;
		r = signer_keys_add_fd(keys, given[i].fd, ref);
		if (r == 0)
			continue;
		snprintf(why, sizeof(why), "the key of certificate %s is unusable: %s",
		    given[i].name, signer_key_answer_text(r));
		proc_fail(p, why, r < 0 ? r : 0);
		signer_keys_free(&keys);
		r = r < 0 ? r : -EINVAL;
	}
	if (r == 0)
		*ret_keys = keys;
	return r;
}

static int warm_up(struct proc *p, void *arg)
{
	struct signer_serve **serve = arg;
	struct signer_keys *keys;
	bool locked;
	size_t n;
	int r;

	proc_keys(p, &n);
	r = signer_heap_init(n, &locked);
	if (r != 0) {
		proc_fail(p, "no memory for keys", r);
		return r;
	}
	RAND_poll();
	r = keys_read(p, &keys);
	if (r != 0)
		return r;
	log_ev(LOG_INFO, "sign.keys", kv_u("count", signer_keys_count(keys)),
	    kv_s("locked", locked ? "yes" : "no"));
	r = signer_serve_new(proc_base(p), keys, serve);
	if (r != 0)
		signer_keys_free(&keys);
	return r;
}

static void on_peer(struct proc *p, void *arg, struct proc_peer *peer)
{
	struct signer_serve **serve = arg;
	int fd = peer->fd;

	if (peer->kind != IPC_CH_ATTACH_SIGN || !peer->upper)
		return;
	peer->fd = -1;
	if (signer_serve_attach(*serve, fd, peer->role, peer->instance, proc_instance(p)) != 0)
		proc_fail(p, "no memory for a channel", -ENOMEM);
}

/* A reload with an unusable key keeps those in force: they still fit the old certificates. */
static void on_reload(struct proc *p, void *arg, const struct conf *old)
{
	struct signer_serve **serve = arg;
	struct signer_keys *keys;

	if (keys_read(p, &keys) != 0)
		return;
	log_ev(LOG_INFO, "sign.keys", kv_u("count", signer_keys_count(keys)));
	signer_serve_set_keys(*serve, keys);
}

static void on_stop(struct proc *p, void *arg, unsigned deadline_ms)
{
	signer_serve_free(arg);
	proc_exit(p, 0);
}

int main(int argc, char **argv)
{
	static const struct proc_ops ops = {
		.role = IPC_ROLE_SIGNER,
		.row = PROC_SIGNER,
		.warm_up = warm_up,
		.on_peer = on_peer,
		.on_reload = on_reload,
		.on_stop = on_stop,
	};
	static struct signer_serve *serve;

	return proc_main(argc, argv, &ops, &serve);
}
