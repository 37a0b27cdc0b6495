#include "master/master.h"

#include "common/base/clock.h"

#include <stdio.h>

#ifdef GH_SYSTEMD
#include <systemd/sd-daemon.h>

void notify_state(const char *state)
{
	sd_notify(0, state);
}

int64_t notify_watchdog_ms(void)
{
	uint64_t usec = 0;

	return sd_watchdog_enabled(0, &usec) > 0 ? (int64_t)(usec / 1000) : 0;
}
#else
void notify_state(const char *state)
{
}

int64_t notify_watchdog_ms(void)
{
	return 0;
}
#endif

void notify_reloading(void)
{
	char text[96];

	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%lld",
	    (long long)(clock_mono_ns() / 1000));
	notify_state(text);
}
