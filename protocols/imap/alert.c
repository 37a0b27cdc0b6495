/*
 * alert - texts for the user, told at the next place where untagged responses may stand: how full
 * the account is, and what administrators have to say (RFC 3501 7.1, ALERT).
 */
#include "protocols/imap/imap-private.h"

#include "common/base/wire.h"
#include "common/mail/utf8.h"

static void tell_quota(struct imap *s)
{
	const char *kind = s->quota_kind == IPC_QUOTA_MESSAGES ? "messages" : "octets";
	struct buf b = BUF_INIT(80);

	if (s->quota_level == 0)
		return;
	if (s->quota_over)
		buf_printf(&b, "NO [OVERQUOTA] the quota of %s is used up", kind);
	else
		buf_printf(&b, "OK [ALERT] %u %% of the quota of %s is used", s->quota_level, kind);
	imap_untagged(s, buf_cstr(&b));
	buf_fini(&b);
	s->quota_level = 0;
}

/* One '?' for each character that may not stand there. */
static void put_text(struct buf *b, struct slice text, bool utf8)
{
	utf8 = utf8 && utf8_valid(text);
	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];

		if (c < 0x80 || utf8)
			buf_putc(b, (char)c);
		else if ((c & 0xc0) != 0x80)
			buf_putc(b, '?');
	}
}

/* Octets above 127 may stand in a text only after ENABLE UTF8=ACCEPT (RFC 6855 section 3). */
static void tell_alerts(struct imap *s)
{
	struct wire_reader r = wire_reader(buf_slice(&s->alerts));
	struct buf b = BUF_INIT(1024);

	if (s->alerts.n == 0)
		return;
	while (wire_left(&r) > 0 && !r.bad) {
		buf_reset(&b);
		buf_puts(&b, "OK [ALERT] ");
		put_text(&b, wire_get_bytes(&r, UINT32_MAX), s->utf8);
		imap_untagged(s, buf_cstr(&b));
	}
	buf_fini(&b);
	buf_fini(&s->alerts);
	buf_init(&s->alerts, IMAP_ALERTS_MAX);
	imap_send(s, IPC_session_alerted, &(struct ipc_session_alerted){});
}

void imap_alerts_came(struct imap *s, struct slice texts)
{
	buf_put(&s->alerts, texts);
}

void imap_tell_texts(struct imap *s)
{
	tell_quota(s);
	tell_alerts(s);
}
