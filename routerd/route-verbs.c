/* route-verbs - administrators ask where names lead, and are told each step. */
#include "routerd/dirconn.h"

#include "routerd/limits.h"

static void route_reply(struct request *q)
{
	struct route *r = &q->rd->route;
	struct buf queue = BUF_INIT(ADDRESS_MAX_BYTES + 16);
	struct slice lines;

	route_put_queue(&queue, r);
	route_explain(&q->rd->db.dir, r);
	lines = buf_slice(&r->trace);
	item(q, slice_str(r->module != NULL ? r->module : ""));
	item(q, buf_slice(&queue));
	item(q, buf_slice(&r->address));
	item(q, slice_str(r->status == IPC_ROUTE_OK ? "ok" : route_why(r)));
	while (lines.n > 0)
		item(q, slice_take(&lines, '\n'));
	done(q);
	buf_fini(&queue);
}

/* An argument that may be missing or empty: 0, or 1 after having refused it. */
static int local_arg(struct request *q, size_t i, struct addr *ret)
{
	*ret = (struct addr){ 0 };
	if (i >= q->n || q->args[i].n == 0 || addr_parse_ip(q->args[i], ret) == 0)
		return 0;
	reply_error(q, IPC_DIR_BAD, "the local address is not an IP address");
	return 1;
}

static int mode_arg(struct request *q, enum route_mode *ret)
{
	static const char *const words[ROUTE_MODES] = {
		[ROUTE_MAIL] = "mail", [ROUTE_ACCESS] = "access", [ROUTE_SIGNAL] = "signal"
	};

	*ret = ROUTE_ACCESS;
	if (q->n < 2)
		return 0;
	for (int i = 0; i < ROUTE_MODES; i++) {
		if (!slice_ieq(q->args[1], slice_str(words[i])))
			continue;
		*ret = (enum route_mode)i;
		return 0;
	}
	reply_error(q, IPC_DIR_BAD, "the mode is mail, access or signal");
	return 1;
}

static void route_asked(
    struct request *q, struct slice domain, const struct addr *local, enum route_mode mode)
{
	struct route *r = &q->rd->route;

	r->want_trace = true;
	route_typed(&q->rd->db.dir, q->args[0], domain, local, mode, r);
	r->want_trace = false;
	route_reply(q);
}

void verb_route(struct request *q)
{
	enum route_mode mode;
	struct addr local;

	if (mode_arg(q, &mode) == 0 && local_arg(q, 3, &local) == 0)
		route_asked(q, q->n > 2 ? q->args[2] : SLICE_NONE, &local, mode);
}

void verb_login(struct request *q)
{
	struct addr local;

	if (local_arg(q, 1, &local) == 0)
		route_asked(q, q->n > 2 ? q->args[2] : SLICE_NONE, &local, ROUTE_ACCESS);
}
