#include "engine-help.h"

#include "tests/unit/salvage-world.h"

#include "common/engine/lmdb/lmdb-private.h"
#include "common/ipc/types.h"

#include <dirent.h>
#include <xxhash.h>

enum { NO_TIMER_MS = 3600000, ACCOUNT = 7 };

struct world world;

static const struct engine_conf conf = { .segment_bytes = 256 << 10, .checkpoint_ms = NO_TIMER_MS };

static uint64_t rnd_state = 88172645463325252u;

uint64_t rnd(uint64_t below)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return rnd_state % below;
}

static void put_row(struct engine_batch *b, struct rec_key key, const void *val, size_t n)
{
	assert_int_equal(engine_put(b, key_slice(&key), slice_of(val, n)), 0);
}

static struct engine_group *group_of_key(struct rec_key k)
{
	struct engine_group *g = NULL;
	struct answer a = { .rc = WAITING };

	engine_group_open(world.e, key_slice(&k), 0, ENGINE_CREATE, on_group, &a);
	wait_for(world.e, &a.rc);
	assert_int_equal(a.rc, 0);
	g = a.group;
	return g;
}

static void world_open(const char *dir)
{
	world.e = store_open("lmdb", dir, &conf);
	world.meta = group_of_key(key_group_store());
	world.root = group_of_key(key_group_root(ACCOUNT));
	for (unsigned i = 0; i < BOXES; i++)
		world.boxes[i].group = group_of_key(key_group_mbox(world.boxes[i].id));
}

static void world_close(void)
{
	engine_group_close(&world.meta);
	engine_group_close(&world.root);
	for (unsigned i = 0; i < BOXES; i++)
		engine_group_close(&world.boxes[i].group);
	engine_close(&world.e);
}

static void box_name(struct box *b, const char *name)
{
	struct engine_batch *t = engine_batch_new(world.root);
	struct mbox_rec rec = { .uidvalidity = 100, .name = slice_str(name) };
	uint8_t val[RECORD_MBOX_BYTES + 64];

	snprintf(b->name, sizeof(b->name), "%s", name);
	put_row(t, key_u64(REC_MBOX, b->id), val, mbox_pack(&rec, val));
	assert_int_equal(commit(world.e, t), 0);
}

static void account_make(void)
{
	struct engine_batch *b = engine_batch_new(world.root);
	struct root_rec root = { ACCOUNT, 200, 1 };
	uint8_t val[RECORD_ROOT_BYTES], shard[4] = { 0 };

	root_pack(&root, val);
	put_row(b, key_kind(REC_HEAD), val, sizeof(val));
	assert_int_equal(commit(world.e, b), 0);
	b = engine_batch_new(world.meta);
	put_row(b, key_u64(REC_ACCOUNT, ACCOUNT), shard, sizeof(shard));
	assert_int_equal(commit(world.e, b), 0);
}

static struct engine_batch *box_batch(struct box *b)
{
	b->head.modseq = ++world.modseq;
	return engine_batch_new(b->group);
}

static void box_commit(struct box *b, struct engine_batch *t)
{
	uint8_t val[RECORD_HEAD_BYTES];

	head_pack(&b->head, val);
	put_row(t, key_kind(REC_HEAD), val, sizeof(val));
	assert_int_equal(commit(world.e, t), 0);
}

static void msg_row(struct box *b, struct msg *m, uint8_t val[RECORD_MSG_MAX])
{
	struct msg_rec rec = { .flags = m->flags,
		.size = m->size,
		.modseq = m->modseq,
		.id = ++world.next_id,
		.sum = m->sum,
		.date = m->date,
		.saved = m->date };

	assert_int_equal(msg_pack(&rec, val), RECORD_MSG_BYTES);
	b->head.exists++;
	b->head.unseen += (m->flags & IPC_FLAG_SEEN) == 0;
	b->head.bytes += m->size;
}

