#include "protocols/admin/admin-private.h"

#include "common/base/secret.h"
#include "common/base/wire.h"

#include <stdlib.h>

enum admin_state {
	ADMIN_ASKING, /* authd is asked who this is */
	ADMIN_OPEN,
	ADMIN_CLOSING,
};

struct admin {
	struct front_port *port;
	const struct admin_conf *conf;
	enum admin_state state;
	struct cmd *head, **tail;
	size_t under_way;
	uint32_t seq;
	size_t scanned; /* bytes of the waiting line that hold no LF */
	bool inline_data;
};

struct front_port *cmd_port(const struct cmd *c)
{
	return c->a->port;
}

/* ---- replies ---- */

void cmd_error(struct cmd *c, const char *text)
{
	buf_reset(&c->text);
	buf_printf(&c->text, "501 %s", text);
	c->has_data = false;
	c->status = buf_cstr(&c->text);
}

void cmd_error_made(struct cmd *c, struct slice text)
{
	buf_reset(&c->text);
	buf_puts(&c->text, "501 ");
	buf_put(&c->text, text);
	c->has_data = false;
	c->status = buf_cstr(&c->text);
}

void cmd_usage(struct cmd *c)
{
	buf_reset(&c->text);
	buf_printf(&c->text, "501 usage: %s", c->verb->usage);
	c->has_data = false;
	c->status = buf_cstr(&c->text);
}

void cmd_ok(struct cmd *c)
{
	c->status = "200 done";
}

void cmd_data(struct cmd *c)
{
	if (c->data.overflow) {
		cmd_error(c, "the answer is too long");
		return;
	}
	c->has_data = true;
	c->status = c->a->inline_data ? "201 " : "200 data follow";
}

static void put_reply(struct admin *a, struct cmd *c)
{
	struct buf *out = &a->port->out;

	if (c->has_data && c->data.n + 100 > out->max - out->n)
		cmd_error(c, "the answer is too long");

	buf_puts(out, c->status != NULL ? c->status : "501 out of memory");
	if (c->has_data) {
		if (!a->inline_data)
			buf_puts(out, "\r\n");
		buf_put(out, buf_slice(&c->data));
	}
	buf_puts(out, "\r\n");
}

static void cmd_free(struct cmd *c)
{
	arena_fini(&c->mem);
	buf_fini(&c->data);
	buf_fini(&c->text);
	free(c);
}

/* Replies in the order of the commands, as far as they are there. */
static void flush(struct admin *a)
{
	while (a->head != NULL && a->head->status != NULL) {
		struct cmd *c = a->head;

		put_reply(a, c);
		a->head = c->next;
		if (a->head == NULL)
			a->tail = &a->head;
		a->under_way--;
		cmd_free(c);
	}
	a->port->busy = a->under_way > 0;
}

void admin_set_inline(struct cmd *c)
{
	c->a->inline_data = true;
	cmd_ok(c);
}

void admin_quit(struct cmd *c)
{
	c->status = "200 closing";
	c->a->state = ADMIN_CLOSING;
}

/* ---- questions ---- */

uint32_t cmd_next_seq(struct cmd *c)
{
	return c->seq = ++c->a->seq;
}

void cmd_ask(
    struct cmd *c, enum front_peer peer, enum ipc_type type, const void *msg, cmd_reply_fn *then)
{
	c->on_reply = then;
	if (front_send(c->a->port, peer, type, msg) != 0)
		cmd_error(c, "a server is away; try again");
}

void cmd_ask_dir(
    struct cmd *c, uint32_t verb, const struct slice *args, size_t n, cmd_reply_fn *then)
{
	struct buf packed = BUF_INIT(61440);
	struct ipc_dir_ask m = { .seq = cmd_next_seq(c), .verb = verb };

	for (size_t i = 0; i < n; i++)
		wire_put_bytes(&packed, args[i]);
	m.args = buf_slice(&packed);
	if (packed.overflow)
		cmd_error(c, "the command is too long");
	else
		cmd_ask(c, FRONT_DIR, IPC_dir_ask, &m, then);
	buf_fini(&packed);
}

bool cmd_dir_failed(struct cmd *c, const union ipc_any *m)
{
	struct wire_reader r = wire_reader(m->dir_reply.data);

	if (m->dir_reply.status == IPC_DIR_OK)
		return false;
	cmd_error_made(c, wire_get_bytes(&r, 1000));
	return true;
}

void cmd_dir_done(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	if (!cmd_dir_failed(c, m))
		cmd_ok(c);
}

static void on_undone(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	if (m->dir_reply.status == IPC_DIR_OK)
		cmd_error_made(c, c->kept);
	else
		cmd_error(c, "this was done in part, and that part could not be taken back");
}

void cmd_undo(struct cmd *c, uint32_t verb, struct slice name)
{
	c->kept = arena_copy(&c->mem, slice_from(buf_slice(&c->text), 4));
	if (c->kept.p == NULL)
		return;
	c->status = NULL;
	cmd_ask_dir(c, verb, &name, 1, on_undone);
}

