/* The threads of a store: all of them, started in one order and ended in another. */
#include "common/engine/lmdb/lmdb-private.h"

#include <signal.h>
#include <stdlib.h>

enum { THREAD_STACK = 256 << 10 };

void store_thread_ready(struct store *s)
{
	pthread_mutex_lock(&s->pool_lock);
	s->n_ready++;
	pthread_cond_signal(&s->ready);
	pthread_mutex_unlock(&s->pool_lock);
}

int thread_start(pthread_t *t, void *(*fn)(void *), void *arg)
{
	pthread_attr_t a;
	int r;

	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, THREAD_STACK);
	r = pthread_create(t, &a, fn, arg);
	pthread_attr_destroy(&a);
	return r == 0 ? 0 : -r;
}

/* All threads, with every signal blocked, and past what a sandbox would refuse them. */
int store_threads_start(struct store *s)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = thread_start(&s->committer, committer_main, s);
	if (r == 0) {
		s->threads = 1;
		r = thread_start(&s->checkpointer, checkpointer_main, s);
	}
	if (r == 0) {
		s->threads = 2;
		r = thread_start(&s->compactor.thread, compactor_main, s);
	}
	if (r == 0)
		s->threads = 3;
	while (r == 0 && s->n_pool < s->conf.readers) {
		r = thread_start(&s->pool[s->n_pool], pool_main, s);
		if (r == 0)
			s->n_pool++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_mutex_lock(&s->pool_lock);
	while (r == 0 && s->n_ready < s->threads + s->n_pool)
		pthread_cond_wait(&s->ready, &s->pool_lock);
	pthread_mutex_unlock(&s->pool_lock);
	return r;
}

static void compactor_stop(struct store *s)
{
	struct compactor *k = &s->compactor;
	struct compact_request *q;

	k->stop = true;
	pthread_mutex_lock(&k->lock);
	pthread_cond_broadcast(&k->wake);
	pthread_mutex_unlock(&k->lock);
	pthread_mutex_lock(&s->check_lock);
	pthread_cond_broadcast(&s->check_done);
	pthread_mutex_unlock(&s->check_lock);
	if (s->threads >= 3)
		pthread_join(k->thread, NULL);
	while ((q = k->queue) != NULL) {
		k->queue = q->next;
		q->rc = ENGINE_CANCELLED;
		store_answer(&s->e, &q->d);
	}
}

/* The compactor, which the others serve, then the committer: it drains its queue, and may wait for
 * a checkpoint while it does. */
void store_threads_stop(struct store *s)
{
	compactor_stop(s);
	if (s->threads >= 1) {
		pthread_mutex_lock(&s->commit_lock);
		s->commit_stop = true;
		pthread_cond_signal(&s->commit_more);
		pthread_mutex_unlock(&s->commit_lock);
		pthread_join(s->committer, NULL);
	}
	if (s->threads >= 2) {
		pthread_mutex_lock(&s->check_lock);
		s->check_stop = true;
		pthread_cond_signal(&s->check_wake);
		pthread_mutex_unlock(&s->check_lock);
		pthread_join(s->checkpointer, NULL);
	}
	pthread_mutex_lock(&s->pool_lock);
	s->pool_stop = true;
	pthread_cond_broadcast(&s->pool_more);
	pthread_mutex_unlock(&s->pool_lock);
	for (unsigned i = 0; i < s->n_pool; i++)
		pthread_join(s->pool[i], NULL);
}
