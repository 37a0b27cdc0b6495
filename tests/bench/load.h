#pragma once
/*
 * load - what the kinds of load share: options, the message pack, latencies, the result line.
 *
 * Invariant: a run ends after exactly opt->count units of work or at its deadline, and prints one
 * JSON object; its exit code is 0 only if every unit was answered as it should be.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net.h"

struct load_opt {
	const char *host, *user_prefix, *user_suffix, *password, *messages;
	int port, sessions, count, accounts, first_account, depth, deadline_s;
	bool tls, spread, lockstep;
};

struct load_msg {
	const uint8_t *wire; /* dot-stuffed, closed by CRLF.CRLF */
	size_t wire_bytes;
};

struct load_pack {
	struct load_msg *msg;
	size_t count;
};

struct load_run {
	double start_s, end_s;
	uint64_t done, wrong, bytes;
	double *latency_s; /* one per unit, count slots, or NULL */
	size_t latencies;
	const char *extra; /* more JSON members, or "" */
};

/* Maps a pack written by tests/corpus/gen.py --pack. */
void load_pack_open(struct load_pack *p, const char *path);
void load_run_init(struct load_run *r, const struct load_opt *o);
void load_unit_done(struct load_run *r, double began_s);
/* Prints the result; returns the exit code. */
int load_report(struct load_run *r, const char *kind, const struct load_opt *o);

/* Kinds of load: each returns the exit code. */
int load_lmtp(const struct load_opt *o);
int load_pop3(const struct load_opt *o);
int load_login(const struct load_opt *o);
int load_idle(const struct load_opt *o);
