/*
 * settings-db - settings and rights on disk, as rows of the directory's group:
 *
 *     R u64 account                rights: version 1, then their names, a blank between
 *     S u8 scope, u64 id, setting  an explicit setting by its name: version 1, then its canonical
 * text
 *
 * scope is enum settings_scope; the id is the domain's or the account's, 0 for what is server-wide.
 * An account's own MaxAccountSize and Suspended are in the account's row. A setting that this
 * version does not know, or whose value it does not take, is left on disk, told in the log, and
 * counts as not set.
 */
#pragma once

#include "common/engine/engine.h"
#include "routerd/settings.h"

/* `packed` with p NULL removes the row. 0 or the engine's answer. */
int settings_db_put(
    struct engine_batch *b, const struct settings_holder *h, enum setting key, struct slice packed);
int settings_db_put_rights(struct engine_batch *b, uint64_t account, uint32_t rights);

/* All rows of an account that goes; of a domain that goes. */
int settings_db_forget_account(struct engine_batch *b, const struct object *o);
int settings_db_forget_domain(struct engine_batch *b, const struct domain *dom);

/* What a row's key, behind its first byte, is about. False: it makes no sense. */
struct settings_key {
	enum settings_scope scope;
	uint64_t id;
	struct slice name;
};
bool settings_db_key(struct slice key, struct settings_key *ret);

/* One row into memory, `text` behind the version. 0 or -ENOMEM. */
int settings_db_load(const struct settings_holder *h, struct slice name, struct slice text);
uint32_t settings_db_rights(struct slice text);
