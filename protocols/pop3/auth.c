/*
 * auth - the authorization state: CAPA, STLS, and the ways to log in. Passwords and mechanisms are
 * authd's business; here they are only carried.
 */
#include "protocols/pop3/pop3-private.h"

static const struct mech {
	const char *name;
	enum pop3_mech bit;
	bool clear_text;
} mechs[] = {
	{ "PLAIN", POP3_PLAIN, true },
	{ "LOGIN", POP3_LOGIN, true },
	{ "SCRAM-SHA-256", POP3_SCRAM_SHA_256, false },
};

enum { MECHS = sizeof(mechs) / sizeof(mechs[0]) };

static bool clear_text_allowed(const struct pop3 *s)
{
	return s->port->facts->tls || s->port->facts->plain_login;
}

static bool mech_offered(const struct pop3 *s, const struct mech *m)
{
	return (s->conf.mechs & m->bit) != 0 && (!m->clear_text || clear_text_allowed(s));
}

static bool user_offered(const struct pop3 *s)
{
	return (s->conf.mechs & POP3_PLAIN) != 0 && clear_text_allowed(s);
}

/* The stamp is part of the greeting, which a client does not get again after STLS. */
bool pop3_apop_offered(const struct pop3 *s)
{
	return (s->conf.mechs & POP3_APOP) != 0 && !s->port->facts->restarted;
}

static bool stls_offered(const struct pop3 *s)
{
	return s->port->facts->tls_offered && !s->port->facts->tls;
}

static void put_mechs(struct pop3 *s, const char *before, const char *after)
{
	for (size_t i = 0; i < MECHS; i++) {
		if (!mech_offered(s, &mechs[i]))
			continue;
		buf_puts(&s->port->out, before);
		buf_puts(&s->port->out, mechs[i].name);
		buf_puts(&s->port->out, after);
	}
}

/* RFC 2449 5: what the authorization state offers is named in both states. */
void pop3_cmd_capa(struct pop3 *s, struct slice arg)
{
	struct buf *out = &s->port->out;
	size_t at;

	pop3_ok(s, "capabilities follow");
	buf_puts(out, "TOP\r\nUIDL\r\nPIPELINING\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\n");
	if (user_offered(s))
		buf_puts(out, "USER\r\n");
	at = out->n;
	put_mechs(s, " ", "");
	if (out->n > at) {
		buf_trunc(out, at);
		buf_puts(out, "SASL");
		put_mechs(s, " ", "");
		buf_puts(out, "\r\n");
	}
	if (stls_offered(s))
		buf_puts(out, "STLS\r\n");
	buf_puts(out, ".\r\n");
}

void pop3_cmd_stls(struct pop3 *s, struct slice arg)
{
	if (s->port->facts->tls) {
		pop3_err(s, "TLS is on already");
	} else if (!stls_offered(s)) {
		pop3_err(s, "TLS is not available here");
	} else {
		pop3_ok(s, "begin TLS");
		s->port->want_tls = true;
	}
}

static void begin(struct pop3 *s, const char *mech, bool has_initial, struct slice initial)
{
	struct ipc_auth_start m = { .mech = slice_str(mech),
		.tls = s->port->facts->tls,
		.has_initial = has_initial,
		.initial = initial };

	pop3_job(s, POP3_SASL_SERVER);
	if (front_send(s->port, FRONT_AUTH, IPC_auth_start, &m) != 0)
		pop3_auth_gone(s);
}

void pop3_cmd_user(struct pop3 *s, struct slice arg)
{
	arg = slice_trim(arg);
	secret_fini(&s->name);
	if (!user_offered(s))
		pop3_err(s, "clear-text passwords need TLS here");
	else if (arg.n == 0 || arg.n > POP3_NAME_MAX)
		pop3_err(s, "not a name");
	else if (secret_init(&s->name, arg) != 0)
		pop3_err(s, "[SYS/TEMP] not enough memory");
	else
		pop3_ok(s, "send the password");
}

