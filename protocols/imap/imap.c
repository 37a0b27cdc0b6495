/*
 * imap - life of a session: turns, replies, the deadline, the end.
 */
#include "protocols/imap/imap-private.h"

#include <stdlib.h>

/* ---- replies -------------------------------------------------------------------------------- */

static const char *const cond_word[] = { "OK", "NO", "BAD" };

struct writer imap_reply_begin(struct imap *s, enum imap_cond cond)
{
	struct writer w = writer(&s->reply, s->utf8);

	buf_reset(&s->reply);
	write_status(&w, s->tag, cond_word[cond]);
	s->errors = cond == IMAP_BAD ? s->errors + 1 : 0;
	return w;
}

void imap_reply_end(struct imap *s, struct writer *w)
{
	bool quiet = s->cmd == NULL || (s->cmd->flags & IMAP_CMD_QUIET) != 0;

	write_end(w);
	s->done = true;
	s->idling = false;
	if (!quiet)
		imap_tell_begin(s, s->uid || (s->cmd->flags & IMAP_CMD_NO_GONE) == 0);
}

void imap_done(struct imap *s, enum imap_cond cond, const char *code, const char *text)
{
	struct writer w = imap_reply_begin(s, cond);

	if (code != NULL) {
		write_code(&w, code);
		write_code_end(&w);
	}
	write_text(&w, slice_str(text));
	imap_reply_end(s, &w);
}

void imap_bad(struct imap *s, const struct parse *p)
{
	struct buf text = BUF_INIT(200);

	if (p->refused) {
		imap_done(s, IMAP_NO, "CANNOT", p->error);
		return;
	}
	buf_printf(&text, "%s (octet %zu)", p->error != NULL ? p->error : "not understood",
	    (size_t)p->error_at);
	imap_done(s, IMAP_BAD, NULL, buf_cstr(&text));
	buf_fini(&text);
}

void imap_store_failed(struct imap *s, uint32_t status)
{
	static const struct {
		const char *code, *text;
	} answers[] = {
		[IPC_ST_NOTFOUND] = { "NONEXISTENT", "no such mailbox" },
		[IPC_ST_DENIED] = { "NOPERM", "not allowed" },
		[IPC_ST_EXISTS] = { "ALREADYEXISTS", "the mailbox exists" },
		[IPC_ST_OVERQUOTA] = { "OVERQUOTA", "over the quota" },
		[IPC_ST_FULL] = { "UNAVAILABLE", "no space on the server" },
		[IPC_ST_TRYLATER] = { "UNAVAILABLE", "not possible now, try again" },
		[IPC_ST_CORRUPT] = { "CORRUPTION", "the message is damaged" },
		[IPC_ST_TOOBIG] = { "TOOBIG", "the message is too large" },
		[IPC_ST_BAD] = { "SERVERBUG", "the request makes no sense" },
		[IPC_ST_LIMIT] = { "LIMIT", "too many" },
		[IPC_ST_CANNOT] = { "CANNOT", "this cannot be done with this mailbox" },
	};
	bool known = status < sizeof(answers) / sizeof(answers[0]) && answers[status].text != NULL;

	imap_done(s, IMAP_NO, known ? answers[status].code : "SERVERBUG",
	    known ? answers[status].text : "failed");
}

void imap_untagged(struct imap *s, const char *word, const char *code, const char *text)
{
	struct writer w = imap_writer(s);

	write_reply(&w, SLICE(""), word, code, text);
}

/* ---- the end -------------------------------------------------------------------------------- */

void imap_enter(struct imap *s, enum imap_state state)
{
	s->state = state;
	s->touched = true;
	if (state == IMAP_ENDED)
		s->port->want_close = true;
}

static void job_end(struct imap *s)
{
	struct imap_job *j = s->job;

	s->job = NULL;
	s->delay_ms = 0;
	if (j != NULL)
		j->ops->free(j);
}

