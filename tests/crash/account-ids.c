/*
 * account-ids DATA-DIRECTORY [rows]: which accounts each of the three databases of a stopped suite
 * knows, as lines "directory ID", "store ID", "secrets ID"; or all rows of the directory as they
 * are, a line each: key and value in hexadecimal.
 */
#include "common/base/wire.h"
#include "common/engine/engine.h"
#include "routerd/db.h"
#include "stored/record.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct scan {
	const char *what;
	uint8_t kind; /* first byte of keys with an id behind it; 0: keys are ids */
	bool raw;     /* rows are printed as they are */
	bool answered, more;
	struct engine_group *group;
	uint8_t last[401];
	size_t n_last;
};

static void fail(const char *what, int rc)
{
	fprintf(stderr, "account-ids: %s: %d\n", what, rc);
	exit(1);
}

static void await(struct engine *e, const bool *answered)
{
	while (!*answered) {
		struct pollfd pfd = { .fd = engine_fd(e), .events = POLLIN };

		if (engine_dispatch(e, 0) == 0)
			poll(&pfd, 1, 1000);
	}
}

static void on_group(void *arg, int rc, struct engine_group *take_group)
{
	struct scan *s = arg;

	s->answered = true;
	s->group = take_group;
	if (rc != 0)
		fail(s->what, rc);
}

static void print_hex(struct slice s, char end)
{
	for (size_t i = 0; i < s.n; i++)
		printf("%02x", s.p[i]);
	putchar(end);
}

static void on_rows(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct scan *s = arg;

	s->answered = true;
	s->more = more;
	if (rc != 0)
		fail(s->what, rc);
	for (size_t i = 0; i < n; i++) {
		const struct slice key = rows[i].key;

		if (s->raw) {
			print_hex(key, ' ');
			print_hex(rows[i].val, '\n');
		} else if (s->kind == 0 && key.n == 8)
			printf("%s %llu\n", s->what, (unsigned long long)wire_load_u64be(key.p));
		else if (s->kind != 0 && key.n == 9 && key.p[0] == s->kind)
			printf(
			    "%s %llu\n", s->what, (unsigned long long)wire_load_u64be(key.p + 1));
	}
	if (n == 0)
		return;
	s->n_last = rows[n - 1].key.n + 1; /* right behind it */
	memcpy(s->last, rows[n - 1].key.p, s->n_last - 1);
	s->last[s->n_last - 1] = 0;
}

static struct engine *store_open(int data, const char *dir)
{
	struct engine *e;
	int fd = openat(data, dir, O_RDONLY | O_DIRECTORY), rc;

	if (fd < 0)
		fail(dir, -1);
	rc = engine_open("lmdb", fd, NULL, &e);
	if (rc != 0)
		fail(dir, rc);
	close(fd);
	return e;
}

static void ids(int data, const char *dir, struct slice group, uint8_t kind, bool raw)
{
	struct engine *e = store_open(data, dir);
	struct scan s = { .what = dir, .kind = kind, .raw = raw, .more = true };

	engine_group_open(e, group, 0, ENGINE_CREATE, on_group, &s);
	await(e, &s.answered);
	while (s.more) {
		s.answered = false;
		engine_scan(s.group, slice_of(s.last, s.n_last), SLICE_NONE, 0, on_rows, &s);
		await(e, &s.answered);
	}
	engine_group_close(&s.group);
	engine_close(&e);
}

static void directory_ids(int data)
{
	struct engine *e = store_open(data, "directory");
	struct db db;
	size_t at = 0;
	int rc = db_open(&db, e, SLICE("there.should.be.one"));

	if (rc != 0)
		fail("directory", rc);
	for (const struct object *o; (o = directory_next_account(&db.dir, &at)) != NULL;)
		printf("directory %llu\n", (unsigned long long)o->id);
	db_close(&db);
	engine_close(&e);
}

int main(int argc, char **argv)
{
	bool rows = argc == 3 && strcmp(argv[2], "rows") == 0;
	int data = argc == 2 || rows ? open(argv[1], O_RDONLY | O_DIRECTORY) : -1;
	struct rec_key store = key_group_store();

	if (data < 0)
		fail("usage: account-ids DATA-DIRECTORY [rows]", argc);
	if (rows) {
		ids(data, "directory", SLICE("directory"), 0, true);
		return 0;
	}
	directory_ids(data);
	ids(data, "store", key_slice(&store), REC_ACCOUNT, false);
	ids(data, "secrets", SLICE("secrets"), 0, false);
	return 0;
}
