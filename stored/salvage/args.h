/*
 * args - options of the tools whose value is a number. What is no such number is refused, never
 * read as far as it goes: a slip must not mean "all".
 */
#pragma once

enum arg_is {
	ARG_OTHER, /* another option */
	ARG_GOOD,
	ARG_BAD, /* told on standard error */
};

/* --NAME=N, N in digits from 1 to 4294967295. */
enum arg_is arg_number(const char *arg, const char *name, unsigned *ret);
