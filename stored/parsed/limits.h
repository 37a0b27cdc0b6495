/*
 * limits - what parsed takes on. Past a limit the answer is "try later", never a wrong fact.
 */
#pragma once

/* Processes that read mail, one account each. */
#define PARSED_CHILDREN_MAX 32
/* Messages under way in one of them, and messages it reads before a fresh one takes over. */
#define PARSED_JOBS_MAX   8
#define PARSED_SERVED_MAX 1000
/* A process without work ends after this; one whose work stands still is ended after that. */
#define PARSED_IDLE_MS  2000
#define PARSED_STILL_MS 120000
/* CPU time of one of them, all messages together: a parser that does not return is killed. */
#define PARSED_CPU_S 120
/* Bytes that wait for one of them before stored is no longer listened to. */
#define PARSED_QUEUE_BYTES (1 << 20)
/* Without a channel to stored for this long we end, and master starts us with new channels. */
#define PARSED_LONELY_MS 10000
