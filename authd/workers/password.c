#include "authd/workers/password.h"

#include "common/base/secret.h"

#include <crypt.h>
#include <gsasl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum { SALT_BYTES = 16 };

bool stored_split(struct slice stored, enum stored_form *ret_form, struct slice *ret_value)
{
	static const struct {
		const char *tag;
		enum stored_form form;
	} tags[] = { { "{PLAIN}", STORED_PLAIN }, { "{CRYPT}", STORED_CRYPT },
		{ "{SCRAM-SHA-256}", STORED_SCRAM } };

	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
		struct slice tag = slice_str(tags[i].tag);

		if (!slice_istarts(stored, tag))
			continue;
		*ret_form = tags[i].form;
		*ret_value = slice_from(stored, tag.n);
		return ret_value->n > 0;
	}
	return false;
}

bool scram_split(struct slice value, struct scram_keys *ret)
{
	struct slice params = slice_take(&value, '$');
	struct slice iterations = slice_take(&params, ':');
	uint64_t n = 0;

	if (slice_u64(iterations, SCRAM_ITERATIONS_MAX, &n) != 0 || n == 0)
		return false;
	*ret = (struct scram_keys){ .iterations = (unsigned)n, .salt = params };
	ret->stored = slice_take(&value, ':');
	ret->server = value;
	return ret->salt.n > 0 && ret->stored.n > 0 && ret->server.n > 0;
}

/* A C string of a password or setting; false when it has a NUL or is too long. */
static bool to_cstr(struct slice s, char *out, size_t max)
{
	if (s.n >= max || slice_find(s, 0) >= 0)
		return false;
	if (s.n > 0)
		memcpy(out, s.p, s.n);
	out[s.n] = '\0';
	return true;
}

static enum password_result verify_crypt(struct slice setting, const char *password)
{
	static struct crypt_data data;
	char want[CRYPT_OUTPUT_SIZE];
	const char *got;
	bool same;

	if (!to_cstr(setting, want, sizeof(want)))
		return PASSWORD_UNUSABLE;
	got = crypt_rn(password, want, &data, sizeof(data));
	if (got == NULL)
		return PASSWORD_UNUSABLE;
	same = secret_eq(slice_str(got), setting);
	secret_wipe(&data, sizeof(data));
	return same ? PASSWORD_OK : PASSWORD_WRONG;
}

struct scram_made {
	char salted[SCRAM_KEY_BYTES], client[SCRAM_KEY_BYTES], server[SCRAM_KEY_BYTES],
	    stored[SCRAM_KEY_BYTES];
};

static bool scram_make(
    const char *password, unsigned iterations, struct slice salt, struct scram_made *m)
{
	return gsasl_scram_secrets_from_password(GSASL_HASH_SHA256, password, iterations,
		   (const char *)salt.p, salt.n, m->salted, m->client, m->server,
		   m->stored) == GSASL_OK;
}

static bool base64_to(struct slice in, char **ret, size_t *ret_n)
{
	return gsasl_base64_from((const char *)in.p, in.n, ret, ret_n) == GSASL_OK;
}

static enum password_result verify_scram(struct slice value, const char *password)
{
	enum password_result r = PASSWORD_UNUSABLE;
	char *salt = NULL, *stored = NULL;
	size_t salt_n = 0, stored_n = 0;
	struct scram_keys k;
	struct scram_made made;

	if (scram_split(value, &k) && base64_to(k.salt, &salt, &salt_n) &&
	    base64_to(k.stored, &stored, &stored_n) &&
	    scram_make(password, k.iterations, slice_of(salt, salt_n), &made))
		r = secret_eq(slice_of(made.stored, SCRAM_KEY_BYTES), slice_of(stored, stored_n))
			? PASSWORD_OK
			: PASSWORD_WRONG;
	secret_wipe(&made, sizeof(made));
	free(salt);
	free(stored);
	return r;
}

enum password_result password_verify(struct slice stored, struct slice password)
{
	char text[PASSWORD_MAX_BYTES + 1];
	enum password_result r;
	enum stored_form form;
	struct slice value;

