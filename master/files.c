/*
 * files - what master opens for others: data directories, keys; and the lock of the suite.
 */
#include "master/master.h"

#include "common/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define EMPTY_DIR_PATH "/run/gatehouse/empty"

enum { LOCK_WAIT_MS = 1000, LOCK_LOOK_MS = 20 };

static int explain(struct buf *why, const char *what, const char *name, int err)
{
	buf_printf(why, "cannot %s %s: %s\n", what, name, strerror(-err));
	return err;
}

/* Makes each missing level of an absolute path with `mode`: 0 or -errno. */
static int make_path(const char *path, mode_t mode)
{
	char part[256];

	for (size_t i = 1;; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		if (i >= sizeof(part))
			return -ENAMETOOLONG;
		memcpy(part, path, i);
		part[i] = '\0';
		/* A level that may not be made but is there (EROFS, EACCES) is no failure. */
		if (mkdir(part, mode) != 0 && access(part, F_OK) != 0)
			return -errno;
		if (path[i] == '\0')
			return 0;
	}
}

/*
 * Its process's, and readable for the group of root: we open it without the capability to read what
 * is not ours.
 */
static int set_owner(int fd, const char *user)
{
	const struct passwd *pw = getpwnam(user);

	if (pw == NULL)
		return -ENOENT;
	if (fchmod(fd, 0750) != 0 || fchown(fd, pw->pw_uid, 0) != 0)
		return -errno;
	return 0;
}

/* The sentence for a directory of somebody else that keeps us out. */
static int explain_open(const char *top, const char *name, struct buf *why, int err)
{
	explain(why, "open data directory", name, err);
	if (err == -EACCES && geteuid() == 0)
		buf_printf(why, "  chgrp root %s/%s && chmod 0750 %s/%s lets the master open it\n",
		    top, name, top, name);
	return err;
}

/* A directory that its process could not write is told now, not when the process first needs to. */
static int check_dir(
    const struct master *m, int fd, const char *name, const char *user, struct buf *why)
{
	const char *top = conf_get_str(&m->conf, CONF_data_dir);
	const struct passwd *pw;
	struct stat st;

	if (fstat(fd, &st) != 0)
		return explain(why, "look at data directory", name, -errno);
	pw = m->as_root ? getpwnam(user) : NULL;
	if (pw != NULL && st.st_uid != pw->pw_uid) {
		buf_printf(why, "data directory %s/%s is not owned by %s: chown -R %s: %s/%s\n",
		    top, name, user, user, top, name);
		return -EPERM;
	}
	if ((st.st_mode & 0700) != 0700) {
		buf_printf(why, "data directory %s/%s keeps its owner out: chmod 0700 %s/%s\n", top,
		    name, top, name);
		return -EPERM;
	}
	return 0;
}

