/*
 * form - the words of a command against the form that its row shows to people: one text is the
 * usage and the grammar.
 *
 *     name           a string                       KEYWORD     itself, in any case, not quoted
 *     a|b|c          one of these, in any case      [ ... ]     may be missing, as a whole
 *     (names)        an array                       {settings}  a dictionary
 *     <block>        bytes in base64
 *
 * Values are numbered in the order of the form, whether they are there or not; so is a KEYWORD that
 * is alone in its brackets. A word never stands for something it might be taken for by mistake:
 * what may be missing is taken only when the word fits it and is none of the keywords that may come
 * later; behind the first value a keyword that may come later alone in its brackets is a value in
 * quotes only (a script's password that is missing would be CHECK); and an empty string is a value
 * only of text, password and cookie, and of what may be missing.
 */
#include "protocols/admin/admin-private.h"

enum token { T_END, T_OPEN, T_CLOSE, T_KEYWORD, T_CHOICE, T_TEXT, T_ARRAY, T_DICT, T_BLOCK };

static bool is_upper(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 'A' || s.p[i] > 'Z')
			return false;
	return true;
}

static enum token next_token(struct slice *form, struct slice *ret)
{
	size_t n = 0;

	*form = slice_trim(*form);
	if (form->n == 0)
		return T_END;
	*ret = slice_part(*form, 0, 1);
	if (form->p[0] == '[' || form->p[0] == ']') {
		*form = slice_from(*form, 1);
		return ret->p[0] == '[' ? T_OPEN : T_CLOSE;
	}
	while (n < form->n && form->p[n] != ' ' && form->p[n] != ']')
		n++;
	*ret = slice_part(*form, 0, n);
	*form = slice_from(*form, n);
	if (ret->p[0] == '(')
		return T_ARRAY;
	if (ret->p[0] == '{')
		return T_DICT;
	if (ret->p[0] == '<')
		return T_BLOCK;
	if (slice_find(*ret, '|') >= 0)
		return T_CHOICE;
	return is_upper(*ret) ? T_KEYWORD : T_TEXT;
}

static bool is_choice(struct slice word, struct slice choices)
{
	while (choices.n > 0)
		if (slice_ieq(word, slice_take(&choices, '|')))
			return true;
	return false;
}

static bool fits(const struct data *word, enum token t, struct slice text)
{
	switch (t) {
	case T_KEYWORD:
		return word->kind == DATA_STRING && !word->quoted && slice_ieq(word->text, text);
	case T_CHOICE:
		return word->kind == DATA_STRING && is_choice(word->text, text);
	case T_TEXT:
		return word->kind == DATA_STRING;
	case T_ARRAY:
		return word->kind == DATA_ARRAY;
	case T_DICT:
		return word->kind == DATA_DICT;
	case T_BLOCK:
		return word->kind == DATA_BLOCK;
	default:
		return false;
	}
}

static bool is_keyword_of(const struct data *word, struct slice form)
{
	struct slice text;
	enum token t;

	while ((t = next_token(&form, &text)) != T_END)
		if (t == T_KEYWORD && fits(word, t, text))
			return true;
	return false;
}

/* `form` stands behind the '[': does the word begin what is in the brackets? */
static bool begins(const struct data *word, struct slice form)
{
	struct slice text;
	enum token t = next_token(&form, &text);

	if (word == NULL || !fits(word, t, text))
		return false;
	return t != T_TEXT || !is_keyword_of(word, form);
}

/* `form` stands behind the '[' and is moved behind the ']'; the values in there are missing. */
static size_t skip_group(struct slice *form)
{
	struct slice text;
	size_t values = 0, words = 0;
	int depth = 1;
	enum token t;

	while (depth > 0 && (t = next_token(form, &text)) != T_END) {
		depth += (t == T_OPEN) - (t == T_CLOSE);
		values += t >= T_CHOICE;
		words += t >= T_KEYWORD;
	}
	return words == 1 && values == 0 ? 1 : values;
}

/* A keyword that is alone in its brackets; `form` stands behind it. */
static bool is_flag(bool opened, struct slice form)
{
	struct slice text;

	return opened && next_token(&form, &text) == T_CLOSE;
}

/* Does the word mean what stands alone in its brackets later in the form? */
static bool means_flag(const struct data *word, struct slice form)
{
	struct slice text;
	enum token t;

	while ((t = next_token(&form, &text)) != T_END)
		if (t == T_OPEN && next_token(&form, &text) == T_KEYWORD && is_flag(true, form) &&
		    fits(word, T_KEYWORD, text))
			return true;
	return false;
}

/* For routerd no name is the Main Domain's, which is meant only where a name may be left out. */
static bool is_missing(const struct data *word, enum token t, struct slice name)
{
	static const char *const may_be_empty[] = { "text", "password", "cookie" };

	for (size_t i = 0; i < sizeof(may_be_empty) / sizeof(may_be_empty[0]); i++)
		if (slice_eq(name, slice_str(may_be_empty[i])))
			return false;
	return t == T_TEXT && word->text.n == 0;
}

bool form_match(struct cmd *c)
{
	struct slice form = slice_str(c->verb->form), text;
	size_t at = 0, slot = 0;
	bool opened = false;

	for (;;) {
		const struct data *word = at < c->words ? c->word[at] : NULL;
		enum token t = next_token(&form, &text);

		if (t == T_END)
			return at == c->words;
		if (t == T_OPEN && !begins(word, form)) {
			slot += skip_group(&form);
		} else if (t > T_CLOSE) {
			if (word == NULL || !fits(word, t, text) || slot >= FORM_VALUES_MAX ||
			    (!opened && is_missing(word, t, text)) ||
			    (t == T_TEXT && at > 0 && means_flag(word, form)))
				return false;
			if (t != T_KEYWORD || is_flag(opened, form))
				c->arg[slot++] = word;
			at++;
		}
		opened = t == T_OPEN;
	}
}
