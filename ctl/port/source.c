#include "ctl/port/source.h"

#include <stdlib.h>
#include <sys/mman.h>

void item_fini(struct item *i)
{
	if (i->map != NULL)
		munmap(i->map, i->map_n);
	i->map = NULL;
	free((void *)i->keywords.p);
	i->keywords = SLICE_NONE;
}

void source_add(struct source *s, const struct source_box *take_b)
{
	struct source_box *v = reallocarray(s->box, s->n_box + 1, sizeof(*v));

	if (v == NULL)
		abort();
	s->box = v;
	v[s->n_box++] = *take_b;
}

void source_subscribe(struct source *s, struct slice name)
{
	struct slice *v = reallocarray(s->sub, s->n_sub + 1, sizeof(*v));

	if (v == NULL)
		abort();
	s->sub = v;
	v[s->n_sub++] = port_name(s->port, name);
}

void source_fini(struct source *s)
{
	if (s->ops != NULL)
		s->ops->close(s);
	for (size_t i = 0; i < s->n_box; i++) {
		free((void *)s->box[i].name.p);
		free((void *)s->box[i].path.p);
	}
	for (size_t i = 0; i < s->n_sub; i++)
		free((void *)s->sub[i].p);
	free(s->box);
	free(s->sub);
	*s = (struct source){ 0 };
}
