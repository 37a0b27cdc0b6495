/*
 * plan-show - the difference that a plan is about, entry by entry, as it is found: lines for
 * people, or with --dry-run objects of JSON.
 */
#include "ctl/plan.h"
#include "ctl/print.h"

#include <stdlib.h>

/* Lines of a table of which the shortest difference is looked for; of more, all between the first
 * and the last that differ are told. */
enum { CELLS_MAX = 1 << 20, LINES_MAX = 1 << 20 };

static const char *mark_word(char mark)
{
	return mark == '+' ? "make" : mark == '-' ? "remove" : "change";
}

/* False: nothing is to be printed. */
static bool begin(struct plan *p, char mark, const struct dir_entry *e)
{
	p->changes++;
	if (p->c->quiet || (p->c->json && !p->c->dry_run))
		return false;
	if (!p->c->json) {
		printf("%c ", mark);
		return true;
	}
	printf("%s{\"change\": \"%s\", \"kind\": \"%s\", ", p->changes > 1 ? ", " : "",
	    mark_word(mark), dir_kind_words[e->kind]);
	if (e->name.n > 0) {
		print_json_text(e->kind == DIR_ROUTER ? "record" : "name", e->name);
		printf(", ");
	}
	return true;
}

void plan_show_open(const struct plan *p)
{
	if (p->c->json && p->c->dry_run)
		printf("{\"difference\": [");
}

void plan_show_close(const struct plan *p)
{
	const char *done = p->n == 0 ? "true" : "false";

	if (p->c->json && p->c->dry_run)
		printf("], \"changes\": %zu, \"done\": %s}\n", p->changes, done);
	else if (p->c->json)
		printf("{\"changes\": %zu, \"done\": %s}\n", p->changes, done);
	else if (p->n == 0 && !p->c->quiet)
		printf("nothing to do\n");
}

/* ---- objects ---- */

static void json_values(const struct dir_entry *e)
{
	const struct dir_part *parts = dir_parts[e->kind];
	const char *sep = "";

	printf("\"values\": {");
	for (size_t i = 0; parts[i].key != NULL; i++) {
		if (e->part[i].n == 0)
			continue;
		printf("%s", sep);
		print_json_data(parts[i].key, e->part[i]);
		sep = ", ";
	}
	printf("}}");
}

void plan_show_object(struct plan *p, char mark, const struct dir_entry *e)
{
	if (!begin(p, mark, e))
		return;
	if (p->c->json)
		json_values(e);
	else
		dir_entry_print(e, stdout);
}

static void show_text(struct slice text)
{
	print_text(text.n > 0 ? text : SLICE("nothing"));
}

void plan_show_part(
    struct plan *p, const struct dir_entry *e, const char *key, struct slice from, struct slice to)
{
	if (!begin(p, '~', e))
		return;
	if (p->c->json) {
		printf("\"key\": \"%s\", ", key);
		print_json_data("from", from);
		printf(", ");
		print_json_data("to", to);
		printf("}");
		return;
	}
	printf("%s", dir_kind_words[e->kind]);
	if (e->name.n > 0)
		printf(" %.*s", SLICE_FMT(e->name));
	printf(" %s: ", key);
	show_text(from);
	printf(" -> ");
	show_text(to);
	putchar('\n');
}

/* ---- the Router's table, where the order counts ---- */

struct lines {
	const struct dir_entry **v;
	size_t n;
};

static int lines_of(const struct dirfile *f, struct lines *ret)
{
	*ret = (struct lines){ calloc(f->n + 1, sizeof(*ret->v)), 0 };
	for (size_t i = 0; ret->v != NULL && i < f->n; i++)
		if (f->entries[i].kind == DIR_ROUTER)
			ret->v[ret->n++] = &f->entries[i];
	return ret->v == NULL;
}

static void show_line(struct plan *p, char mark, const struct lines *of, size_t i)
{
	if (!begin(p, mark, of->v[i]))
		return;
	if (p->c->json) {
		printf("\"line\": %zu}", i + 1);
		return;
	}
	printf("router ");
	print_text(of->v[i]->name);
	printf(" (line %zu)\n", i + 1);
}

static bool same(const struct lines *a, size_t i, const struct lines *b, size_t k)
{
	return slice_eq(a->v[i]->name, b->v[k]->name);
}

/* What of a[from, a_to) and b[from, b_to) is common, by the longest common part of what follows:
 * NULL if that would take too much. */
static uint32_t *common_parts(
    const struct lines *a, size_t a_to, const struct lines *b, size_t b_to, size_t from)
{
	size_t n = a_to - from, m = b_to - from, width = m + 1;
	uint32_t *most = n < LINES_MAX && m < LINES_MAX && (n + 1) * width <= CELLS_MAX
			     ? calloc((n + 1) * width, sizeof(*most))
			     : NULL;

	for (size_t i = n; most != NULL && i-- > 0;)
		for (size_t k = m; k-- > 0;) {
			uint32_t down = most[(i + 1) * width + k], right = most[i * width + k + 1];

			most[i * width + k] = same(a, from + i, b, from + k)
						  ? most[(i + 1) * width + k + 1] + 1
					      : down > right ? down
							     : right;
		}
	return most;
}

static void show_lines(struct plan *p, const struct lines *a, const struct lines *b)
{
	size_t from = 0, a_to = a->n, b_to = b->n, i, k, width;
	uint32_t *most;

	while (from < a_to && from < b_to && same(a, from, b, from))
		from++;
	for (; a_to > from && b_to > from && same(a, a_to - 1, b, b_to - 1); a_to--)
		b_to--;
	most = common_parts(a, a_to, b, b_to, from);
	width = b_to - from + 1;
	for (i = k = from; i < a_to || k < b_to;) {
		uint32_t *at = most != NULL ? &most[(i - from) * width + (k - from)] : NULL;

		if (at != NULL && i < a_to && k < b_to && same(a, i, b, k)) {
			i++;
			k++;
		} else if (i < a_to && (at == NULL || k == b_to || at[width] >= at[1])) {
			show_line(p, '-', a, i++);
		} else {
			show_line(p, '+', b, k++);
		}
	}
	free(most);
}

void plan_show_table(struct plan *p)
{
	struct lines a = { NULL, 0 }, b = { NULL, 0 };

	if (lines_of(&p->have, &a) != 0 || lines_of(&p->want, &b) != 0)
		p->failed = true;
	else
		show_lines(p, &a, &b);
	free(a.v);
	free(b.v);
}
