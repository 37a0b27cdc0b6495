/* changes-domain-make - domains come, with their settings and addresses in one change; addresses of
 * those that are there. */
#include "routerd/change.h"

#include "routerd/limits.h"
#include "routerd/names.h"
#include "routerd/settings-ops.h"

#include <errno.h>

/* ---- local addresses ---- */

static bool refuse_meeting(
    struct request *q, const struct addr_range *a, const struct addr_range *b, struct slice owner)
{
	char one[ADDR_RANGE_TEXT_MAX], other[ADDR_RANGE_TEXT_MAX];
	struct buf why = BUF_INIT(2 * ADDR_RANGE_TEXT_MAX + DOMAIN_MAX_BYTES + 40);

	addr_range_text(a, one);
	addr_range_text(b, other);
	if (owner.n == 0)
		buf_printf(&why, "%s and %s have addresses in common", one, other);
	else if (strcmp(one, other) == 0)
		buf_printf(&why, "%s belongs to %.*s", one, SLICE_FMT(owner));
	else
		buf_printf(
		    &why, "%s meets %s, which belongs to %.*s", one, other, SLICE_FMT(owner));
	reply_error(q, IPC_DIR_EXISTS, buf_cstr(&why));
	buf_fini(&why);
	return false;
}

/* Local addresses as a request names them. */
struct ips {
	struct addr_range range[DOMAIN_IPS_MAX];
	size_t n;
};

/* The ranges that some arguments name, each once; none may meet another's (but of `dom`, which may
 * be NULL) or one another. False after having answered. */
static bool ips_take(struct request *q, const struct domain *dom, const struct slice *args,
    size_t n_args, struct ips *ret)
{
	const struct domain_ip *other;
	ret->n = 0;
	if (n_args > DOMAIN_IPS_MAX) {
		reply_error(q, IPC_DIR_BAD, "too many addresses");
		return false;
	}
	for (size_t i = 0; i < n_args; i++) {
		struct addr_range r;
		size_t at = ret->n;

		if (addr_range_parse(args[i], &r) != 0) {
			reply_error(q, IPC_DIR_BAD,
			    "this is not an IP address, ADDRESS-ADDRESS or ADDRESS/BITS");
			return false;
		}
		other = directory_ips_meeting(&q->rd->db.dir, &r, dom);
		if (other != NULL)
			return refuse_meeting(q, &r, &other->range, other->domain->name);
		for (size_t k = 0; k < ret->n; k++)
			if (addr_range_same(&ret->range[k], &r))
				at = k;
			else if (addr_range_meets(&ret->range[k], &r))
				return refuse_meeting(q, &ret->range[k], &r, SLICE_NONE);
		ret->range[at] = r;
		ret->n += at == ret->n;
	}
	return true;
}

static void ips_apply(struct change *ch)
{
	struct directory *d = &ch->rd->db.dir;
	struct addr_range r;

	change_names_free(ch);
	directory_clear_domain_ips(d, ch->domain);
	for (size_t i = 1; i < ch->n; i++)
		if (addr_range_parse(ch->args[i], &r) == 0 &&
		    directory_add_domain_ips(d, ch->domain, &r) != 0)
			routerd_commit_failed(ch->rd, -ENOMEM);
}

void verb_domain_set_ips(struct request *q)
{
	struct db *db = &q->rd->db;
	struct domain *dom = request_domain(q, q->args[0]);
	struct engine_batch *b;
	struct change *ch;
	struct ips ips;

	if (dom == NULL || change_names_busy(q) || !ips_take(q, dom, q->args + 1, q->n - 1, &ips) ||
	    guard_refuses_ips(q, dom, ips.range, ips.n))
		return;
	ch = change_new(q);
	if (ch == NULL)
		return;
	ch->domain = dom;
	ch->apply = ips_apply;
	ch->undo = change_names_free;
	q->rd->names_in_flight = true;
	b = db_begin(db);
	change_commit(ch, b, b != NULL ? db_put_domain_ips(db, b, dom, ips.range, ips.n) : 0);
}

