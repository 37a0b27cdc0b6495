/*
 * recfs - FUSE file system under a loop device: records its writes and flushes, or replays them.
 *
 *   recfs record BASE TRACE MOUNTPOINT   files: image (starts as BASE, changed in memory only), ack
 *   recfs play   BASE TRACE MOUNTPOINT   files: image, goto ("INTERVAL SUBSET SEED")
 *
 * Single-threaded on purpose: the order of the trace is then the order in which things happened.
 */
#define FUSE_USE_VERSION 31 /* must precede the header */
#include <fuse.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "recfs.h"

static struct rec_play play;
static bool recording;
static int trace_fd = -1;

static void record(uint32_t type, uint64_t off, const void *data, size_t n)
{
	struct rec_head h = { .type = type, .len = (uint32_t)n, .off = off };
	struct iovec iov[2] = { { &h, sizeof(h) }, { (void *)(uintptr_t)data, n } };

	if (writev(trace_fd, iov, n > 0 ? 2 : 1) != (ssize_t)(sizeof(h) + n))
		err(2, "trace");
}

static int fs_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
	*st = (struct stat){ .st_mode = S_IFREG | 0666, .st_nlink = 1 };
	if (strcmp(path, "/") == 0)
		*st = (struct stat){ .st_mode = S_IFDIR | 0755, .st_nlink = 2 };
	else if (strcmp(path, "/image") == 0)
		st->st_size = (off_t)play.img.bytes;
	else if (strcmp(path, recording ? "/ack" : "/goto") != 0)
		return -ENOENT;
	return 0;
}

static int fs_open(const char *path, struct fuse_file_info *fi)
{
	/* No page cache between the loop device and the trace. */
	fi->direct_io = 1;
	return 0;
}

static int fs_read(const char *path, char *buf, size_t n, off_t off, struct fuse_file_info *fi)
{
	if (strcmp(path, "/image") != 0 || (uint64_t)off >= play.img.bytes)
		return 0;
	if (n > play.img.bytes - (uint64_t)off)
		n = play.img.bytes - (uint64_t)off;
	memcpy(buf, play.img.now + off, n);
	return (int)n;
}

static int write_goto(const char *buf, size_t n)
{
	unsigned long long at, seed;
	char line[128];
	int how, r;

	if (n >= sizeof(line))
		return -EINVAL;
	memcpy(line, buf, n);
	line[n] = '\0';
	if (sscanf(line, "%llu %d %llu", &at, &how, &seed) != 3)
		return -EINVAL;
	r = rec_play_goto(&play, at, (enum rec_subset)how, seed);
	return r < 0 ? r : (int)n;
}

static int fs_write(
    const char *path, const char *buf, size_t n, off_t off, struct fuse_file_info *fi)
{
	if (strcmp(path, "/goto") == 0)
		return write_goto(buf, n);
	if (strcmp(path, "/ack") == 0) {
		record(REC_ACK, 0, buf, n);
		return (int)n;
	}
	if ((uint64_t)off > play.img.bytes || n > play.img.bytes - (uint64_t)off)
		return -ENOSPC;
	rec_image_write(&play.img, buf, n, (uint64_t)off);
	if (recording)
		record(REC_WRITE, (uint64_t)off, buf, n);
	return (int)n;
}

static int fs_fsync(const char *path, int datasync, struct fuse_file_info *fi)
{
	if (recording && strcmp(path, "/image") == 0)
		record(REC_FLUSH, 0, NULL, 0);
	return 0;
}

static int fs_truncate(const char *path, off_t size, struct fuse_file_info *fi)
{
	return 0;
}

static int fs_readdir(const char *path, void *buf, fuse_fill_dir_t fill, off_t off,
    struct fuse_file_info *fi, enum fuse_readdir_flags flags)
{
	fill(buf, "image", NULL, 0, 0);
	fill(buf, recording ? "ack" : "goto", NULL, 0, 0);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct fuse_operations ops = { .getattr = fs_getattr,
		.open = fs_open,
		.read = fs_read,
		.write = fs_write,
		.fsync = fs_fsync,
		.truncate = fs_truncate,
		.readdir = fs_readdir };
	static char foreground[] = "-f", single[] = "-s";
	char *args[] = { argv[0], foreground, single, argc == 5 ? argv[4] : NULL, NULL };

	if (argc != 5)
		errx(2, "usage: recfs record|play BASE TRACE MOUNTPOINT");
	/* A test that died must not leave a mounted disk behind. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	recording = strcmp(argv[1], "record") == 0;
	trace_fd = open(
	    argv[3], O_RDWR | O_CLOEXEC | (recording ? O_CREAT | O_TRUNC | O_APPEND : 0), 0600);
	if (trace_fd < 0)
		err(2, "%s", argv[3]);
	rec_play_open(&play, argv[2], argv[3]);
	return fuse_main(4, args, &ops, NULL);
}
