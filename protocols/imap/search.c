/*
 * search - SEARCH (RFC 3501 6.4.4, RFC 4731, RFC 5182), SORT and THREAD (RFC 5256).
 */
#include "protocols/imap/search-job.h"

static const struct {
	const char *name;
	unsigned bit;
} options[] = {
	{ "MIN", SEARCH_RETURN_MIN },
	{ "MAX", SEARCH_RETURN_MAX },
	{ "ALL", SEARCH_RETURN_ALL },
	{ "COUNT", SEARCH_RETURN_COUNT },
	{ "SAVE", SEARCH_RETURN_SAVE },
};

static void read_option(struct parse *p, unsigned *returns)
{
	struct slice name = parse_word(p);

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (!slice_ieq(name, slice_str(options[i].name)))
			continue;
		if (*returns & options[i].bit)
			parse_fail(p, "a result option twice");
		*returns |= options[i].bit;
		return;
	}
	parse_fail(p, "no such result option");
}

/* "RETURN (...)" behind a blank, and the blank behind it. */
static bool read_returns(struct parse *p, unsigned *ret_returns)
{
	*ret_returns = 0;
	if (!parse_try_word(p, "RETURN"))
		return false;
	parse_sp(p);
	parse_char(p, '(');
	if (!parse_try(p, ')')) {
		do
			read_option(p, ret_returns);
		while (parse_try(p, ' '));
		parse_char(p, ')');
	}
	parse_sp(p);
	if (*ret_returns == 0)
		*ret_returns = SEARCH_RETURN_ALL;
	return true;
}

static void begin(struct imap *s, struct search_job *j)
{
	if (j->keys.modseq)
		imap_condstore_on(s);
	search_job_begin(s, j);
}

void imap_cmd_search(struct imap *s, struct parse *p)
{
	struct search_keys keys;
	struct search_job *j;
	unsigned returns;
	bool esearch;

	parse_sp(p);
	esearch = read_returns(p, &returns);
	if (!search_keys_parse(s, p, false, &keys)) {
		search_keys_fini(&keys);
		if ((returns & SEARCH_RETURN_SAVE) && parse_ok(p))
			set_reset(&s->saved); /* NO, not BAD */
		return;
	}
	j = search_job_new(s, SEARCH_WANT_SEARCH, &keys);
	if (j == NULL)
		return;
	j->esearch = esearch;
	j->returns = returns;
	begin(s, j);
}

void imap_cmd_sort(struct imap *s, struct parse *p)
{
	struct search_keys keys;
	struct search_job *j;
	struct sort_rows spec;

	sort_rows_init(&spec);
	parse_sp(p);
	sort_parse(p, &spec);
	parse_sp(p);
	if (!search_keys_parse(s, p, true, &keys)) {
		search_keys_fini(&keys);
		return;
	}
	j = search_job_new(s, SEARCH_WANT_SORT, &keys);
	if (j == NULL)
		return;
	sort_rows_fini(&j->sort);
	j->sort = spec;
	begin(s, j);
}

void imap_cmd_thread(struct imap *s, struct parse *p)
{
	struct search_keys keys;
	struct search_job *j;
	enum sort_thread how = SORT_THREAD_REFERENCES;

	parse_sp(p);
	if (parse_try_word(p, "ORDEREDSUBJECT"))
		how = SORT_THREAD_SUBJECT;
	else if (!parse_try_word(p, "REFERENCES"))
		parse_fail(p, "REFERENCES or ORDEREDSUBJECT");
	parse_sp(p);
	if (!search_keys_parse(s, p, true, &keys)) {
		search_keys_fini(&keys);
		return;
	}
	j = search_job_new(s, SEARCH_WANT_THREAD, &keys);
	if (j == NULL)
		return;
	sort_for_thread(&j->sort, how);
	begin(s, j);
}
