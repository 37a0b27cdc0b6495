/*
 * names - the form of names and addresses. Pure.
 *
 * Names of objects and domains are compared without case; they are kept in lower case.
 */
#pragma once

#include "common/base/buf.h"

/* Letters, digits, '_', '-', '.'; a dot neither first nor last; 1 to NAME_MAX_BYTES bytes. */
bool name_valid(struct slice name);

/*
 * Labels of letters, digits and '-', joined by single dots; 1 to DOMAIN_MAX_BYTES bytes. As RFC
 * 5321 4.1.2 has them: at most 63 bytes, no '-' at their ends. No other could get mail.
 */
bool domain_valid(struct slice domain);

struct address {
	struct slice local;  /* may itself hold '@' or '%': a path */
	struct slice domain; /* empty: the Main Domain */
};

/*
 * Splits at the last '@', else at the last '%', else all is local part. Surrounding blanks are
 * dropped. Also the path forms <@a:b@c> (without the brackets) and a!b: the first system comes
 * first. 0, or 1 for an empty or over-long address or one with control bytes or blanks inside.
 */
int address_split(struct slice text, struct address *ret);

/* Appends the address as it is, a name alone completed by the domain `home`. 0, or 1 when it is no
 * address or has no room. */
int put_full_address(struct buf *b, struct slice text, struct slice home);

/* Copied to `out`, which has room for it, in lower case. */
struct slice name_lower(struct slice name, uint8_t *out);

/* Appends `s` in lower case (ASCII). */
void put_lower(struct buf *b, struct slice s);
