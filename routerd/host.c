#include "routerd/host.h"

#include "routerd/limits.h"

static bool ends(struct slice s, struct slice tail)
{
	return s.n > tail.n && slice_eq(slice_from(s, s.n - tail.n), tail);
}

static enum host_suffix suffix_take(struct slice *domain)
{
	static const struct {
		const char *text;
		enum host_suffix suffix;
	} rows[] = { { "._via", HOST_VIA }, { ".via", HOST_VIA }, { ".smtp", HOST_SMTP },
		{ ".local", HOST_LOCAL }, { ".domain", HOST_DOMAIN } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct slice tail = slice_str(rows[i].text);

		if (ends(*domain, tail)) {
			domain->n -= tail.n;
			return rows[i].suffix;
		}
	}
	return HOST_PLAIN;
}

static int port_parse(struct slice text, uint16_t *ret)
{
	uint64_t v;

	if (slice_u64(text, UINT16_MAX, &v) != 0 || v == 0)
		return 1;
	*ret = (uint16_t)v;
	return 0;
}

/* "[address]" or "[address]:port". */
static int bracket_parse(struct slice text, struct host *ret)
{
	ptrdiff_t close = slice_find(text, ']');
	struct slice rest;

	if (close < 0)
		return 1;
	ret->name = slice_part(text, 1, (size_t)close - 1);
	if (slice_istarts(ret->name, SLICE("ipv6:")))
		ret->name = slice_from(ret->name, 5);
	rest = slice_from(text, (size_t)close + 1);
	if (addr_parse_ip(ret->name, &ret->ip) != 0)
		return 1;
	if (rest.n == 0)
		return 0;
	return rest.p[0] == ':' ? port_parse(slice_from(rest, 1), &ret->port) : 1;
}

/* As domain_valid(), but for our own names of ways, which are never looked up, also '_'. */
static bool name_right(struct slice s)
{
	if (s.n == 0 || s.n > DOMAIN_MAX_BYTES || s.p[0] == '.' || s.p[s.n - 1] == '.')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];

		if (!ascii_alpha(c) && !ascii_digit(c) && c != '-' && c != '_' && c != '.')
			return false;
		if (c == '.' && s.p[i - 1] == '.')
			return false;
	}
	return true;
}

int host_parse(struct slice domain, struct host *ret)
{
	ptrdiff_t at;

	*ret = (struct host){ .suffix = suffix_take(&domain) };
	if (domain.n > 0 && domain.p[0] == '[')
		return ret->suffix == HOST_LOCAL || ret->suffix == HOST_DOMAIN
			   ? 1
			   : bracket_parse(domain, ret);
	ret->name = domain;
	if (ret->suffix == HOST_LOCAL || ret->suffix == HOST_DOMAIN)
		return !name_right(domain);
	if (addr_parse_ip(domain, &ret->ip) == 0)
		return 0;
	at = slice_rfind(domain, ':');
	if (at >= 0 && port_parse(slice_from(domain, (size_t)at + 1), &ret->port) != 0)
		return 1;
	if (at < 0 && ret->suffix != HOST_PLAIN) {
		at = slice_rfind(domain, '.');
		if (at >= 0 && port_parse(slice_from(domain, (size_t)at + 1), &ret->port) != 0)
			at = -1;
	}
	if (at >= 0)
		ret->name = slice_part(domain, 0, (size_t)at);
	addr_parse_ip(ret->name, &ret->ip);
	return ret->ip.family == 0 && !name_right(ret->name);
}