static void deliver(struct box *b, size_t size)
{
	struct engine_batch *t = box_batch(b);
	struct msg *m = &b->msgs[b->n++];
	unsigned seed = (unsigned)rnd(200);
	uint8_t *p = malloc(size), val[RECORD_MSG_MAX];
	struct engine_body *body;
	struct rec_key k;

	pack_bodies = seed % 2 != 0;
	body = body_make(world.e, size, seed);
	for (size_t i = 0; i < size; i++)
		p[i] = body_byte(i, seed);
	*m = (struct msg){ .uid = b->head.uidnext++,
		.flags = (uint32_t)rnd(32),
		.size = size,
		.sum = XXH3_64bits(p, size),
		.modseq = b->head.modseq,
		.date = (int64_t)rnd(1000000000) };
	free(p);
	msg_row(b, m, val);
	k = key_u32(REC_MSG, m->uid);
	assert_int_equal(
	    engine_put_body(t, key_slice(&k), slice_of(val, RECORD_MSG_BYTES), body), 0);
	box_commit(b, t);
	assert_int_equal(engine_body_loc(body, &m->loc), 0);
	engine_body_free(&body);
}

static void change_flags(struct box *b)
{
	struct msg *m = &b->msgs[rnd(b->n)];
	struct engine_batch *t;
	struct flags_rec f;
	uint8_t val[RECORD_FLAGS_MAX];

	if (m->gone)
		return;
	t = box_batch(b);
	b->head.unseen -= (m->flags & IPC_FLAG_SEEN) == 0;
	m->flags = (uint32_t)rnd(32);
	b->head.unseen += (m->flags & IPC_FLAG_SEEN) == 0;
	m->flags_changed = true;
	f = (struct flags_rec){ .flags = m->flags, .modseq = b->head.modseq };
	put_row(t, key_u32(REC_FLAGS, m->uid), val, flags_pack(&f, val));
	box_commit(b, t);
}

static void expunge(struct box *b)
{
	struct msg *m = &b->msgs[rnd(b->n)];
	struct rec_key u = key_u32(REC_MSG, m->uid), f = key_u32(REC_FLAGS, m->uid);
	struct engine_batch *t;

	if (m->gone)
		return;
	t = box_batch(b);
	assert_int_equal(engine_del(t, key_slice(&u)), 0);
	assert_int_equal(engine_del(t, key_slice(&f)), 0);
	m->gone = true;
	b->head.exists--;
	b->head.unseen -= (m->flags & IPC_FLAG_SEEN) == 0;
	b->head.bytes -= m->size;
	box_commit(b, t);
}

static void live(unsigned messages)
{
	for (unsigned i = 0; i < BOXES * messages; i++) {
		struct box *b = &world.boxes[rnd(BOXES)];

		if (b->n < MESSAGES + 8)
			deliver(b, rnd(10) == 0 ? 70000 + rnd(100000) : 500 + rnd(6000));
		if (rnd(3) == 0)
			change_flags(b);
		if (rnd(6) == 0)
			expunge(b);
	}
}

void world_make(void)
{
	static const char *const names[BOXES] = { "INBOX", "Work/2024",
		"Tr\xc3\xbc"
		"b." };

	assert_int_equal(system("rm -rf closed torn damaged; mkdir closed"), 0);
	for (unsigned i = 0; i < BOXES; i++)
		world.boxes[i] = (struct box){ .id = 40 + i,
			.head = { .uidvalidity = 100, .uidnext = 1, .account = ACCOUNT } };
	world_open("closed");
	account_make();
	for (unsigned i = 0; i < BOXES; i++)
		box_name(&world.boxes[i], names[i]);
	deliver(&world.boxes[0], 1500000); /* a file of its own */
	live(MESSAGES / 2);
	world_close();
	world_open("closed");
	box_name(&world.boxes[1], "Work/2025");
	live(MESSAGES / 2);
	assert_int_equal(system("cp -r closed torn"), 0);
	world_close();
}

