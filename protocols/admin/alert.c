/* alert - texts for the people of the server, a domain or an account; `before` of a row is whose.
 */
#include "protocols/admin/admin-private.h"

#include "common/base/wire.h"
#include "common/data/stamp.h"

#include <stdio.h>

static bool of_server(const struct cmd *c)
{
	return strcmp(c->verb->before, "server") == 0;
}

static void put_holder(struct cmd *c)
{
	cmd_put_arg(c, slice_str(c->verb->before));
	cmd_put_arg(c, of_server(c) ? SLICE_NONE : cmd_text(c, 0));
}

void run_alerts(struct cmd *c)
{
	put_holder(c);
	cmd_send(c, VERB_alert_list, cmd_alerts);
}

/* An alert may be named by the time under which it is shown. */
static void put_time(struct cmd *c, struct slice text)
{
	char digits[24];
	int64_t time_s;

	if (slice_starts(text, SLICE("#T")))
		text = slice_from(text, 2);
	if (stamp_parse(text, &time_s) != 0 || time_s <= 0)
		return;
	snprintf(digits, sizeof(digits), "%lld", (long long)time_s);
	cmd_put_arg(c, slice_str(digits));
}

void run_alert(struct cmd *c)
{
	struct slice text = cmd_text(c, of_server(c) ? 0 : 1);

	put_holder(c);
	cmd_put_arg(c, text);
	if (c->verb->dir == VERB_alert_remove)
		put_time(c, text);
	cmd_send(c, c->verb->dir, cmd_dir_done);
}

void run_set_alerts(struct cmd *c)
{
	const struct data *list = c->arg[of_server(c) ? 0 : 1];

	if (!cmd_list_right(c, list))
		return;
	put_holder(c);
	cmd_put_value(c, list);
	cmd_send(c, VERB_alert_set, cmd_dir_done);
}

/* Items are time, text: a dictionary of time and text. */
void cmd_alerts(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r = wire_reader(m->dir_reply.data);
	struct slice key;

	if (cmd_dir_failed(c, m))
		return;
	if (c->data.n == 0)
		buf_putc(&c->data, '{');
	while (wire_left(&r) > 0 && !r.bad) {
		struct slice value = wire_get_bytes(&r, UINT32_MAX);
		struct buf when = BUF_INIT(40);
		uint64_t time_s = 0;

		if (!cmd_pair(c, value, &key))
			continue;
		slice_u64(key, INT64_MAX, &time_s);
		stamp_put(&when, (int64_t)time_s);
		data_put_string(&c->data, buf_slice(&when));
		buf_fini(&when);
		buf_putc(&c->data, '=');
		data_put_string(&c->data, value);
		buf_putc(&c->data, ';');
	}
	if (m->dir_reply.more)
		return;
	buf_putc(&c->data, '}');
	cmd_data(c);
}

/* ---- whoever logs in hears that there are some ---- */

static void greet(struct cmd *c, size_t alerts)
{
	buf_reset(&c->text);
	buf_puts(&c->text, "200 you are logged in");
	if (alerts > 0)
		buf_printf(
		    &c->text, "; alerts for you: %zu, see GetAccountEffectiveAlerts *", alerts);
	c->status = buf_cstr(&c->text);
}

/* Items are time, text. A login stands, whatever routerd says. */
static void on_greet(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r = wire_reader(m->dir_reply.data);

	if (m->dir_reply.status != IPC_DIR_OK) {
		greet(c, 0);
		return;
	}
	while (wire_left(&r) > 0 && !r.bad) {
		wire_get_bytes(&r, UINT32_MAX);
		c->items++;
	}
	if (!m->dir_reply.more)
		greet(c, c->items / 2);
}

void alerts_greet(struct admin *a)
{
	static const struct verb verb = { "", "", NULL };
	struct cmd *c = line_own(a, &verb);

	if (c == NULL)
		return;
	cmd_put_arg(c, SLICE("*"));
	cmd_send(c, VERB_alert_effective, on_greet);
	if (c->status != NULL)
		greet(c, 0);
}
