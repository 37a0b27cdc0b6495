/*
 * title - what ps shows for this process: "gatehouse: pop3".
 *
 * Invariant: the text never comes from a stranger; who is connected is never shown to other users.
 */
#pragma once

/*
 * First thing in main(): takes over the memory of argv and the environment for the title. The
 * environment is copied first, so getenv() goes on working; argv[] strings are gone after the first
 * title_set().
 */
void title_init(int argc, char **argv);

/* Shows "gatehouse: <name>" in ps and "gh-<name>" as the short name of the thread. Cut to fit. */
void title_set(const char *name);
