#include "common/mail/mime-private.h"

#include <stdlib.h>

/* "--", the longest boundary, "--". */
#define LINE_HEAD_MAX (MIME_BOUNDARY_MAX + 4)

/* Where a part is while it is open. */
enum frame_state {
	IN_HEADER,
	IN_BODY, /* of a leaf */
	IN_SKIP, /* preamble, epilogue, or a body whose structure is not looked at */
};

/* An open part: from the message itself down to the part that the bytes now belong to. */
struct frame {
	uint16_t part;
	uint8_t state;
	bool open; /* a multipart whose closing delimiter was not seen yet */
	uint8_t boundary[MIME_BOUNDARY_MAX];
	size_t boundary_n;
	uint64_t lf_at_start; /* LF before the header, then before the body */
};

enum line_state {
	LINE_HEAD,      /* collecting what may be a delimiter */
	LINE_TEXT,      /* it is none */
	LINE_DELIMITER, /* it is one that begins a part; the rest of the line is padding */
	LINE_CLOSE,     /* it is one that ends a multipart */
};

/* What becomes of the header field at hand. */
enum field_state {
	FIELD_DROP,
	FIELD_NAME, /* not known before its colon */
	FIELD_KEEP,
};

struct mime {
	struct mime_sink sink;
	struct mime_part *parts;
	unsigned count, room;
	struct frame frames[MIME_DEPTH_MAX];
	unsigned depth;    /* frames in use */
	unsigned watching; /* of which so many have an open boundary */
	struct buf text, header;
	uint64_t size, lf;   /* octets and LFs before the next byte */
	uint64_t line_start; /* octets before the current line */
	uint64_t line_lf;    /* LFs before the current line */
	enum field_state field;
	uint8_t name[HEADER_WANTED_MAX + 2]; /* a field's name, until it is known */
	size_t name_n, field_n;
	enum line_state line;
	uint8_t head[LINE_HEAD_MAX];
	size_t head_n;
	uint8_t last;     /* the byte before the next one */
	uint8_t line_end; /* octets of the line end before the current line: 0, 1, 2 */
	uint8_t held[2];  /* body octets that may belong to the next delimiter */
	uint8_t held_n;
	bool finished;
};

static struct frame *top(struct mime *m)
{
	return &m->frames[m->depth - 1];
}

/* A row more; NULL at the limit (no memory counts as such). */
static struct mime_part *part_add(struct mime *m)
{
	if (m->count == MIME_PARTS_MAX)
		return NULL;
	if (m->count == m->room) {
		unsigned room = m->room == 0 ? 4 : m->room * 4;
		struct mime_part *p = reallocarray(m->parts, room, sizeof(*p));

		if (p == NULL)
			return NULL;
		m->parts = p;
		m->room = room;
	}
	m->parts[m->count] = (struct mime_part){ .parent = MIME_NO_PARENT };
	return &m->parts[m->count++];
}

/* Opens a part whose header starts at the next byte. False at a limit. */
static bool part_begin(struct mime *m)
{
	struct mime_part *p;
	struct frame *f;

	if (m->depth == MIME_DEPTH_MAX)
		return false;
	p = part_add(m);
	if (p == NULL)
		return false;
	p->header_start = m->size;
	p->depth = (uint8_t)m->depth;
	if (m->depth > 0)
		p->parent = top(m)->part;
	f = &m->frames[m->depth++];
	f->part = (uint16_t)(m->count - 1);
	f->state = IN_HEADER;
	f->open = false;
	f->boundary_n = 0;
	f->lf_at_start = m->lf;
	buf_reset(&m->header);
	m->field = FIELD_DROP;
	return true;
}

static bool in_digest(struct mime *m, const struct mime_part *p)
{
	return p->parent != MIME_NO_PARENT && m->parts[p->parent].kind == MIME_MULTIPART &&
	       slice_ieq(mime_part_text(m, p->parent, MIME_SUBTYPE), SLICE("digest"));
}

