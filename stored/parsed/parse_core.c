#include "stored/parsed/parse_core.h"

#include <errno.h>

void parse_core_init(struct parse_core *c)
{
	*c = (struct parse_core){ 0 };
}

static void job_free(struct parse_job *j)
{
	facts_maker_free(&j->maker);
	*j = (struct parse_job){ 0 };
}

void parse_core_fini(struct parse_core *c)
{
	for (unsigned i = 0; i < PARSED_JOBS_MAX; i++)
		job_free(&c->jobs[i]);
}

static struct parse_job *job_find(struct parse_core *c, uint32_t seq)
{
	for (unsigned i = 0; i < PARSED_JOBS_MAX; i++)
		if (c->jobs[i].maker != NULL && c->jobs[i].seq == seq)
			return &c->jobs[i];
	return NULL;
}

int parse_core_begin(struct parse_core *c, uint32_t seq, uint64_t size)
{
	if (job_find(c, seq) != NULL)
		return PARSE_UNKNOWN;
	for (unsigned i = 0; i < PARSED_JOBS_MAX; i++) {
		struct parse_job *j = &c->jobs[i];

		if (j->maker != NULL)
			continue;
		*j = (struct parse_job){ .maker = facts_maker_new(), .seq = seq, .size = size };
		return j->maker != NULL ? 0 : -ENOMEM;
	}
	return PARSE_FULL;
}

int parse_core_data(struct parse_core *c, uint32_t seq, struct slice data)
{
	struct parse_job *j = job_find(c, seq);

	if (j == NULL)
		return PARSE_UNKNOWN;
	if (data.n > j->size - j->got) {
		job_free(j);
		return PARSE_SIZE;
	}
	j->got += data.n;
	facts_maker_feed(j->maker, data);
	return 0;
}

int parse_core_end(struct parse_core *c, uint32_t seq, struct buf *out, struct buf *header)
{
	struct parse_job *j = job_find(c, seq);
	int r;

	if (j == NULL)
		return PARSE_UNKNOWN;
	r = j->got == j->size ? facts_maker_finish(j->maker, out) : PARSE_SIZE;
	if (r == 0)
		buf_put(header, facts_maker_header(j->maker));
	job_free(j);
	return r;
}
