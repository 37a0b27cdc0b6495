/*
 * reload - a configuration that was read again becomes that of the running suite.
 */
#include "master/master.h"

#include "common/base/log.h"
#include "common/conf/limits.h"
#include "common/metrics/metrics.h"
#include "master/master-private.h"

#include <string.h>

static void restart(struct child *c)
{
	log_ev(LOG_NOTICE, "master.restart", kv_s("name", program_name(c->prog)),
	    kv_s("why", "its configuration changed"));
	child_stop(c, STOP_DEADLINE_MS);
	c->restart_wanted = true;
	if (c->pid == 0)
		master_start_child(c);
}

/* Does a change between the two need a restart of the program, or anything at all? */
static enum {
	SAME,
	RELOAD,
	RESTARTS
} compare(const struct conf *a, const struct conf *b, const char *who)
{
	int found = SAME;

	for (int k = 0; k < CONF_KEYS; k++) {
		if (!conf_receives(k, who) || a->top.v[k].text == NULL)
			continue;
		if (strcmp(a->top.v[k].text, b->top.v[k].text) == 0)
			continue;
		if (conf_rows[k].change == CONF_CHANGE_RESTART)
			return RESTARTS;
		found = RELOAD;
	}
	return found;
}

/* Options that count from the next start keep the value that is in force: a process restarted
 * tomorrow must find today's data. */
static void keep_start_options(struct conf *old, struct conf *new)
{
	for (int k = 0; k < CONF_KEYS; k++) {
		struct conf_value *a = &old->top.v[k], *b = &new->top.v[k], swap;

		if (conf_rows[k].change != CONF_CHANGE_START || a->text == NULL ||
		    strcmp(a->text, b->text) == 0)
			continue;
		log_ev(LOG_WARNING, "master.later", kv_s("what", conf_rows[k].name));
		swap = *a;
		*a = *b;
		*b = swap;
	}
}

static void apply_to_child(struct child *c, const struct conf *old, const struct listeners *old_ls)
{
	struct master *m = c->m;
	const char *who = program_name(c->prog);
	bool want = master_wants(m, c->prog);
	int change = compare(old, &m->conf, who);

	if (!want && c->state != CHILD_OFF)
		child_stop(c, STOP_DEADLINE_MS);
	else if (want && c->state == CHILD_OFF)
		master_start_child(c);
	else if (want &&
		 (change == RESTARTS || !listeners_same(old_ls, &m->listeners, c->prog->role)))
		restart(c);
	else if (c->state == CHILD_READY && c->control != NULL && child_send_conf(c, true) != 0)
		restart(c);
}

static void apply(struct master *m, struct conf *take_conf, struct listeners *take_ls,
    struct key_files *take_keys)
{
	struct conf old = m->conf;
	struct listeners old_ls = m->listeners;

	keep_start_options(&old, take_conf);
	m->conf = *take_conf;
	master_logs_level(m);
	m->listeners = *take_ls;
	key_files_fini(&m->keys);
	m->keys = *take_keys;
	for (int i = 0; i < PROGRAMS; i++)
		apply_to_child(&m->children[i], &old, &old_ls);
	listeners_fini(&old_ls, &m->listeners);
	conf_fini(&old);
}

/* One event a line, so that each error stands by itself in the log. */
static void log_errors(struct buf *errors)
{
	struct slice rest = buf_slice(errors);

	while (rest.n > 0)
		log_ev(LOG_ERR, "conf.bad", kv_str("why", slice_take(&rest, '\n')));
}

void master_reload(struct master *m)
{
	struct buf errors = BUF_INIT(CONF_ERRORS_BYTES);
	struct conf conf = { 0 };
	struct listeners ls = { 0 };
	struct key_files keys = { 0 };
	int r;

	notify_reloading();
	r = readconf(m->conf_path, m->empty_fd, &conf, &errors);
	if (r == 0) {
		r = outside_check(&conf, &errors);
		if (r == 0)
			r = listeners_open(&conf, &m->sockets, &m->listeners, &ls, &errors);
		if (r == 0)
			r = key_files_take(m, &conf, &keys, &errors);
		if (r == 0)
			apply(m, &conf, &ls, &keys);
		else {
			listeners_fini(&ls, &m->listeners);
			conf_fini(&conf);
		}
	}
	metric_add(METRIC_reloads, r == 0 ? "ok" : "refused", "", 1);
	if (r == 0) {
		log_ev(LOG_NOTICE, "conf.reload", kv_s("what", m->conf_path));
	} else {
		log_errors(&errors);
		log_ev(LOG_ERR, "conf.kept", kv_s("what", m->conf_path));
	}
	buf_fini(&errors);
	notify_state("READY=1");
}
