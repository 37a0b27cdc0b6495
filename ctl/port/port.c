/* port - what import and export tell: progress, what was left, the sum; and small things. */
#include "ctl/port/port.h"

#include "common/base/clock.h"
#include "ctl/port/reach.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

enum { BAR_MS = 100, BAR_WIDTH = 24, LEFT_SHOWN = 50 };

void port_init(struct port *p, struct ctl *c)
{
	*p = (struct port){ .ctl = c, .bar = !c->quiet && !c->json && isatty(2) };
}

void port_fini(struct port *p)
{
	link_close(&p->link);
	for (size_t i = 0; i < p->n_left; i++) {
		free(p->left[i].what);
		free(p->left[i].why);
	}
	for (size_t i = 0; i < p->n_notes; i++)
		free(p->notes[i]);
	free(p->left);
	free(p->notes);
}

/* ---- the bar ---- */

static void bar_clear(struct port *p)
{
	if (p->bar_shown)
		fprintf(stderr, "\r\033[K");
	p->bar_shown = false;
}

static void bar_draw(struct port *p)
{
	int full = p->of > 0 ? (int)(p->at * BAR_WIDTH / p->of) : 0;

	if (full > BAR_WIDTH)
		full = BAR_WIDTH;
	fprintf(stderr, "\r\033[K[%.*s%*s] mailbox %zu of %zu, %llu messages: %.40s", full,
	    "########################", BAR_WIDTH - full, "", p->box_at, p->box_of,
	    (unsigned long long)(p->moved + p->already), p->box);
	p->bar_shown = true;
}

/* For a terminal: bytes that could steer it are shown as \ooo. */
static char *shown(struct slice s)
{
	struct buf b = BUF_INIT(16 << 10);

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < 0x20 || s.p[i] == 0x7f)
			buf_printf(&b, "\\%03o", s.p[i]);
		else
			buf_putc(&b, s.p[i]);
	}
	if (buf_cstr(&b) == NULL)
		abort();
	return (char *)b.p;
}

void port_box(struct port *p, struct slice name, size_t at, size_t of)
{
	char *text = shown(name);

	snprintf(p->box, sizeof(p->box), "%s", text);
	free(text);
	p->box_at = at;
	p->box_of = of;
	p->bar_ms = 0;
	port_step(p, 0, 0);
}

void port_step(struct port *p, uint64_t at, uint64_t of)
{
	int64_t now;

	p->at = at;
	p->of = of;
	if (!p->bar)
		return;
	now = clock_mono_ms();
	if (now - p->bar_ms < BAR_MS)
		return;
	p->bar_ms = now;
	bar_draw(p);
}

/* ---- what was left ---- */

void port_left(struct port *p, struct slice box, struct slice what, const char *why)
{
	struct port_left *v;
	struct slice both;

	if (p->reader) {
		reach_tell(IPC_PORT_LEFT, box, what, slice_str(why));
		return;
	}
	v = reallocarray(p->left, p->n_left + 1, sizeof(*v));
	if (v == NULL)
		abort();
	both = what.n > 0 ? port_join(box, box.n > 0 ? ": " : "", what) : port_dup(box);
	p->left = v;
	v[p->n_left].what = shown(both);
	v[p->n_left].why = shown(slice_str(why));
	free((void *)both.p);
	if (!p->ctl->json) {
		bar_clear(p);
		fprintf(stderr, "not moved: %s: %s\n", v[p->n_left].what, v[p->n_left].why);
	}
	p->n_left++;
}

void port_left_errno(struct port *p, struct slice box, struct slice what, int error)
{
	port_left(p, box, what,
	    error == ELOOP ? "a symbolic link, which is not followed" : strerror(error));
}

int port_refuse(struct port *p, const char *fmt, ...)
{
	char text[1400], *clean;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (p->reader) {
		reach_tell(IPC_PORT_FAILED, SLICE_NONE, SLICE_NONE, slice_str(text));
		return CTL_REFUSED;
	}
	bar_clear(p);
	clean = shown(slice_str(text));
	ctl_refuse(p->ctl, "%s", clean);
	free(clean);
	return CTL_REFUSED;
}

void port_note(struct port *p, const char *fmt, ...)
{
	char text[1400], **v;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (p->reader) {
		reach_tell(IPC_PORT_NOTE, SLICE_NONE, SLICE_NONE, slice_str(text));
		return;
	}
	v = reallocarray(p->notes, p->n_notes + 1, sizeof(*v));
	if (v == NULL)
		abort();
	p->notes = v;
	v[p->n_notes++] = shown(slice_str(text));
	if (p->ctl->json)
		return;
	bar_clear(p);
	fprintf(stderr, "note: %s\n", v[p->n_notes - 1]);
}

/* ---- the sum ---- */

static void end_json(const struct port *p, const char *verb, bool broken)
{
	printf(
	    "{\"done\": %s, \"mailboxes\": %zu, \"%s\": %llu, \"already\": %llu, \"bytes\": %llu, "
	    "\"left\": [",
	    broken ? "false" : "true", p->n_boxes, verb, (unsigned long long)p->moved,
	    (unsigned long long)p->already, (unsigned long long)p->bytes);
	for (size_t i = 0; i < p->n_left; i++) {
		printf("%s{", i > 0 ? ", " : "");
		print_json_text("what", slice_str(p->left[i].what));
		printf(", ");
		print_json_text("why", slice_str(p->left[i].why));
		printf("}");
	}
	printf("], \"notes\": [");
	for (size_t i = 0; i < p->n_notes; i++) {
		printf("%s{", i > 0 ? ", " : "");
		print_json_text("text", slice_str(p->notes[i]));
		printf("}");
	}
	printf("]}\n");
}

bool port_found_none(const struct port *p)
{
	return p->moved + p->already + p->n_left == 0 &&
	       (ctl_opt(p->ctl, "uid") != NULL || ctl_opt(p->ctl, "message-id") != NULL);
}

int port_end(struct port *p, const char *verb, bool broken)
{
	bar_clear(p);
	if (p->ctl->json)
		end_json(p, verb, broken);
	else if (!p->ctl->quiet)
		printf(
		    "%zu mailboxes: %llu messages %s, %llu there already, %zu items not moved%s\n",
		    p->n_boxes, (unsigned long long)p->moved, verb, (unsigned long long)p->already,
		    p->n_left, broken ? "; not finished" : "");
	return p->n_left > 0 || broken ? CTL_REFUSED : CTL_DONE;
}

/* ---- small things ---- */

struct slice port_dup(struct slice s)
{
	return port_join(s, "", SLICE_NONE);
}

struct slice port_join(struct slice a, const char *between, struct slice b)
{
	size_t k = strlen(between);
	uint8_t *p = malloc(a.n + k + b.n + 1);

	if (p == NULL)
		abort();
	if (a.n > 0)
		memcpy(p, a.p, a.n);
	memcpy(p + a.n, between, k);
	if (b.n > 0)
		memcpy(p + a.n + k, b.p, b.n);
	p[a.n + k + b.n] = '\0';
	return slice_of(p, a.n + k + b.n);
}

struct slice port_name(const struct port *p, struct slice name)
{
	const char *into = ctl_opt(p->ctl, "into");

	if (into == NULL)
		return port_dup(name);
	if (slice_eq(name, SLICE("INBOX")))
		return port_dup(slice_str(into));
	return port_join(slice_str(into), "/", name);
}
