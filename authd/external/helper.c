#include "authd/external/helper.h"

#include "common/base/clock.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/secret.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { OUT_MAX_BYTES = 2 * QUESTIONS_MAX * 1024, HELLO_NUMBER = 1 };

/* In the order of asking. */
struct question {
	uint64_t number;
	uint32_t seq;
	bool wanted; /* somebody waits for the answer */
	int64_t asked_ms;
	size_t name_n;
	uint8_t name[NAME_BYTES];
};

struct helper {
	struct event_base *base;
	const char *name;
	const struct helper_ops *ops;
	void *arg;
	int fd; /* -1: not connected */
	struct event *ev_in, *ev_out, *retry, *deadline;
	unsigned retry_ms, answer_ms;
	bool ready, can_create; /* HELLO was answered */
	uint64_t last_number;
	int64_t heard_ms;
	struct buf out; /* of fixed place: passwords leave no copies behind */
	size_t in_n;
	uint8_t in[LINE_MAX_BYTES + 1];
	size_t n;
	struct question questions[QUESTIONS_MAX];
};

static void answer(struct helper *h, uint32_t seq, enum line_status status)
{
	const struct line_answer a = { .status = status };

	h->ops->on_answer(h->arg, seq, &a);
}

/* The question is not under way any more. */
static struct question take_question(struct helper *h, size_t i)
{
	struct question q = h->questions[i];

	h->n--;
	memmove(&h->questions[i], &h->questions[i + 1], (h->n - i) * sizeof(q));
	return q;
}

static void set_timer(struct event *timer, int64_t ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	event_add(timer, &tv);
}

static void set_deadline(struct helper *h)
{
	int64_t left;

	if (h->n == 0) {
		event_del(h->deadline);
		return;
	}
	left = h->questions[0].asked_ms + h->answer_ms - clock_mono_ms();
	set_timer(h->deadline, left > 0 ? left : 0);
}

/* What was sent, and what is behind it in memory. */
static void consume(struct helper *h, size_t n)
{
	size_t before = h->out.n;

	buf_consume(&h->out, n);
	if (before > h->out.n)
		secret_wipe(h->out.p + h->out.n, before - h->out.n);
}

static void retry_later(struct helper *h)
{
	set_timer(h->retry, h->retry_ms);
	h->retry_ms = h->retry_ms * 2 < RETRY_MAX_MS ? h->retry_ms * 2 : RETRY_MAX_MS;
}

static void disconnect(struct helper *h, const char *why)
{
	if (h->fd < 0)
		return;
	event_del(h->ev_in);
	event_del(h->ev_out);
	event_free(h->ev_in);
	event_free(h->ev_out);
	h->ev_in = h->ev_out = NULL;
	fd_close(&h->fd);
	if (h->out.n > 0)
		consume(h, h->out.n);
	h->ready = h->can_create = false;
	h->in_n = 0;
	log_ev(LOG_WARNING, "auth.helper", kv_s("name", h->name), kv_s("why", why));
	while (h->n > 0) {
		struct question q = take_question(h, 0);

		if (q.wanted)
			answer(h, q.seq, LINE_LATER);
	}
	set_deadline(h);
	retry_later(h);
}

static void flush(struct helper *h)
{
	while (h->out.n > 0) {
		ssize_t n = send(h->fd, h->out.p, h->out.n, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			event_add(h->ev_out, NULL);
			return;
		}
		if (n < 0) {
			disconnect(h, "gone");
			return;
		}
		consume(h, (size_t)n);
	}
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	flush(arg);
}

/* False when the helper is mad: an answer to nothing, or to HELLO with anything but what it can do.
 */
static bool take_answer(struct helper *h, const struct line_answer *a)
{
	struct question q;
	size_t i = 0;

	if (a->number == 0 || a->number > h->last_number)
		return false;
	while (i < h->n && h->questions[i].number != a->number)
		i++;
	if (i == h->n)
		return true; /* the time for it was over */
	if (!h->ready && a->number != HELLO_NUMBER)
		return false;
	q = take_question(h, i);
	set_deadline(h);
	if (a->number != HELLO_NUMBER) {
		h->retry_ms = RETRY_FIRST_MS;
		if (q.wanted)
			h->ops->on_answer(h->arg, q.seq, a);
		return true;
	}
	h->ready = a->status == LINE_OK && a->check;
	h->can_create = h->ready && a->create;
	if (h->ready)
		log_ev(LOG_NOTICE, "auth.helper", kv_s("name", h->name), kv_s("why", "ready"));
	return h->ready;
}

/* The complete lines of h->in: false when one is wrong. */
static bool take_lines(struct helper *h)
{
	struct slice rest = slice_of(h->in, h->in_n);
	struct line_answer a;
	bool good = true;
	ptrdiff_t end;

	while (good && (end = slice_find(rest, '\n')) >= 0) {
		good = line_read(slice_part(rest, 0, (size_t)end), &a) == 0 && take_answer(h, &a);
		rest = slice_from(rest, (size_t)end + 1);
	}
	if (!good)
		return false;
	memmove(h->in, rest.p, rest.n);
	h->in_n = rest.n;
	return h->in_n <= LINE_MAX_BYTES;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct helper *h = arg;
	ssize_t n = recv(fd, h->in + h->in_n, sizeof(h->in) - h->in_n, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		disconnect(h, "gone");
		return;
	}
	h->in_n += (size_t)n;
	h->heard_ms = clock_mono_ms();
	if (!take_lines(h))
		disconnect(h, "nonsense");
}

