#include "authd/workers/dialogue.h"

#include "authd/workers/password.h"
#include "common/base/secret.h"
#include "common/base/wire.h"

#include <errno.h>
#include <gsasl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <sys/random.h>

enum { RESPONSE_MAX_BYTES = 8192, STEPS_MAX = 8, MD5_BYTES = 16, DECOY_KEY_BYTES = 32 };

struct gsasl_warm {
	Gsasl *ctx;
	uint8_t decoy_key[DECOY_KEY_BYTES]; /* makes salts for names that do not exist */
};

/* One run; hangs on the session as its hook. */
struct run {
	const struct gsasl_warm *warm;
	const struct dialogue_port *port;
	struct dialogue_last *last;
	struct dialogue_secret secret;
	bool asked, lost, unusable;
};

/* Asks for the secret once; later calls know already. False: authd is gone or the name was refused.
 */
static bool need_secret(struct run *r, Gsasl_session *s)
{
	const char *authcid = gsasl_property_fast(s, GSASL_AUTHID);
	const char *authzid = gsasl_property_fast(s, GSASL_AUTHZID);

	if (r->asked)
		return !r->lost;
	r->asked = true;
	r->lost = authcid == NULL || !r->port->name(r->port->ctx, slice_str(authcid),
					 slice_str(authzid != NULL ? authzid : ""), &r->secret);
	return !r->lost;
}

/* The own password, then the tagged ones. What the own one is stored as says whether a wrong
 * password is wrong or cannot be looked at. */
static enum password_result verify_any(struct run *r, struct slice password)
{
	struct wire_reader tagged = wire_reader(buf_slice(&r->secret.tagged));
	enum password_result own = r->secret.stored.n > 0
				       ? password_verify(buf_slice(&r->secret.stored), password)
				       : PASSWORD_WRONG;

	if (own == PASSWORD_OK)
		return own;
	while (wire_left(&tagged) > 0 && !tagged.bad) {
		struct slice tag = wire_get_bytes(&tagged, PASSWORD_TAG_BYTES);
		struct slice stored = wire_get_bytes(&tagged, STORED_MAX_BYTES);

		if (tagged.bad || password_verify(stored, password) != PASSWORD_OK)
			continue;
		buf_put(&r->last->tag, tag);
		return PASSWORD_OK;
	}
	return own;
}

static int validate_simple(struct run *r, Gsasl_session *s)
{
	const char *password = gsasl_property_fast(s, GSASL_PASSWORD);
	enum password_result got;

	if (password == NULL || !need_secret(r, s))
		return GSASL_AUTHENTICATION_ERROR;
	got = r->secret.known ? verify_any(r, slice_str(password))
			      : password_verify_nobody(slice_str(password));
	if (got != PASSWORD_OK && r->secret.hand_over)
		buf_put(&r->last->password, slice_str(password));
	else
		r->unusable = got == PASSWORD_UNUSABLE;
	return got == PASSWORD_OK ? GSASL_OK : GSASL_AUTHENTICATION_ERROR;
}

static void set_base64(Gsasl_session *s, Gsasl_property prop, const void *p, size_t n)
{
	char *text = NULL;
	size_t len = 0;

	if (gsasl_base64_to(p, n, &text, &len) == GSASL_OK)
		gsasl_property_set_raw(s, prop, text, len);
	free(text);
}

/* A name without a usable secret gets a salt that stays the same for the name, and keys nobody has.
 */
static void set_decoy(struct run *r, Gsasl_session *s)
{
	const char *name = gsasl_property_fast(s, GSASL_AUTHID);
	uint8_t both[DECOY_KEY_BYTES + RESPONSE_MAX_BYTES], digest[SCRAM_KEY_BYTES];
	size_t n = name != NULL ? strnlen(name, RESPONSE_MAX_BYTES) : 0;
	size_t len = sizeof(digest);

	memcpy(both, r->warm->decoy_key, DECOY_KEY_BYTES);
	if (n > 0)
		memcpy(both + DECOY_KEY_BYTES, name, n);
	if (EVP_Q_digest(NULL, "SHA256", NULL, both, DECOY_KEY_BYTES + n, digest, &len) != 1)
		memset(digest, 0, sizeof(digest));
	gsasl_property_set(s, GSASL_SCRAM_ITER, "4096");
	set_base64(s, GSASL_SCRAM_SALT, digest, 16);
	if (getrandom(digest, sizeof(digest), 0) != sizeof(digest))
		memset(digest, 0xff, sizeof(digest));
	set_base64(s, GSASL_SCRAM_STOREDKEY, digest, sizeof(digest));
	set_base64(s, GSASL_SCRAM_SERVERKEY, digest, sizeof(digest));
}

static void set_raw(Gsasl_session *s, Gsasl_property prop, struct slice v)
{
	gsasl_property_set_raw(s, prop, (const char *)v.p, v.n);
}

