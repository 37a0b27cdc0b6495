/* The signer's channels: hello, attach, ask; who is dropped for what; keys changed by a reload. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "authd/signer/signer_core.h"
#include "authd/signer/signer_serve.h"
#include "common/base/log.h"
#include "common/ipc/chan.h"

#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

static const struct slice tls13 =
    SLICE("                                                                "
	  "TLS 1.3, server CertificateVerify\0"
	  "0123456789abcdef0123456789abcdef");

struct bench {
	struct event_base *base;
	struct signer_serve *serve;
	struct ipc_chan *attach; /* an acceptor's end */
};

static void on_gone(void *arg, struct ipc_chan *chan, enum ipc_gone why)
{
}

static struct signer_keys *new_key(uint8_t ret_ref[TLS_KEY_REF_BYTES])
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	BIO *bio = BIO_new(BIO_s_mem());
	struct signer_keys *keys;
	char *p;
	long n;

	assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
	n = BIO_get_mem_data(bio, &p);
	assert_int_equal(signer_keys_new(&keys), 0);
	assert_int_equal(signer_keys_add(keys, slice_of(p, (size_t)n), ret_ref), 0);
	BIO_free(bio);
	EVP_PKEY_free(key);
	return keys;
}

static void turn(struct bench *b)
{
	for (int i = 0; i < 4; i++)
		event_base_loop(b->base, EVLOOP_NONBLOCK);
}

static void bench_open(struct bench *b, struct signer_keys *take_keys, enum ipc_role says)
{
	static const struct ipc_ops ops = { .on_gone = on_gone };
	int pair[2];

	b->base = event_base_new();
	assert_int_equal(signer_serve_new(b->base, take_keys, &b->serve), 0);
	assert_int_equal(ipc_pair(pair), 0);
	assert_int_equal(signer_serve_attach(b->serve, pair[0], IPC_ROLE_POP3, 0, 1), 0);
	b->attach = ipc_chan_new(NULL, pair[1], IPC_CH_ATTACH_SIGN, false, &ops, NULL);
	assert_int_equal(ipc_chan_hello(b->attach, says, 1, IPC_ROLE_SIGNER, IPC_IN_RUN), 0);
	turn(b);
}

static void bench_close(struct bench *b)
{
	ipc_chan_free(&b->attach);
	turn(b);
	signer_serve_free(&b->serve);
	event_base_free(b->base);
}

static int channel_open(struct bench *b)
{
	const struct ipc_sign_attach msg = { .sid = 1ull << 32 | 7 };
	int pair[2];

	assert_int_equal(ipc_pair(pair), 0);
	assert_int_equal(ipc_send(b->attach, IPC_sign_attach, &msg, &pair[0]), 0);
	turn(b);
	return pair[1];
}

static void packet_send(int fd, enum ipc_type type, const void *msg)
{
	struct buf b = BUF_INIT(IPC_PACKET_MAX);

	assert_int_equal(ipc_encode(type, msg, &b), 0);
	assert_int_equal(send(fd, b.p, b.n, MSG_NOSIGNAL), b.n);
	buf_fini(&b);
}

/* The status that comes back, or -1 when the channel is closed instead. */
static int ask(struct bench *b, int fd, const uint8_t *ref, struct slice text)
{
	const struct ipc_sign_ask msg = {
		.key = slice_of(ref, TLS_KEY_REF_BYTES), .alg = TLS_ED25519, .text = text
	};
	uint8_t packet[4096];
	union ipc_any m;
	enum ipc_type type;
	ssize_t n;

	packet_send(fd, IPC_sign_ask, &msg);
	turn(b);
	n = recv(fd, packet, sizeof(packet), MSG_DONTWAIT);
	if (n <= 0)
		return -1;
	assert_int_equal(ipc_decode(slice_of(packet, (size_t)n), &type, &m), 0);
	assert_int_equal(type, IPC_sign_reply);
	return (int)m.sign_reply.status;
}

static bool is_closed(int fd)
{
	char c;

	return recv(fd, &c, 1, MSG_DONTWAIT) == 0;
}

static void a_connection_asks_and_is_answered(void **state)
{
	uint8_t ref[TLS_KEY_REF_BYTES];
	struct bench b;
	int fd;

	bench_open(&b, new_key(ref), IPC_ROLE_POP3);
	fd = channel_open(&b);
	assert_int_equal(signer_serve_count(b.serve), 2);
	assert_int_equal(ask(&b, fd, ref, tls13), SIGNER_SIGNED);
	assert_int_equal(ask(&b, fd, ref, SLICE("from:a@example.test")), SIGNER_REFUSED_TEXT);
	assert_int_equal(ask(&b, fd, ref, tls13), SIGNER_SIGNED);
	close(fd);
	turn(&b);
	assert_int_equal(signer_serve_count(b.serve), 1);
	bench_close(&b);
}

