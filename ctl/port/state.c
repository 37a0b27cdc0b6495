#include "ctl/port/state.h"

#include "common/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>
#include <xxhash.h>

enum { STATE_MAX = 1 << 30, LINE_MAX_OUT = 64 << 20 };

static const char title[] = "gatehouse-import 1";

/* ---- which keys are done ---- */

static void set_put(struct state *s, const uint64_t h[2])
{
	size_t i = h[0] & (s->cap - 1);

	while (s->done[i][0] != 0 || s->done[i][1] != 0) {
		if (s->done[i][0] == h[0] && s->done[i][1] == h[1])
			return;
		i = (i + 1) & (s->cap - 1);
	}
	s->done[i][0] = h[0];
	s->done[i][1] = h[1];
	s->n_done++;
}

static void set_grow(struct state *s)
{
	uint64_t(*old)[2] = s->done;
	size_t n = s->cap;

	s->cap = n == 0 ? 1024 : n * 2;
	s->done = calloc(s->cap, sizeof(*s->done));
	if (s->done == NULL)
		abort(); /* a program of one task: nothing else is lost */
	s->n_done = 0;
	for (size_t i = 0; i < n; i++)
		if (old[i][0] != 0 || old[i][1] != 0)
			set_put(s, old[i]);
	free(old);
}

static void key_hash(struct slice key, uint64_t h[2])
{
	XXH128_hash_t x = XXH3_128bits(key.p, key.n);

	h[0] = x.low64;
	h[1] = x.high64 | 1;
}

void state_know(struct state *s, const uint64_t hash[2])
{
	if (s->n_done * 2 >= s->cap)
		set_grow(s);
	set_put(s, hash);
}

static void done_add(struct state *s, struct slice key)
{
	uint64_t h[2];

	key_hash(key, h);
	state_know(s, h);
}

bool state_has(const struct state *s, struct slice key)
{
	uint64_t h[2];

	if (s->cap == 0)
		return false;
	key_hash(key, h);
	for (size_t i = h[0] & (s->cap - 1); s->done[i][0] != 0 || s->done[i][1] != 0;
	     i = (i + 1) & (s->cap - 1))
		if (s->done[i][0] == h[0] && s->done[i][1] == h[1])
			return true;
	return false;
}

/* ---- words of a line ---- */

static const char digits[] = "0123456789abcdef";

static void put_word(struct buf *out, struct slice s)
{
	buf_putc(out, ' ');
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];

		if (c > ' ' && c < 0x7f && c != '%') {
			buf_putc(out, c);
			continue;
		}
		buf_putc(out, '%');
		buf_putc(out, (uint8_t)digits[c >> 4]);
		buf_putc(out, (uint8_t)digits[c & 15]);
	}
}

