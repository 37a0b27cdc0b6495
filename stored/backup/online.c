/* What a running server has, at one instant, read and judged like a store that nobody has open. */
#include "stored/backup/backup.h"

#include "stored/salvage/open.h"
#include "stored/salvage/verify.h"

#include <sys/resource.h>

enum { NICE = 10 };

static int judge(
    struct source *s, const struct names *names, unsigned mib_per_s, struct report *rep)
{
	struct model m = { 0 };
	struct raw *raw;
	int rc = source_raw(s, model_keeps, rep, &raw);

	if (rc != 0)
		return report_fail(rep, "the store cannot be read");
	rc = model_load(&m, raw, names, rep);
	if (rc == 0)
		rc = verify_store(&m, mib_per_s, rep);
	model_fini(&m);
	raw_close(&raw);
	return rc == 0 ? report_end(rep) : report_fail(rep, "%s", strerror(-rc));
}

int verify_online(struct source *s, unsigned mib_per_s, struct report *rep)
{
	struct names names = { 0 };
	int rc = source_cut(s, rep);

	if (rc != 0)
		return rc;
	(void)setpriority(PRIO_PROCESS, 0, NICE); /* the server first */
	rc = names_load_until(&names, &s->pin_fd[1], &s->end[1], rep);
	rc = rc == 0 ? judge(s, &names, mib_per_s, rep) : report_fail(rep, "%s", strerror(-rc));
	names_fini(&names);
	return rc;
}