void imap_bye(struct imap *s, const char *text)
{
	struct writer w = imap_writer(s);

	if (s->state == IMAP_ENDED)
		return;
	/* What was done is said even when the rest cannot be told any more. */
	if (s->done)
		write_buf(&w, &s->reply);
	if (s->job == NULL || !s->job->mid_reply)
		write_reply(&w, SLICE(""), "BYE", NULL, text);
	imap_enter(s, IMAP_ENDED);
}

/* ---- stored --------------------------------------------------------------------------------- */

int imap_send(struct imap *s, enum ipc_type type, const void *msg)
{
	return front_send(s->port, FRONT_SESSION, type, msg);
}

void imap_credit(struct imap *s, size_t bytes)
{
	s->credit_owed += (uint32_t)bytes;
}

static void credit_give(struct imap *s)
{
	struct ipc_session_credit m = { .bytes = s->credit_owed };

	if (s->credit_owed < IMAP_CREDIT_STEP || front_pending(s->port) >= FRONT_OUT_LOW)
		return;
	s->credit_owed = 0;
	imap_send(s, IPC_session_credit, &m);
}

/* ---- jobs ----------------------------------------------------------------------------------- */

void imap_job_begin(struct imap *s, struct imap_job *take_job, const struct imap_job_ops *ops)
{
	take_job->s = s;
	take_job->ops = ops;
	s->job_seq = s->seq;
	s->job = take_job;
}

void imap_job_delay(struct imap_job *j, uint32_t ms)
{
	j->s->delay_ms = ms;
	j->s->touched = true;
}

static void command_end(struct imap *s)
{
	struct writer w = imap_writer(s);

	write_buf(&w, &s->reply);
	if (s->reply.cap > FRONT_READ_FIRST)
		buf_fini(&s->reply);
	if (s->cmd != NULL && (s->cmd->flags & IMAP_CMD_SECRET) != 0)
		secret_wipe(s->gather.text.p, s->gather.text.cap);
	imap_gather_reset(s);
	arena_reset(&s->arena);
	s->cmd = NULL;
	s->done = false;
	s->touched = true;
	s->port->want_tls = s->begin_tls;
	s->port->want_deflate = s->begin_deflate;
	s->begin_deflate = false;
	if (s->errors >= IMAP_ERRORS_MAX)
		imap_bye(s, "too many errors");
	if (s->dying)
		imap_enter(s, IMAP_ENDED);
}

/* ---- turns ---------------------------------------------------------------------------------- */

static bool job_step(struct imap *s, struct slice in, size_t *ret_used)
{
	struct imap_job *j = s->job;

	if (s->idling && s->tell.step == IMAP_TELL_NOTHING)
		imap_tell_texts(s);
	if (s->idling && (s->tell.step != IMAP_TELL_NOTHING || view_pending(&s->view, true))) {
		if (s->tell.step == IMAP_TELL_NOTHING)
			imap_tell_begin(s, true);
		if (!imap_tell_go(s))
			return false;
	}
	if (j->ops->go != NULL)
		j->ops->go(j);
	if (s->done || s->state == IMAP_ENDED)
		return true;
	if (j->ops->feed != NULL && in.n > 0 && !imap_full(s))
		*ret_used = j->ops->feed(j, in);
	return s->done || *ret_used > 0;
}

static bool stop_wanted(struct imap *s)
{
	/* Nothing is lost with a dialogue before the login. */
	if (!s->stopping || (s->cmd != NULL && !s->idling && s->state != IMAP_START))
		return false;
	imap_bye(s, s->bye_text != NULL ? s->bye_text : "the server is stopping");
	return true;
}

/* One step: false when nothing moves without input, room for output, or an answer. */
static bool step(struct imap *s, struct slice in, size_t *ret_used)
{
	*ret_used = 0;
	if (s->state == IMAP_ENDED || s->port->want_tls || s->port->want_deflate || stop_wanted(s))
		return false;
	if (s->done) {
		job_end(s);
		if (!imap_tell_go(s) || s->state == IMAP_ENDED)
			return false;
		command_end(s);
		return true;
	}
	if (s->cmd != NULL)
		return s->job != NULL && job_step(s, in, ret_used);
	if (imap_full(s))
		return false;
	*ret_used = imap_gather_feed(s, in);
	return *ret_used > 0 || s->cmd != NULL;
}

