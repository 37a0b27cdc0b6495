/*
 * drop - the maildrop: its list as it was at login, marks for deletion, and the update at QUIT.
 */
#include "protocols/pop3/pop3-private.h"

#include "common/base/checked.h"
#include "common/base/wire.h"

#include <stdlib.h>

enum { ROW_BYTES = IPC_ROW_BYTES };

static void open_failed(struct pop3 *s)
{
	pop3_err(s, "[SYS/TEMP] the mailbox is not available now");
	pop3_close(s);
}

void pop3_open(struct pop3 *s)
{
	struct ipc_mbox_open m = { .seq = ++s->seq, .name = SLICE("INBOX") };

	pop3_job(s, POP3_OPENING);
	if (front_send(s->port, FRONT_SESSION, IPC_mbox_open, &m) != 0)
		open_failed(s);
}

static void opened(struct pop3 *s)
{
	struct buf *out = &s->port->out;

	pop3_enter(s, POP3_TRANSACTION);
	pop3_job(s, POP3_NO_JOB);
	buf_puts(out, "+OK logged in, messages: ");
	buf_putu(out, s->n_msgs);
	buf_puts(out, "\r\n");
	s->errors = 0;
}

static void scan(struct pop3 *s, uint32_t from_uid)
{
	struct ipc_mbox_scan m = {
		.seq = ++s->seq, .mbox = s->mbox, .from_uid = from_uid, .limit = POP3_SCAN_ROWS
	};

	if (front_send(s->port, FRONT_SESSION, IPC_mbox_scan, &m) != 0)
		open_failed(s);
}

static void on_opened(struct pop3 *s, const struct ipc_mbox_opened *m)
{
	if (m->status != IPC_ST_OK) {
		open_failed(s);
		return;
	}
	s->mbox = m->mbox;
	s->uidvalidity = m->uidvalidity;
	s->uidnext = m->uidnext;
	if (m->exists == 0)
		opened(s);
	else
		scan(s, 1);
}

static bool msgs_room(struct pop3 *s, size_t more)
{
	size_t want = s->n_msgs + more, cap = s->cap_msgs;
	struct pop3_msg *p;

	if (want <= cap)
		return true;
	cap = cap * 2 > want ? cap * 2 : want;
	p = realloc(s->msgs, cap * sizeof(*p));
	if (p == NULL)
		return false;
	s->msgs = p;
	s->cap_msgs = (uint32_t)cap;
	return true;
}

static void on_rows(struct pop3 *s, const struct ipc_mbox_rows *m)
{
	size_t n = m->rows.n / ROW_BYTES;
	bool more = m->more != 0;

	if (n > POP3_MESSAGES_MAX - s->n_msgs) {
		n = POP3_MESSAGES_MAX - s->n_msgs;
		more = false;
	}
	if (m->status != IPC_ST_OK || !msgs_room(s, n)) {
		open_failed(s);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		const uint8_t *row = m->rows.p + i * ROW_BYTES;
		struct pop3_msg *msg = &s->msgs[s->n_msgs++];

		*msg =
		    (struct pop3_msg){ .uid = wire_load_u32(row), .size = wire_load_u64(row + 16) };
		if (add_overflows_u64(s->bytes, msg->size, &s->bytes)) {
			open_failed(s);
			return;
		}
	}
	if (more)
		scan(s, m->next_uid);
	else
		opened(s);
}

static bool msg_number(const struct pop3 *s, struct slice arg, uint32_t *ret_index)
{
	uint64_t n;

	if (slice_u64(arg, UINT32_MAX, &n) != 0 || n == 0 || n > s->n_msgs)
		return false;
	*ret_index = (uint32_t)n - 1;
	return true;
}

struct pop3_msg *pop3_msg_arg(struct pop3 *s, struct slice arg)
{
	uint32_t i;

	if (!msg_number(s, slice_trim(arg), &i)) {
		pop3_err(s, "no such message");
		return NULL;
	}
	if (s->msgs[i].deleted) {
		pop3_err(s, "the message is marked as deleted");
		return NULL;
	}
	return &s->msgs[i];
}

void pop3_cmd_stat(struct pop3 *s, struct slice arg)
{
	struct buf *out = &s->port->out;

	buf_puts(out, "+OK ");
	buf_putu(out, s->n_msgs - s->n_deleted);
	buf_putc(out, ' ');
	buf_putu(out, s->bytes - s->deleted_bytes);
	buf_puts(out, "\r\n");
	s->errors = 0;
}

static void put_hex8(struct buf *out, uint32_t v)
{
	static const char hex[] = "0123456789abcdef";
	uint8_t t[8];

	for (int i = 0; i < 8; i++)
		t[i] = (uint8_t)hex[v >> (28 - 4 * i) & 15];
	buf_put(out, slice_of(t, 8));
}

static void put_row(struct pop3 *s, uint32_t i, bool uidl)
{
	struct buf *out = &s->port->out;

	buf_putu(out, (uint64_t)i + 1);
	buf_putc(out, ' ');
	if (uidl) {
		/* RFC 1939 7: the same in every session, never used again for another message. */
		put_hex8(out, s->uidvalidity);
		buf_putc(out, '.');
		put_hex8(out, s->msgs[i].uid);
	} else {
		buf_putu(out, s->msgs[i].size);
	}
	buf_puts(out, "\r\n");
}

