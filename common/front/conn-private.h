/*
 * conn-private - a connection as its three files see it: conn.c (its begin and end), conn-turn.c
 * (the client's socket and the core), conn-peers.c (its channels).
 *
 * A connection that is `dead` stays in memory until the turn of the loop ends: whoever calls the
 * core or front_conn_end() looks at `dead` before the next step.
 */
#pragma once

#include "common/front/conn.h"
#include "common/front/stream.h"
#include "common/ipc/chan.h"

struct front_conn {
	struct front_env *env;
	struct front_conn *next, **prev;
	struct front_bundle bundle; /* what is not yet in use */
	struct stream stream;
	struct front_facts facts;
	struct front_port port;
	void *core;
	struct front_conn_peer {
		struct front_conn *conn;
		struct ipc_chan *chan;
	} peers[FRONT_PEERS];
	int pass_fd; /* came for the client, or -1 */
	struct event *ev_read, *ev_write, *ev_timer, *ev_turn;
	struct buf in;
	size_t in_at;     /* consumed bytes at the front of `in` */
	size_t read_size; /* grows while reads fill it */
	bool in_full;     /* reading stopped because `in` is full */
	bool held;        /* compressed output that the socket has not taken */
	bool eof, dead, orphan;
	bool closing; /* the core is done; the client has a while to read the rest */
	int64_t began_ms, deadline_ms, timer_ms; /* 0: none */
};

static inline struct front_conn *front_conn_of(struct front_port *p)
{
	return (struct front_conn *)((char *)p - offsetof(struct front_conn, port));
}

static inline const struct front_core *front_conn_ops(const struct front_conn *c)
{
	return c->env->door->core;
}

/* Lines that follow are this connection's: its own channel to the sink, its session id. */
void front_conn_log(const struct front_conn *c);
/* Marks it; the memory goes at the end of the loop's turn, never below a caller of ours. */
void front_conn_end(struct front_conn *c, const char *why);
/* That end: tells the owner, too. */
void front_conn_sweep(struct front_conn *c);

/* False without memory. */
bool front_conn_events(struct front_conn *c);
/* The core, anew. False without memory. */
bool front_conn_core(struct front_conn *c);
/* The handshake, as the server; the core there is goes. */
void front_conn_tls(struct front_conn *c);
/* The core goes on until neither input nor room for output moves it. */
void front_conn_turn(struct front_conn *c);
void front_conn_turn_later(struct front_conn *c);

/* Takes *take_fd as the channel to `which`. False without memory. */
bool front_conn_peer(struct front_conn *c, enum front_peer which, int *take_fd);

/* What the core asks for by its port. */
int front_conn_send(struct front_port *p, enum front_peer to, enum ipc_type type, const void *msg);
void front_conn_deadline(struct front_port *p, uint32_t ms);