/* USER and PASS become SASL PLAIN: one way of checking a password, not two. */
void pop3_cmd_pass(struct pop3 *s, struct slice arg)
{
	uint8_t plain[2 * POP3_NAME_MAX + 2];
	size_t n = 1 + s->name.n + 1 + arg.n;

	if (s->name.p == NULL) {
		pop3_err(s, "USER comes first");
		return;
	}
	if (arg.n > POP3_NAME_MAX) {
		pop3_err(s, "not a password");
		return;
	}
	plain[0] = 0;
	memcpy(plain + 1, s->name.p, s->name.n);
	plain[1 + s->name.n] = 0;
	memcpy(plain + 2 + s->name.n, arg.p, arg.n);
	secret_fini(&s->name);
	begin(s, "PLAIN", true, slice_of(plain, n));
	secret_wipe(plain, n);
}

static bool is_hex_digest(struct slice d)
{
	for (size_t i = 0; i < d.n; i++)
		if (!ascii_digit(d.p[i]) &&
		    (ascii_lower(d.p[i]) < 'a' || ascii_lower(d.p[i]) > 'f'))
			return false;
	return d.n == 32;
}

void pop3_cmd_apop(struct pop3 *s, struct slice arg)
{
	struct slice name = slice_trim(arg), digest;
	struct buf initial = BUF_INIT(2 * POP3_LINE_MAX);
	ptrdiff_t at = slice_rfind(name, ' ');

	if (!pop3_apop_offered(s)) {
		pop3_err(s, "APOP is not available here");
		return;
	}
	digest = slice_from(name, at < 0 ? name.n : (size_t)at + 1);
	name = slice_trim(slice_part(name, 0, at < 0 ? 0 : (size_t)at));
	if (name.n == 0 || !is_hex_digest(digest)) {
		pop3_err(s, "APOP takes a name and a digest");
		return;
	}
	buf_put(&initial, s->stamp);
	buf_putc(&initial, 0);
	buf_put(&initial, name);
	buf_putc(&initial, 0);
	for (size_t i = 0; i < digest.n; i++)
		buf_putc(&initial, ascii_lower(digest.p[i]));
	begin(s, "APOP", true, buf_slice(&initial));
	buf_fini(&initial);
}

static const struct mech *mech_find(const struct pop3 *s, struct slice name)
{
	for (size_t i = 0; i < MECHS; i++)
		if (slice_ieq(name, slice_str(mechs[i].name)) &&
		    (s->conf.mechs & mechs[i].bit) != 0)
			return &mechs[i];
	return NULL;
}

/* RFC 5034 4. The command alone lists the mechanisms, as older clients expect. */
void pop3_cmd_auth(struct pop3 *s, struct slice arg)
{
	struct slice rest = slice_trim(arg), name = slice_take(&rest, ' ');
	const struct mech *m = mech_find(s, name);
	struct buf initial = BUF_INIT(FRONT_SASL_MAX);

	rest = slice_trim(rest);
	if (name.n == 0) {
		pop3_ok(s, "mechanisms follow");
		put_mechs(s, "", "\r\n");
		buf_puts(&s->port->out, ".\r\n");
	} else if (m == NULL) {
		pop3_err(s, "unknown mechanism");
	} else if (!mech_offered(s, m)) {
		pop3_err(s, "clear-text passwords need TLS here");
	} else if (rest.n == 0 || slice_eq(rest, SLICE("="))) {
		begin(s, m->name, rest.n > 0, SLICE(""));
	} else if (text_base64_decode(rest, &initial) != 0) {
		pop3_err(s, "the first response is not base64");
	} else {
		begin(s, m->name, true, buf_slice(&initial));
		secret_wipe(initial.p, initial.cap);
	}
	buf_fini(&initial);
}

static void cancel(struct pop3 *s)
{
	struct ipc_auth_cancel m;

	pop3_job(s, POP3_SASL_SERVER); /* authd confirms it by auth_refused */
	if (front_send(s->port, FRONT_AUTH, IPC_auth_cancel, &m) != 0)
		pop3_auth_gone(s);
}

