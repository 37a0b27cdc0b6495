#include "common/conf/conf-private.h"

#include "common/conf/limits.h"

#include <assert.h>
#include <errno.h>

#define LEN(n)        .max = (n)
#define RANGE(lo, hi) .min = (lo), .max = (hi)
#define WORDS(list)   .words = (list)
#define ANY           .min = 0
#define NEW           CONF_CHANGE_NEW
#define RESTART       CONF_CHANGE_RESTART
#define START         CONF_CHANGE_START

/* clang-format off */
const struct conf_row conf_rows[CONF_KEYS] = {
#define OPT(n, ty, d, limits, who, ch, sentence) \
	[CONF_##n] = { .name = #n, .type = CONF_T_##ty, .def = d, limits, .receivers = who, \
	    .change = ch, .text = sentence },
#define SECTION(n, upper, sentence) \
	[CONF_SECTION_##upper] = { .name = #n, .type = CONF_T_SECTION, .text = sentence },
#include "common/conf/options.def"
#undef OPT
#undef SECTION
};
/* clang-format on */

enum conf_key conf_section_of(enum conf_key k)
{
	for (int i = (int)k; i >= 0; i--)
		if (conf_rows[i].type == CONF_T_SECTION)
			return (enum conf_key)i;
	return CONF_KEYS;
}

static int section_init(struct conf_section *s, enum conf_key kind)
{
	struct buf why = BUF_INIT(256);
	int r = 0;

	*s = (struct conf_section){ .kind = kind };
	for (int k = 0; k < CONF_KEYS && r == 0; k++)
		if (conf_rows[k].type != CONF_T_SECTION && conf_section_of(k) == kind)
			r = conf_value_set(&s->v[k], k, slice_str(conf_rows[k].def), &why);
	/* A default that its own row refuses is a mistake in options.def. */
	assert(r <= 0);
	buf_fini(&why);
	return r;
}

static void section_fini(struct conf_section *s)
{
	for (int k = 0; k < CONF_KEYS; k++)
		free(s->v[k].text);
	free(s->name);
	*s = (struct conf_section){ 0 };
}

int conf_init(struct conf *c, const char *who)
{
	*c = (struct conf){ .who = who };
	return section_init(&c->top, CONF_KEYS);
}

void conf_fini(struct conf *c)
{
	section_fini(&c->top);
	for (size_t i = 0; i < c->n_sections; i++)
		section_fini(&c->sections[i]);
	free(c->sections);
	*c = (struct conf){ 0 };
}

struct conf_section *conf_section_add(struct conf *c, enum conf_key kind, struct slice name)
{
	struct conf_section *all, *s;

	if (c->n_sections >= CONF_SECTIONS_MAX)
		return NULL;
	all = reallocarray(c->sections, c->n_sections + 1, sizeof(*all));
	if (all == NULL)
		return NULL;
	c->sections = all;
	s = &all[c->n_sections];
	if (section_init(s, kind) != 0) {
		section_fini(s);
		return NULL;
	}
	s->name = strndup((const char *)name.p, name.n);
	if (s->name == NULL) {
		section_fini(s);
		return NULL;
	}
	c->n_sections++;
	return s;
}

static bool list_holds(const char *list, struct slice word)
{
	struct slice rest = slice_str(list);

	while (rest.n > 0)
		if (slice_eq(slice_take(&rest, ' '), word))
			return true;
	return false;
}

bool conf_receives(enum conf_key k, const char *who)
{
	const char *list = conf_rows[k].receivers;

	return list != NULL && list_holds(list, slice_str(who));
}

static const struct conf_value *value_of(const struct conf *c, enum conf_key k)
{
	assert(c->who == NULL || conf_receives(k, c->who));
	assert(c->top.v[k].text != NULL);
	return &c->top.v[k];
}

static bool is_number(enum conf_type t)
{
	return t == CONF_T_NUMBER || t == CONF_T_DURATION || t == CONF_T_SIZE || t == CONF_T_MODE;
}

uint64_t conf_get_u64(const struct conf *c, enum conf_key k)
{
	assert(is_number(conf_rows[k].type));
	return value_of(c, k)->num;
}

bool conf_get_bool(const struct conf *c, enum conf_key k)
{
	assert(conf_rows[k].type == CONF_T_BOOL);
	return value_of(c, k)->num != 0;
}

const char *conf_get_str(const struct conf *c, enum conf_key k)
{
	return value_of(c, k)->text;
}

bool conf_is_word(const struct conf *c, enum conf_key k, const char *word)
{
	assert(conf_rows[k].type == CONF_T_WORD && list_holds(conf_rows[k].words, slice_str(word)));
	return strcmp(value_of(c, k)->text, word) == 0;
}

bool conf_has_word(const struct conf *c, enum conf_key k, const char *word)
{
	assert(conf_rows[k].type == CONF_T_WORDLIST);
	assert(list_holds(conf_rows[k].words, slice_str(word)));
	return list_holds(value_of(c, k)->text, slice_str(word));
}

uint64_t conf_section_u64(const struct conf_section *s, enum conf_key k)
{
	assert(is_number(conf_rows[k].type) && conf_section_of(k) == s->kind);
	return s->v[k].num;
}

const char *conf_section_str(const struct conf_section *s, enum conf_key k)
{
	assert(conf_section_of(k) == s->kind && s->v[k].text != NULL);
	return s->v[k].text;
}
