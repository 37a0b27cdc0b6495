/* ports - does each listener answer, with the greeting of its protocol, and does TLS work there. */
#include "ctl/check/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- the protocols, up to a login ---- */

static bool stls_pop3(struct net *n)
{
	return net_ask(n, "+OK", "STLS");
}

static bool starttls_imap(struct net *n)
{
	return net_ask(n, "t OK", "t STARTTLS");
}

/* All lines of a reply, which has this code. */
static bool smtp_reply(struct net *n, const char *code)
{
	do {
		if (!net_want(n, code))
			return false;
	} while (n->line[3] == '-');
	return true;
}

static bool starttls_smtp(struct net *n)
{
	return net_send(n, "EHLO check.localhost") && smtp_reply(n, "250") &&
	       net_ask(n, "220", "STARTTLS");
}

static bool starttls_lmtp(struct net *n)
{
	return net_send(n, "LHLO check.localhost") && smtp_reply(n, "250") &&
	       net_ask(n, "220", "STARTTLS");
}

static bool stls_pwd(struct net *n)
{
	return net_ask(n, "200", "STLS");
}

static const struct door doors[] = {
	{ "pop3", "+OK", stls_pop3 },
	{ "imap", "* OK", starttls_imap },
	{ "smtp", "220", starttls_smtp },
	{ "submission", "220", starttls_smtp },
	{ "lmtp", "220", starttls_lmtp },
	{ "admin", "200", NULL },
	{ "pwd", "200", stls_pwd },
	{ "metrics", NULL, NULL },
};

const char *door_name(const struct conf_section *listener)
{
	return strcmp(listener->name, "smtp") == 0 ? conf_section_str(listener, CONF_protocol)
						   : listener->name;
}

const struct door *door_of(const struct conf_section *listener)
{
	for (size_t i = 0; i < sizeof(doors) / sizeof(doors[0]); i++)
		if (strcmp(doors[i].name, door_name(listener)) == 0)
			return &doors[i];
	return NULL;
}

static bool says_hello(struct net *n, const struct door *d)
{
	if (d->greeting == NULL) /* HTTP: the client begins */
		return net_send(n, "HEAD /metrics HTTP/1.0\r\nHost: localhost\r\n") &&
		       net_want(n, "HTTP/1.1 200");
	/* 220-... and such. */
	do {
		if (!net_want(n, d->greeting))
			return false;
	} while (n->line[0] == '2' && n->line[3] == '-');
	return true;
}

bool door_open(struct check *k, const struct place *p, struct net *n, const char **ret_step)
{
	const struct door *d = door_of(p->listener);
	const char *tls = conf_section_str(p->listener, CONF_tls);
	const char *name = conf_get_str(&k->conf, CONF_host_name);

	*ret_step = "connect";
	if (!net_open(n, p))
		return false;
	*ret_step = "TLS";
	if (strcmp(tls, "yes") == 0 && !net_tls(n, name))
		return false;
	*ret_step = "greeting";
	if (!says_hello(n, d))
		return false;
	*ret_step = "STARTTLS";
	if (strcmp(tls, "starttls") != 0)
		return true;
	return d->starttls != NULL && d->starttls(n) && net_tls(n, name);
}

/* ---- places ---- */

static bool is_any(const struct addr *a)
{
	static const uint8_t zero[sizeof(a->ip)];

	return memcmp(a->ip, zero, sizeof(zero)) == 0;
}

bool place_next(const struct conf_section *s, size_t at, struct place *ret)
{
	struct slice nets = slice_str(conf_section_str(s, CONF_address));
	struct conf_net net;
	char ip[ADDR_TEXT_MAX];

	*ret = (struct place){ .listener = s };
	if (conf_section_str(s, CONF_socket)[0] != '\0') {
		ret->path = conf_section_str(s, CONF_socket);
		snprintf(ret->text, sizeof(ret->text), "%s %s", door_name(s), ret->path);
		return at == 0;
	}
	do {
		if (!conf_next_net(&nets, &net))
			return false;
	} while (at-- > 0);
	ret->addr = net.addr;
	ret->addr.port = (uint16_t)conf_section_u64(s, CONF_port);
	if (is_any(&net.addr))
		addr_parse_ip(net.addr.family == 4 ? SLICE("127.0.0.1") : SLICE("::1"), &ret->addr);
	ret->addr.port = (uint16_t)conf_section_u64(s, CONF_port);
	snprintf(ret->text, sizeof(ret->text), "%s %s port %u", door_name(s),
	    addr_ip_text(&ret->addr, ip), ret->addr.port);
	return true;
}

/* A connection from here to one of our addresses comes from the same address. */
bool place_allowed(const struct place *p)
{
	const char *clients = conf_section_str(p->listener, CONF_clients);

	return p->path != NULL || clients[0] == '\0' ||
	       conf_nets_hold(slice_str(clients), &p->addr);
}

/* ---- what is said of them ---- */

static const char *advice_for(const char *step)
{
	if (strcmp(step, "connect") == 0)
		return "is the suite running with this configuration? 'systemctl reload gatehouse' "
		       "brings changes into force";
	if (strcmp(step, "greeting") == 0)
		return "another program may listen there: 'ss -ltnp' shows it; else look at the "
		       "log";
	return "look for door.tls in the log: it says which certificate cannot be used";
}

/* Does the other end show a certificate of the configuration? */
static bool leaf_known(const struct check *k, const struct net *n)
{
	X509 *x = SSL_get1_peer_certificate(n->ssl);
	bool known = false;

	for (int i = 0; i < sk_X509_num(k->leaves) && x != NULL; i++)
		known |= X509_cmp(x, sk_X509_value(k->leaves, i)) == 0;
	X509_free(x);
	return known;
}

static void check_place(struct check *k, const struct place *p)
{
	struct net n = { .fd = -1 };
	const char *step;

	if (!place_allowed(p)) {
		check_row(k, CHECK_OK, "port", p->text,
		    "not tried: its clients do not include this machine", NULL);
		return;
	}
	if (p->path != NULL && access(p->path, W_OK) != 0 && errno == EACCES)
		check_row(k, CHECK_WARNING, "port", p->text, "not tried: this user may not connect",
		    "run this as root");
	else if (!door_open(k, p, &n, &step))
		check_say(
		    k, CHECK_FAILED, "port", p->text, advice_for(step), "%s: %s", step, n.why);
	else if (n.ssl != NULL && !leaf_known(k, &n))
		check_row(k, CHECK_WARNING, "port", p->text,
		    "shows another certificate than the configuration's files",
		    "reload the suite: 'systemctl reload gatehouse'");
	else
		check_row(k, CHECK_OK, "port", p->text, n.ssl != NULL ? SSL_get_version(n.ssl) : "",
		    NULL);
	net_close(&n);
}

void check_ports(struct check *k)
{
	struct place p;

	for (size_t i = 0; i < k->conf.n_sections; i++) {
		const struct conf_section *s = &k->conf.sections[i];

		if (s->kind != CONF_SECTION_LISTENER)
			continue;
		if (door_of(s) == NULL) {
			check_row(k, CHECK_WARNING, "port", door_name(s),
			    "not tried: nothing is known of this kind of listener here",
			    "use the gatehousectl of the same version as the suite");
			continue;
		}
		for (size_t at = 0; place_next(s, at, &p); at++)
			check_place(k, &p);
	}
}
