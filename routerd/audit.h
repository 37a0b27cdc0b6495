/*
 * audit - what administrators change, for the log: who, which verb, of what, and how it ended.
 *
 * Invariant: every request but those that only look leaves one line, whatever becomes of the
 * request, the channel or the one who asked, as long as there is memory for it. A table in parts is
 * one request: its last part, or the one that was refused, leaves the line.
 */
#pragma once

#include "routerd/dirconn.h"

struct audit;

/* Of one administrator's channel; zeroed but for the first two. */
struct audits {
	uint64_t sid;
	char who[IPC_WHO_MAX + 1];
	struct audit *open; /* changes not yet answered */
};

void audit_begin(struct audits *as, const struct request *q, const char *verb);
void audit_end(struct audits *as, uint32_t seq, enum ipc_dir_status status);
/* The channel is gone: what is under way goes on, its outcome is nobody's to tell. */
void audits_fini(struct audits *as);