/* ---- a new one, with all that is said of it ---- */

struct new_domain {
	struct slice name;
	struct ips ips;
	struct settings_ops settings;
};

/* The arguments: number of addresses, the addresses, then settings. False after having answered. */
static bool new_domain_take(struct request *q, struct new_domain *n)
{
	struct domain fresh = { .name = n->name };
	struct settings_holder h = settings_holder(&q->rd->db.dir, SCOPE_DOMAIN, &fresh, NULL);
	uint64_t ips = 0;

	if (q->n > 1 && (slice_u64(q->args[1], DOMAIN_IPS_MAX, &ips) != 0 || ips > q->n - 2)) {
		reply_error(q, IPC_DIR_BAD, "too many addresses");
		return false;
	}
	if (q->n > 2 + ips && (q->n - ips) % 2 != 0) {
		reply_error(q, IPC_DIR_BAD, "every setting has a value");
		return false;
	}
	return ips_take(q, NULL, q->args + 2, ips, &n->ips) &&
	       settings_ops_take(q, &n->settings, &h, 2 + ips, false);
}

/* The domain in memory, where nobody finds it, and its rows. */
static int new_domain_put(
    struct db *db, struct engine_batch *b, const struct new_domain *n, struct domain *dom)
{
	struct settings_holder h = settings_holder(&db->dir, SCOPE_DOMAIN, dom, NULL);
	int rc = db_put_domain(db, b, dom);

	if (rc == 0)
		rc = settings_ops_first(&n->settings, b, &h);
	if (rc == 0)
		rc = db_put_domain_ips(db, b, dom, n->ips.range, n->ips.n);
	for (size_t i = 0; i < n->ips.n && rc == 0; i++)
		rc = directory_add_domain_ips(&db->dir, dom, &n->ips.range[i]);
	return rc == 0 ? db_put_next_id(db, b) : rc;
}

/* As guard_refuses_domain(), with what its settings do to unknown names. */
static bool new_domain_breaks(struct request *q, struct domain *dom)
{
	bool broken;

	dom->state = STATE_ACTIVE;
	broken = guard_broken(q);
	dom->state = STATE_NEW;
	return broken;
}

static void domain_make(struct request *q, const struct new_domain *n)
{
	struct db *db = &q->rd->db;
	bool watched = guard_watches(q);
	struct change *ch = change_new(q);
	struct engine_batch *b;
	int rc;

	if (ch == NULL)
		return;
	ch->domain = directory_add_domain(&db->dir, n->name, db->dir.next_id, STATE_NEW);
	if (ch->domain == NULL) {
		reply_error(q, IPC_DIR_TRYLATER, "out of memory");
		change_free(ch);
		return;
	}
	db->dir.next_id++;
	ch->apply = change_domain_live;
	ch->undo = change_domain_forget;
	b = db_begin(db);
	rc = b != NULL ? new_domain_put(db, b, n, ch->domain) : 0;
	if (rc == 0 && watched && new_domain_breaks(q, ch->domain)) {
		engine_batch_free(&b);
		change_domain_forget(ch);
		change_free(ch);
		return;
	}
	change_commit(ch, b, rc);
}

void verb_domain_create(struct request *q)
{
	struct new_domain n = { .name = q->args[0] };

	if (!domain_valid(n.name)) {
		reply_error(q, IPC_DIR_BAD, "this is not a domain name");
		return;
	}
	if (change_names_busy(q))
		return;
	if (directory_domain_any(&q->rd->db.dir, n.name) != NULL) {
		reply_error(q, IPC_DIR_EXISTS, "a domain with this name exists already");
		return;
	}
	settings_ops_init(&n.settings);
	if (new_domain_take(q, &n))
		domain_make(q, &n);
	settings_ops_fini(&n.settings);
}
