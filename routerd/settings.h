/*
 * settings - what is set where, and what counts: explicit settings of the server, its domains, its
 * accounts and of what is default for them, held in memory as packed bytes.
 *
 * Account < account defaults of its domain < account defaults of the server < table.
 * Domain < domain defaults of the server < table. Server < table.
 *
 * Invariant: reading is a walk over a few bytes and allocates nothing; who sets nothing costs
 * nothing.
 */
#pragma once

#include "common/settings/settings.h"
#include "routerd/directory.h"

/* Where settings are kept. Values are on disk. */
enum settings_scope {
	SCOPE_SERVER = 1,
	SCOPE_DOMAIN_DEFAULTS = 2,      /* server-wide, of all domains */
	SCOPE_ACCOUNT_DEFAULTS_ALL = 3, /* server-wide, of all accounts */
	SCOPE_DOMAIN = 4,
	SCOPE_ACCOUNT_DEFAULTS = 5, /* of one domain */
	SCOPE_TEMPLATE = 6,         /* of one domain */
	SCOPE_ACCOUNT = 7,
	SCOPES = 8
};

/* ---- what counts; `p` of the result is never NULL; an account's own MaxAccountSize and Suspended
 * live until the next call, all else until the next change ---- */

/* Of an account (an alias stands for its account), levels ACCOUNT and below. NULL object: of none.
 */
struct slice settings_effective(
    const struct directory *d, const struct object *o, enum setting key);
struct slice settings_effective_domain(
    const struct directory *d, const struct domain *dom, enum setting key);
struct slice settings_effective_server(const struct directory *d, enum setting key);

/* Bytes the account may use, 0: no limit. */
uint64_t settings_quota(const struct directory *d, const struct object *o);

/* ---- what is set ---- */

/* One holder: where its settings hang. */
struct settings_holder {
	enum settings_scope scope;
	struct domain *domain;  /* DOMAIN, ACCOUNT_DEFAULTS, TEMPLATE */
	struct object *account; /* ACCOUNT */
	struct settings **at;
	uint64_t id; /* of domain or account; 0 */
};

/* "server", "domain-defaults" ...; SCOPES when it is none. */
enum settings_scope settings_scope_find(struct slice word);
struct settings_holder settings_holder(
    struct directory *d, enum settings_scope scope, struct domain *dom, struct object *o);
/* May this scope hold this setting at all? */
bool settings_scope_takes(enum settings_scope scope, enum setting key);

/* The packed value that is set here; p NULL: none. As settings_effective() for its life. */
struct slice settings_explicit(const struct settings_holder *h, enum setting key);
/* What counts for this holder. */
struct slice settings_effective_at(
    const struct directory *d, const struct settings_holder *h, enum setting key);

/* In memory only. `packed` with p NULL removes. 0 or -ENOMEM. Not for what is in the account's row.
 */
int settings_put(struct settings **at, enum setting key, struct slice packed);
/* Rights of an account as they were given: enum ipc_right; see rights_of(). They lie beside its
 * settings. */
uint32_t settings_rights(const struct settings *s);
int settings_put_rights(struct settings **at, uint32_t rights);
/* Kept in the account's row rather than in one of its own: MaxAccountSize and Suspended. */
bool settings_in_row(enum settings_scope scope, enum setting key);

void settings_free(struct settings **s);

/* A new account gets what the template of its domain says, in memory and in the batch; its row is
 * not written yet. 0, -ENOMEM or the engine's answer. */
struct engine_batch;
int settings_apply_template(struct directory *d, struct object *o, struct engine_batch *b);
/* And the name of the person, which others told; one that cannot be is left out. */
int settings_first_real_name(
    struct directory *d, struct object *o, struct slice name, struct engine_batch *b);
/* What stored is to make besides INBOX: packed lists. */
struct slice settings_first_mailboxes(const struct object *o);
struct slice settings_first_subscriptions(const struct object *o);
