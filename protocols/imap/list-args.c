/*
 * list-args - what a LIST asks for: the options of RFC 5258, RFC 6154 and RFC 5819, reference and
 * patterns.
 */
#include "protocols/imap/list-private.h"

#include "protocols/imap/match.h"
#include "protocols/imap/status.h"

static void select_options(struct parse *p, struct list *l)
{
	bool recursive = false;

	parse_char(p, '(');
	l->extended = true;
	while (parse_ok(p) && !parse_try(p, ')')) {
		if (parse_try_word(p, "SUBSCRIBED"))
			l->select_subscribed = true;
		else if (parse_try_word(p, "RECURSIVEMATCH"))
			recursive = true;
		else if (parse_try_word(p, "SPECIAL-USE"))
			l->select_special = true;
		else if (!parse_try_word(p, "REMOTE"))
			parse_fail(p, "no such selection option");
		if (parse_peek(p) != ')')
			parse_sp(p);
	}
	/* RFC 5258 3: it says how to treat the others. */
	if (recursive && !l->select_subscribed && !l->select_special)
		parse_fail(p, "RECURSIVEMATCH needs another option");
	l->recursive = recursive;
	parse_sp(p);
}

static void return_options(struct parse *p, struct list *l)
{
	if (!parse_try_word(p, "RETURN"))
		parse_fail(p, "RETURN is missing");
	l->extended = true;
	parse_sp(p);
	parse_char(p, '(');
	while (parse_ok(p) && !parse_try(p, ')')) {
		if (parse_try_word(p, "SUBSCRIBED")) {
			l->return_subscribed = true;
		} else if (parse_try_word(p, "STATUS")) {
			parse_sp(p);
			l->status = imap_status_items(p);
		} else if (!parse_try_word(p, "CHILDREN") && !parse_try_word(p, "SPECIAL-USE")) {
			parse_fail(p, "no such return option"); /* those two are always told */
		}
		if (parse_peek(p) != ')')
			parse_sp(p);
	}
}

bool list_pattern(struct parse *p, struct list *l, struct slice reference)
{
	struct slice pattern = parse_list_mailbox(p);
	uint8_t *text;

	if (!parse_ok(p) || pattern.p == NULL)
		return false;
	/* An empty pattern in an extended LIST matches nothing (RFC 5258 3). */
	if (l->n_patterns == LIST_PATTERNS_MAX) {
		parse_refuse(p, "too many patterns");
		return false;
	}
	text = arena_alloc(p->arena, reference.n + pattern.n + 1);
	if (text == NULL || reference.n + pattern.n > MATCH_PATTERN_MAX) {
		parse_refuse(p, "the pattern is too long");
		return false;
	}
	if (reference.n > 0)
		memcpy(text, reference.p, reference.n);
	if (pattern.n > 0)
		memcpy(text + reference.n, pattern.p, pattern.n);
	if (reference.n + pattern.n > 0)
		l->patterns[l->n_patterns++] = slice_of(text, reference.n + pattern.n);
	return pattern.n == 0;
}

struct slice list_reference(struct parse *p)
{
	struct slice reference = parse_list_mailbox(p);

	parse_sp(p);
	return reference.p != NULL ? reference : SLICE("\xff"); /* in front of no name */
}

void list_args(struct parse *p, struct list *l, bool *ret_separator)
{
	struct slice reference;

	parse_sp(p);
	if (parse_peek(p) == '(')
		select_options(p, l);
	reference = list_reference(p);
	if (parse_try(p, '(')) {
		l->extended = true;
		do
			list_pattern(p, l, reference);
		while (parse_try(p, ' '));
		parse_char(p, ')');
	} else {
		*ret_separator = list_pattern(p, l, reference);
	}
	if (parse_try(p, ' '))
		return_options(p, l);
}
