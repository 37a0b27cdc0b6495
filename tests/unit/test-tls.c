/* common/tls: whole handshakes in memory against OpenSSL's client, through a signer process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/buf.h"
#include "common/tls/remote.h"
#include "common/tls/tls_conn.h"
#include "common/tls/tls_ctx.h"
#include "tests/unit/signer-run.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

enum { RSA2048, P256, P384, ED25519, OTHER, UNSIGNED, DIRS };

/* UNSIGNED's key is not given to the signer. */
static const struct {
	const char *kind, *names;
} made[DIRS] = {
	[RSA2048] = { "rsa", "" },
	[P256] = { "p256", "" },
	[P384] = { "p384", "" },
	[ED25519] = { "ed25519", "" },
	[OTHER] = { "p256", "other.test '*.wild.test' 192.0.2.1" },
	[UNSIGNED] = { "p256", "" },
};

static char *dirs[DIRS];
static struct signer_run signer;

static int set_up(void **state)
{
	for (int i = 0; i < DIRS; i++)
		dirs[i] = test_dir_make(made[i].kind, made[i].names);
	signer_run_start(&signer, dirs, UNSIGNED);
	return 0;
}

static int tear_down(void **state)
{
	for (int i = 0; i < DIRS; i++)
		test_dir_remove(&dirs[i]);
	return signer_run_stop(&signer);
}

static size_t ctx_add(struct tls_ctx *ctx, int dir)
{
	struct slice pem = test_file_read(dirs[dir], "cert.pem");
	size_t cert = SIZE_MAX;

	assert_int_equal(tls_ctx_add_cert(ctx, pem, &cert), 0);
	free((void *)pem.p);
	return cert;
}

static struct tls_ctx *ctx_of(int dir)
{
	struct tls_ctx *ctx;

	assert_int_equal(tls_ctx_new(&ctx), 0);
	ctx_add(ctx, dir);
	return ctx;
}

/* A client and our server end, joined in memory. */
struct talk {
	SSL_CTX *client_ctx;
	SSL *client;
	BIO *to_client, *from_client;
	struct tls_conn *server;
	int channel;
};

static void talk_open(struct talk *t, struct tls_ctx *ctx, int version)
{
	t->channel = signer_run_channel(&signer);
	assert_int_equal(tls_conn_new(ctx, -1, t->channel, &t->server), 0);
	t->client_ctx = SSL_CTX_new(TLS_client_method());
	if (version != 0) {
		SSL_CTX_set_min_proto_version(t->client_ctx, version);
		SSL_CTX_set_max_proto_version(t->client_ctx, version);
	}
	t->client = SSL_new(t->client_ctx);
	t->to_client = BIO_new(BIO_s_mem());
	t->from_client = BIO_new(BIO_s_mem());
	SSL_set_bio(t->client, t->to_client, t->from_client);
	SSL_set_connect_state(t->client);
}

static void talk_close(struct talk *t)
{
	SSL_free(t->client);
	SSL_CTX_free(t->client_ctx);
	tls_conn_free(&t->server);
	close(t->channel);
	ERR_clear_error();
}

static void talk_trust(struct talk *t, int dir, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/ca.pem", dirs[dir]);
	assert_int_equal(SSL_CTX_load_verify_file(t->client_ctx, path), 1);
	SSL_set_verify(t->client, SSL_VERIFY_PEER, NULL);
	SSL_set1_host(t->client, name);
	SSL_set_tlsext_host_name(t->client, name);
}

static void move_up(struct talk *t)
{
	uint8_t p[1024];
	int n;

	while ((n = BIO_read(t->from_client, p, sizeof(p))) > 0)
		assert_int_equal(tls_conn_feed(t->server, slice_of(p, (size_t)n)), 0);
}

static void move_down(struct talk *t)
{
	uint8_t p[1024];
	size_t n;

	while ((n = tls_conn_drain(t->server, p, sizeof(p))) > 0)
		assert_int_equal(BIO_write(t->to_client, p, (int)n), (int)n);
}

/* Both sides as far as they come; returns the server's answer. */
static enum tls_answer talk_shake(struct talk *t)
{
	enum tls_answer a = TLS_WANT_READ;

	for (int i = 0; i < 4; i++) {
		SSL_do_handshake(t->client);
		move_up(t);
		a = tls_conn_handshake(t->server);
		move_down(t);
	}
	SSL_do_handshake(t->client);
	return a;
}

static bool client_ready(const struct talk *t)
{
	return SSL_is_init_finished(t->client) == 1;
}