/* The header section of the innermost part ends at `end`; its texts are read. */
static void header_end(struct mime *m, uint64_t end, uint64_t lf)
{
	struct frame *f = top(m);
	struct mime_part *p = &m->parts[f->part];

	p->body_start = end;
	p->header_lines = lf - f->lf_at_start;
	f->lf_at_start = lf;
	mime_header_read(
	    p, buf_slice(&m->header), in_digest(m, p), &m->text, f->boundary, &f->boundary_n);
	if (m->sink.on_header != NULL)
		m->sink.on_header(m->sink.ctx, m, f->part, buf_slice(&m->header));
}

/* The empty line was read: what follows is the body of the innermost part. */
static void body_begin(struct mime *m)
{
	struct frame *f = top(m);
	struct mime_part *p = &m->parts[f->part];

	header_end(m, m->size, m->lf);
	m->held_n = 0;
	f->state = p->kind == MIME_LEAF ? IN_BODY : IN_SKIP;
	if (p->kind == MIME_MULTIPART) {
		f->open = f->boundary_n > 0 && m->depth < MIME_DEPTH_MAX;
		m->watching += f->open;
		if (!f->open)
			p->flags |= MIME_OPAQUE;
	}
	if (p->kind == MIME_MESSAGE && !part_begin(m))
		m->parts[f->part].flags |= MIME_OPAQUE;
}

/*
 * Closes the frames above `keep`, innermost first. The line end before the current line belongs to
 * the delimiter (RFC 2046 5.1.1), unless the part has nothing before it; a parent never ends before
 * its child.
 */
static void close_frames(struct mime *m, unsigned keep, uint64_t line_start, uint8_t line_end)
{
	uint64_t end = line_start - line_end, lf = m->line_lf - (line_end > 0);

	while (m->depth > keep) {
		struct frame *f = top(m);
		struct mime_part *p = &m->parts[f->part];
		bool header = f->state == IN_HEADER;

		if (end < (header ? p->header_start : p->body_start)) {
			end = line_start;
			lf = m->line_lf;
		}
		if (header)
			header_end(m, end, lf);
		if (header && p->kind != MIME_LEAF)
			p->flags |= MIME_OPAQUE;
		p->end = end;
		p->body_lines = lf - f->lf_at_start;
		if (f->open) {
			p->flags |= MIME_OPEN_END;
			m->watching--;
		}
		m->depth--;
	}
}

/*
 * The open multipart whose boundary the line begins with, -1 for none. "It is sufficient that the
 * boundary appear in its entirety following the CRLF" (RFC 2046 5.1.1), so one boundary may be the
 * start of another's line: the longest wins, of equals the innermost.
 */
static int find_delimiter(struct mime *m, bool *ret_close)
{
	struct slice line = slice_of(m->head, m->head_n);
	size_t best_n = 0;
	int best = -1;

	if (!slice_starts(line, SLICE("--")))
		return -1;
	line = slice_from(line, 2);
	for (unsigned i = 0; i < m->depth; i++) {
		struct frame *f = &m->frames[i];

		if (f->open && f->boundary_n >= best_n &&
		    slice_starts(line, slice_of(f->boundary, f->boundary_n))) {
			best = (int)i;
			best_n = f->boundary_n;
		}
	}
	if (best >= 0)
		*ret_close = slice_starts(slice_from(line, best_n), SLICE("--"));
	return best;
}

static void on_delimiter(struct mime *m, int frame, bool close)
{
	struct frame *f = &m->frames[frame];

	close_frames(m, (unsigned)frame + 1, m->line_start, m->line_end);
	m->held_n = 0;
	f->state = IN_SKIP;
	m->line = close ? LINE_CLOSE : LINE_DELIMITER;
	if (close) {
		f->open = false;
		m->watching--;
	}
}

