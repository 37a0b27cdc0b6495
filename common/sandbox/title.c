#include "common/sandbox/title.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static char *title_start;
static size_t title_size;

/* The strings of argv and environ lie one after the other; find the end of that run. */
static char *strings_end(char **strings, char *end)
{
	for (; *strings != NULL; strings++) {
		if (*strings == end)
			end += strlen(end) + 1;
	}
	return end;
}

void title_init(int argc, char **argv)
{
	char *end;
	size_t n = 0;
	char **copy;

	if (argc < 1 || argv[0] == NULL)
		return;
	end = strings_end(argv, argv[0]);
	end = strings_end(environ, end);

	while (environ[n] != NULL)
		n++;
	copy = calloc(n + 1, sizeof(*copy));
	if (copy == NULL)
		return;
	for (size_t i = 0; i < n; i++) {
		copy[i] = strdup(environ[i]);
		if (copy[i] == NULL)
			return; /* no memory at start: the process keeps its old title */
	}
	environ = copy;
	title_start = argv[0];
	title_size = (size_t)(end - argv[0]);
}

void title_set(const char *name)
{
	char comm[16];

	snprintf(comm, sizeof(comm), "gh-%s", name);
	prctl(PR_SET_NAME, comm);
	if (title_size < 2)
		return;
	memset(title_start, 0, title_size);
	snprintf(title_start, title_size, "gatehouse: %s", name);
}
