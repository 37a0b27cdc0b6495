#pragma once
/*
 * faultdisk - a disk that fails on demand and remembers what was done to it, below one program
 * (LD_PRELOAD=faultdisk.so FAULTDISK=board).
 *
 * The board is a file that program and test map together: the test says there which call is to be
 * struck, the program counts its calls there and, if there is room, writes down what it does. What
 * was struck or done before the program died stays on the board. Only calls on regular files and
 * directories count, so that the program may be sandboxed and have its channels.
 * tests/crash/faultdisk.py has the same numbers.
 */
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* FD_DSYNC: a write of a file that was opened with O_DSYNC, as LMDB's roots are. */
enum fd_kind {
	FD_WRITE,
	FD_SYNC,
	FD_CREATE,
	FD_TRUNCATE,
	FD_UNLINK,
	FD_READ,
	FD_RENAME,
	FD_DSYNC,
	FD_KINDS_ROOM = 16,
};

enum fd_act {
	FD_NOTHING,
	FD_DIE_BEFORE, /* the process ends at once, as by kill -9, before the call, */
	FD_DIE_AFTER,  /* when it is done, */
	FD_DIE_HALF,   /* or, of a write, when half of it is done */
	FD_FAIL,       /* the call does nothing and fails with `error` */
	FD_FAIL_HALF,  /* a write does half, and the next one fails */
};

enum fd_event {
	FD_EV_WRITE = 1, /* ino, offset, bytes; flag 1: O_DSYNC */
	FD_EV_TRUNCATE,  /* ino, length */
	FD_EV_CREATE,    /* ino, name; at: its directory's ino */
	FD_EV_UNLINK,    /* name, also of a directory; at */
	FD_EV_RENAME,    /* old and new name, each with its NUL; ino and at: their directories */
	FD_EV_SYNC,      /* ino; at: the events before which position it covers; flag: its site */
	FD_EV_SYNC_DIR,  /* the same, of the directory */
	FD_EV_ACK,       /* what the program said it has stored */
	FD_EV_MKDIR,     /* as FD_EV_CREATE */
	FD_EV_LINK,      /* ino of a file that has a name, the new name; at */
};

enum { FD_SITES = 64, FD_TRACE_AT = 8192, FD_NAME = 48 };

/* Where syncs are called: in the program, and in a library that the program called. */
struct fd_site {
	uint64_t program,
	    direct; /* offsets in the program; of the call itself in its library, or 0 */
	char library[FD_NAME];
};

struct fd_board {
	uint64_t magic; /* FD_MAGIC, by the test */
	uint64_t kinds; /* bits of kinds that count */
	_Atomic uint64_t count;
	_Atomic uint64_t from, times; /* calls from .. from + times - 1 are struck, from 1 on */
	_Atomic uint64_t act, error;
	_Atomic uint64_t struck;
	_Atomic uint64_t calls[FD_KINDS_ROOM];
	uint64_t trace_max; /* 0: nothing is written down */
	_Atomic uint64_t trace_n;
	_Atomic uint64_t n_sites;
	uint64_t sync_us; /* a sync takes so long, as on a disk */
	struct fd_site site[FD_SITES];
};

#define FD_MAGIC 0x6b7369646c756166u

struct fd_event_head {
	uint32_t what, flag;
	uint64_t ino, at, n; /* n bytes behind the head, padded to 8 */
};

extern struct fd_board *fd_board; /* NULL: the library is not in use */

/* What happens to this call; it counts. fd_refused() is the answer of one that fails. */
enum fd_act fd_strike(enum fd_kind kind);
int fd_refused(void);
/* As kill -9 looks to the disk: nothing is flushed, no handler runs. */
void fd_die(void);

/* Writing down; nothing without room for it. fd_trace_lock() goes around a call and its event. */
void fd_trace_lock(void);
void fd_trace_unlock(void);
void fd_trace(
    enum fd_event what, uint32_t flag, uint64_t ino, uint64_t at, const void *p, size_t n);
/* The number of the place that called the hook: of all that are further up. */
uint32_t fd_trace_site(void);
