/* The log from its first segment to its last, over every gap. */
#include "common/engine/lmdb/raw-private.h"

#include "common/base/io.h"
#include "common/engine/lmdb/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct replay {
	struct raw *r;
	struct raw_segment seg;
	uint64_t next; /* number of the frame that should come; 0: any */
	uint64_t bytes, of_bytes;
};

/* From here on only the index can say what `hi` says now. */
static int step_down(struct raw *r)
{
	int rc = 0;

	r->has_lo = true;
	for (size_t i = 0; i < r->hi.n_ranges && rc == 0; i++)
		rc = map_del_range(&r->lo, r->hi.ranges[i].from, r->hi.ranges[i].to);
	for (const struct map_node *n = r->hi.head[0]; n != NULL && rc == 0; n = n->next[0])
		rc = n->deleted ? map_del(&r->lo, map_key(n))
				: map_put(&r->lo, map_key(n), map_val(n));
	map_fini(&r->hi);
	return rc;
}

/* Frames from p->next up to `to` are not there. */
static int frames_missing(struct replay *p, uint64_t to)
{
	raw_tell(p->r, &(struct raw_finding){ .what = RAW_FRAMES,
			   .segment = p->seg.no,
			   .first = p->next,
			   .count = to - p->next });
	return p->next < p->r->checkpoint.seq ? step_down(p->r) : 0;
}

static struct slice join(uint8_t b[ENGINE_KEY_ENCODED_MAX], struct slice prefix, struct slice key)
{
	memcpy(b, prefix.p, prefix.n);
	if (key.n > 0)
		memcpy(b + prefix.n, key.p, key.n);
	return slice_of(b, prefix.n + key.n);
}

static int frame_apply(struct raw *r, const struct scan_item *f)
{
	uint8_t key[ENGINE_KEY_ENCODED_MAX];
	struct slice rows = f->rows;
	struct batch_reader b;
	struct batch_op op;
	int rc = 0;

	for (uint32_t i = 0; i < f->h.batches && rc == 0; i++) {
		if (!batch_read_begin(&rows, &b))
			break;
		while (rc == 0 && batch_read_op(&b, &op) > 0) {
			if ((op.kind == OP_PUT || op.kind == OP_DEL) &&
			    !raw_keeps(r, join(key, b.prefix, op.key)))
				continue;
			rc = batch_apply_op(&r->hi, b.prefix, &op);
		}
	}
	return rc;
}

/* A good frame has the row, and it is of a kind that never changes: another one under its key is
 * somebody else's, whose key is damaged. */
static bool is_known(const struct raw *r, const struct map *m, struct slice key, struct slice val)
{
	const struct map_node *n = map_find(m, key);
	struct engine_row a, b;

	if (n == NULL || n->deleted || r->conf.newer == NULL || map_find(&r->doubt, key) != NULL ||
	    !row_decode(map_val(n), &a) || !row_decode(val, &b) || slice_eq(a.val, b.val))
		return false;
	return !r->conf.newer(r->conf.arg, slice_from(key, 1 + (size_t)key.p[0]), a.val, b.val);
}

/* A gap and what comes behind it: whether frames are missing decides where its rows go. */
static int gap_apply(struct replay *p, const struct scan_item *gap, uint64_t behind)
{
	struct slice bytes =
	    slice_part(slice_of(p->seg.p, p->seg.n), gap->off, gap->end - gap->off);
	struct raw *r = p->r;
	bool covered = p->next < r->checkpoint.seq; /* the index has seen it */
	uint8_t key[ENGINE_KEY_ENCODED_MAX];
	struct gap_reader g;
	struct slice prefix;
	struct batch_op op;
	int rc = covered && behind > p->next ? step_down(r) : 0;

	gap_reader_init(&g, bytes);
	while (rc == 0 && gap_reader_next(&g, &prefix, &op)) {
		struct slice k = join(key, prefix, op.key);

		if (raw_keeps(r, k) && !is_known(r, &r->hi, k, op.val) &&
		    !is_known(r, &r->lo, k, op.val))
			rc = raw_put_doubt(r, covered ? &r->lo : &r->hi, k, op.val);
	}
	return rc;
}

/* Once, when `hi` is what the index should be. */
static int maybe_compare(struct replay *p, uint64_t seq)
{
	struct raw *r = p->r;

	if (!r->conf.check_index || r->compared || r->has_lo || !r->has_index ||
	    seq != r->checkpoint.seq || r->stats.gaps > 0)
		return 0;
	return raw_index_compare(r);
}

static int on_frame(struct replay *p, const struct scan_item *f)
{
	int rc = 0;

	if (p->next != 0 && f->h.seq < p->next)
		return 0; /* what was there before: a copy */
	if (p->next != 0 && f->h.seq > p->next)
		rc = frames_missing(p, f->h.seq);
	if (rc == 0)
		rc = maybe_compare(p, f->h.seq);
	if (rc == 0)
		rc = frame_apply(p->r, f);
	p->next = f->h.seq + 1;
	p->r->stats.frames++;
	return rc;
}

static void gap_tell(struct replay *p, const struct scan_item *gap, bool tail)
{
	p->r->stats.gaps++;
	raw_tell(p->r, &(struct raw_finding){ .what = tail ? RAW_TAIL : RAW_GAP,
			   .segment = p->seg.no,
			   .off = gap->off,
			   .bytes = gap->end - gap->off });
}

