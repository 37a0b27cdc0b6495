/* common/ipc: messages survive the wire, and nothing gets in that the table forbids. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/wire.h"
#include "common/ipc/chan.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct seen {
	unsigned messages, gone, drained, fds;
	enum ipc_type last;
	enum ipc_gone why;
	uint32_t seq;
	bool free_in_handler;
	struct ipc_chan *chan;
};

static void on_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct seen *s = arg;

	s->messages++;
	s->last = type;
	for (int i = 0; i < IPC_FDS_MAX; i++)
		s->fds += fds[i] >= 0;
	if (type == IPC_post_data)
		s->seq += (uint32_t)m->post_data.data.n;
	if (s->free_in_handler)
		ipc_chan_free(&s->chan);
}

static void on_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	struct seen *s = arg;

	s->gone++;
	s->why = why;
	ipc_chan_free(&s->chan);
}

static void on_drain(void *arg, struct ipc_chan *c)
{
	((struct seen *)arg)->drained++;
}

static const struct ipc_ops ops = { on_msg, on_gone, on_drain };

struct rig {
	struct event_base *base;
	struct seen low, up;
};

static void rig_init(struct rig *r, enum ipc_ch kind)
{
	int sv[2];

	*r = (struct rig){ .base = event_base_new() };
	assert_int_equal(ipc_pair(sv), 0);
	r->low.chan = ipc_chan_new(r->base, sv[0], kind, false, &ops, &r->low);
	r->up.chan = ipc_chan_new(r->base, sv[1], kind, true, &ops, &r->up);
	assert_non_null(r->low.chan);
	assert_non_null(r->up.chan);
	log_init(open("/dev/null", O_WRONLY | O_CLOEXEC), false, LOG_INFO);
}

static void rig_fini(struct rig *r)
{
	int fd = log_fd();

	ipc_chan_free(&r->low.chan);
	ipc_chan_free(&r->up.chan);
	event_base_free(r->base);
	log_init(STDERR_FILENO, false, LOG_INFO);
	fd_close(&fd);
}

static void spin(struct rig *r)
{
	for (int i = 0; i < 20; i++)
		event_base_loop(r->base, EVLOOP_NONBLOCK);
}

/* A message of every type, every field at its maximum, comes back the same. */
static void every_message_survives(void **state)
{
	static uint8_t fill[IPC_PACKET_MAX];
	unsigned parted = 0;

	memset(fill, 'x', sizeof(fill));
	for (enum ipc_type t = IPC_NONE + 1; t < IPC_TYPES; t++) {
		const struct ipc_desc *d = ipc_desc(t);
		struct buf out = BUF_INIT(IPC_PACKET_MAX);
		struct buf head = BUF_INIT(IPC_PACKET_MAX);
		union ipc_any in = { 0 }, back = { 0 };
		struct slice tail;
		enum ipc_type type;

		for (const struct ipc_field *f = d->fields; f->kind != IPC_KIND_END; f++) {
			uint8_t *at = (uint8_t *)&in + f->off;

			if (f->kind == IPC_KIND_BYTES || f->kind == IPC_KIND_TEXT)
				*(struct slice *)at = slice_of(fill, f->max);
			else if (f->kind == IPC_KIND_U32)
				*(uint32_t *)at = 0xdeadbeef;
			else
				*(uint64_t *)at = 0xfeedfacecafebeef;
		}
		if (ipc_encode(t, &in, &out) != 0)
			fail_msg("%s does not fit into a packet", d->name);
		assert_int_equal(ipc_encode_parted(t, &in, &head, &tail), 0);
		assert_int_equal(head.n + tail.n, out.n);
		assert_memory_equal(head.p, out.p, head.n);
		assert_true(tail.n == 0 || memcmp(tail.p, out.p + head.n, tail.n) == 0);
		parted += tail.n > 0;
		buf_fini(&head);
		assert_int_equal(ipc_decode(buf_slice(&out), &type, &back), 0);
		assert_int_equal(type, t);
		for (size_t cut = 0; cut < out.n; cut += 1 + out.n / 37)
			assert_int_equal(
			    ipc_decode(slice_part(buf_slice(&out), 0, cut), &type, &back), 1);
		buf_putc(&out, 0);
		if (!out.overflow)
			assert_int_equal(ipc_decode(buf_slice(&out), &type, &back), 1);
		buf_fini(&out);
	}
	assert_true(parted > 10);
}

