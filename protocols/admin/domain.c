/* domain - domains, their other names and addresses, the Router. */
#include "protocols/admin/admin-private.h"

#include "common/base/wire.h"

enum { LIST_MAX = 200 };

void run_list_domains(struct cmd *c)
{
	cmd_ask_dir(c, VERB_domain_list, NULL, 0, cmd_dir_array);
}

static void on_one_name(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r = wire_reader(m->dir_reply.data);

	if (cmd_dir_failed(c, m))
		return;
	data_put_string(&c->data, wire_get_bytes(&r, UINT32_MAX));
	cmd_data(c);
}

void run_main_domain(struct cmd *c)
{
	cmd_ask_dir(c, VERB_main_domain, NULL, 0, on_one_name);
}

/* An address without a port, as text. */
static bool ip_text(struct cmd *c, const struct data *d, struct slice *ret)
{
	char text[ADDR_TEXT_MAX];

	*ret = d->addr.port == 0 ? arena_copy(&c->mem, slice_str(addr_ip_text(&d->addr, text)))
				 : SLICE_NONE;
	if (ret->p == NULL)
		cmd_error(c, "an address stands here without a port");
	return ret->p != NULL;
}

/* A domain, then the strings of an array, as arguments of one question. */
static void ask_with_list(
    struct cmd *c, uint32_t verb, struct slice domain, const struct data *list, cmd_reply_fn *then)
{
	struct slice args[1 + LIST_MAX] = { domain };
	size_t n = 1;

	if (list->kind != DATA_ARRAY) {
		cmd_usage(c);
		return;
	}
	for (const struct data *d = list->first; d != NULL; d = d->next) {
		if (n > LIST_MAX || (d->kind != DATA_STRING && d->kind != DATA_IP)) {
			cmd_error(c, n > LIST_MAX ? "the list is too long"
						  : "the list holds something else than names");
			return;
		}
		args[n] = d->text;
		if (d->kind == DATA_IP && !ip_text(c, d, &args[n]))
			return;
		n++;
	}
	cmd_ask_dir(c, verb, args, n, then);
}

static const struct data *settings_ips(struct cmd *c, const struct data *settings)
{
	const struct data *ips = data_get(settings, "IPAddresses");

	if (settings->kind != DATA_DICT) {
		cmd_usage(c);
		return NULL;
	}
	for (const struct data *d = settings->first; d != NULL; d = d->next)
		if (d != ips) {
			cmd_error(c, "this setting is not known; there is IPAddresses");
			return NULL;
		}
	return ips;
}

static void on_first_ips(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	if (cmd_dir_failed(c, m))
		cmd_undo(c, VERB_domain_delete, cmd_text(c, 0));
	else
		cmd_ok(c);
}

static void on_domain_made(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	const struct data *ips;

	if (cmd_dir_failed(c, m))
		return;
	ips = c->words > 1 ? data_get(c->word[1], "IPAddresses") : NULL;
	if (ips == NULL)
		cmd_ok(c);
	else
		ask_with_list(c, VERB_domain_set_ips, cmd_text(c, 0), ips, on_first_ips);
	if (ips != NULL && c->status != NULL)
		cmd_undo(c, VERB_domain_delete, cmd_text(c, 0));
}

void run_create_domain(struct cmd *c)
{
	struct slice name = cmd_text(c, 0);

	if (c->words > 1 && settings_ips(c, c->word[1]) == NULL &&
	    (c->status != NULL || c->word[1]->first != NULL))
		return;
	cmd_ask_dir(c, VERB_domain_create, &name, 1, on_domain_made);
}

void run_delete_domain(struct cmd *c)
{
	struct slice name = cmd_text(c, 0);

	cmd_ask_dir(c, VERB_domain_delete, &name, 1, cmd_dir_done);
}

void run_get_domain_aliases(struct cmd *c)
{
	struct slice name = cmd_text(c, 0);

	cmd_ask_dir(c, VERB_domain_aliases, &name, 1, cmd_dir_array);
}

