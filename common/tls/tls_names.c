/* The table from server names to certificates. */
#include "common/tls/tls-private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/x509v3.h>

static int name_order(const void *a, const void *b)
{
	return strcmp(((const struct tls_name *)a)->name, ((const struct tls_name *)b)->name);
}

/* Lower-case copy of a host name into RET; false when it is none (RFC 1123 section 2.1, with the
 * underscore that real names have). An address is not a host name. */
static bool name_fold(const char *p, size_t n, bool may_star, char ret[TLS_NAME_BYTES + 1])
{
	size_t label = 0, start = 0;
	bool letter = false;

	if (n > 0 && p[n - 1] == '.')
		n--;
	if (n == 0 || n > TLS_NAME_BYTES)
		return false;
	if (may_star && n > 2 && p[0] == '*' && p[1] == '.') {
		memcpy(ret, "*.", 2);
		start = 2;
	}
	for (size_t i = start; i < n; i++) {
		char c = p[i];

		if (c == '.') {
			if (label == 0)
				return false;
			label = 0;
			ret[i] = c;
			continue;
		}
		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		letter = letter || (c >= 'a' && c <= 'z');
		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
			return false;
		if (++label > 63)
			return false;
		ret[i] = c;
	}
	ret[n] = '\0';
	return label > 0 && letter;
}

static struct tls_name *names_get(const struct tls_ctx *ctx, char *name)
{
	struct tls_name key = { .name = name };

	if (ctx->n_names == 0)
		return NULL;
	return bsearch(&key, ctx->names, ctx->n_names, sizeof(key), name_order);
}

const int *tls_names_find(const struct tls_ctx *ctx, const char *asked)
{
	char name[TLS_NAME_BYTES + 1];
	const struct tls_name *hit;
	char *dot;

	if (asked == NULL || !name_fold(asked, strlen(asked), false, name))
		return ctx->fallback;
	hit = names_get(ctx, name);
	dot = strchr(name, '.');
	if (hit == NULL && dot != NULL && dot > name) {
		dot[-1] = '*';
		hit = names_get(ctx, dot - 1);
	}
	return hit != NULL ? hit->cert : ctx->fallback;
}

static int names_insert(struct tls_ctx *ctx, char *name)
{
	struct tls_name *bigger;
	size_t at;

	if (ctx->n_names >= TLS_NAMES)
		return TLS_CTX_FULL;
	bigger = reallocarray(ctx->names, ctx->n_names + 1, sizeof(*bigger));
	if (bigger == NULL)
		return -ENOMEM;
	ctx->names = bigger;
	name = strdup(name);
	if (name == NULL)
		return -ENOMEM;
	for (at = ctx->n_names; at > 0 && strcmp(bigger[at - 1].name, name) > 0; at--)
		bigger[at] = bigger[at - 1];
	bigger[at] = (struct tls_name){ .name = name, .cert = { -1, -1, -1 } };
	ctx->n_names++;
	return 0;
}

int tls_ctx_add_name(struct tls_ctx *ctx, struct slice name, size_t cert)
{
	char folded[TLS_NAME_BYTES + 1];
	int r = 0;

	if (cert >= ctx->n_certs)
		return TLS_CTX_NO_CERT;
	if (!name_fold((const char *)name.p, name.n, true, folded))
		return TLS_CTX_BAD_NAME;
	if (names_get(ctx, folded) == NULL)
		r = names_insert(ctx, folded);
	if (r == 0)
		names_get(ctx, folded)->cert[ctx->certs[cert].kind] = (int)cert;
	return r;
}

int tls_ctx_add_own_names(struct tls_ctx *ctx, size_t cert)
{
	GENERAL_NAMES *alts;
	int r = 0;

	if (cert >= ctx->n_certs)
		return TLS_CTX_NO_CERT;
	alts = X509_get_ext_d2i(ctx->certs[cert].x509, NID_subject_alt_name, NULL, NULL);
	for (int i = 0; r == 0 && alts != NULL && i < sk_GENERAL_NAME_num(alts); i++) {
		const GENERAL_NAME *alt = sk_GENERAL_NAME_value(alts, i);
		struct slice name;

		if (alt->type != GEN_DNS)
			continue;
		name.p = ASN1_STRING_get0_data(alt->d.dNSName);
		name.n = (size_t)ASN1_STRING_length(alt->d.dNSName);
		r = tls_ctx_add_name(ctx, name, cert);
		if (r == TLS_CTX_BAD_NAME)
			r = 0;
	}
	GENERAL_NAMES_free(alts);
	return r;
}