static void bounds_are_kept_on_both_sides(void **state)
{
	struct buf out = BUF_INIT(IPC_PACKET_MAX);
	struct ipc_auth_start m = { .mech = SLICE("123456789012345678901234567890123") };
	union ipc_any back;
	enum ipc_type type;

	assert_int_equal(ipc_encode(IPC_auth_start, &m, &out), -EMSGSIZE);
	assert_int_equal(out.n, 0);
	out.overflow = false;
	m.mech = slice_of("A\0B", 3);
	assert_int_equal(ipc_encode(IPC_auth_start, &m, &out), 0);
	assert_int_equal(ipc_decode(buf_slice(&out), &type, &back), 1);
	buf_fini(&out);
}

static void wrong_messages_end_the_channel(void **state)
{
	static const struct {
		const char *name;
		enum ipc_ch kind;
		enum ipc_type type;
		bool from_upper;
		unsigned fds;
		bool legal;
	} cases[] = {
		{ "the right one", IPC_CH_POST, IPC_post_abort, false, 0, true },
		{ "wrong direction", IPC_CH_POST, IPC_post_abort, true, 0, false },
		{ "another channel's", IPC_CH_SESSION, IPC_post_abort, false, 0, false },
		{ "not in this state", IPC_CH_DIALOGUE, IPC_auth_peer, false, 0, false },
		{ "a descriptor too many", IPC_CH_POST, IPC_post_abort, false, 1, false },
		{ "a descriptor too few", IPC_CH_AUTH_STORE, IPC_session_opened, true, 0, false },
		{ "a second hello", IPC_CH_POST, IPC_hello, false, 0, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig r;
		union ipc_any m = { 0 };
		struct seen *to;
		struct ipc_chan *from;
		struct buf raw = BUF_INIT(IPC_PACKET_MAX);
		int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		char ctl[CMSG_SPACE(sizeof(int))] = { 0 };
		struct iovec iov;
		struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

		rig_init(&r, cases[i].kind);
		to = cases[i].from_upper ? &r.low : &r.up;
		from = cases[i].from_upper ? r.up.chan : r.low.chan;
		assert_int_equal(ipc_encode(cases[i].type, &m, &raw), 0);
		iov = (struct iovec){ raw.p, raw.n };
		if (cases[i].fds > 0) {
			mh.msg_control = ctl;
			mh.msg_controllen = sizeof(ctl);
			CMSG_FIRSTHDR(&mh)->cmsg_level = SOL_SOCKET;
			CMSG_FIRSTHDR(&mh)->cmsg_type = SCM_RIGHTS;
			CMSG_FIRSTHDR(&mh)->cmsg_len = CMSG_LEN(sizeof(int));
			memcpy(CMSG_DATA(CMSG_FIRSTHDR(&mh)), &fd, sizeof(fd));
		}
		assert_true(sendmsg(ipc_chan_fd(from), &mh, 0) > 0);
		spin(&r);
		if (to->messages != cases[i].legal || to->gone == cases[i].legal)
			fail_msg("%s", cases[i].name);
		if (!cases[i].legal)
			assert_int_equal(to->why, IPC_GONE_BAD);
		rig_fini(&r);
		buf_fini(&raw);
		fd_close(&fd);
	}
}

static void hello_must_match(void **state)
{
	struct rig r;
	uint8_t other[IPC_SCHEMA_HASH_BYTES] = { 1 };
	struct ipc_hello bad = { .schema = slice_of(other, sizeof(other)), .role = IPC_ROLE_AUTHD };

	rig_init(&r, IPC_CH_POST);
	ipc_chan_hello(r.up.chan, IPC_ROLE_STORED, 9, IPC_ROLE_SMTP, IPC_IN_RUN);
	ipc_chan_hello(r.low.chan, IPC_ROLE_SMTP, 4, IPC_ROLE_STORED, IPC_IN_RUN);
	spin(&r);
	assert_int_equal(ipc_chan_state(r.up.chan), IPC_IN_RUN);
	assert_true(ipc_chan_peer_instance(r.up.chan) == 4);
	assert_int_equal(r.up.messages, 0);
	rig_fini(&r);

	rig_init(&r, IPC_CH_POST);
	ipc_chan_hello(r.up.chan, IPC_ROLE_STORED, 9, IPC_ROLE_SMTP, IPC_IN_RUN);
	ipc_send(r.low.chan, IPC_hello, &bad, NULL);
	spin(&r);
	assert_int_equal(r.up.why, IPC_GONE_BAD);
	rig_fini(&r);

	rig_init(&r, IPC_CH_POST);
	ipc_chan_hello(r.up.chan, IPC_ROLE_STORED, 9, IPC_ROLE_SMTP, IPC_IN_RUN);
	ipc_send(r.low.chan, IPC_post_abort, &(struct ipc_post_abort){ 1 }, NULL);
	spin(&r);
	assert_int_equal(r.up.why, IPC_GONE_BAD);
	assert_int_equal(r.up.messages, 0);
	rig_fini(&r);
}

static void hello_must_tell_the_instance(void **state)
{
	struct rig r;

	for (uint64_t told = 4; told <= 5; told++) {
		rig_init(&r, IPC_CH_ATTACH_POST);
		ipc_chan_expect_instance(r.up.chan, told);
		ipc_chan_hello(r.up.chan, IPC_ROLE_STORED, 9, IPC_ROLE_SMTP, IPC_IN_RUN);
		ipc_chan_hello(r.low.chan, IPC_ROLE_SMTP, 5, IPC_ROLE_STORED, IPC_IN_RUN);
		assert_false(ipc_chan_owns_sid(r.up.chan, 5ull << 32 | 1));
		spin(&r);
		assert_int_equal(r.up.gone, told == 4);
		if (told == 5) {
			assert_true(ipc_chan_owns_sid(r.up.chan, 5ull << 32 | 1));
			assert_false(ipc_chan_owns_sid(r.up.chan, 4ull << 32 | 1));
			assert_false(ipc_chan_owns_sid(r.up.chan, 1));
		}
		rig_fini(&r);
	}
}

static void send_empty(int fd, int passed)
{
	char ctl[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { ctl, 0 };
	struct msghdr mh = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof(ctl)
	};
	struct cmsghdr *h = CMSG_FIRSTHDR(&mh);

	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &passed, sizeof(int));
	assert_int_equal(sendmsg(fd, &mh, 0), 0);
}

