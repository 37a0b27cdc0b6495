/*
 * verbs - the command table: who knows a command, when it is legal, what it takes.
 */
#include "protocols/smtp/smtp-private.h"

enum args { NONE, SOME, ANY };

const char smtp_login_first[] = "530 5.7.0 log in first";

static void cmd_noop(struct smtp *s, struct slice arg)
{
	smtp_reply(s, "250 2.0.0 nothing done");
}

static void cmd_rset(struct smtp *s, struct slice arg)
{
	smtp_txn_end(s);
	smtp_reply(s, "250 2.0.0 forgotten");
}

static void cmd_vrfy(struct smtp *s, struct slice arg)
{
	smtp_reply(s, "252 2.5.0 send some mail, that will tell");
}

static void cmd_expn(struct smtp *s, struct slice arg)
{
	smtp_error(s, "502 5.5.1 lists are not told");
}

static void cmd_quit(struct smtp *s, struct slice arg)
{
	smtp_close(s, "221 2.0.0 good-bye");
}

static void cmd_not_lmtp(struct smtp *s, struct slice arg)
{
	smtp_error(s, "500 5.5.1 this is LMTP: say LHLO");
}

static void cmd_not_smtp(struct smtp *s, struct slice arg)
{
	smtp_error(s, "500 5.5.1 this is not LMTP: say EHLO");
}

/* A browser that was made to send us a form: what follows would be read as commands. */
static void cmd_web(struct smtp *s, struct slice arg)
{
	smtp_close(s, "421 4.7.0 this is no web server");
}

static void cmd_help(struct smtp *s, struct slice arg);

#define ANYTIME SMTP_BETWEEN
#define ESMTP   (SMTP_MX | SMTP_SUBMISSION)
#define ALL     (SMTP_LMTP | ESMTP)

static const struct smtp_verb {
	const char *name;
	unsigned modes;
	unsigned legal;
	bool login; /* in submission: not before it */
	enum args args;
	void (*apply)(struct smtp *s, struct slice arg);
} verbs[] = {
	{ "MAIL", ALL, SMTP_READY, true, SOME, smtp_cmd_mail },
	{ "RCPT", ALL, SMTP_MAIL, true, SOME, smtp_cmd_rcpt },
	{ "DATA", ALL, SMTP_MAIL, true, NONE, smtp_cmd_data },
	{ "BDAT", ALL, ANYTIME, false, SOME, smtp_cmd_bdat }, /* its octets follow in any case */
	{ "RSET", ALL, ANYTIME, false, NONE, cmd_rset },
	{ "NOOP", ALL, ANYTIME, false, ANY, cmd_noop },
	{ "QUIT", ALL, ANYTIME, false, NONE, cmd_quit },
	{ "LHLO", SMTP_LMTP, ANYTIME, false, SOME, smtp_cmd_hello },
	{ "EHLO", ESMTP, ANYTIME, false, SOME, smtp_cmd_hello },
	{ "HELO", ESMTP, ANYTIME, false, SOME, smtp_cmd_helo },
	{ "AUTH", SMTP_SUBMISSION, SMTP_READY, false, SOME, smtp_cmd_auth },
	{ "VRFY", ALL, ANYTIME, true, SOME, cmd_vrfy },
	{ "EXPN", ALL, ANYTIME, true, SOME, cmd_expn },
	{ "HELP", ALL, ANYTIME, false, ANY, cmd_help },
	{ "STARTTLS", ALL, SMTP_START | SMTP_READY, false, NONE, smtp_cmd_starttls },
	{ "HELO", SMTP_LMTP, ANYTIME, false, ANY, cmd_not_lmtp },
	{ "EHLO", SMTP_LMTP, ANYTIME, false, ANY, cmd_not_lmtp },
	{ "LHLO", ESMTP, ANYTIME, false, ANY, cmd_not_smtp },
	{ "GET", ESMTP, ANYTIME, false, ANY, cmd_web },
	{ "POST", ESMTP, ANYTIME, false, ANY, cmd_web },
	{ "CONNECT", ESMTP, ANYTIME, false, ANY, cmd_web },
};

enum { VERBS = sizeof(verbs) / sizeof(verbs[0]) };

static bool is_told(const struct smtp *s, const struct smtp_verb *v)
{
	return (v->modes & s->mode) != 0 && v->apply != cmd_not_lmtp && v->apply != cmd_not_smtp &&
	       v->apply != cmd_web && v->apply != cmd_expn;
}

static void cmd_help(struct smtp *s, struct slice arg)
{
	struct buf line = BUF_INIT(SMTP_REPLY_MAX);

	buf_puts(&line, "214 2.0.0");
	for (size_t i = 0; i < VERBS; i++) {
		if (!is_told(s, &verbs[i]))
			continue;
		buf_putc(&line, ' ');
		buf_puts(&line, verbs[i].name);
	}
	smtp_reply(s, buf_cstr(&line));
	buf_fini(&line);
}

const struct smtp_verb *smtp_verb_find(const struct smtp *s, struct slice name)
{
	for (size_t i = 0; i < VERBS; i++)
		if ((verbs[i].modes & s->mode) != 0 && slice_ieq(name, slice_str(verbs[i].name)))
			return &verbs[i];
	return NULL;
}

bool smtp_verb_is_rcpt(const struct smtp_verb *v)
{
	return v->apply == smtp_cmd_rcpt;
}

bool smtp_login_missing(const struct smtp *s)
{
	return s->mode == SMTP_SUBMISSION && !s->login.done;
}

static const char *out_of_order(const struct smtp *s, const struct smtp_verb *v)
{
	if (s->state == SMTP_START)
		return s->mode == SMTP_LMTP ? "503 5.5.1 LHLO comes first"
					    : "503 5.5.1 EHLO comes first";
	if ((v->legal & SMTP_READY) != 0)
		return "503 5.5.1 a message is under way";
	return s->state == SMTP_CHUNKS ? "503 5.5.1 the message has begun"
				       : "503 5.5.1 MAIL comes first";
}

void smtp_verb_run(struct smtp *s, const struct smtp_verb *v, struct slice arg)
{
	if (v == NULL)
		smtp_error(s, "500 5.5.1 unknown command");
	else if (v->login && s->state != SMTP_START && smtp_login_missing(s))
		smtp_error(s, smtp_login_first);
	else if ((v->legal & s->state) == 0)
		smtp_error(s, out_of_order(s, v));
	else if (v->args == NONE && arg.n > 0)
		smtp_error(s, "501 5.5.4 this command takes no argument");
	else if (v->args == SOME && arg.n == 0)
		smtp_error(s, "501 5.5.4 an argument is missing");
	else
		v->apply(s, arg);
}
