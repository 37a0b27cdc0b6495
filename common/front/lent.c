#include "common/front/lent.h"

#include <sys/uio.h>

/* One for all connections of a process: a message is over before the next one is looked at. */
static struct front_lent lent[FRONT_LENT_MAX];

void front_lent_begin(struct front_port *p)
{
	/* A client that does not keep up: it would all be copied. */
	p->lending = front_pending(p) == 0;
	p->lent = lent;
}

void front_lent_over(struct front_port *p)
{
	p->lending = false;
}

static unsigned piece(struct iovec *v, unsigned n, const uint8_t *p, size_t bytes)
{
	if (bytes == 0)
		return n;
	v[n] = (struct iovec){ (void *)p, bytes };
	return n + 1;
}

enum stream_answer front_lent_write(struct front_port *p, struct stream *s, size_t *ret_n)
{
	struct iovec v[2 * FRONT_LENT_MAX + 1];
	size_t at = p->sent;
	unsigned n = 0;

	for (unsigned i = p->lent_sent; i < p->n_lent; i++) {
		const struct front_lent *l = &p->lent[i];

		n = piece(v, n, p->out.p + at, l->at - at);
		n = piece(v, n, l->data.p, l->data.n);
		at = l->at;
	}
	n = piece(v, n, p->out.p + at, p->out.n - at);
	return stream_write_pieces(s, v, n, ret_n);
}

void front_lent_sent(struct front_port *p, size_t n)
{
	while (p->lent_sent < p->n_lent && n > 0) {
		struct front_lent *l = &p->lent[p->lent_sent];
		size_t before = l->at - p->sent < n ? l->at - p->sent : n;
		size_t of_it = l->data.n < n - before ? l->data.n : n - before;

		p->sent += before;
		l->data = slice_from(l->data, of_it);
		p->lent_bytes -= of_it;
		n -= before + of_it;
		if (l->data.n > 0)
			return;
		p->lent_sent++;
	}
	p->sent += n;
}

void front_lent_end(struct front_port *p)
{
	struct buf all = BUF_INIT(p->out.max);
	size_t at = p->sent;

	if (p->lent_bytes > 0) {
		for (unsigned i = p->lent_sent; i < p->n_lent; i++) {
			const struct front_lent *l = &p->lent[i];

			buf_put(&all, slice_of(p->out.p + at, l->at - at));
			buf_put(&all, l->data);
			at = l->at;
		}
		buf_put(&all, slice_from(buf_slice(&p->out), at));
		all.overflow |= p->out.overflow;
		buf_fini(&p->out);
		p->out = all;
		p->sent = 0;
	}
	p->n_lent = p->lent_sent = 0;
	p->lent_bytes = 0;
}
