/*
 * auth - the dialogue with authd that LOGIN and AUTHENTICATE share. Passwords and mechanisms are
 * authd's business; here they are only carried, and nothing of them is kept.
 */
#pragma once

#include "protocols/imap/imap-private.h"

struct imap_auth_mech {
	const char *name, *capability;
	enum imap_mech bit;
	bool clear_text;
};

/* The mechanism of that name, offered or not (then it wants TLS); NULL: there is none. */
const struct imap_auth_mech *imap_auth_find(const struct imap *s, struct slice name);

/* Whether it may be used on this connection: clear text needs TLS (RFC 3501 11.2). */
bool imap_auth_offered(const struct imap *s, const struct imap_auth_mech *m);

/* Whether LOGIN may be. */
bool imap_auth_login_offered(const struct imap *s);

/* The command's job from here on; it answers the client. `initial` is sent at once. */
void imap_auth_begin(struct imap *s, const char *mech, bool has_initial, struct slice initial);
