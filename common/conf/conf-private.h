/*
 * conf-private - what the files of the configuration library share.
 */
#pragma once

#include "common/conf/conf.h"

#include <stdlib.h>

/* The section a row belongs to: CONF_SECTION_x, or CONF_KEYS for the top. */
enum conf_key conf_section_of(enum conf_key k);

/*
 * Checks `text` by its row and stores the canonical form: 0; CONF_BAD with a sentence in `why`;
 * or -ENOMEM.
 */
int conf_value_set(struct conf_value *v, enum conf_key k, struct slice text, struct buf *why);

/* Adds an empty section with its defaults: the section, or NULL without memory or place. */
struct conf_section *conf_section_add(struct conf *c, enum conf_key kind, struct slice name);

/* The known name nearest to `word` among rows of `section`; NULL when none is near. */
const char *conf_nearest_key(struct slice word, enum conf_key section);