static void emit(struct mime *m, struct slice s)
{
	if (s.n > 0 && m->sink.on_body != NULL)
		m->sink.on_body(m->sink.ctx, m, top(m)->part, s);
}

/*
 * Body octets of a leaf. A line end is held back until the next line turns out to be no delimiter,
 * and a CR until it is known what follows.
 */
static void body_bytes(struct mime *m, struct slice s)
{
	size_t n = s.n;
	bool cr_held = m->held_n == 1 && m->held[0] == '\r';

	if (s.n == 0 || m->sink.on_body == NULL)
		return;
	if (cr_held && s.p[0] == '\n' && n == 1) {
		m->held[m->held_n++] = '\n';
		return;
	}
	emit(m, slice_of(m->held, m->held_n));
	m->held_n = 0;
	if (s.p[n - 1] == '\n') {
		n -= n > 1 && s.p[n - 2] == '\r' ? 2 : 1;
	} else if (s.p[n - 1] == '\r') {
		n--;
	}
	emit(m, slice_part(s, 0, n));
	while (n < s.n)
		m->held[m->held_n++] = s.p[n++];
}

static void field_keep(struct mime *m, struct slice s)
{
	size_t room = HEADER_KEEP_MAX - m->header.n, n = FIELD_KEEP_MAX - m->field_n;

	if (n > room)
		n = room;
	if (n > s.n)
		n = s.n;
	if (n < s.n)
		m->parts[top(m)->part].flags |= MIME_CUT;
	buf_put(&m->header, slice_part(s, 0, n));
	m->field_n += n;
}

/* The name is complete with its colon: fields that nobody asks for are not kept. */
static void field_decide(struct mime *m)
{
	struct slice name = slice_trim(slice_of(m->name, m->name_n - 1));

	m->field = mime_header_wanted(name) ? FIELD_KEEP : FIELD_DROP;
	m->field_n = 0;
	if (m->field != FIELD_KEEP)
		return;
	/* The field before may have been cut inside a line. */
	if (m->header.n > 0 && m->header.p[m->header.n - 1] != '\n')
		field_keep(m, SLICE("\n"));
	m->field_n = 0;
	field_keep(m, slice_of(m->name, m->name_n));
}

static void header_bytes(struct mime *m, struct slice s)
{
	size_t i = 0;

	if (m->size == m->line_start) {
		bool folded = s.p[0] == ' ' || s.p[0] == '\t';

		if (!folded)
			m->field = FIELD_NAME;
		else if (m->field == FIELD_NAME)
			m->field = FIELD_DROP;
		m->name_n = 0;
	}
	while (m->field == FIELD_NAME && i < s.n) {
		uint8_t c = s.p[i++];

		m->name[m->name_n++] = c;
		if (c == ':')
			field_decide(m);
		else if (m->name_n == sizeof(m->name))
			m->field = FIELD_DROP;
	}
	if (m->field == FIELD_KEEP)
		field_keep(m, slice_from(s, i));
}

/* Bytes of a line that is no delimiter; a line end is the last byte or not there. */
static void line_bytes(struct mime *m, struct slice s)
{
	struct frame *f = top(m);

	if (f->state == IN_BODY) {
		body_bytes(m, s);
	} else if (f->state == IN_HEADER) {
		if (s.n > 0)
			header_bytes(m, s);
	}
}

/* After the LF of a line was counted. */
static void line_done(struct mime *m)
{
	uint64_t n = m->size - m->line_start;
	bool empty = n == 1 || (n == 2 && m->line_end == 2);
	enum line_state was = m->line;

	m->line = LINE_HEAD;
	m->head_n = 0;
	m->line_start = m->size;
	m->line_lf = m->lf;
	if (was == LINE_DELIMITER) {
		m->line_end = 0;
		if (!part_begin(m))
			m->parts[top(m)->part].flags |= MIME_OPAQUE;
	} else if (was == LINE_TEXT && empty && top(m)->state == IN_HEADER) {
		body_begin(m);
	}
}

