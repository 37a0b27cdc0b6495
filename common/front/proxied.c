/*
 * proxied - connections on a listener with proxies, until their PROXY header is there. The header
 * decides what the acceptor tells the servers and counts, so it is read here, before anything is
 * made for the connection: from listed proxies only, to its last byte and not one further (what
 * follows, maybe TLS, is for the child), in bounded memory and time.
 */
#include "common/front/acceptor.h"

#include "common/base/io.h"
#include "common/base/log.h"
#include "common/front/figures.h"
#include "common/front/limits.h"
#include "common/front/proxy.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>

struct proxied {
	const struct listener *l;
	struct event *ev, *ev_late;
	struct addr proxy;
	int fd;
	size_t n, need;
	uint8_t bytes[FRONT_PROXY_MAX];
};

static void proxied_free(struct proxied *w)
{
	w->l->a->proxied--;
	if (w->ev != NULL)
		event_free(w->ev);
	if (w->ev_late != NULL)
		event_free(w->ev_late);
	fd_close(&w->fd);
	free(w);
}

/* No reply: whoever it is does not speak as was agreed. */
static void refuse(const struct listener *l, int take_fd, const struct addr *peer, const char *why)
{
	acceptor_turn_away(l->a, take_fd, IPC_LISTEN_TLS, peer, "", why);
	figures_refused(l, why);
}

static void proxied_end(struct proxied *w, const char *why)
{
	refuse(w->l, w->fd, &w->proxy, why);
	w->fd = -1;
	proxied_free(w);
}

static void proxied_done(struct proxied *w, const struct proxy_header *h)
{
	char peer[ADDR_TEXT_MAX], local[ADDR_TEXT_MAX], proxy[ADDR_TEXT_MAX];
	int fd = w->fd;

	w->fd = -1;
	if (w->l->a->stopping || w->l->a->crashed) {
		fd_close(&fd);
	} else if (h->none) {
		acceptor_serve(w->l, fd, &w->proxy, NULL);
	} else {
		log_ev(LOG_INFO, "conn.proxied", kv_s("peer", addr_ip_text(&h->peer, peer)),
		    kv_s("local", addr_ip_text(&h->local, local)),
		    kv_s("proxy", addr_ip_text(&w->proxy, proxy)));
		acceptor_serve(w->l, fd, &h->peer, &h->local);
	}
	proxied_free(w);
}

static void on_late(evutil_socket_t fd, short what, void *arg)
{
	proxied_end(arg, FRONT_NO_PROXY);
}

static void on_header(evutil_socket_t fd, short what, void *arg)
{
	struct proxied *w = arg;
	struct proxy_header h;
	enum proxy_answer answer = PROXY_MORE;
	ssize_t n;

	while (answer == PROXY_MORE) {
		n = read(fd, w->bytes + w->n, w->need - w->n);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0)
			break;
		w->n += (size_t)n;
		answer = proxy_parse(slice_of(w->bytes, w->n), sizeof(w->bytes), &h, &w->need);
	}
	if (answer == PROXY_DONE)
		proxied_done(w, &h);
	else
		proxied_end(w, FRONT_NO_PROXY);
}

void proxied_begin(const struct listener *l, int fd, const struct addr *peer)
{
	struct timeval tv = { FRONT_PROXY_MS / 1000, FRONT_PROXY_MS % 1000 * 1000 };
	struct acceptor *a = l->a;
	struct proxied *w;

	if (!conf_nets_hold(slice_str(l->l->proxies), peer)) {
		refuse(l, fd, peer, FRONT_NO_PROXY);
		return;
	}
	w = a->proxied < FRONT_PROXY_WAITING ? malloc(sizeof(*w)) : NULL;
	if (w == NULL) {
		refuse(l, fd, peer, FRONT_ALL_IN_USE);
		return;
	}
	a->proxied++;
	w->l = l;
	w->proxy = *peer;
	w->fd = fd;
	w->n = 0;
	w->need = PROXY_PREFIX_BYTES;
	w->ev = event_new(proc_base(a->proc), fd, EV_READ | EV_PERSIST, on_header, w);
	w->ev_late = event_new(proc_base(a->proc), -1, 0, on_late, w);
	/* Two events: a timeout of the first would start anew with each piece. */
	if (w->ev == NULL || w->ev_late == NULL || event_add(w->ev, NULL) != 0 ||
	    event_add(w->ev_late, &tv) != 0)
		proxied_end(w, FRONT_ALL_IN_USE);
}