static uint32_t deadline_ms(const struct imap *s)
{
	uint32_t login = s->conf.login_ms;
	int64_t gone_ms = (s->port->wall_s - s->began_s) * 1000;

	if (s->delay_ms > 0)
		return s->delay_ms;
	if (s->state == IMAP_START)
		return gone_ms < 0 ? login : gone_ms >= login ? 1 : login - (uint32_t)gone_ms;
	return s->port->busy && front_pending(s->port) == 0 ? IMAP_ANSWER_MS : s->conf.idle_ms;
}

static void deadline_renew(struct imap *s)
{
	if (!s->touched)
		return;
	s->touched = false;
	s->timer_written = s->port->written;
	front_deadline(s->port, deadline_ms(s));
}

static size_t imap_feed(void *core, struct slice in)
{
	struct imap *s = core;
	size_t used = 0, n;

	while (step(s, slice_from(in, used), &n) || n > 0) {
		s->touched |= n > 0;
		used += n;
	}
	s->port->busy = s->cmd != NULL && (s->job == NULL || !s->job->client_turn);
	credit_give(s);
	deadline_renew(s);
	return s->state == IMAP_ENDED ? in.n : used;
}

static void on_timeout(struct imap *s)
{
	if (s->delay_ms > 0) {
		s->delay_ms = 0;
		if (s->job != NULL && s->job->ops->timeout != NULL)
			s->job->ops->timeout(s->job);
		return;
	}
	/* A client that still reads a long answer is alive. */
	if (front_pending(s->port) > 0 && s->port->written != s->timer_written) {
		s->touched = true;
		return;
	}
	imap_bye(s, s->state == IMAP_START ? "no login in time"
		    : s->port->busy && front_pending(s->port) == 0
			? "the mailboxes are not available now"
			: "idle for too long");
}

static void imap_on_event(void *core, enum front_event event)
{
	struct imap *s = core;

	if (event == FRONT_TIMEOUT)
		on_timeout(s);
	else
		s->stopping = true;
}

/* ---- what comes from other processes -------------------------------------------------------- */

static const char *bye_text(uint32_t why)
{
	switch (why) {
	case IPC_BYE_KICKED:
		return "the session was ended by an administrator";
	case IPC_BYE_IDENTITY:
		return "the account was changed, log in again";
	case IPC_BYE_STORE:
		return "the mailboxes are not available now";
	default:
		return "the server is stopping";
	}
}

/*
 * Octets that the command under way did not ask for: the one that did ended without them, but their
 * window must go back to stored.
 */
static bool unclaimed(struct imap *s, enum ipc_type type, const union ipc_any *m)
{
	uint32_t seq;
	size_t n;

	if (type == IPC_body_data) {
		seq = m->body_data.seq;
		n = m->body_data.data.n;
	} else if (type == IPC_facts_are) {
		seq = m->facts_are.seq;
		n = m->facts_are.facts.n;
	} else {
		return false;
	}
	if (s->job != NULL && !s->done && (int32_t)(seq - s->job_seq) > 0)
		return false;
	imap_credit(s, n);
	return true;
}