/* The mark of a restore (stored/backup/mark.c): names without mail must not be served. */
static int check_whole(int top, const char *top_path, struct buf *why)
{
	int fd = openat(top, "restoring", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return 0;
	fd_close(&fd);
	buf_printf(why,
	    "a restore into %s is under way or was broken off: 'gatehousectl store restore "
	    "GENERATION %s' begins it anew; to start with what is there, remove %s/restoring\n",
	    top_path, top_path, top_path);
	return -EBUSY;
}

int files_data_dir(const struct master *m, const char *name, const char *user, struct buf *why)
{
	const char *top_path = conf_get_str(&m->conf, CONF_data_dir);
	int r = make_path(top_path, 0700), top = -1, fd = -1;
	bool made;

	if (r != 0)
		return explain(why, "make", top_path, r);
	top = open(top_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (top < 0)
		return explain(why, "open", top_path, -errno);
	r = check_whole(top, top_path, why);
	made = r == 0 && mkdirat(top, name, 0700) == 0;
	if (r == 0) {
		fd = openat(top, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		r = fd < 0 ? explain_open(top_path, name, why, -errno) : 0;
	}
	if (r == 0 && made && m->as_root) {
		r = set_owner(fd, user);
		if (r != 0) {
			explain(why, "give its data directory to user", user, r);
			unlinkat(top, name, AT_REMOVEDIR);
		}
	}
	if (r == 0)
		r = check_dir(m, fd, name, user, why);
	fd_close(&top);
	if (r != 0)
		fd_close(&fd);
	return r != 0 ? r : fd;
}

int files_empty_dir(struct buf *why)
{
	int r, fd;

	if (geteuid() != 0)
		return -1;
	r = make_path(EMPTY_DIR_PATH, 0755);
	if (r != 0)
		return explain(why, "make", EMPTY_DIR_PATH, r);
	fd = open(EMPTY_DIR_PATH, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd >= 0 ? fd : explain(why, "open", EMPTY_DIR_PATH, -errno);
}

/* A master that was killed may have left a process that has not become its program yet, and holds
 * what the master held. */
static int lock_soon(int fd)
{
	const struct timespec pause = { 0, LOCK_LOOK_MS * 1000000 };
	int r = flock(fd, LOCK_EX | LOCK_NB);

	for (int waited_ms = 0; r != 0 && waited_ms < LOCK_WAIT_MS; waited_ms += LOCK_LOOK_MS) {
		nanosleep(&pause, NULL);
		r = flock(fd, LOCK_EX | LOCK_NB);
	}
	return r;
}

int files_pid_open(struct master *m, struct buf *why)
{
	const char *dir = conf_get_str(&m->conf, CONF_run_dir);
	char path[256], text[32];
	int r = make_path(dir, 0755), n;

	snprintf(path, sizeof(path), "%s/gatehouse.pid", dir);
	if (r != 0)
		return explain(why, "make", dir, r);
	m->pid_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (m->pid_fd < 0)
		return explain(why, "write", path, -errno);
	if (lock_soon(m->pid_fd) != 0) {
		buf_printf(why, "%s is locked: the suite is running already\n", path);
		fd_close(&m->pid_fd); /* the file is the other's: the way out must not empty it */
		return -EBUSY;
	}
	n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	if (ftruncate(m->pid_fd, 0) != 0)
		return explain(why, "write", path, -errno);
	r = io_pwrite_all(m->pid_fd, slice_of(text, (size_t)n), 0);
	return r == 0 ? 0 : explain(why, "write", path, r);
}

/* The file stays, empty: removing it would let two masters lock two files of that name. */
void files_pid_close(struct master *m)
{
	if (m->pid_fd >= 0 && ftruncate(m->pid_fd, 0) != 0)
		fprintf(stderr, "gatehouse: the pid file could not be emptied\n");
	fd_close(&m->pid_fd);
}

static int open_key(const char *path, int *ret_fd, struct buf *why)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return explain(why, "open", path, -errno);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		fd_close(&fd);
		return explain(why, "use", path, -EINVAL);
	}
	*ret_fd = fd;
	return 0;
}

int key_files_open(const struct conf *conf, struct key_files *ret, struct buf *why)
{
	struct key_files all = { .k = calloc(conf->n_sections + 1, sizeof(*all.k)) };
	int r = all.k == NULL ? -ENOMEM : 0;

	for (size_t i = 0; i < conf->n_sections && r == 0; i++) {
		const struct conf_section *s = &conf->sections[i];
		struct key_file *k = &all.k[all.n];

		if (s->kind != CONF_SECTION_CERTIFICATE)
			continue;
		*k = (struct key_file){ .name = strdup(s->name), .chain_fd = -1, .key_fd = -1 };
		all.n++;
		r = k->name == NULL ? -ENOMEM : 0;
		if (r == 0)
			r = open_key(conf_section_str(s, CONF_chain), &k->chain_fd, why);
		if (r == 0)
			r = open_key(conf_section_str(s, CONF_key), &k->key_fd, why);
	}
	if (r == 0)
		*ret = all;
	else
		key_files_fini(&all);
	return r;
}

void key_files_fini(struct key_files *k)
{
	for (size_t i = 0; i < k->n; i++) {
		free(k->k[i].name);
		fd_close(&k->k[i].chain_fd);
		fd_close(&k->k[i].key_fd);
	}
	free(k->k);
	*k = (struct key_files){ 0 };
}
