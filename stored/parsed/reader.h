/*
 * reader - the process that reads the mail of one account and nothing else.
 *
 * It holds one channel, to the relay, and speaks on it what the relay speaks with stored.
 */
#pragma once

struct event_base;

/* Serves the relay's messages on `take_fd` until it closes: the exit status. */
int reader_run(struct event_base *base, int take_fd);
