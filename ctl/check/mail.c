/* mail - a message to the probe account by each door that takes mail, and its way out by each that
 * gives it. */
#include "ctl/check/check.h"

#include <stdlib.h>
#include <time.h>

enum { SEARCH_MAX = 30 }; /* messages looked through, the newest first */

/* ---- in ---- */

static bool reply(struct net *n, const char *code)
{
	do {
		if (!net_want(n, code))
			return false;
	} while (n->line[3] == '-');
	return true;
}

static bool say(struct net *n, const char *code, const char *line)
{
	return net_send(n, "%s", line) && reply(n, code);
}

static bool auth_plain(struct net *n, const struct probe *pr)
{
	char raw[1000], line[1500];
	int size = snprintf(raw, sizeof(raw), "%c%s%c%s", 0, pr->account, 0, pr->password);
	struct buf b = BUF_INIT(1400);

	data_put_block(&b, slice_of(raw, (size_t)size));
	/* The block without its brackets is base64. */
	snprintf(line, sizeof(line), "AUTH PLAIN %.*s", (int)b.n - 2, (const char *)b.p + 1);
	buf_fini(&b);
	return say(n, "235", line);
}

static bool deliver(struct check *k, const struct place *p, const struct probe *pr, struct net *n)
{
	const char *protocol = door_name(p->listener), *step;
	bool lmtp = strcmp(protocol, "lmtp") == 0, submission = strcmp(protocol, "submission") == 0;
	char line[1000], date[64];
	time_t now = time(NULL);
	struct tm tm;

	if (!door_open(k, p, n, &step) ||
	    !say(n, "250", lmtp ? "LHLO check.localhost" : "EHLO check.localhost"))
		return false;
	if (submission && !auth_plain(n, pr))
		return false;
	snprintf(line, sizeof(line), "MAIL FROM:<%s>", submission ? pr->account : "");
	if (!say(n, "250", line))
		return false;
	snprintf(line, sizeof(line), "RCPT TO:<%s>", pr->account);
	if (!say(n, "250", line) || !say(n, "354", "DATA"))
		return false;
	gmtime_r(&now, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &tm);
	return net_send(n,
		   "From: <%s>\r\nTo: <%s>\r\nDate: %s\r\nMessage-ID: <%s-%s@check.localhost>\r\n"
		   "Subject: gatehousectl check %s\r\n\r\nThis message was made by gatehousectl "
		   "check and may be deleted.\r\n.",
		   pr->account, pr->account, date, protocol, pr->token, pr->token) &&
	       reply(n, "250") && net_send(n, "QUIT");
}

const char *mail_deliver(
    struct check *k, const struct place *p, const struct probe *pr, struct net *n)
{
	return deliver(k, p, pr, n) ? NULL : n->why;
}

/* ---- out: POP3 ---- */

static bool holds(const struct buf *b, const char *token)
{
	return b->n > 0 && memmem(b->p, b->n, token, strlen(token)) != NULL;
}

/* A multi-line answer as far as its end. */
static bool pop3_lines(struct net *n, struct buf *out)
{
	for (;;) {
		if (!net_line(n))
			return false;
		if (strcmp(n->line, ".") == 0)
			return true;
		buf_puts(out, n->line);
		buf_putc(out, '\n');
	}
}

static bool pop3_fetch(struct net *n, const struct probe *pr)
{
	struct buf b = BUF_INIT(64 << 20);
	unsigned messages = 0, found = 0;

	if (!net_ask(n, "+OK", "USER %s", pr->account) ||
	    !net_ask(n, "+OK", "PASS %s", pr->password) || !net_ask(n, "+OK", "STAT"))
		return false;
	if (sscanf(n->line, "+OK %u", &messages) != 1) {
		snprintf(n->why, sizeof(n->why), "it says: %.200s", n->line);
		return false;
	}
	for (unsigned i = messages, left = SEARCH_MAX; i > 0 && left > 0; i--, left--) {
		buf_reset(&b);
		if (!net_ask(n, "+OK", "RETR %u", i) || !pop3_lines(n, &b))
			break;
		if (!holds(&b, pr->token))
			continue;
		found++;
		if (!net_ask(n, "+OK", "DELE %u", i))
			break;
	}
	buf_fini(&b);
	if (!net_ask(n, "+OK", "QUIT"))
		return false;
	snprintf(n->why, sizeof(n->why), "the message is not in the mailbox");
	return found > 0;
}

