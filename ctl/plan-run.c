/* plan-run - the commands of a plan on their way, many at a time. */
#include "ctl/plan.h"

#include "common/base/clock.h"

#include <stdlib.h>
#include <unistd.h>

enum { WINDOW = 100, WINDOW_BYTES = 32 << 10 };

static void show_progress(struct plan *p, bool last)
{
	int64_t now = clock_mono_ms();

	if (p->c->quiet || !isatty(2) || (!last && now - p->shown_ms < 200))
		return;
	p->shown_ms = now;
	fprintf(stderr, "\r%zu of %zu commands, %zu refused%s", p->done, p->n, p->refused,
	    last ? "\n" : "");
}

static int take_reply(struct plan *p, const struct step *s)
{
	struct reply r;

	if (client_recv(&p->c->client, &r) != 0)
		return CTL_UNREACHED;
	p->done++;
	if (r.code != 200 && r.code != 201) {
		p->refused++;
		if (s->e->line > 0)
			fprintf(stderr, "gatehousectl: %s:%u: ", p->path, s->e->line);
		else
			fprintf(stderr, "gatehousectl: ");
		fprintf(stderr, "%s %.*s: %.*s\n", dir_kind_words[s->e->kind],
		    SLICE_FMT(s->e->name), SLICE_FMT(r.text));
	}
	show_progress(p, false);
	return CTL_DONE;
}

/* Commands of one phase are on their way together: they do not need each other. */
static int run_phase(struct plan *p, const struct step *const *steps, size_t n)
{
	size_t sent = 0, got = 0, bytes = 0;
	int status = CTL_DONE;

	while (status == CTL_DONE && got < n) {
		if (sent < n && sent - got < WINDOW && (bytes < WINDOW_BYTES || sent == got)) {
			bytes += steps[sent]->command.n;
			status = client_send(&p->c->client, steps[sent++]->command) != 0
				     ? CTL_UNREACHED
				     : CTL_DONE;
		} else {
			bytes -= steps[got]->command.n;
			status = take_reply(p, steps[got++]);
		}
	}
	return status;
}

int plan_run(struct plan *p)
{
	bool go_on = ctl_opt(p->c, "keep-going") != NULL;
	const struct step **of_phase = calloc(p->n + 1, sizeof(*of_phase));
	int status = of_phase != NULL ? CTL_DONE : ctl_refuse(p->c, "out of memory");

	for (int phase = 0; phase < PHASES && status == CTL_DONE; phase++) {
		size_t n = 0;

		if (p->refused > 0 && !go_on)
			break;
		for (size_t i = 0; i < p->n; i++)
			if (p->steps[i].phase == (enum phase)phase)
				of_phase[n++] = &p->steps[i];
		status = run_phase(p, of_phase, n);
	}
	show_progress(p, true);
	free(of_phase);
	return status;
}

int plan_tell_end(struct plan *p)
{
	size_t left = p->n - p->done;

	if (p->c->json)
		printf("{\"changes\": %zu, \"done\": %s, \"commands\": %zu, \"refused\": %zu, "
		       "\"left\": %zu}\n",
		    p->changes, p->refused == 0 && left == 0 ? "true" : "false", p->done,
		    p->refused, left);
	if (p->refused == 0)
		return CTL_DONE;
	fprintf(stderr, "gatehousectl: %zu commands were refused%s\n", p->refused,
	    left > 0
		? "; what comes after them was not begun, and the same file may be applied again"
		: "");
	return CTL_REFUSED;
}
