#include "common/front/conn-private.h"

#include "common/base/clock.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/front/limits.h"

#include <event2/event.h>
#include <stdlib.h>

void front_bundle_close(struct front_bundle *b)
{
	fd_close(&b->client);
	fd_close(&b->sign);
	fd_close(&b->log);
	for (int i = 0; i < FRONT_PEERS; i++)
		fd_close(&b->ends[i]);
}

void front_conn_log(const struct front_conn *c)
{
	log_init(c->bundle.log, true, c->env->log_level);
	log_set_sid(c->facts.sid);
}

static void conn_free(struct front_conn *c)
{
	for (int i = 0; i < FRONT_PEERS; i++)
		ipc_chan_free(&c->peers[i].chan);
	if (c->core != NULL)
		front_conn_ops(c)->free(c->core);
	if (c->ev_read != NULL)
		event_free(c->ev_read);
	if (c->ev_write != NULL)
		event_free(c->ev_write);
	if (c->ev_timer != NULL)
		event_free(c->ev_timer);
	if (c->ev_turn != NULL)
		event_free(c->ev_turn);
	stream_close(&c->stream);
	front_bundle_close(&c->bundle);
	fd_close(&c->pass_fd);
	buf_fini(&c->in);
	buf_fini(&c->port.out);
	free(c);
}

void front_conn_end(struct front_conn *c, const char *why)
{
	if (c->dead)
		return;
	c->dead = true;
	front_conn_log(c);
	if (!c->env->door->quiet)
		log_ev(LOG_INFO, "conn.end", kv_s("why", why), kv_u("sent", c->port.written),
		    kv_i("ms", clock_mono_ms() - c->began_ms));
	event_del(c->ev_read);
	event_del(c->ev_write);
	event_del(c->ev_timer);
	event_active(c->ev_turn, 0, 0);
}

void front_conn_sweep(struct front_conn *c)
{
	struct front_env *env = c->env;
	uint64_t sid = c->facts.sid;

	*c->prev = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	conn_free(c);
	env->on_end(env, sid);
}

static const struct front_port_ops port_ops = { front_conn_send, front_conn_deadline };

static bool conn_begin(struct front_conn *c)
{
	if (!front_conn_events(c))
		return false;
	for (int i = 0; i < FRONT_PEERS; i++)
		if (c->bundle.ends[i] >= 0 &&
		    !front_conn_peer(c, (enum front_peer)i, &c->bundle.ends[i]))
			return false;
	if (event_add(c->ev_read, NULL) != 0)
		return false;
	return (c->bundle.flags & FRONT_BUNDLE_TLS) != 0 || front_conn_core(c);
}

static void facts_fill(struct front_conn *c)
{
	const struct front_bundle *b = &c->bundle;

	c->facts = (struct front_facts){ .host = c->env->host,
		.peer = b->peer,
		.local = b->local,
		.sid = b->sid,
		.tls_offered = (b->flags & FRONT_BUNDLE_TLS_OFFERED) != 0,
		.plain_login = (b->flags & FRONT_BUNDLE_PLAIN_LOGIN) != 0,
		.lmtp = (b->flags & FRONT_BUNDLE_LMTP) != 0,
		.submission = (b->flags & FRONT_BUNDLE_SUBMISSION) != 0 };
}

bool front_conn_start(struct front_env *env, struct front_bundle *take_bundle)
{
	struct front_conn *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		front_bundle_close(take_bundle);
		return false;
	}
	c->env = env;
	c->bundle = *take_bundle;
	c->pass_fd = -1;
	c->stream.fd = c->bundle.client;
	c->bundle.client = -1;
	c->began_ms = clock_mono_ms();
	c->read_size = FRONT_READ_FIRST;
	buf_init(&c->in, FRONT_IN_MAX);
	facts_fill(c);
	c->port = (struct front_port){
		.ops = &port_ops, .facts = &c->facts, .out = BUF_INIT(FRONT_OUT_MAX)
	};
	for (int i = 0; i < FRONT_PEERS; i++)
		c->peers[i].conn = c;
	if (!conn_begin(c)) {
		conn_free(c);
		return false;
	}
	c->next = env->conns;
	c->prev = &env->conns;
	if (c->next != NULL)
		c->next->prev = &c->next;
	env->conns = c;
	if ((c->bundle.flags & FRONT_BUNDLE_TLS) != 0)
		front_conn_tls(c);
	else
		front_conn_turn(c);
	return true;
}

void front_env_stop(struct front_env *env)
{
	for (struct front_conn *c = env->conns; c != NULL; c = c->next) {
		if (c->dead)
			continue;
		if (c->core == NULL) {
			front_conn_end(c, "stop");
			continue;
		}
		front_conn_ops(c)->on_event(c->core, FRONT_STOPPING);
		front_conn_turn_later(c);
	}
}

void front_env_orphan(struct front_env *env)
{
	for (struct front_conn *c = env->conns; c != NULL; c = c->next)
		c->orphan = true;
}
