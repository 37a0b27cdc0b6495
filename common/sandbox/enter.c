#include "common/sandbox/sandbox.h"

#include "common/base/log.h"
#include "common/sandbox/filter.h"
#include "common/sandbox/landlock.h"
#include "common/sandbox/limits-private.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* One process, one sandbox. */
static char missing[128];
static const struct sandbox_row *entered;

struct entering {
	const struct sandbox_row *row;
	const struct sandbox_env *env;
	bool as_root;
	uid_t uid;
	gid_t gid;
};

const char *sandbox_missing(void)
{
	return missing;
}

const struct sandbox_row *sandbox_entered(void)
{
	return entered;
}

/* The files of the host only: system users live there, and no library is loaded to ask. */
static int find_user(struct entering *e)
{
	struct passwd *pw;
	FILE *f;
	int r = -ENOENT;

	if (!e->as_root || (e->row->sys & SYS_HOST))
		return 0;
	e->uid = e->env->uid;
	e->gid = e->env->gid;
	if ((e->uid != 0 && e->gid != 0) || e->row->user == NULL)
		return 0;
	f = fopen("/etc/passwd", "re");
	if (f == NULL)
		return -errno;
	while ((pw = fgetpwent(f)) != NULL) {
		if (strcmp(pw->pw_name, e->row->user) != 0)
			continue;
		e->uid = pw->pw_uid;
		e->gid = pw->pw_gid;
		r = e->uid != 0 && e->gid != 0 ? 0 : -EPERM;
		break;
	}
	fclose(f);
	return r;
}

/* Layers that go thread by thread would miss the others. A no-op that fails with threads. */
static int check_single_thread(struct entering *e)
{
	return unshare(CLONE_THREAD) == 0 ? 0 : -EBUSY;
}

static int enter_namespaces(struct entering *e)
{
	int flags = 0;

	if (e->row->ns & NS_NET)
		flags |= CLONE_NEWNET;
	if (e->row->ns & NS_IPC)
		flags |= CLONE_NEWIPC;
	if (flags == 0)
		return 0;
	if (!e->as_root)
		return -EPERM;
	return unshare(flags) == 0 ? 0 : -errno;
}

/* Owned by root, written by nobody else, and nothing in it. */
static int check_empty_dir(int dir_fd)
{
	char entries[1024];
	struct stat st;
	long n;
	int fd;

	/* An open of its own: the position of dir_fd is shared with whoever passed it. */
	fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = -1;
	if (fstat(fd, &st) == 0)
		n = syscall(SYS_getdents64, fd, entries, sizeof(entries));
	close(fd);
	if (n < 0)
		return -EIO;
	/* "." and ".." take 24 bytes each. */
	if (st.st_uid != 0 || (st.st_mode & 022) != 0)
		return -EPERM;
	return n <= 48 ? 0 : -ENOTEMPTY;
}

static int enter_root(struct entering *e)
{
	int r;

	if (e->row->root == HOST_DIR)
		return 0;
	if (!e->as_root)
		return -EPERM;
	if (e->env->root_fd < 0)
		return -EBADF;
	r = check_empty_dir(e->env->root_fd);
	if (r < 0)
		return r;
	if (fchdir(e->env->root_fd) != 0 || chroot(".") != 0 || chdir("/") != 0)
		return -errno;
	close(e->env->root_fd); /* a held directory outside a root is a way out of it */
	return 0;
}

static int drop_bounding(struct entering *e)
{
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
		return -errno;
	if (!e->as_root) /* cannot, and no_new_privs makes it idle */
		return 0;
	for (cap_value_t c = 0; CAP_IS_SUPPORTED(c); c++) {
		if (e->row->caps & (1ull << c))
			continue;
		if (cap_get_bound(c) == 1 && cap_drop_bound(c) != 0)
			return -errno;
	}
	return 0;
}