static void same_bindings(const struct talk *t)
{
	const struct tls_facts *f = tls_conn_facts(t->server);
	const X509 *cert = SSL_get0_peer_certificate(t->client);
	static const char label[] = "EXPORTER-Channel-Binding";
	uint8_t own[TLS_EXPORTER_BYTES], hash[EVP_MAX_MD_SIZE];
	unsigned int n;

	assert_true(f->has_exporter);
	assert_int_equal(SSL_export_keying_material(
			     t->client, own, sizeof(own), label, strlen(label), NULL, 0, 0),
	    1);
	assert_memory_equal(f->exporter, own, sizeof(own));
	/* The demo's authority signs with ECDSA and SHA-256. */
	assert_int_equal(X509_digest(cert, EVP_sha256(), hash, &n), 1);
	assert_int_equal(f->n_end_point, n);
	assert_memory_equal(f->end_point, hash, n);
}

static void every_key_in_both_versions(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

	for (int i = 0; i < 8; i++) {
		int dir = RSA2048 + i / 2, version = versions[i % 2];
		struct tls_ctx *ctx = ctx_of(dir);
		const struct tls_facts *f;
		struct talk t;

		talk_open(&t, ctx, version);
		talk_trust(&t, dir, "localhost");
		if (talk_shake(&t) != TLS_DONE || !client_ready(&t))
			fail_msg("%s, %x: %s", made[dir].kind, version, tls_conn_why(t.server));
		assert_int_equal(SSL_get_verify_result(t.client), X509_V_OK);
		f = tls_conn_facts(t.server);
		assert_string_equal(f->version, version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3");
		assert_string_equal(f->cipher, SSL_get_cipher_name(t.client));
		assert_string_equal(f->server_name, "localhost");
		assert_true(f->cipher_bits >= 128);
		same_bindings(&t);
		talk_close(&t);
		tls_ctx_free(&ctx);
	}
}

static const struct {
	const char *asked;
	int want;
} names[] = {
	{ "localhost", P256 },
	{ NULL, P256 },
	{ "unknown.test", P256 },
	{ "other.test", OTHER },
	{ "OTHER.Test", OTHER },
	{ "a.wild.test", OTHER },
	{ "wild.test", P256 },
	{ "a.b.wild.test", P256 },
	{ "*.wild.test", P256 },
	{ "x.example.test", P256 },
	{ "added.test", OTHER },
};

static void the_name_selects_the_certificate(void **state)
{
	struct tls_ctx *ctx = ctx_of(P256);
	size_t other = ctx_add(ctx, OTHER);

	assert_int_equal(tls_ctx_add_own_names(ctx, 0), 0);
	assert_int_equal(tls_ctx_add_own_names(ctx, other), 0);
	assert_int_equal(tls_ctx_add_name(ctx, SLICE("Added.Test."), other), 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct talk t;

		talk_open(&t, ctx, TLS1_3_VERSION);
		talk_trust(&t, names[i].want, NULL);
		if (names[i].asked != NULL)
			SSL_set_tlsext_host_name(t.client, names[i].asked);
		if (talk_shake(&t) != TLS_DONE || !client_ready(&t))
			fail_msg("%s: not the right certificate", names[i].asked);
		talk_close(&t);
	}
	tls_ctx_free(&ctx);
}

static void names_that_are_none_are_refused(void **state)
{
	static const struct slice bad[] = { SLICE(""), SLICE("."), SLICE("a..b"),
		SLICE("192.0.2.1"), SLICE("a b"), SLICE("a.*.test"), SLICE("*"), SLICE("a\0b"),
		SLICE(".a") };
	struct tls_ctx *ctx = ctx_of(P256);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(tls_ctx_add_name(ctx, bad[i], 0), TLS_CTX_BAD_NAME);
	assert_int_equal(tls_ctx_add_name(ctx, SLICE("a.test"), 1), TLS_CTX_NO_CERT);
	tls_ctx_free(&ctx);
}

static void a_name_may_have_two_kinds_of_key(void **state)
{
	struct tls_ctx *ctx = ctx_of(P256);
	size_t rsa = ctx_add(ctx, RSA2048);

	assert_int_equal(tls_ctx_add_own_names(ctx, 0), 0);
	assert_int_equal(tls_ctx_add_own_names(ctx, rsa), 0);
	for (int i = 0; i < 2; i++) {
		struct talk t;

		talk_open(&t, ctx, TLS1_3_VERSION);
		SSL_set_tlsext_host_name(t.client, "localhost");
		SSL_set1_sigalgs_list(t.client, i == 0 ? "RSA-PSS+SHA256" : "ECDSA+SHA256");
		assert_int_equal(talk_shake(&t), TLS_DONE);
		assert_int_equal(
		    EVP_PKEY_is_a(X509_get0_pubkey(SSL_get0_peer_certificate(t.client)),
			i == 0 ? "RSA" : "EC"),
		    1);
		talk_close(&t);
	}
	tls_ctx_free(&ctx);
}

static const struct {
	const char *name, *ciphers;
	int version;
	const char *why;
} refused[] = {
	{ "RSA key exchange", "AES128-GCM-SHA256:AES256-SHA", TLS1_2_VERSION, "no shared cipher" },
	{ "CBC only", "ECDHE-RSA-AES128-SHA", TLS1_2_VERSION, "no shared cipher" },
	{ "finite-field DHE", "DHE-RSA-AES128-GCM-SHA256", TLS1_2_VERSION, "no shared cipher" },
	{ "TLS 1.1", "ALL:@SECLEVEL=0", TLS1_1_VERSION, "unsupported protocol" },
};

static void what_is_too_old_fails_cleanly(void **state)
{
	struct tls_ctx *ctx = ctx_of(RSA2048);

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct talk t;

		talk_open(&t, ctx, refused[i].version);
		SSL_set_cipher_list(t.client, refused[i].ciphers);
		if (talk_shake(&t) != TLS_BAD || client_ready(&t))
			fail_msg("%s was let in", refused[i].name);
		assert_string_equal(tls_conn_why(t.server), refused[i].why);
		/* It stays over. */
		assert_int_equal(tls_conn_handshake(t.server), TLS_BAD);
		talk_close(&t);
	}
	tls_ctx_free(&ctx);
}