void cmd_dir_array(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r = wire_reader(m->dir_reply.data);

	if (cmd_dir_failed(c, m))
		return;
	if (c->data.n == 0) {
		buf_putc(&c->data, '(');
		c->first = true;
	}
	while (wire_left(&r) > 0 && !r.bad)
		data_put_item(&c->data, &c->first, wire_get_bytes(&r, UINT32_MAX));
	if (m->dir_reply.more)
		return;
	buf_putc(&c->data, ')');
	cmd_data(c);
}

static void on_account(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r = wire_reader(m->dir_reply.data);
	void (*then)(struct cmd * c) = NULL;

	if (cmd_dir_failed(c, m))
		return;
	slice_u64(wire_get_bytes(&r, 20), UINT64_MAX, &c->account);
	memcpy(&then, c->kept2.p, sizeof(then));
	then(c);
}

void cmd_find_account(struct cmd *c, struct slice name, void (*then)(struct cmd *c))
{
	c->kept2 = arena_copy(&c->mem, slice_of(&then, sizeof(then)));
	if (c->kept2.p == NULL)
		cmd_error(c, "out of memory");
	else
		cmd_ask_dir(c, VERB_account_info, &name, 1, on_account);
}

/* ---- words ---- */

bool cmd_word_is(const struct cmd *c, size_t at, const char *keyword)
{
	return at < c->words && c->word[at]->kind == DATA_STRING &&
	       slice_ieq(c->word[at]->text, slice_str(keyword));
}

struct slice cmd_text(const struct cmd *c, size_t at)
{
	return at < c->words && c->word[at]->kind == DATA_STRING ? c->word[at]->text : SLICE_NONE;
}

/* ---- command lines ---- */

static const struct verb *verb_find(struct slice name)
{
	for (size_t i = 0; i < admin_verb_count; i++)
		if (slice_ieq(name, slice_str(admin_verbs[i].name)))
			return &admin_verbs[i];
	return NULL;
}

static struct cmd *cmd_new(struct admin *a)
{
	struct cmd *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->a = a;
	arena_init(&c->mem, ADMIN_MEM_MAX);
	c->data = BUF_INIT(ADMIN_OUT_MAX);
	c->text = BUF_INIT(ADMIN_LINE_MAX);
	*a->tail = c;
	a->tail = &c->next;
	a->under_way++;
	return c;
}

/* The words after the verb: strings and, for settings and lists, whole values. */
static bool parse_words(struct cmd *c, struct slice rest)
{
	const char *why = NULL;

	c->word = arena_alloc(&c->mem, ADMIN_WORDS_MAX * sizeof(*c->word));
	data_skip_blanks(&rest);
	while (c->word != NULL && rest.n > 0 && c->words < ADMIN_WORDS_MAX) {
		c->word[c->words] = data_parse_word(&c->mem, &rest, &why);
		if (c->word[c->words] == NULL) {
			cmd_error(c, why);
			return false;
		}
		c->words++;
		data_skip_blanks(&rest);
	}
	if (c->word != NULL && rest.n == 0)
		return true;
	cmd_error(c, "the command has too many words");
	return false;
}

static struct slice line_verb(struct slice line)
{
	ptrdiff_t blank;

	line = slice_trim(line);
	blank = slice_find(line, ' ');
	return blank < 0 ? line : slice_part(line, 0, (size_t)blank);
}

static bool kinds_right(const struct cmd *c)
{
	for (size_t i = 0; i < c->words; i++) {
		enum data_kind kind = c->word[i]->kind;
		char want = c->verb->kinds[i];

		if ((want == 's' && kind != DATA_STRING) || (want == 'a' && kind != DATA_ARRAY) ||
		    (want == 'd' && kind != DATA_DICT) ||
		    (want == 'n' && kind != DATA_STRING && kind != DATA_NUMBER))
			return false;
	}
	return true;
}

static void line_run(struct admin *a, struct slice line)
{
	struct cmd *c = cmd_new(a);
	struct slice own = c != NULL ? arena_copy(&c->mem, slice_trim(line)) : SLICE_NONE;
	struct slice name = line_verb(own);

	if (c == NULL) {
		a->state = ADMIN_CLOSING;
		return;
	}
	c->verb = verb_find(name);
	if (own.p == NULL)
		cmd_error(c, "out of memory");
	else if (name.n == 0 || slice_find(own, 0) >= 0)
		cmd_error(c, "this is not a command");
	else if (c->verb == NULL)
		cmd_error(c, "unknown command");
	else if (parse_words(c, slice_from(own, name.n))) {
		if (c->words < c->verb->least || c->words > c->verb->most || !kinds_right(c))
			cmd_usage(c);
		else
			c->verb->run(c);
	}
}

/* May this line be worked on beside those under way? */
static bool may_start(const struct admin *a, struct slice line)
{
	const struct verb *v = verb_find(line_verb(line));

	if (a->head == NULL)
		return true;
	return v != NULL && v->overlaps && a->head->verb == v && a->under_way < ADMIN_PIPELINE_MAX;
}

