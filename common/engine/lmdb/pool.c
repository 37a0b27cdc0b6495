/* A few threads that may wait for the disk in the owner's place. */
#include "common/engine/lmdb/lmdb-private.h"

#include "common/base/log.h"

void pool_submit(struct store *s, struct pool_job *p)
{
	p->next = NULL;
	pthread_mutex_lock(&s->pool_lock);
	*s->jobs_tail = p;
	s->jobs_tail = &p->next;
	pthread_cond_signal(&s->pool_more);
	pthread_mutex_unlock(&s->pool_lock);
}

void *pool_main(void *arg)
{
	struct store *s = arg;
	struct index_reader *r = NULL;
	struct pool_job *p;

	/* Without a reader the job itself says what is wrong. */
	if (index_reader_new(s, &r) != 0)
		log_ev(LOG_ERR, "engine.error", kv_s("what", "pool"));
	store_thread_ready(s);
	for (;;) {
		pthread_mutex_lock(&s->pool_lock);
		while (s->jobs == NULL && !s->pool_stop)
			pthread_cond_wait(&s->pool_more, &s->pool_lock);
		p = s->jobs;
		if (p != NULL && (s->jobs = p->next) == NULL)
			s->jobs_tail = &s->jobs;
		s->n_working += p != NULL;
		pthread_mutex_unlock(&s->pool_lock);
		if (p == NULL)
			break;
		p->work(&s->e, p, r);
		pthread_mutex_lock(&s->pool_lock);
		s->n_working--;
		pthread_mutex_unlock(&s->pool_lock);
		store_answer(&s->e, &p->d);
	}
	index_reader_free(&r);
	pack_thread_end();
	return NULL;
}
