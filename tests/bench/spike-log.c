/*
 * spike-log - what does one acknowledged message cost, by how the shard stores it?
 *
 *   log-*  one checksummed frame per group commit in the shard's log, ONE fdatasync; index rows
 * wait in a sorted overlay that a second thread applies to LMDB, with LMDB's own sync. -append the
 * segment grows with every frame -falloc   the segment is fallocate'd first (unwritten extents)
 *            -zeroed   a helper thread writes zeros over a whole segment before it is used
 *            -ahead    the committer writes 1 MiB of zeros ahead whenever a frame comes too close
 *   lmdb   body and index row are values in LMDB, one transaction per group commit
 *   file   body appended to a file, fdatasync, then the index row committed in LMDB
 *
 * Every variant has the same writers and the same committer thread that takes whatever waits, so
 * that the difference is the storage and nothing else. No variant relaxes LMDB's sync.
 *
 * usage: spike-log DIR [seconds-per-cell [runs]]     DIR must not hold anything of value
 */
#include <assert.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

enum {
	SEG_BYTES = 64 << 20,
	AHEAD_BYTES = 1 << 20,
	CHECKPOINT_ROWS = 16384, /* rows in the overlay before it is applied */
	OVERLAY_MAX = 4 * CHECKPOINT_ROWS,
	KEY_BYTES = 16,
	ROW_BYTES = 128,
	WRITERS_MAX = 64,
	LAT_MAX = 4 << 20,
	LEVELS = 12,
};

enum alloc { APPEND, FALLOC, ZEROED, AHEAD };

struct msg {
	struct msg *next;
	uint64_t id;
	size_t body_n;
	uint8_t *body;
	uint8_t key[KEY_BYTES], row[ROW_BYTES];
	pthread_mutex_t m;
	pthread_cond_t c;
	bool done;
};

struct node {
	uint8_t key[KEY_BYTES], row[ROW_BYTES];
	struct node *next[];
};

struct overlay {
	struct node *head[LEVELS];
	struct node *all[OVERLAY_MAX]; /* for freeing */
	size_t n;
};

struct frame_head {
	uint64_t magic, seq;
	uint32_t bytes, items;
	uint64_t sum;
};

struct item_head {
	uint8_t key[KEY_BYTES], row[ROW_BYTES];
	uint64_t body_n;
};

struct variant {
	const char *name;
	void (*commit)(struct msg *list, unsigned n);
	enum alloc alloc;
	bool log;
};