void run_set_domain_aliases(struct cmd *c)
{
	ask_with_list(c, VERB_domain_set_aliases, cmd_text(c, 0), c->word[1], cmd_dir_done);
}

static void on_domain_ips(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r = wire_reader(m->dir_reply.data);
	bool first = true;

	if (cmd_dir_failed(c, m))
		return;
	buf_puts(&c->data, "{IPAddresses=(");
	while (wire_left(&r) > 0 && !r.bad)
		data_put_item(&c->data, &first, wire_get_bytes(&r, UINT32_MAX));
	buf_puts(&c->data, ");}");
	cmd_data(c);
}

void run_get_domain_settings(struct cmd *c)
{
	struct slice name = cmd_text(c, 0);

	cmd_ask_dir(c, VERB_domain_ips, &name, 1, on_domain_ips);
}

void run_update_domain_settings(struct cmd *c)
{
	const struct data *settings = c->word[c->words - 1];
	const struct data *ips = settings_ips(c, settings);

	if (c->words > 1 && c->word[0]->kind != DATA_STRING)
		cmd_usage(c);
	if (c->status != NULL)
		return;
	if (ips == NULL)
		cmd_ok(c);
	else
		ask_with_list(c, VERB_domain_set_ips, c->words > 1 ? cmd_text(c, 0) : SLICE_NONE,
		    ips, cmd_dir_done);
}

/* ---- Router ---- */

static void on_table(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r = wire_reader(m->dir_reply.data);

	if (cmd_dir_failed(c, m))
		return;
	while (wire_left(&r) > 0 && !r.bad) {
		if (c->text.n > 0)
			buf_putc(&c->text, '\n');
		buf_put(&c->text, wire_get_bytes(&r, UINT32_MAX));
	}
	if (m->dir_reply.more)
		return;
	data_put_string(&c->data, buf_slice(&c->text));
	cmd_data(c);
}

void run_get_router_table(struct cmd *c)
{
	cmd_ask_dir(c, VERB_router_table, NULL, 0, on_table);
}

void run_set_router_table(struct cmd *c)
{
	struct slice text = cmd_text(c, 0);

	cmd_ask_dir(c, VERB_router_set_table, &text, 1, cmd_dir_done);
}

/* Items are module, queue, address, result, steps... Route answers the first three. */
static void on_route(struct cmd *c, enum ipc_type type, const union ipc_any *m)
{
	struct wire_reader r = wire_reader(m->dir_reply.data);
	bool all = !slice_ieq(slice_str(c->verb->name), SLICE("Route")), first = true;
	struct slice item[4];

	if (cmd_dir_failed(c, m))
		return;
	for (int i = 0; i < 4; i++)
		item[i] = wire_get_bytes(&r, UINT32_MAX);
	if (!all && item[0].n == 0) {
		cmd_error_made(c, item[3]);
		return;
	}
	buf_putc(&c->data, '(');
	for (int i = 0; i < (all ? 4 : 3); i++)
		data_put_item(&c->data, &first, item[i]);
	while (all && wire_left(&r) > 0 && !r.bad)
		data_put_item(&c->data, &first, wire_get_bytes(&r, UINT32_MAX));
	buf_putc(&c->data, ')');
	cmd_data(c);
}

void run_route(struct cmd *c)
{
	struct slice args[2] = { cmd_text(c, 0), c->words > 1 ? cmd_text(c, 1) : SLICE("access") };

	cmd_ask_dir(c, VERB_route, args, 2, on_route);
}

void run_route_login(struct cmd *c)
{
	struct slice args[3] = { cmd_text(c, 0), cmd_text(c, 2), cmd_text(c, 4) };

	if (!cmd_word_is(c, 1, "LOCAL") ||
	    (c->words > 3 && (c->words != 5 || !cmd_word_is(c, 3, "DOMAIN"))))
		cmd_usage(c);
	else
		cmd_ask_dir(c, VERB_login, args, 3, on_route);
}
