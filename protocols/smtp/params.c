/*
 * params - what follows the address of MAIL and RCPT: a table of parameters for each. All are
 * checked; those of RFC 3461 ask for reports (report.c, docs/smtp.md), and are
 * known on port 25 too, though not offered there.
 */
#include "protocols/smtp/smtp-private.h"

typedef const char *take_fn(struct smtp *s, struct slice value, bool has_value);

struct param {
	const char *name;
	unsigned modes;
	take_fn *take;
};

static const char *take_size(struct smtp *s, struct slice value, bool has_value)
{
	uint64_t n;

	/* RFC 1870 3: up to 20 digits; what does not fit in 64 bits is too large in any case. */
	if (value.n == 0 || value.n > 20)
		return "501 5.5.4 SIZE takes a number";
	for (size_t i = 0; i < value.n; i++)
		if (!ascii_digit(value.p[i]))
			return "501 5.5.4 SIZE takes a number";
	if (slice_u64(value, UINT64_MAX, &n) != 0 || n > s->conf.size_max)
		return "552 5.3.4 the message is larger than we take";
	s->txn.declared = n;
	return NULL;
}

static const char *take_body(struct smtp *s, struct slice value, bool has_value)
{
	if (slice_ieq(value, SLICE("8BITMIME")) || slice_ieq(value, SLICE("7BIT")))
		return NULL;
	return "501 5.5.4 BODY is 7BIT or 8BITMIME";
}

static const char *take_smtputf8(struct smtp *s, struct slice value, bool has_value)
{
	s->txn.utf8 = true;
	return has_value ? "501 5.5.4 SMTPUTF8 takes no value" : NULL;
}

static bool is_hex(uint8_t c)
{
	return ascii_digit(c) || (c >= 'A' && c <= 'F');
}

/* RFC 3461 4. With `utf8`, bytes above 127 may stand for themselves (RFC 6533 3). */
static bool is_xtext(struct slice v, bool utf8)
{
	for (size_t i = 0; i < v.n; i++) {
		uint8_t c = v.p[i];

		if (c == '+' && i + 2 < v.n && is_hex(v.p[i + 1]) && is_hex(v.p[i + 2]))
			i += 2;
		else if (c <= ' ' || c == 0x7f || c == '+' || c == '=' || (c > 0x7f && !utf8))
			return false;
	}
	return v.n > 0;
}

/* RFC 3461 4.2, 4.4: it stands for printable ASCII, as it will stand in a report. */
static bool is_report_xtext(struct slice v, bool utf8)
{
	if (!is_xtext(v, utf8))
		return false;
	for (size_t i = 0; i < v.n; i++) {
		bool low = v.p[i] == '+' && (v.p[i + 1] < '2' || v.p[i + 1] > '7');

		if (low || (v.p[i] == '+' && v.p[i + 1] == '7' && v.p[i + 2] == 'F'))
			return false;
	}
	return true;
}

/* RFC 4954 5: who the client says it was. Nobody here has a use for that. */
static const char *take_auth(struct smtp *s, struct slice value, bool has_value)
{
	return is_xtext(value, s->txn.utf8) ? NULL : "501 5.5.4 AUTH is an address or <>";
}

static const char *take_ret(struct smtp *s, struct slice value, bool has_value)
{
	s->txn.bounce.full = slice_ieq(value, SLICE("FULL"));
	if (s->txn.bounce.full || slice_ieq(value, SLICE("HDRS")))
		return NULL;
	return "501 5.5.4 RET is FULL or HDRS";
}

static const char *take_envid(struct smtp *s, struct slice value, bool has_value)
{
	if (value.n > SMTP_ENVID_MAX || !is_report_xtext(value, false))
		return "501 5.5.4 ENVID is up to 100 characters of xtext";
	smtp_report_envid(s, value);
	return NULL;
}