	if (!stored_split(stored, &form, &value))
		return PASSWORD_UNUSABLE;
	if (form == STORED_PLAIN)
		return secret_eq(value, password) ? PASSWORD_OK : PASSWORD_WRONG;
	if (!to_cstr(password, text, sizeof(text)))
		return PASSWORD_WRONG;
	r = form == STORED_CRYPT ? verify_crypt(value, text) : verify_scram(value, text);
	secret_wipe(text, sizeof(text));
	return r;
}

enum password_result password_verify_nobody(struct slice password)
{
	char text[PASSWORD_MAX_BYTES + 1];

	if (to_cstr(password, text, sizeof(text)))
		verify_crypt(SLICE("$y$j9T$nobodynobodynobody$"), text);
	secret_wipe(text, sizeof(text));
	return PASSWORD_WRONG;
}

static void put_base64(struct buf *out, const void *p, size_t n)
{
	char *text = NULL;
	size_t len = 0;

	if (gsasl_base64_to(p, n, &text, &len) != GSASL_OK)
		out->overflow = true;
	else
		buf_put(out, slice_of(text, len));
	free(text);
}

static enum password_result store_scram(const char *password, struct buf *out)
{
	uint8_t salt[SALT_BYTES];
	struct scram_made made;

	if (getrandom(salt, sizeof(salt), 0) != sizeof(salt) ||
	    !scram_make(password, SCRAM_ITERATIONS, slice_of(salt, sizeof(salt)), &made))
		return PASSWORD_UNUSABLE;
	buf_printf(out, "{SCRAM-SHA-256}%u:", SCRAM_ITERATIONS);
	put_base64(out, salt, sizeof(salt));
	buf_putc(out, '$');
	put_base64(out, made.stored, sizeof(made.stored));
	buf_putc(out, ':');
	put_base64(out, made.server, sizeof(made.server));
	secret_wipe(&made, sizeof(made));
	return out->overflow ? PASSWORD_UNUSABLE : PASSWORD_OK;
}

static enum password_result store_crypt(const char *prefix, const char *password, struct buf *out)
{
	static struct crypt_data data;
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	const char *made = NULL;

	if (crypt_gensalt_rn(prefix, 0, NULL, 0, setting, sizeof(setting)) != NULL)
		made = crypt_rn(password, setting, &data, sizeof(data));
	if (made == NULL)
		return PASSWORD_UNUSABLE;
	buf_puts(out, "{CRYPT}");
	buf_puts(out, made);
	secret_wipe(&data, sizeof(data));
	return out->overflow ? PASSWORD_UNUSABLE : PASSWORD_OK;
}

enum password_result password_store(struct slice scheme, struct slice password, struct buf *out)
{
	static const struct {
		const char *scheme, *prefix;
		size_t max;
	} crypts[] = { { "yescrypt", "$y$", PASSWORD_MAX_BYTES },
		{ "sha512crypt", "$6$", PASSWORD_MAX_BYTES },
		/* bcrypt looks at 72 bytes only: a longer password would seem to be accepted whole.
		 */
		{ "bcrypt", "$2b$", 72 } };
	enum password_result r = PASSWORD_UNUSABLE;
	char text[PASSWORD_MAX_BYTES + 1];

	if (!to_cstr(password, text, sizeof(text)) || password.n == 0)
		return PASSWORD_UNUSABLE;
	if (slice_ieq(scheme, SLICE("plain"))) {
		buf_puts(out, "{PLAIN}");
		buf_put(out, password);
		r = out->overflow ? PASSWORD_UNUSABLE : PASSWORD_OK;
	} else if (slice_ieq(scheme, SLICE("scram-sha-256"))) {
		r = store_scram(text, out);
	}
	for (size_t i = 0; i < sizeof(crypts) / sizeof(crypts[0]); i++)
		if (slice_ieq(scheme, slice_str(crypts[i].scheme)) && password.n <= crypts[i].max)
			r = store_crypt(crypts[i].prefix, text, out);
	secret_wipe(text, sizeof(text));
	return r;
}
