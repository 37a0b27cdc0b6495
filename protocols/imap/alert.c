/*
 * alert - texts for the user, told at the next place where untagged responses may stand: how full
 * the account is, and what administrators have to say (RFC 3501 7.1, ALERT).
 */
#include "protocols/imap/imap-private.h"

#include "common/base/wire.h"

static void tell_quota(struct imap *s)
{
	const char *kind = s->quota_kind == IPC_QUOTA_MESSAGES ? "messages" : "octets";
	struct buf text = BUF_INIT(80);

	if (s->quota_level == 0)
		return;
	if (s->quota_over)
		buf_printf(&text, "the quota of %s is used up", kind);
	else
		buf_printf(&text, "%u %% of the quota of %s is used", s->quota_level, kind);
	if (s->quota_over)
		imap_untagged(s, "NO", "OVERQUOTA", buf_cstr(&text));
	else
		imap_untagged(s, "OK", "ALERT", buf_cstr(&text));
	buf_fini(&text);
	s->quota_level = 0;
}

static void tell_alerts(struct imap *s)
{
	struct wire_reader r = wire_reader(buf_slice(&s->alerts));
	struct writer w = imap_writer(s);

	if (s->alerts.n == 0)
		return;
	while (wire_left(&r) > 0 && !r.bad) {
		write_status(&w, SLICE(""), "OK");
		write_code(&w, "ALERT");
		write_code_end(&w);
		write_text(&w, wire_get_bytes(&r, UINT32_MAX));
		write_end(&w);
	}
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
