#include "tests/wire/world.h"

#include "common/mail/facts.h"
#include "common/mail/threadid.h"

#include <assert.h>
#include <event2/event.h>

enum { WAIT_MS = 5000, QUIET_TURNS = 4 };

static bool on_open(struct fake_store *s, unsigned user)
{
	struct world_session *e = (struct world_session *)s;
	int status = 0;

	e->user = user;
	e->client = rig_session(&e->world->rig, user, ++e->world->sid, &status);
	return e->client != NULL;
}

static void on_send(struct fake_store *s, enum ipc_type type, const void *msg)
{
	rig_send(((struct world_session *)s)->client, type, msg);
}

static const union ipc_any *on_next(
    struct fake_store *s, bool wait, enum ipc_type *ret_type, bool *ret_gone)
{
	struct world_session *e = (struct world_session *)s;
	const union ipc_any *m;

	for (int i = 0; i < QUIET_TURNS && e->client->head == NULL; i++)
		event_base_loop(e->world->rig.base, EVLOOP_NONBLOCK);
	m = rig_next(e->client, wait ? WAIT_MS : 0, ret_type, NULL);
	*ret_gone = m == NULL && e->client->gone;
	return m;
}

void world_init(struct world *w, const char *engine)
{
	*w = (struct world){ .sid = 100 };
	rig_init(&w->rig, engine);
	for (unsigned u = 1; u <= FAKE_USERS; u++)
		assert(rig_account(&w->rig, u, IPC_account_make) == IPC_ST_OK);
}

void world_fini(struct world *w)
{
	rig_fini(&w->rig);
}

struct fake_store *world_store(struct world *w)
{
	struct world_session *e = &w->sessions[w->n_sessions++];

	assert(w->n_sessions <= WORLD_SESSIONS);
	*e = (struct world_session){ .store = { on_open, on_send, on_next }, .world = w };
	return &e->store;
}

void world_deliver(struct world *w, unsigned user, struct slice body)
{
	struct facts_maker *maker = facts_maker_new();
	struct buf facts = BUF_INIT(FACTS_MAX);
	uint8_t thread[THREADID_BYTES_MAX];
	uint32_t handle = 1;
	struct rig_client *post = rig_post(&w->rig, ++w->sid);

	assert(maker != NULL);
	facts_maker_feed(maker, body);
	assert(facts_maker_finish(maker, &facts) == 0);
	assert(rig_target(&w->rig, w->sid, handle, user, 0) == IPC_ST_OK);
	w->rig.thread = slice_of(thread, threadid_pack(buf_slice(&facts), thread));
	if (!w->no_headers)
		w->rig.header = facts_maker_header(maker);
	rig_deliver(post, 1, &handle, 1, body, buf_slice(&facts));
	assert(rig_wait(post, IPC_post_result)->post_result.status == IPC_ST_OK);
	w->rig.thread = w->rig.header = SLICE_NONE;
	rig_client_close(post);
	facts_maker_free(&maker);
	buf_fini(&facts);
}
