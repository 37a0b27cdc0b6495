/* line - a command line: its verb, its words, and whether they are of the kinds that the verb
 * takes. */
#include "protocols/admin/admin-private.h"

#include <stdlib.h>

const struct verb *verb_find(struct slice name)
{
	for (size_t i = 0; i < admin_verb_count; i++)
		if (slice_ieq(name, slice_str(admin_verbs[i].name)))
			return &admin_verbs[i];
	return NULL;
}

static struct cmd *cmd_new(struct admin *a)
{
	struct cmd *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->a = a;
	arena_init(&c->mem, a->conf->pwd ? PWD_MEM_MAX : ADMIN_MEM_MAX);
	c->data = BUF_INIT(ADMIN_OUT_MAX);
	c->ask = BUF_INIT(IPC_ASK_MAX);
	c->text = BUF_INIT(ADMIN_LINE_MAX);
	*a->tail = c;
	a->tail = &c->next;
	a->under_way++;
	return c;
}

/* The words after the verb: strings and, for settings and lists, whole values. */
static bool parse_words(struct cmd *c, struct slice rest)
{
	const char *why = NULL;

	c->word = arena_alloc(&c->mem, ADMIN_WORDS_MAX * sizeof(*c->word));
	data_skip_blanks(&rest);
	while (c->word != NULL && rest.n > 0 && c->words < ADMIN_WORDS_MAX) {
		c->word[c->words] = data_parse_word(&c->mem, &rest, &why);
		if (c->word[c->words] == NULL) {
			cmd_error(c, why);
			return false;
		}
		c->words++;
		data_skip_blanks(&rest);
	}
	if (c->word != NULL && rest.n == 0)
		return true;
	cmd_error(c, "the command has too many words");
	return false;
}

static bool parse_raw(struct cmd *c, struct slice rest)
{
	c->word = arena_alloc(&c->mem, sizeof(*c->word));
	if (c->word != NULL && rest.n > 1)
		c->word[0] = arena_alloc(&c->mem, sizeof(*c->word[0]));
	if (c->word == NULL || (rest.n > 1 && c->word[0] == NULL)) {
		cmd_error(c, "out of memory");
		return false;
	}
	if (rest.n > 1) {
		*c->word[0] = (struct data){ .kind = DATA_STRING, .text = slice_from(rest, 1) };
		c->words = 1;
	}
	return true;
}

struct slice line_verb(struct slice line)
{
	ptrdiff_t blank;

	line = slice_trim(line);
	blank = slice_find(line, ' ');
	return blank < 0 ? line : slice_part(line, 0, (size_t)blank);
}

bool line_take_any(struct admin *a, struct slice in, struct slice *ret_line, size_t *ret_used)
{
	ptrdiff_t lf = slice_find(slice_from(in, a->scanned), '\n');

	if (lf < 0) {
		a->scanned = in.n;
		return false;
	}
	*ret_used = a->scanned + (size_t)lf + 1;
	*ret_line = slice_part(in, 0, *ret_used - 1);
	if (ret_line->n > 0 && ret_line->p[ret_line->n - 1] == '\r')
		ret_line->n--;
	return true;
}

struct cmd *line_own(struct admin *a, const struct verb *verb)
{
	struct cmd *c = cmd_new(a);

	if (c == NULL)
		a->state = ADMIN_CLOSING;
	else
		c->verb = verb;
	return c;
}

void line_run(struct admin *a, struct slice line)
{
	struct cmd *c = cmd_new(a);
	struct slice own = c != NULL ? arena_copy(&c->mem, line) : SLICE_NONE;
	struct slice name = line_verb(own);

	if (c == NULL) {
		a->state = ADMIN_CLOSING;
		return;
	}
	c->verb = verb_find(name);
	own = slice_from(own, (size_t)(slice_trim(own).p - own.p));
	if (own.p == NULL)
		cmd_error(c, "out of memory");
	else if (name.n == 0 || slice_find(own, 0) >= 0)
		cmd_error(c, "this is not a command");
	else if (c->verb == NULL)
		cmd_error(c, "unknown command");
	else if (c->verb->raw ? parse_raw(c, slice_from(own, name.n))
			      : parse_words(c, slice_from(own, name.n))) {
		if (form_match(c))
			overlap_run(c);
		else
			cmd_usage(c);
	}
}
