/*
 * probe - what a process inside the sandbox of a row can really do.
 *
 * Every attempt is made by a process that went through the real sandbox_enter() (and, for children,
 * through its acceptor and sandbox_child_enter()). Invariant: what is tried comes from the kernel's
 * headers and from lists here, never from common/sandbox.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum verdict { NOT_TRIED, TRYING, ALLOWED, REFUSED, KILLED };

/* Memory shared by the driver and all its processes. */
struct probe_shared {
	int32_t status; /* of the last process that tried something, as waitpid() tells it */
	int32_t entered;
	pid_t sibling;
	uint8_t verdicts[8192];
};

/* What an act may use; made before the sandbox is entered. */
struct probe_env {
	pid_t sibling, outsider; /* same row and user; the driver outside */
	int held_dir;            /* -1: the row holds no directory */
	const char *dir; /* name of a directory that is not held, with a file and a socket */
	uint16_t tcp_port, udp_port;
	const char *abstract;
};

/* System calls, each as one item: every number, and arguments that matter. */
size_t probe_calls_count(void);
size_t probe_numbers_count(void);      /* the first ones: each number once, with bad arguments */
const char *probe_call_name(size_t i); /* static buffer */
enum verdict probe_call_try(size_t i);

/* Set for a row whose filter lets nearly all through: what would disturb others is not called. */
extern bool probe_spares_machine;

/* Deeds of an intruder. An act returns 0 when it succeeded, else it was refused. */
struct probe_act {
	const char *name;
	int (*act)(const struct probe_env *env);
};
extern const struct probe_act probe_acts[];
extern const size_t probe_acts_count;

extern char probe_secret[32];
