/*
 * leaks - for the one file of a program that enters a sandbox: with the address sanitizer, no search for
 * leaks at the end. It stops the process by ptrace, which no sandbox allows, and would hang or fail.
 */
#pragma once

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GH_LEAKS_SANITIZER 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define GH_LEAKS_SANITIZER 1
#endif

#ifdef GH_LEAKS_SANITIZER
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return 1;
}
#endif