/* ---- out: IMAP ---- */

/* Reads up to the tagged answer; literals go to `out`, the last number that stands with `word` ("*
 * n EXISTS", "UID n") to *ret. */
static bool imap_answer(
    struct net *n, const char *tag, struct buf *out, const char *word, unsigned *ret)
{
	size_t size = strlen(tag);

	while (net_line(n)) {
		const char *brace = strrchr(n->line, '{');
		const char *at = word != NULL ? strstr(n->line, word) : NULL;
		unsigned number = 0;

		if (strncmp(n->line, tag, size) == 0 && n->line[size] == ' ') {
			if (strncmp(n->line + size + 1, "OK", 2) == 0)
				return true;
			snprintf(n->why, sizeof(n->why), "it says: %.200s", n->line);
			return false;
		}
		if (at != NULL && n->line[0] == '*' &&
		    (sscanf(at, "UID %u", &number) == 1 || sscanf(n->line, "* %u", &number) == 1))
			*ret = number;
		if (brace != NULL && sscanf(brace, "{%u}", &number) == 1 && number > 0 &&
		    !net_read(n, number, out))
			return false;
	}
	return false;
}

static bool imap_number(
    struct net *n, struct buf *out, const char *word, unsigned *ret, const char *line)
{
	static unsigned count;
	char tag[16];

	snprintf(tag, sizeof(tag), "c%u", ++count);
	return net_send(n, "%s %s", tag, line) && imap_answer(n, tag, out, word, ret);
}

static bool imap_command(struct net *n, struct buf *out, const char *line)
{
	return imap_number(n, out, NULL, NULL, line);
}

/* Removes one message and no other that somebody has marked (RFC 4315 2.1). */
static bool imap_remove(struct net *n, struct buf *b, unsigned uid)
{
	char line[100];

	snprintf(line, sizeof(line), "UID STORE %u +FLAGS.SILENT (\\Deleted)", uid);
	if (!imap_command(n, b, line))
		return false;
	snprintf(line, sizeof(line), "UID EXPUNGE %u", uid);
	return imap_command(n, b, line);
}

/* From the newest on, so many; those with the token are removed. */
static bool imap_search(struct net *n, const struct probe *pr, unsigned exists, bool *ret_found)
{
	struct buf b = BUF_INIT(64 << 20);
	bool ok = true;
	char line[100];

	for (unsigned i = exists, left = SEARCH_MAX; ok && i > 0 && left > 0; i--, left--) {
		unsigned uid = 0;

		buf_reset(&b);
		snprintf(line, sizeof(line), "FETCH %u (UID BODY.PEEK[])", i);
		ok = imap_number(n, &b, "UID ", &uid, line);
		if (!ok || !holds(&b, pr->token))
			continue;
		*ret_found = true;
		ok = imap_remove(n, &b, uid);
	}
	buf_fini(&b);
	return ok;
}

/* Quoted strings, RFC 3501 4.3. */
static void imap_login(const struct probe *pr, char *out, size_t size)
{
	const char *const words[] = { pr->account, pr->password };
	struct buf b = BUF_INIT(size - 1);

	buf_puts(&b, "LOGIN");
	for (size_t i = 0; i < 2; i++) {
		buf_puts(&b, " \"");
		for (const char *c = words[i]; *c != '\0'; c++) {
			if (*c == '"' || *c == '\\')
				buf_putc(&b, '\\');
			buf_putc(&b, (uint8_t)*c);
		}
		buf_putc(&b, '"');
	}
	snprintf(out, size, "%.*s", SLICE_FMT(buf_slice(&b)));
	buf_fini(&b);
}

static bool imap_fetch(struct net *n, const struct probe *pr)
{
	struct buf b = BUF_INIT(1 << 20);
	unsigned exists = 0;
	char line[2200];
	bool ok, found = false;

	imap_login(pr, line, sizeof(line));
	ok = imap_command(n, &b, line) && imap_number(n, &b, " EXISTS", &exists, "SELECT INBOX") &&
	     imap_search(n, pr, exists, &found) && imap_command(n, &b, "LOGOUT");
	buf_fini(&b);
	if (ok && !found)
		snprintf(n->why, sizeof(n->why), "the message is not in the mailbox");
	return ok && found;
}

const struct fetcher fetchers[] = { { "pop3", pop3_fetch }, { "imap", imap_fetch } };
const size_t fetcher_count = sizeof(fetchers) / sizeof(fetchers[0]);
