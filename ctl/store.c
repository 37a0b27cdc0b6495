/* store - commands about a store that no server has open: gatehouse-salvage does them. */
#include "ctl/ctl.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { ARGS_MAX = 8 };

/* Becomes the program: its exit statuses are ours. */
static int become(struct ctl *c, const char *verb, const char *const *words, int n)
{
	const char *dir = getenv("GATEHOUSE_LIBEXEC"), *argv[ARGS_MAX] = { "gatehouse-salvage" };
	char path[4096];
	int k = 1;

	snprintf(path, sizeof(path), "%s/gatehouse-salvage",
	    dir != NULL && dir[0] != '\0' ? dir : GH_LIBEXECDIR);
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

static int offline(struct ctl *c, const char *verb)
{
	const char *dir = ctl_opt(c, "offline");

	if (dir == NULL)
		return CTL_USAGE;
	return become(c, verb, &dir, 1);
}

int ctl_store_verify(struct ctl *c)
{
	return offline(c, "verify");
}

int ctl_store_stat(struct ctl *c)
{
	return offline(c, "stat");
}

int ctl_store_rebuild(struct ctl *c)
{
	return become(c, "rebuild", (const char *const *)c->argv, 1);
}

int ctl_store_salvage(struct ctl *c)
{
	return become(c, "salvage", (const char *const *)c->argv, 2);
}
