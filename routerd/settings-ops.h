/*
 * settings-ops - settings as a request gives them, checked and packed, for one holder: of an
 * account or domain that is there, or is being made.
 *
 * Invariant: each setting at most once, the last one that the request has; what who asks may not
 * set is not among them.
 */
#pragma once

#include "routerd/dirconn.h"
#include "routerd/settings.h"

enum { SETTINGS_OPS_MAX = 256 };

/* `n` bytes at `at` of `packed`; not `set`: removed. */
struct setting_op {
	enum setting key;
	bool set;
	size_t at, n;
};

struct settings_ops {
	struct setting_op op[SETTINGS_OPS_MAX];
	size_t n;
	struct buf packed;
};

void settings_ops_init(struct settings_ops *ops);
void settings_ops_fini(struct settings_ops *ops);

/*
 * Names and values of the request from its argument `from` on; `whole`: what is not named is
 * removed, but for Suspended and an account's own Prefs. False after having answered.
 */
bool settings_ops_take(struct request *q, struct settings_ops *ops, const struct settings_holder *h,
    size_t from, bool whole);

/* p NULL: it is removed. */
struct slice settings_op_value(const struct settings_ops *ops, const struct setting_op *op);

/* Their rows; an account's own row, too, if any of them lies there. 0 or the engine's answer. */
struct engine_batch;
int settings_ops_put(
    const struct settings_ops *ops, struct engine_batch *b, const struct settings_holder *h);
/* In memory: 0 or -ENOMEM. */
int settings_ops_apply(const struct settings_ops *ops, const struct settings_holder *h);
/* Both, for a holder that is being made and nobody sees; an account's own row is written later. */
int settings_ops_first(
    const struct settings_ops *ops, struct engine_batch *b, const struct settings_holder *h);

/* settings-verbs.c: a change of one setting of the holder that the request's first argument names.
 */
void settings_change_one(
    struct request *q, struct slice scope, enum setting key, struct slice text);