/* LF or CR LF ends a line here: the other end is a program of this machine or a person's terminal.
 */
static size_t feed(void *core, struct slice in)
{
	struct admin *a = core;
	size_t used = 0;

	flush(a);
	while (a->state == ADMIN_OPEN && in.n > 0) {
		ptrdiff_t lf = slice_find(slice_from(in, a->scanned), '\n');
		struct slice line;

		if (lf < 0) {
			a->scanned = in.n;
			break;
		}
		line = slice_part(in, 0, a->scanned + (size_t)lf);
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		if (!may_start(a, line) || front_pending(a->port) > (1 << 20))
			return used;
		used += a->scanned + (size_t)lf + 1;
		in = slice_from(in, a->scanned + (size_t)lf + 1);
		a->scanned = 0;
		if (line.n > 0)
			line_run(a, line);
		front_deadline(a->port, a->conf->idle_ms);
		flush(a);
	}
	if (a->state == ADMIN_OPEN && a->scanned > ADMIN_LINE_MAX) {
		buf_puts(&a->port->out, "501 the line is too long\r\n");
		a->state = ADMIN_CLOSING;
	}
	if (a->state == ADMIN_CLOSING && a->head == NULL)
		a->port->want_close = true;
	return used;
}

/* ---- answers ---- */

static uint32_t seq_of(enum ipc_type type, const union ipc_any *m)
{
	switch (type) {
	case IPC_dir_reply:
		return m->dir_reply.seq;
	case IPC_secret_done:
		return m->secret_done.seq;
	case IPC_sess_rows:
		return m->sess_rows.seq;
	case IPC_stat_reply:
		return m->stat_reply.seq;
	default:
		return 0;
	}
}

static void refuse_all(struct admin *a, const char *line)
{
	buf_puts(&a->port->out, line);
	a->state = ADMIN_CLOSING;
}

static void on_auth(struct admin *a, enum ipc_type type, const union ipc_any *m)
{
	if (a->state != ADMIN_ASKING)
		return;
	if (type == IPC_auth_admin) {
		a->state = ADMIN_OPEN;
		buf_puts(&a->port->out, "200 ");
		buf_put(&a->port->out, a->port->facts->host);
		buf_puts(&a->port->out, " Gatehouse " GH_VERSION " is ready\r\n");
	} else if (type == IPC_auth_refused && m->auth_refused.why == IPC_AUTH_TRYLATER) {
		refuse_all(a, "501 a server is away; try again\r\n");
	} else {
		refuse_all(a, "501 this user is not an administrator; see admin_users\r\n");
	}
}

static void on_msg(void *core, enum front_peer from, enum ipc_type type, const union ipc_any *m)
{
	struct admin *a = core;
	uint32_t seq = seq_of(type, m);

	if (from == FRONT_AUTH) {
		on_auth(a, type, m);
		return;
	}
	for (struct cmd *c = a->head; c != NULL; c = c->next) {
		if (c->seq != seq || c->status != NULL || c->on_reply == NULL)
			continue;
		c->on_reply(c, type, m);
		return;
	}
}

static void on_gone(void *core, enum front_peer peer)
{
	struct admin *a = core;

	if (peer == FRONT_AUTH && a->state == ADMIN_ASKING)
		refuse_all(a, "501 a server is away; try again\r\n");
	if (peer == FRONT_AUTH)
		return;
	/* The rights of this connection went with the channel; what was asked may or may not be
	 * done. */
	for (struct cmd *c = a->head; c != NULL; c = c->next)
		if (c->status == NULL)
			cmd_error(c, "a server went away; it is not known whether this was done");
	a->state = ADMIN_CLOSING;
}

static void on_event(void *core, enum front_event event)
{
	struct admin *a = core;

	if (a->head != NULL && event == FRONT_TIMEOUT) {
		front_deadline(a->port, a->conf->idle_ms);
		return;
	}
	refuse_all(a, event == FRONT_TIMEOUT ? "501 closing: no command for too long\r\n"
					     : "501 closing: the server stops\r\n");
}

static void *start(struct front_port *p, const void *conf)
{
	struct admin *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	*a = (struct admin){ .port = p, .conf = conf };
	a->tail = &a->head;
	/* Listings are long, and who asks for them is trusted with more memory than a stranger. */
	p->out.max = ADMIN_OUT_MAX;
	front_deadline(p, a->conf->idle_ms);
	if (front_send(p, FRONT_AUTH, IPC_auth_peer, &(struct ipc_auth_peer){}) != 0)
		on_gone(a, FRONT_AUTH);
	return a;
}

static void admin_free(void *core)
{
	struct admin *a = core;

	while (a->head != NULL) {
		struct cmd *c = a->head;

		a->head = c->next;
		cmd_free(c);
	}
	free(a);
}

const struct front_core admin_core = { .start = start,
	.free = admin_free,
	.feed = feed,
	.on_msg = on_msg,
	.on_gone = on_gone,
	.on_event = on_event };