static void a_peer_that_is_somebody_else_is_dropped(void **state)
{
	uint8_t ref[TLS_KEY_REF_BYTES];
	struct bench b;

	bench_open(&b, new_key(ref), IPC_ROLE_SMTP);
	assert_int_equal(signer_serve_count(b.serve), 0);
	bench_close(&b);
}

/* The acceptor says a connection of another one: its lines in the log would be false. */
static void an_acceptor_speaks_for_its_own(void **state)
{
	const struct ipc_sign_attach theirs = { .sid = 2ull << 32 | 7 };
	uint8_t ref[TLS_KEY_REF_BYTES];
	struct bench b;
	int good, pair[2];

	bench_open(&b, new_key(ref), IPC_ROLE_POP3);
	good = channel_open(&b);
	assert_int_equal(ipc_pair(pair), 0);
	assert_int_equal(ipc_send(b.attach, IPC_sign_attach, &theirs, &pair[0]), 0);
	turn(&b);
	assert_true(is_closed(pair[1]));
	assert_int_equal(signer_serve_count(b.serve), 1);
	assert_int_equal(ask(&b, good, ref, tls13), SIGNER_SIGNED);
	close(good);
	close(pair[1]);
	bench_close(&b);
}

static void what_is_no_question_closes_that_channel_only(void **state)
{
	const struct ipc_sign_reply reply = { .status = 0 };
	const struct ipc_sign_attach attach = { .sid = 1ull << 32 | 1 };
	uint8_t ref[TLS_KEY_REF_BYTES];
	struct bench b;
	int good, bad[3];

	bench_open(&b, new_key(ref), IPC_ROLE_POP3);
	good = channel_open(&b);
	for (int i = 0; i < 3; i++)
		bad[i] = channel_open(&b);
	packet_send(bad[0], IPC_sign_reply, &reply);
	packet_send(bad[1], IPC_sign_attach, &attach);
	assert_int_equal(send(bad[2], "x", 1, MSG_NOSIGNAL), 1);
	turn(&b);
	for (int i = 0; i < 3; i++) {
		assert_true(is_closed(bad[i]));
		close(bad[i]);
	}
	assert_int_equal(ask(&b, good, ref, tls13), SIGNER_SIGNED);
	close(good);
	bench_close(&b);
}

static void refusals_end_a_channel(void **state)
{
	uint8_t ref[TLS_KEY_REF_BYTES];
	struct bench b;
	int fd;

	bench_open(&b, new_key(ref), IPC_ROLE_POP3);
	fd = channel_open(&b);
	for (int i = 0; i < SIGNER_REFUSALS; i++)
		assert_int_equal(ask(&b, fd, ref, SLICE("x")), SIGNER_REFUSED_TEXT);
	assert_true(is_closed(fd));
	close(fd);
	fd = channel_open(&b);
	for (int i = 0; i < SIGNER_SIGNATURES; i++)
		assert_int_equal(ask(&b, fd, ref, tls13), SIGNER_SIGNED);
	assert_int_equal(ask(&b, fd, ref, tls13), SIGNER_REFUSED_COUNT);
	close(fd);
	bench_close(&b);
}

static void a_reload_keeps_the_keys_before_it_for_a_while(void **state)
{
	uint8_t first[TLS_KEY_REF_BYTES], second[TLS_KEY_REF_BYTES], third[TLS_KEY_REF_BYTES];
	struct bench b;
	int fd;

	bench_open(&b, new_key(first), IPC_ROLE_POP3);
	fd = channel_open(&b);
	assert_int_equal(ask(&b, fd, first, tls13), SIGNER_SIGNED);
	signer_serve_set_keys(b.serve, new_key(second));
	assert_int_equal(ask(&b, fd, first, tls13), SIGNER_SIGNED);
	assert_int_equal(ask(&b, fd, second, tls13), SIGNER_SIGNED);
	signer_serve_set_keys(b.serve, new_key(third));
	assert_int_equal(ask(&b, fd, first, tls13), SIGNER_REFUSED_KEY);
	assert_int_equal(ask(&b, fd, second, tls13), SIGNER_SIGNED);
	assert_int_equal(ask(&b, fd, third, tls13), SIGNER_SIGNED);
	close(fd);
	bench_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_connection_asks_and_is_answered),
		cmocka_unit_test(a_peer_that_is_somebody_else_is_dropped),
		cmocka_unit_test(an_acceptor_speaks_for_its_own),
		cmocka_unit_test(what_is_no_question_closes_that_channel_only),
		cmocka_unit_test(refusals_end_a_channel),
		cmocka_unit_test(a_reload_keeps_the_keys_before_it_for_a_while),
	};

	log_init(-1, false, LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
