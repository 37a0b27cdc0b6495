#include "common/engine/engine-private.h"

#include <errno.h>
#include <stddef.h>

static const struct fault_name {
	const char *name;
	size_t off;
	enum { F_UNSIGNED, F_U64, F_BOOL } kind;
} names[] = {
	{ "seed", offsetof(struct engine_faults, seed), F_U64 },
	{ "delay_ms", offsetof(struct engine_faults, delay_ms), F_UNSIGNED },
	{ "again", offsetof(struct engine_faults, again), F_UNSIGNED },
	{ "reorder", offsetof(struct engine_faults, reorder), F_BOOL },
	{ "unknown", offsetof(struct engine_faults, unknown), F_UNSIGNED },
	{ "full", offsetof(struct engine_faults, full), F_UNSIGNED },
	{ "io", offsetof(struct engine_faults, io), F_UNSIGNED },
	{ "corrupt", offsetof(struct engine_faults, corrupt), F_UNSIGNED },
	{ "max_bytes", offsetof(struct engine_faults, max_bytes), F_U64 },
	{ "last_commits", offsetof(struct engine_faults, last_commits), F_U64 },
	{ "one_group", offsetof(struct engine_faults, one_group), F_BOOL },
};

static int fault_set(struct engine_faults *f, struct slice name, uint64_t v)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		void *at = (char *)f + names[i].off;

		if (!slice_eq(name, slice_str(names[i].name)))
			continue;
		if (names[i].kind == F_U64)
			*(uint64_t *)at = v;
		else if (v > UINT32_MAX)
			return -EINVAL;
		else if (names[i].kind == F_BOOL)
			*(bool *)at = v != 0;
		else
			*(unsigned *)at = (unsigned)v;
		return 0;
	}
	return -EINVAL;
}

int engine_faults_parse(const char *text, struct engine_faults *ret_f)
{
	struct slice rest = slice_str(text);
	struct engine_faults f = { .seed = 1 };
	uint64_t v;
	int r;

	while (rest.n > 0) {
		struct slice value = slice_take(&rest, ','), name = slice_take(&value, '=');

		if (slice_u64(value, UINT64_MAX, &v) != 0)
			return -EINVAL;
		if ((r = fault_set(&f, name, v)) != 0)
			return r;
	}
	*ret_f = f;
	return 0;
}