/* Over time: that question is answered, and a helper that has said nothing since is given up. */
static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct helper *h = arg;
	int64_t now = clock_mono_ms();

	while (h->n > 0 && h->questions[0].asked_ms + h->answer_ms <= now) {
		struct question q;

		if (h->heard_ms < h->questions[0].asked_ms || !h->ready) {
			disconnect(h, "mute");
			return;
		}
		q = take_question(h, 0);
		if (q.wanted)
			answer(h, q.seq, LINE_LATER);
	}
	set_deadline(h);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct helper *h = arg;

	if (h->fd >= 0)
		return;
	retry_later(h);
	h->ops->on_want(h->arg);
}

struct helper *helper_new(
    struct event_base *base, const char *name, const struct helper_ops *ops, void *arg)
{
	struct helper *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	*h = (struct helper){ .base = base,
		.name = name,
		.ops = ops,
		.arg = arg,
		.fd = -1,
		.retry_ms = RETRY_FIRST_MS,
		.answer_ms = ANSWER_WAIT_MS,
		.out = BUF_INIT(OUT_MAX_BYTES) };
	h->retry = evtimer_new(base, on_retry, h);
	h->deadline = evtimer_new(base, on_deadline, h);
	if (h->retry == NULL || h->deadline == NULL || buf_room(&h->out, OUT_MAX_BYTES) == NULL)
		helper_free(&h);
	else
		set_timer(h->retry, 0);
	return h;
}

void helper_free(struct helper **hp)
{
	struct helper *h = *hp;

	*hp = NULL;
	if (h == NULL)
		return;
	if (h->ev_in != NULL)
		event_free(h->ev_in);
	if (h->ev_out != NULL)
		event_free(h->ev_out);
	if (h->retry != NULL)
		event_free(h->retry);
	if (h->deadline != NULL)
		event_free(h->deadline);
	fd_close(&h->fd);
	if (h->out.p != NULL)
		secret_wipe(h->out.p, h->out.cap);
	buf_fini(&h->out);
	free(h);
}

static void note_question(struct helper *h, uint32_t seq, bool wanted, struct slice name)
{
	struct question *q = &h->questions[h->n++];

	*q = (struct question){ .number = h->last_number,
		.seq = seq,
		.wanted = wanted,
		.asked_ms = clock_mono_ms(),
		.name_n = name.n };
	if (name.n > 0)
		memcpy(q->name, name.p, name.n);
	set_deadline(h);
}

void helper_take(struct helper *h, int take_fd)
{
	if (h->fd >= 0 || fd_nonblock(take_fd) != 0) {
		fd_close(&take_fd);
		return;
	}
	event_del(h->retry);
	h->fd = take_fd;
	h->ev_in = event_new(h->base, take_fd, EV_READ | EV_PERSIST, on_readable, h);
	h->ev_out = event_new(h->base, take_fd, EV_WRITE, on_writable, h);
	if (h->ev_in == NULL || h->ev_out == NULL || event_add(h->ev_in, NULL) != 0) {
		disconnect(h, "memory");
		return;
	}
	h->last_number = HELLO_NUMBER;
	h->heard_ms = 0;
	note_question(h, 0, false, SLICE_NONE);
	line_put_hello(&h->out, HELLO_NUMBER);
	flush(h);
}

/* One name's questions leave room for those of others. */
static bool has_room(const struct helper *h, struct slice name)
{
	size_t same = 0;

	for (size_t i = 0; i < h->n; i++)
		same += slice_eq(slice_of(h->questions[i].name, h->questions[i].name_n), name);
	return h->n < QUESTIONS_MAX && same < QUESTIONS_PER_NAME_MAX;
}

static int put(struct helper *h, const struct helper_ask *q)
{
	uint64_t number = h->last_number + 1;

	if (q->create)
		return line_put_create(&h->out, number, q->name, q->service, q->password);
	return line_put_check(&h->out, number, q->name, q->service, q->peer, q->password);
}

void helper_ask(struct helper *h, const struct helper_ask *q)
{
	if (q->name.n > NAME_BYTES || q->password.n > PASSWORD_BYTES) {
		answer(h, q->seq, LINE_NO);
	} else if (h->fd < 0 || !has_room(h, q->name) || h->out.n + ASK_MAX_BYTES > OUT_MAX_BYTES ||
		   (q->create && !h->ready)) {
		answer(h, q->seq, LINE_LATER);
	} else if (q->create && !h->can_create) {
		answer(h, q->seq, LINE_UNKNOWN);
	} else if (put(h, q) != 0) {
		answer(h, q->seq, LINE_NO);
	} else {
		h->last_number++;
		note_question(h, q->seq, true, q->name);
		flush(h);
	}
}

void helper_forget(struct helper *h)
{
	for (size_t i = 0; i < h->n; i++)
		h->questions[i].wanted = false;
}

void helper_set_wait(struct helper *h, unsigned answer_ms)
{
	h->answer_ms = answer_ms;
}