static int digit(uint8_t c)
{
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

/* The word in a block of its own; the caller frees. */
static struct slice get_word(struct slice *line)
{
	struct slice w = slice_take(line, ' ');
	uint8_t *p = malloc(w.n + 1);
	size_t n = 0;

	if (p == NULL)
		abort();
	for (size_t i = 0; i < w.n; i++) {
		bool coded = w.p[i] == '%' && i + 2 < w.n && digit(w.p[i + 1]) >= 0 &&
			     digit(w.p[i + 2]) >= 0;

		p[n++] = coded ? (uint8_t)(digit(w.p[i + 1]) << 4 | digit(w.p[i + 2])) : w.p[i];
		i += coded ? 2 : 0;
	}
	return slice_of(p, n);
}

/* ---- the batch ---- */

static void want_add(struct state *s, const struct state_want *w)
{
	struct state_want *v = reallocarray(s->want, s->n_want + 1, sizeof(*v));

	if (v == NULL)
		abort();
	s->want = v;
	v[s->n_want++] = *w;
}

static void want_end(struct state *s, bool stored)
{
	for (size_t i = 0; i < s->n_want; i++) {
		if (stored)
			done_add(s, s->want[i].key);
		free((void *)s->want[i].key.p);
	}
	s->n_want = 0;
}

static bool hash_parse(struct slice hex, uint8_t *ret)
{
	if (hex.n != 2 * STATE_HASH_BYTES)
		return false;
	for (size_t i = 0; i < hex.n; i += 2) {
		int a = digit(hex.p[i]), b = digit(hex.p[i + 1]);

		if (a < 0 || b < 0)
			return false;
		ret[i / 2] = (uint8_t)(a << 4 | b);
	}
	return true;
}

/* ---- reading what is there ---- */

static void take_line(struct state *s, struct slice line)
{
	struct slice kind = slice_take(&line, ' '), number;
	struct state_want w = { 0 };
	uint64_t n;

	if (slice_eq(kind, SLICE("stored")) || slice_eq(kind, SLICE("refused"))) {
		want_end(s, kind.p[0] == 's');
		return;
	}
	number = slice_take(&line, ' ');
	if (slice_u64(number, UINT32_MAX, &n) != 0)
		return;
	if (slice_eq(kind, SLICE("into"))) {
		free((void *)s->box.p);
		s->uidvalidity = (uint32_t)n;
		s->box = get_word(&line);
	} else if (slice_eq(kind, SLICE("uid")) && hash_parse(slice_take(&line, ' '), w.hash)) {
		w.uid = (uint32_t)n;
		w.key = get_word(&line);
		want_add(s, &w);
	}
}

/*
 * Whole lines only: the last one may have been cut by a power failure. A file that is not ours is
 * not touched.
 */
static int take_text(
    struct state *s, struct slice text, struct slice first, const char *path, bool dry)
{
	ptrdiff_t lf = slice_rfind(text, '\n');
	struct slice rest = text, line = slice_take(&rest, '\n');

	if (lf < 0 ? !slice_starts(first, text) : !slice_eq(line, first)) {
		fprintf(stderr,
		    "gatehousectl: %s is of another import (other account or source), or of none\n"
		    "  name another file by --state, or remove this one if that import is over\n",
		    path);
		return 1;
	}
	text.n = lf >= 0 ? (size_t)lf + 1 : 0;
	if (s->fd >= 0 && !dry && ftruncate(s->fd, (off_t)text.n) != 0) {
		fprintf(stderr, "gatehousectl: %s: %s\n", path, strerror(errno));
		return 1;
	}
	slice_take(&text, '\n');
	while (text.n > 0)
		take_line(s, slice_take(&text, '\n'));
	return 0;
}

/* The first line of a new file, and its name: on the disk before anything is moved. */
static int write_title(struct state *s, const char *path, struct buf *first)
{
	char *copy = strdup(path), *slash = copy != NULL ? strrchr(copy, '/') : NULL;
	int dir, r;

	if (slash != NULL)
		slash[slash == copy] = '\0';
	dir = open(slash != NULL ? copy : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	buf_putc(first, '\n');
	r = dir < 0 || io_write_all(s->fd, buf_slice(first)) != 0 || fsync(s->fd) != 0 ||
	    fsync(dir) != 0;
	if (r != 0)
		fprintf(stderr, "gatehousectl: cannot write %s: %s\n", path, strerror(errno));
	fd_close(&dir);
	free(copy);
	return r;
}

static int open_file(const char *path, bool dry, int *ret_fd)
{
	*ret_fd = dry ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
		      : open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*ret_fd < 0 && dry && errno == ENOENT)
		return 0;
	if (*ret_fd < 0) {
		fprintf(stderr,
		    "gatehousectl: cannot keep what is moved in %s: %s\n  name another file by "
		    "--state\n",
		    path, strerror(errno));
		return 1;
	}
	if (!dry && flock(*ret_fd, LOCK_EX | LOCK_NB) != 0) {
		fprintf(stderr, "gatehousectl: %s is in use: this import runs already\n", path);
		fd_close(ret_fd);
		return 1;
	}
	return 0;
}

int state_open(const char *path, struct slice source, uint64_t account, bool dry, struct state *ret)
{
	struct buf first = BUF_INIT(1 << 20);
	uint8_t *text = NULL;
	size_t n = 0;
	int r;

	*ret = (struct state){ .fd = -1, .out = BUF_INIT(LINE_MAX_OUT) };
	if (open_file(path, dry, &ret->fd) != 0)
		return 1;
	buf_printf(&first, "%s %llu", title, (unsigned long long)account);
	put_word(&first, source);
	r = ret->fd >= 0 ? io_slurp(ret->fd, STATE_MAX, &text, &n) : 0;
	if (r != 0)
		fprintf(stderr, "gatehousectl: cannot read %s\n", path);
	if (r == 0)
		r = take_text(ret, slice_of(text, n), buf_slice(&first), path, dry);
	if (r == 0 && !dry && (n == 0 || memchr(text, '\n', n) == NULL))
		r = write_title(ret, path, &first);
	free(text);
	buf_fini(&first);
	if (dry)
		fd_close(&ret->fd);
	if (r != 0)
		state_close(ret);
	return r != 0;
}

void state_close(struct state *s)
{
	want_end(s, false);
	free(s->want);
	free((void *)s->box.p);
	free(s->done);
	buf_fini(&s->out);
	fd_close(&s->fd);
	*s = (struct state){ .fd = -1 };
}

/* ---- writing ---- */

void state_box(struct state *s, struct slice name, uint32_t uidvalidity)
{
	uint8_t *p = malloc(name.n + 1);

	if (p == NULL)
		abort();
	memcpy(p, name.p, name.n);
	free((void *)s->box.p);
	s->box = slice_of(p, name.n);
	s->uidvalidity = uidvalidity;
	buf_printf(&s->out, "into %u", uidvalidity);
	put_word(&s->out, name);
	buf_putc(&s->out, '\n');
}

int state_add(struct state *s, uint32_t uid, const uint8_t *hash, struct slice key)
{
	struct state_want w = { .uid = uid };
	uint8_t *p = malloc(key.n + 1);

	if (p == NULL)
		abort();
	memcpy(p, key.p, key.n);
	memcpy(w.hash, hash, STATE_HASH_BYTES);
	w.key = slice_of(p, key.n);
	want_add(s, &w);
	buf_printf(&s->out, "uid %u ", uid);
	for (size_t i = 0; i < STATE_HASH_BYTES; i++)
		buf_printf(&s->out, "%02x", hash[i]);
	put_word(&s->out, key);
	buf_putc(&s->out, '\n');
	return s->out.overflow;
}

static int flush(struct state *s, bool sync)
{
	int r = s->fd < 0 || s->out.overflow ? -ENOSPC : io_write_all(s->fd, buf_slice(&s->out));

	buf_reset(&s->out);
	if (r == 0 && sync && fdatasync(s->fd) != 0)
		r = -errno;
	if (r != 0)
		fprintf(stderr, "gatehousectl: cannot write what is moved: %s\n", strerror(-r));
	return r != 0;
}

void state_give(struct state *s, struct state_want **ret_want, size_t *ret_n)
{
	*ret_want = s->want;
	*ret_n = s->n_want;
	s->want = NULL;
	s->n_want = 0;
	buf_puts(&s->out, "refused\n");
}

int state_sync(struct state *s)
{
	return flush(s, true);
}

/*
 * Not synced: a decision that is lost is found out again. That a batch was refused is not even
 * written before something else is: until then it may be the double of one that was stored.
 */
int state_decide(struct state *s, bool stored)
{
	want_end(s, stored);
	if (s->fd < 0)
		return 0;
	buf_puts(&s->out, stored ? "stored\n" : "refused\n");
	return stored ? flush(s, false) : 0;
}