/* A client that sent commands behind STARTTLS in one packet: what the front-end left in the socket
 * reaches TLS, is no handshake, and ends the connection; no plain byte comes out as text. */
static void plain_bytes_before_the_handshake_end_it(void **state)
{
	struct tls_ctx *ctx = ctx_of(P256);
	struct talk t;

	talk_open(&t, ctx, 0);
	SSL_do_handshake(t.client);
	assert_int_equal(tls_conn_feed(t.server, SLICE("NOOP\r\nMAIL FROM:<a@b>\r\n")), 0);
	move_up(&t);
	assert_int_equal(tls_conn_handshake(t.server), TLS_BAD);
	assert_int_equal(tls_conn_pending(t.server), 0);
	talk_close(&t);
	tls_ctx_free(&ctx);
}

static void nothing_can_be_resumed(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct tls_ctx *ctx = ctx_of(P256);

	for (int i = 0; i < 2; i++) {
		struct talk t, again;
		SSL_SESSION *session;
		uint8_t byte;
		size_t n;

		talk_open(&t, ctx, versions[i]);
		assert_int_equal(talk_shake(&t), TLS_DONE);
		/* A read makes the client look at tickets that came after the handshake. */
		assert_int_equal(tls_conn_write(t.server, SLICE("x"), &n), TLS_DONE);
		move_down(&t);
		assert_int_equal(SSL_read(t.client, &byte, 1), 1);
		session = SSL_get1_session(t.client);
		assert_int_equal(SSL_SESSION_has_ticket(session), 0);
		talk_open(&again, ctx, versions[i]);
		SSL_set_session(again.client, session);
		assert_int_equal(talk_shake(&again), TLS_DONE);
		assert_int_equal(SSL_session_reused(again.client), 0);
		SSL_SESSION_free(session);
		talk_close(&again);
		talk_close(&t);
	}
	tls_ctx_free(&ctx);
}

static void renegotiation_is_refused(void **state)
{
	struct tls_ctx *ctx = ctx_of(P256);
	uint8_t byte;
	struct talk t;
	size_t n;

	talk_open(&t, ctx, TLS1_2_VERSION);
	assert_int_equal(talk_shake(&t), TLS_DONE);
	assert_int_equal(SSL_renegotiate(t.client), 1);
	for (int i = 0; i < 4; i++) {
		SSL_do_handshake(t.client);
		move_up(&t);
		assert_int_not_equal(tls_conn_read(t.server, &byte, 1, &n), TLS_DONE);
		move_down(&t);
	}
	assert_false(client_ready(&t));
	talk_close(&t);
	tls_ctx_free(&ctx);
}

