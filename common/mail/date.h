/*
 * date - dates of messages (RFC 5322 3.3 and 4.3) and of IMAP (RFC 9051 date-time).
 *
 * A date is a moment in Unix seconds and the zone it was written in. Printing what was parsed gives
 * the same moment and zone; only years 1 to 9999 exist.
 */
#pragma once

#include "common/base/buf.h"

struct mail_date {
	int64_t unix_s;
	int16_t zone_min;  /* east of Greenwich */
	bool zone_unknown; /* "-0000", a military letter, or nothing at all (RFC 5322 4.3) */
};

enum {
	MAIL_DATE_BAD = 1,
};

/*
 * Reads the value of a Date field, folds and comments included. Forgiving: no weekday or a wrong
 * one, missing seconds, two- and three-digit years (4.3), named zones, month before day, dashes. A
 * time of day is required. 0 or MAIL_DATE_BAD.
 */
int mail_date_parse(struct slice in, struct mail_date *ret_date);

/* "Fri, 21 Nov 1997 09:55:06 -0600" */
void mail_date_print(const struct mail_date *d, struct buf *out);

/* "21-Nov-1997 09:55:06 -0600", day padded with a blank: IMAP date-time without its quotes. */
void mail_date_print_internal(const struct mail_date *d, struct buf *out);

/* Reads IMAP's date-time (without quotes), exactly that form. 0 or MAIL_DATE_BAD. */
int mail_date_parse_internal(struct slice in, struct mail_date *ret_date);

/* Days since 1970-01-01 of a date in the Gregorian calendar. */
int64_t mail_date_days(int year, int month, int day);
