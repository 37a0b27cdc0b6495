/*
 * A client's side of a login dialogue, whatever it says, before a worker that knows one account's
 * secret: nobody gets in without it, the name is told once, and a password is handed over only
 * where that is asked for.
 *
 * Input: a byte (bits 0-1 the mechanism, 2-3 what is stored, 4 a wrong password may be handed over,
 * 5 there is an initial response, 6 authd refuses the name), then pieces, each a length byte and as
 * much: what is stored, if it is any, and the client's responses.
 */
#include "authd/workers/dialogue.h"
#include "authd/workers/password.h"
#include "common/base/wire.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>

#define PASSWORD "gatehouse"

enum { MECH_PLAIN, MECH_LOGIN, MECH_SCRAM, MECH_APOP };
enum { KNOWN_PLAIN, KNOWN_TAGGED, KNOWN_ANY, KNOWN_NOT };

struct client {
	struct wire_reader in;
	struct buf said; /* everything, to be searched for the password */
	struct slice any;
	unsigned mech, stored, names;
	bool hand_over, refuses;
};

static struct slice piece(struct client *c)
{
	size_t n = wire_get_u8(&c->in);
	struct slice s = wire_get_raw(&c->in, n < wire_left(&c->in) ? n : wire_left(&c->in));

	buf_put(&c->said, s);
	return s;
}

/* A hash would take its time at each input: here are the forms that cost none. */
static bool on_name(
    void *ctx, struct slice authcid, struct slice authzid, struct dialogue_secret *ret)
{
	struct client *c = ctx;

	assert(++c->names == 1);
	assert(slice_find(authcid, 0) < 0 && slice_find(authzid, 0) < 0);
	if (c->refuses)
		return false;
	if (c->stored == KNOWN_PLAIN)
		buf_puts(&ret->stored, "{PLAIN}" PASSWORD);
	if (c->stored == KNOWN_ANY) {
		buf_puts(&ret->stored, c->mech == MECH_SCRAM ? "{SCRAM-SHA-256}" : "{PLAIN}");
		buf_put(&ret->stored, c->any);
	}
	if (c->stored == KNOWN_TAGGED) {
		wire_put_bytes(&ret->tagged, SLICE("tag"));
		wire_put_bytes(&ret->tagged, SLICE("{PLAIN}" PASSWORD));
	}
	ret->known = c->stored != KNOWN_NOT;
	ret->hand_over = c->hand_over;
	return true;
}

static bool on_challenge(void *ctx, struct slice data, struct buf *ret)
{
	struct client *c = ctx;

	assert(data.n <= 8192);
	if (wire_left(&c->in) == 0)
		return false;
	buf_put(ret, piece(c));
	return true;
}

static void check_end(
    const struct client *c, enum ipc_auth_status status, const struct dialogue_last *last)
{
	struct slice wanted = c->stored == KNOWN_ANY ? c->any : SLICE(PASSWORD);
	struct slice said = buf_slice(&c->said);

	if (status == IPC_AUTH_OK) {
		assert(c->names == 1 && !c->refuses && c->stored != KNOWN_NOT);
		assert(c->mech != MECH_SCRAM); /* nobody has its proof by chance */
		assert(c->mech == MECH_APOP || wanted.n == 0 ||
		       memmem(said.p, said.n, wanted.p, wanted.n) != NULL);
	}
	assert(last->password.n == 0 || (status == IPC_AUTH_BAD && c->hand_over));
	assert(last->tag.n == 0 || (status == IPC_AUTH_OK && c->stored == KNOWN_TAGGED));
	assert(last->words.n == 0 || status == IPC_AUTH_OK);
	assert(!c->refuses || c->names == 0 || status == IPC_AUTH_TRYLATER);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char *const mechs[] = { "PLAIN", "LOGIN", "SCRAM-SHA-256", "APOP" };
	static struct gsasl_warm *warm;
	struct client c = { .in = wire_reader(slice_of(data, n)), .said = BUF_INIT(1 << 20) };
	struct dialogue_port port = { &c, on_name, on_challenge };
	struct dialogue_last last = { .words = BUF_INIT(8192),
		.password = BUF_INIT(8192),
		.tag = BUF_INIT(PASSWORD_TAG_BYTES) };
	struct ipc_work_start start = { .service = SLICE("imap"), .host = SLICE("example.test") };
	uint8_t first = wire_get_u8(&c.in);

	if (warm == NULL && gsasl_warm_new(&warm) != 0)
		abort();
	c.mech = first & 3;
	c.stored = first >> 2 & 3;
	if (c.stored == KNOWN_NOT && (c.mech == MECH_PLAIN || c.mech == MECH_LOGIN))
		c.stored = KNOWN_PLAIN; /* takes as long as a hash */
	c.hand_over = (first & 16) != 0;
	c.refuses = (first & 64) != 0;
	if (c.stored == KNOWN_ANY)
		c.any = piece(&c);
	buf_reset(&c.said);
	start.mech = slice_str(mechs[c.mech]);
	start.has_initial = (first & 32) != 0 || c.mech == MECH_APOP;
	if (start.has_initial)
		start.initial = piece(&c);
	check_end(&c, dialogue_run(warm, &start, &port, &last), &last);
	buf_fini(&last.words);
	buf_fini(&last.password);
	buf_fini(&last.tag);
	buf_fini(&c.said);
	return 0;
}
