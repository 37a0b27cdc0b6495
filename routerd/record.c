#include "routerd/record.h"

#include "routerd/host.h"
#include "routerd/limits.h"
#include "routerd/names.h"

static const struct prefix {
	const char *text;
	unsigned modes;
	enum relay_mark relay;
} prefixes[] = {
	{ "norelay:", 0, RELAY_NO },
	{ "relayall:", 0, RELAY_ALL },
	{ "relay:", 0, RELAY_YES },
	{ "mail:", 1u << ROUTE_MAIL, RELAY_UNMARKED },
	{ "m:", 1u << ROUTE_MAIL, RELAY_UNMARKED },
	{ "access:", 1u << ROUTE_ACCESS, RELAY_UNMARKED },
	{ "a:", 1u << ROUTE_ACCESS, RELAY_UNMARKED },
	{ "signal:", 1u << ROUTE_SIGNAL, RELAY_UNMARKED },
	{ "s:", 1u << ROUTE_SIGNAL, RELAY_UNMARKED },
};

static const struct prefix *prefix_take(struct slice *left)
{
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		struct slice text = slice_str(prefixes[i].text);

		if (slice_istarts(*left, text)) {
			*left = slice_trim(slice_from(*left, text.n));
			return &prefixes[i];
		}
	}
	return NULL;
}

static const char *prefixes_take(struct slice *left, struct record *ret)
{
	const struct prefix *p;

	while ((p = prefix_take(left)) != NULL) {
		if (p->relay != RELAY_UNMARKED && ret->relay != RELAY_UNMARKED)
			return "two relay marks";
		if (p->relay != RELAY_UNMARKED)
			ret->relay = p->relay;
		ret->modes |= p->modes;
	}
	if (ret->modes == 0)
		ret->modes = (1u << ROUTE_MODES) - 1;
	return NULL;
}

/* What a domain's name, or a part of it, may hold on the left side. */
static bool host_bytes(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_alpha(s.p[i]) && !ascii_digit(s.p[i]) &&
		    memchr("-_.[]:", s.p[i], 6) == NULL)
			return false;
	return true;
}

static bool local_bytes(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] == 0x7f || memchr("<>@", s.p[i], 3) != NULL)
			return false;
	return true;
}

static bool pattern_holds(const struct pattern *p, bool (*right)(struct slice))
{
	for (size_t i = 0; i < p->n; i++)
		if (!right(p->wilds[i].after))
			return false;
	return right(p->head);
}

static struct slice lower_copy(struct arena *mem, struct slice s)
{
	uint8_t *p = arena_alloc(mem, s.n + 1);

	for (size_t i = 0; p != NULL && i < s.n; i++)
		p[i] = ascii_lower(s.p[i]);
	return slice_of(p, p != NULL ? s.n : 0);
}

static const char *domain_parse(struct slice text, struct arena *mem, struct record_line *ret)
{
	struct host host;
	const char *why = pattern_compile(text, mem, &ret->domain_pattern);

	if (why != NULL)
		return why;
	ret->domain = ret->domain_pattern.head;
	ret->wild_domain = ret->domain_pattern.n > 0;
	if (!pattern_holds(&ret->domain_pattern, host_bytes))
		return "the left side is not a domain name";
	if (!ret->wild_domain && host_parse(ret->domain, &host) != 0)
		return "the left side is not a domain name";
	return NULL;
}

static const char *left_parse(struct slice left, struct arena *mem, struct record_line *ret)
{
	struct address a;
	const char *why;

	left = lower_copy(mem, left);
	if (left.p == NULL)
		return "out of memory";
	ret->whole_domain = left.p[0] != '<';
	if (ret->whole_domain)
		return domain_parse(left, mem, ret);
	if (left.p[left.n - 1] != '>')
		return "'>' is missing";
	left = slice_trim(slice_part(left, 1, left.n - 2));
	if (address_split(left, &a) != 0)
		return "the left side is not an address";
	why = pattern_compile(a.local, mem, &ret->local_pattern);
	if (why != NULL)
		return why;
	ret->local = ret->local_pattern.head;
	ret->wild_local = ret->local_pattern.n > 0;
	if (!pattern_holds(&ret->local_pattern, local_bytes))
		return "the left side is not an address";
	return a.domain.n > 0 ? domain_parse(a.domain, mem, ret) : NULL;
}

/* The right side is tried with a 1 in place of each '*'. */
static const char *right_try(struct slice made, bool has_local)
{
	struct address a;
	struct host host;

	if (!has_local)
		return made.n == 0 || host_parse(made, &host) == 0
			   ? NULL
			   : "the right side is not a domain name";
	if (slice_find(made, '<') >= 0 || address_split(made, &a) != 0 ||
	    (a.domain.n > 0 && host_parse(a.domain, &host) != 0))
		return "the right side is not an address";
	return NULL;
}

static const char *right_parse(struct slice right, struct record_line *ret)
{
	struct slice ones[2 * PATTERN_WILDS_MAX];
	struct buf made = BUF_INIT(ADDRESS_MAX_BYTES), low = BUF_INIT(ADDRESS_MAX_BYTES);
	size_t n = ret->local_pattern.n + ret->domain_pattern.n;
	const char *why;

	ret->rec.right = right;
	ret->rec.keeps_local = ret->whole_domain && slice_find(right, '@') < 0;
	if (template_stars(right) > n)
		return "more '*' on the right side than wildcards on the left";
	for (size_t i = 0; i < n; i++)
		ones[i] = SLICE("1");
	template_put(&made, right, ones, n);
	put_lower(&low, buf_slice(&made));
	why = made.overflow ? "the right side is too long"
			    : right_try(buf_slice(&low), !ret->rec.keeps_local);
	buf_fini(&made);
	buf_fini(&low);
	return why;
}

/* Where the left side ends: '=' may stand inside of <...>. */
static ptrdiff_t equals_find(struct slice line)
{
	ptrdiff_t open = slice_find(line, '<'), eq = slice_find(line, '='), close;

	if (open < 0 || eq < 0 || open > eq)
		return eq;
	close = slice_find(slice_from(line, (size_t)open), '>');
	if (close < 0)
		return eq;
	eq = slice_find(slice_from(line, (size_t)(open + close)), '=');
	return eq < 0 ? eq : open + close + eq;
}

const char *record_parse(struct slice line, struct arena *mem, struct record_line *ret)
{
	struct slice left, rest = slice_trim(slice_take(&line, ';'));
	const char *why;
	ptrdiff_t eq;

	*ret = (struct record_line){ .empty = rest.n == 0 };
	if (ret->empty)
		return NULL;
	if (rest.n > TABLE_LINE_MAX)
		return "the line is too long";
	eq = equals_find(rest);
	if (eq < 0)
		return "'=' is missing";
	left = slice_trim(slice_part(rest, 0, (size_t)eq));
	why = prefixes_take(&left, &ret->rec);
	if (why == NULL && left.n == 0)
		why = "the left side is empty";
	if (why == NULL)
		why = left_parse(left, mem, ret);
	return why != NULL ? why : right_parse(slice_trim(slice_from(rest, (size_t)eq + 1)), ret);
}
