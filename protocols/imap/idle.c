/*
 * idle - IDLE (RFC 2177): changes are told as they come, until the client says DONE.
 */
#include "protocols/imap/imap-private.h"

#include <stdlib.h>

enum { DONE_LINE_MAX = 64 };

struct idle {
	struct imap_job job;
	struct line_reader lines;
};

static size_t idle_feed(struct imap_job *j, struct slice in)
{
	struct idle *i = (struct idle *)j;
	struct imap *s = j->s;
	struct slice line = SLICE_NONE;
	size_t used = 0;
	enum line_answer got;

	/* What is being told is told to its end first. */
	if (s->tell.step != IMAP_TELL_NOTHING)
		return 0;
	got = line_take(&i->lines, in, DONE_LINE_MAX, &line, &used);
	if (got == LINE_BARE)
		imap_bye(s, "a line must end with CR LF");
	else if (got == LINE_OK && slice_ieq(line, SLICE("DONE")))
		imap_done(s, IMAP_OK, NULL, "no longer idle");
	else if (got != LINE_MORE)
		imap_done(s, IMAP_BAD, NULL, "DONE was expected");
	return used;
}

static void idle_free(struct imap_job *j)
{
	free(j);
}

static const struct imap_job_ops idle_ops = { .feed = idle_feed, .free = idle_free };

void imap_cmd_idle(struct imap *s, struct parse *p)
{
	struct writer w = imap_writer(s);
	struct idle *i;

	if (!parse_end(p)) {
		imap_bad(s, p);
		return;
	}
	i = calloc(1, sizeof(*i));
	if (i == NULL) {
		imap_done(s, IMAP_NO, "UNAVAILABLE", "not enough memory");
		return;
	}
	i->job.client_turn = true;
	imap_job_begin(s, &i->job, &idle_ops);
	write_continue(&w, "idling");
	s->idling = true;
}
