/*
 * port - the contract between a pure protocol core and whoever drives it.
 *
 * A core is a function from bytes and answers to replies and requests. It owns no socket, clock or
 * thread: the driver (common/front/driver.c in the daemon, tests/wire/fake.c in tests and fuzzers)
 * calls it, one call at a time, and never from inside a call that the core makes. What the core
 * asks of other processes are messages of common/ipc/schema.def; their descriptors stay with the
 * driver. A core answers nothing that is not in `out`, and `out` is bounded.
 */
#pragma once

#include "common/base/addr.h"
#include "common/base/buf.h"
#include "common/ipc/types.h"

/* Whom a core may write to. Which of them exist is fixed by the door (front.h). */
enum front_peer {
	FRONT_AUTH,    /* IPC_CH_DIALOGUE, until a session is granted */
	FRONT_SESSION, /* IPC_CH_SESSION, from auth_granted on */
	FRONT_RCPT,    /* IPC_CH_RCPT */
	FRONT_POST,    /* IPC_CH_POST */
	FRONT_DIR,     /* IPC_CH_ADMIN_DIR, this and the next two from auth_admin on */
	FRONT_SECRETS, /* IPC_CH_ADMIN_AUTH */
	FRONT_STORE,   /* IPC_CH_ADMIN_STORE */
	FRONT_COUNTS,  /* IPC_CH_COUNTS: figures, for the metrics door */
	FRONT_PEERS
};

enum front_event {
	FRONT_TIMEOUT,  /* the deadline that was set last has passed */
	FRONT_STOPPING, /* the server stops: say good-bye as soon as the protocol lets you */
};

/* What is known about the connection; lives as long as the core. */
struct front_facts {
	struct slice host; /* our name in greetings */
	struct addr peer, local;
	uint64_t sid;
	bool tls;              /* the link is encrypted now */
	bool tls_offered;      /* the core may offer STARTTLS / STLS */
	bool plain_login;      /* clear-text passwords are allowed without TLS */
	bool restarted;        /* a core before this one ended in STARTTLS: no greeting */
	bool lmtp, submission; /* what the listener is for: IPC_LISTEN_LMTP, _SUBMISSION */
};

struct front_port;

/* Octets that go out from where they are, behind the first `at` bytes of `out`. */
struct front_lent {
	size_t at;
	struct slice data;
};

enum {
	FRONT_LENT_MAX = 64,   /* at a time */
	FRONT_LEND_MIN = 1024, /* fewer are copied: no dearer than another piece of a write */
};

struct front_port_ops {
	/*
	 * Sends a message; the answer comes by on_msg, later. 0, or 1 when the peer is not there:
	 * then on_gone was or will be called as well.
	 */
	int (*send)(struct front_port *p, enum front_peer to, enum ipc_type type, const void *msg);
	/* One deadline, from now; replaces the one before. 0: none. */
	void (*deadline)(struct front_port *p, uint32_t ms);
};

/*
 * The core's side of a connection. The driver sets wall_s before each call, sends out[sent..], and
 * looks at the flags after each call.
 */
struct front_port {
	const struct front_port_ops *ops;
	const struct front_facts *facts;
	struct buf out; /* replies; the first `sent` bytes have left */
	size_t sent;
	uint64_t written;        /* bytes that have left, ever: a client that reads is alive */
	bool lending;            /* else what is lent is copied */
	struct front_lent *lent; /* FRONT_LENT_MAX of them; the first `lent_sent` have left */
	unsigned n_lent, lent_sent;
	size_t lent_bytes; /* that have not left */
	int64_t wall_s;
	/* Set by the core. */
	bool busy;         /* waits for a peer: an end of input does not end the connection yet */
	bool want_tls;     /* throw me away after the output, encrypt, make a new one */
	bool want_deflate; /* compress both ways after the output; the driver takes the flag back */
	bool want_close;   /* nothing more to say: close after the output */
	/*
	 * The descriptor that came with the last sess_opened goes to the client, a program of this
	 * machine, with the byte at out[pass_at]. The driver takes the flag back.
	 */
	bool want_pass;
	size_t pass_at;
};

struct front_core {
	/* Writes the greeting, sets a deadline. NULL without memory. `conf` is the door's own. */
	void *(*start)(struct front_port *p, const void *conf);
	void (*free)(void *core);
	/*
	 * Goes on as far as possible: with the work under way, then with input. `in` starts with
	 * the first byte not yet consumed. Returns how many bytes were consumed; those left over
	 * are an incomplete line or wait until the core is no longer busy or the output has
	 * drained. Called after every other call, too, with what there is, maybe nothing.
	 */
	size_t (*feed)(void *core, struct slice in);
	/* `m` and its slices live until this returns. */
	void (*on_msg)(
	    void *core, enum front_peer from, enum ipc_type type, const union ipc_any *m);
	/* The channel ended: no answer will come any more. */
	void (*on_gone)(void *core, enum front_peer peer);
	void (*on_event)(void *core, enum front_event event);
};

static inline size_t front_pending(const struct front_port *p)
{
	return p->out.n - p->sent + p->lent_bytes;
}

/*
 * Puts octets of the message that on_msg() is called with behind `out`. They need not be copied:
 * the driver writes them from there before the message goes, or copies what the client does not
 * take.
 */
static inline void front_lend(struct front_port *p, struct slice data)
{
	if (!p->lending || data.n < FRONT_LEND_MIN || p->n_lent == FRONT_LENT_MAX) {
		buf_put(&p->out, data);
		return;
	}
	p->lent[p->n_lent++] = (struct front_lent){ p->out.n, data };
	p->lent_bytes += data.n;
}

static inline int front_send(
    struct front_port *p, enum front_peer to, enum ipc_type type, const void *msg)
{
	return p->ops->send(p, to, type, msg);
}

static inline void front_deadline(struct front_port *p, uint32_t ms)
{
	p->ops->deadline(p, ms);
}
