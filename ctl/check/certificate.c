/* certificate - can each one be read, is it valid today, does the key fit, do names and chain make
 * sense. */
#include "ctl/check/check.h"

#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { EXPIRES_SOON_DAYS = 14, CHAIN_MAX = 16, NAMES_BYTES = 300 };

#define RENEW "renew it, then reload the suite: 'systemctl reload gatehouse'"

static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
	return -1;
}

static STACK_OF(X509) * chain_read(const char *path)
{
	STACK_OF(X509) *chain = sk_X509_new_null();
	BIO *b = BIO_new_file(path, "r");
	X509 *x;

	while (b != NULL && chain != NULL && sk_X509_num(chain) < CHAIN_MAX &&
	       (x = PEM_read_bio_X509(b, NULL, no_passphrase, NULL)) != NULL)
		sk_X509_push(chain, x);
	BIO_free(b);
	return chain;
}

static int days_left(const X509 *x)
{
	int days = 0, seconds = 0;

	ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(x));
	return days;
}

static void names_of(X509 *x, char out[NAMES_BYTES])
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	size_t n = 0;

	out[0] = '\0';
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);

		if (g->type == GEN_DNS && n + (size_t)g->d.dNSName->length + 3 < NAMES_BYTES)
			n += (size_t)snprintf(out + n, NAMES_BYTES - n, "%s%.*s", n > 0 ? ", " : "",
			    g->d.dNSName->length, (const char *)g->d.dNSName->data);
	}
	GENERAL_NAMES_free(names);
}

static void say_dates(struct check *k, const char *name, X509 *leaf)
{
	char names[NAMES_BYTES], until[40] = "";
	struct tm tm;
	int days = days_left(leaf);

	names_of(leaf, names);
	if (ASN1_TIME_to_tm(X509_get0_notAfter(leaf), &tm) == 1)
		strftime(until, sizeof(until), "%Y-%m-%d", &tm);
	if (X509_cmp_current_time(X509_get0_notBefore(leaf)) > 0)
		check_row(k, CHECK_FAILED, "certificate", name, "is not valid yet",
		    "look at this machine's clock");
	else if (X509_cmp_current_time(X509_get0_notAfter(leaf)) < 0)
		check_say(k, CHECK_FAILED, "certificate", name, RENEW, "expired on %s", until);
	else if (days < EXPIRES_SOON_DAYS)
		check_say(k, CHECK_WARNING, "certificate", name, RENEW, "expires on %s, in %d days",
		    until, days);
	else
		check_say(k, CHECK_OK, "certificate", name, NULL, "for %s; until %s, %d days",
		    names, until, days);
}

/* Each one is signed by the next, and those are valid, too. */
static void say_chain(struct check *k, const char *name, STACK_OF(X509) * chain)
{
	int n = sk_X509_num(chain);

	for (int i = 0; i + 1 < n; i++) {
		X509 *x = sk_X509_value(chain, i), *next = sk_X509_value(chain, i + 1);

		if (X509_check_issued(next, x) != X509_V_OK ||
		    X509_verify(x, X509_get0_pubkey(next)) != 1) {
			check_say(k, CHECK_FAILED, "chain", name,
			    "put them in order: the server's own, then each authority that signed "
			    "the "
			    "one before it",
			    "certificate %d is not signed by certificate %d of the file", i + 1,
			    i + 2);
			return;
		}
		if (X509_cmp_current_time(X509_get0_notAfter(next)) < 0) {
			check_say(k, CHECK_FAILED, "chain", name,
			    "take the newer one that the authority offers",
			    "certificate %d of the file, of an authority, has expired", i + 2);
			return;
		}
	}
	check_say(k, CHECK_OK, "chain", name, NULL, "%d certificate%s", n, n == 1 ? "" : "s");
}

