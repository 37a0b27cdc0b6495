/* The playing half of recfs: from base image, trace and seed to one state of the disk. */
#include "recfs.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void *anon(uint64_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		err(2, "mmap");
	return p;
}

static int open_sized(const char *path, uint64_t *ret_bytes)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0)
		err(2, "%s", path);
	*ret_bytes = (uint64_t)st.st_size;
	return fd;
}

void rec_play_open(struct rec_play *p, const char *base, const char *trace)
{
	int fd = open_sized(base, &p->img.bytes);

	p->img.durable = anon(p->img.bytes);
	p->img.now = anon(p->img.bytes);
	p->img.dirty = anon(p->img.bytes / REC_BLOCK + 1);
	for (off_t at = lseek(fd, 0, SEEK_DATA); at >= 0; at = lseek(fd, at, SEEK_DATA)) {
		off_t end = lseek(fd, at, SEEK_HOLE);

		while (at < end) {
			ssize_t r = pread(fd, p->img.durable + at, (size_t)(end - at), at);

			if (r <= 0)
				err(2, "%s", base);
			memcpy(p->img.now + at, p->img.durable + at, (size_t)r);
			at += r;
		}
	}
	close(fd);
	fd = open_sized(trace, &p->trace_bytes);
	p->trace = mmap(NULL, p->trace_bytes + 1, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p->trace == MAP_FAILED)
		err(2, "mmap %s", trace);
	close(fd);
	p->pos = p->at = 0;
}

void rec_image_write(struct rec_image *img, const void *data, size_t n, uint64_t off)
{
	if (n == 0)
		return;
	memcpy(img->now + off, data, n);
	memset(img->dirty + off / REC_BLOCK, 1, (off + n - 1) / REC_BLOCK - off / REC_BLOCK + 1);
}

/* False at the end of the trace, or at a record cut short by the end of recording. */
static bool next_record(const struct rec_play *p, uint64_t pos, struct rec_head *h)
{
	if (p->trace_bytes - pos < sizeof(*h))
		return false;
	memcpy(h, p->trace + pos, sizeof(*h));
	return p->trace_bytes - pos - sizeof(*h) >= h->len;
}

static void forget_changes(struct rec_image *img)
{
	for (uint64_t b = 0; b <= (img->bytes - 1) / REC_BLOCK; b++) {
		if (!img->dirty[b])
			continue;
		memcpy(img->now + b * REC_BLOCK, img->durable + b * REC_BLOCK, REC_BLOCK);
		img->dirty[b] = 0;
	}
}

/* Makes the writes of the present interval durable; false when the trace has no further flush. */
static bool advance(struct rec_play *p)
{
	struct rec_head h;
	uint64_t pos = p->pos;

	for (; next_record(p, pos, &h); pos += sizeof(h) + h.len) {
		if (h.type == REC_FLUSH) {
			p->pos = pos + sizeof(h) + h.len;
			p->at++;
			return true;
		}
		if (h.type != REC_WRITE)
			continue;
		memcpy(p->img.durable + h.off, p->trace + pos + sizeof(h), h.len);
		memcpy(p->img.now + h.off, p->trace + pos + sizeof(h), h.len);
	}
	return false;
}

/* splitmix64: small, seeded, the same everywhere. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static uint64_t interval_bytes(const struct rec_play *p)
{
	struct rec_head h;
	uint64_t total = 0;

	for (uint64_t pos = p->pos; next_record(p, pos, &h); pos += sizeof(h) + h.len) {
		if (h.type == REC_FLUSH)
			break;
		if (h.type == REC_WRITE)
			total += h.len;
	}
	return total;
}

/* Applies the part of one write that survives; `left` counts down for SUBSET_PREFIX. */
static void apply_part(struct rec_play *p, const struct rec_head *h, const uint8_t *data,
    enum rec_subset how, uint64_t *rng, uint64_t keep, uint64_t *left)
{
	size_t step = how == SUBSET_BLOCKS ? REC_BLOCK : REC_SECTOR;

	if (how == SUBSET_ALL || how == SUBSET_WRITES)
		step = h->len;
	for (size_t at = 0, n; at < h->len; at += n) {
		uint64_t off = h->off + at;

		/* The file system's superblock is never torn: ext4 could not even be mounted. */
		n = off < REC_BLOCK ? REC_BLOCK - off : step;
		if (n > h->len - at)
			n = h->len - at;

		bool survives = how == SUBSET_ALL || next_random(rng) % 256 < keep;

		if (how == SUBSET_PREFIX) {
			survives = *left > 0;
			*left -= *left < n ? *left : n;
		}
		if (survives)
			rec_image_write(&p->img, data + at, n, off);
	}
}

int rec_play_goto(struct rec_play *p, uint64_t at, enum rec_subset how, uint64_t seed)
{
	static const uint64_t keeps[] = { 16, 64, 128, 192, 240 };
	uint64_t rng = seed, keep = keeps[next_random(&rng) % 5];
	uint64_t left, whole;
	struct rec_head h;

	if (at < p->at)
		return -EINVAL;
	forget_changes(&p->img);
	while (p->at < at)
		if (!advance(p))
			return -EINVAL;
	if (how == SUBSET_NONE)
		return 0;
	whole = interval_bytes(p) / REC_SECTOR;
	left = whole == 0 ? 0 : next_random(&rng) % (whole + 1) * REC_SECTOR;
	for (uint64_t pos = p->pos; next_record(p, pos, &h); pos += sizeof(h) + h.len) {
		if (h.type == REC_FLUSH)
			break;
		if (h.type == REC_WRITE)
			apply_part(p, &h, p->trace + pos + sizeof(h), how, &rng, keep, &left);
	}
	return 0;
}