void pop3_sasl_line(struct pop3 *s, struct slice line)
{
	struct buf data = BUF_INIT(FRONT_SASL_MAX);
	struct ipc_auth_step m;

	if (s->job == POP3_SASL_LAST) {
		if (line.n == 0) {
			pop3_open(s);
			return;
		}
		pop3_err(s, "authentication was broken off");
		pop3_close(s); /* the session was granted: there is no way back */
		return;
	}
	if (text_base64_decode(line, &data) != 0) {
		cancel(s);
	} else {
		m = (struct ipc_auth_step){ .data = buf_slice(&data) };
		pop3_job(s, POP3_SASL_SERVER);
		if (front_send(s->port, FRONT_AUTH, IPC_auth_step, &m) != 0)
			pop3_auth_gone(s);
		secret_wipe(data.p, data.cap);
	}
	buf_fini(&data);
}

static void challenge(struct pop3 *s, struct slice data, enum pop3_job next)
{
	buf_puts(&s->port->out, "+ ");
	text_base64_encode(data, &s->port->out);
	buf_puts(&s->port->out, "\r\n");
	pop3_job(s, next);
}

/* RFC 3206: AUTH for what another name or password could cure, SYS for what is ours. */
static void refusal_text(struct pop3 *s, const struct ipc_auth_refused *m)
{
	struct buf *b = &s->refused;

	buf_reset(b);
	switch (m->why) {
	case IPC_AUTH_BAD:
		buf_puts(b, "[AUTH] wrong name or password");
		break;
	case IPC_AUTH_ROUTE:
		buf_puts(b, "[AUTH] ");
		text_put_safe(b, m->text.n > 0 ? m->text : SLICE("this name leads nowhere"), false);
		break;
	case IPC_AUTH_TRYLATER:
		buf_puts(b, "[SYS/TEMP] login is not possible now");
		break;
	case IPC_AUTH_DISABLED:
		buf_puts(b, "[SYS/PERM] this service is switched off for the account");
		break;
	case IPC_AUTH_NEEDTLS:
		buf_puts(b, "clear-text passwords need TLS here");
		break;
	case IPC_AUTH_NOMECH:
		buf_puts(b, "this mechanism is not available");
		break;
	case IPC_AUTH_CANCELLED:
		buf_puts(b, "authentication was broken off");
		break;
	default:
		buf_puts(b, "the mechanism did not understand that");
	}
}

static void refused(struct pop3 *s, const struct ipc_auth_refused *m)
{
	bool guess = m->why == IPC_AUTH_BAD || m->why == IPC_AUTH_ROUTE;

	refusal_text(s, m);
	s->failures += guess || m->why == IPC_AUTH_SYNTAX;
	if (m->left == 0)
		s->failures = POP3_LOGINS_MAX;
	pop3_job(s, POP3_DELAY);
	if (!guess)
		pop3_auth_delayed(s);
}

void pop3_auth_delayed(struct pop3 *s)
{
	pop3_job(s, POP3_NO_JOB);
	pop3_err(s, buf_cstr(&s->refused));
	if (s->failures >= POP3_LOGINS_MAX)
		pop3_close(s);
}

void pop3_auth_msg(struct pop3 *s, enum ipc_type type, const union ipc_any *m)
{
	if (s->job != POP3_SASL_SERVER)
		return;
	if (type == IPC_auth_challenge)
		challenge(s, m->auth_challenge.data, POP3_SASL_CLIENT);
	else if (type == IPC_auth_refused)
		refused(s, &m->auth_refused);
	else if (type == IPC_auth_granted && m->auth_granted.data.n > 0)
		challenge(s, m->auth_granted.data, POP3_SASL_LAST);
	else if (type == IPC_auth_granted)
		pop3_open(s);
}

/* A client that connects again gets a channel to the authd that runs by then. */
void pop3_auth_gone(struct pop3 *s)
{
	if (s->job == POP3_SASL_CLIENT || s->job == POP3_SASL_SERVER) {
		pop3_err(s, "[SYS/TEMP] login is not possible now");
		pop3_close(s);
	}
}