static void session_msg(struct imap *s, enum ipc_type type, const union ipc_any *m)
{
	struct view *v = &s->view;
	bool good = true;

	switch (type) {
	case IPC_mbox_event:
		if (m->mbox_event.mbox == v->mbox)
			good = view_events(v, m->mbox_event.rows, m->mbox_event.sets);
		break;
	case IPC_mbox_keywords:
		if (m->mbox_keywords.mbox == v->mbox)
			good = view_keywords_add(
			    v, &s->box_arena, m->mbox_keywords.first, m->mbox_keywords.names);
		break;
	case IPC_mbox_gone:
		if (m->mbox_gone.mbox == v->mbox)
			imap_mailbox_gone(s, m->mbox_gone.own != 0);
		break;
	case IPC_quota_level:
		s->quota_level = m->quota_level.percent;
		s->quota_over = m->quota_level.over != 0;
		s->quota_kind = m->quota_level.kind;
		break;
	case IPC_session_alerts:
		imap_alerts_came(s, m->session_alerts.texts);
		break;
	case IPC_session_bye:
		s->stopping = true;
		s->bye_text = bye_text(m->session_bye.why);
		break;
	default:
		if (unclaimed(s, type, m))
			break;
		if (type == IPC_mbox_rows && s->tell.step == IMAP_TELL_WAIT &&
		    m->mbox_rows.seq == s->tell.seq)
			imap_tell_rows(s, &m->mbox_rows);
		else if (s->job != NULL && !s->done && s->job->ops->on_msg != NULL)
			s->job->ops->on_msg(s->job, type, m);
	}
	if (!good)
		imap_bye(s, "not enough memory");
}

static void imap_on_msg(
    void *core, enum front_peer from, enum ipc_type type, const union ipc_any *m)
{
	struct imap *s = core;

	if (s->state == IMAP_ENDED)
		return;
	s->touched |= s->cmd != NULL && !s->idling;
	if (from == FRONT_AUTH)
		imap_auth_msg(s, type, m);
	else
		session_msg(s, type, m);
}

static void imap_on_gone(void *core, enum front_peer peer)
{
	struct imap *s = core;

	if (peer == FRONT_SESSION)
		imap_bye(
		    s, s->bye_text != NULL ? s->bye_text : "the mailboxes are not available now");
	else if (peer == FRONT_AUTH && s->state == IMAP_START)
		imap_auth_gone(s);
}

/* ---- beginning and end ---------------------------------------------------------------------- */

static void greet(struct imap *s)
{
	struct writer w = imap_writer(s);
	struct buf text = BUF_INIT(1024);

	buf_put(&text, s->port->facts->host);
	buf_puts(&text, " IMAP ready");
	write_status(&w, SLICE(""), "OK");
	write_code(&w, "CAPABILITY");
	imap_put_capabilities(s, &w);
	write_code_end(&w);
	write_text(&w, buf_slice(&text));
	write_end(&w);
	buf_fini(&text);
}

static void *imap_start(struct front_port *port, const void *conf)
{
	struct imap *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->port = port;
	s->conf = *(const struct imap_conf *)conf;
	s->conf.login_ms = s->conf.login_ms != 0 ? s->conf.login_ms : IMAP_LOGIN_MS;
	s->conf.idle_ms = s->conf.idle_ms != 0 ? s->conf.idle_ms : IMAP_IDLE_MS;
	s->conf.append_max = s->conf.append_max != 0 ? s->conf.append_max : IMAP_APPEND_MAX;
	s->state = IMAP_START;
	s->began_s = port->wall_s;
	s->touched = true;
	imap_gather_reset(s);
	buf_init(&s->reply, IMAP_REPLY_MAX);
	buf_init(&s->alerts, IMAP_ALERTS_MAX);
	arena_init(&s->arena, IMAP_ARENA_MAX);
	arena_init(&s->box_arena, IMAP_ARENA_MAX);
	if (!port->facts->restarted)
		greet(s);
	deadline_renew(s);
	return s;
}

static void imap_free(void *core)
{
	struct imap *s = core;

	if (s == NULL)
		return;
	job_end(s);
	buf_fini(&s->gather.text);
	buf_fini(&s->reply);
	buf_fini(&s->alerts);
	arena_fini(&s->arena);
	arena_fini(&s->box_arena);
	imap_tell_reset(s);
	view_fini(&s->view);
	set_fini(&s->saved);
	free(s);
}

const struct front_core imap_core = {
	.start = imap_start,
	.free = imap_free,
	.feed = imap_feed,
	.on_msg = imap_on_msg,
	.on_gone = imap_on_gone,
	.on_event = imap_on_event,
};
