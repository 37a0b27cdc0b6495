/*
 * threads - which conversation a message that arrives belongs to (RFC 8474 5.2).
 *
 * Invariant: a message's thread is decided once and kept in its row; the account's index, from the
 * number of a message id to its thread, only serves messages to come. So the index may lose rows,
 * by age or by an I/O error: that can part a conversation, and never changes what was told of a
 * message. docs/store.md, Threads.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/base/slice.h"
#include "common/ipc/types.h"
#include "stored/record.h"

struct account;
struct engine_group;
struct thread_ask;
struct thread_note;
struct threads_write;
struct engine_batch;
struct store;

/* What the maker of the facts said. Hostile, but only numbers. */
struct thread_ids {
	unsigned n; /* 0: nothing is known */
	uint64_t v[IPC_THREAD_NUMBERS];
	uint64_t thread; /* that the message has already, elsewhere; 0: it is to be found */
};

/* Of an account. */
struct threads {
	enum { THREADS_CLOSED, THREADS_OPENING, THREADS_READY } state;
	bool running, failing;
	bool dirty; /* in the store's list, with a reference */
	TAILQ_ENTRY(account) link;
	struct engine_group *group;
	struct threads_rec head;
	STAILQ_HEAD(, thread_ask) asks; /* the first is looked up */
	struct thread_note *notes;      /* not durable yet, the oldest first */
	size_t n, cap, n_handed;        /* n_handed: the first ones are in batches under way */
};

/* The numbers; `thread` stays. */
void thread_ids_take(struct slice packed, struct thread_ids *ret_ids);

void threads_init(struct account *a);
void threads_fini(struct account *a);

/*
 * `fn` is told the thread, perhaps at once; 0: that of nobody else, see threads_id(). One question
 * of an account after the other, each knows of those before. The account must live until then.
 */
typedef void threads_fn(void *arg, uint64_t thread);
void threads_find(struct account *a, const struct thread_ids *ids, threads_fn *fn, void *arg);

/* The thread of message `id` when threads_find() said `found`; 0: not known yet. */
static inline uint64_t threads_id(const struct thread_ids *ids, uint64_t found, uint64_t id)
{
	if (ids->thread != 0)
		return ids->thread;
	if (ids->n == 0)
		return 0;
	return found != 0 ? found : id;
}

/*
 * What was noted and is not written yet, for a commit of several groups that is made anyway: so the
 * index is durable with the message, by the same flush. NULL: there is nothing. Else the batch is
 * to be handed in, and threads_written() be called once with its answer; *list grows.
 */
struct engine_batch *threads_carry(struct account *a, struct threads_write **list);
void threads_written(struct threads_write *take_list, int rc);

/* A message is durable: what was noted in the account and was not carried is written soon, with
 * that of all other accounts. */
void threads_flush(struct account *a);
/* Now. */
void threads_flush_all(struct store *st);