static void listing(struct pop3 *s, struct slice arg, bool uidl)
{
	struct pop3_msg *msg;

	if (slice_trim(arg).n == 0) {
		pop3_ok(s, "messages follow");
		s->listing_uidl = uidl;
		s->listing_at = 0;
		pop3_job(s, POP3_LISTING);
		return;
	}
	msg = pop3_msg_arg(s, arg);
	if (msg == NULL)
		return;
	buf_puts(&s->port->out, "+OK ");
	put_row(s, (uint32_t)(msg - s->msgs), uidl);
	s->errors = 0;
}

void pop3_cmd_list(struct pop3 *s, struct slice arg)
{
	listing(s, arg, false);
}

void pop3_cmd_uidl(struct pop3 *s, struct slice arg)
{
	listing(s, arg, true);
}

/* As many rows as the output takes; goes on when it has drained. */
void pop3_list_go(struct pop3 *s)
{
	while (s->listing_at < s->n_msgs) {
		uint32_t i = s->listing_at;

		if (front_pending(s->port) >= FRONT_OUT_HIGH)
			return;
		s->listing_at++;
		if (!s->msgs[i].deleted)
			put_row(s, i, s->listing_uidl);
	}
	buf_puts(&s->port->out, ".\r\n");
	pop3_job(s, POP3_NO_JOB);
}

void pop3_cmd_dele(struct pop3 *s, struct slice arg)
{
	struct pop3_msg *msg = pop3_msg_arg(s, arg);

	if (msg == NULL)
		return;
	msg->deleted = true;
	s->n_deleted++;
	s->deleted_bytes += msg->size;
	pop3_ok(s, "marked as deleted");
}

void pop3_cmd_rset(struct pop3 *s, struct slice arg)
{
	for (uint32_t i = 0; i < s->n_msgs; i++)
		s->msgs[i].deleted = false;
	s->n_deleted = 0;
	s->deleted_bytes = 0;
	pop3_ok(s, "no message is marked");
}

/*
 * Deleted messages that lie side by side in the snapshot become one range: what arrived since has
 * uids above all of them, so that a range never holds a message that the client did not see. False
 * at the end of the list.
 */
static bool next_range(struct pop3 *s, uint32_t *ret_first, uint32_t *ret_last)
{
	uint32_t i = s->expunge_from;

	while (i < s->n_msgs && !s->msgs[i].deleted)
		i++;
	if (i == s->n_msgs)
		return false;
	*ret_first = s->msgs[i].uid;
	while (i + 1 < s->n_msgs && s->msgs[i + 1].deleted)
		i++;
	*ret_last = s->msgs[i].uid;
	s->expunge_from = i + 1;
	return true;
}

static void expunge_some(struct pop3 *s)
{
	struct buf uids = BUF_INIT(POP3_EXPUNGE_PAIRS * 8);
	struct ipc_msg_expunge m = { .seq = ++s->seq, .mbox = s->mbox };
	uint32_t first, last;

	for (unsigned n = 0; n < POP3_EXPUNGE_PAIRS && next_range(s, &first, &last); n++) {
		wire_put_u32(&uids, first);
		wire_put_u32(&uids, last);
	}
	m.uids = buf_slice(&uids);
	if (uids.overflow || front_send(s->port, FRONT_SESSION, IPC_msg_expunge, &m) != 0)
		s->expunge_failed = true;
	buf_fini(&uids);
}

static void update_done(struct pop3 *s)
{
	if (s->expunge_failed)
		pop3_err(s, "[SYS/TEMP] some deleted messages were not removed");
	else
		pop3_ok(s, "good-bye");
	pop3_close(s);
}

static uint32_t deleted_left(const struct pop3 *s)
{
	uint32_t i = s->expunge_from;

	while (i < s->n_msgs && !s->msgs[i].deleted)
		i++;
	return s->n_msgs - i;
}

/* RFC 1939 6: the client is told +OK after the removal, and it is durable by then. */
void pop3_update(struct pop3 *s)
{
	if (s->expunge_failed || s->n_deleted == 0 || deleted_left(s) == 0) {
		update_done(s);
		return;
	}
	pop3_job(s, POP3_EXPUNGING);
	expunge_some(s);
	if (s->expunge_failed)
		update_done(s);
}

void pop3_drop_msg(struct pop3 *s, enum ipc_type type, const union ipc_any *m)
{
	if (s->job == POP3_OPENING && type == IPC_mbox_opened) {
		on_opened(s, &m->mbox_opened);
	} else if (s->job == POP3_OPENING && type == IPC_mbox_rows) {
		on_rows(s, &m->mbox_rows);
	} else if (s->job == POP3_EXPUNGING && type == IPC_store_done) {
		s->expunge_failed |= m->store_done.status != IPC_ST_OK;
		pop3_update(s);
	} else if (type == IPC_session_bye) {
		s->stopping = true;
	}
}
