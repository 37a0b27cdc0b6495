/*
 * view - the selected mailbox as the client knows it: sequence number <-> uid, and what it has not
 * been told yet.
 *
 * Numbers change in view_told_gone() and view_grow() only, which tell.c calls while it writes the
 * responses that say so. A message that stored has expunged stays in the view (and readable) until
 * then. Uids in a gap of the view do not exist: a range from one uid of the view to another means
 * the messages of the view in between and nothing else.
 */
#pragma once

#include "common/base/arena.h"
#include "common/base/keyset.h"
#include "protocols/imap/set.h"

/* Messages with consecutive uids; as many as up to the next run. */
struct view_run {
	uint32_t uid; /* of the first */
	uint32_t at;  /* its sequence number - 1 */
};

/* A change of flags not told yet: the latest row of the message. */
struct view_change {
	uint32_t uid, flags, seq;
	struct keyset keywords; /* its list is owned */
	uint64_t modseq;
};

struct view {
	uint32_t mbox; /* stored's handle; 0: nothing is selected */
	uint64_t id;
	uint32_t uidvalidity, uidnext;
	bool readonly;
	bool loading;         /* the list of uids is still on its way */
	uint64_t modseq;      /* highest that stored has told us of */
	uint64_t told_modseq; /* flags up to here are known to the client */

	struct view_run *runs;
	size_t n_runs, cap_runs;
	uint32_t count;    /* messages, as told */
	uint32_t last_uid; /* the highest that was ever in the view */

	struct set recent; /* uids that are \Recent in this session */

	/* not told yet */
	struct set fresh; /* new uids, above last_uid */
	struct set gone;  /* expunged uids of the view, in any order until view_told_gone */
	/* Expunged before the client was told that they came: in a gap of the view, but a range
	 * that spans the gap would name them to stored, which shows them to us until mbox_told. */
	struct set ghosts;
	uint64_t gone_modseq;
	struct view_change *changes;
	size_t n_changes, cap_changes, change_hint;
	size_t change_at;  /* those before are told */
	uint32_t own_seq;  /* changes by this request are not remembered: the command tells them */
	bool changes_lost; /* too many: those after told_modseq must be asked for */

	/* keywords: names by number, in the arena of the mailbox */
	struct slice *keywords;
	unsigned n_keywords, cap_keywords;
	bool keywords_new; /* not told yet */
};

void view_fini(struct view *v);

/* Pairs of mbox_uids_are, ascending. False without memory or when they are malformed. */
bool view_load(struct view *v, struct slice pairs);

/*
 * The list is complete: what happened meanwhile is brought in line. From `recent_from` on
 * (mbox_opened) and below `recent_to`, the uidnext of that moment, messages are recent here; of
 * later ones the event says in which session.
 */
bool view_loaded(struct view *v, uint32_t recent_from, uint32_t recent_to);

/* The uid of message `seq`, 1..count; 0 when there is none. */
uint32_t view_uid(const struct view *v, uint32_t seq);
/* The number of the message; 0 when it is not in the view. */
uint32_t view_seq(const struct view *v, uint32_t uid);
/* The number of the first message with this uid or a higher one; count + 1 when there is none. */
uint32_t view_seq_from(const struct view *v, uint32_t uid);
/* It is expunged, which the client does not know yet. */
bool view_is_gone(const struct view *v, uint32_t uid);
bool view_is_recent(const struct view *v, uint32_t uid);

/* The number of a keyword by its name in any case; -1. */
int view_keyword(const struct view *v, struct slice name);

/* ---- events ---- */

/* Rows of mbox_event and their sets of keywords. False when they are malformed or there is no
 * memory. */
bool view_events(struct view *v, struct slice rows, struct slice sets);
/* Names of mbox_opened or mbox_keywords, copied to the arena of the mailbox. */
bool view_keywords_add(struct view *v, struct arena *a, unsigned first, struct slice names);
/* Something could be told; `gone`: expunges may be told as well. */
bool view_pending(const struct view *v, bool gone);
/* All changes that were remembered are told. */
void view_changes_told(struct view *v);
/* Changes made by this session's request are not told (.SILENT, or told by the command itself). */
void view_forget_own(struct view *v, uint32_t seq);

/* ---- telling (tell.c) ---- */

/* Takes all pending expunges out of the view; they become *ret_gone. False without memory. */
bool view_told_gone(struct view *v, struct set *ret_gone);
/* New messages are part of the view now. False without memory. */
bool view_grow(struct view *v);
