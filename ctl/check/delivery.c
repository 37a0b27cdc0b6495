/*
 * delivery - the probe account, and the way of a message through it: in by each door that takes
 * mail, out by each that gives it.
 */
#include "ctl/check/check.h"

#include "common/base/secret.h"

#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

static void random_words(char *out, size_t size)
{
	static const char set[] = "abcdefghijkmnpqrstuvwxyz23456789";
	uint8_t raw[64];

	if (size > sizeof(raw) || getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		abort();
	for (size_t i = 0; i + 1 < size; i++)
		out[i] = set[raw[i] % 32];
	out[size - 1] = '\0';
}

static bool tell(struct check *k, const char *what, struct buf *line)
{
	struct reply r = { 0 };
	bool ok =
	    client_ask(&k->c->client, buf_slice(line), &r) == 0 && (r.code == 200 || r.code == 201);

	buf_fini(line);
	if (!ok)
		check_say(k, CHECK_FAILED, "delivery", what,
		    "'gatehousectl account list' shows whether a name is in the way; else look at "
		    "the "
		    "log",
		    "%.*s", SLICE_FMT(r.text));
	return ok;
}

/* The given one, with its password from standard input; or one made for this. */
static bool probe_make(struct check *k, struct probe *pr)
{
	const char *given = ctl_opt(k->c, "account");
	const char *domain = conf_get_str(&k->conf, CONF_main_domain);
	struct slice password;
	struct buf b;
	uint8_t *p;
	char word[17];

	random_words(pr->token, 24);
	if (given != NULL) {
		if (!read_password(&password, &p))
			return false;
		snprintf(pr->account, sizeof(pr->account), "%s%s%s", given,
		    strchr(given, '@') != NULL ? "" : "@",
		    strchr(given, '@') != NULL ? "" : domain);
		snprintf(pr->password, sizeof(pr->password), "%.*s", SLICE_FMT(password));
		secret_wipe(p, password.n);
		free(p);
		return true;
	}
	random_words(word, sizeof(word));
	random_words(pr->password, 32);
	snprintf(pr->account, sizeof(pr->account), "gatehouse-check-%s@%s", word, domain);
	line_start(&b, "CreateAccount");
	line_word(&b, pr->account);
	line_raw(&b, "{Password=");
	data_put_string(&b, slice_str(pr->password));
	buf_puts(&b, ";MaxAccountSize=1M;}");
	pr->own = tell(k, "the probe account is not made", &b);
	return pr->own;
}

static void probe_drop(struct check *k, struct probe *pr)
{
	struct buf b;

	if (pr->own) {
		line_start(&b, "DeleteAccount");
		line_word(&b, pr->account);
		tell(k, pr->account, &b);
	}
	secret_wipe(pr->password, sizeof(pr->password));
}

/* How good a listener is for a login: TLS at best. */
static int rank(const struct conf_section *s)
{
	const char *tls = conf_section_str(s, CONF_tls);

	return strcmp(tls, "yes") == 0 ? 3 : strcmp(tls, "starttls") == 0 ? 2 : 1;
}

/* The best place of a door that this machine may connect to. */
static bool best_place(const struct check *k, const char *door, struct place *ret)
{
	int best = 0;

	for (size_t i = 0; i < k->conf.n_sections; i++) {
		const struct conf_section *s = &k->conf.sections[i];
		struct place p;

		if (s->kind != CONF_SECTION_LISTENER || strcmp(door_name(s), door) != 0 ||
		    rank(s) <= best)
			continue;
		for (size_t at = 0; place_next(s, at, &p); at++)
			if (place_allowed(&p) && rank(s) > best) {
				*ret = p;
				best = rank(s);
			}
	}
	return best > 0;
}

static bool deliver_by(struct check *k, const char *door, struct probe *pr)
{
	struct net n = { .fd = -1 };
	struct place p;
	const char *why;

	if (!best_place(k, door, &p))
		return false;
	why = mail_deliver(k, &p, pr, &n);
	if (why == NULL)
		check_row(k, CHECK_OK, "delivery", p.text, "a message was taken", NULL);
	else
		check_row(k, CHECK_FAILED, "delivery", p.text, why,
		    "look at the log's last lines, and at 'gatehousectl route test' of the "
		    "account");
	net_close(&n);
	return why == NULL;
}

static void fetch_by(struct check *k, const struct fetcher *f, struct probe *pr)
{
	struct net n = { .fd = -1 };
	struct place p;
	const char *step;

	if (!best_place(k, f->listener, &p))
		return;
	if (door_open(k, &p, &n, &step) && f->fetch(&n, pr))
		check_row(k, CHECK_OK, "fetch", p.text, "the message came back", NULL);
	else
		check_row(k, CHECK_FAILED, "fetch", p.text, n.why,
		    "look at the log: 'gatehousectl log --account=NAME' for a login that was "
		    "refused");
	net_close(&n);
}

/* Each way out gets a message of its own: it takes away what it fetches. */
static void fetch_all(struct check *k, const char *in, struct probe *pr)
{
	struct net n;
	struct place to, from;
	bool first = true;

	for (size_t i = 0; i < fetcher_count; i++) {
		if (!best_place(k, fetchers[i].listener, &from))
			continue;
		if (!first && best_place(k, in, &to)) {
			n = (struct net){ .fd = -1 };
			mail_deliver(k, &to, pr, &n);
			net_close(&n);
		}
		first = false;
		fetch_by(k, &fetchers[i], pr);
	}
	if (first)
		check_row(k, CHECK_WARNING, "fetch", "none",
		    "there is no listener that gives mail out and lets this machine in", NULL);
}

void check_delivery(struct check *k)
{
	static const char *const ins[] = { "lmtp", "smtp", "submission" };
	struct probe pr = { 0 };
	const char *in = NULL;
	struct place p;
	bool any = false;

	if (!probe_make(k, &pr))
		return;
	for (size_t i = 0; i < sizeof(ins) / sizeof(ins[0]); i++) {
		any |= best_place(k, ins[i], &p);
		if (deliver_by(k, ins[i], &pr) && in == NULL)
			in = ins[i];
	}
	if (!any)
		check_row(k, CHECK_WARNING, "delivery", "none",
		    "there is no listener that takes mail and lets this machine in", NULL);
	if (in != NULL)
		fetch_all(k, in, &pr);
	probe_drop(k, &pr);
}
