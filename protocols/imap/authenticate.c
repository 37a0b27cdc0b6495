#include "protocols/imap/auth.h"

static bool is_sasl_char(uint8_t c)
{
	return ascii_alpha(c) || ascii_digit(c) || c == '+' || c == '/' || c == '=';
}

/* RFC 3501 6.2.2 and, with a first response, RFC 4959: "=" is an empty one. */
void imap_cmd_authenticate(struct imap *s, struct parse *p)
{
	struct buf initial = BUF_INIT(FRONT_SASL_MAX);
	struct slice name, first = SLICE("");
	const struct imap_auth_mech *m;
	bool has_first;

	parse_sp(p);
	name = parse_atom(p);
	has_first = parse_try(p, ' ');
	if (has_first)
		first = parse_chars(p, is_sasl_char, "a first response is missing");
	m = imap_auth_find(s, name);
	if (!parse_end(p))
		imap_bad(s, p);
	else if (m == NULL)
		imap_done(s, IMAP_NO, NULL, "unknown mechanism");
	else if (!imap_auth_offered(s, m))
		imap_done(s, IMAP_NO, "PRIVACYREQUIRED", "clear-text passwords need TLS here");
	else if (!has_first || slice_eq(first, SLICE("=")))
		imap_auth_begin(s, m->name, has_first, SLICE(""));
	else if (text_base64_decode(first, &initial) != 0)
		imap_done(s, IMAP_BAD, NULL, "the first response is not base64");
	else
		imap_auth_begin(s, m->name, true, buf_slice(&initial));
	secret_wipe(initial.p, initial.cap);
	buf_fini(&initial);
}
