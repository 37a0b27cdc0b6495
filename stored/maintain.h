/*
 * maintain - the store's upkeep: compaction and scrub by themselves and for operators, and the list
 * of what the last scrub found, by account, mailbox and message.
 */
#pragma once

#include "stored/store-private.h"

int maintain_init(struct store *st, const struct upkeep_conf *conf);
void maintain_fini(struct store *st);
/* Shards that are back are looked after, too. */
void maintain_tick(struct store *st);

/* So many bytes were just deleted for good, in this shard. */
void maintain_hint(struct store *st, unsigned shard, uint64_t bytes);

/* An administrator's upkeep_ask, which he may ask. */
void maintain_ask(struct peer *p, const struct ipc_upkeep_ask *q);

void maintain_count(const struct store *st);