/* All the properties at once: gsasl asks for them one by one, but they belong together. */
static int scram_secret(struct run *r, Gsasl_session *s)
{
	enum stored_form form;
	struct slice value;
	struct scram_keys k;
	char number[12];

	if (!need_secret(r, s))
		return GSASL_AUTHENTICATION_ERROR;
	if (!r->secret.known || !stored_split(buf_slice(&r->secret.stored), &form, &value)) {
		set_decoy(r, s);
	} else if (form == STORED_PLAIN) {
		set_raw(s, GSASL_PASSWORD, value);
		gsasl_property_set(s, GSASL_SCRAM_ITER, "4096");
	} else if (form == STORED_SCRAM && scram_split(value, &k)) {
		snprintf(number, sizeof(number), "%u", k.iterations);
		gsasl_property_set(s, GSASL_SCRAM_ITER, number);
		set_raw(s, GSASL_SCRAM_SALT, k.salt);
		set_raw(s, GSASL_SCRAM_STOREDKEY, k.stored);
		set_raw(s, GSASL_SCRAM_SERVERKEY, k.server);
	} else {
		/* Refused at the end, not here, where it would tell that the name exists. */
		r->unusable = true;
		set_decoy(r, s);
	}
	return GSASL_OK;
}

static int on_property(Gsasl *ctx, Gsasl_session *s, Gsasl_property prop)
{
	struct run *r = gsasl_session_hook_get(s);

	switch (prop) {
	case GSASL_VALIDATE_SIMPLE:
		return validate_simple(r, s);
	case GSASL_SCRAM_ITER:
	case GSASL_SCRAM_SALT:
	case GSASL_SCRAM_STOREDKEY:
	case GSASL_SCRAM_SERVERKEY:
	case GSASL_PASSWORD:
		if (r->asked)
			return GSASL_NO_CALLBACK; /* set with the others, or not to be had */
		return scram_secret(r, s);
	default:
		return GSASL_NO_CALLBACK;
	}
}

/* The library reads its configuration and loads its providers at first use, which the sandbox of a
 * worker does not allow: no configuration, and each digest is used once before. */
static bool digests_warm(void)
{
	static const char *const names[] = { "MD5", "SHA256" };
	uint8_t digest[SCRAM_KEY_BYTES];

	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t n = sizeof(digest);

		if (EVP_Q_digest(NULL, names[i], NULL, "", 0, digest, &n) != 1)
			return false;
	}
	return true;
}

int gsasl_warm_new(struct gsasl_warm **ret)
{
	struct gsasl_warm *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return -ENOMEM;
	if (!digests_warm() || gsasl_init(&w->ctx) != GSASL_OK ||
	    getrandom(w->decoy_key, sizeof(w->decoy_key), 0) != sizeof(w->decoy_key)) {
		gsasl_warm_free(&w);
		return -EIO;
	}
	gsasl_callback_set(w->ctx, on_property);
	*ret = w;
	return 0;
}

void gsasl_warm_free(struct gsasl_warm **w)
{
	if (*w != NULL && (*w)->ctx != NULL)
		gsasl_done((*w)->ctx);
	free(*w);
	*w = NULL;
}

static enum ipc_auth_status ended(const struct run *r, int rc)
{
	if (r->lost)
		return IPC_AUTH_TRYLATER;
	if (r->unusable)
		return IPC_AUTH_NOMECH;
	return rc == GSASL_MECHANISM_PARSE_ERROR || rc == GSASL_BASE64_ERROR ? IPC_AUTH_SYNTAX
									     : IPC_AUTH_BAD;
}

/* RFC 5802 section 6: a client that insists on channel binding must not get in without it, and GNU
 * SASL takes its word when neither side has any. Only its first message can start with a 'p'. */
static bool wants_binding(const char *mech, const struct buf *in)
{
	return strcmp(mech, "SCRAM-SHA-256") == 0 && in->n > 0 && in->p[0] == 'p';
}

static enum ipc_auth_status run_steps(
    struct run *r, Gsasl_session *s, const char *mech, const struct ipc_work_start *start)
{
	struct buf in = BUF_INIT(RESPONSE_MAX_BYTES);
	int rc = GSASL_NEEDS_MORE;
	bool early = strcmp(mech, "LOGIN") == 0 && start->initial.n > 0;

