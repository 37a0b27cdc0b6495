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
	static const char *const programs[] = { "pop3", "imap", "smtp", "admin", "pwd", "metrics" };

	for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++)
		if (strcmp(name, programs[i]) == 0)
			return true;
	return false;
}

static bool is_loopback(const struct conf_section *s)
{
	struct slice nets = slice_str(conf_section_str(s, CONF_address));
	struct conf_net v4 = { .bits = 8 }, v6 = { .bits = 128 }, net;

	addr_parse_ip(SLICE("127.0.0.0"), &v4.addr);
	addr_parse_ip(SLICE("::1"), &v6.addr);
	while (conf_next_net(&nets, &net))
		if (!conf_net_holds(&v4, &net.addr) && !conf_net_holds(&v6, &net.addr))
			return false;
	return true;
}

static void check_listener(struct check *k, const struct conf *c, const struct conf_section *s)
{
	bool tcp = conf_section_u64(s, CONF_port) != 0, local = is_set(s, CONF_socket);
	const char *protocol = conf_section_str(s, CONF_protocol);
	bool lmtp = strcmp(protocol, "lmtp") == 0;
	bool tls = strcmp(conf_section_str(s, CONF_tls), "no") != 0;
	bool any_cert = false;

	for (size_t i = 0; i < c->n_sections; i++)
		any_cert |= c->sections[i].kind == CONF_SECTION_CERTIFICATE;
	if (!is_program(s->name))
		complain(k, s->line, s->name,
		    "is no front-end; a listener is for pop3, imap, smtp, admin, pwd or metrics");
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
	if (local && strcmp(s->name, "pwd") == 0)
		complain(k, s->line, s->name,
		    "listener has an address and a port; the Unix socket is admin's");
	if (strcmp(s->name, "metrics") == 0 && (tls || (tcp && !is_loopback(s))))
		complain(k, s->line, s->name,
		    "listener is a Unix socket or a loopback address, without tls: figures are "
		    "told "
		    "to this machine only");
	if (strcmp(s->name, "smtp") != 0 && s->v[CONF_protocol].line != 0)
		complain(k, s->v[CONF_protocol].line, "protocol", "is for smtp listeners only");
	if (is_set(s, CONF_proxies) && !tcp)
		complain(k, s->v[CONF_proxies].line, "proxies", "is for listeners with an address");
	if (strcmp(s->name, "smtp") == 0 && strcmp(protocol, "default") == 0)
		complain(
		    k, s->line, s->name, "listener needs a protocol: smtp, submission or lmtp");
}

static void check_certificate(struct check *k, const struct conf_section *s)
{
	if (!is_set(s, CONF_chain) || !is_set(s, CONF_key))
		complain(k, s->line, "certificate", "needs both chain and key");
}

static bool is_wildcard(const struct addr *a)
{
	static const uint8_t zero[sizeof(a->ip)];

	return memcmp(a->ip, zero, sizeof(zero)) == 0;
}

/* Would the second bind() fail? An address collides with itself and with all of its family. */
static bool collide(const struct addr *a, const struct addr *b)
{
	return a->family == b->family && (addr_same_ip(a, b) || is_wildcard(a) || is_wildcard(b));
}

/* What the second of two listeners (or one, with itself) cannot bind; false: nothing. */
static bool find_collision(
    const struct conf_section *a, const struct conf_section *b, struct addr *ret)
{
	struct slice ta = slice_str(conf_section_str(a, CONF_address)), tb;
	struct conf_net na, nb;

	if (conf_section_u64(a, CONF_port) == 0 ||
	    conf_section_u64(a, CONF_port) != conf_section_u64(b, CONF_port))
		return false;
	for (int i = 0; conf_next_net(&ta, &na); i++) {
		tb = slice_str(conf_section_str(b, CONF_address));
		for (int j = 0; conf_next_net(&tb, &nb); j++) {
			if ((a != b || i < j) && collide(&na.addr, &nb.addr)) {
				*ret = nb.addr;
				return true;
			}
		}
	}
	return false;
}

static void check_places(
    struct check *k, const struct conf_section *a, const struct conf_section *b)
{
	char ip[ADDR_TEXT_MAX];
	struct addr at;

	if (!find_collision(a, b, &at))
		return;
	buf_printf(k->errors, "%s:%u: %s port %u is taken by the listener in line %u already\n",
	    k->file, b->v[CONF_address].line, addr_ip_text(&at, ip),
	    (unsigned)conf_section_u64(b, CONF_port), a->line);
	k->failed = true;
}

/* One binds an address; a network is for the options that list who may come. */
static void check_addresses(struct check *k, const struct conf_section *s)
{
	struct slice nets = slice_str(conf_section_str(s, CONF_address));
	struct conf_net net;

	while (conf_next_net(&nets, &net))
		if (!net.single || net.except)
			complain(k, s->v[CONF_address].line, "address",
			    "names a network; a listener is bound to single addresses");
}

static bool twice(const struct conf_section *a, const struct conf_section *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == CONF_SECTION_LISTENER)
		return is_set(a, CONF_socket) && strcmp(conf_section_str(a, CONF_socket),
						     conf_section_str(b, CONF_socket)) == 0;
	return strcmp(a->name, b->name) == 0;
}

int conf_check(const struct conf *c, const char *file, struct buf *errors)
{
	struct check k = { .file = file, .errors = errors };

	if (c->top.v[CONF_main_domain].text[0] == '\0')
		complain(&k, 1, "main_domain", "must be set");
	for (size_t i = 0; i < c->n_sections; i++) {
		const struct conf_section *s = &c->sections[i];

		if (s->kind == CONF_SECTION_LISTENER) {
			check_listener(&k, c, s);
			check_addresses(&k, s);
			for (size_t j = 0; j <= i; j++)
				if (c->sections[j].kind == CONF_SECTION_LISTENER)
					check_places(&k, &c->sections[j], s);
		} else {
			check_certificate(&k, s);
		}
		for (size_t j = 0; j < i; j++)
			if (twice(&c->sections[j], s))
				complain(
				    &k, s->line, s->name, "is there already in a section above");
	}
	return k.failed ? CONF_BAD : 0;
}
