/* doc - what the table of commands says: help, the manual page, words for completion. */
#include "ctl/ctl.h"

static void put_usage(FILE *f, const struct command *k)
{
	struct slice options = slice_str(k->options);

	fprintf(f, "%s", k->group);
	if (k->name != NULL)
		fprintf(f, " %s", k->name);
	while (options.n > 0) {
		struct slice o = slice_take(&options, ' ');

		fprintf(f, " [--%.*s]", SLICE_FMT(o));
	}
	if ((k->flags & CTL_DRY) != 0)
		fprintf(f, " [--dry-run]");
	if (k->args[0] != '\0')
		fprintf(f, " %s", k->args);
}

void doc_help(FILE *f)
{
	fprintf(f, "usage: gatehousectl [OPTION...] COMMAND ...\n\n");
	for (size_t i = 0; i < ctl_command_count; i++) {
		const struct command *k = &ctl_commands[i];
		int n = fprintf(f, "  %s%s%s %s", k->group, k->name != NULL ? " " : "",
		    k->name != NULL ? k->name : "", k->args);

		fprintf(f, "%*s%s\n", n < 46 ? 46 - n : 2, "", k->help);
	}
	fprintf(f,
	    "\n  --socket PATH   the administration socket (GATEHOUSE_SOCKET; "
	    "/run/gatehouse/admin.sock)\n"
	    "  --conf FILE     the configuration, for log and check (GATEHOUSE_CONF; "
	    "/etc/gatehouse/gatehouse.conf)\n"
	    "  --json          answers as JSON, one value; {\"done\": ...} of a change\n"
	    "  --dry-run       say what would be done, where a command has it\n"
	    "  --quiet         no progress\n"
	    "  --help, help COMMAND, --version\n\n"
	    "Exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 server not reached.\n");
}

void doc_command(FILE *f, const struct command *k)
{
	fprintf(f, "usage: gatehousectl ");
	put_usage(f, k);
	fprintf(f, "\n\n  %s\n", k->help);
	if (k->about[0] != '\0')
		fprintf(f, "  %s\n", k->about);
}

void doc_unknown(const char *group)
{
	bool any = false;

	for (size_t i = 0; i < ctl_command_count; i++) {
		const struct command *k = &ctl_commands[i];

		if (strcmp(k->group, group) != 0)
			continue;
		fprintf(stderr, "%s ", any ? "       gatehousectl" : "usage: gatehousectl");
		put_usage(stderr, k);
		fputc('\n', stderr);
		any = true;
	}
	if (!any)
		fprintf(stderr,
		    "gatehousectl: unknown command %s; 'gatehousectl --help' lists them\n", group);
}

void doc_words(void)
{
	for (size_t i = 0; i < ctl_command_count; i++) {
		const struct command *k = &ctl_commands[i];
		struct slice options = slice_str(k->options);

		printf("%s %s", k->group, k->name != NULL ? k->name : "-");
		while (options.n > 0) {
			struct slice o = slice_take(&options, ' '), option = slice_take(&o, '=');

			printf(" --%.*s", SLICE_FMT(option));
		}
		printf("%s\n", (k->flags & CTL_DRY) != 0 ? " --dry-run" : "");
	}
}

/* ---- the manual page ---- */

/* A dot or a quote at the start of a line, and backslashes, mean something to roff; a dash is a
 * minus. */
static void roff(const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == '\\')
			printf("\\e");
		else if (*s == '-')
			printf("\\-");
		else
			putchar(*s);
	}
}

static void roff_option(struct slice o)
{
	struct slice name = slice_take(&o, '=');

	printf("\\-\\-%.*s", SLICE_FMT(name));
	if (o.n > 0)
		printf("=\\fI%.*s\\fR", SLICE_FMT(o));
}

static void man_command(const struct command *k)
{
	struct slice options = slice_str(k->options);

	printf(".TP\n\\fB%s%s%s\\fR", k->group, k->name != NULL ? " " : "",
	    k->name != NULL ? k->name : "");
	while (options.n > 0) {
		printf(" [");
		roff_option(slice_take(&options, ' '));
		printf("]");
	}
	if ((k->flags & CTL_DRY) != 0)
		printf(" [\\-\\-dry\\-run]");
	if (k->args[0] != '\0') {
		printf(" \\fI");
		roff(k->args);
		printf("\\fR");
	}
	printf("\n");
	printf("%c", (k->help[0] >= 'a' && k->help[0] <= 'z') ? k->help[0] - 32 : k->help[0]);
	roff(k->help + 1);
	printf(".\n");
	if (k->about[0] != '\0') {
		printf("\\&");
		roff(k->about);
		printf("\n");
	}
}

void doc_man(void)
{
	printf(
	    ".\\\" Made from the table in ctl/commands.c by gatehousectl --man.\n"
	    ".TH GATEHOUSECTL 1\n.SH NAME\ngatehousectl \\- administer a running Gatehouse\n"
	    ".SH SYNOPSIS\n.B gatehousectl\n.RI [ OPTION ...]\n.I COMMAND\n\\&...\n"
	    ".SH DESCRIPTION\nSpeaks to the server over its administration socket, which lets in "
	    "root and the users of the configuration's\n.BR admin_users .\n"
	    "Answers are tables for people; with\n.B \\-\\-json\nthey are JSON. What is refused is "
	    "told on standard error, with what to do next where that is known.\n.SH COMMANDS\n");
	for (size_t i = 0; i < ctl_command_count; i++)
		man_command(&ctl_commands[i]);
	printf(".SH PROTOCOL\nCommands of the administration protocol, and what says the same "
	       "here.\n");
	for (size_t i = 0; i < ctl_said_count; i++)
		printf(".TP\n.B %s\n%s\n", ctl_said[i].verb, ctl_said[i].words);
	printf(
	    ".SH OPTIONS\nThey stand before the command, or behind it.\n"
	    ".TP\n\\fB\\-\\-socket\\fR=\\fIPATH\\fR\nThe administration socket.\n"
	    ".TP\n\\fB\\-\\-conf\\fR=\\fIFILE\\fR\nThe configuration, which log and check read.\n"
	    ".TP\n\\fB\\-\\-json\\fR\nThe answer is one JSON value on standard output; of a change "
	    "{\"done\": true}, of a refusal {\"done\": false, \"error\": \"...\"}. Times are Unix "
	    "times.\n"
	    ".TP\n\\fB\\-\\-dry\\-run\\fR\nSays what would be done and does nothing. A command "
	    "that "
	    "does not know it refuses it.\n"
	    ".TP\n\\fB\\-\\-quiet\\fR\nNo progress, no summary.\n"
	    ".TP\n\\fB\\-\\-help\\fR, \\fBhelp\\fR \\fICOMMAND\\fR, \\fB\\-\\-version\\fR\n"
	    "What they say.\n"
	    ".SH EXIT STATUS\n"
	    ".TP\n.B 0\nDone. Of check: nothing failed; there may be warnings.\n"
	    ".TP\n.B 1\nRefused, with the reason on standard error; of check: something failed.\n"
	    ".TP\n.B 2\nWrong usage.\n.TP\n.B 3\nThe server was not reached.\n"
	    ".SH ENVIRONMENT\n.B GATEHOUSE_SOCKET\nand\n.B GATEHOUSE_CONF\nare used where the "
	    "options are not given.\n"
	    ".SH FILES\n.I /run/gatehouse/admin.sock\n.br\n.I /etc/gatehouse/gatehouse.conf\n"
	    ".SH SEE ALSO\n.BR gatehouse (8)\n");
}