static void without_a_signature_it_is_our_failure(void **state)
{
	struct tls_ctx *ctx = ctx_of(UNSIGNED), *fine = ctx_of(P256);
	struct talk t;
	size_t cert = SIZE_MAX;
	int channel = signer_run_channel(&signer);

	talk_open(&t, ctx, TLS1_3_VERSION);
	assert_int_equal(talk_shake(&t), TLS_FAILED);
	assert_int_equal(tls_conn_handshake(t.server), TLS_FAILED);
	talk_close(&t);
	assert_int_equal(tls_ctx_try(ctx, channel, 1, &cert), TLS_CTX_NO_SIGNATURE);
	assert_int_equal(cert, 0);
	assert_int_equal(tls_ctx_try(fine, -1, 1, &cert), TLS_CTX_NO_SIGNATURE);
	assert_int_equal(tls_ctx_try(fine, channel, 1, &cert), 0);
	close(channel);
	tls_ctx_free(&ctx);
	tls_ctx_free(&fine);
}

static void a_signer_that_is_gone_is_our_failure(void **state)
{
	struct tls_ctx *ctx = ctx_of(P256);
	struct talk t;
	int pair[2];

	talk_open(&t, ctx, TLS1_3_VERSION);
	tls_conn_free(&t.server);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(tls_remote_prepare(pair[0]), 0);
	close(pair[1]);
	assert_int_equal(tls_conn_new(ctx, -1, pair[0], &t.server), 0);
	assert_int_equal(talk_shake(&t), TLS_FAILED);
	close(pair[0]);
	talk_close(&t);
	tls_ctx_free(&ctx);
}

