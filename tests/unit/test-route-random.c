/*
 * Random tables and names: the compiled table answers as an interpreter does that reads the text
 * line by line and tries every split, and no name is followed beyond the limit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "routerd/limits.h"
#include "routerd/route.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t seed = 88172645463325252ull;

static unsigned rnd(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)((seed >> 11) % n);
}

/* ---- the slow interpreter: C strings, recursion, one line at a time ---- */

struct took {
	char part[16][200];
	int n;
};

static bool slow_match(const char *pat, const char *text, struct took *t)
{
	int a = 0, b = 999, used = 1, mine = t->n;

	if (*pat == '\0')
		return *text == '\0';
	if (*pat != '*' && *pat != '(') {
		if (*pat == '\\')
			pat++;
		return *pat == *text && slow_match(pat + 1, text + 1, t);
	}
	if (*pat == '(' && sscanf(pat, "(%d-%dd)%n", &a, &b, &used) != 2) {
		if (strstr(pat, "+d)") != NULL && strstr(pat, "+d)") < strchr(pat, ')'))
			sscanf(pat, "(%d+d)%n", &a, &used), b = 999;
		else
			sscanf(pat, "(%dd)%n", &a, &used), b = a;
	}
	for (int len = 0; len <= (int)strlen(text) && len <= b; len++) {
		if (*pat == '(' && len > 0 && !isdigit((unsigned char)text[len - 1]))
			break;
		if (len < a)
			continue;
		t->n = mine + 1;
		memcpy(t->part[mine], text, (size_t)len);
		t->part[mine][len] = '\0';
		if (slow_match(pat + used, text + len, t))
			return true;
	}
	t->n = mine;
	return false;
}

static bool slow_mode(char **left, int mode)
{
	static const char *const words[] = { "mail:", "m:", "access:", "a:", "signal:", "s:" };
	bool any = false, ours = false, more = true;

	while (more) {
		more = false;
		if (strncmp(*left, "relay:", 6) == 0 || strncmp(*left, "norelay:", 8) == 0) {
			*left = strchr(*left, ':') + 1;
			more = true;
		}
		for (int i = 0; i < 6; i++) {
			if (strncmp(*left, words[i], strlen(words[i])) != 0)
				continue;
			*left += strlen(words[i]);
			any = more = true;
			ours |= i / 2 == mode;
		}
	}
	return !any || ours;
}

/* Does the left side catch local@domain? `main`: the Main Domain's name when domain is empty. */
static bool slow_left(char *left, const char *local, const char *domain, const char *main,
    bool literal, struct took *t)
{
	bool wild = strpbrk(left, "*(") != NULL;
	char *at;

	t->n = 0;
	if (wild && literal)
		return false;
	if (*left != '<')
		return *domain != '\0' && slow_match(left, domain, t);
	left[strlen(left) - 1] = '\0';
	at = strrchr(left, '@');
	if (at == NULL)
		return *domain == '\0' && slow_match(left + 1, local, t);
	*at = '\0';
	return slow_match(left + 1, local, t) &&
	       slow_match(at + 1, *domain != '\0' ? domain : main, t);
}

static unsigned slow_find(const char *table, const char *local, const char *domain, int mode,
    bool literal, char *ret_right, struct took *t)
{
	char copy[20000], *rest = copy, *line;

	snprintf(copy, sizeof(copy), "%s", table);
	for (unsigned n = 1; (line = strsep(&rest, "\n")) != NULL; n++) {
		char *eq = strchr(line, '=');

		if (eq == NULL)
			continue;
		*eq = '\0';
		if (!slow_mode(&line, mode) || !slow_left(line, local, domain, "main", literal, t))
			continue;
		strcpy(ret_right, eq + 1);
		return n;
	}
	return 0;
}

static void slow_expand(const char *right, const struct took *t, char *out)
{
	int k = 0;

	for (; *right != '\0'; right++) {
		if (*right == '*' && k < t->n)
			out += sprintf(out, "%s", t->part[k++]);
		else
			*out++ = *right;
	}
	*out = '\0';
}

/* ---- random text ---- */

static const char *pick(const char *const *words, unsigned n)
{
	return words[rnd(n)];
}

/* Pieces of a name; with wildcards, which are counted. */
static void put_name(char *out, bool wild, int *stars)
{
	static const char *const plain[] = { "a", "b", "ab", "1", "12", "a1" };
	static const char *const wilds[] = { "*", "*", "(1d)", "(1-2d)", "(2+d)" };

	for (unsigned n = 1 + rnd(4); n > 0; n--) {
		bool w = wild && rnd(3) == 0;

		*stars += w;
		out += sprintf(out, "%s", w ? pick(wilds, 5) : pick(plain, 6));
	}
}

static void put_line(char *out)
{
	static const char *const prefixes[] = { "", "", "",
		"mail:", "a:", "s:m:", "norelay:", "relay:a:" };
	static const char *const domains[] = { "a.b", "b", "main", "a.a", "1.b" };
	static const char *const wild_domains[] = { "*", "*.b", "a.*" };
	bool wild = rnd(2) == 0, wild_domain = rnd(3) == 0;
	int stars = 0;

	out += sprintf(out, "%s", pick(prefixes, 8));
	if (rnd(4) > 0) {
		*out++ = '<';
		put_name(out, wild, &stars);
		out += strlen(out);
		if (rnd(2) == 0) {
			out += sprintf(
			    out, "@%s", wild_domain ? pick(wild_domains, 3) : pick(domains, 5));
			stars += wild_domain;
		}
		out +=
		    sprintf(out, ">=%s%s", stars > 0 && rnd(2) ? "*x" : "y", stars > 1 ? "*" : "");
		if (rnd(2) == 0)
			sprintf(out, "@%s", pick(domains, 5));
		return;
	}
	out += sprintf(out, "%s", wild_domain ? pick(wild_domains, 3) : pick(domains, 5));
	sprintf(out, "=%s", wild_domain && rnd(2) ? "*.b" : pick(domains, 5));
}

