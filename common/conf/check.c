/*
 * check - rules about more than one value.
 */
#include "common/conf/conf-private.h"

struct check {
	const char *file;
	struct buf *errors;
	bool failed;
};

static void complain(struct check *k, unsigned line, const char *subject, const char *text)
{
	buf_printf(k->errors, "%s:%u: %s %s\n", k->file, line, subject, text);
	k->failed = true;
}

static bool is_set(const struct conf_section *s, enum conf_key k)
{
	return conf_section_str(s, k)[0] != '\0';
}

static bool is_program(const char *name)
{
	static const char *const programs[] = { "pop3", "smtp", "admin" };

	for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++)
		if (strcmp(name, programs[i]) == 0)
			return true;
	return false;
}

static void check_listener(struct check *k, const struct conf *c, const struct conf_section *s)
{
	bool tcp = conf_section_u64(s, CONF_port) != 0, local = is_set(s, CONF_socket);
	bool lmtp = strcmp(conf_section_str(s, CONF_protocol), "lmtp") == 0;
	bool tls = strcmp(conf_section_str(s, CONF_tls), "no") != 0;
	bool any_cert = false;

	for (size_t i = 0; i < c->n_sections; i++)
		any_cert |= c->sections[i].kind == CONF_SECTION_CERTIFICATE;
	if (!is_program(s->name))
		complain(
		    k, s->line, s->name, "is no front-end; a listener is for pop3, smtp or admin");
	if (tcp == local)
		complain(k, s->line, s->name, "listener needs either address and port, or socket");
	if (tcp && !is_set(s, CONF_address))
		complain(k, s->line, s->name, "listener has a port and no address");
	if (local && tls)
		complain(k, s->line, s->name, "listener: tls is for TCP, not for a Unix socket");
	if (tls && !any_cert)
		complain(
		    k, s->line, s->name, "listener has tls, and there is no certificate section");
	if (tcp && lmtp && !is_set(s, CONF_clients))
		complain(
		    k, s->line, s->name, "listener speaks LMTP over TCP and must list its clients");
	if (tcp && strcmp(s->name, "admin") == 0)
		complain(k, s->line, s->name, "listener must be a Unix socket");
	if (strcmp(s->name, "smtp") != 0 && s->v[CONF_protocol].line != 0)
		complain(k, s->v[CONF_protocol].line, "protocol", "is for smtp listeners only");
}

static void check_certificate(struct check *k, const struct conf_section *s)
{
	if (!is_set(s, CONF_chain) || !is_set(s, CONF_key))
		complain(k, s->line, "certificate", "needs both chain and key");
}

static bool same_place(const struct conf_section *a, const struct conf_section *b)
{
	if (is_set(a, CONF_socket) || is_set(b, CONF_socket))
		return strcmp(conf_section_str(a, CONF_socket), conf_section_str(b, CONF_socket)) ==
		       0;
	return conf_section_u64(a, CONF_port) == conf_section_u64(b, CONF_port) &&
	       strcmp(conf_section_str(a, CONF_address), conf_section_str(b, CONF_address)) == 0;
}

static bool twice(const struct conf_section *a, const struct conf_section *b)
{
	if (a->kind != b->kind)
		return false;
	return a->kind == CONF_SECTION_LISTENER ? same_place(a, b) : strcmp(a->name, b->name) == 0;
}

int conf_check(const struct conf *c, const char *file, struct buf *errors)
{
	struct check k = { .file = file, .errors = errors };

	if (c->top.v[CONF_main_domain].text[0] == '\0')
		complain(&k, 1, "main_domain", "must be set");
	for (size_t i = 0; i < c->n_sections; i++) {
		const struct conf_section *s = &c->sections[i];

		if (s->kind == CONF_SECTION_LISTENER)
			check_listener(&k, c, s);
		else
			check_certificate(&k, s);
		for (size_t j = 0; j < i; j++)
			if (twice(&c->sections[j], s))
				complain(
				    &k, s->line, s->name, "is there already in a section above");
	}
	return k.failed ? CONF_BAD : 0;
}
