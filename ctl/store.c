/* store - commands about a store's files: gatehouse-salvage and gatehouse-backup do them. */
#include "ctl/ctl.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { ARGS_MAX = 8 };

int ctl_become(
    struct ctl *c, const char *program, const char *verb, const char *const *words, int n)
{
	const char *dir = getenv("GATEHOUSE_LIBEXEC"), *argv[2 * ARGS_MAX] = { program };
	char path[4096];
	int k = 1;

	snprintf(path, sizeof(path), "%s/%s", dir != NULL && dir[0] != '\0' ? dir : GH_LIBEXECDIR,
	    program);
	if (c->json)
		argv[k++] = "--json";
	if (c->quiet)
		argv[k++] = "--quiet";
	argv[k++] = verb;
	for (int i = 0; i < n; i++)
		argv[k++] = words[i];
	execv(path, (char **)(uintptr_t)argv);
	return ctl_refuse(c, "%s cannot be started: %s", path, strerror(errno));
}

/* Becomes gatehouse-backup: the options that it has, too. */
static int backup(struct ctl *c, const char *verb)
{
	const char *words[ARGS_MAX];
	char keep[40], shards[40];
	int n = 0;

	if (ctl_opt(c, "keep") != NULL) {
		snprintf(keep, sizeof(keep), "--keep=%.20s", ctl_opt(c, "keep"));
		words[n++] = keep;
	}
	if (ctl_opt(c, "shards") != NULL) {
		snprintf(shards, sizeof(shards), "--shards=%.20s", ctl_opt(c, "shards"));
		words[n++] = shards;
	}
	if (ctl_opt(c, "quick") != NULL)
		words[n++] = "--quick";
	if (c->dry_run)
		words[n++] = "--dry-run";
	words[n++] = c->argv[0];
	words[n++] = c->argv[1];
	return ctl_become(c, "gatehouse-backup", verb, words, n);
}

int ctl_store_backup(struct ctl *c)
{
	return backup(c, "backup");
}

int ctl_store_restore(struct ctl *c)
{
	return c->argc == 2 ? backup(c, "restore") : ctl_restore_part(c);
}

/* A server's own data directory, as the configuration has it. */
static int online_verify(struct ctl *c, const char **words, int n)
{
	struct conf conf;
	int status;

	if (conf_init(&conf, NULL) != 0)
		return ctl_refuse(c, "out of memory");
	if (read_conf(c, &conf)) {
		words[n++] = conf_get_str(&conf, CONF_data_dir);
		status = ctl_become(c, "gatehouse-backup", "verify", words, n);
	} else {
		status = ctl_refuse(
		    c, "the configuration does not say where the data is; --offline=DIR does");
	}
	conf_fini(&conf);
	return status;
}

int ctl_store_verify(struct ctl *c)
{
	const char *words[ARGS_MAX], *dir = ctl_opt(c, "offline"), *mib = ctl_opt(c, "rate");
	char rate[40];
	int n = 0;

	if (mib != NULL) {
		snprintf(rate, sizeof(rate), "--rate=%.20s", mib);
		words[n++] = rate;
	}
	if (dir == NULL)
		return online_verify(c, words, n);
	words[n++] = dir;
	return ctl_become(c, "gatehouse-salvage", "verify", words, n);
}

int ctl_store_stat(struct ctl *c)
{
	const char *dir = ctl_opt(c, "offline");

	return dir != NULL ? ctl_become(c, "gatehouse-salvage", "stat", &dir, 1) : upkeep_stat(c);
}

int ctl_store_rebuild(struct ctl *c)
{
	return ctl_become(c, "gatehouse-salvage", "rebuild", (const char *const *)c->argv, 1);
}

int ctl_store_salvage(struct ctl *c)
{
	static const char *const names[] = { "account", "mailbox", "uid" };
	const char *words[ARGS_MAX];
	char text[3][1100];
	int n = 0;

	for (size_t i = 0; i < 3; i++)
		if (ctl_opt(c, names[i]) != NULL) {
			snprintf(
			    text[i], sizeof(text[i]), "--%s=%s", names[i], ctl_opt(c, names[i]));
			words[n++] = text[i];
		}
	if (ctl_opt(c, "as-store") != NULL)
		words[n++] = "--as-store";
	words[n++] = c->argv[0];
	words[n++] = c->argv[1];
	return ctl_become(c, "gatehouse-salvage", "salvage", words, n);
}
