/*
 * gatehousectl - the operator's command: tables for people, JSON for programs.
 *
 * Holds:    the administration socket; files it is told to read, which it opens itself.
 * May:      what the user may who runs it; the server decides what that is worth.
 */
#include "ctl/ctl.h"

#include <signal.h>
#include <stdlib.h>

static const struct command *command_find(int argc, char **argv, int *ret_words)
{
	for (size_t i = 0; i < ctl_command_count; i++) {
		const struct command *k = &ctl_commands[i];

		*ret_words = k->name != NULL ? 2 : 1;
		if (argc >= *ret_words && strcmp(argv[0], k->group) == 0 &&
		    (k->name == NULL || strcmp(argv[1], k->name) == 0))
			return k;
	}
	return NULL;
}

static int wrong_usage(const struct command *k)
{
	doc_command(stderr, k);
	return CTL_USAGE;
}

const char *ctl_opt(const struct ctl *c, const char *name)
{
	for (size_t i = 0; i < c->n_opt; i++)
		if (strcmp(c->opt[i].name, name) == 0)
			return c->opt[i].value;
	return NULL;
}

/* ---- options: before the command and behind it ---- */

enum { NOT_KNOWN = -1, VALUE_MISSING = -2 };

/* Is `arg` the option `name`? With its value, behind '=' or in the next argument. Arguments used,
 * 0, or VALUE_MISSING. */
static int take_value(const char *name, char **argv, int left, const char **ret)
{
	size_t n = strlen(name);

	if (strncmp(argv[0] + 2, name, n) != 0 || (argv[0][2 + n] != '\0' && argv[0][2 + n] != '='))
		return 0;
	if (argv[0][2 + n] == '=') {
		*ret = argv[0] + 3 + n;
		return 1;
	}
	if (left < 2)
		return VALUE_MISSING;
	*ret = argv[1];
	return 2;
}

static int common_option(struct ctl *c, char **argv, int left)
{
	int n = take_value("socket", argv, left, &c->socket);

	if (n == 0)
		n = take_value("conf", argv, left, &c->conf);
	if (n != 0)
		return n;
	if (strcmp(argv[0], "--json") == 0)
		c->json = true;
	else if (strcmp(argv[0], "--quiet") == 0)
		c->quiet = true;
	else if (strcmp(argv[0], "--dry-run") == 0)
		c->dry_run = true;
	else
		return NOT_KNOWN;
	return 1;
}

static int command_option(struct ctl *c, const struct command *k, char **argv, int left)
{
	struct slice options = slice_str(k->options);

	while (options.n > 0 && c->n_opt < CTL_OPTIONS_MAX) {
		struct slice spec = slice_take(&options, ' '), name = slice_take(&spec, '=');
		/* The names live in the table; the slice is their start there. */
		static char names[CTL_OPTIONS_MAX][32];
		char *kept = names[c->n_opt];
		const char *value = "";
		int n;

		snprintf(kept, sizeof(names[0]), "%.*s", SLICE_FMT(name));
		if (spec.n == 0)
			n = strcmp(argv[0] + 2, kept) == 0;
		else
			n = take_value(kept, argv, left, &value);
		if (n == 0)
			continue;
		if (n > 0) {
			c->opt[c->n_opt].name = kept;
			c->opt[c->n_opt++].value = value;
		}
		return n;
	}
	return NOT_KNOWN;
}

/* Arguments behind the command: options out of them, the others together. False after a message. */
static bool take_arguments(struct ctl *c, const struct command *k, char **argv, int argc)
{
	bool only_words = false;

	c->argv = argv;
	for (int i = 0; i < argc;) {
		int n = 0;

		if (!only_words && strcmp(argv[i], "--") == 0) {
			only_words = true;
			i++;
			continue;
		}
		if (!only_words && strncmp(argv[i], "--", 2) == 0) {
			n = command_option(c, k, argv + i, argc - i);
			if (n == NOT_KNOWN)
				n = common_option(c, argv + i, argc - i);
			if (n < 0) {
				fprintf(stderr, "gatehousectl: %s: %s\n", argv[i],
				    n == VALUE_MISSING ? "a value is missing" : "unknown option");
				return false;
			}
		} else {
			c->argv[c->argc++] = argv[i];
			n = 1;
		}
		i += n;
	}
	return true;
}