static char dir[512];
static pthread_mutex_t q_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t q_more = PTHREAD_COND_INITIALIZER;
static struct msg *q_head, **q_tail = &q_head;
static bool q_stop;
static _Atomic bool stop_writers;
static _Atomic uint64_t n_done, n_groups;
static uint64_t *lat_ns;
static MDB_env *env;
static MDB_dbi dbi;
static int fd_log = -1;
static unsigned seg_no;
static uint64_t seg_off, zero_off, frame_seq;
static enum alloc alloc_mode;
static pthread_mutex_t o_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t o_wake = PTHREAD_COND_INITIALIZER, o_room = PTHREAD_COND_INITIALIZER;
static struct overlay *active, *frozen;
static bool o_stop;
static pthread_mutex_t z_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t z_wake = PTHREAD_COND_INITIALIZER, z_ready = PTHREAD_COND_INITIALIZER;
static int z_fd = -1;
static bool z_stop;
static uint8_t zeros[AHEAD_BYTES];

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t cpu_us(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000u +
	       (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void must(int r, const char *what)
{
	if (r != 0)
		errx(1, "%s: %s", what, r < -30000 ? mdb_strerror(r) : strerror(r < 0 ? errno : r));
}

/* ---- overlay: a skip list of index rows, and the thread that applies it ---- */

static void overlay_put(struct overlay *o, const uint8_t *key, const uint8_t *row)
{
	struct node **at = o->head, **prev[LEVELS], *n;
	unsigned levels = 1;

	while (levels < LEVELS && (random() & 3) == 0)
		levels++;
	for (int l = LEVELS - 1; l >= 0; l--) {
		while (at[l] != NULL && memcmp(at[l]->key, key, KEY_BYTES) < 0)
			at = at[l]->next;
		prev[l] = &at[l];
	}
	n = malloc(sizeof(*n) + levels * sizeof(n->next[0]));
	assert(n != NULL && o->n < OVERLAY_MAX);
	memcpy(n->key, key, KEY_BYTES);
	memcpy(n->row, row, ROW_BYTES);
	for (unsigned l = 0; l < levels; l++) {
		n->next[l] = *prev[l];
		*prev[l] = n;
	}
	o->all[o->n++] = n;
}

static void overlay_reset(struct overlay *o)
{
	for (size_t i = 0; i < o->n; i++)
		free(o->all[i]);
	memset(o->head, 0, sizeof(o->head));
	o->n = 0;
}

static void overlay_apply(struct overlay *o)
{
	MDB_txn *t;

	must(mdb_txn_begin(env, NULL, 0, &t), "txn");
	for (struct node *n = o->head[0]; n != NULL; n = n->next[0]) {
		MDB_val k = { KEY_BYTES, n->key }, v = { ROW_BYTES, n->row };

		must(mdb_put(t, dbi, &k, &v, 0), "put");
	}
	must(mdb_txn_commit(t), "commit");
	overlay_reset(o);
}

static void *checkpointer(void *arg)
{
	struct overlay *o;

	pthread_mutex_lock(&o_lock);
	for (;;) {
		while (active->n < CHECKPOINT_ROWS && !o_stop)
			pthread_cond_wait(&o_wake, &o_lock);
		if (o_stop)
			break;
		o = active;
		active = frozen;
		frozen = o;
		pthread_cond_signal(&o_room);
		pthread_mutex_unlock(&o_lock);
		overlay_apply(o);
		pthread_mutex_lock(&o_lock);
	}
	pthread_mutex_unlock(&o_lock);
	return arg;
}

/* ---- the log ---- */

static int seg_create(unsigned no)
{
	char path[600];
	int fd;

	snprintf(path, sizeof(path), "%s/log.%u", dir, no);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		err(1, "%s", path);
	if (alloc_mode == FALLOC && fallocate(fd, 0, 0, SEG_BYTES) != 0)
		err(1, "fallocate");
	if (alloc_mode == ZEROED)
		for (off_t o = 0; o < SEG_BYTES; o += AHEAD_BYTES)
			if (pwrite(fd, zeros, AHEAD_BYTES, o) != AHEAD_BYTES)
				err(1, "zero");
	if (fsync(fd) != 0)
		err(1, "fsync");
	return fd;
}

static void *zeroer(void *arg)
{
	unsigned no = 0;
	int fd;

	pthread_mutex_lock(&z_lock);
	for (;;) {
		while (z_fd >= 0 && !z_stop)
			pthread_cond_wait(&z_wake, &z_lock);
		if (z_stop)
			break;
		pthread_mutex_unlock(&z_lock);
		fd = seg_create(no++);
		pthread_mutex_lock(&z_lock);
		z_fd = fd;
		pthread_cond_signal(&z_ready);
	}
	pthread_mutex_unlock(&z_lock);
	return arg;
}

static void seg_next(void)
{
	if (fd_log >= 0)
		close(fd_log);
	seg_off = zero_off = 0;
	if (alloc_mode != ZEROED) {
		fd_log = seg_create(seg_no++);
		return;
	}
	pthread_mutex_lock(&z_lock);
	while (z_fd < 0)
		pthread_cond_wait(&z_ready, &z_lock);
	fd_log = z_fd;
	z_fd = -1;
	seg_no++;
	pthread_cond_signal(&z_wake);
	pthread_mutex_unlock(&z_lock);
}

static void write_all(int fd, struct iovec *v, int n, uint64_t off)
{
	while (n > 0) {
		ssize_t w = pwritev(fd, v, n > 1024 ? 1024 : n, (off_t)off);

		if (w < 0)
			err(1, "pwritev");
		off += (uint64_t)w;
		for (; n > 0 && (size_t)w >= v->iov_len; v++, n--)
			w -= (ssize_t)v->iov_len;
		if (n > 0) {
			v->iov_base = (uint8_t *)v->iov_base + w;
			v->iov_len -= (size_t)w;
		}
	}
}

static void commit_log(struct msg *list, unsigned n)
{
	static struct item_head items[WRITERS_MAX];
	static struct iovec v[2 + 2 * WRITERS_MAX];
	struct frame_head h = { .magic = 0x31676f6c6b697073, .seq = ++frame_seq, .items = n };
	XXH3_state_t *x = XXH3_createState();
	int vn = 1;

	XXH3_64bits_reset(x);
	n = 0;
	for (struct msg *m = list; m != NULL; m = m->next, n++) {
		memcpy(items[n].key, m->key, KEY_BYTES);
		memcpy(items[n].row, m->row, ROW_BYTES);
		items[n].body_n = m->body_n;
		v[vn++] = (struct iovec){ &items[n], sizeof(items[n]) };
		v[vn++] = (struct iovec){ m->body, m->body_n };
		XXH3_64bits_update(x, &items[n], sizeof(items[n]));
		XXH3_64bits_update(x, m->body, m->body_n);
		h.bytes += (uint32_t)(sizeof(items[n]) + m->body_n);
	}
	h.sum = XXH3_64bits_digest(x);
	XXH3_freeState(x);
	v[0] = (struct iovec){ &h, sizeof(h) };
	if (seg_off + sizeof(h) + h.bytes > SEG_BYTES)
		seg_next();
	write_all(fd_log, v, vn, seg_off);
	seg_off += sizeof(h) + h.bytes;
	if (alloc_mode == AHEAD && seg_off > zero_off) {
		if (pwrite(fd_log, zeros, AHEAD_BYTES, (off_t)seg_off) != AHEAD_BYTES)
			err(1, "ahead");
		zero_off = seg_off + AHEAD_BYTES;
	}
	if (fdatasync(fd_log) != 0)
		err(1, "fdatasync");
	pthread_mutex_lock(&o_lock);
	while (active->n + WRITERS_MAX > OVERLAY_MAX)
		pthread_cond_wait(&o_room, &o_lock);
	for (struct msg *m = list; m != NULL; m = m->next)
		overlay_put(active, m->key, m->row);
	if (active->n >= CHECKPOINT_ROWS)
		pthread_cond_signal(&o_wake);
	pthread_mutex_unlock(&o_lock);
}

/* ---- the other two ---- */

static void commit_lmdb_rows(struct msg *list, bool bodies)
{
	MDB_txn *t;

	must(mdb_txn_begin(env, NULL, 0, &t), "txn");
	for (struct msg *m = list; m != NULL; m = m->next) {
		MDB_val k = { KEY_BYTES, m->key }, v = { ROW_BYTES, m->row };
		uint8_t bk[KEY_BYTES] = { 0xff };

		must(mdb_put(t, dbi, &k, &v, 0), "put");
		if (!bodies)
			continue;
		/* bodies in arrival order, so that LMDB can append */
		for (int i = 0; i < 8; i++)
			bk[8 + i] = (uint8_t)(m->id >> (56 - 8 * i));
		k.mv_data = bk;
		v = (MDB_val){ m->body_n, m->body };
		must(mdb_put(t, dbi, &k, &v, 0), "put body");
	}
	must(mdb_txn_commit(t), "commit");
}

static void commit_lmdb(struct msg *list, unsigned n)
{
	commit_lmdb_rows(list, true);
}

static void commit_file(struct msg *list, unsigned n)
{
	static struct iovec v[WRITERS_MAX];
	uint64_t bytes = 0;
	int vn = 0;

	for (struct msg *m = list; m != NULL; m = m->next) {
		v[vn++] = (struct iovec){ m->body, m->body_n };
		bytes += m->body_n;
	}
	if (seg_off + bytes > SEG_BYTES)
		seg_next();
	write_all(fd_log, v, vn, seg_off);
	seg_off += bytes;
	if (fdatasync(fd_log) != 0)
		err(1, "fdatasync");
	commit_lmdb_rows(list, false);
}

/* ---- the same committer and writers for all ---- */

static void *committer(void *arg)
{
	const struct variant *var = arg;
	struct msg *list, *next;
	unsigned n;

	for (;;) {
		pthread_mutex_lock(&q_lock);
		while (q_head == NULL && !q_stop)
			pthread_cond_wait(&q_more, &q_lock);
		list = q_head;
		q_head = NULL;
		q_tail = &q_head;
		pthread_mutex_unlock(&q_lock);
		if (list == NULL)
			return NULL;
		n = 0;
		for (struct msg *m = list; m != NULL; m = m->next)
			n++;
		var->commit(list, n);
		atomic_fetch_add(&n_groups, 1);
		for (; list != NULL; list = next) {
			next = list->next;
			pthread_mutex_lock(&list->m);
			list->done = true;
			pthread_cond_signal(&list->c);
			pthread_mutex_unlock(&list->m);
		}
	}
}

static void *writer(void *arg)
{
	struct msg m = { .body = malloc(8192) };
	uint64_t x = (uintptr_t)arg * 0x9e3779b97f4a7c15u + 1;
	static _Atomic uint64_t next_id;

	assert(m.body != NULL);
	memset(m.body, 'a' + (int)(x % 26), 8192);
	pthread_mutex_init(&m.m, NULL);
	pthread_cond_init(&m.c, NULL);
	while (!stop_writers) {
		uint64_t t0 = now_ns(), i;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		m.id = atomic_fetch_add(&next_id, 1);
		m.body_n = 4096 + x % 4096;
		memcpy(m.body, &x, sizeof(x));
		memset(m.key, 0, sizeof(m.key));
		m.key[0] = (uint8_t)(x >> 40) & 0x7f; /* 32768 mailboxes, next UID in one of them */
		m.key[1] = (uint8_t)(x >> 48);
		memcpy(m.key + 8, &m.id, 8);
		memcpy(m.row, &x, sizeof(x));
		m.next = NULL;
		m.done = false;
		pthread_mutex_lock(&q_lock);
		*q_tail = &m;
		q_tail = &m.next;
		pthread_cond_signal(&q_more);
		pthread_mutex_unlock(&q_lock);
		pthread_mutex_lock(&m.m);
		while (!m.done)
			pthread_cond_wait(&m.c, &m.m);
		pthread_mutex_unlock(&m.m);
		i = atomic_fetch_add(&n_done, 1);
		if (i < LAT_MAX)
			lat_ns[i] = now_ns() - t0;
	}
	free(m.body);
	return NULL;
}

static int cmp_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void dir_clean(void)
{
	char path[600];

	snprintf(path, sizeof(path), "%s/data.mdb", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/lock.mdb", dir);
	unlink(path);
	for (unsigned i = 0; i < 200; i++) {
		snprintf(path, sizeof(path), "%s/log.%u", dir, i);
		unlink(path);
	}
}

static void store_begin(const struct variant *var)
{
	MDB_txn *t;

	dir_clean();
	seg_no = 0;
	frame_seq = 0;
	alloc_mode = var->alloc;
	must(mdb_env_create(&env), "env");
	must(mdb_env_set_mapsize(env, (size_t)16 << 30), "mapsize");
	must(mdb_env_open(env, dir, MDB_NOTLS, 0600), "open");
	must(mdb_txn_begin(env, NULL, 0, &t), "txn");
	must(mdb_dbi_open(t, NULL, 0, &dbi), "dbi");
	must(mdb_txn_commit(t), "commit");
}

static void cell(const struct variant *var, unsigned writers, double seconds)
{
	pthread_t tw[WRITERS_MAX], tc, to, tz;
	uint64_t t0, t1, c0, c1, n;
	struct timespec nap = { (time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9) };

	store_begin(var);
	q_stop = o_stop = z_stop = false;
	stop_writers = false;
	if (var->log)
		must(pthread_create(&to, NULL, checkpointer, NULL), "thread");
	if (var->alloc == ZEROED)
		must(pthread_create(&tz, NULL, zeroer, NULL), "thread");
	if (var->commit != commit_lmdb)
		seg_next();
	n_done = n_groups = 0;
	c0 = cpu_us();
	t0 = now_ns();
	must(pthread_create(&tc, NULL, committer, (void *)(uintptr_t)var), "thread");
	for (uintptr_t i = 0; i < writers; i++)
		must(pthread_create(&tw[i], NULL, writer, (void *)(i + 1)), "thread");
	nanosleep(&nap, NULL);
	stop_writers = true;
	for (unsigned i = 0; i < writers; i++)
		pthread_join(tw[i], NULL);
	t1 = now_ns();
	c1 = cpu_us();
	pthread_mutex_lock(&q_lock);
	q_stop = true;
	pthread_cond_signal(&q_more);
	pthread_mutex_unlock(&q_lock);
	pthread_join(tc, NULL);
	if (var->alloc == ZEROED) {
		pthread_mutex_lock(&z_lock);
		z_stop = true;
		pthread_cond_signal(&z_wake);
		pthread_mutex_unlock(&z_lock);
		pthread_join(tz, NULL);
		if (z_fd >= 0)
			close(z_fd);
		z_fd = -1;
	}
	if (var->log) {
		pthread_mutex_lock(&o_lock);
		o_stop = true;
		pthread_cond_signal(&o_wake);
		pthread_mutex_unlock(&o_lock);
		pthread_join(to, NULL);
		overlay_reset(active);
		overlay_reset(frozen);
	}
	if (fd_log >= 0)
		close(fd_log);
	fd_log = -1;
	mdb_env_close(env);
	n = n_done < LAT_MAX ? n_done : LAT_MAX;
	qsort(lat_ns, n, sizeof(*lat_ns), cmp_u64);
	printf("%-11s %7u %9.0f %8.2f %8.2f %8.1f %9.1f\n", var->name, writers,
	    (double)n_done * 1e9 / (double)(t1 - t0), (double)lat_ns[n / 2] / 1e6,
	    (double)lat_ns[n * 99 / 100] / 1e6, (double)(c1 - c0) / (double)n_done,
	    (double)n_done / (double)n_groups);
	fflush(stdout);
}

/* Reads one segment as a restart would: cold pages, checksum of every frame, rows into an overlay.
 */
static void replay(void)
{
	static const struct variant var = { "log-ahead", commit_log, AHEAD, true };
	struct msg m = { .body_n = 6144, .body = calloc(1, 8192) };
	uint8_t *p = malloc(SEG_BYTES + AHEAD_BYTES);
	uint64_t off = 0, records = 0, t0;
	struct frame_head h;
	ssize_t n;

	assert(p != NULL && m.body != NULL);
	store_begin(&var);
	seg_next();
	for (m.id = 1; seg_off < SEG_BYTES - 16384; m.id++) {
		memcpy(m.key + 8, &m.id, 8);
		m.key[0] = (uint8_t)m.id;
		commit_log(&m, 1);
	}
	overlay_reset(active);
	posix_fadvise(fd_log, 0, 0, POSIX_FADV_DONTNEED);
	t0 = now_ns();
	for (size_t got = 0; (n = pread(fd_log, p + got, 1 << 20, (off_t)got)) > 0;)
		got += (size_t)n;
	for (;; off += sizeof(h) + h.bytes) {
		memcpy(&h, p + off, sizeof(h));
		if (h.magic == 0 || XXH3_64bits(p + off + sizeof(h), h.bytes) != h.sum)
			break;
		for (uint32_t at = 0, i = 0; i < h.items; i++, records++) {
			struct item_head it;

			memcpy(&it, p + off + sizeof(h) + at, sizeof(it));
			overlay_put(active, it.key, it.row);
			at += (uint32_t)(sizeof(it) + it.body_n);
		}
	}
	t0 = now_ns() - t0;
	printf("replay: %.1f MiB, %lu records in %.0f ms: %.2f ms per MiB, %.1f us per record\n",
	    (double)off / (1 << 20), (unsigned long)records, (double)t0 / 1e6,
	    (double)t0 / 1e6 / ((double)off / (1 << 20)), (double)t0 / 1e3 / (double)records);
	t0 = now_ns();
	overlay_apply(active);
	printf("checkpoint of those %lu rows: %.1f ms\n", (unsigned long)records,
	    (double)(now_ns() - t0) / 1e6);
	close(fd_log);
	fd_log = -1;
	mdb_env_close(env);
	free(m.body);
	free(p);
}

int main(int argc, char **argv)
{
	static const struct variant variants[] = {
		{ "log-append", commit_log, APPEND, true },
		{ "log-falloc", commit_log, FALLOC, true },
		{ "log-zeroed", commit_log, ZEROED, true },
		{ "log-ahead", commit_log, AHEAD, true },
		{ "lmdb", commit_lmdb, APPEND, false },
		{ "file+lmdb", commit_file, APPEND, false },
	};
	static const unsigned writers[] = { 1, 10, 50 };
	double seconds = argc > 2 ? atof(argv[2]) : 2;
	int runs = argc > 3 ? atoi(argv[3]) : 1;

	if (argc < 2)
		errx(2, "usage: spike-log DIR [seconds-per-cell [runs]]");
	snprintf(dir, sizeof(dir), "%s", argv[1]);
	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		err(1, "%s", dir);
	lat_ns = malloc(LAT_MAX * sizeof(*lat_ns));
	active = calloc(1, sizeof(*active));
	frozen = calloc(1, sizeof(*frozen));
	assert(lat_ns != NULL && active != NULL && frozen != NULL);
	memset(lat_ns, 0, LAT_MAX * sizeof(*lat_ns));
	printf("variant     writers  msgs/s   p50 ms   p99 ms  cpu us/m  msgs/sync\n");
	for (int r = 0; r < runs; r++) {
		for (size_t w = 0; w < sizeof(writers) / sizeof(*writers); w++)
			for (size_t i = 0; i < sizeof(variants) / sizeof(*variants); i++)
				cell(&variants[i], writers[w], seconds);
		replay();
	}
	dir_clean();
	rmdir(dir);
	return 0;
}