static void only_proper_certificates_are_taken(void **state)
{
	struct slice a = test_file_read(dirs[P256], "cert.pem");
	struct slice ca = test_file_read(dirs[P256], "ca.pem");
	struct slice foreign = test_file_read(dirs[OTHER], "ca.pem");
	struct slice key = test_file_read(dirs[UNSIGNED], "key.pem");
	struct buf b = BUF_INIT(TLS_PEM_BYTES);
	struct tls_ctx *ctx;
	size_t cert;

	assert_int_equal(tls_ctx_new(&ctx), 0);
	assert_int_equal(tls_ctx_try(ctx, -1, 1, &cert), TLS_CTX_NO_CERT);
	assert_int_equal(tls_ctx_add_cert(ctx, SLICE(""), &cert), TLS_CTX_BAD_CERT);
	assert_int_equal(tls_ctx_add_cert(ctx, key, &cert), TLS_CTX_BAD_CERT);
	buf_put(&b, a);
	buf_put(&b, foreign);
	assert_int_equal(tls_ctx_add_cert(ctx, buf_slice(&b), &cert), TLS_CTX_BAD_CERT);
	buf_reset(&b);
	buf_put(&b, a);
	buf_puts(&b, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
	assert_int_equal(tls_ctx_add_cert(ctx, buf_slice(&b), &cert), TLS_CTX_BAD_CERT);
	buf_reset(&b);
	buf_put(&b, a);
	buf_put(&b, ca);
	assert_int_equal(tls_ctx_add_cert(ctx, buf_slice(&b), &cert), 0);
	tls_ctx_free(&ctx);
	buf_fini(&b);
	free((void *)a.p);
	free((void *)ca.p);
	free((void *)foreign.p);
	free((void *)key.p);
}

static void a_file_brings_its_names_and_its_own(void **state)
{
	char path[512];
	struct tls_ctx *ctx = ctx_of(P256);
	struct talk t;
	size_t cert;
	int fd;

	snprintf(path, sizeof(path), "%s/cert.pem", dirs[OTHER]);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	/* Where the descriptor stands does not matter. */
	assert_int_equal(lseek(fd, 100, SEEK_SET), 100);
	assert_int_equal(tls_ctx_add_file(ctx, SLICE("section.test"), fd, &cert), 0);
	assert_int_equal(cert, 1);
	assert_string_equal(tls_ctx_cert_name(ctx, cert), "section.test");
	assert_int_equal(tls_ctx_add_file(ctx, SLICE("not a name"), fd, &cert), 0);
	close(fd);
	for (int i = 0; i < 2; i++) {
		const char *asked = i == 0 ? "section.test" : "other.test";

		talk_open(&t, ctx, TLS1_3_VERSION);
		talk_trust(&t, OTHER, NULL);
		SSL_set_tlsext_host_name(t.client, asked);
		assert_int_equal(talk_shake(&t), TLS_DONE);
		assert_true(client_ready(&t));
		talk_close(&t);
	}
	tls_ctx_free(&ctx);
}

/* Text both ways in odd pieces, then a clean end. */
static void text_passes_whole_and_the_end_is_told(void **state)
{
	enum { TEXT = 200000 };
	struct tls_ctx *ctx = ctx_of(P256);
	uint8_t *text = malloc(TEXT), *got = malloc(TEXT), byte;
	size_t sent = 0, have = 0, n;
	enum tls_answer a;
	struct talk t;
	int r;

	for (size_t i = 0; i < TEXT; i++)
		text[i] = (uint8_t)(i * 7 + i / 251);
	talk_open(&t, ctx, TLS1_3_VERSION);
	assert_int_equal(talk_shake(&t), TLS_DONE);
	assert_int_equal(SSL_write(t.client, text, TEXT), TEXT);
	move_up(&t);
	while ((a = tls_conn_read(t.server, got + have, 777, &n)) == TLS_DONE) {
		have += n;
		assert_true(have + 777 <= TEXT || tls_conn_pending(t.server) < 777);
		if (have + 777 > TEXT)
			break;
	}
	while (have < TEXT && tls_conn_read(t.server, got + have, TEXT - have, &n) == TLS_DONE)
		have += n;
	assert_int_equal(have, TEXT);
	assert_memory_equal(got, text, TEXT);
	while (sent < TEXT) {
		assert_int_equal(
		    tls_conn_write(t.server, slice_of(text + sent, TEXT - sent), &n), TLS_DONE);
		sent += n;
	}
	move_down(&t);
	for (have = 0; (r = SSL_read(t.client, got + have, (int)(TEXT - have))) > 0;)
		have += (size_t)r;
	assert_int_equal(have, TEXT);
	assert_memory_equal(got, text, TEXT);
	SSL_shutdown(t.client);
	move_up(&t);
	assert_int_equal(tls_conn_read(t.server, &byte, 1, &n), TLS_CLOSED);
	assert_int_equal(tls_conn_shutdown(t.server), TLS_DONE);
	move_down(&t);
	assert_int_equal(SSL_shutdown(t.client), 1);
	assert_int_equal(tls_conn_read(t.server, &byte, 1, &n), TLS_CLOSED);
	talk_close(&t);
	tls_ctx_free(&ctx);
	free(text);
	free(got);
}

/* Over a socket, a byte at a time: never an answer but "later", and a cut is not a clean end. */
static void a_cut_connection_is_lost_not_closed(void **state)
{
	struct tls_ctx *ctx = ctx_of(P256);
	enum tls_answer a = TLS_WANT_READ;
	int pair[2], channel = signer_run_channel(&signer), n;
	struct tls_conn *server;
	struct talk t;
	uint8_t p[4096];
	size_t got;

	talk_open(&t, ctx, TLS1_3_VERSION);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(tls_conn_new(ctx, pair[0], channel, &server), 0);
	for (int i = 0; i < 3; i++) {
		SSL_do_handshake(t.client);
		n = BIO_read(t.from_client, p, sizeof(p));
		for (int k = 0; k < n; k++) {
			assert_true(a == TLS_WANT_READ);
			assert_int_equal(write(pair[1], p + k, 1), 1);
			a = tls_conn_handshake(server);
		}
		n = (int)read(pair[1], p, sizeof(p));
		if (n > 0)
			assert_int_equal(BIO_write(t.to_client, p, n), n);
	}
	assert_int_equal(a, TLS_DONE);
	assert_int_equal(tls_conn_read(server, p, sizeof(p), &got), TLS_WANT_READ);
	close(pair[1]);
	assert_int_equal(tls_conn_read(server, p, sizeof(p), &got), TLS_LOST);
	assert_int_equal(tls_conn_write(server, SLICE("x"), &got), TLS_LOST);
	tls_conn_free(&server);
	close(pair[0]);
	close(channel);
	talk_close(&t);
	tls_ctx_free(&ctx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_in_both_versions),
		cmocka_unit_test(the_name_selects_the_certificate),
		cmocka_unit_test(names_that_are_none_are_refused),
		cmocka_unit_test(a_name_may_have_two_kinds_of_key),
		cmocka_unit_test(what_is_too_old_fails_cleanly),
		cmocka_unit_test(plain_bytes_before_the_handshake_end_it),
		cmocka_unit_test(nothing_can_be_resumed),
		cmocka_unit_test(renegotiation_is_refused),
		cmocka_unit_test(without_a_signature_it_is_our_failure),
		cmocka_unit_test(a_signer_that_is_gone_is_our_failure),
		cmocka_unit_test(only_proper_certificates_are_taken),
		cmocka_unit_test(a_file_brings_its_names_and_its_own),
		cmocka_unit_test(text_passes_whole_and_the_end_is_told),
		cmocka_unit_test(a_cut_connection_is_lost_not_closed),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