/* Mostly a script's variable that is not set: as a domain's name it would mean the Main Domain. */
static bool has_empty(const struct ctl *c)
{
	for (int i = 0; i < c->argc; i++) {
		if (c->argv[i][0] != '\0')
			continue;
		fprintf(stderr, "gatehousectl: argument %d is empty; nothing was done\n", i + 1);
		return true;
	}
	return false;
}

static int run(struct ctl *c, int argc, char **argv)
{
	int words, status;
	const struct command *k = command_find(argc, argv, &words);

	if (k == NULL) {
		doc_unknown(argv[0]);
		return CTL_USAGE;
	}
	c->command = k;
	if (!take_arguments(c, k, argv + words, argc - words))
		return wrong_usage(k);
	if (has_empty(c) || c->argc < k->least || c->argc > k->most)
		return wrong_usage(k);
	if (c->dry_run && (k->flags & CTL_DRY) == 0) {
		fprintf(stderr, "gatehousectl: this command has no --dry-run; nothing was done\n");
		return CTL_USAGE;
	}
	c->client.fd = c->client.passed = -1;
	if ((k->flags & CTL_OFFLINE) == 0 && client_open(&c->client, c->socket) != 0) {
		client_close(&c->client);
		return CTL_UNREACHED;
	}
	status = k->run(c);
	client_close(&c->client);
	return status == CTL_USAGE ? wrong_usage(k) : status;
}

static int help(int argc, char **argv)
{
	int words;
	const struct command *k = argc > 0 ? command_find(argc, argv, &words) : NULL;

	if (k != NULL)
		doc_command(stdout, k);
	else if (argc > 0)
		doc_unknown(argv[0]);
	else
		doc_help(stdout);
	return argc > 0 && k == NULL ? CTL_USAGE : CTL_DONE;
}

/* Options that are all there is to do; NOT_KNOWN for others. */
static int only_option(const char *arg)
{
	if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0)
		doc_help(stdout);
	else if (strcmp(arg, "--version") == 0)
		printf("gatehousectl " GH_VERSION "\n");
	else if (strcmp(arg, "--man") == 0)
		doc_man();
	else if (strcmp(arg, "--commands") == 0)
		doc_words();
	else
		return NOT_KNOWN;
	return CTL_DONE;
}

static const char *setting(const char *variable, const char *otherwise)
{
	const char *value = getenv(variable);

	return value != NULL && value[0] != '\0' ? value : otherwise;
}

int main(int argc, char **argv)
{
	struct ctl c = { .socket = setting("GATEHOUSE_SOCKET", "/run/gatehouse/admin.sock"),
		.conf = setting("GATEHOUSE_CONF", GH_SYSCONFDIR "/gatehouse/gatehouse.conf") };
	int i = 1, n;

	signal(SIGPIPE, SIG_IGN);
	while (i < argc && argv[i][0] == '-') {
		n = only_option(argv[i]);
		if (n == CTL_DONE)
			return n;
		n = common_option(&c, argv + i, argc - i);
		if (n < 0) {
			fprintf(stderr, "gatehousectl: %s: %s; 'gatehousectl --help' lists all\n",
			    argv[i], n == VALUE_MISSING ? "a value is missing" : "unknown option");
			return CTL_USAGE;
		}
		i += n;
	}
	if (i == argc) {
		doc_help(stderr);
		return CTL_USAGE;
	}
	if (strcmp(argv[i], "help") == 0)
		return help(argc - i - 1, argv + i + 1);
	return run(&c, argc - i, argv + i);
}
