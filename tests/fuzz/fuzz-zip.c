/*
 * A client that compresses (RFC 4978) and sends any bytes. The first byte chooses how they arrive
 * (bits 0-2) and how much room the reader gives (bits 4-7); what is read never exceeds that room,
 * does not depend on either, and comes to an end. With bit 3, any text is compressed by us, and
 * read again as the same.
 */
#include "common/base/buf.h"
#include "common/base/io.h"
#include "common/front/stream.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <sys/socket.h>

/* A small text may become a large one: no more of it is looked at. */
enum { TEXT_MAX = 1 << 17, PIECE_MAX = 16384, ROOM_MAX = 20000 };

struct pair {
	struct stream near, far;
};

static void pair_open(struct pair *p)
{
	int sv[2];

	assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) == 0);
	*p = (struct pair){ .near = { .fd = sv[0] }, .far = { .fd = sv[1] } };
	assert(stream_deflate(&p->near) == 0);
}

static enum stream_answer read_all(struct stream *s, size_t room, struct buf *text)
{
	uint8_t space[ROOM_MAX];
	enum stream_answer a = STREAM_OK;

	while (a == STREAM_OK && text->n < TEXT_MAX) {
		size_t n = 0;

		a = stream_read(s, space, room, &n);
		assert(a != STREAM_OK || (n > 0 && n <= room));
		if (a == STREAM_OK)
			buf_put(text, slice_of(space, n));
	}
	return a;
}

/* Returns how it ended: STREAM_OK when there was more than TEXT_MAX. */
static enum stream_answer inflated(struct slice in, size_t piece, size_t room, struct buf *text)
{
	struct pair p;
	enum stream_answer a = STREAM_WANT_READ;

	pair_open(&p);
	while (a == STREAM_WANT_READ && in.n > 0) {
		size_t n = 0;

		assert(stream_write(&p.far, slice_part(in, 0, piece), &n) == STREAM_OK);
		in = slice_from(in, n);
		a = read_all(&p.near, room, text);
	}
	if (a == STREAM_WANT_READ) {
		fd_close(&p.far.fd);
		a = read_all(&p.near, room, text);
	}
	assert(a != STREAM_WANT_WRITE && a != STREAM_WANT_READ);
	stream_close(&p.near);
	fd_close(&p.far.fd);
	return a;
}

static void any_bytes(struct slice in, size_t piece, size_t room)
{
	struct buf one = BUF_INIT(TEXT_MAX + ROOM_MAX), two = BUF_INIT(TEXT_MAX + ROOM_MAX);
	enum stream_answer a = inflated(in, piece, room, &one);
	enum stream_answer b = inflated(in, PIECE_MAX, ROOM_MAX, &two);
	size_t n = one.n < two.n ? one.n : two.n;

	assert(!one.overflow && !two.overflow);
	assert(n == 0 || memcmp(one.p, two.p, n) == 0);
	/* Text right before a fault may come or not, as the fault is met with it or after it. */
	assert((a == STREAM_LOST) == (b == STREAM_LOST) || a == STREAM_OK || b == STREAM_OK);
	assert(a != STREAM_EOF || b != STREAM_EOF || one.n == two.n);
	buf_fini(&one);
	buf_fini(&two);
}

static void there_and_back(struct slice in, size_t piece, size_t room)
{
	struct buf text = BUF_INIT(TEXT_MAX + ROOM_MAX);
	struct slice left = in;
	enum stream_answer a = STREAM_OK;
	struct pair p;

	pair_open(&p);
	assert(stream_deflate(&p.far) == 0);
	while (left.n > 0 || a == STREAM_WANT_WRITE) {
		size_t n = 0;

		a = left.n > 0 ? stream_write(&p.far, slice_part(left, 0, piece), &n)
			       : stream_flush(&p.far);
		assert(a == STREAM_OK || a == STREAM_WANT_WRITE);
		if (a == STREAM_OK)
			left = slice_from(left, n);
		if (left.n == 0 && a == STREAM_OK)
			a = stream_flush(&p.far);
		assert(read_all(&p.near, room, &text) == STREAM_WANT_READ);
	}
	assert(slice_eq(buf_slice(&text), in));
	stream_close(&p.far);
	stream_close(&p.near);
	buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = slice_of(data, n < 65536 ? n : 65536);
	size_t piece, room;

	if (n == 0)
		return 0;
	piece = (data[0] & 7) == 7 ? PIECE_MAX : 1 + (data[0] & 7) * 15;
	room = data[0] >> 4 == 15 ? ROOM_MAX : 1 + (data[0] >> 4) * 90;
	in = slice_from(in, 1);
	if ((data[0] & 8) != 0)
		there_and_back(in, piece, room);
	else
		any_bytes(in, piece, room);
	return 0;
}
