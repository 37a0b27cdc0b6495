/*
 * zip - compression of a stream: raw DEFLATE (RFC 1951), as RFC 4978 wants it.
 */
#include "common/front/limits.h"
#include "common/front/stream-private.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

struct stream_zip {
	z_stream in, out;
	uint8_t in_text[FRONT_ZIP_IN]; /* compressed, not yet read */
	uint8_t out_text[FRONT_ZIP_OUT];
	size_t out_at, out_n; /* compressed, not yet taken by the socket */
	bool out_more;        /* the flush of the last piece did not fit */
};

int stream_deflate(struct stream *s)
{
	struct stream_zip *z = calloc(1, sizeof(*z));

	if (z == NULL)
		return -ENOMEM;
	if (inflateInit2(&z->in, -15) != Z_OK) {
		free(z);
		return -ENOMEM;
	}
	if (deflateInit2(&z->out, FRONT_ZIP_LEVEL, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) !=
	    Z_OK) {
		inflateEnd(&z->in);
		free(z);
		return -ENOMEM;
	}
	s->zip = z;
	return 0;
}

void stream_zip_free(struct stream_zip **zp)
{
	struct stream_zip *z = *zp;

	*zp = NULL;
	if (z == NULL)
		return;
	inflateEnd(&z->in);
	deflateEnd(&z->out);
	free(z);
}

enum stream_answer stream_zip_read(struct stream *s, void *p, size_t n, size_t *ret_n)
{
	struct stream_zip *z = s->zip;

	for (;;) {
		enum stream_answer a;
		size_t got = 0;
		int r;

		z->in.next_out = p;
		z->in.avail_out = (uInt)n;
		r = inflate(&z->in, Z_SYNC_FLUSH);
		if (r != Z_OK && r != Z_BUF_ERROR && r != Z_STREAM_END)
			return STREAM_LOST;
		*ret_n = n - z->in.avail_out;
		if (*ret_n > 0)
			return STREAM_OK;
		if (r == Z_STREAM_END)
			return STREAM_EOF; /* the client ended its compressed text */
		a = stream_read_raw(s, z->in_text, sizeof(z->in_text), &got);
		if (a != STREAM_OK)
			return a;
		z->in.next_in = z->in_text;
		z->in.avail_in = (uInt)got;
	}
}

/* The next piece of `text` (maybe nothing: what deflate still holds) into out_text. */
static bool zip_piece(struct stream_zip *z, struct slice text, size_t *ret_used)
{
	struct slice part = slice_part(text, 0, FRONT_ZIP_IN);
	int flush = part.n == text.n ? Z_SYNC_FLUSH : Z_NO_FLUSH;

	z->out.next_in = (Bytef *)(uintptr_t)part.p;
	z->out.avail_in = (uInt)part.n;
	z->out.next_out = z->out_text;
	z->out.avail_out = sizeof(z->out_text);
	if (deflate(&z->out, flush) == Z_STREAM_ERROR)
		return false;
	z->out_at = 0;
	z->out_n = sizeof(z->out_text) - z->out.avail_out;
	z->out_more = z->out.avail_out == 0;
	*ret_used = part.n - z->out.avail_in;
	return true;
}

enum stream_answer stream_flush(struct stream *s)
{
	struct stream_zip *z = s->zip;
	size_t n = 0;

	while (z != NULL && (z->out_at < z->out_n || z->out_more)) {
		enum stream_answer a;

		if (z->out_at == z->out_n && !zip_piece(z, SLICE_NONE, &n))
			return STREAM_LOST;
		if (z->out_at == z->out_n)
			continue;
		a = stream_write_raw(
		    s, slice_of(z->out_text + z->out_at, z->out_n - z->out_at), &n);
		if (a != STREAM_OK)
			return a;
		z->out_at += n;
	}
	return STREAM_OK;
}

enum stream_answer stream_zip_write(struct stream *s, struct slice text, size_t *ret_n)
{
	enum stream_answer a = stream_flush(s);

	if (a != STREAM_OK)
		return a;
	return zip_piece(s->zip, text, ret_n) ? STREAM_OK : STREAM_LOST;
}