/* ---- files ---- */

static uint8_t *slurp(const char *dir, const char *name, size_t *ret_n)
{
	char path[400];
	struct stat st;
	uint8_t *p;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	p = malloc((size_t)st.st_size + 1);
	assert_int_equal(read(fd, p, (size_t)st.st_size), st.st_size);
	close(fd);
	*ret_n = (size_t)st.st_size;
	return p;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct file *)a)->name, ((const struct file *)b)->name);
}

/* In the order of their names: the same damage on every file system. */
void files_load(struct files *f, const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *de;

	f->n = 0;
	while ((de = readdir(d)) != NULL) {
		struct file *x = &f->v[f->n];

		if (de->d_name[0] == '.' || strcmp(de->d_name, "lock") == 0 ||
		    strcmp(de->d_name, "lock.mdb") == 0)
			continue;
		assert_true(f->n < FILES_MAX && strlen(de->d_name) < sizeof(x->name));
		strcpy(x->name, de->d_name);
		x->was = slurp(dir, x->name, &x->n);
		x->is = malloc(x->n + 1);
		f->n++;
	}
	closedir(d);
	qsort(f->v, f->n, sizeof(f->v[0]), by_name);
}

void files_free(struct files *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->v[i].was);
		free(f->v[i].is);
	}
	f->n = 0;
}

static void files_write(struct files *f)
{
	assert_int_equal(system("rm -rf damaged; mkdir damaged"), 0);
	for (size_t i = 0; i < f->n; i++) {
		char path[200];
		int fd;

		snprintf(path, sizeof(path), "damaged/%s", f->v[i].name);
		fd = open(path, O_WRONLY | O_CREAT, 0600);
		assert_int_equal(write(fd, f->v[i].is, f->v[i].n), f->v[i].n);
		close(fd);
	}
}

void files_damage(struct files *f)
{
	bool pages = rnd(3) == 0;
	uint64_t times = pages ? 1 + rnd(8) : 1 + rnd(rnd(2) == 0 ? 10 : 1000);

	for (size_t i = 0; i < f->n; i++)
		memcpy(f->v[i].is, f->v[i].was, f->v[i].n);
	while (times-- > 0) {
		struct file *x = &f->v[rnd(f->n)];
		uint64_t at = rnd(x->n), n = 1;

		if (pages) {
			at &= ~UINT64_C(4095);
			n = x->n - at < 4096 ? x->n - at : 4096;
		}
		for (uint64_t i = 0; i < n; i++)
			x->is[at + i] ^= (uint8_t)(1 + rnd(255));
	}
	files_write(f);
}

static const struct file *file_of(const struct files *f, const struct loc_parts *p)
{
	char name[32];

	if (p->kind == LOC_SEGMENT)
		snprintf(name, sizeof(name), "log-%08x", (unsigned)p->file);
	else
		log_body_name(p->file, name);
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->v[i].name, name) == 0)
			return &f->v[i];
	return NULL;
}

bool file_same(const struct file *x, uint64_t off, uint64_t n)
{
	return x != NULL && memcmp(x->was + off, x->is + off, n) == 0;
}

bool body_same(const struct files *f, const struct msg *m)
{
	struct loc_parts p;

	loc_decode(&m->loc, &p);
	return file_same(
	    file_of(f, &p), p.kind == LOC_SEGMENT ? p.off : SEG_HEAD, p.packed ? p.span : p.size);
}

uint64_t store_id_of(const struct files *f)
{
	struct seg_head h;

	for (size_t i = 0; i < f->n; i++)
		if (seg_head_decode(f->v[i].was, &h) == SEG_OK)
			return h.store_id;
	return 0;
}

bool some_header_same(const struct files *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (strncmp(f->v[i].name, "log-", 4) == 0 && file_same(&f->v[i], 0, SEG_HEAD))
			return true;
	return false;
}
