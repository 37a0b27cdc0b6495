/*
 * restore - mail of a backup's generation back into a running server: it is taken out by
 * gatehouse-salvage into a directory of its own, and moved in as an import that leaves out what is
 * there. The directory goes in the end.
 */
#include "ctl/ctl.h"
#include "ctl/port/link.h"

#include "common/base/io.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORD_BYTES = 1100, FTW_FDS = 16 };

/* ---- a place for the copy ---- */

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	return remove(path);
}

static void remove_tree(const char *path)
{
	(void)nftw(path, remove_one, FTW_FDS, FTW_DEPTH | FTW_PHYS);
}

/* The directory of the one account in it: owned by the caller; NULL: there is none. */
static char *account_dir(const char *out)
{
	DIR *d = opendir(out);
	struct dirent *e;
	char *path = NULL;

	while (d != NULL && path == NULL && (e = readdir(d)) != NULL)
		if (e->d_type == DT_DIR && strcmp(e->d_name, ".") != 0 &&
		    strcmp(e->d_name, "..") != 0 && strcmp(e->d_name, "damaged") != 0 &&
		    asprintf(&path, "%s/%s", out, e->d_name) < 0)
			abort();
	if (d != NULL)
		closedir(d);
	return path;
}

/* ---- the two steps ---- */

static int wait_for(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* 0; 1: something was damaged, which was told; else nothing came of it. */
static int take_out(struct ctl *c, const char *from, const char *out)
{
	static const char *const names[] = { "mailbox", "uid" };
	const char *words[6];
	char text[3][WORD_BYTES];
	int n = 0;
	pid_t pid;

	snprintf(text[2], WORD_BYTES, "--account=%s", from);
	words[n++] = text[2];
	words[n++] = "--brief";
	for (int i = 0; i < 2; i++)
		if (ctl_opt(c, names[i]) != NULL) {
			snprintf(text[i], WORD_BYTES, "--%s=%s", names[i], ctl_opt(c, names[i]));
			words[n++] = text[i];
		}
	words[n++] = c->argv[0];
	words[n++] = out;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		/* What is damaged, and progress, is for people; the answer is the import's. */
		c->json = false;
		if (dup2(2, 1) >= 0)
			_exit(ctl_become(c, "gatehouse-salvage", "salvage", words, n));
		_exit(CTL_UNREACHED);
	}
	return pid > 0 ? wait_for(pid) : -1;
}

static int move_in(struct ctl *c, const char *account, const char *out)
{
	char *words[] = { strdup(account), account_dir(out) };
	int status;

	if (words[0] == NULL)
		abort();
	if (words[1] == NULL) {
		free(words[0]);
		return ctl_refuse(c, "the backup has no such mailbox of this account");
	}
	c->argv = words;
	c->argc = 2;
	c->opt[c->n_opt].name = "skip-present";
	c->opt[c->n_opt++].value = "";
	status = ctl_store_import(c);
	free(words[0]);
	free(words[1]);
	return status;
}

static int both(struct ctl *c, const char *out)
{
	const char *account = ctl_opt(c, "account"), *from = ctl_opt(c, "from");
	struct link l;
	int taken, status;

	/* Its whole name, and that there is one, before anything is copied. */
	if (client_open(&c->client, c->socket) != 0)
		return CTL_UNREACHED;
	status = link_open(c, account, &l);
	if (status != CTL_DONE)
		return status;
	link_close(&l);
	taken = take_out(c, from != NULL ? from : l.name, out);
	if (taken != 0 && taken != 1)
		return ctl_refuse(c, "nothing of the backup was moved in");
	status = move_in(c, account, out);
	return status == CTL_DONE && taken == 1 ? CTL_REFUSED : status;
}

static bool options_fit(const struct ctl *c)
{
	return ctl_opt(c, "account") != NULL && ctl_opt(c, "shards") == NULL &&
	       (ctl_opt(c, "uid") == NULL || ctl_opt(c, "mailbox") != NULL) &&
	       c->n_opt < CTL_OPTIONS_MAX;
}

/* In a process of its own, so that the copy goes however that one ends. */
int ctl_restore_part(struct ctl *c)
{
	const char *tmp = getenv("TMPDIR");
	char path[4096], out[4100];
	int status;
	pid_t pid;

	if (!options_fit(c))
		return CTL_USAGE;
	snprintf(path, sizeof(path), "%s/gatehouse-restore-XXXXXX",
	    tmp != NULL && tmp[0] != '\0' ? tmp : "/var/tmp");
	if (mkdtemp(path) == NULL)
		return ctl_refuse(c, "%s: %s", path, strerror(errno));
	snprintf(out, sizeof(out), "%s/out", path);
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		exit(both(c, out));
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	status = pid > 0 ? wait_for(pid) : -1;
	remove_tree(path);
	return status >= 0 ? status : ctl_refuse(c, "it was broken off; the same command goes on");
}
