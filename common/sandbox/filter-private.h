/* filter-private - sys.def as a table, for the two ways to make a program of it. */
#pragma once

#include "common/sandbox/filter.h"

#include <seccomp.h>

enum rule_kind { RULE_ALLOW, RULE_KILL, RULE_KILL_IF, RULE_KILL_HOST };

struct rule {
	enum rule_kind kind;
	int nr; /* negative: this processor's kernel has no such call */
	uint32_t group;
	unsigned n_args; /* every op is SCMP_CMP_MASKED_EQ */
	struct scmp_arg_cmp args[2];
};

extern const struct rule filter_rules[];
extern const size_t filter_n_rules;

/* True when the row's groups allow the call for at least some arguments. */
bool filter_row_allows(const struct sandbox_row *row, int nr);

/* True when sys.def says that the call is deadly where it is not allowed. */
bool filter_is_deadly(int nr);

/* True for calls that a sanitizer's run-time makes as it likes; none in other builds. */
bool filter_is_sanitizer_call(int nr);

/* Notes where the own pid has to go. */
void filter_find_pid_holes(struct filter_program *prog);

#ifdef GH_SANDBOX_LOG_ONLY
#define ACT_KILL   SCMP_ACT_LOG
#define ACT_REFUSE SCMP_ACT_LOG
#else
#define ACT_KILL   SCMP_ACT_KILL_PROCESS
#define ACT_REFUSE SCMP_ACT_ERRNO(ENOSYS)
#endif