/* The descriptor passed has no other copy left if the pipe's reader sees the end. */
static void an_empty_packet_leaves_no_descriptor(void **state)
{
	for (int wait = 0; wait < 2; wait++) {
		int fds[IPC_FDS_MAX] = { -1, -1, -1, -1 }, ends[2];
		union ipc_any m;
		enum ipc_type type;
		struct rig r;
		char c;

		rig_init(&r, IPC_CH_POST);
		assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
		send_empty(ipc_chan_fd(r.low.chan), ends[1]);
		close(ends[1]);
		if (wait)
			assert_int_equal(ipc_recv_wait(r.up.chan, 0, &type, &m, fds), 1);
		else
			spin(&r);
		assert_int_equal(read(ends[0], &c, 1), 0);
		close(ends[0]);
		rig_fini(&r);
	}
}

static void queue_keeps_order_and_descriptors(void **state)
{
	static uint8_t chunk[60000];
	struct rig r;
	struct ipc_post_data d = { .data = slice_of(chunk, sizeof(chunk)) };
	int one[1];

	rig_init(&r, IPC_CH_POST);
	for (int i = 0; i < 30; i++)
		assert_int_equal(ipc_send(r.low.chan, IPC_post_data, &d, NULL), 0);
	assert_true(ipc_chan_queued(r.low.chan) > 0);
	spin(&r);
	assert_int_equal(r.up.messages, 30);
	assert_int_equal(r.up.seq, 30 * sizeof(chunk));
	assert_int_equal(r.low.drained, 1);
	ipc_chan_set_queue_max(r.low.chan, 100000);
	for (int i = 0; i < 30; i++)
		ipc_send(r.low.chan, IPC_post_data, &d, NULL);
	spin(&r);
	assert_int_equal(r.low.gone, 1);
	assert_int_equal(r.low.why, IPC_GONE_SLOW);
	rig_fini(&r);

	rig_init(&r, IPC_CH_AUTH_STORE);
	one[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(
	    ipc_send(r.up.chan, IPC_session_opened, &(struct ipc_session_opened){ 1 }, one), 0);
	assert_int_equal(one[0], -1);
	spin(&r);
	assert_int_equal(r.low.fds, 1);
	rig_fini(&r);
}

static void end_of_file_and_free_inside_handler(void **state)
{
	struct rig r;

	rig_init(&r, IPC_CH_POST);
	ipc_send(r.low.chan, IPC_post_abort, &(struct ipc_post_abort){ 1 }, NULL);
	ipc_send(r.low.chan, IPC_post_abort, &(struct ipc_post_abort){ 2 }, NULL);
	r.up.free_in_handler = true;
	spin(&r);
	assert_int_equal(r.up.messages, 1);
	assert_null(r.up.chan);
	assert_int_equal(r.low.gone, 1);
	assert_int_equal(r.low.why, IPC_GONE_EOF);
	rig_fini(&r);
}

/* The peer writes, leaves something of ours unread, and closes; we notice by a failing send. */
static void last_words_are_heard(void **state)
{
	struct rig r;

	rig_init(&r, IPC_CH_CONTROL);
	assert_int_equal(ipc_send(r.up.chan, IPC_ctl_ping, &(struct ipc_ctl_ping){ 1 }, NULL), 0);
	assert_int_equal(
	    ipc_send(r.low.chan, IPC_ctl_failed, &(struct ipc_ctl_failed){ SLICE("why") }, NULL),
	    0);
	ipc_chan_free(&r.low.chan);
	ipc_send(r.up.chan, IPC_ctl_ping, &(struct ipc_ctl_ping){ 2 }, NULL);
	assert_int_equal(ipc_send(r.up.chan, IPC_ctl_ping, &(struct ipc_ctl_ping){ 3 }, NULL), 1);
	event_base_loop(r.base, EVLOOP_NONBLOCK);
	event_base_loop(r.base, EVLOOP_NONBLOCK);
	assert_int_equal(r.up.messages, 1);
	assert_int_equal(r.up.last, IPC_ctl_failed);
	assert_int_equal(r.up.gone, 1);
	assert_int_equal(r.up.why, IPC_GONE_EOF);
	rig_fini(&r);
}

static void waiting_receives_without_the_loop(void **state)
{
	struct rig r;
	union ipc_any m;
	enum ipc_type type;
	int fds[IPC_FDS_MAX];

	rig_init(&r, IPC_CH_POST);
	assert_int_equal(ipc_recv_wait(r.up.chan, 1, &type, &m, fds), 1);
	ipc_send(r.low.chan, IPC_post_abort, &(struct ipc_post_abort){ 77 }, NULL);
	assert_int_equal(ipc_recv_wait(r.up.chan, 1000, &type, &m, fds), 0);
	assert_int_equal(type, IPC_post_abort);
	assert_int_equal(m.post_abort.tag, 77);
	ipc_chan_free(&r.low.chan);
	assert_int_equal(ipc_recv_wait(r.up.chan, 1000, &type, &m, fds), 1);
	rig_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_survives),
		cmocka_unit_test(bounds_are_kept_on_both_sides),
		cmocka_unit_test(wrong_messages_end_the_channel),
		cmocka_unit_test(hello_must_match),
		cmocka_unit_test(hello_must_tell_the_instance),
		cmocka_unit_test(an_empty_packet_leaves_no_descriptor),
		cmocka_unit_test(queue_keeps_order_and_descriptors),
		cmocka_unit_test(end_of_file_and_free_inside_handler),
		cmocka_unit_test(last_words_are_heard),
		cmocka_unit_test(waiting_receives_without_the_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