static void make_table(char *out)
{
	*out = '\0';
	for (unsigned n = rnd(14); n > 0; n--) {
		put_line(out);
		out += strlen(out);
		out += sprintf(out, "\n");
	}
}

static void the_table_answers_as_its_text_reads(void **state)
{
	static const char *const domains[] = { "", "", "a.b", "b", "main.b", "a.a", "1.b", "c" };
	unsigned found = 0;

	for (int round = 0; round < 20000; round++) {
		char text[8000], local[100], right[400] = "", want[2000] = "";
		const char *domain = pick(domains, 8), *why = "";
		struct took took;
		struct table *t = NULL;
		struct table_hit hit;
		struct subject s = { .main_domain = SLICE("main"),
			.mode = (enum route_mode)rnd(3),
			.literal = rnd(8) == 0 };
		struct buf got = BUF_INIT(2000);
		unsigned line = 0, slow;
		int stars;

		make_table(text);
		put_name(local, false, &stars);
		if (table_compile(slice_str(text), &t, &line, &why) != 0)
			fail_msg("line %u: %s\n%s", line, why, text);
		s.local = slice_str(local);
		s.domain = slice_str(domain);
		slow = slow_find(text, local, domain, s.mode, s.literal, right, &took);
		if (table_find(t, &s, &hit) != (slow > 0) || (slow > 0 && hit.rec->line != slow))
			fail_msg("%s@%s mode %d: line %u, not %u\n%s", local, domain, s.mode,
			    hit.rec != NULL ? hit.rec->line : 0, slow, text);
		if (slow > 0) {
			slow_expand(right, &took, want);
			template_put(&got, hit.rec->right, hit.parts, hit.n);
			if (!slice_eq(buf_slice(&got), slice_str(want)))
				fail_msg("%s@%s line %u: %.*s, not %s\n%s", local, domain, slow,
				    SLICE_FMT(buf_slice(&got)), want, text);
			found++;
		}
		buf_fini(&got);
		table_free(&t);
	}
	assert_true(found > 4000);
}

static void nothing_is_followed_beyond_the_limit(void **state)
{
	struct directory d;
	struct route r;
	unsigned loops = 0;

	directory_init(&d);
	route_init(&r);
	d.main = directory_add_domain(&d, SLICE("main"), d.next_id++, STATE_ACTIVE);
	directory_add_domain(&d, SLICE("a.b"), d.next_id++, STATE_ACTIVE);
	directory_add_account(&d, d.main, SLICE("y"), d.next_id++, STATE_ACTIVE);
	for (int round = 0; round < 5000; round++) {
		char text[8000], name[200];
		const char *why;
		unsigned line;
		int stars;

		make_table(text);
		put_name(name, false, &stars);
		strcat(name, rnd(2) ? "@a.b" : "%b@main");
		assert_int_equal(table_compile(slice_str(text), &d.table, &line, &why), 0);
		route_address(&d, slice_str(name), (enum route_mode)rnd(3), &r);
		assert_true(r.steps <= ROUTE_STEPS_MAX);
		assert_true((r.status == IPC_ROUTE_LOOP) == (r.steps == ROUTE_STEPS_MAX));
		assert_true((r.status == IPC_ROUTE_OK) == (r.account != NULL));
		loops += r.status == IPC_ROUTE_LOOP;
		table_free(&d.table);
	}
	assert_true(loops > 50);
	route_fini(&r);
	directory_fini(&d);
}

static void hostile_patterns_stay_cheap(void **state)
{
	char text[2200], name[1100];
	struct table *t = NULL;
	struct table_hit hit;
	struct subject s = { .main_domain = SLICE("main"), .domain = SLICE("b") };
	const char *why;
	unsigned line;

	/* Tried by backtracking this would outlive all of us. */
	strcpy(text, "<*a*a*a*a*a*a*a*ab@b>=x\n<(1+d)(1+d)(1+d)(1+d)(1+d)(1+d)(1+d)(1+d)x@b>=y\n");
	assert_int_equal(table_compile(slice_str(text), &t, &line, &why), 0);
	memset(name, 'a', 1000);
	s.local = slice_of(name, 1000);
	for (int i = 0; i < 100; i++)
		assert_false(table_find(t, &s, &hit));
	memset(name, '1', 1000);
	for (int i = 0; i < 100; i++)
		assert_false(table_find(t, &s, &hit));
	name[999] = 'x';
	assert_true(table_find(t, &s, &hit));
	assert_int_equal(hit.n, 8);
	assert_int_equal(hit.parts[7].n, 992);
	table_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_answers_as_its_text_reads),
		cmocka_unit_test(nothing_is_followed_beyond_the_limit),
		cmocka_unit_test(hostile_patterns_stay_cheap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
