/*
 * figures - what the server can tell in numbers, and numbers that the operator keeps here beside
 * them. Those are in memory alone: they begin anew with the process, as most of the others do.
 */
#include "routerd/dirconn.h"

#include "routerd/limits.h"
#include "routerd/tally.h"

#include <stdio.h>

static void put_row(struct request *q, const char *name, uint64_t value)
{
	char line[FIGURE_NAME_MAX + 24];

	snprintf(line, sizeof(line), "%s %llu", name, (unsigned long long)value);
	item(q, slice_str(line));
}

void verb_stat(struct request *q)
{
	struct routerd *rd = q->rd;
	const struct {
		const char *name;
		uint64_t v;
	} rows[] = {
		{ "directory.domains", HASH_COUNT(rd->db.dir.domains) },
		{ "directory.accounts", rd->db.dir.counts[OBJECT_ACCOUNT] },
		{ "directory.aliases", rd->db.dir.counts[OBJECT_ALIAS] },
		{ "directory.forwarders", rd->db.dir.counts[OBJECT_FORWARDER] },
		{ "directory.groups", rd->db.dir.counts[OBJECT_GROUP] },
		{ "directory.lists", rd->db.dir.counts[OBJECT_LIST] },
		{ "router.records", table_records(rd->db.dir.table) },
		{ "router.wildcards", table_wild_records(rd->db.dir.table) },
		{ "router.logins", rd->stat.logins },
		{ "router.recipients", rd->stat.recipients },
		{ "directory.changes", rd->stat.changes },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		put_row(q, rows[i].name, rows[i].v);
	if (rd->refused)
		put_row(q, "directory.refused", 1);
	if (rd->secrets_refused)
		put_row(q, "secrets.refused", 1);
	for (size_t i = 0; i < rd->n_figures; i++)
		put_row(q, rd->figures[i].name, rd->figures[i].value);
	done(q);
}

/* ---- of accounts and domains ---- */

static void put_tally(struct request *q, uint64_t id)
{
	struct tally t = tally_of(&q->rd->db.dir, id);

	put_row(q, "recipients", t.recipients);
	put_row(q, "logins-tried", t.logins);
	put_row(q, "counted-since", (uint64_t)t.since_s);
	done(q);
}

void verb_account_tally(struct request *q)
{
	const struct object *o = request_account(q, q->args[0]);

	if (o != NULL)
		put_tally(q, o->id);
}

void verb_domain_tally(struct request *q)
{
	const struct domain *dom = request_domain(q, q->args[0]);

	if (dom != NULL)
		put_tally(q, dom->id);
}

static void reset(struct request *q, uint64_t id)
{
	if (tally_reset(&q->rd->db.dir, id) != 0)
		reply_error(q, IPC_DIR_TRYLATER, "out of memory");
	else
		done(q);
}

void verb_account_tally_reset(struct request *q)
{
	const struct object *o = request_account(q, q->args[0]);

	if (o != NULL)
		reset(q, o->id);
}

void verb_domain_tally_reset(struct request *q)
{
	const struct domain *dom = request_domain(q, q->args[0]);

	if (dom != NULL)
		reset(q, dom->id);
}

/* ---- the operator's own ---- */

/* custom. and letters, digits, '-' and '.' behind it. */
static bool name_right(struct slice name)
{
	static const size_t head = sizeof("custom.") - 1;

	if (!slice_istarts(name, SLICE("custom.")) || name.n == head || name.n > FIGURE_NAME_MAX)
		return false;
	for (size_t i = head; i < name.n; i++) {
		uint8_t c = ascii_lower(name.p[i]);

		if ((c < 'a' || c > 'z') && !ascii_digit(c) && c != '-' && c != '.')
			return false;
	}
	return true;
}

static struct figure *figure_of(struct routerd *rd, struct slice name)
{
	struct figure *f = rd->figures;

	for (size_t i = 0; i < rd->n_figures; i++, f++)
		if (slice_ieq(slice_str(f->name), name))
			return f;
	if (rd->n_figures == FIGURES_MAX)
		return NULL;
	f = &rd->figures[rd->n_figures++];
	for (size_t i = 0; i < name.n; i++)
		f->name[i] = (char)ascii_lower(name.p[i]);
	return f;
}

void verb_stat_set(struct request *q)
{
	bool inc = slice_ieq(q->args[1], SLICE("inc"));
	struct figure *f;
	uint64_t v;

	if (!name_right(q->args[0]))
		reply_error(q, IPC_DIR_BAD, "a figure that can be set begins with custom.");
	else if ((!inc && !slice_ieq(q->args[1], SLICE("set"))) ||
		 slice_u64(q->args[2], INT64_MAX, &v) != 0)
		reply_error(q, IPC_DIR_BAD, "a figure is set to a number, or grows by one");
	else if ((f = figure_of(q->rd, q->args[0])) == NULL)
		reply_error(
		    q, IPC_DIR_BAD, "there are as many figures of this kind as there may be");
	else if (inc && f->value > INT64_MAX - v)
		reply_error(q, IPC_DIR_BAD, "the figure would be too large");
	else {
		f->value = inc ? f->value + v : v;
		done(q);
	}
}