static int enter_user(struct entering *e)
{
	uid_t ru, eu, su;
	gid_t rg, eg, sg;

	if (e->row->sys & SYS_HOST)
		return e->as_root ? 0 : -EPERM;
	if (!e->as_root)
		return -EPERM;
	/* Root's own files: root without a capability, behind all other walls. */
	if (e->row->user == NULL && e->uid == 0)
		return setgroups(0, NULL) == 0 ? 0 : -errno;
	if (setgroups(0, NULL) != 0 || setresgid(e->gid, e->gid, e->gid) != 0 ||
	    setresuid(e->uid, e->uid, e->uid) != 0)
		return -errno;
	if (getresuid(&ru, &eu, &su) != 0 || getresgid(&rg, &eg, &sg) != 0)
		return -errno;
	if (ru != e->uid || eu != e->uid || su != e->uid || rg != e->gid || eg != e->gid ||
	    sg != e->gid || getgroups(0, NULL) != 0)
		return -EPERM;
	/* The way back must be shut. */
	return setuid(0) != 0 ? 0 : -EPERM;
}

/*
 * Effective and permitted become the row's; an ordinary user keeps none of what it may have. What
 * the administrator has taken away before (a unit's CapabilityBoundingSet) stays away.
 */
static int drop_caps(struct entering *e)
{
	cap_t want = cap_init(), have;
	int r = 0;

	if (want == NULL)
		return -errno;
	for (cap_value_t c = 0; e->as_root && CAP_IS_SUPPORTED(c); c++) {
		if ((e->row->caps & (1ull << c)) == 0 || cap_get_bound(c) != 1)
			continue;
		if (cap_set_flag(want, CAP_PERMITTED, 1, &c, CAP_SET) != 0 ||
		    cap_set_flag(want, CAP_EFFECTIVE, 1, &c, CAP_SET) != 0)
			r = -errno;
	}
	if (r == 0 && cap_set_proc(want) != 0)
		r = -errno;
	have = cap_get_proc();
	if (r == 0 && (have == NULL || cap_compare(have, want) != 0))
		r = -EPERM;
	cap_free(have);
	cap_free(want);
	return r;
}

static int enter_undumpable(struct entering *e)
{
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return -errno;
	return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : -EPERM;
}

static int enter_no_new_privs(struct entering *e)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? 0 : -errno;
}

static int enter_limits(struct entering *e)
{
	return limits_enter(&e->row->limits);
}

static int enter_landlock(struct entering *e)
{
	int fd, r;

	if (e->row->fs == FS_HOST)
		return 0;
	fd = landlock_make(e->row->fs, e->env->dir_fds, e->env->n_dirs);
	if (fd < 0)
		return fd;
	r = landlock_enter(fd);
	close(fd);
	return r;
}

static int enter_seccomp(struct entering *e)
{
	struct filter_program prog;
	int r = filter_compile(e->row, &prog);

	if (r < 0)
		return r;
	r = filter_enter(&prog);
	filter_fini(&prog);
	return r;
}

/* In this order. `optional`: an ordinary user goes on without it and says so. */
static const struct layer {
	const char *name;
	int (*enter)(struct entering *e);
	bool optional;
} layers[] = {
	{ "single-thread", check_single_thread, false },
	{ "find-user", find_user, false },
	{ "namespaces", enter_namespaces, true },
	{ "root", enter_root, true },
	{ "bounding-set", drop_bounding, false },
	{ "user", enter_user, true },
	{ "capabilities", drop_caps, false },
	{ "undumpable", enter_undumpable, false },
	{ "no-new-privs", enter_no_new_privs, false },
	{ "limits", enter_limits, false },
	{ "landlock", enter_landlock, true },
	{ "seccomp", enter_seccomp, true },
};

static void note_missing(const char *name)
{
	size_t n = strlen(missing);

	snprintf(missing + n, sizeof(missing) - n, "%s%s", n > 0 ? "," : "", name);
}

int sandbox_enter(const struct sandbox_row *row, const struct sandbox_env *env)
{
	struct entering e = { .row = row, .env = env, .as_root = geteuid() == 0 };

	missing[0] = '\0';
	tzset(); /* else the first gmtime() opens /etc/localtime, and dies of it */
	for (size_t i = 0; i < sizeof(layers) / sizeof(layers[0]); i++) {
		int r = layers[i].enter(&e);

		if (r == 0)
			continue;
		if (e.as_root || !layers[i].optional) {
			log_ev(LOG_ERR, "sandbox.failed", kv_s("name", row->name),
			    kv_s("layer", layers[i].name), kv_err("err", r));
			return r;
		}
		note_missing(layers[i].name);
	}
	entered = row;
	if (missing[0] != '\0')
		log_ev(LOG_NOTICE, "sandbox.partial", kv_s("name", row->name),
		    kv_s("missing", missing));
	return 0;
}
