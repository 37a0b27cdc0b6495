/*
 * later - the right to what is not here yet: a door asks before it says so, and gets the answer
 * that the command will give to who may not, or about a name that is not there.
 */
#include "routerd/dirconn.h"

static const struct about {
	const char *word;
	enum verb_target target;
	enum object_kind kind;
} abouts[] = {
	{ "server", TARGET_SERVER, OBJECT_HELD },
	{ "domain", TARGET_DOMAIN, OBJECT_HELD },
	{ "account", TARGET_OBJECT, OBJECT_ACCOUNT },
	{ "own", TARGET_OWN, OBJECT_ACCOUNT },
	{ "list", TARGET_OBJECT, OBJECT_LIST },
};

static const struct about *about_find(struct slice word)
{
	for (size_t i = 0; i < sizeof(abouts) / sizeof(abouts[0]); i++)
		if (slice_ieq(word, slice_str(abouts[i].word)))
			return &abouts[i];
	return NULL;
}

static bool is_there(struct request *q, const struct about *about)
{
	if (about->target == TARGET_SERVER)
		return true;
	if (about->target == TARGET_DOMAIN)
		return request_domain(q, q->args[3]) != NULL;
	return request_object(q, q->args[3], about->kind) != NULL;
}

/* The right that the first three arguments tell; false: they tell none. */
static bool take_need(
    const struct request *q, struct verb_need *ret, const struct about **ret_about)
{
	struct slice rights;

	if (q->n < 4)
		return false;
	*ret_about = about_find(q->args[2]);
	*ret = (struct verb_need){ .kind = CHANGES };
	if (slice_ieq(q->args[0], SLICE("looks")))
		ret->kind = LOOKS;
	rights = q->args[1];
	while (rights.n > 0)
		ret->rights |= rights_find(slice_take(&rights, ','));
	if (*ret_about != NULL)
		ret->target = (*ret_about)->target;
	return *ret_about != NULL && ret->rights != 0;
}

void verb_later(struct request *q)
{
	const struct about *about;
	struct verb_need need;

	if (!take_need(q, &need, &about) ||
	    !rights_allow(&q->rd->db.dir, &q->actor, &need, q->args + 3, 1))
		reply_error(q, IPC_DIR_DENIED, "this needs a right that you do not have");
	else if (is_there(q, about))
		done(q);
}
