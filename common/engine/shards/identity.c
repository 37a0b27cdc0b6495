#include "common/engine/identity.h"

#include "common/base/io.h"
#include "common/base/slice.h"
#include "common/engine/engine.h"
#include "common/engine/tail.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEXT_MAX = 256, VERSION = 1 };

static const char file_name[] = "identity", new_name[] = "identity.new";

void shard_dir_name(unsigned shard, char ret_name[SHARD_NAME_MAX])
{
	snprintf(ret_name, SHARD_NAME_MAX, "shard-%u", shard);
}

/* "word value", the whole line. */
static bool take_number(struct slice *text, const char *word, int base, uint64_t *ret)
{
	struct slice line = slice_take(text, '\n'), name = slice_take(&line, ' ');
	char digits[20] = "", *end;

	if (!slice_eq(name, slice_str(word)) || line.n == 0 || line.n >= sizeof(digits))
		return false;
	memcpy(digits, line.p, line.n);
	if (digits[0] == '-' || digits[0] == '+' || digits[0] == ' ')
		return false;
	errno = 0;
	*ret = strtoull(digits, &end, base);
	return *end == '\0' && errno == 0;
}

static int parse(struct slice text, struct identity *ret_id)
{
	uint64_t version, shard, shards;

	if (!take_number(&text, "gatehouse-shard", 10, &version))
		return ENGINE_CORRUPT;
	if (version > VERSION)
		return ENGINE_VERSION;
	if (!take_number(&text, "store", 16, &ret_id->store) ||
	    !take_number(&text, "shard", 10, &shard) ||
	    !take_number(&text, "shards", 10, &shards) || text.n > 0)
		return ENGINE_CORRUPT;
	if (shard >= ENGINE_SHARDS_MAX || shards > ENGINE_SHARDS_MAX ||
	    (shard == 0) != (shards > 0))
		return ENGINE_CORRUPT;
	ret_id->shard = (unsigned)shard;
	ret_id->shards = (unsigned)shards;
	return 0;
}

int identity_read(int dir_fd, struct identity *ret_id)
{
	int fd = openat(dir_fd, file_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), r;
	uint8_t *p = NULL;
	size_t n = 0;

	if (fd < 0)
		return errno == ENOENT ? ENGINE_NOTFOUND : ENGINE_IO;
	r = io_slurp(fd, TEXT_MAX, &p, &n);
	close(fd);
	if (r != 0)
		return r > 0 ? ENGINE_CORRUPT : ENGINE_IO;
	r = parse(slice_of(p, n), ret_id);
	free(p);
	return r;
}

static int write_new(int dir_fd, struct slice text)
{
	int fd =
	    openat(dir_fd, new_name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r;

	if (fd < 0)
		return -errno;
	r = io_write_all(fd, text);
	if (r == 0 && fsync(fd) != 0)
		r = -errno;
	close(fd);
	return r;
}

int identity_write(int dir_fd, const struct identity *id)
{
	char text[TEXT_MAX];
	int n = snprintf(text, sizeof(text),
	    "gatehouse-shard %d\nstore %016" PRIx64 "\nshard %u\nshards %u\n", VERSION, id->store,
	    id->shard, id->shards);
	int r = write_new(dir_fd, slice_of(text, (size_t)n));

	if (r == 0 && (renameat(dir_fd, new_name, dir_fd, file_name) != 0 || fsync(dir_fd) != 0))
		r = -errno;
	if (r == 0)
		return 0;
	return r == -ENOSPC || r == -EDQUOT ? ENGINE_FULL : ENGINE_IO;
}

static bool has_log(int dir_fd)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;
	bool found = false;

	if (d == NULL) {
		fd_close(&fd);
		return false;
	}
	while (!found && (de = readdir(d)) != NULL) {
		struct tail_file f;

		found = tail_is_file(de->d_name, &f) && f.segment;
	}
	closedir(d);
	return found;
}

static bool same_owner(int a, int b)
{
	struct stat sa, sb;

	return fstat(a, &sa) == 0 && fstat(b, &sb) == 0 && sa.st_uid == sb.st_uid;
}

static const char *look(
    int store_fd, int fd, const struct identity *store, unsigned shard, bool with_log)
{
	struct identity id;
	int r = identity_read(fd, &id);

	if (r == ENGINE_NOTFOUND)
		return "not-mounted";
	if (r == ENGINE_VERSION)
		return "newer-version";
	if (r != 0)
		return r == ENGINE_IO ? "io" : "identity";
	if (id.store != store->store)
		return "other-store";
	if (id.shard != shard)
		return "other-shard";
	if (!same_owner(store_fd, fd))
		return "owner";
	return with_log && !has_log(fd) ? "empty" : NULL;
}

const char *shard_dir_open(
    int store_fd, const struct identity *store, unsigned shard, bool with_log, int *ret_fd)
{
	char name[SHARD_NAME_MAX];
	const char *why;
	int fd;

	shard_dir_name(shard, name);
	fd = openat(store_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? "missing" : "io";
	why = look(store_fd, fd, store, shard, with_log);
	if (why != NULL)
		fd_close(&fd);
	else
		*ret_fd = fd;
	return why;
}