	/* LOGIN asks first: a name that is there already answers a question that nobody sees. Were
	 * it dropped, the client's password would be taken for the name, and written to the log. */
	if (!early)
		buf_put(&in, start->initial);
	/* Without an initial response the first step is the server's, on empty input. */
	for (unsigned step = 0; rc == GSASL_NEEDS_MORE && step < STEPS_MAX; step++) {
		char *out = NULL;
		size_t n = 0;

		if (wants_binding(mech, &in)) {
			rc = GSASL_AUTHENTICATION_ERROR;
			break;
		}
		rc = gsasl_step(s, (const char *)in.p, in.n, &out, &n);
		buf_reset(&in);
		if (rc == GSASL_NEEDS_MORE && early)
			buf_put(&in, start->initial);
		else if (rc == GSASL_NEEDS_MORE &&
			 !r->port->challenge(r->port->ctx, slice_of(out, n), &in)) {
			rc = GSASL_AUTHENTICATION_ERROR;
			r->lost = true;
		}
		early = false;
		if (rc == GSASL_OK)
			buf_put(&r->last->words, slice_of(out, n));
		gsasl_free(out);
	}
	if (in.p != NULL)
		secret_wipe(in.p, in.cap);
	buf_fini(&in);
	return rc == GSASL_OK ? IPC_AUTH_OK : ended(r, rc);
}

static enum ipc_auth_status run_gsasl(
    struct run *r, const char *mech, const struct ipc_work_start *start)
{
	enum ipc_auth_status status;
	Gsasl_session *s = NULL;

	if (gsasl_server_start(r->warm->ctx, mech, &s) != GSASL_OK)
		return IPC_AUTH_NOMECH;
	gsasl_session_hook_set(s, r);
	gsasl_property_set_raw(s, GSASL_SERVICE, (const char *)start->service.p, start->service.n);
	gsasl_property_set_raw(s, GSASL_HOSTNAME, (const char *)start->host.p, start->host.n);
	status = run_steps(r, s, mech, start);
	gsasl_finish(s);
	return status;
}

static uint8_t hex_digit(uint8_t v)
{
	return (uint8_t)(v < 10 ? '0' + v : 'a' + v - 10);
}

/* RFC 1939 section 7: digest = MD5(stamp, password) in lower-case hexadecimal. */
static enum password_result apop_verify(
    struct slice stored, struct slice stamp, struct slice digest)
{
	uint8_t text[1024 + STORED_MAX_BYTES], raw[MD5_BYTES], hex[2 * MD5_BYTES];
	enum stored_form form;
	struct slice password;
	size_t n = sizeof(raw);

	if (!stored_split(stored, &form, &password) || form != STORED_PLAIN)
		return PASSWORD_UNUSABLE;
	if (stamp.n > 1024 || password.n > STORED_MAX_BYTES)
		return PASSWORD_WRONG;
	memcpy(text, stamp.p, stamp.n);
	memcpy(text + stamp.n, password.p, password.n);
	if (EVP_Q_digest(NULL, "MD5", NULL, text, stamp.n + password.n, raw, &n) != 1)
		return PASSWORD_UNUSABLE;
	secret_wipe(text, sizeof(text));
	for (size_t i = 0; i < MD5_BYTES; i++) {
		hex[2 * i] = hex_digit(raw[i] >> 4);
		hex[2 * i + 1] = hex_digit(raw[i] & 15);
	}
	return secret_eq(slice_of(hex, sizeof(hex)), digest) ? PASSWORD_OK : PASSWORD_WRONG;
}

static enum ipc_auth_status run_apop(struct run *r, struct slice initial)
{
	struct slice stamp = slice_take(&initial, 0), name = slice_take(&initial, 0);
	enum password_result got;

	if (stamp.n == 0 || name.n == 0 || initial.n != 2 * MD5_BYTES)
		return IPC_AUTH_SYNTAX;
	if (!r->port->name(r->port->ctx, name, SLICE_NONE, &r->secret))
		return IPC_AUTH_TRYLATER;
	got = r->secret.stored.n > 0 ? apop_verify(buf_slice(&r->secret.stored), stamp, initial)
				     : PASSWORD_WRONG;
	if (got == PASSWORD_UNUSABLE)
		return IPC_AUTH_NOMECH;
	return got == PASSWORD_OK ? IPC_AUTH_OK : IPC_AUTH_BAD;
}

static void buf_wipe_fini(struct buf *b)
{
	if (b->p != NULL)
		secret_wipe(b->p, b->cap);
	buf_fini(b);
}

enum ipc_auth_status dialogue_run(const struct gsasl_warm *warm, const struct ipc_work_start *start,
    const struct dialogue_port *port, struct dialogue_last *last)
{
	static const char *const mechs[] = { "PLAIN", "LOGIN", "SCRAM-SHA-256" };
	struct run r = { .warm = warm,
		.port = port,
		.last = last,
		.secret.stored = BUF_INIT(STORED_MAX_BYTES),
		.secret.tagged = BUF_INIT(TAGGED_MAX_BYTES) };
	enum ipc_auth_status status = IPC_AUTH_NOMECH;

	if (slice_ieq(start->mech, SLICE("APOP")))
		status = run_apop(&r, start->initial);
	for (size_t i = 0; i < sizeof(mechs) / sizeof(mechs[0]); i++)
		if (slice_ieq(start->mech, slice_str(mechs[i])))
			status = run_gsasl(&r, mechs[i], start);
	buf_wipe_fini(&r.secret.stored);
	buf_wipe_fini(&r.secret.tagged);
	return status;
}