/* What a client of this machine would say. */
static void say_trust(struct check *k, const char *name, STACK_OF(X509) * chain)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *v = X509_STORE_CTX_new();
	int err = X509_V_ERR_OUT_OF_MEM;

	if (store != NULL && v != NULL && X509_STORE_set_default_paths(store) == 1 &&
	    X509_STORE_CTX_init(v, store, sk_X509_value(chain, 0), chain) == 1) {
		X509_verify_cert(v);
		err = X509_STORE_CTX_get_error(v);
	}
	if (err == X509_V_OK)
		check_row(k, CHECK_OK, "trust", name, "an authority that this machine knows", NULL);
	else
		check_say(k, CHECK_WARNING, "trust", name,
		    "right for a private authority, whose certificate the clients need; else the "
		    "chain lacks a certificate",
		    "%s", X509_verify_cert_error_string(err));
	X509_STORE_CTX_free(v);
	X509_STORE_free(store);
}

static void say_key(struct check *k, const char *name, const char *path, X509 *leaf)
{
	BIO *b = BIO_new_file(path, "r");
	EVP_PKEY *key = b != NULL ? PEM_read_bio_PrivateKey(b, NULL, no_passphrase, NULL) : NULL;
	struct stat st;

	if (b == NULL)
		check_say(k, CHECK_FAILED, "key", name, "it must be there and readable for root",
		    "%s cannot be read: %s", path, strerror(errno));
	else if (key == NULL)
		check_say(k, CHECK_FAILED, "key", name,
		    "it must be a private key in PEM without a passphrase", "%s is no such key",
		    path);
	else if (leaf != NULL && X509_check_private_key(leaf, key) != 1)
		check_say(k, CHECK_FAILED, "key", name,
		    "take the key that the certificate was asked for with",
		    "%s does not fit the certificate", path);
	else if (stat(path, &st) == 0 && (st.st_mode & 0004) != 0)
		check_say(k, CHECK_FAILED, "key", name, "chmod o= it, and think about a new key",
		    "every user of this machine can read %s", path);
	else
		check_row(
		    k, CHECK_OK, "key", name, leaf != NULL ? "fits the certificate" : "", NULL);
	EVP_PKEY_free(key);
	BIO_free(b);
}

static void check_one(struct check *k, const struct conf_section *s)
{
	const char *path = conf_section_str(s, CONF_chain);
	STACK_OF(X509) *chain = chain_read(path);
	X509 *leaf = chain != NULL && sk_X509_num(chain) > 0 ? sk_X509_value(chain, 0) : NULL;

	if (leaf == NULL) {
		check_say(k, CHECK_FAILED, "certificate", s->name,
		    "the file must hold certificates in PEM, the server's own first",
		    "%s holds none that can be read%s%s", path, access(path, R_OK) != 0 ? ": " : "",
		    access(path, R_OK) != 0 ? strerror(errno) : "");
	} else {
		say_dates(k, s->name, leaf);
		say_chain(k, s->name, chain);
		say_trust(k, s->name, chain);
		X509_up_ref(leaf);
		sk_X509_push(k->leaves, leaf);
	}
	say_key(k, s->name, conf_section_str(s, CONF_key), leaf);
	sk_X509_pop_free(chain, X509_free);
}

static void check_name(struct check *k, const char *name, const char *whose)
{
	for (int i = 0; i < sk_X509_num(k->leaves); i++)
		if (X509_check_host(sk_X509_value(k->leaves, i), name, 0, 0, NULL) == 1) {
			check_row(k, CHECK_OK, "name", name, "is in a certificate", NULL);
			return;
		}
	check_say(k, CHECK_WARNING, "name", name,
	    "clients that connect to this name refuse; get a certificate that has it",
	    "the %s is in no certificate", whose);
}

void check_certificates(struct check *k)
{
	char host[256];
	size_t n = 0;

	for (size_t i = 0; i < k->conf.n_sections; i++)
		if (k->conf.sections[i].kind == CONF_SECTION_CERTIFICATE) {
			check_one(k, &k->conf.sections[i]);
			n++;
		}
	if (n == 0)
		check_row(k, CHECK_WARNING, "certificate", "none",
		    "there is no certificate section: passwords cross the network in the clear, or "
		    "not at all",
		    "docs/tls.md tells how to get one");
	if (sk_X509_num(k->leaves) == 0)
		return;
	snprintf(host, sizeof(host), "%s", conf_get_str(&k->conf, CONF_host_name));
	if (host[0] == '\0' && gethostname(host, sizeof(host) - 1) != 0)
		return;
	check_name(k, host, "host name");
}