static void count_bytes(struct mime *m, struct slice s)
{
	uint8_t before = s.n > 1 ? s.p[s.n - 2] : m->last;

	m->size += s.n;
	m->last = s.p[s.n - 1];
	if (m->last == '\n') {
		m->lf++;
		m->line_end = before == '\r' && m->size - m->line_start > 1 ? 2 : 1;
	}
}

/* The start of the line is known well enough: a delimiter, or text. */
static void head_decide(struct mime *m)
{
	struct slice head = slice_of(m->head, m->head_n);
	bool close = false;
	int frame = find_delimiter(m, &close);

	m->line = LINE_TEXT;
	if (frame >= 0)
		on_delimiter(m, frame, close);
	else
		line_bytes(m, head);
	if (head.n > 0) {
		count_bytes(m, head);
		if (m->last == '\n')
			line_done(m);
	}
}

/* Takes bytes from the start of a line until it is decided; gives how many. */
static size_t feed_head(struct mime *m, struct slice s)
{
	size_t i = 0;

	if (m->head_n == 0 && (m->watching == 0 || s.p[0] != '-')) {
		m->line = LINE_TEXT;
		return 0;
	}
	while (i < s.n) {
		uint8_t c = s.p[i++];

		m->head[m->head_n++] = c;
		if (c == '\n' || m->head_n == LINE_HEAD_MAX || (m->head_n == 2 && c != '-')) {
			head_decide(m);
			break;
		}
	}
	return i;
}

static size_t feed_line(struct mime *m, struct slice s)
{
	const uint8_t *lf = memchr(s.p, '\n', s.n);
	struct slice part = slice_part(s, 0, lf != NULL ? (size_t)(lf - s.p) + 1 : s.n);

	if (m->line == LINE_TEXT)
		line_bytes(m, part);
	count_bytes(m, part);
	if (lf != NULL)
		line_done(m);
	return part.n;
}

void mime_feed(struct mime *m, struct slice bytes)
{
	while (bytes.n > 0 && !m->finished) {
		size_t n = m->line == LINE_HEAD ? feed_head(m, bytes) : feed_line(m, bytes);

		bytes = slice_from(bytes, n);
	}
}

void mime_finish(struct mime *m)
{
	if (m->finished)
		return;
	if (m->line == LINE_HEAD && m->head_n > 0)
		head_decide(m);
	m->finished = true;
	if (top(m)->state == IN_BODY)
		emit(m, slice_of(m->held, m->held_n));
	m->line_lf = m->lf;
	close_frames(m, 0, m->size, 0);
}

struct mime *mime_new(const struct mime_sink *sink)
{
	struct mime *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	if (sink != NULL)
		m->sink = *sink;
	buf_init(&m->text, MIME_TEXT_MAX);
	buf_init(&m->header, HEADER_KEEP_MAX);
	if (!part_begin(m))
		mime_free(&m);
	return m;
}

void mime_free(struct mime **m)
{
	if (*m == NULL)
		return;
	free((*m)->parts);
	buf_fini(&(*m)->text);
	buf_fini(&(*m)->header);
	free(*m);
	*m = NULL;
}

unsigned mime_count(const struct mime *m)
{
	return m->count;
}

const struct mime_part *mime_part(const struct mime *m, unsigned i)
{
	return &m->parts[i];
}

struct slice mime_part_text(const struct mime *m, unsigned i, enum mime_field field)
{
	const struct mime_text *t = &m->parts[i].text[field];

	if (!t->there)
		return SLICE_NONE;
	if (t->n == 0)
		return SLICE("");
	return slice_part(buf_slice(&m->text), t->at, t->n);
}

uint64_t mime_size(const struct mime *m)
{
	return m->size;
}

struct mime *mime_parse(struct slice message)
{
	struct mime *m = mime_new(NULL);

	if (m == NULL)
		return NULL;
	mime_feed(m, message);
	mime_finish(m);
	return m;
}
