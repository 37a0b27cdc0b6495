#include "common/sandbox/filter-private.h"

#include <assert.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#define OWN_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCH AUDIT_ARCH_AARCH64
#else
#error "name this processor's AUDIT_ARCH here"
#endif

#define X32_BIT 0x40000000u
/* Far above what the table can need; a row that outgrows it fails at start. */
#define MAX_INSNS 512

struct emitter {
	struct sock_filter insns[MAX_INSNS];
	uint16_t n;
};

static uint16_t emit(struct emitter *e, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
	assert(e->n < MAX_INSNS);
	e->insns[e->n] = (struct sock_filter){ .code = code, .jt = jt, .jf = jf, .k = k };
	return e->n++;
}

static void emit_load(struct emitter *e, size_t offset)
{
	emit(e, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void emit_return(struct emitter *e, uint32_t action)
{
	emit(e, BPF_RET | BPF_K, action, 0, 0);
}

/* Half an argument: (half & mask) == value, or on to `next`, which is filled in later. */
static void emit_half(
    struct emitter *e, size_t offset, uint32_t mask, uint32_t value, uint16_t *fix, unsigned *n_fix)
{
	if (mask == 0)
		return;
	emit_load(e, offset);
	if (mask != UINT32_MAX)
		emit(e, BPF_ALU | BPF_AND | BPF_K, mask, 0, 0);
	fix[(*n_fix)++] = emit(e, BPF_JMP | BPF_JEQ | BPF_K, value, 0, 0);
}

/* Answers "allow" when the rule's conditions hold, else falls through. */
static void emit_rule(struct emitter *e, const struct rule *rule)
{
	uint16_t fix[4];
	unsigned n_fix = 0;

	for (unsigned a = 0; a < rule->n_args; a++) {
		size_t lo = offsetof(struct seccomp_data, args) + 8 * rule->args[a].arg;
		uint64_t mask = rule->args[a].datum_a, value = rule->args[a].datum_b;

		emit_half(e, lo, (uint32_t)mask, (uint32_t)value, fix, &n_fix);
		emit_half(e, lo + 4, (uint32_t)(mask >> 32), (uint32_t)(value >> 32), fix, &n_fix);
	}
	emit_return(e, SECCOMP_RET_ALLOW);
	for (unsigned i = 0; i < n_fix; i++)
		e->insns[fix[i]].jf = (uint8_t)(e->n - fix[i] - 1);
}

static bool differs(int nr, const struct sandbox_row *child, const struct sandbox_row *parent)
{
	for (size_t i = 0; i < filter_n_rules; i++) {
		const struct rule *rule = &filter_rules[i];

		if (rule->kind == RULE_ALLOW && rule->nr == nr && (rule->group & parent->sys) &&
		    !(rule->group & child->sys))
			return true;
	}
	return filter_row_allows(parent, nr) && !filter_row_allows(child, nr);
}

/* One call: the child's own rules for it, then refusal. The accumulator holds the number before
 * and, when the number is another, after. */
static void emit_call(struct emitter *e, int nr, const struct sandbox_row *child)
{
	uint16_t head = emit(e, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 0);

	for (size_t i = 0; i < filter_n_rules; i++) {
		const struct rule *rule = &filter_rules[i];

		if (rule->kind == RULE_ALLOW && rule->nr == nr && (rule->group & child->sys))
			emit_rule(e, rule);
	}
	emit_return(e, filter_is_deadly(nr) ? ACT_KILL : ACT_REFUSE);
	assert(e->n - head - 1 <= UINT8_MAX);
	e->insns[head].jf = (uint8_t)(e->n - head - 1);
}

static bool seen_before(size_t at)
{
	for (size_t i = 0; i < at; i++) {
		if (filter_rules[i].nr == filter_rules[at].nr)
			return true;
	}
	return false;
}

int filter_narrow(const struct sandbox_row *child, const struct sandbox_row *parent,
    struct filter_program *ret_prog)
{
	struct emitter *e;

	if (((child->sys & ~parent->sys) | (parent->sys & SYS_HOST)) != 0)
		return -EINVAL; /* nothing to narrow: the child needs a whole program */
	e = calloc(1, sizeof(*e));
	if (e == NULL)
		return -ENOMEM;
	emit_load(e, offsetof(struct seccomp_data, arch));
	emit(e, BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCH, 1, 0);
	emit_return(e, SECCOMP_RET_KILL_PROCESS);
	emit_load(e, offsetof(struct seccomp_data, nr));
	emit(e, BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
	emit_return(e, SECCOMP_RET_KILL_PROCESS);
	for (size_t i = 0; i < filter_n_rules; i++) {
		int nr = filter_rules[i].nr;

		if (nr < 0 || seen_before(i) || filter_is_sanitizer_call(nr))
			continue;
		if (differs(nr, child, parent))
			emit_call(e, nr, child);
	}
	emit_return(e, SECCOMP_RET_ALLOW);
	*ret_prog = (struct filter_program){ .insns = e->insns, .n_insns = e->n };
	static_assert(offsetof(struct emitter, insns) == 0, "freed through its first member");
	filter_find_pid_holes(ret_prog);
	return 0;
}
