#include "stored/backup/backup.h"

#include "common/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>

enum { STEP = 1 << 20 };

int bfiles_add(struct bfiles *l, const struct bfile *f)
{
	if (l->n == l->cap) {
		size_t cap = l->cap == 0 ? 64 : 2 * l->cap;
		struct bfile *v = realloc(l->v, cap * sizeof(*v));

		if (v == NULL)
			return -ENOMEM;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = *f;
	return 0;
}

void bfiles_fini(struct bfiles *l)
{
	free(l->v);
	*l = (struct bfiles){ 0 };
}

const struct bfile *bfiles_find(const struct bfiles *l, unsigned db, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].db == db && strcmp(l->v[i].name, name) == 0)
			return &l->v[i];
	return NULL;
}

static int copy_bytes(
    struct copying *c, int in, int out, uint64_t max, XXH3_state_t *sum, uint64_t *ret_bytes)
{
	static uint8_t buf[STEP];
	uint64_t done = 0;
	int rc = 0;

	while (rc == 0 && done < max) {
		size_t want = max - done < sizeof(buf) ? max - done : sizeof(buf);
		ssize_t n = read(in, buf, want);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			rc = n < 0 ? -errno : 0;
			break;
		}
		XXH3_64bits_update(sum, buf, (size_t)n);
		rc = io_write_all(out, slice_of(buf, (size_t)n));
		done += (uint64_t)n;
		c->done += (uint64_t)n;
		report_progress(c->rep, "MiB", c->done >> 20, c->of >> 20);
	}
	*ret_bytes = done;
	return rc;
}

int copy_file(struct copying *c, int from_fd, const char *from, int to_fd, const char *to,
    uint64_t max, struct bfile *ret_f)
{
	XXH3_state_t *sum = XXH3_createState();
	int in = openat(from_fd, from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), out = -1, rc = 0;

	if (in < 0 || sum == NULL)
		rc = in < 0 ? -errno : -ENOMEM;
	if (rc == 0) {
		out = openat(to_fd, to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		rc = out < 0 ? -errno : 0;
	}
	if (rc == 0) {
		XXH3_64bits_reset(sum);
		rc = copy_bytes(c, in, out, max, sum, &ret_f->bytes);
		ret_f->sum = XXH3_64bits_digest(sum);
	}
	if (rc == 0 && fsync(out) != 0)
		rc = -errno;
	if (out >= 0 && close(out) != 0 && rc == 0)
		rc = -errno;
	fd_close(&in);
	XXH3_freeState(sum);
	return rc;
}