/* The first frame of the next segment; behind a gap at the end it tells whether any are missing. */
static uint64_t next_first(const struct replay *p)
{
	int fd = log_segment_open(p->r->dir_fd, p->seg.no + 1, O_RDONLY);
	uint8_t head[SEG_HEAD];
	struct seg_head h;
	bool good = fd >= 0 && io_pread_all(fd, head, sizeof(head), 0) == 0 &&
		    seg_head_decode(head, &h) == SEG_OK;

	fd_close(&fd);
	return good ? h.first_seq : UINT64_MAX;
}

static int segment_walk(struct replay *p, bool last)
{
	struct scan s;
	struct scan_item item, gap = { 0 };
	int rc = 0;

	scan_init(&s, slice_of(p->seg.p, p->seg.n), p->r->store_id);
	while (rc == 0 && scan_next(&s, &item)) {
		if (item.gap) {
			gap_tell(p, &item, last && s.at >= p->seg.n);
			gap = item;
			continue;
		}
		if (gap.gap)
			rc = gap_apply(p, &gap, item.h.seq);
		gap.gap = false;
		if (rc == 0)
			rc = on_frame(p, &item);
	}
	return rc == 0 && gap.gap ? gap_apply(p, &gap, next_first(p)) : rc;
}

static int on_segment(struct replay *p, uint64_t no, bool last)
{
	struct raw *r = p->r;
	int rc = raw_segment_load(r, &p->seg, no);

	if (rc < 0)
		return rc;
	if (rc != 0 || p->seg.unreadable)
		raw_tell(r, &(struct raw_finding){
				.what = RAW_SEGMENT, .segment = no, .why = "it cannot be read" });
	if (rc != 0)
		return 0;
	r->stats.segments++;
	r->stats.log_bytes += p->seg.n;
	if (p->seg.head_rc == SEG_NEWER)
		return ENGINE_VERSION;
	if (p->seg.head_rc == SEG_OK && p->seg.head.store_id != r->store_id) {
		raw_tell(r, &(struct raw_finding){ .what = RAW_FOREIGN, .segment = no });
		return 0;
	}
	if (p->seg.head_rc == SEG_BAD)
		raw_tell(r, &(struct raw_finding){ .what = RAW_HEADER, .segment = no });
	if (p->next == 0 && p->seg.head_rc == SEG_OK && no == r->replay_from)
		p->next = p->seg.head.first_seq;
	else if (p->next == 0)
		r->has_lo = true; /* nobody knows what was before: the index does */
	rc = segment_walk(p, last);
	p->bytes += p->seg.n;
	if (r->conf.progress != NULL)
		r->conf.progress(r->conf.arg, p->bytes, p->of_bytes);
	return rc;
}

static uint64_t sum_bytes(struct raw *r, const struct raw_numbers *l)
{
	uint64_t n = 0;

	for (size_t i = 0; i < l->n; i++) {
		int fd = log_segment_open(r->dir_fd, l->v[i], O_RDONLY);
		struct stat st;

		if (fd >= 0 && fstat(fd, &st) == 0)
			n += (uint64_t)st.st_size;
		fd_close(&fd);
	}
	return n;
}

static void segment_count(struct raw *r, uint64_t no)
{
	int fd = log_segment_open(r->dir_fd, no, O_RDONLY);
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0) {
		r->stats.segments++;
		r->stats.log_bytes += (uint64_t)st.st_size;
	}
	fd_close(&fd);
}

static void segment_missing(struct raw *r, uint64_t no)
{
	raw_tell(
	    r, &(struct raw_finding){ .what = RAW_SEGMENT, .segment = no, .why = "it is missing" });
}

static int log_walk(struct replay *p, const struct raw_numbers *l)
{
	struct raw *r = p->r;
	uint64_t want = r->replay_from;
	int rc = 0;

	if (r->replay_from == 0)
		p->next = 1;
	for (size_t i = 0; i < l->n && rc == 0; i++) {
		if (l->v[i] < r->replay_from) {
			segment_count(r, l->v[i]);
			continue;
		}
		for (; want < l->v[i]; want++)
			segment_missing(r, want);
		want = l->v[i] + 1;
		rc = on_segment(p, l->v[i], i + 1 == l->n);
	}
	if (rc == 0 && p->next < r->checkpoint.seq)
		rc = p->next == 0 ? 0 : frames_missing(p, r->checkpoint.seq);
	else if (rc == 0)
		rc = maybe_compare(p, p->next);
	r->stats.last_frame = p->next > 0 ? p->next - 1 : 0;
	return rc;
}

int raw_log_read(struct raw *r)
{
	struct raw_numbers l = { 0 };
	struct replay p = { .r = r };
	int rc = raw_segments_list(r, &l);

	if (rc == 0 && l.n == 0 && r->stats.index_bytes == 0)
		rc = ENGINE_NOTFOUND;
	if (rc == 0)
		rc = raw_heads_read(r, &l);
	if (rc == 0) {
		p.of_bytes = sum_bytes(r, &l);
		rc = log_walk(&p, &l);
	}
	if (rc == 0 && l.n == 0)
		r->has_lo = true; /* the index is all there is */
	free(p.seg.p);
	free(l.v);
	return rc;
}
