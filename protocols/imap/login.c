#include "protocols/imap/auth.h"

/* An astring; also with a bare '%', since name%domain is a name here, and there are clients that do
 * not quote it (RFC 9051 9: list-wildcards are no ATOM-CHAR). */
static struct slice login_name(struct parse *p)
{
	uint8_t c = parse_peek(p);

	return c == '"' || c == '{' ? parse_astring(p)
				    : parse_chars(p, parse_list_char, "a string is missing");
}

/* LOGIN becomes SASL PLAIN: one way of checking a password, not two. */
void imap_cmd_login(struct imap *s, struct parse *p)
{
	uint8_t plain[2 * IMAP_NAME_MAX + 2];
	bool sp = parse_sp(p);
	struct slice name = login_name(p), password;

	sp = parse_sp(p) && sp;
	password = parse_astring(p);
	if (!parse_end(p)) {
		imap_bad(s, p);
	} else if (!imap_auth_login_offered(s)) {
		imap_done(s, IMAP_NO, "PRIVACYREQUIRED", "clear-text passwords need TLS here");
	} else if (name.n > IMAP_NAME_MAX || password.n > IMAP_NAME_MAX ||
		   memchr(name.p, '\0', name.n) != NULL ||
		   memchr(password.p, '\0', password.n) != NULL) {
		imap_done(s, IMAP_NO, "AUTHENTICATIONFAILED", "not a name or not a password");
	} else {
		plain[0] = 0;
		memcpy(plain + 1, name.p, name.n);
		plain[1 + name.n] = 0;
		memcpy(plain + 2 + name.n, password.p, password.n);
		imap_auth_begin(s, "PLAIN", true, slice_of(plain, name.n + password.n + 2));
		secret_wipe(plain, sizeof(plain));
	}
	if (password.n > 0)
		secret_wipe((void *)(uintptr_t)password.p, password.n); /* may be in the arena */
}
