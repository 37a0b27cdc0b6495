/*
 * gatehousectl - the operator's command: tables for people, JSON for programs.
 *
 * Holds:    the administration socket; files it is told to read, which it opens itself.
 * May:      what the user may who runs it; the server decides what that is worth.
 */
#include "ctl/ctl.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static void print_help(FILE *f)
{
	fprintf(f, "usage: gatehousectl [--socket PATH] [--json] [--quiet] COMMAND ...\n\n");
	for (size_t i = 0; i < ctl_command_count; i++) {
		const struct command *k = &ctl_commands[i];
		int n = fprintf(f, "  %s%s%s %s", k->group, k->name != NULL ? " " : "",
		    k->name != NULL ? k->name : "", k->args);

		fprintf(f, "%*s%s\n", n < 46 ? 46 - n : 2, "", k->help);
	}
	fprintf(f, "\nThe socket is also taken from GATEHOUSE_SOCKET; it is "
		   "/run/gatehouse/admin.sock otherwise.\n"
		   "Exit status: 0 done, 1 refused, 2 wrong usage, 3 server not reached.\n");
}

/* The words of all commands for shell completion, one "group name" a line. */
static int print_commands(void)
{
	for (size_t i = 0; i < ctl_command_count; i++)
		printf("%s%s%s\n", ctl_commands[i].group, ctl_commands[i].name != NULL ? " " : "",
		    ctl_commands[i].name != NULL ? ctl_commands[i].name : "");
	return 0;
}

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

/* The commands of a group, when the first word names one. */
static int unknown_command(const char *group)
{
	bool any = false;

	for (size_t i = 0; i < ctl_command_count; i++) {
		const struct command *k = &ctl_commands[i];

		if (strcmp(k->group, group) != 0)
			continue;
		fprintf(stderr, "%s %s%s%s %s\n",
		    any ? "       gatehousectl" : "usage: gatehousectl", k->group,
		    k->name != NULL ? " " : "", k->name != NULL ? k->name : "", k->args);
		any = true;
	}
	if (!any)
		fprintf(stderr,
		    "gatehousectl: unknown command %s; 'gatehousectl --help' lists them\n", group);
	return 2;
}

static int wrong_usage(const struct command *k)
{
	fprintf(stderr, "usage: gatehousectl %s%s%s %s\n", k->group, k->name != NULL ? " " : "",
	    k->name != NULL ? k->name : "", k->args);
	return 2;
}

static int run(struct ctl *c, int argc, char **argv)
{
	int words, status;
	const struct command *k = command_find(argc, argv, &words);

	if (k == NULL)
		return unknown_command(argv[0]);
	c->argc = argc - words;
	c->argv = argv + words;
	if (c->argc < k->least || c->argc > k->most)
		return wrong_usage(k);
	if (client_open(&c->client, c->socket) != 0) {
		client_close(&c->client);
		return 3;
	}
	status = k->run(c);
	client_close(&c->client);
	return status == 2 ? wrong_usage(k) : status;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "socket", required_argument, NULL, 's' },
		{ "json", no_argument, NULL, 'j' }, { "quiet", no_argument, NULL, 'q' },
		{ "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, 'V' },
		{ "commands", no_argument, NULL, 'C' }, { 0 } };
	struct ctl c = { .socket = getenv("GATEHOUSE_SOCKET") };
	int o;

	if (c.socket == NULL)
		c.socket = "/run/gatehouse/admin.sock";
	while ((o = getopt_long(argc, argv, "+s:jqhV", options, NULL)) != -1) {
		if (o == 's')
			c.socket = optarg;
		else if (o == 'j')
			c.json = true;
		else if (o == 'q')
			c.quiet = true;
		else if (o == 'h')
			return print_help(stdout), 0;
		else if (o == 'V')
			return printf("gatehousectl " GH_VERSION "\n"), 0;
		else if (o == 'C')
			return print_commands();
		else
			return 2;
	}
	if (optind == argc) {
		print_help(stderr);
		return 2;
	}
	return run(&c, argc - optind, argv + optind);
}
