/*
 * parse_core - messages that come in pieces, several at once, and their facts.
 *
 * Pure: no socket, clock or process. A message gives facts only when exactly its announced size
 * arrived.
 */
#pragma once

#include "common/base/buf.h"
#include "common/mail/facts.h"
#include "stored/parsed/limits.h"

struct parse_job {
	struct facts_maker *maker; /* NULL: the place is free */
	uint32_t seq;
	uint64_t size, got;
};

struct parse_core {
	struct parse_job jobs[PARSED_JOBS_MAX];
};

enum {
	PARSE_FULL = 1, /* too many at once */
	PARSE_UNKNOWN,  /* no such number, or one that is in use already */
	PARSE_SIZE,     /* more or fewer octets than announced */
};

void parse_core_init(struct parse_core *c);
void parse_core_fini(struct parse_core *c);

/* A message of `size` octets: 0, PARSE_FULL, PARSE_UNKNOWN, -ENOMEM. */
int parse_core_begin(struct parse_core *c, uint32_t seq, uint64_t size);

/* Its next octets: 0, PARSE_UNKNOWN, or PARSE_SIZE, after which it is forgotten. */
int parse_core_data(struct parse_core *c, uint32_t seq, struct slice data);

/*
 * It is complete: appends its facts to `out` (room for FACTS_MAX), what is kept of its header to
 * `header`, and forgets it. 0, PARSE_UNKNOWN, PARSE_SIZE, -ENOMEM.
 */
int parse_core_end(struct parse_core *c, uint32_t seq, struct buf *out, struct buf *header);
