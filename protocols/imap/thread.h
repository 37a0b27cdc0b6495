/*
 * thread - trees of messages for THREAD: nodes are numbers into one array, 0 is the root.
 *
 * A node without a row is a dummy: a message that is only referred to, or one that holds siblings
 * together. Invariant: every node but the root is linked below exactly one parent, or unlinked.
 */
#pragma once

#include "protocols/imap/sort.h"

enum { THREAD_ROOT = 0 };
#define THREAD_NO_ROW UINT32_MAX

struct thread_node {
	uint32_t row; /* of sort_rows, or THREAD_NO_ROW */
	uint32_t parent, first, last, next, prev;
	bool linked;
	struct slice id; /* message id; empty: none */
};

struct thread {
	struct sort_rows *rows;
	struct thread_node *v;
	size_t n, cap;
	bool failed;     /* no memory */
	uint32_t *table; /* nodes by id, or by subject */
	size_t table_cap;
};

bool thread_init(struct thread *t, struct sort_rows *rows);
void thread_fini(struct thread *t);

/* A new node; THREAD_ROOT and `failed` without memory. Pointers to nodes are stale then. */
uint32_t thread_node(struct thread *t, struct slice id);
void thread_unlink(struct thread *t, uint32_t n);
/* As the last child; leaves its old parent. */
void thread_link(struct thread *t, uint32_t parent, uint32_t n);
/* Children by date, then by place in the mailbox; of a dummy that of its first child. */
void thread_sort(struct thread *t, uint32_t parent);

/* All nodes but the root, children before their parents; THREAD_ROOT at the end. */
uint32_t thread_first(const struct thread *t);
uint32_t thread_after(const struct thread *t, uint32_t n);

/* thread-refs.c: RFC 5256 3, REFERENCES */
void thread_references(struct thread *t);