static const char *take_notify(struct smtp *s, struct slice value, bool has_value)
{
	static const char refusal[] =
	    "501 5.5.4 NOTIFY is NEVER, or a list of SUCCESS, FAILURE, DELAY";

	s->notify = SMTP_NOTIFY_NO_FAILURE;
	if (slice_ieq(value, SLICE("NEVER")))
		return NULL;
	if (value.n == 0 || value.p[value.n - 1] == ',')
		return refusal;
	while (value.n > 0) {
		struct slice word = slice_take(&value, ',');

		if (!slice_ieq(word, SLICE("SUCCESS")) && !slice_ieq(word, SLICE("FAILURE")) &&
		    !slice_ieq(word, SLICE("DELAY")))
			return refusal;
		if (slice_ieq(word, SLICE("SUCCESS")))
			s->notify |= SMTP_NOTIFY_SUCCESS;
		if (slice_ieq(word, SLICE("FAILURE")))
			s->notify &= ~(unsigned)SMTP_NOTIFY_NO_FAILURE;
	}
	return NULL;
}

static bool is_atom(struct slice v)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] <= ' ' || v.p[i] >= 0x7f || strchr("()<>@,;:\\\".[]=", v.p[i]) != NULL)
			return false;
	return v.n > 0;
}

static const char *take_orcpt(struct smtp *s, struct slice value, bool has_value)
{
	struct slice address = value, type = slice_take(&address, ';');
	bool utf8 = s->txn.utf8 && slice_ieq(type, SLICE("utf-8"));

	if (value.n > SMTP_ORCPT_MAX || !is_atom(type) || !is_report_xtext(address, utf8))
		return "501 5.5.4 ORCPT is a type, a semicolon and xtext";
	s->orcpt = value;
	return NULL;
}

#define ESMTP (SMTP_MX | SMTP_SUBMISSION)
#define ALL   (SMTP_LMTP | ESMTP)

enum { PARAMS_MAX = 6 };

static const struct param mail_table[PARAMS_MAX] = {
	{ "SIZE", ALL, take_size },
	{ "BODY", ALL, take_body },
	{ "SMTPUTF8", ALL, take_smtputf8 },
	{ "AUTH", SMTP_SUBMISSION, take_auth },
	{ "RET", ESMTP, take_ret },
	{ "ENVID", ESMTP, take_envid },
};

static const struct param rcpt_table[PARAMS_MAX] = {
	{ "NOTIFY", ESMTP, take_notify },
	{ "ORCPT", ESMTP, take_orcpt },
};

static const char *take_one(
    struct smtp *s, const struct param *table, struct slice param, unsigned *seen)
{
	struct slice value = param, name = slice_take(&value, '=');

	for (unsigned i = 0; i < PARAMS_MAX && table[i].name != NULL; i++) {
		if ((table[i].modes & s->mode) == 0 || !slice_ieq(name, slice_str(table[i].name)))
			continue;
		if ((*seen & 1u << i) != 0)
			return "501 5.5.4 a parameter twice";
		*seen |= 1u << i;
		return table[i].take(s, value, name.n < param.n);
	}
	return "555 5.5.4 unknown parameter";
}

/* Parameters stand one space apart; what has none before it is no parameter. */
static const char *take_all(struct smtp *s, const struct param *table, struct slice rest)
{
	const char *refusal = NULL;
	unsigned seen = 0;

	if (rest.n > 0 && rest.p[0] != ' ')
		return "501 5.5.4 something after the address";
	rest = slice_trim(rest);
	while (rest.n > 0 && refusal == NULL) {
		refusal = take_one(s, table, slice_take(&rest, ' '), &seen);
		rest = slice_trim(rest);
	}
	return refusal;
}

const char *smtp_mail_params(struct smtp *s, struct slice rest)
{
	return take_all(s, mail_table, rest);
}

const char *smtp_rcpt_params(struct smtp *s, struct slice rest)
{
	return take_all(s, rcpt_table, rest);
}
