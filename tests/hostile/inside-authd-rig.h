/*
 * inside-authd-rig - authd with everybody around it played by the test: routerd that knows ann and
 * takes everybody else for cid, stored, and workers that are honest unless they should not be.
 */
#pragma once

#include "tests/hostile/inside.h"

#include "authd/authd.h"
#include "authd/limits.h"

enum { ANN = 7, CID = 9, WORKERS = WORKERS_MAX + 8 };

extern struct inside {
	struct authd a;
	struct engine *engine;
	struct end pool, routerd, stored, source, doors[3], workers[WORKERS];
	unsigned n_workers;
	bool route_silent, route_unknown, worker_honest;
	uint32_t login_flags; /* of routerd's answers */
	unsigned opened[16];  /* sessions asked for, by account */
	unsigned secrets_lent, wrong_secret;
} inside;

int inside_setup(void **state);
/* With an engine that takes its time. */
int inside_setup_slow(void **state);
int inside_teardown(void **state);

void inside_spin(int turns);
void inside_spin_ms(int ms);

/* A pair to a peer of authd's: authd's end. */
struct ipc_chan *inside_peer(
    enum ipc_ch kind, bool upper, struct end *far, const struct ipc_ops *far_ops);

/* A child of a door, as its acceptor tells authd of it. */
void inside_knock_as(
    struct end *door, struct ipc_chan *acceptor, enum ipc_role role, struct ipc_conn_new m);
/* One of pop3's, in TLS. */
void inside_knock(struct end *door);
void inside_start(struct end *door);
/* One more message of this type comes to the door. */
void inside_answers(struct end *door, enum ipc_type want);
/* Everybody else can still log in. */
void inside_others_log_in(void);

/* routerd's, to whatever it was asked. */
void inside_route_answer(uint32_t seq, uint64_t account);
/* Somebody who knows passwords, too. */
void inside_source_open(void);
void inside_source_close(void);

#define CASE(f) cmocka_unit_test_setup_teardown(f, inside_setup, inside_teardown)
