#include "common/front/sasl.h"

#include "common/base/secret.h"
#include "common/front/limits.h"
#include "common/front/text.h"

static const struct mech {
	const char *name;
	enum sasl_mech bit;
	bool clear_text;
} table[] = {
	{ "PLAIN", SASL_PLAIN, true },
	{ "LOGIN", SASL_LOGIN, true },
	{ "SCRAM-SHA-256", SASL_SCRAM_SHA_256, false },
};

enum { MECHS = sizeof(table) / sizeof(table[0]) };

bool sasl_clear_text(const struct front_facts *f)
{
	return f->tls || f->plain_login;
}

static bool offered(const struct front_port *p, const struct mech *m)
{
	return !m->clear_text || sasl_clear_text(p->facts);
}

void sasl_put_mechs(const struct front_port *p, unsigned mechs, const char *before,
    const char *after, struct buf *out)
{
	for (size_t i = 0; i < MECHS; i++) {
		if ((mechs & table[i].bit) == 0 || !offered(p, &table[i]))
			continue;
		buf_puts(out, before);
		buf_puts(out, table[i].name);
		buf_puts(out, after);
	}
}

int sasl_begin(struct front_port *p, const char *mech, bool has_initial, struct slice initial)
{
	struct ipc_auth_start m = { .mech = slice_str(mech),
		.tls = p->facts->tls,
		.has_initial = has_initial,
		.initial = initial };

	return front_send(p, FRONT_AUTH, IPC_auth_start, &m) == 0 ? 0 : SASL_GONE;
}

size_t sasl_plain(struct slice name, struct slice password, uint8_t *out)
{
	size_t n = 0;

	out[n++] = 0;
	memcpy(out + n, name.p, name.n);
	n += name.n;
	out[n++] = 0;
	if (password.n > 0)
		memcpy(out + n, password.p, password.n);
	return n + password.n;
}

static bool is_hex_digest(struct slice d)
{
	for (size_t i = 0; i < d.n; i++)
		if (!ascii_digit(d.p[i]) &&
		    (ascii_lower(d.p[i]) < 'a' || ascii_lower(d.p[i]) > 'f'))
			return false;
	return d.n == 32;
}

int sasl_apop(struct slice stamp, struct slice arg, struct buf *out)
{
	struct slice name = slice_trim(arg), digest;
	ptrdiff_t at = slice_rfind(name, ' ');

	digest = slice_from(name, at < 0 ? name.n : (size_t)at + 1);
	name = slice_trim(slice_part(name, 0, at < 0 ? 0 : (size_t)at));
	if (name.n == 0 || !is_hex_digest(digest))
		return 1;
	buf_put(out, stamp);
	buf_putc(out, 0);
	buf_put(out, name);
	buf_putc(out, 0);
	for (size_t i = 0; i < digest.n; i++)
		buf_putc(out, ascii_lower(digest.p[i]));
	return 0;
}

static const struct mech *mech_find(unsigned mechs, struct slice name)
{
	for (size_t i = 0; i < MECHS; i++)
		if (slice_ieq(name, slice_str(table[i].name)) && (mechs & table[i].bit) != 0)
			return &table[i];
	return NULL;
}

int sasl_command(struct front_port *p, unsigned mechs, struct slice arg)
{
	struct slice rest = slice_trim(arg), name = slice_take(&rest, ' ');
	const struct mech *m = mech_find(mechs, name);
	struct buf initial = BUF_INIT(FRONT_SASL_MAX);
	int r;

	rest = slice_trim(rest);
	if (m == NULL)
		return SASL_UNKNOWN;
	if (!offered(p, m))
		return SASL_NEEDS_TLS;
	if (rest.n == 0 || slice_eq(rest, SLICE("=")))
		return sasl_begin(p, m->name, rest.n > 0, SLICE(""));
	r = text_base64_decode(rest, &initial) != 0 ? SASL_BAD_BASE64 : 0;
	if (r == 0)
		r = sasl_begin(p, m->name, true, buf_slice(&initial));
	secret_wipe(initial.p, initial.cap);
	buf_fini(&initial);
	return r;
}

static int cancel(struct front_port *p, int why)
{
	struct ipc_auth_cancel m;

	return front_send(p, FRONT_AUTH, IPC_auth_cancel, &m) == 0 ? why : SASL_GONE;
}

int sasl_response(struct front_port *p, struct slice line)
{
	struct buf data = BUF_INIT(FRONT_SASL_MAX);
	struct ipc_auth_step m;
	int r = 0;

	if (slice_eq(line, SLICE("*")))
		return cancel(p, SASL_CANCELLED);
	if (text_base64_decode(line, &data) != 0) {
		r = cancel(p, SASL_BAD_BASE64);
	} else {
		m = (struct ipc_auth_step){ .data = buf_slice(&data) };
		r = front_send(p, FRONT_AUTH, IPC_auth_step, &m) == 0 ? 0 : SASL_GONE;
	}
	secret_wipe(data.p, data.cap);
	buf_fini(&data);
	return r;
}
